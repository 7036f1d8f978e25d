//! One query over many members, as partial aggregates.
//!
//! `SELECT sex, avg(chol) FROM consortium.heart WHERE age > 40 GROUP BY sex` becomes
//!
//! 1. for each member, under its own grant: `SELECT "sex" AS "g0", sum("chol") AS "a0", count("chol") AS "a1" FROM "heart"
//!    WHERE "age" > 40 GROUP BY "sex"`;
//! 2. locally, over the members' rows: `SELECT "g0" AS "sex", sum("a0") / sum("a1") AS "avg(chol)" … GROUP BY "g0"`.
//!
//! Counts and sums of integers are exactly those over one table; a mean is the sum divided by the count. A cell that a member
//! withholds is null. A cell that all members withhold is null in the answer, not zero. An aggregate that cannot be combined from
//! partial aggregates (a median, a distinct count) is not decomposed, and the reason is kept for the error message.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use concordat_engine::{visit, visit_mut};
use concordat_protocol::ids::DatasetName;
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectName, ObjectNamePart,
    OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, Value, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::statement::{TableName, quoted};

/// A decomposed query.
#[derive(Debug)]
pub(super) struct Decomposed {
    /// The query to each member.
    pub(super) contribution: Contribution,
    /// The query over the members' answers.
    pub(super) local: Query,
}

/// The query to each member: groups, partial aggregates and the condition, over columns without qualifiers.
#[derive(Debug)]
pub(super) struct Contribution {
    dataset: DatasetName,
    groups: Vec<Expr>,
    partials: Vec<Expr>,
    condition: Option<Expr>,
}

/// A column that a member does not share and without which its contribution cannot be computed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MissingColumn(pub(super) String);

impl Contribution {
    /// Every column that the contribution depends on.
    pub(super) fn columns(&self) -> BTreeSet<String> {
        self.groups
            .iter()
            .chain(&self.partials)
            .chain(&self.condition)
            .flat_map(columns_of)
            .collect()
    }

    /// The text for a member that shares `columns`. A group or aggregate of a column that the member does not share is left out and
    /// counts as nulls. More complicated uses of such a column cannot be answered.
    pub(super) fn text(&self, columns: &BTreeSet<String>) -> Result<String, MissingColumn> {
        let groups = answerable(&self.groups, columns)?;
        let partials = answerable(&self.partials, columns)?;
        let mut items: Vec<String> = groups.iter().map(|(at, expr)| format!("{expr} AS \"g{at}\"")).collect();
        items.extend(partials.iter().map(|(at, expr)| format!("{expr} AS \"a{at}\"")));
        if items.is_empty() {
            items.push("count(*) AS \"n\"".to_owned());
        }
        let mut text = format!("SELECT {} FROM {}", items.join(", "), quoted(self.dataset.as_str()));
        if let Some(condition) = &self.condition {
            if let Some(missing) = columns_of(condition).difference(columns).next() {
                return Err(MissingColumn(missing.clone()));
            }
            text.push_str(&format!(" WHERE {condition}"));
        }
        if !groups.is_empty() {
            let keys: Vec<_> = groups.iter().map(|(_, expr)| expr.to_string()).collect();
            text.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        Ok(text)
    }
}

/// The expressions that a member can answer, with their numbers.
fn answerable<'a>(exprs: &'a [Expr], columns: &BTreeSet<String>) -> Result<Vec<(usize, &'a Expr)>, MissingColumn> {
    let mut answerable = Vec::new();
    for (at, expr) in exprs.iter().enumerate() {
        match columns_of(expr).difference(columns).next() {
            None => answerable.push((at, expr)),
            Some(_) if is_plain(expr) => {}
            Some(missing) => return Err(MissingColumn(missing.clone())),
        }
    }
    Ok(answerable)
}

/// Whether `expr` is a column or an aggregate of one: over nulls alone, it is null.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "an expression that is not listed may have a value over nulls"
)]
fn is_plain(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) => true,
        Expr::Function(function) => matches!(
            single_argument(function),
            Some(FunctionArgExpr::Expr(Expr::Identifier(_)))
        ),
        _ => false,
    }
}

