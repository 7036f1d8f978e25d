//! Casts, arithmetic and functions that return NULL where they have no result.
//!
//! Some operations fail on some values: a date that no calendar has cannot become text, a difference of timestamps can
//! overflow, and so can a product of decimals. [`Calculation`] is such an operation as a function. If it fails on the
//! values of a batch, each half of the batch is computed separately, down to the single values that fail, which become
//! NULL. This does not depend on knowing which values fail.
//!
//! Casts that are known not to fail ([`is_total_cast`]) stay as they are, since the optimizer knows them.

mod date_trunc;
mod decimals;
mod function;
mod numbers;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, RecordBatch, new_null_array},
    compute::{can_cast_types, concat, kernels::numeric::neg},
    datatypes::{DataType, Field, Schema},
};
use datafusion::{
    common::ExprSchema,
    error::{DataFusionError, Result},
    logical_expr::{
        ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TryCast,
        Volatility, binary::BinaryTypeCoercer, expr::ScalarFunction,
    },
    physical_expr::expressions as physical,
    physical_plan::PhysicalExpr,
};

use super::{
    QueryError,
    calendar::within_years,
    conversion,
    divide::divided,
    floats::canonical,
    functions::{ARITHMETIC, CONVERSION, NEGATION, POSITION},
    meaning::shown,
    positions,
};
pub(super) use function::guarded;

/// `left op right`, with NULL where there is no result.
///
/// # Errors
/// If the operands have no type.
pub(super) fn arithmetic(left: Expr, op: Operator, right: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    let is_number = |data_type: DataType| data_type.is_integer() || is_float(&data_type);
    let numbers = is_number(left.get_type(schema)?) && is_number(right.get_type(schema)?);
    if numbers && matches!(op, Operator::Divide | Operator::Modulo) {
        return Ok(divided(left, op, right));
    }
    Ok(Calculation::new(ARITHMETIC, Operation::Arithmetic(op)).of(vec![left, right]))
}

/// `- operand`, with NULL where there is no result: the least integer has no positive counterpart, and whether that is
/// an error depends on whether the operand is a literal.
pub(super) fn negated(operand: Expr) -> Expr {
    Calculation::new(NEGATION, Operation::Negation).of(vec![operand])
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

/// `operand` as `to`, with an error for a value that has no counterpart.
pub(super) fn strict(operand: Expr, to: &DataType) -> Expr {
    Calculation::new(CONVERSION, Operation::StrictCast(to.clone())).of(vec![operand])
}

/// The whole number `operand` as `DOUBLE`, with an error for one that has none.
pub(super) fn as_double(operand: Expr) -> Expr {
    let written = shown(&operand);
    Calculation::new(CONVERSION, Operation::AsDouble(written)).of(vec![operand])
}

/// By what the number `operand` is compared with numbers of other types ([`positions`](mod@positions)).
pub(super) fn position(operand: Expr) -> Expr {
    Calculation::new(POSITION, Operation::Position).of(vec![operand])
}

/// Whether the `TRY_CAST` of the library never fails and rounds as ours: between numbers, text and booleans, where a value that cannot be
/// cast becomes NULL.
pub(super) fn is_total_cast(from: &DataType, to: &DataType) -> bool {
    let is_plain = |data_type: &DataType| {
        data_type.is_integer() || is_float(data_type) || is_text(data_type) || *data_type == DataType::Boolean
    };
    let rounds = is_float(from) && to.is_integer() || *from == DataType::Float64 && *to == DataType::Float32;
    let rounds = rounds || is_text(from) && is_float(to);
    let exact = matches!(to, DataType::Decimal128(..)) && from.is_integer() && !conversion::can_fail(from, to);
    can_cast_types(from, to) && (is_plain(to) && !rounds && (is_plain(from) || *from == DataType::Null) || exact)
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
        Operation::Cast(_) | Operation::StrictCast(_) | Operation::AsDouble(_) => function.args.first(),
        Operation::Arithmetic(_) | Operation::Negation | Operation::Position => None,
    }
}

