//! Comparisons that the library refuses while it plans, before the plan can be checked.

use datafusion::{
    common::DFSchema,
    error::Result,
    logical_expr::{
        ExprSchemable, Operator,
        binary::BinaryTypeCoercer,
        planner::{ExprPlanner, PlannerResult, RawBinaryExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use super::checks::binary;

/// The operator that stands for `IS DISTINCT FROM`.
pub(super) const DISTINCT: &str = "IS DISTINCT FROM";
/// The operator that stands for `IS NOT DISTINCT FROM`.
pub(super) const NOT_DISTINCT: &str = "IS NOT DISTINCT FROM";
/// What the operator begins with that gives its left side a name, which is the whole operator.
pub(super) const SUBQUERY: &str = "subquery ";

/// Plans what the library has no types for, with our rules and our errors.
#[derive(Debug)]
pub(crate) struct ComparisonPlanner;

impl ExprPlanner for ComparisonPlanner {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if let BinaryOperator::Custom(name) = &raw.op
            && name.starts_with(SUBQUERY)
        {
            return Ok(PlannerResult::Planned(raw.left.alias(name.as_str())));
        }
        let (Some(op), Ok(left), Ok(right)) =
            (operator(&raw.op), raw.left.get_type(schema), raw.right.get_type(schema))
        else {
            return Ok(PlannerResult::Original(raw));
        };
        let is_ours = matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom);
        if !is_ours && BinaryTypeCoercer::new(&left, &op, &right).get_result_type().is_ok() {
            return Ok(PlannerResult::Original(raw));
        }
        binary(raw.left, op, raw.right, schema).map(PlannerResult::Planned)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other operators are left to the library")]
fn operator(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Custom(name) if name == DISTINCT => Operator::IsDistinctFrom,
        BinaryOperator::Custom(name) if name == NOT_DISTINCT => Operator::IsNotDistinctFrom,
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Modulo => Operator::Modulo,
        BinaryOperator::And => Operator::And,
        BinaryOperator::Or => Operator::Or,
        BinaryOperator::PGRegexMatch => Operator::RegexMatch,
        BinaryOperator::PGRegexIMatch => Operator::RegexIMatch,
        BinaryOperator::PGRegexNotMatch => Operator::RegexNotMatch,
        BinaryOperator::PGRegexNotIMatch => Operator::RegexNotIMatch,
        _ => return None,
    })
}
