//! Sums that do not depend on the order in which they are added.
//!
//! Each contribution is clipped to a range before it is added, so it is a whole number of *quanta*, a power of two that follows from the range
//! alone: 2^-94 of the largest contribution. Whole numbers are added exactly, and so is every number above 2^-41 of the largest one; others
//! are rounded once, to the nearest quantum, when they are read. Adding whole numbers is associative, so rows can come in any order, in
//! parts, and in several passes. 2^32 contributions fit in 128 bits.

/// Binary digits of the largest contribution.
const DIGITS: i32 = 94;
/// The exponent of the least number above zero.
const LEAST: i32 = -1_074;
/// The magnitude of what is beyond the range, which no clipped contribution is.
const MOST: i128 = 1 << DIGITS;

/// The unit of a sum: a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantum {
    exponent: i32,
}

impl Quantum {
    /// The quantum of contributions with magnitudes of at most `bound`.
    pub(super) fn of(bound: f64) -> Self {
        let (mantissa, exponent) = parts(bound.abs().min(f64::MAX));
        let digits = i32::try_from(u64::BITS - mantissa.leading_zeros()).unwrap_or_default();
        Self {
            exponent: (exponent + digits - DIGITS).max(LEAST),
        }
    }

    /// A finite number within the bound, in quanta.
    pub(crate) fn units(self, number: f64) -> i128 {
        let (mantissa, exponent) = parts(number);
        let magnitude = scaled(i128::from(mantissa), exponent - self.exponent);
        if number < 0.0 { -magnitude } else { magnitude }
    }

    /// A whole number within the bound, in quanta.
    pub(super) fn whole(self, number: i64) -> i128 {
        let magnitude = scaled(i128::from(number.unsigned_abs()), -self.exponent);
        if number < 0 { -magnitude } else { magnitude }
    }

    /// Quanta as a number.
    #[must_use]
    pub(crate) fn value(self, units: i128) -> f64 {
        let half = self.exponent / 2;
        units as f64 * 2_f64.powi(half) * 2_f64.powi(self.exponent - half)
    }
}

/// The magnitude of a finite number: a whole number, and the power of two that it is multiplied by.
fn parts(number: f64) -> (u64, i32) {
    const FRACTION: u32 = 52;
    let bits = number.abs().to_bits();
    let fraction = bits & ((1 << FRACTION) - 1);
    match i32::try_from(bits >> FRACTION).unwrap_or_default() {
        0 => (fraction, LEAST),
        biased => (fraction | (1 << FRACTION), biased - 1_075),
    }
}

/// A magnitude times a power of two, rounded to the nearest whole number, halves up.
fn scaled(magnitude: i128, shift: i32) -> i128 {
    let steps = shift.unsigned_abs();
    if shift >= 0 {
        let factor = 1_i128.checked_shl(steps).filter(|factor| *factor > 0);
        return factor
            .and_then(|factor| magnitude.checked_mul(factor))
            .unwrap_or(MOST)
            .min(MOST);
    }
    // Magnitudes are below 2^64.
    if steps > 65 {
        return 0;
    }
    (magnitude + (1 << (steps - 1))) >> steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sum_is_the_same_in_any_order(mut numbers in prop::collection::vec(-1e3_f64..1e3, 1..60)) {
            let quantum = Quantum::of(1e3);
            let sum = |numbers: &[f64]| numbers.iter().map(|number| quantum.units(*number)).sum::<i128>();
            let forward = sum(&numbers);
            numbers.reverse();
            prop_assert_eq!(forward, sum(&numbers));
            numbers.sort_by(f64::total_cmp);
            prop_assert_eq!(forward, sum(&numbers));
            let plain: f64 = numbers.iter().sum();
            prop_assert!((quantum.value(forward) - plain).abs() <= 1e-9 * plain.abs().max(1.0));
        }

        #[test]
        fn number_survives_its_quanta(number in -1e6_f64..1e6) {
            let quantum = Quantum::of(1e6);
            let again = quantum.value(quantum.units(number));
            prop_assert!(number.abs() < 1e-5 || again.to_bits() == number.to_bits(), "{}", again);
        }

        #[test]
        fn whole_number_is_exact(number in any::<i64>()) {
            let quantum = Quantum::of(9.3e18);
            prop_assert_eq!(quantum.whole(number) - quantum.whole(number.wrapping_add(1)) < 0, number != i64::MAX);
            prop_assert_eq!(quantum.whole(number), quantum.whole(1) * i128::from(number));
        }
    }

    #[test]
    fn quantum_of_extreme_ranges_has_a_value() {
        for bound in [f64::MAX, f64::MIN_POSITIVE, 5e-324, 1.0, 1e308, 1e-300] {
            let quantum = Quantum::of(bound);
            for number in [bound, -bound, bound / 2.0, 0.0] {
                assert_eq!(quantum.value(quantum.units(number)), number, "{bound}");
            }
            let most = quantum.units(bound).saturating_mul(i128::from(u32::MAX));
            assert!(most < i128::MAX && most > 0, "{bound}");
        }
    }
}