/// Whether the function is one of this module that never fails.
pub(super) fn is_calculation(function: &ScalarFunction) -> bool {
    let calculation = function.func.inner().downcast_ref::<Calculation>();
    let fails = |operation: &Operation| matches!(operation, Operation::StrictCast(_) | Operation::AsDouble(_));
    calculation.is_some_and(|calculation| !fails(&calculation.operation))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Arithmetic(Operator),
    Negation,
    Cast(DataType),
    /// A cast that ends the answer where it fails.
    StrictCast(DataType),
    /// A whole number, as the query wrote it, as `DOUBLE`: one that has none ends the answer.
    AsDouble(String),
    /// The position of a number among all numbers.
    Position,
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
            Operation::Negation | Operation::Cast(_) | Operation::StrictCast(_) => 1,
            Operation::AsDouble(_) | Operation::Position => 1,
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

    /// The values for these operands, if there is one for each row.
    fn values(&self, operands: &[ArrayRef]) -> Result<ArrayRef> {
        let operand = |at: usize| -> Arc<dyn PhysicalExpr> { Arc::new(physical::Column::new("operand", at)) };
        match (&self.operation, operands) {
            (Operation::Cast(to) | Operation::StrictCast(to), [values]) => Ok(conversion::converted(values, to)?),
            (Operation::Negation, [values]) => Ok(canonical(neg(values)?)),
            (Operation::Position, [values]) => positions::positions(values),
            (Operation::Arithmetic(op), [left, right]) => {
                if let Some(values) = numbers::calculated(*op, left, right)? {
                    return Ok(values);
                }
                if let Some(values) = decimals::calculated(*op, left, right)? {
                    return Ok(values);
                }
                let values = evaluated(&physical::BinaryExpr::new(operand(0), *op, operand(1)), operands)?;
                Ok(canonical(within_years(values)))
            }
            _ => Err(DataFusionError::Internal("another number of operands".to_owned())),
        }
    }

    /// The cast, or its error.
    fn cast_strictly(&self, operands: &[ArrayRef], to: &DataType) -> Result<ArrayRef> {
        let missing = |values: &ArrayRef| values.logical_null_count();
        let before: usize = operands.iter().map(missing).sum();
        let cast = attempted(|| self.values(operands)).filter(|values| missing(values) <= before);
        cast.ok_or_else(|| {
            DataFusionError::External(Box::new(QueryError::CannotCast {
                target: conversion::name(to),
            }))
        })
    }
}

/// The whole numbers as `DOUBLE`, or the error that one of them has none.
fn doubles(operands: &[ArrayRef], written: &str) -> Result<ArrayRef> {
    let doubles = match operands {
        [values] => attempted(|| positions::unchanged(values, &DataType::Float64)).flatten(),
        _ => None,
    };
    doubles.ok_or_else(|| {
        DataFusionError::External(Box::new(QueryError::NoDouble {
            operand: written.to_owned(),
        }))
    })
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
            (Operation::Cast(to) | Operation::StrictCast(to), [_]) => Ok(to.clone()),
            (Operation::AsDouble(_), [_]) => Ok(DataType::Float64),
            (Operation::Position, [_]) => Ok(positions::POSITION),
            (Operation::Arithmetic(_) | Operation::Negation | Operation::Cast(_) | Operation::StrictCast(_), _)
            | (Operation::AsDouble(_) | Operation::Position, _) => {
                Err(DataFusionError::Internal("another number of operands".to_owned()))
            }
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Operation::Arithmetic(op) = self.operation
            && let Some(values) = numbers::without_overflow(op, &args.args)
        {
            return Ok(ColumnarValue::Array(values));
        }
        let operands = ColumnarValue::values_to_arrays(&args.args)?;
        let values = match &self.operation {
            Operation::StrictCast(to) => self.cast_strictly(&operands, to)?,
            Operation::AsDouble(written) => doubles(&operands, written)?,
            Operation::Arithmetic(_) | Operation::Negation | Operation::Cast(_) | Operation::Position => total(
                &|operands| self.values(operands),
                &operands,
                args.return_field.data_type(),
            )?,
        };
        Ok(ColumnarValue::Array(values))
    }
}

/// The values that `compute` returns, with NULL where it fails.
///
/// # Errors
/// If its values have another type than `result`, or another number of rows: a mistake here must not look like missing values.
fn total(
    compute: &dyn Fn(&[ArrayRef]) -> Result<ArrayRef>,
    operands: &[ArrayRef],
    result: &DataType,
) -> Result<ArrayRef> {
    let rows = operands.first().map_or(0, |operand| operand.len());
    if let Some(values) = attempted(|| compute(operands)) {
        if values.data_type() != result || values.len() != rows {
            let (found, length) = (values.data_type(), values.len());
            return Err(DataFusionError::Internal(format!(
                "an operation with {rows} rows of {result} has {length} of {found}"
            )));
        }
        return Ok(values);
    }
    if rows <= 1 {
        return Ok(new_null_array(result, rows));
    }
    let half = rows / 2;
    let part = |offset: usize, length: usize| {
        let operands: Vec<ArrayRef> = operands.iter().map(|operand| operand.slice(offset, length)).collect();
        total(compute, &operands, result)
    };
    let (first, second) = (part(0, half)?, part(half, rows.saturating_sub(half))?);
    Ok(concat(&[first.as_ref(), second.as_ref()])?)
}

/// The result, if there is one. In an unoptimized build, an overflow inside of the library panics.
fn attempted<T>(compute: impl FnOnce() -> Result<T>) -> Option<T> {
    // What is computed has no state, and its operands are not changed.
    catch_unwind(AssertUnwindSafe(compute)).ok()?.ok()
}

/// The values of `expression` over the operands as columns.
fn evaluated(expression: &dyn PhysicalExpr, operands: &[ArrayRef]) -> Result<ArrayRef> {
    let fields: Vec<Field> = operands
        .iter()
        .map(|operand| Field::new("operand", operand.data_type().clone(), true))
        .collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), operands.to_vec())?;
    expression.evaluate(&batch)?.into_array(batch.num_rows())
}

#[cfg(test)]
mod tests;
