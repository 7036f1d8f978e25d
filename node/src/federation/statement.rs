//! The question as text: one `SELECT` over `institution.dataset` and `consortium.dataset`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the SQL engine are open: what is not named is refused"
)]

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;

use concordat_protocol::{
    ids::{DatasetName, InstitutionId},
    schema::VersionNumber,
};
use concordat_storage::engine::{on_large_stack, parse, version_number};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    Statement, TableAlias, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use super::fault::QueryFault;

/// The schema that stands for everybody who shares a dataset.
pub(super) const CONSORTIUM: &str = "consortium";

/// How deeply a question may be nested: as deeply as a provider reads it.
pub(super) const MAX_DEPTH: usize = 64;

/// Begins the names of tables that hold members' answers; no institution and no dataset is called so.
pub(super) const ANSWER: &str = "__answer_";

/// A table as the question names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TableName {
    /// Whose dataset; nothing for that of everybody who shares it.
    pub(super) institution: Option<InstitutionId>,
    /// The dataset.
    pub(super) dataset: DatasetName,
    /// Its version; nothing for the current one.
    pub(super) version: Option<VersionNumber>,
}

impl TableName {
    /// The first part of the name.
    pub(super) fn schema(&self) -> &str {
        self.institution.as_ref().map_or(CONSORTIUM, InstitutionId::as_str)
    }

    /// The second part of the name in the engine at home, where each version is a table of its own.
    pub(super) fn at_home(&self) -> String {
        match self.version {
            None => self.dataset.to_string(),
            Some(version) => format!("{}@{version}", self.dataset),
        }
    }

