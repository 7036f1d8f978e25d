//! The query as text: one `SELECT` over `institution.dataset` and `consortium.dataset`.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;

use concordat_engine::{on_large_stack, parse, version_number, visit, visit_mut};
use concordat_protocol::{
    ids::{DatasetName, InstitutionId},
    schema::VersionNumber,
};
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, Statement, TableAlias, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use super::error::FederationError;

/// The schema that stands for all members that share a dataset.
pub(super) const CONSORTIUM: &str = "consortium";

/// How deeply a query may be nested: the same limit as at a provider.
pub(super) const MAX_DEPTH: usize = 64;

/// Prefix of the tables that hold members' answers; no institution or dataset name can begin with it.
pub(super) const ANSWER: &str = "__answer_";

/// A table as named in the query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TableName {
    /// The institution; `None` for the dataset of all members that share it.
    pub(super) institution: Option<InstitutionId>,
    /// The dataset.
    pub(super) dataset: DatasetName,
    /// Its version; `None` for the current one.
    pub(super) version: Option<VersionNumber>,
}

impl TableName {
    /// The first part of the name.
    pub(super) fn schema(&self) -> &str {
        self.institution.as_ref().map_or(CONSORTIUM, InstitutionId::as_str)
    }

    /// The second part of the name in the local engine, where each version is a table of its own.
    pub(super) fn local_name(&self) -> String {
        match self.version {
            None => self.dataset.to_string(),
            Some(version) => format!("{}@{version}", self.dataset),
        }
    }

    fn read(name: &ObjectName, version: Option<VersionNumber>) -> Result<Self, FederationError> {
        let parts: Option<Vec<&str>> = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let (schema, dataset) = match parts.as_deref() {
            Some([schema, dataset]) => (*schema, *dataset),
            Some([dataset]) => return Err(missing_institution(dataset)),
            Some(_) | None => {
                return Err(FederationError::usage(format!(
                    "`{name}` is not a table; write `institution.dataset`"
                )));
            }
        };
        let invalid = |error: concordat_protocol::ids::InvalidName| FederationError::usage(error.to_string());
        let institution = if schema == CONSORTIUM {
            if version.is_some() {
                return Err(FederationError::usage_with(
                    format!("`{name}` has no versions: each institution counts its own"),
                    format!("write `INSTITUTION.{dataset} VERSION AS OF NUMBER`"),
                ));
            }
            None
        } else {
            Some(schema.parse().map_err(invalid)?)
        };
        Ok(Self {
            institution,
            dataset: dataset.parse().map_err(invalid)?,
            version,
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema(), self.dataset)?;
        self.version
            .map_or(Ok(()), |version| write!(f, " VERSION AS OF {version}"))
    }
}

fn missing_institution(dataset: &str) -> FederationError {
    FederationError::usage_with(
        format!("`{dataset}` does not name an institution"),
        format!("write `INSTITUTION.{dataset}`, or `consortium.{dataset}` for all members that share it"),
    )
}

/// One parsed `SELECT`, and the tables it names.
#[derive(Clone, Debug)]
pub(super) struct ParsedQuery {
    /// The statement.
    pub(super) query: Query,
    /// Every table, once.
    pub(super) tables: BTreeSet<TableName>,
}

impl ParsedQuery {
    /// Parses `sql`.
    ///
    /// # Errors
    /// [`FederationError::Usage`] unless it is exactly one `SELECT` over tables with two-part names.
    pub(super) fn parse(sql: &str) -> Result<Self, FederationError> {
        on_large_stack(|| Self::read(sql)).unwrap_or_else(|| Err(parser_thread_error()))
    }

    fn read(sql: &str) -> Result<Self, FederationError> {
        let statements = parse(sql, MAX_DEPTH)
            .map_err(|error| FederationError::usage(format!("the SQL text cannot be read: {error}")))?;
        let query = match <[Statement; 1]>::try_from(statements) {
            Ok([Statement::Query(query)]) => *query,
            Ok([_]) => return Err(FederationError::usage("only `SELECT` is answered")),
            Err(several) if several.is_empty() => {
                return Err(FederationError::usage("an empty text is not a query"));
            }
            Err(_) => return Err(FederationError::usage("only one statement at a time is answered")),
        };
        let tables = tables_of(&query)?;
        Ok(Self { query, tables })
    }
}

/// The error if no thread with a large stack can be started.
pub(super) fn parser_thread_error() -> FederationError {
    FederationError::machine(
        "no thread to parse the query could be started",
        std::io::Error::from(std::io::ErrorKind::OutOfMemory),
    )
}

/// The tables that `node` names, except those that it defines itself.
pub(super) fn tables_of<V: Visit>(node: &V) -> Result<BTreeSet<TableName>, FederationError> {
    Ok(occurrences(node)?.into_iter().collect())
}

/// The tables that `node` names, once per mention.
pub(super) fn occurrences<V: Visit>(node: &V) -> Result<Vec<TableName>, FederationError> {
    let mut defined = Defined::default();
    let _ = visit(node, &mut defined);
    let mut named = Named {
        defined: defined.0,
        version: None,
        tables: Vec::new(),
        refused: None,
    };
    let _ = visit(node, &mut named);
    match named.refused {
        None => Ok(named.tables),
        Some(error) => Err(error),
    }
}

/// Collects the names of common table expressions.
#[derive(Default)]
struct Defined(BTreeSet<String>);

impl Visitor for Defined {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let defined = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(defined.map(|table| table.alias.name.value.clone()));
        ControlFlow::Continue(())
    }
}

