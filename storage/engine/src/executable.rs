//! From what a query means to a plan that can be computed: its types are converted, no value makes it fail unless the query asked for
//! that, and no sum wraps around.
//!
//! 1. Numbers of different types are compared, and become one column, without changing any of them ([`exact`](mod@crate::exact)).
//! 2. Casts that the query wrote are strict at tier `records` and on the consumer's node; below, one that can fail is refused
//!    ([`cast_rule`](mod@crate::cast_rule)). The forms of columns are left behind.
//! 3. The library converts types. Since [`meaning`](crate::meaning()) has admitted only comparisons that lose nothing, so do these
//!    conversions.
//! 4. Sums of whole numbers are computed as decimals ([`sums`](mod@crate::sums)).
//! 5. Casts, arithmetic and functions that can fail on a value return NULL there ([`calculation`](crate::calculation)), so that no error
//!    reveals anything about a single row.
//! 6. Grouping sets have no constants ([`grouped_constants`](mod@crate::grouped_constants)).

use std::{collections::HashMap, sync::Arc};

use concordat_protocol::ids::DatasetRef;
use datafusion::{
    common::{
        DFSchema, DFSchemaRef, ExprSchema,
        tree_node::{Transformed, TreeNode},
    },
    error::{DataFusionError, Result},
    execution::context::SessionState,
    logical_expr::{
        BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, TryCast, Union, expr::Alias, lit,
        utils::merge_schema,
    },
};

use super::{
    QueryError,
    calculation::{arithmetic, converted, guarded, negated, strict},
    cast_rule::Casts,
    conversion::{can_fail, name},
    exact, grouped_constants,
    meaning::{literal, shown},
    same_names::with_same_names,
    sums,
};

/// The plan that computes what `plan`, a result of [`meaning`](crate::meaning()), means. Its schema has no metadata, and so may the tables
/// have none from which it is computed. Errors name `dataset`.
///
/// # Errors
/// [`QueryError::FallibleCast`] for a cast that is refused, [`QueryError::Invalid`] if types cannot be converted.
pub fn executable(
    state: &SessionState,
    plan: LogicalPlan,
    casts: Casts,
    dataset: &DatasetRef,
) -> std::result::Result<LogicalPlan, QueryError> {
    let computed = || {
        let plan = plan.transform_up_with_subqueries(|node| written(node, casts).map(Transformed::yes))?;
        let plan = state
            .analyzer()
            .execute_and_check(plan.data, state.config_options(), |_, _| {})?;
        let plan = plan.transform_up_with_subqueries(|node| sums::exact(node).map(Transformed::yes))?;
        let plan = infallible(plan.data, casts)?;
        let plan = plan.transform_up_with_subqueries(|node| grouped_constants::varying(node).map(Transformed::yes))?;
        Ok(plan.data)
    };
    computed().map_err(|error| QueryError::planning(error, dataset))
}

/// The same node with the casts that the query wrote, with numbers that stay as they are, and without metadata.
fn written(node: LogicalPlan, casts: Casts) -> Result<LogicalPlan> {
    let schema = merge_schema(&node.inputs());
    let node = with_same_names(node, &|expression| {
        let written =
            expression.transform_up(|inner| written_expression(inner, casts, &schema).map(Transformed::yes))?;
        Ok(written.data)
    })?;
    bare(exact::node(node, casts)?)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other expressions neither cast nor have metadata"
)]
fn written_expression(expression: Expr, casts: Casts, schema: &DFSchema) -> Result<Expr> {
    Ok(match expression {
        Expr::Cast(cast) => computed(cast, casts, schema)?,
        Expr::Alias(alias) if alias.metadata.is_some() => Expr::Alias(Alias {
            metadata: None,
            ..alias
        }),
        Expr::OuterReferenceColumn(field, column) => {
            let field = field.as_ref().clone().with_metadata(HashMap::new());
            Expr::OuterReferenceColumn(Arc::new(field), column)
        }
        other => exact::expression(other, casts, schema)?,
    })
}

/// The same node without metadata.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other nodes derive their schema from their inputs"
)]
fn bare(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::TableScan(mut scan) => {
            scan.projected_schema = without_metadata(&scan.projected_schema)?;
            Ok(LogicalPlan::TableScan(scan))
        }
        LogicalPlan::Union(union) => Union::try_new_with_loose_types(union.inputs).map(LogicalPlan::Union),
        other => other.recompute_schema(),
    }
}

fn without_metadata(schema: &DFSchemaRef) -> Result<DFSchemaRef> {
    let fields = schema.iter().map(|(qualifier, field)| {
        let field = field.as_ref().clone().with_metadata(HashMap::new());
        (qualifier.cloned(), Arc::new(field))
    });
    let bare = DFSchema::new_with_metadata(fields.collect(), HashMap::new())?;
    Ok(Arc::new(bare.with_functional_dependencies(
        schema.functional_dependencies().clone(),
    )?))
}

/// Replaces what can fail on a value by what returns NULL: otherwise `1 / (age - 47)` would reveal whether anyone is 47.
/// No operand is repeated, so the plan does not grow.
fn infallible(plan: LogicalPlan, casts: Casts) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        let node = with_same_names(node, &|expression| {
            let infallible = expression.transform_up(|inner| infallible_expression(inner, casts, &schema))?;
            Ok(infallible.data)
        })?;
        node.recompute_schema().map(Transformed::yes)
    })?;
    Ok(plan.data)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other expression is left as it is; below tier `records`, only listed ones are admitted"
)]
fn infallible_expression(expression: Expr, casts: Casts, schema: &dyn ExprSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::Cast(cast) => match cast.expr.as_ref() {
            // Whether a literal can be cast does not depend on any row, so this error is reported immediately.
            Expr::Literal(value, _) => literal(value, cast.field.data_type()).map(|value| Transformed::yes(lit(value))),
            _ => converted(*cast.expr, cast.field.data_type(), schema).map(Transformed::yes),
        },
        Expr::TryCast(TryCast { expr, field }) => converted(*expr, field.data_type(), schema).map(Transformed::yes),
        Expr::Negative(operand) => Ok(Transformed::yes(negated(*operand))),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo),
            right,
        }) => arithmetic(*left, op, *right, schema).map(Transformed::yes),
        Expr::ScalarFunction(function) => guarded(function, casts, schema).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    }
}

/// What computes a `CAST` of the query under this rule.
fn computed(cast: Cast, rule: Casts, schema: &DFSchema) -> Result<Expr> {
    let from = cast.expr.get_type(schema)?;
    let target = cast.field.data_type().clone();
    let constant = matches!(cast.expr.as_ref(), Expr::Literal(..));
    if constant || !can_fail(&from, &target) {
        return Ok(Expr::Cast(Cast::new(cast.expr, target)));
    }
    match rule {
        Casts::Strict => Ok(strict(*cast.expr, &target)),
        Casts::Refused => {
            let operand = shown(&cast.expr);
            Err(DataFusionError::External(Box::new(QueryError::FallibleCast {
                operand,
                target: name(&target),
            })))
        }
    }
}
