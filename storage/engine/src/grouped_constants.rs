//! Constants in grouping sets.
//!
//! `ROLLUP (ward, 'all')` has rows in which the second column is missing. The library takes a column that is grouped by a constant for one
//! that has a single value, and leaves it out of an `ORDER BY`.

use arrow::datatypes::DataType;
use datafusion::{
    common::tree_node::TreeNode,
    error::{DataFusionError, Result},
    logical_expr::{
        ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        expr::ScalarFunction,
    },
};

use super::same_names::with_same_names;

/// The same node, whose grouping sets have no member that the library knows to be constant.
pub(super) fn varying(node: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Aggregate(aggregate) = &node else {
        return Ok(node);
    };
    let in_sets = |expression: &Expr| matches!(expression, Expr::GroupingSet(_));
    if !aggregate.group_expr.iter().any(in_sets) {
        return Ok(node);
    }
    with_same_names(node, &|expression| {
        let varies = !expression.column_refs().is_empty() || is_aggregate(&expression)?;
        Ok(if varies { expression } else { Varying::of(expression) })
    })
}

fn is_aggregate(expression: &Expr) -> Result<bool> {
    expression.exists(|inner| Ok(matches!(inner, Expr::AggregateFunction(_))))
}

/// The value of its operand.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Varying {
    signature: Signature,
}

impl Varying {
    fn of(operand: Expr) -> Expr {
        let varying = Self {
            signature: Signature::any(1, Volatility::Volatile),
        };
        Expr::ScalarFunction(ScalarFunction::new_udf(
            ScalarUDF::new_from_impl(varying).into(),
            vec![operand],
        ))
    }
}

impl ScalarUDFImpl for Varying {
    fn name(&self) -> &'static str {
        "varying"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().ok_or_else(no_operand)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.into_iter().next().ok_or_else(no_operand)?;
        Ok(ColumnarValue::Array(value.into_array(args.number_rows)?))
    }
}

fn no_operand() -> DataFusionError {
    DataFusionError::Internal("a value is missing".to_owned())
}