struct Named {
    defined: BTreeSet<String>,
    /// The version of the table whose name is visited next.
    version: Option<VersionNumber>,
    tables: Vec<TableName>,
    /// Why the visit ended early.
    refused: Option<FederationError>,
}

impl Named {
    fn refuse(&mut self, error: FederationError) -> ControlFlow<()> {
        self.refused = Some(error);
        ControlFlow::Break(())
    }
}

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let unsupported = query.for_clause.is_some() || !query.locks.is_empty() || !query.pipe_operators.is_empty();
        if unsupported || !only_reads(&query.body) {
            return self.refuse(FederationError::usage("only `SELECT` is answered"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a form of table that is not listed is refused"
        )]
        match factor {
            TableFactor::Table {
                args: None, version, ..
            } => {
                self.version = version.as_ref().and_then(version_number);
                match version {
                    Some(other) if self.version.is_none() => self.refuse(FederationError::usage_with(
                        format!("`{other}` is not a version that can be queried"),
                        "write `VERSION AS OF` and its number; `concordat dataset versions` lists them",
                    )),
                    Some(_) | None => ControlFlow::Continue(()),
                }
            }
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => self.refuse(FederationError::usage(format!(
                "`{other}` is not a table that can be queried"
            ))),
        }
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let single = match name.0.as_slice() {
            [part] => part.as_ident().map(|ident| ident.value.as_str()),
            _ => None,
        };
        let version = self.version.take();
        if single.is_some_and(|single| self.defined.contains(single) || single.starts_with(ANSWER)) {
            return ControlFlow::Continue(());
        }
        match TableName::read(name, version) {
            Ok(table) => {
                self.tables.push(table);
                ControlFlow::Continue(())
            }
            Err(error) => self.refuse(error),
        }
    }
}

fn only_reads(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => only_reads(&query.body),
        SetExpr::SetOperation { left, right, .. } => only_reads(left) && only_reads(right),
        SetExpr::Values(_) => true,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) | SetExpr::Table(_) => false,
    }
}

/// Rewrites a node that names only `table` to the provider's name for it: the dataset alone, without the institution.
pub(super) fn use_provider_table_name<V: VisitMut>(node: &mut V, table: &TableName) {
    let _ = visit_mut(node, &mut Shorten(table));
}

struct Shorten<'a>(&'a TableName);

impl Shorten<'_> {
    fn is_table(&self, schema: &Ident, dataset: &Ident) -> bool {
        schema.value == self.0.schema() && dataset.value == self.0.dataset.as_str()
    }

    fn shorten(&self, name: &mut ObjectName) {
        let same = match name.0.as_slice() {
            [schema, dataset] => {
                matches!((schema.as_ident(), dataset.as_ident()), (Some(s), Some(d)) if self.is_table(s, d))
            }
            _ => false,
        };
        if same {
            *name = ObjectName(vec![ObjectNamePart::Identifier(quoted(self.0.dataset.as_str()))]);
        }
    }
}

impl VisitorMut for Shorten<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
        self.shorten(name);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item {
                self.shorten(name);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [schema, dataset, _] = parts.as_slice()
            && self.is_table(schema, dataset)
        {
            parts.remove(0);
        }
        ControlFlow::Continue(())
    }
}

/// Rewrites versions to the names in the local engine, where each is a table of its own; an alias keeps the name used in the query.
pub(super) fn use_local_version_names(query: &mut Query) {
    let _ = visit_mut(query, &mut Rename);
}

struct Rename;

impl VisitorMut for Rename {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name, alias, version, ..
        } = factor
            && let Some(number) = version.take().as_ref().and_then(version_number)
            && let Some(ObjectNamePart::Identifier(dataset)) = name.0.last_mut()
        {
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: quoted(&dataset.value),
                columns: Vec::new(),
                at: None,
            });
            *dataset = quoted(&format!("{}@{number}", dataset.value));
        }
        ControlFlow::Continue(())
    }
}

/// Puts the operand of a sign in parentheses if it has a sign too: the text `--1` would be a comment.
pub(super) fn separate_signs<V: VisitMut>(node: &mut V) {
    let _ = visit_mut(node, &mut SeparateSigns);
}

struct SeparateSigns;

impl VisitorMut for SeparateSigns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::UnaryOp { expr: operand, .. } = expr
            && operand.to_string().starts_with(['-', '+'])
        {
            let inner = std::mem::replace(operand.as_mut(), Expr::Value(Value::Null.into()));
            **operand = Expr::Nested(Box::new(inner));
        }
        ControlFlow::Continue(())
    }
}