/// Decomposes `query` if it selects only aggregates of one table and the expressions they are grouped by. `into` is the name of the
/// table of the members' answers. The error explains why the query cannot be decomposed.
pub(super) fn decompose(query: &Query, table: &TableName, into: &str) -> Result<Decomposed, String> {
    let mut local = query.clone();
    let alias = check_shape(query)?;
    let names = output_names(select_of(query)?);
    if select_of(query)?.distinct.is_some() {
        return Err("it selects distinct rows".to_owned());
    }
    unqualify(&mut local, table, alias.as_deref());
    let aliases = aliases(select_of(&local)?);
    let groups = group_keys(select_of(&local)?)?;
    let mut merge = Merge {
        groups,
        partials: Vec::new(),
        aliases,
        inside: 0,
        outcome: Ok(()),
    };
    merge.query(&mut local)?;
    if merge.groups.is_empty() && merge.partials.is_empty() {
        return Err("it selects individual records".to_owned());
    }
    let SetExpr::Select(select) = local.body.as_mut() else {
        return Err(NOT_PLAIN.to_owned());
    };
    let condition = select.selection.take();
    finish(select, &names, merge.groups.len(), into)?;
    Ok(Decomposed {
        contribution: Contribution {
            dataset: table.dataset.clone(),
            groups: merge.groups,
            partials: merge.partials,
            condition,
        },
        local,
    })
}

const NOT_PLAIN: &str = "it is more than one plain SELECT";

fn select_of(query: &Query) -> Result<&Select, String> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return Err(NOT_PLAIN.to_owned());
    };
    Ok(select)
}

/// Rejects every form of query that is not handled below; returns the table's alias.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a form of table that is not listed is not decomposed"
)]
pub(super) fn check_shape(query: &Query) -> Result<Option<String>, String> {
    let select = select_of(query)?;
    if query.with.is_some() || count_queries(query) > 1 {
        return Err("it contains a subquery".to_owned());
    }
    let plain = select.top.is_none()
        && select.qualify.is_none()
        && select.named_window.is_empty()
        && select.lateral_views.is_empty()
        && select.prewhere.is_none();
    match select.from.as_slice() {
        [from] if plain && from.joins.is_empty() => match &from.relation {
            TableFactor::Table {
                alias, sample: None, ..
            } => match alias {
                Some(alias) if !alias.columns.is_empty() => Err("it renames the columns of the table".to_owned()),
                alias => Ok(alias.as_ref().map(|alias| alias.name.value.clone())),
            },
            _ => Err("it contains a subquery".to_owned()),
        },
        _ => Err("it joins tables".to_owned()),
    }
}

/// Whether the rows of the answer represent groups rather than individual records.
pub(super) fn is_summary(query: &Query) -> bool {
    struct Aggregates(bool);
    impl Visitor for Aggregates {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr {
                self.0 |= function.over.is_none() && is_aggregate(&function.name.to_string().to_ascii_lowercase());
            }
            ControlFlow::Continue(())
        }
    }
    let Ok(select) = select_of(query) else { return false };
    let mut aggregates = Aggregates(false);
    let _ = visit(&select.projection, &mut aggregates);
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
    aggregates.0 || grouped
}

/// The name of each column of the answer, as the engine would name it.
fn output_names(select: &Select) -> Vec<Ident> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other column is named by its text")]
    let name = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => quoted(&alias.value),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            quoted(parts.last().map_or("", |last| last.value.as_str()))
        }
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => quoted(&ident.value),
        other => quoted(&other.to_string()),
    };
    select.projection.iter().map(name).collect()
}

fn aliases(select: &Select) -> Vec<(String, Expr)> {
    let alias = |item: &SelectItem| {
        let SelectItem::ExprWithAlias { expr, alias } = item else {
            return None;
        };
        Some((alias.value.clone(), expr.clone()))
    };
    select.projection.iter().filter_map(alias).collect()
}

/// The expressions that the rows are grouped by; numbers and aliases are resolved to the expressions that they refer to.
fn group_keys(select: &Select) -> Result<Vec<Expr>, String> {
    let GroupByExpr::Expressions(exprs, modifiers) = &select.group_by else {
        return Err("it groups by everything".to_owned());
    };
    if !modifiers.is_empty() {
        return Err("it groups in several ways at once".to_owned());
    }
    exprs.iter().map(|expr| group_key(expr, select)).collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rows can be grouped by any other expression, but by no other constant"
)]
fn group_key(expr: &Expr, select: &Select) -> Result<Expr, String> {
    let item = |at: usize| match at.checked_sub(1).and_then(|at| select.projection.get(at)) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => Ok(expr.clone()),
        _ => Err(format!("it groups by item {at}, which it does not have")),
    };
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => item(
                number
                    .to_string()
                    .parse()
                    .map_err(|_| format!("it groups by {number}"))?,
            ),
            other => Err(format!("it groups by {other}")),
        },
        Expr::Identifier(ident) => {
            let named = aliases(select).into_iter().find(|(alias, _)| *alias == ident.value);
            Ok(named.map_or_else(|| expr.clone(), |(_, expr)| expr))
        }
        Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => Err("it groups in several ways at once".to_owned()),
        other => Ok(other.clone()),
    }
}

