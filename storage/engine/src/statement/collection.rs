//! A query over the datasets of a collection, at tier `records`: inner, left, semi and anti joins, derived tables and common table
//! expressions, subqueries, set operations, windows and quantiles.
//!
//! The planner copies what a common table expression stands for to each place that names it, and moves conditions on a computed column to what
//! it is computed from. So each such name counts as all that it stands for, and a short text does not become a large plan.

use std::{cell::Cell, collections::BTreeMap};

use concordat_protocol::{
    ids::{CollectionRef, DatasetName, DatasetRef},
    schema::VersionNumber,
};
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Function, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableFactor, TableWithJoins, With,
};

use super::{
    clauses::{
        Table, check_clauses, check_fetch, check_groups, check_query, only_query, parsed, plain_table, plain_wildcard,
    },
    expression::{Expressions, Forms, Named},
    nearest::{check_form, condition, several_or_none},
    refusal::{forbid, not_computed, not_reserved, refused},
};
use crate::{
    QueryError,
    functions::{is_aggregate, is_provided_in_collections, is_quantile, is_window},
    meaning::set_operation,
    names::resolve_names,
    size::Parts,
};

/// Maximum joins of a query: those that it writes, and the subqueries and set operations that become joins.
const MAX_JOINS: usize = 16;

/// The datasets that a permit shows, with their columns.
pub(in super::super) type Visible = BTreeMap<DatasetName, Vec<String>>;

/// Parses `sql` and checks it against the datasets and columns that a permit shows, and against the `version` of the collection that was
/// opened for it: `None` is the current one, which a statement requests by naming none.
///
/// # Errors
/// [`QueryError`] for everything that is not a query over datasets of `visible` in that version.
pub(in super::super) fn checked(
    sql: &str,
    collection: &CollectionRef,
    version: Option<VersionNumber>,
    visible: &Visible,
) -> Result<Statement, QueryError> {
    checked_form(sql, collection, version, visible).map_err(|error| {
        if let QueryError::Refused { what } = error {
            QueryError::NotComputed { what, nearest: None }
        } else {
            error
        }
    })
}

fn checked_form(
    sql: &str,
    collection: &CollectionRef,
    version: Option<VersionNumber>,
    visible: &Visible,
) -> Result<Statement, QueryError> {
    let checker = Checker {
        collection,
        version,
        visible,
        parts: Parts::default(),
        joins: Cell::new(0),
    };
    let mut query = only_query(parsed(sql)?)?;
    resolve_names(&mut query, &|name| {
        let dataset = checker.dataset(name)?;
        visible.get(dataset).cloned()
    })?;
    checker.query(&query, &Names::default())?;
    Ok(Statement::Query(query))
}

/// The columns of a table or query: their names, and the number of parts behind each.
type Columns = Vec<(String, usize)>;

/// What a name in `WITH` stands for.
#[derive(Clone)]
struct Defined {
    columns: Columns,
    parts: usize,
    joins: usize,
}

/// What a query can refer to.
#[derive(Clone, Default)]
struct Names {
    defined: BTreeMap<String, Defined>,
    /// The columns of outer queries.
    outer: Named,
}

struct Checker<'a> {
    collection: &'a CollectionRef,
    version: Option<VersionNumber>,
    visible: &'a Visible,
    parts: Parts,
    joins: Cell<usize>,
}