/// Whether the rows of the answer are groups.
pub(super) fn is_grouped(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(groups, _) => !groups.is_empty(),
    }
}

/// A table of a provider in SQL text, with its version if there is one.
pub(super) fn table_text(dataset: &DatasetName, version: Option<VersionNumber>) -> String {
    let table = quoted(dataset.as_str()).to_string();
    match version {
        None => table,
        Some(version) => format!("{table} VERSION AS OF {version}"),
    }
}

/// An identifier in quotes, so that it is taken literally.
pub(super) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(sql: &str) -> Vec<String> {
        ParsedQuery::parse(sql)
            .unwrap()
            .tables
            .iter()
            .map(TableName::to_string)
            .collect()
    }

    fn refusal(sql: &str) -> String {
        ParsedQuery::parse(sql).unwrap_err().to_string()
    }

    #[test]
    fn statement_tables_are_found_in_every_position() {
        assert_eq!(tables("SELECT * FROM budapest.heart"), ["budapest.heart"]);
        let sql = "WITH old AS (SELECT * FROM zurich.heart) SELECT (SELECT max(age) FROM consortium.heart) FROM old \
                   JOIN cleveland.heart c ON old.id = c.id WHERE c.id IN (SELECT id FROM budapest.visits)";
        assert_eq!(
            tables(sql),
            ["consortium.heart", "budapest.visits", "cleveland.heart", "zurich.heart"]
        );
    }

    #[test]
    fn statement_table_without_institution_gets_a_hint() {
        let error = ParsedQuery::parse("SELECT * FROM heart").unwrap_err();
        assert!(error.help().unwrap().contains("consortium.heart"), "{error}");
    }

    #[test]
    fn statement_other_than_one_select_is_rejected() {
        assert!(refusal("SELECT 1; SELECT 2").contains("one statement"));
        assert!(refusal("").contains("empty"));
        for sql in [
            "DROP TABLE budapest.heart",
            "COPY budapest.heart TO 'x.csv'",
            "INSERT INTO budapest.heart VALUES (1)",
            "WITH gone AS (DELETE FROM budapest.heart RETURNING *) SELECT * FROM gone",
            "SELECT * INTO mine FROM budapest.heart",
            "SELECT * FROM budapest.heart FOR UPDATE",
        ] {
            assert!(ParsedQuery::parse(sql).is_err(), "{sql}");
        }
        assert!(refusal("SELECT * FROM read_csv('/etc/passwd')").contains("not a table"));
        assert!(refusal("SELECT * FROM a.b.c").contains("institution.dataset"));
    }

    #[test]
    fn statement_versions_are_separate_tables() {
        let sql =
            "SELECT heart.age FROM budapest.heart VERSION AS OF 3 JOIN budapest.heart AS new ON new.id = heart.id";
        let mut parsed = ParsedQuery::parse(sql).unwrap();
        let names: Vec<String> = parsed.tables.iter().map(TableName::to_string).collect();
        assert_eq!(names, ["budapest.heart", "budapest.heart VERSION AS OF 3"]);
        use_local_version_names(&mut parsed.query);
        assert_eq!(
            parsed.query.to_string(),
            "SELECT heart.age FROM budapest.\"heart@3\" AS \"heart\" JOIN budapest.heart AS new ON new.id = heart.id"
        );
        let old = ParsedQuery::parse("SELECT age FROM budapest.heart VERSION AS OF 3").unwrap();
        let table = old.tables.first().unwrap().clone();
        let mut query = old.query;
        use_provider_table_name(&mut query, &table);
        assert_eq!(query.to_string(), "SELECT age FROM \"heart\" VERSION AS OF 3");
        assert!(refusal("SELECT * FROM consortium.heart VERSION AS OF 3").contains("counts its own"));
        assert!(refusal("SELECT * FROM budapest.heart FOR SYSTEM_TIME AS OF '2026-01-01'").contains("cannot be read"));
    }

    #[test]
    fn statement_with_two_signs_is_no_comment() {
        for sql in [
            "SELECT - -2.5, 1 FROM basel.heart",
            "SELECT 1 FROM basel.heart WHERE 3 < - - -age AND + -1 < 2",
        ] {
            let parsed = ParsedQuery::parse(sql).unwrap();
            let mut query = parsed.query;
            separate_signs(&mut query);
            let text = query.to_string();
            assert!(!text.contains("--"), "{text}");
            let again = ParsedQuery::parse(&text).unwrap().query;
            assert_eq!(again.to_string(), text);
        }
    }

    #[test]
    fn statement_sent_to_provider_has_no_institution_name() {
        let mut parsed = ParsedQuery::parse(
            "SELECT budapest.heart.age, heart.sex, budapest.heart.* FROM budapest.heart WHERE budapest.heart.age > 3",
        )
        .unwrap();
        let table = parsed.tables.first().unwrap().clone();
        use_provider_table_name(&mut parsed.query, &table);
        assert_eq!(
            parsed.query.to_string(),
            "SELECT heart.age, heart.sex, \"heart\".* FROM \"heart\" WHERE heart.age > 3"
        );
    }
}