/// Replaces groups and aggregates by the expressions over the members' answers.
struct Merge {
    groups: Vec<Expr>,
    partials: Vec<Expr>,
    aliases: Vec<(String, Expr)>,
    /// Depth of the visit inside an expression that has been replaced.
    inside: usize,
    /// Why the visit ended early.
    outcome: Result<(), String>,
}

impl Merge {
    fn query(&mut self, query: &mut Query) -> Result<(), String> {
        let SetExpr::Select(select) = query.body.as_mut() else {
            return Err(NOT_PLAIN.to_owned());
        };
        for item in &mut select.projection {
            #[expect(clippy::wildcard_enum_match_arm, reason = "every other item selects all columns")]
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => self.expr(expr, false)?,
                _ => return Err("it selects all columns".to_owned()),
            }
        }
        if let Some(having) = &mut select.having {
            self.expr(having, true)?;
        }
        let Some(order) = &mut query.order_by else {
            return Ok(());
        };
        match &mut order.kind {
            OrderByKind::Expressions(keys) => keys.iter_mut().try_for_each(|key| self.expr(&mut key.expr, true)),
            OrderByKind::All(_) => Ok(()),
        }
    }

    /// Rewrites one expression; names of output columns are left unchanged where they are allowed.
    fn expr(&mut self, expr: &mut Expr, names_allowed: bool) -> Result<(), String> {
        if names_allowed
            && let Expr::Identifier(ident) = expr
            && self.aliases.iter().any(|(alias, _)| *alias == ident.value)
        {
            return Ok(());
        }
        let _ = visit_mut(expr, self);
        std::mem::replace(&mut self.outcome, Ok(()))
    }

    fn replacement(&mut self, expr: &Expr) -> Result<Option<Expr>, String> {
        if let Some(at) = self.groups.iter().position(|group| group == expr) {
            return Ok(Some(Expr::Identifier(quoted(&format!("g{at}")))));
        }
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the parts of any other expression are visited after it"
        )]
        match expr {
            Expr::Function(function) => self.aggregate(function),
            Expr::Identifier(ident) => Err(format!(
                "`{}` is neither grouped by nor inside an aggregate",
                ident.value
            )),
            _ => Ok(None),
        }
    }

    fn aggregate(&mut self, function: &Function) -> Result<Option<Expr>, String> {
        let name = function.name.to_string().to_ascii_lowercase();
        if function.over.is_some() {
            return Err(format!("`{name}` is used over a window"));
        }
        if !is_aggregate(&name) {
            return Ok(None);
        }
        let argument = single_argument(function)
            .ok_or_else(|| cannot_combine(&name, function))?
            .to_string();
        let merged = match name.as_str() {
            // Not 0 if there are no values: a count that a member withholds is null, and so is the sum of withheld counts.
            "count" => format!("sum({})", self.partial(&format!("count({argument})"))?),
            "sum" => format!("sum({})", self.partial(&format!("sum({argument})"))?),
            "min" => format!("min({})", self.partial(&format!("min({argument})"))?),
            "max" => format!("max({})", self.partial(&format!("max({argument})"))?),
            "avg" | "mean" => {
                let sum = self.partial(&format!("sum({argument})"))?;
                let count = self.partial(&format!("count({argument})"))?;
                mean(&sum, &count)
            }
            _ => return Err(cannot_combine(&name, function)),
        };
        read(&merged).map(Some)
    }

    /// The name of the partial aggregate `text`, which is requested once even if it is used several times.
    fn partial(&mut self, text: &str) -> Result<String, String> {
        let expr = read(text)?;
        let known = self.partials.iter().position(|partial| *partial == expr);
        let at = known.unwrap_or(self.partials.len());
        if known.is_none() {
            self.partials.push(expr);
        }
        Ok(format!("\"a{at}\""))
    }
}

