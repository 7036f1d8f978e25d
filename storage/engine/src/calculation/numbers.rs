//! Arithmetic of numbers: NULL where a whole number does not fit, and one zero and one NaN.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, PrimitiveArray},
    compute::kernels::numeric,
    datatypes::{DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type},
};
use datafusion::{
    error::Result,
    logical_expr::{ColumnarValue, Operator},
};

use crate::floats::canonical;

/// `left op right` for numbers of one type, none of which overflows; `None` for everything else.
pub(super) fn without_overflow(op: Operator, operands: &[ColumnarValue]) -> Option<ArrayRef> {
    let [left, right] = operands else { return None };
    let number = left.data_type().is_integer() || left.data_type().is_floating();
    if left.data_type() != right.data_type() || !number {
        return None;
    }
    let values = match (left, right) {
        (ColumnarValue::Array(left), ColumnarValue::Array(right)) => checked(op, left, right),
        (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => checked(op, left, &right.to_scalar().ok()?),
        (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => checked(op, &left.to_scalar().ok()?, right),
        (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => None,
    };
    values.map(canonical)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other operators are not calculated here")]
fn checked(op: Operator, left: &dyn arrow::array::Datum, right: &dyn arrow::array::Datum) -> Option<ArrayRef> {
    match op {
        Operator::Plus => numeric::add(left, right).ok(),
        Operator::Minus => numeric::sub(left, right).ok(),
        Operator::Multiply => numeric::mul(left, right).ok(),
        _ => None,
    }
}

/// `left op right` for each row; `None` if these are not whole numbers of one type.
///
/// # Errors
/// If the arrays differ in length.
pub(super) fn calculated(op: Operator, left: &ArrayRef, right: &ArrayRef) -> Result<Option<ArrayRef>> {
    if left.data_type() != right.data_type() || !matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply) {
        return Ok(None);
    }
    macro_rules! of_type {
        ($($name:ident => $primitive:ty),*) => {
            match left.data_type() {
                $(DataType::$name => each::<$primitive>(op, left.as_primitive(), right.as_primitive()),)*
                _ => return Ok(None),
            }
        };
    }
    Ok(Some(of_type!(
        Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type, Int64 => Int64Type,
        UInt8 => UInt8Type, UInt16 => UInt16Type, UInt32 => UInt32Type, UInt64 => UInt64Type
    )))
}

fn each<T: ArrowPrimitiveType>(op: Operator, left: &PrimitiveArray<T>, right: &PrimitiveArray<T>) -> ArrayRef {
    let calculate = |left: T::Native, right: T::Native| {
        if op == Operator::Plus {
            left.add_checked(right)
        } else if op == Operator::Minus {
            left.sub_checked(right)
        } else {
            left.mul_checked(right)
        }
    };
    let rows = left.iter().zip(right);
    let values: PrimitiveArray<T> = rows.map(|(left, right)| calculate(left?, right?).ok()).collect();
    Arc::new(values)
}
