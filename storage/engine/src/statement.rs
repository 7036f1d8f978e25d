//! Checks the form of a query: one plain `SELECT` over one table, which contains only the constructs listed here.
//!
//! Everything that is not listed in this module is refused, so new constructs of a newer parser are refused too. The
//! planner only gets statements that passed.

mod expression;
mod refusal;

use std::collections::BTreeSet;

use concordat_protocol::{ids::DatasetRef, query::MAX_SQL, schema::VersionNumber};
use datafusion::sql::sqlparser::{
    ast::{
        Distinct, GroupByExpr, LimitClause, ObjectName, OrderBy, OrderByKind, Query, Select, SelectFlavor, SelectItem,
        SelectItemQualifiedWildcardKind, SetExpr, Statement, TableFactor, TableWithJoins, WildcardAdditionalOptions,
    },
    parser::ParserError,
};

use super::{QueryError, names::resolve_names, parse, version_number};
use expression::Expressions;
use refusal::{MAX_DEPTH, forbid, not_reserved, refused, too_deep};

/// Maximum length of a repeated parser message, in characters.
const MAX_DETAIL: usize = 200;

/// Parses `sql` and checks it against the columns that a permit shows, and against the `version` that was opened for it: `None` is the
/// current one, which a statement requests by naming none.
///
/// # Errors
/// [`QueryError`] for everything that is not one plain `SELECT` over `dataset` in that version.
pub(super) fn checked(
    sql: &str,
    dataset: &DatasetRef,
    version: Option<VersionNumber>,
    columns: &[&str],
) -> Result<Statement, QueryError> {
    let mut query = only_query(parsed(sql)?)?;
    resolve_names(&mut query, &|_| {
        Some(columns.iter().map(|name| (*name).to_owned()).collect())
    })?;
    forbid(
        query.fetch.is_some(),
        "`LIMIT` and `FETCH` together, `WITH TIES` and `PERCENT` are",
    )?;
    let select = only_select(&query)?;
    let table = only_table(&select.from)?;
    is_dataset(table.name, dataset)?;
    // Permission to read an older version depends on the version that the query states, not on its text.
    if table.version != version {
        return Err(QueryError::OtherVersion);
    }
    let mut known: BTreeSet<&str> = columns.iter().copied().collect();
    known.extend(select.projection.iter().filter_map(alias));
    let mut expressions = Expressions::new(dataset, &known);
    check_select(select, columns.len(), &mut expressions)?;
    check_query(&query, &expressions)?;
    Ok(Statement::Query(query))
}

fn parsed(sql: &str) -> Result<Vec<Statement>, QueryError> {
    if sql.len() > MAX_SQL {
        return Err(QueryError::TooComplex {
            what: "too long in bytes",
            max: MAX_SQL,
        });
    }
    parse(sql, MAX_DEPTH).map_err(|error| match error {
        ParserError::RecursionLimitExceeded => too_deep(),
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => QueryError::Syntax {
            detail: text.chars().take(MAX_DETAIL).collect(),
        },
    })
}

fn only_query(mut statements: Vec<Statement>) -> Result<Box<Query>, QueryError> {
    forbid(statements.len() > 1, "several statements are")?;
    match statements.pop() {
        Some(Statement::Query(query)) => Ok(query),
        Some(_) => Err(refused("statements other than `SELECT` are")),
        None => Err(QueryError::Syntax {
            detail: "there is no statement".to_owned(),
        }),
    }
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

/// The table of a query.
struct Table<'a> {
    name: &'a ObjectName,
    version: Option<VersionNumber>,
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
    let TableFactor::Table {
        name,
        alias,
        args,
        with_hints,
        version,
        with_ordinality,
        partitions,
        json_path,
        sample,
        index_hints,
    } = &table.relation
    else {
        return Err(refused("subqueries and table functions are"));
    };
    forbid(args.is_some(), "table functions are")?;
    let extended = !with_hints.is_empty() || *with_ordinality || !partitions.is_empty();
    forbid(
        extended || json_path.is_some() || sample.is_some() || !index_hints.is_empty(),
        "options of a table are",
    )?;
    if let Some(alias) = alias {
        forbid(
            !alias.columns.is_empty() || alias.at.is_some(),
            "column aliases of a table are",
        )?;
        not_reserved(&alias.name)?;
    }
    let number = version.as_ref().map(|version| {
        version_number(version).ok_or(refused("points in time other than `VERSION AS OF` a number are"))
    });
    Ok(Table {
        name,
        version: number.transpose()?,
    })
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
        _ => Err(QueryError::UnknownTable {
            table: name.to_string().chars().take(128).collect(),
            dataset: dataset.clone(),
        }),
    }
}

