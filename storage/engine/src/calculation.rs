//! Casts and arithmetic that return NULL where they have no result.
//!
//! Some operations fail on some values: a date that no calendar has cannot become text, a difference of timestamps can
//! overflow, and so can a product of decimals. [`Calculation`] is such an operation as a function. If it fails on the
//! values of a batch, each half of the batch is computed separately, down to the single values that fail, which become
//! NULL. This does not depend on knowing which values fail.
//!
//! Operations that are known not to fail ([`is_total_arithmetic`], [`is_total_cast`]) stay as they are, since the
//! optimizer knows them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, RecordBatch, new_null_array},
    compute::{can_cast_types, concat},
    datatypes::{DataType, Field, Schema},
};
use datafusion::{
    common::ExprSchema,
    error::{DataFusionError, Result},
    logical_expr::{
        BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, TryCast, Volatility, binary::BinaryTypeCoercer, expr::ScalarFunction,
    },
    physical_expr::expressions as physical,
    physical_plan::PhysicalExpr,
};

use super::divide::divided;

/// Name of the function for a cast; queries cannot use it.
const CONVERSION: &str = "conversion";
/// Name of the function for arithmetic of two operands.
const ARITHMETIC: &str = "arithmetic";
/// Name of the function for a change of sign.
const NEGATION: &str = "negation";

/// `left op right`, with NULL where there is no result.
///
/// # Errors
/// If the operands have no type.
pub(super) fn arithmetic(left: Expr, op: Operator, right: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    let (dividend, divisor) = (left.get_type(schema)?, right.get_type(schema)?);
    if is_total_arithmetic(op, &dividend, &divisor) {
        return Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))));
    }
    if matches!(op, Operator::Divide | Operator::Modulo) && dividend.is_integer() && divisor.is_integer() {
        return Ok(divided(left, op, right));
    }
    Ok(Calculation::new(ARITHMETIC, Operation::Arithmetic(op)).of(vec![left, right]))
}

/// `- operand`, with NULL where there is no result: the least integer has no positive counterpart, and whether that is
/// an error depends on whether the operand is a literal.
///
/// # Errors
/// If the operand has no type.
pub(super) fn negated(operand: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    if operand.get_type(schema)?.is_floating() {
        return Ok(Expr::Negative(Box::new(operand)));
    }
    Ok(Calculation::new(NEGATION, Operation::Negation).of(vec![operand]))
}

/// `operand` as `to`, with NULL where there is no such value.
///
/// # Errors
/// If no value of the operand's type can be cast.
pub(super) fn converted(operand: Expr, to: &DataType, schema: &dyn ExprSchema) -> Result<Expr> {
    let from = operand.get_type(schema)?;
    if is_total_cast(&from, to) {
        return Ok(Expr::TryCast(TryCast::new(Box::new(operand), to.clone())));
    }
    if !can_cast_types(&from, to) {
        return Err(DataFusionError::Plan(format!("cannot cast {from} to {to}")));
    }
    Ok(Calculation::new(CONVERSION, Operation::Cast(to.clone())).of(vec![operand]))
}

/// Whether `left op right` has a result for all values: integers wrap around, floats have infinity.
pub(super) fn is_total_arithmetic(op: Operator, left: &DataType, right: &DataType) -> bool {
    let is_division = matches!(op, Operator::Divide | Operator::Modulo);
    let is_listed = is_division || matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply);
    is_listed && left == right && (is_float(left) || !is_division && left.is_integer())
}

/// Whether `TRY_CAST` never fails: between numbers, text and booleans, where a value that cannot be cast becomes NULL.
pub(super) fn is_total_cast(from: &DataType, to: &DataType) -> bool {
    let is_plain = |data_type: &DataType| {
        data_type.is_integer() || is_float(data_type) || is_text(data_type) || *data_type == DataType::Boolean
    };
    can_cast_types(from, to) && is_plain(to) && (is_plain(from) || *from == DataType::Null)
}

const fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

const fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Utf8View)
}