impl Checker<'_> {
    /// The visible dataset that a table's name means.
    fn dataset(&self, name: &ObjectName) -> Option<&DatasetName> {
        let parts: Option<Vec<&str>> = name
            .0
            .iter()
            .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
            .collect();
        let institution = self.collection.institution.as_str();
        let collection = self.collection.collection.as_str();
        let dataset = match parts.as_deref()? {
            [dataset] => dataset,
            [of, dataset] if *of == collection => dataset,
            [at, of, dataset] if *at == institution && *of == collection => dataset,
            _ => return None,
        };
        self.visible.keys().find(|known| known.as_str() == *dataset)
    }

    /// Counts so many joins.
    fn join(&self, joins: usize) -> Result<(), QueryError> {
        self.joins.set(self.joins.get().saturating_add(joins));
        if self.joins.get() > MAX_JOINS {
            return Err(QueryError::TooComplex {
                what: "too complex: it has too many joins, subqueries and set operations, each name of `WITH` counted wherever it is used; \
                       split it",
                max: MAX_JOINS,
            });
        }
        Ok(())
    }

    /// Checks a query; returns its columns.
    fn query(&self, query: &Query, names: &Names) -> Result<Columns, QueryError> {
        check_fetch(query)?;
        let mut names = names.clone();
        if let Some(with) = &query.with {
            self.with(with, &mut names)?;
        }
        let mut aliases = names.outer.clone();
        let columns = self.body(&query.body, &names, &mut aliases)?;
        let forms = Within {
            checker: self,
            names: &names,
        };
        check_query(query, &Expressions::new(&forms, &self.parts, aliases))?;
        Ok(columns)
    }

    fn with(&self, with: &With, names: &mut Names) -> Result<(), QueryError> {
        if with.recursive {
            return Err(not_computed(
                "a recursive `WITH` is",
                "write a join for each step, or use a dataset that lists all ancestors",
            ));
        }
        for table in &with.cte_tables {
            let Cte {
                alias,
                query,
                from,
                materialized,
                closing_paren_token: _,
            } = table;
            forbid(from.is_some() || materialized.is_some(), "options of `WITH` are")?;
            // The planner finds the table of a name with periods by the whole text.
            forbid(alias.name.value.contains('.'), "names of `WITH` with a period are")?;
            let before = (self.parts.sum(), self.joins.get());
            let columns = self.query(query, names)?;
            let defined = Defined {
                columns: renamed(columns, Some(alias))?,
                parts: self.parts.sum().saturating_sub(before.0),
                joins: self.joins.get().saturating_sub(before.1),
            };
            names.defined.insert(alias.name.value.clone(), defined);
        }
        Ok(())
    }

    /// Checks what a query selects. `aliases` get the names by which its order can refer to expressions.
    #[expect(clippy::wildcard_enum_match_arm, reason = "everything that is not listed is refused")]
    fn body(&self, body: &SetExpr, names: &Names, aliases: &mut Named) -> Result<Columns, QueryError> {
        match body {
            SetExpr::Select(select) => self.select(select, names, aliases),
            SetExpr::Query(query) => {
                let columns = self.query(query, names)?;
                add_named(aliases, &columns);
                Ok(columns)
            }
            SetExpr::SetOperation {
                op,
                set_quantifier,
                left,
                right,
            } => {
                set_operation(*op, *set_quantifier)?;
                self.join(1)?;
                let mut columns = self.body(left, names, &mut names.outer.clone())?;
                let others = self.body(right, names, &mut names.outer.clone())?;
                for ((_, parts), (_, other)) in columns.iter_mut().zip(&others) {
                    *parts = (*parts).max(*other);
                }
                add_named(aliases, &columns);
                Ok(columns)
            }
            SetExpr::Values(_) => Err(not_computed(
                "`VALUES` is",
                "write the values in `IN (…)` or in a `CASE`",
            )),
            _ => Err(refused("statements other than `SELECT` are")),
        }
    }

    fn select(&self, select: &Select, names: &Names, aliases: &mut Named) -> Result<Columns, QueryError> {
        check_form(select)?;
        check_clauses(select)?;
        let mut columns = Columns::new();
        let [from] = select.from.as_slice() else {
            return Err(several_or_none(&select.from));
        };
        let mut conditions = Vec::new();
        self.tables(from, names, (&mut columns, &mut conditions))?;
        let mut named = names.outer.clone();
        add_named(&mut named, &columns);
        let forms = Within { checker: self, names };
        let mut expressions = Expressions::new(&forms, &self.parts, named);
        expressions.all(conditions)?;
        let mut selected = Columns::new();
        let mut largest = 0;
        for item in &select.projection {
            let before = expressions.counted();
            self.item(item, &columns, (&mut expressions, &mut selected))?;
            largest = largest.max(expressions.counted().saturating_sub(before));
        }
        check_groups(select, largest, &expressions)?;
        add_named(aliases, &columns);
        add_named(aliases, &selected);
        Ok(selected)
    }

    /// Checks a selected item, and adds its columns to `selected`.
    fn item(
        &self,
        item: &SelectItem,
        columns: &[(String, usize)],
        (expressions, selected): (&mut Expressions<'_>, &mut Columns),
    ) -> Result<(), QueryError> {
        let before = expressions.counted();
        match item {
            SelectItem::UnnamedExpr(expression) => {
                expressions.check(expression)?;
                let parts = expressions.counted().saturating_sub(before);
                selected.push((name_of(expression).unwrap_or_default().to_owned(), parts));
                Ok(())
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                not_reserved(alias)?;
                expressions.check_named(expr, &alias.value)?;
                let parts = expressions.counted().saturating_sub(before);
                selected.push((alias.value.clone(), parts));
                Ok(())
            }
            SelectItem::ExprWithAliases { .. } => Err(refused("several aliases of one column are")),
            // A table before the star leaves columns out; counting all of them is never too few.
            SelectItem::Wildcard(options)
            | SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options) => {
                plain_wildcard(options)?;
                let parts = columns.iter().map(|(_, parts)| parts.saturating_add(1));
                expressions.count(parts.fold(0, usize::saturating_add))?;
                selected.extend(columns.iter().cloned());
                Ok(())
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => {
                Err(refused("`.*` of an expression is"))
            }
        }
    }

    /// Checks tables and their joins; adds their columns, and the conditions of the joins.
    fn tables<'q>(
        &self,
        from: &'q TableWithJoins,
        names: &Names,
        (columns, conditions): (&mut Columns, &mut Vec<&'q Expr>),
    ) -> Result<(), QueryError> {
        self.relation(&from.relation, names, (&mut *columns, &mut *conditions))?;
        for join in &from.joins {
            self.join(1)?;
            self.relation(&join.relation, names, (&mut *columns, &mut *conditions))?;
            conditions.extend(condition(join)?);
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "everything that is not listed is refused")]
    fn relation<'q>(
        &self,
        relation: &'q TableFactor,
        names: &Names,
        (columns, conditions): (&mut Columns, &mut Vec<&'q Expr>),
    ) -> Result<(), QueryError> {
        if let Some(table) = plain_table(relation)? {
            columns.extend(self.table(&table, names)?);
            return Ok(());
        }
        match relation {
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                sample,
            } => {
                if *lateral {
                    return Err(not_computed("`LATERAL` is", "write a join, or a subquery in `SELECT`"));
                }
                forbid(sample.is_some(), "options of a table are")?;
                let derived = self.query(subquery, names)?;
                columns.extend(renamed(derived, alias.as_ref())?);
                Ok(())
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => {
                forbid(alias.is_some(), "aliases of joins in parentheses are")?;
                self.tables(table_with_joins, names, (columns, conditions))
            }
            _ => Err(refused("table functions and other sources of rows are")),
        }
    }

    /// The columns of a dataset, or of a name of `WITH`, which counts as all that it stands for.
    fn table(&self, table: &Table<'_>, names: &Names) -> Result<Columns, QueryError> {
        if let Some(defined) = only_name(table.name).and_then(|name| names.defined.get(name)) {
            forbid(table.version.is_some(), "versions of names of `WITH` are")?;
            self.parts.add(defined.parts)?;
            self.join(defined.joins)?;
            return Ok(defined.columns.clone());
        }
        let dataset = self.dataset(table.name).and_then(|name| self.visible.get(name));
        let columns = dataset.ok_or_else(|| self.unknown_table(table.name))?;
        // Permission to read an older version depends on the version that the query states, not on its text.
        if table.version != self.version {
            return Err(QueryError::OtherVersion);
        }
        Ok(columns.iter().map(|name| (name.clone(), 0)).collect())
    }

    fn unknown_table(&self, name: &ObjectName) -> QueryError {
        let visible = self.visible.keys().map(DatasetName::as_str);
        QueryError::unknown_table(name, &DatasetRef::only(self.collection.clone()), visible)
    }
}