impl VisitorMut for Merge {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.inside > 0 {
            self.inside = self.inside.saturating_add(1);
            return ControlFlow::Continue(());
        }
        match self.replacement(expr) {
            Ok(Some(replacement)) => {
                *expr = replacement;
                self.inside = 1;
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(reason) => {
                self.outcome = Err(reason);
                ControlFlow::Break(())
            }
        }
    }

    fn post_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<()> {
        self.inside = self.inside.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

/// The mean over the members that returned both parts: if a member withholds one, the other is not counted either.
fn mean(sum: &str, count: &str) -> String {
    let both = |part: &str, other: &str| format!("CAST(sum(CASE WHEN {other} IS NOT NULL THEN {part} END) AS DOUBLE)");
    format!("({} / nullif({}, 0.0))", both(sum, count), both(count, sum))
}

/// The one argument of a call without `DISTINCT`, `FILTER` or an order.
fn single_argument(function: &Function) -> Option<&FunctionArgExpr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let bare = list.duplicate_treatment.is_none()
        && list.clauses.is_empty()
        && function.filter.is_none()
        && function.within_group.is_empty()
        && function.null_treatment.is_none();
    match list.args.as_slice() {
        [FunctionArg::Unnamed(argument)] if bare => Some(argument),
        _ => None,
    }
}

fn cannot_combine(name: &str, function: &Function) -> String {
    let shown = if matches!(name, "count" | "sum" | "avg" | "mean" | "min" | "max") {
        function.to_string()
    } else {
        name.to_owned()
    };
    format!("`{shown}` cannot be combined from the members' partial results")
}

fn is_aggregate(name: &str) -> bool {
    name == "mean"
        || all_default_aggregate_functions()
            .iter()
            .any(|function| function.name() == name || function.aliases().iter().any(|alias| alias == name))
}

/// Completes the outer query: names, grouping and the table of the members' answers.
fn finish(select: &mut Select, names: &[Ident], groups: usize, into: &str) -> Result<(), String> {
    let items = std::mem::take(&mut select.projection);
    for (item, name) in items.into_iter().zip(names) {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            select.projection.push(SelectItem::ExprWithAlias {
                expr,
                alias: name.clone(),
            });
        }
    }
    let keys = (0..groups)
        .map(|at| Expr::Identifier(quoted(&format!("g{at}"))))
        .collect();
    select.group_by = GroupByExpr::Expressions(keys, Vec::new());
    if let Some(TableFactor::Table { name, alias, .. }) = select.from.first_mut().map(|from| &mut from.relation) {
        *name = ObjectName(vec![ObjectNamePart::Identifier(quoted(into))]);
        *alias = None;
    }
    Ok(())
}

/// Removes the table from qualified columns, because there is only one table, and quotes all columns.
fn unqualify(query: &mut Query, table: &TableName, alias: Option<&str>) {
    let _ = visit_mut(query, &mut Unqualify { table, alias });
}

struct Unqualify<'a> {
    table: &'a TableName,
    alias: Option<&'a str>,
}

impl VisitorMut for Unqualify<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "no other expression is a column")]
        let column = match expr {
            Expr::Identifier(ident) => Some(ident.value.clone()),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, column] if table.value == self.alias.unwrap_or(self.table.dataset.as_str()) => {
                    Some(column.value.clone())
                }
                [schema, table, column]
                    if schema.value == self.table.schema() && table.value == self.table.dataset.as_str() =>
                {
                    Some(column.value.clone())
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(column) = column {
            *expr = Expr::Identifier(quoted(&column));
        }
        ControlFlow::Continue(())
    }
}

fn read(text: &str) -> Result<Expr, String> {
    let parsed = Parser::new(&GenericDialect {})
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_expr());
    parsed.map_err(|error| format!("a part of it cannot be parsed again: {error}"))
}

/// The columns that `expr` mentions.
fn columns_of(expr: &Expr) -> BTreeSet<String> {
    struct Columns(BTreeSet<String>);
    impl Visitor for Columns {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Identifier(ident) = expr {
                self.0.insert(ident.value.clone());
            }
            ControlFlow::Continue(())
        }
    }
    let mut columns = Columns(BTreeSet::new());
    let _ = visit(expr, &mut columns);
    columns.0
}

fn count_queries(query: &Query) -> usize {
    struct Count(usize);
    impl Visitor for Count {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 = self.0.saturating_add(1);
            ControlFlow::Continue(())
        }
    }
    let mut count = Count(0);
    let _ = visit(query, &mut count);
    count.0
}

#[cfg(test)]
mod tests;