    fn read(name: &ObjectName, version: Option<VersionNumber>) -> Result<Self, QueryFault> {
        let parts: Option<Vec<&str>> = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let (schema, dataset) = match parts.as_deref() {
            Some([schema, dataset]) => (*schema, *dataset),
            Some([dataset]) => return Err(unplaced(dataset)),
            Some(_) | None => {
                return Err(QueryFault::usage(format!(
                    "`{name}` is no table; write `institution.dataset`"
                )));
            }
        };
        let invalid = |error: concordat_protocol::ids::InvalidName| QueryFault::usage(error.to_string());
        let institution = if schema == CONSORTIUM {
            if version.is_some() {
                return Err(QueryFault::usage_with(
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

fn unplaced(dataset: &str) -> QueryFault {
    QueryFault::usage_with(
        format!("`{dataset}` does not say whose table it is"),
        format!("write `INSTITUTION.{dataset}`, or `consortium.{dataset}` for all who share it"),
    )
}

/// One `SELECT` that has been read, and the tables it names.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The statement.
    pub(super) query: Query,
    /// Every table, once.
    pub(super) tables: BTreeSet<TableName>,
}

impl Question {
    /// Reads `sql`.
    ///
    /// # Errors
    /// [`QueryFault::Usage`] unless it is exactly one `SELECT` over tables with two-part names.
    pub(super) fn parse(sql: &str) -> Result<Self, QueryFault> {
        on_large_stack(|| Self::read(sql)).unwrap_or_else(|| Err(no_room()))
    }

    fn read(sql: &str) -> Result<Self, QueryFault> {
        let statements = parse(sql, MAX_DEPTH)
            .map_err(|error| QueryFault::usage(format!("the SQL text cannot be read: {error}")))?;
        let query = match <[Statement; 1]>::try_from(statements) {
            Ok([Statement::Query(query)]) => *query,
            Ok([_]) => return Err(QueryFault::usage("only `SELECT` is answered")),
            Err(several) if several.is_empty() => {
                return Err(QueryFault::usage("there is no question in an empty text"));
            }
            Err(_) => return Err(QueryFault::usage("only one statement at a time is answered")),
        };
        let tables = tables_of(&query)?;
        Ok(Self { query, tables })
    }
}

/// There is no thread with a stack for the question.
pub(super) fn no_room() -> QueryFault {
    QueryFault::machine(
        "there is no room to read the question",
        std::io::Error::from(std::io::ErrorKind::OutOfMemory),
    )
}

/// The tables that `node` names, without those that it defines itself.
pub(super) fn tables_of<V: Visit>(node: &V) -> Result<BTreeSet<TableName>, QueryFault> {
    Ok(occurrences(node)?.into_iter().collect())
}

/// The tables that `node` names, as often as it does.
pub(super) fn occurrences<V: Visit>(node: &V) -> Result<Vec<TableName>, QueryFault> {
    let mut defined = Defined::default();
    let _ = node.visit(&mut defined);
    let mut named = Named {
        defined: defined.0,
        version: None,
        tables: Vec::new(),
    };
    match node.visit(&mut named) {
        ControlFlow::Continue(()) => Ok(named.tables),
        ControlFlow::Break(fault) => Err(fault),
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
    /// Of the table whose name comes next.
    version: Option<VersionNumber>,
    tables: Vec<TableName>,
}

impl Visitor for Named {
    type Break = QueryFault;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryFault> {
        let odd = query.for_clause.is_some() || !query.locks.is_empty() || !query.pipe_operators.is_empty();
        if odd || !only_reads(&query.body) {
            return ControlFlow::Break(QueryFault::usage("only `SELECT` is answered"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryFault> {
        match factor {
            TableFactor::Table {
                args: None, version, ..
            } => {
                self.version = version.as_ref().and_then(version_number);
                match version {
                    Some(other) if self.version.is_none() => ControlFlow::Break(QueryFault::usage_with(
                        format!("`{other}` is no version that can be asked"),
                        "write `VERSION AS OF` and its number; `concordat dataset versions` lists them",
                    )),
                    Some(_) | None => ControlFlow::Continue(()),
                }
            }
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => ControlFlow::Break(QueryFault::usage(format!("`{other}` is no table that can be asked"))),
        }
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<QueryFault> {
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
            Err(fault) => ControlFlow::Break(fault),
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

/// Writes `query`, which names only `table`, the way the provider knows it: the dataset alone, without its institution.
pub(super) fn as_the_provider_knows_it<V: VisitMut>(node: &mut V, table: &TableName) {
    let _ = node.visit(&mut Shorten(table));
}

struct Shorten<'a>(&'a TableName);

impl Shorten<'_> {
    fn is_ours(&self, schema: &Ident, dataset: &Ident) -> bool {
        schema.value == self.0.schema() && dataset.value == self.0.dataset.as_str()
    }

    fn shorten(&self, name: &mut ObjectName) {
        let ours = match name.0.as_slice() {
            [schema, dataset] => {
                matches!((schema.as_ident(), dataset.as_ident()), (Some(s), Some(d)) if self.is_ours(s, d))
            }
            _ => false,
        };
        if ours {
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
            && self.is_ours(schema, dataset)
        {
            parts.remove(0);
        }
        ControlFlow::Continue(())
    }
}

/// Writes versions the way the engine at home knows them: as tables of their own, which go on to be called as before.
pub(super) fn as_home_knows_it(query: &mut Query) {
    let _ = query.visit(&mut Rename);
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

/// A table of a provider in the text of a question, with its version if there is one.
pub(super) fn table_text(dataset: &DatasetName, version: Option<VersionNumber>) -> String {
    let table = quoted(dataset.as_str()).to_string();
    match version {
        None => table,
        Some(version) => format!("{table} VERSION AS OF {version}"),
    }
}

/// An identifier that means exactly what it says.
pub(super) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(sql: &str) -> Vec<String> {
        Question::parse(sql)
            .unwrap()
            .tables
            .iter()
            .map(TableName::to_string)
            .collect()
    }

    fn refusal(sql: &str) -> String {
        Question::parse(sql).unwrap_err().to_string()
    }

    #[test]
    fn every_table_is_found_wherever_it_stands() {
        assert_eq!(tables("SELECT * FROM budapest.heart"), ["budapest.heart"]);
        let sql = "WITH old AS (SELECT * FROM zurich.heart) SELECT (SELECT max(age) FROM consortium.heart) FROM old \
                   JOIN cleveland.heart c ON old.id = c.id WHERE c.id IN (SELECT id FROM budapest.visits)";
        assert_eq!(
            tables(sql),
            ["consortium.heart", "budapest.visits", "cleveland.heart", "zurich.heart"]
        );
    }

    #[test]
    fn a_table_without_an_institution_is_told_how_to_get_one() {
        let fault = Question::parse("SELECT * FROM heart").unwrap_err();
        assert!(fault.help().unwrap().contains("consortium.heart"), "{fault}");
    }

    #[test]
    fn nothing_but_one_select_is_asked() {
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
            assert!(Question::parse(sql).is_err(), "{sql}");
        }
        assert!(refusal("SELECT * FROM read_csv('/etc/passwd')").contains("no table"));
        assert!(refusal("SELECT * FROM a.b.c").contains("institution.dataset"));
    }

    #[test]
    fn versions_are_tables_of_their_own() {
        let sql =
            "SELECT heart.age FROM budapest.heart VERSION AS OF 3 JOIN budapest.heart AS new ON new.id = heart.id";
        let mut question = Question::parse(sql).unwrap();
        let names: Vec<String> = question.tables.iter().map(TableName::to_string).collect();
        assert_eq!(names, ["budapest.heart", "budapest.heart VERSION AS OF 3"]);
        as_home_knows_it(&mut question.query);
        assert_eq!(
            question.query.to_string(),
            "SELECT heart.age FROM budapest.\"heart@3\" AS \"heart\" JOIN budapest.heart AS new ON new.id = heart.id"
        );
        let old = Question::parse("SELECT age FROM budapest.heart VERSION AS OF 3").unwrap();
        let table = old.tables.first().unwrap().clone();
        let mut query = old.query;
        as_the_provider_knows_it(&mut query, &table);
        assert_eq!(query.to_string(), "SELECT age FROM \"heart\" VERSION AS OF 3");
        assert!(refusal("SELECT * FROM consortium.heart VERSION AS OF 3").contains("counts its own"));
        assert!(refusal("SELECT * FROM budapest.heart FOR SYSTEM_TIME AS OF '2026-01-01'").contains("cannot be read"));
    }

    #[test]
    fn the_provider_gets_its_own_name_for_its_table() {
        let mut question = Question::parse(
            "SELECT budapest.heart.age, heart.sex, budapest.heart.* FROM budapest.heart WHERE budapest.heart.age > 3",
        )
        .unwrap();
        let table = question.tables.first().unwrap().clone();
        as_the_provider_knows_it(&mut question.query, &table);
        assert_eq!(
            question.query.to_string(),
            "SELECT heart.age, heart.sex, \"heart\".* FROM \"heart\" WHERE heart.age > 3"
        );
    }
}