fn alias(item: &SelectItem) -> Option<&str> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(&alias.value),
        SelectItem::UnnamedExpr(_)
        | SelectItem::ExprWithAliases { .. }
        | SelectItem::QualifiedWildcard(..)
        | SelectItem::Wildcard(_) => None,
    }
}

fn check_select<'a>(select: &'a Select, columns: usize, expressions: &mut Expressions<'a>) -> Result<(), QueryError> {
    forbid(select.into.is_some(), "`SELECT INTO` is")?;
    forbid(matches!(select.distinct, Some(Distinct::On(_))), "`DISTINCT ON` is")?;
    forbid(
        !select.named_window.is_empty() || select.qualify.is_some(),
        "window functions are",
    )?;
    forbid(!select.lateral_views.is_empty(), "lateral views are")?;
    let foreign = select.top.is_some()
        || select.exclude.is_some()
        || select.prewhere.is_some()
        || select.select_modifiers.is_some()
        || select.value_table_mode.is_some()
        || !select.optimizer_hints.is_empty()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.flavor != SelectFlavor::Standard;
    forbid(foreign, "clauses outside standard SQL are")?;
    let mut largest = 0;
    for item in &select.projection {
        let before = expressions.counted();
        check_item(item, columns, expressions)?;
        largest = largest.max(expressions.counted().saturating_sub(before));
    }
    let GroupByExpr::Expressions(groups, modifiers) = &select.group_by else {
        return Err(refused("`GROUP BY ALL` is"));
    };
    forbid(!modifiers.is_empty(), "`ROLLUP`, `CUBE` and grouping sets are")?;
    // A number in `GROUP BY` refers to a selected item, which the planner substitutes.
    expressions.count(groups.len().saturating_mul(largest))?;
    expressions.all(groups.iter().chain(&select.selection).chain(&select.having))
}

fn check_item<'a>(item: &'a SelectItem, columns: usize, expressions: &mut Expressions<'a>) -> Result<(), QueryError> {
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

fn plain_wildcard(options: &WildcardAdditionalOptions) -> Result<(), QueryError> {
    let plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none();
    forbid(!plain, "options of `*` are")
}

fn check_query(query: &Query, expressions: &Expressions<'_>) -> Result<(), QueryError> {
    forbid(!query.locks.is_empty(), "`FOR UPDATE` and other locks are")?;
    let foreign = query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || query.fetch.is_some()
        || !query.pipe_operators.is_empty();
    forbid(foreign, "clauses outside standard SQL are")?;
    if let Some(order) = &query.order_by {
        check_order(order, expressions)?;
    }
    match &query.limit_clause {
        None => Ok(()),
        Some(LimitClause::LimitOffset {
            limit,
            offset,
            limit_by,
        }) => {
            forbid(!limit_by.is_empty(), "`LIMIT BY` is")?;
            expressions.all(limit.iter().chain(offset.iter().map(|offset| &offset.value)))
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => expressions.all([offset, limit]),
    }
}

fn check_order(order: &OrderBy, expressions: &Expressions<'_>) -> Result<(), QueryError> {
    forbid(order.interpolate.is_some(), "`INTERPOLATE` is")?;
    let OrderByKind::Expressions(orders) = &order.kind else {
        return Err(refused("`ORDER BY ALL` is"));
    };
    forbid(orders.iter().any(|order| order.with_fill.is_some()), "`WITH FILL` is")?;
    expressions.all(orders.iter().map(|order| &order.expr))
}

#[cfg(test)]
mod tests;
