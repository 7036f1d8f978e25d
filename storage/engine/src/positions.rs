//! Whether values stay as they are in another type, and the positions of numbers among all numbers.
//!
//! Whole numbers, decimals without digits after the point, and floating point numbers have one order, in which a position is a whole
//! number.
//!
//! The position of `w + f`, where `w` is whole and `f` is the fraction of a `DOUBLE`, is `w * 2^62` plus the bits of `f`: the bits of
//! floating point numbers from 0 to 1 are in the order of these numbers, and below 2^62. Beyond all decimals, the bits of a `DOUBLE` are
//! counted on from there. So equal numbers have equal positions, whatever their types, and no other numbers have.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal256Array},
    compute::kernels::cmp::not_distinct,
    datatypes::{DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Float64Type, i256},
};
use datafusion::error::Result;

use super::{conversion::converted, types::MAX_DIGITS};

/// The type of a position.
pub(crate) const POSITION: DataType = DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0);
/// The first `DOUBLE` that is greater than every decimal: 2^127.
pub(crate) const LIMIT: f64 = f64::from_bits(0x47E0_0000_0000_0000);
/// From one whole number to the next.
const STEP: i256 = i256::from_i128(1 << 62);

/// The positions of numbers.
///
/// # Errors
/// If they are not whole numbers, decimals without digits after the point, or floating point numbers.
pub(crate) fn positions(numbers: &ArrayRef) -> Result<ArrayRef> {
    let positions: Decimal256Array = if numbers.data_type().is_floating() {
        let doubles = converted(numbers, &DataType::Float64)?;
        let doubles = doubles.as_primitive::<Float64Type>();
        doubles.unary::<_, Decimal256Type>(of_double)
    } else {
        let wholes = converted(numbers, &DataType::Decimal128(MAX_DIGITS, 0))?;
        let wholes = wholes.as_primitive::<Decimal128Type>();
        wholes.unary::<_, Decimal256Type>(of_whole)
    };
    Ok(Arc::new(
        positions.with_precision_and_scale(DECIMAL256_MAX_PRECISION, 0)?,
    ))
}

/// The values as the type; `None` if one of them would be another one.
///
/// # Errors
/// If there is no conversion between the types.
pub fn unchanged(values: &ArrayRef, to: &DataType) -> Result<Option<ArrayRef>> {
    let changed = converted(values, to)?;
    let back = converted(&changed, values.data_type())?;
    let same = not_distinct(&back, values)?;
    Ok((same.true_count() == values.len()).then_some(changed))
}

/// At most 2^189, which has 57 digits.
const fn of_whole(number: i128) -> i256 {
    i256::from_i128(number).wrapping_mul(STEP)
}

fn of_double(number: f64) -> i256 {
    let magnitude = if number.is_nan() { f64::NAN } else { number.abs() };
    let position = if magnitude < LIMIT {
        let whole = magnitude.trunc();
        beyond(within_limit(whole), (magnitude - whole).to_bits())
    } else {
        beyond(i128::MAX, magnitude.to_bits().saturating_sub(LIMIT.to_bits()))
    };
    if number < 0.0 {
        position.wrapping_neg()
    } else {
        position
    }
}

fn beyond(whole: i128, bits: u64) -> i256 {
    of_whole(whole).wrapping_add(i256::from_i128(i128::from(bits)))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a whole number below 2^127 is not changed"
)]
const fn within_limit(whole: f64) -> i128 {
    whole as i128
}