/// What expressions of a query over a collection may contain.
struct Within<'a> {
    checker: &'a Checker<'a>,
    names: &'a Names,
}

impl Forms for Within<'_> {
    /// The planner finds columns by table; it knows the visible ones only.
    fn column(&self, _: &Ident) -> Result<(), QueryError> {
        Ok(())
    }

    fn function(&self, function: &Function) -> Result<(), QueryError> {
        let name = function.name.to_string();
        if !is_provided_in_collections(&name) {
            return Err(QueryError::unknown_function(&name));
        }
        if matches!(function.args, FunctionArguments::Subquery(_)) {
            return Err(refused("subqueries as arguments of a function are"));
        }
        if function.over.is_some() && !is_window(&name) && !is_aggregate(&name) {
            return Err(not_computed("`OVER` after a function of one row is", "leave it out"));
        }
        if function.over.is_none() && is_window(&name) && !is_aggregate(&name) {
            return Err(not_computed(
                "a window function without `OVER` is",
                "write `OVER (PARTITION BY … ORDER BY …)` after it",
            ));
        }
        let orders = !function.within_group.is_empty();
        if orders && (!is_quantile(&name) || function.over.is_some()) {
            return Err(not_computed(
                "`WITHIN GROUP` is",
                "it is computed for `percentile_cont` without `OVER`",
            ));
        }
        Ok(())
    }

    fn subquery(&self, query: &Query, named: &Named) -> Result<(), QueryError> {
        self.checker.join(1)?;
        let names = Names {
            defined: self.names.defined.clone(),
            outer: named.clone(),
        };
        self.checker.query(query, &names).map(drop)
    }

    fn interval(&self) -> Result<(), QueryError> {
        Ok(())
    }
}

/// The columns under the names that an alias gives them.
fn renamed(mut columns: Columns, alias: Option<&TableAlias>) -> Result<Columns, QueryError> {
    let Some(alias) = alias else { return Ok(columns) };
    not_reserved(&alias.name)?;
    forbid(alias.at.is_some(), "column aliases of a table are")?;
    for ((name, _), column) in columns.iter_mut().zip(&alias.columns) {
        not_reserved(&column.name)?;
        forbid(column.data_type.is_some(), "types of columns in an alias are")?;
        name.clone_from(&column.name.value);
    }
    Ok(columns)
}

/// Adds columns that expressions can name. Where several have one name, the one with the most parts counts.
fn add_named(named: &mut Named, columns: &[(String, usize)]) {
    for (name, parts) in columns.iter().filter(|(_, parts)| *parts > 0) {
        let known = named.entry(name.clone()).or_default();
        *known = (*parts).max(*known);
    }
}

/// The name of the column that an expression without an alias becomes.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other expressions get a name that a query cannot easily write"
)]
fn name_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(path) => path.last().map(|name| name.value.as_str()),
        _ => None,
    }
}

fn only_name(name: &ObjectName) -> Option<&str> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(|ident| ident.value.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
