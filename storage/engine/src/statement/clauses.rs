//! The clauses of a `SELECT`, around its expressions.

use concordat_protocol::{query::MAX_SQL, schema::VersionNumber};
use datafusion::sql::sqlparser::{
    ast::{
        Distinct, GroupByExpr, LimitClause, ObjectName, OrderBy, OrderByKind, Query, Select, SelectFlavor, SelectItem,
        Statement, TableFactor, WildcardAdditionalOptions,
    },
    parser::ParserError,
};

use super::{
    expression::Expressions,
    refusal::{MAX_DEPTH, forbid, not_reserved, refused, too_deep},
};
use crate::{QueryError, parse, version_number};

/// Maximum length of a repeated parser message, in characters.
const MAX_DETAIL: usize = 200;

pub(super) fn parsed(sql: &str) -> Result<Vec<Statement>, QueryError> {
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

pub(super) fn only_query(mut statements: Vec<Statement>) -> Result<Box<Query>, QueryError> {
    forbid(statements.len() > 1, "several statements are")?;
    match statements.pop() {
        Some(Statement::Query(query)) => Ok(query),
        Some(_) => Err(refused("statements other than `SELECT` are")),
        None => Err(QueryError::Syntax {
            detail: "there is no statement".to_owned(),
        }),
    }
}

/// A table of a query.
pub(super) struct Table<'a> {
    pub(super) name: &'a ObjectName,
    pub(super) version: Option<VersionNumber>,
}

/// The table that `relation` names; `None` if it is something else.
///
/// # Errors
/// [`QueryError::Refused`] for options of a table.
pub(super) fn plain_table(relation: &TableFactor) -> Result<Option<Table<'_>>, QueryError> {
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
    } = relation
    else {
        return Ok(None);
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
    Ok(Some(Table {
        name,
        version: number.transpose()?,
    }))
}

/// The alias that the query gives a column.
pub(super) fn alias(item: &SelectItem) -> Option<&str> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(&alias.value),
        SelectItem::UnnamedExpr(_)
        | SelectItem::ExprWithAliases { .. }
        | SelectItem::QualifiedWildcard(..)
        | SelectItem::Wildcard(_) => None,
    }
}

pub(super) fn check_clauses(select: &Select) -> Result<(), QueryError> {
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
    forbid(foreign, "clauses outside standard SQL are")
}

/// Checks what rows and groups are made of; `largest` is the number of parts of the largest column of the answer.
pub(super) fn check_groups(select: &Select, largest: usize, expressions: &Expressions<'_>) -> Result<(), QueryError> {
    let GroupByExpr::Expressions(groups, modifiers) = &select.group_by else {
        return Err(refused("`GROUP BY ALL` is"));
    };
    forbid(!modifiers.is_empty(), "`ROLLUP`, `CUBE` and grouping sets are")?;
    // A number in `GROUP BY` refers to a selected item, which the planner substitutes.
    expressions.count(groups.len().saturating_mul(largest))?;
    expressions.all(groups.iter().chain(&select.selection).chain(&select.having))
}

pub(super) fn plain_wildcard(options: &WildcardAdditionalOptions) -> Result<(), QueryError> {
    let plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none()
        && options.opt_alias.is_none();
    forbid(!plain, "options of `*` are")
}

pub(super) fn check_query(query: &Query, expressions: &Expressions<'_>) -> Result<(), QueryError> {
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

/// Refuses the other form of `LIMIT`.
pub(super) fn check_fetch(query: &Query) -> Result<(), QueryError> {
    forbid(
        query.fetch.is_some(),
        "`LIMIT` and `FETCH` together, `WITH TIES` and `PERCENT` are",
    )
}

fn check_order(order: &OrderBy, expressions: &Expressions<'_>) -> Result<(), QueryError> {
    forbid(order.interpolate.is_some(), "`INTERPOLATE` is")?;
    let OrderByKind::Expressions(orders) = &order.kind else {
        return Err(refused("`ORDER BY ALL` is"));
    };
    forbid(orders.iter().any(|order| order.with_fill.is_some()), "`WITH FILL` is")?;
    expressions.all(orders.iter().map(|order| &order.expr))
}
