//! The size of a plan, its size after the planner has expanded it, and how much text it computes for a row.
//!
//! The planner expands short forms: `coalesce(a, b)` becomes `CASE WHEN a IS NOT NULL THEN a ELSE b END`, in which `a`
//! occurs twice, and nested forms double with each level. So the size of a plan is computed as if all short forms were
//! expanded, before any is. Text can also grow with each row: the plan gives an upper bound, and batches are made small
//! enough that the text of one batch fits.

use std::{cell::Cell, collections::HashSet};

use datafusion::{
    common::{
        Column,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::Result as PlanResult,
    logical_expr::{
        BinaryExpr, Case, Expr, LogicalPlan, Operator,
        expr::{InList, ScalarFunction},
    },
    scalar::ScalarValue,
};

use super::{
    QueryError,
    calculation::{cast_operand, is_calculation},
};

/// Maximum nodes of all expressions of a plan together, after expansion.
pub(super) const MAX_NODES: usize = 50_000;
/// Maximum bytes of text that expressions may compute for one row.
const MAX_ROW_BYTES: usize = 4 << 20;
/// Bytes of computed text in one batch.
const BATCH_BYTES: usize = 32 << 20;
/// Assumed maximum length of a text in a column, in bytes; for longer text, the memory limit applies.
const COLUMN_BYTES: usize = 128;
/// Maximum size of a value that is not text, in bytes.
const VALUE_BYTES: usize = 16;
/// A literal counts as one node for each this many bytes.
const LITERAL_BYTES: usize = 64;

/// Counting stops above this, which is more than any limit here.
const STOP_AT: usize = 64 << 20;

/// Refuses a plan that is too large, or becomes too large when its short forms are expanded.
///
/// # Errors
/// [`QueryError::TooComplex`].
pub fn admitted(plan: &LogicalPlan) -> Result<(), QueryError> {
    if nodes_written_out(plan) > MAX_NODES {
        return Err(too_complex());
    }
    Ok(())
}

/// The nodes of all expressions of a plan, with short forms expanded.
pub(super) fn nodes_written_out(plan: &LogicalPlan) -> usize {
    over_expressions(plan, written_out)
}

pub(super) const fn too_complex() -> QueryError {
    QueryError::TooComplex {
        what: "too complex: it has too many parts, with short forms such as `coalesce`, `BETWEEN` and `CASE` expanded; \
               split it, or nest these less deeply",
        max: MAX_NODES,
    }
}

/// How many rows a batch of `plan` may have so that the text computed for them and the columns read for them fit; at most `most`.
///
/// # Errors
/// [`QueryError::TooComplex`] if not even a few rows fit.
pub fn rows_per_batch(plan: &LogicalPlan, most: usize) -> Result<usize, QueryError> {
    let bytes = over_expressions(plan, |expression| {
        let (own, below) = text_bytes(expression);
        let literal = matches!(expression, Expr::Literal(..));
        below.saturating_add(if literal { own } else { 0 })
    });
    if bytes > MAX_ROW_BYTES {
        return Err(QueryError::TooComplex {
            what: "too wide: it computes too many bytes of text for each row; use shorter texts",
            max: MAX_ROW_BYTES,
        });
    }
    let read = columns(plan).saturating_mul(VALUE_BYTES);
    Ok(BATCH_BYTES.checked_div(bytes.max(read)).unwrap_or(most).clamp(1, most))
}

/// How many columns the plan reads: a reader allocates each of them for a whole batch, however few rows there are.
fn columns(plan: &LogicalPlan) -> usize {
    let mut read: HashSet<Column> = HashSet::new();
    // The visitor cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            read.extend(expression.column_refs().into_iter().cloned());
            Ok(TreeNodeRecursion::Continue)
        })
    });
    read.len()
}