/// The operand of a cast by this function; `None` for everything else.
pub(super) fn cast_operand(function: &ScalarFunction) -> Option<&Expr> {
    let calculation = function.func.inner().downcast_ref::<Calculation>()?;
    match calculation.operation {
        Operation::Cast(_) => function.args.first(),
        Operation::Arithmetic(_) | Operation::Negation => None,
    }
}

/// Whether the function is one of this module.
pub(super) fn is_calculation(function: &ScalarFunction) -> bool {
    function.func.inner().is::<Calculation>()
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Arithmetic(Operator),
    Negation,
    Cast(DataType),
}

/// An operation as a function of its operands.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Calculation {
    name: &'static str,
    operation: Operation,
    signature: Signature,
}

impl Calculation {
    fn new(name: &'static str, operation: Operation) -> Self {
        let operands = match operation {
            Operation::Arithmetic(_) => 2,
            Operation::Negation | Operation::Cast(_) => 1,
        };
        Self {
            name,
            operation,
            signature: Signature::any(operands, Volatility::Immutable),
        }
    }

    fn of(self, operands: Vec<Expr>) -> Expr {
        let function = Arc::new(ScalarUDF::new_from_impl(self));
        Expr::ScalarFunction(ScalarFunction::new_udf(function, operands))
    }

    fn expression(&self) -> Arc<dyn PhysicalExpr> {
        let operand = |at: usize| -> Arc<dyn PhysicalExpr> { Arc::new(physical::Column::new("operand", at)) };
        match &self.operation {
            Operation::Arithmetic(op) => Arc::new(physical::BinaryExpr::new(operand(0), *op, operand(1))),
            Operation::Negation => Arc::new(physical::NegativeExpr::new(operand(0))),
            Operation::Cast(to) => Arc::new(physical::TryCastExpr::new(operand(0), to.clone())),
        }
    }
}

impl ScalarUDFImpl for Calculation {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (&self.operation, types) {
            (Operation::Arithmetic(op), [left, right]) => BinaryTypeCoercer::new(left, op, right).get_result_type(),
            (Operation::Negation, [operand]) => Ok(operand.clone()),
            (Operation::Cast(to), [_]) => Ok(to.clone()),
            (Operation::Arithmetic(_) | Operation::Negation | Operation::Cast(_), _) => {
                Err(DataFusionError::Internal("another number of operands".to_owned()))
            }
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operands = ColumnarValue::values_to_arrays(&args.args)?;
        let values = total(self.expression().as_ref(), &operands, args.return_field.data_type())?;
        Ok(ColumnarValue::Array(values))
    }
}

/// The values of `expression`, with NULL where it fails.
fn total(expression: &dyn PhysicalExpr, operands: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let rows = operands.first().map_or(0, |operand| operand.len());
    if let Some(values) = evaluated(expression, operands, rows).filter(|values| values.data_type() == result) {
        return Ok(values);
    }
    if rows <= 1 {
        return Ok(new_null_array(result, rows));
    }
    let half = rows / 2;
    let part = |offset: usize, length: usize| {
        let operands: Vec<ArrayRef> = operands.iter().map(|operand| operand.slice(offset, length)).collect();
        total(expression, &operands, result)
    };
    let (first, second) = (part(0, half)?, part(half, rows.saturating_sub(half))?);
    Ok(concat(&[first.as_ref(), second.as_ref()])?)
}

/// The values, if `expression` has one for all rows. In an unoptimized build, an overflow inside of the library panics.
fn evaluated(expression: &dyn PhysicalExpr, operands: &[ArrayRef], rows: usize) -> Option<ArrayRef> {
    let fields: Vec<Field> = operands
        .iter()
        .map(|operand| Field::new("operand", operand.data_type().clone(), true))
        .collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), operands.to_vec()).ok()?;
    // The expression has no state, and its operands are not changed.
    let values = catch_unwind(AssertUnwindSafe(|| expression.evaluate(&batch)?.into_array(rows)));
    values.ok()?.ok().filter(|values| values.len() == rows)
}

#[cfg(test)]
mod tests;
