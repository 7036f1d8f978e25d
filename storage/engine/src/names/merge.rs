//! Columns by which tables are joined with `USING` and `NATURAL`: each is one column of the answer.
//!
//! The planner takes such a column from the first table, also where a right or a full join has no row of it, so that the key of some rows
//! would be missing; and of three tables it finds the column ambiguous. Here the condition is written out, and the column as what it is in
//! SQL (ISO/IEC 9075-2, 7.10): that of the left side, of the right side in a right join, and the one that has a value in a full join.

use std::ops::Range;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, SelectItem, TableFactor, TableWithJoins,
    WildcardAdditionalOptions,
};

use super::scope::{Merged, Scope, Source};

/// Columns of so many tables are merged by full joins: each condition names those before it.
const MAX_PARTS: usize = 64;

/// Whether the columns of joins can be merged: all tables are known, and at most one `*` stands for their columns, all of them.
pub(super) fn can_merge(from: &[TableWithJoins], sources: &[Source], items: &[SelectItem]) -> bool {
    let wildcards: Vec<_> = items.iter().filter_map(wildcard).collect();
    let known = |source: &Source| source.columns.is_some() && !source.path.is_empty();
    sources.iter().all(known)
        && wildcards.len() <= 1
        && wildcards.into_iter().all(is_plain)
        && !from.iter().any(has_named_join)
}

fn wildcard(item: &SelectItem) -> Option<&WildcardAdditionalOptions> {
    match item {
        SelectItem::Wildcard(options) => Some(options),
        SelectItem::UnnamedExpr(_)
        | SelectItem::ExprWithAlias { .. }
        | SelectItem::ExprWithAliases { .. }
        | SelectItem::QualifiedWildcard(..) => None,
    }
}

/// Whether a join in parentheses has a name, behind which its tables have none.
fn has_named_join(from: &TableWithJoins) -> bool {
    let joined = from.joins.iter().map(|join| &join.relation);
    std::iter::once(&from.relation).chain(joined).any(|table| {
        let TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } = table
        else {
            return false;
        };
        alias.is_some() || has_named_join(table_with_joins)
    })
}

fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    opt_ilike.is_none()
        && opt_exclude.is_none()
        && opt_except.is_none()
        && opt_replace.is_none()
        && opt_rename.is_none()
        && opt_alias.is_none()
}

/// The numbers of the tables of a join.
pub(super) struct Sides {
    left: Range<usize>,
    right: Range<usize>,
}

/// Writes out the condition of a join by columns. What names no column of both sides, or several, stays, and is an error of the planner.
pub(super) fn write_out(operator: &mut JoinOperator, scope: &mut Scope<'_>, sides: &Sides) {
    let kind = Kind::of(operator);
    let Some(constraint) = constraint(operator) else { return };
    let Some(names) = names(constraint, scope, sides) else {
        return;
    };
    let pairs: Option<Vec<_>> = names.iter().map(|name| sides.pair(name, scope)).collect();
    let Some(pairs) = pairs else { return };
    // Tables without a column in common have all pairs of rows.
    let Some(condition) = pairs.iter().map(equal).reduce(and) else {
        return;
    };
    *constraint = JoinConstraint::On(condition);
    for (one, other) in pairs {
        scope
            .merged
            .retain(|known| known.parts != one.parts && known.parts != other.parts);
        scope.merged.push(kind.merged(one, other));
    }
}

/// Hides the tables that only the condition of this join can refer to.
pub(super) fn hide(operator: &JoinOperator, scope: &mut Scope<'_>, sides: Sides) {
    let hidden = match Kind::of(operator) {
        Kind::OnlyLeft => sides.right,
        Kind::OnlyRight => sides.left,
        Kind::Left | Kind::Right | Kind::Full => return,
    };
    for source in scope.sources.get_mut(hidden).into_iter().flatten() {
        source.hidden = true;
    }
}

impl Sides {
    /// The tables from `left` on, and those from `right` on to the last one in scope.
    pub(super) fn new(left: usize, right: usize, scope: &Scope<'_>) -> Self {
        Self {
            left: left..right,
            right: right..scope.sources.len(),
        }
    }

    fn pair(&self, name: &str, scope: &Scope<'_>) -> Option<(Merged, Merged)> {
        let one = scope.only(name, self.left.clone())?;
        let other = scope.only(name, self.right.clone())?;
        let parts = one.parts.len().saturating_add(other.parts.len());
        (parts <= MAX_PARTS).then_some((one, other))
    }
}