/// Sums sizes over a plan. Stops far above every limit: parts of a plan may be shared, so walking all of it might never
/// end.
fn over_expressions(plan: &LogicalPlan, size: impl Fn(&Expr) -> usize) -> usize {
    let mut sum = 0_usize;
    // The visitor cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        sum = sum.saturating_add(1);
        node.apply_expressions(|expression| {
            sum = sum.saturating_add(size(expression));
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if sum > STOP_AT {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    sum
}

/// The nodes of an expression when its short forms are expanded; never fewer than the planner creates.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other expression is not expanded")]
fn written_out(expression: &Expr) -> usize {
    let times = |factor: usize, inner: &Expr| written_out(inner).saturating_mul(factor);
    let below = match expression {
        Expr::Literal(value, _) => text_of(value).map_or(0, str::len) / LITERAL_BYTES,
        // a >= low AND a <= high
        Expr::Between(between) => sum([
            times(2, &between.expr),
            written_out(&between.low),
            written_out(&between.high),
            2,
        ]),
        Expr::InList(list) => in_list(list),
        Expr::Case(case) => cases(case),
        Expr::ScalarFunction(function) if is_coalesce(function) => coalesce_size(function),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            // `date_part('year', a) = 2024` becomes a range of `a`; a literal is compared with each result of a `CASE`.
            let factor = |side: &Expr, other: &Expr| match (side, other) {
                (Expr::ScalarFunction(function), _) if !is_calculation(function) => 2,
                (_, Expr::Case(case)) => case.when_then_expr.len().saturating_add(1),
                _ => 1,
            };
            times(factor(left, right), left).saturating_add(times(factor(right, left), right))
        }
        other => below(other),
    };
    below.saturating_add(1)
}

fn sum(parts: impl IntoIterator<Item = usize>) -> usize {
    parts.into_iter().fold(0, usize::saturating_add)
}

fn below(expression: &Expr) -> usize {
    let mut sum = 0_usize;
    // The visitor cannot fail.
    let _: PlanResult<_> = expression.apply_children(|inner| {
        sum = sum.saturating_add(written_out(inner));
        Ok(TreeNodeRecursion::Continue)
    });
    sum
}

/// A short list becomes comparisons joined by `OR`; a function is compared with each item as a range.
fn in_list(list: &InList) -> usize {
    let items = list.list.len();
    let factor = if matches!(list.expr.as_ref(), Expr::ScalarFunction(function) if !is_calculation(function)) {
        items.saturating_mul(2)
    } else {
        items.min(3)
    };
    let operand = written_out(&list.expr).saturating_mul(factor.max(1));
    operand.saturating_add(sum(list.list.iter().map(written_out)))
}

/// A condition with few branches, or with literals only, becomes `(a AND x) OR (NOT a AND b AND y) OR …`.
fn cases(case: &Case) -> usize {
    let branches = case.when_then_expr.len();
    let only_literals = case
        .when_then_expr
        .iter()
        .all(|(_, then)| matches!(then.as_ref(), Expr::Literal(..)));
    let spread = case.expr.is_none() && (branches < 3 || only_literals);
    let of_branch = |(at, (when, then)): (usize, &(Box<Expr>, Box<Expr>))| {
        let factor = if spread {
            branches.saturating_sub(at).saturating_add(2)
        } else {
            1
        };
        let when = written_out(when).saturating_add(2).saturating_mul(factor);
        when.saturating_add(written_out(then))
    };
    let rest = case.expr.iter().chain(&case.else_expr).map(|inner| written_out(inner));
    sum(case.when_then_expr.iter().enumerate().map(of_branch)).saturating_add(sum(rest))
}

fn is_coalesce(function: &ScalarFunction) -> bool {
    matches!(function.func.name(), "coalesce" | "nvl")
}

/// `CASE WHEN a IS NOT NULL THEN a …`, and if it is a condition, as in [`cases`].
fn coalesce_size(function: &ScalarFunction) -> usize {
    let last = function.args.len().saturating_sub(1);
    sum(function.args.iter().enumerate().map(|(at, argument)| {
        let factor = if at == last { 1 } else { 4 };
        written_out(argument).saturating_add(2).saturating_mul(factor)
    }))
}

const fn compares(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    )
}

/// Bytes of text of one value of the expression, and of all that is computed on the way to it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other expression does not return text"
)]
fn text_bytes(expression: &Expr) -> (usize, usize) {
    let mut widest = 0_usize;
    let mut together = 0_usize;
    let mut computed = 0_usize;
    // The visitor cannot fail.
    let _: PlanResult<_> = expression.apply_children(|inner| {
        let (own, below) = text_bytes(inner);
        widest = widest.max(own);
        together = together.saturating_add(own);
        computed = computed.saturating_add(below);
        Ok(TreeNodeRecursion::Continue)
    });
    let own = match expression {
        Expr::Column(_) => return (COLUMN_BYTES, 0),
        Expr::Literal(value, _) => return (text_of(value).map_or(VALUE_BYTES, str::len), 0),
        Expr::Alias(_) => return (widest, computed),
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => together,
        Expr::ScalarFunction(function) if cast_operand(function).is_some() => widest,
        Expr::ScalarFunction(function) => match function.func.name() {
            "concat" => together,
            // Each value between two of the others.
            "concat_ws" => together.saturating_mul(2),
            "repeat" => widest.saturating_mul(length_of(function.args.get(1))),
            // Letters of up to four bytes.
            "lpad" | "rpad" => widest.max(length_of(function.args.get(1)).saturating_mul(4)),
            // Each letter may be replaced by the whole of the last argument.
            "replace" | "regexp_replace" | "translate" => widest.saturating_mul(widest.max(1)),
            "initcap" => widest.saturating_mul(3),
            "reverse" | "split_part" | "substr_index" | "substring_index" => widest,
            // One letter may become three.
            "upper" | "lower" => widest.saturating_mul(3),
            "btrim" | "ltrim" | "rtrim" | "trim" | "left" | "right" | "substr" | "substring" => widest,
            "coalesce" | "nvl" | "nullif" | "greatest" | "least" => widest,
            _ => VALUE_BYTES,
        },
        Expr::Case(_) | Expr::Cast(_) | Expr::TryCast(_) => widest,
        _ => VALUE_BYTES,
    };
    (own, computed.saturating_add(own))
}

/// A number of letters or repetitions: the literal, or else an assumption, for more of which the memory limit applies.
fn length_of(argument: Option<&Expr>) -> usize {
    match argument {
        Some(Expr::Literal(ScalarValue::Int64(Some(number)), _)) => usize::try_from(*number).unwrap_or(0),
        Some(Expr::Literal(ScalarValue::Int32(Some(number)), _)) => usize::try_from(*number).unwrap_or(0),
        _ => COLUMN_BYTES,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other value is not text")]
fn text_of(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => text.as_deref(),
        _ => None,
    }
}

/// Counts the parts of a statement as it is read. An alias of the query counts as the expression behind it, which the
/// planner substitutes each time.
#[derive(Debug, Default)]
pub(super) struct Parts(Cell<usize>);

impl Parts {
    /// Adds this many.
    ///
    /// # Errors
    /// [`QueryError::TooComplex`] if there are too many.
    pub(super) fn add(&self, parts: usize) -> Result<(), QueryError> {
        self.0.set(self.0.get().saturating_add(parts));
        if self.0.get() > MAX_NODES {
            return Err(too_complex());
        }
        Ok(())
    }

    /// The number so far.
    pub(super) fn sum(&self) -> usize {
        self.0.get()
    }
}
