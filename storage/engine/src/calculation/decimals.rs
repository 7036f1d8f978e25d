//! Arithmetic of decimals: exact, with NULL where the result has more digits than its type.
//!
//! The scale of a result is that of the library: of a sum and a remainder the larger one, of a product the sum of both, of a quotient four
//! digits more than that of the dividend, beyond which it is cut. What the library computes on the way to a quotient or to a sum of two scales
//! can have more digits than the result; there it is computed again with twice as many.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Decimal128Array},
    compute::{kernels::numeric, nullif},
    datatypes::{DataType, Decimal128Type, DecimalType, i256},
};
use datafusion::{
    error::{DataFusionError, Result},
    logical_expr::{Operator, binary::BinaryTypeCoercer},
};

/// `left op right` for each row; `None` if these are not decimals of 128 bits.
///
/// # Errors
/// If there is no such operation of their types.
#[expect(clippy::wildcard_enum_match_arm, reason = "other operators do not divide")]
pub(super) fn calculated(op: Operator, left: &ArrayRef, right: &ArrayRef) -> Result<Option<ArrayRef>> {
    let (&DataType::Decimal128(_, left_scale), &DataType::Decimal128(_, right_scale)) =
        (left.data_type(), right.data_type())
    else {
        return Ok(None);
    };
    let result = BinaryTypeCoercer::new(left.data_type(), &op, right.data_type()).get_result_type()?;
    let DataType::Decimal128(digits, scale) = result else {
        return Err(DataFusionError::Internal(
            "arithmetic of decimals is no decimal".to_owned(),
        ));
    };
    // One divisor that is zero would end what the library computes for all rows.
    let right = &match op {
        Operator::Divide | Operator::Modulo => without_zeros(right)?,
        _ => Arc::clone(right),
    };
    let exact = match narrow(op, left, right) {
        Some(values) => values
            .as_primitive::<Decimal128Type>()
            .null_if_overflow_precision(digits),
        None => {
            let rows = left.as_primitive::<Decimal128Type>().iter();
            let rows = rows.zip(right.as_primitive::<Decimal128Type>());
            let row = |(left, right): (Option<i128>, Option<i128>)| {
                let value = wide(op, (left?, left_scale), (right?, right_scale), scale)?;
                Decimal128Type::is_valid_decimal_precision(value, digits).then_some(value)
            };
            Decimal128Array::from(rows.map(row).collect::<Vec<Option<i128>>>())
        }
    };
    // Either of them has the default type until here.
    Ok(Some(Arc::new(exact.with_precision_and_scale(digits, scale)?)))
}

/// The divisors, missing in place of zero: so is what is divided by zero.
fn without_zeros(divisors: &ArrayRef) -> Result<ArrayRef> {
    let zeros = BooleanArray::from_unary(divisors.as_primitive::<Decimal128Type>(), |divisor| divisor == 0);
    Ok(nullif(divisors, &zeros)?)
}

/// What the library computes; `None` if a value on the way does not fit in 128 bits.
#[expect(clippy::wildcard_enum_match_arm, reason = "other operators do not compute")]
fn narrow(op: Operator, left: &ArrayRef, right: &ArrayRef) -> Option<ArrayRef> {
    match op {
        Operator::Plus => numeric::add(left, right).ok(),
        Operator::Minus => numeric::sub(left, right).ok(),
        Operator::Multiply => numeric::mul(left, right).ok(),
        Operator::Divide => numeric::div(left, right).ok(),
        Operator::Modulo => numeric::rem(left, right).ok(),
        _ => None,
    }
}

/// `left op right` of numbers with so many digits after the point, with `scale` digits after it; `None` where there is no result in 128 bits.
#[expect(clippy::wildcard_enum_match_arm, reason = "other operators do not compute")]
fn wide(op: Operator, (left, left_scale): (i128, i8), (right, right_scale): (i128, i8), scale: i8) -> Option<i128> {
    let (left, right) = (i256::from_i128(left), i256::from_i128(right));
    let aligned = || {
        let left = left.checked_mul(power(scale.checked_sub(left_scale)?)?)?;
        Some((left, right.checked_mul(power(scale.checked_sub(right_scale)?)?)?))
    };
    let value = match op {
        Operator::Plus => aligned().and_then(|(left, right)| left.checked_add(right)),
        Operator::Minus => aligned().and_then(|(left, right)| left.checked_sub(right)),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => {
            let more = scale.checked_sub(left_scale)?.checked_add(right_scale)?;
            if more < 0 {
                left.checked_div(right.checked_mul(power(more.checked_neg()?)?)?)
            } else {
                left.checked_mul(power(more)?)?.checked_div(right)
            }
        }
        Operator::Modulo => aligned().and_then(|(left, right)| left.checked_rem(right)),
        _ => None,
    };
    value?.to_i128()
}

fn power(digits: i8) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::try_from(digits).ok()?)
}

#[cfg(test)]
mod tests {
    use arrow::array::Array as _;

    use super::*;

    /// The library computes a batch with divisors that are zero: what it computes in 128 bits is not computed again in 256.
    #[test]
    fn divisor_that_is_zero_is_missing_before_rows_are_divided() {
        let decimals = |values: Vec<Option<i128>>| -> ArrayRef {
            Arc::new(Decimal128Array::from(values).with_precision_and_scale(10, 2).unwrap())
        };
        let left = decimals(vec![Some(600), Some(500), None, Some(0)]);
        let right = decimals(vec![Some(200), Some(0), Some(100), Some(0)]);
        for op in [Operator::Divide, Operator::Modulo] {
            assert!(narrow(op, &left, &right).is_none(), "{op}");
            let divisors = without_zeros(&right).unwrap();
            let found = narrow(op, &left, &divisors).unwrap();
            let missing: Vec<bool> = (0..found.len()).map(|row| found.is_null(row)).collect();
            assert_eq!(missing, [false, true, true, true], "{op}");
            assert_eq!(
                calculated(op, &left, &right).unwrap().unwrap().logical_nulls(),
                found.logical_nulls()
            );
        }
    }
}