/// The columns by which a join is; `None` if it has a condition of its own, or none.
fn names(constraint: &JoinConstraint, scope: &Scope<'_>, sides: &Sides) -> Option<Vec<String>> {
    match constraint {
        JoinConstraint::Using(columns) => columns.iter().map(single).collect(),
        JoinConstraint::Natural => {
            let mut names: Vec<String> = Vec::new();
            for source in scope.sources.get(sides.left.clone())? {
                for column in source.columns.iter().flatten().filter(|_| !source.hidden) {
                    let lower = column.to_lowercase();
                    if !names.iter().any(|known| known.to_lowercase() == lower) && scope.has(column, &sides.right) {
                        names.push(column.clone());
                    }
                }
            }
            Some(names)
        }
        JoinConstraint::On(_) | JoinConstraint::None => None,
    }
}

fn single(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(name.value.clone()),
        _ => None,
    }
}

/// Which rows a join keeps, and so which side has the value of a column in common.
#[derive(Clone, Copy)]
enum Kind {
    /// Those with a row on both sides, or all of the left side.
    Left,
    /// All of the right side.
    Right,
    Full,
    /// The columns of the left side only.
    OnlyLeft,
    /// The columns of the right side only.
    OnlyRight,
}

impl Kind {
    #[expect(clippy::wildcard_enum_match_arm, reason = "other joins have no list of columns")]
    fn of(operator: &JoinOperator) -> Self {
        match operator {
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Self::Right,
            JoinOperator::FullOuter(_) => Self::Full,
            JoinOperator::Semi(_) | JoinOperator::LeftSemi(_) | JoinOperator::Anti(_) | JoinOperator::LeftAnti(_) => {
                Self::OnlyLeft
            }
            JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => Self::OnlyRight,
            _ => Self::Left,
        }
    }

    fn merged(self, left: Merged, right: Merged) -> Merged {
        match self {
            Self::OnlyLeft => left,
            Self::OnlyRight => right,
            Self::Left => together(left.value.clone(), left, right),
            Self::Right => together(right.value.clone(), left, right),
            Self::Full => together(coalesce(&left.value, &right.value), left, right),
        }
    }
}

fn together(value: Expr, left: Merged, right: Merged) -> Merged {
    Merged {
        name: left.name,
        value,
        parts: [left.parts, right.parts].concat(),
    }
}

fn equal((one, other): &(Merged, Merged)) -> Expr {
    Expr::BinaryOp {
        left: Box::new(one.value.clone()),
        op: BinaryOperator::Eq,
        right: Box::new(other.value.clone()),
    }
}

fn and(one: Expr, other: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(one),
        op: BinaryOperator::And,
        right: Box::new(other),
    }
}

fn coalesce(one: &Expr, other: &Expr) -> Expr {
    let args = [arguments(one), arguments(other)].concat();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("coalesce")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The values of which the first that there is counts: those of a `coalesce` are not nested.
fn arguments(value: &Expr) -> Vec<FunctionArg> {
    if let Expr::Function(Function {
        args: FunctionArguments::List(list),
        ..
    }) = value
    {
        return list.args.clone();
    }
    vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))]
}

/// The items of a `SELECT`, with the columns in common under their names, and each once where `*` stands for them.
pub(super) fn items(items: Vec<SelectItem>, scope: &Scope<'_>) -> Vec<SelectItem> {
    let merges = !scope.merged.is_empty();
    let mut written = Vec::new();
    for item in items {
        match item {
            SelectItem::Wildcard(_) if merges => written.extend(all(scope)),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => match scope.in_common(&name.value, &[]) {
                Some(column) => written.push(item_of(column)),
                None => written.push(SelectItem::UnnamedExpr(Expr::Identifier(name))),
            },
            item @ (SelectItem::UnnamedExpr(_)
            | SelectItem::Wildcard(_)
            | SelectItem::ExprWithAlias { .. }
            | SelectItem::ExprWithAliases { .. }
            | SelectItem::QualifiedWildcard(..)) => written.push(item),
        }
    }
    written
}

/// The columns of all tables, in their order, each of those in common where the first of them is.
fn all(scope: &Scope<'_>) -> Vec<SelectItem> {
    let mut written = Vec::new();
    let mut items = Vec::new();
    for (n, source) in scope.sources.iter().enumerate().filter(|(_, source)| !source.hidden) {
        for column in source.columns.iter().flatten() {
            let part = (n, column.clone());
            let merged = scope.merged.iter().find(|merged| merged.parts.contains(&part));
            let Some(column) = merged.cloned().or_else(|| scope.column(&part)) else {
                continue;
            };
            if column.parts.len() == 1 || !written.contains(&column.parts) {
                written.push(column.parts.clone());
                items.push(item_of(column));
            }
        }
    }
    items
}

fn item_of(column: Merged) -> SelectItem {
    if let Expr::CompoundIdentifier(path) = &column.value
        && path.last().is_some_and(|name| name.value == column.name)
    {
        return SelectItem::UnnamedExpr(column.value);
    }
    SelectItem::ExprWithAlias {
        expr: column.value,
        alias: Ident::with_quote('"', column.name),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other joins have no list of columns")]
pub(super) fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint) => Some(constraint),
        _ => None,
    }
}
