//! A query over one dataset: one plain `SELECT` over one table.

use std::collections::BTreeSet;

use concordat_protocol::{ids::DatasetRef, schema::VersionNumber};
use datafusion::sql::sqlparser::ast::{
    Function, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
    TableWithJoins,
};

use super::{
    clauses::{
        Table, alias, check_clauses, check_fetch, check_groups, check_query, only_query, parsed, plain_table,
        plain_wildcard,
    },
    expression::{Expressions, Forms, Named, unlisted},
    refusal::{forbid, not_reserved, refused},
};
use crate::{QueryError, functions::is_provided, names::resolve_names, size::Parts};

/// Parses `sql` and checks it against the columns that a permit shows, and against the `version` that was opened for it: `None` is the
/// current one, which a statement requests by naming none.
///
/// # Errors
/// [`QueryError`] for everything that is not one plain `SELECT` over `dataset` in that version.
pub(in super::super) fn checked(
    sql: &str,
    dataset: &DatasetRef,
    version: Option<VersionNumber>,
    columns: &[&str],
) -> Result<Statement, QueryError> {
    let mut query = only_query(parsed(sql)?)?;
    resolve_names(&mut query, &|_| {
        Some(columns.iter().map(|name| (*name).to_owned()).collect())
    })?;
    check_fetch(&query)?;
    let select = only_select(&query)?;
    let table = only_table(&select.from)?;
    is_dataset(table.name, dataset)?;
    // Permission to read an older version depends on the version that the query states, not on its text.
    if table.version != version {
        return Err(QueryError::OtherVersion);
    }
    let mut known: BTreeSet<&str> = columns.iter().copied().collect();
    known.extend(select.projection.iter().filter_map(alias));
    let forms = OneTable { dataset, known };
    let parts = Parts::default();
    let mut expressions = Expressions::new(&forms, &parts, Named::default());
    check_select(select, columns.len(), &mut expressions)?;
    check_query(&query, &expressions)?;
    Ok(Statement::Query(query))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "everything that is not listed is refused")]
fn only_select(query: &Query) -> Result<&Select, QueryError> {
    forbid(query.with.is_some(), "common table expressions (`WITH`) are")?;
    match query.body.as_ref() {
        SetExpr::Select(select) => Ok(select),
        SetExpr::SetOperation { .. } => Err(refused("`UNION`, `INTERSECT` and `EXCEPT` are")),
        SetExpr::Query(_) => Err(refused("nested queries are")),
        _ => Err(refused("statements other than `SELECT` are")),
    }
}

fn only_table(from: &[TableWithJoins]) -> Result<Table<'_>, QueryError> {
    let [table] = from else {
        return Err(refused(if from.is_empty() {
            "queries without a dataset are"
        } else {
            "joins are"
        }));
    };
    forbid(!table.joins.is_empty(), "joins are")?;
    plain_table(&table.relation)?.ok_or(refused("subqueries and table functions are"))
}

fn is_dataset(name: &ObjectName, dataset: &DatasetRef) -> Result<(), QueryError> {
    let parts: Option<Vec<&str>> = name
        .0
        .iter()
        .map(|part| part.as_ident().map(|ident| ident.value.as_str()))
        .collect();
    let institution = dataset.institution.as_str();
    let table = dataset.dataset.as_str();
    match parts.as_deref() {
        Some([one]) if *one == table => Ok(()),
        Some([of, one]) if *of == institution && *one == table => Ok(()),
        _ => Err(QueryError::unknown_table(name, dataset, [])),
    }
}

fn check_select(select: &Select, columns: usize, expressions: &mut Expressions<'_>) -> Result<(), QueryError> {
    check_clauses(select)?;
    let mut largest = 0;
    for item in &select.projection {
        let before = expressions.counted();
        check_item(item, columns, expressions)?;
        largest = largest.max(expressions.counted().saturating_sub(before));
    }
    check_groups(select, largest, expressions)
}

fn check_item(item: &SelectItem, columns: usize, expressions: &mut Expressions<'_>) -> Result<(), QueryError> {
    match item {
        SelectItem::UnnamedExpr(expression) => expressions.check(expression),
        SelectItem::ExprWithAlias { expr, alias } => {
            not_reserved(alias)?;
            expressions.check_named(expr, &alias.value)
        }
        SelectItem::ExprWithAliases { .. } => Err(refused("several aliases of one column are")),
        SelectItem::Wildcard(options)
        | SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options) => {
            expressions.count(columns)?;
            plain_wildcard(options)
        }
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => {
            Err(refused("`.*` of an expression is"))
        }
    }
}

/// What expressions over one table may contain.
struct OneTable<'a> {
    dataset: &'a DatasetRef,
    /// The visible columns and the query's own aliases.
    known: BTreeSet<&'a str>,
}

impl Forms for OneTable<'_> {
    fn column(&self, name: &Ident) -> Result<(), QueryError> {
        if self.known.contains(name.value.as_str()) {
            Ok(())
        } else {
            Err(QueryError::unknown_column(
                &name.value,
                self.dataset,
                self.known.iter().copied(),
            ))
        }
    }

    fn function(&self, function: &Function) -> Result<(), QueryError> {
        let name = function.name.to_string();
        if !is_provided(&name) {
            return Err(QueryError::unknown_function(&name));
        }
        forbid(function.over.is_some(), "window functions are")?;
        forbid(!function.within_group.is_empty(), "options of a function are")
    }

    fn subquery(&self, _: &Query, _: &Named) -> Result<(), QueryError> {
        Err(refused("subqueries are"))
    }

    fn interval(&self) -> Result<(), QueryError> {
        Err(unlisted())
    }
}

#[cfg(test)]
mod tests;
