//! One zero and one NaN.
//!
//! The library orders floating point numbers by their bits: the two zeros differ, and a NaN with a sign, which a processor makes of
//! `infinity - infinity`, is below every other number. So the numbers that are read, and those that are computed, get one form of each.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray},
    datatypes::{Float32Type, Float64Type},
};
use datafusion::common::ScalarValue;

/// The same numbers with one zero and one NaN; other values as they are.
pub(super) fn canonical(values: ArrayRef) -> ArrayRef {
    if let Some(numbers) = values.as_primitive_opt::<Float64Type>() {
        if numbers.values().iter().all(|number| is_canonical(*number)) {
            return values;
        }
        return Arc::new(numbers.unary::<_, Float64Type>(number));
    }
    let Some(numbers) = values.as_primitive_opt::<Float32Type>() else {
        return values;
    };
    if numbers.values().iter().all(|number| is_canonical(f64::from(*number))) {
        return values;
    }
    Arc::new(numbers.unary::<_, Float32Type>(|number| if number.is_nan() { f32::NAN } else { number + 0.0 }))
}

/// The same value with one zero and one NaN.
pub(super) fn canonical_literal(value: ScalarValue) -> ScalarValue {
    if let ScalarValue::Float64(Some(literal)) = value {
        return ScalarValue::Float64(Some(number(literal)));
    }
    value
}

fn number(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number + 0.0 }
}

fn is_canonical(number: f64) -> bool {
    if number == 0.0 || number.is_nan() {
        number.is_sign_positive()
    } else {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float32Array, Float64Array, Int64Array};

    #[test]
    fn numbers_have_one_zero_and_one_nan() {
        let numbers = vec![
            Some(-0.0),
            Some(0.0),
            Some(-f64::NAN),
            None,
            Some(-1.5),
            Some(f64::NEG_INFINITY),
        ];
        let found = canonical(Arc::new(Float64Array::from(numbers)));
        let found: Vec<Option<u64>> = found
            .as_primitive::<Float64Type>()
            .iter()
            .map(|number| number.map(f64::to_bits))
            .collect();
        let bits = f64::to_bits;
        assert_eq!(
            found,
            [
                Some(bits(0.0)),
                Some(bits(0.0)),
                Some(bits(f64::NAN)),
                None,
                Some(bits(-1.5)),
                Some(bits(f64::NEG_INFINITY))
            ]
        );
        let found = canonical(Arc::new(Float32Array::from(vec![-0.0, -f32::NAN])));
        assert!(
            found
                .as_primitive::<Float32Type>()
                .values()
                .iter()
                .all(|number| number.is_sign_positive())
        );
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![-1]));
        assert_eq!(&canonical(Arc::clone(&whole)), &whole);
    }
}
