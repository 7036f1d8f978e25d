//! Multiples of 1, 2, 2.5 and 5 times a power of ten, and where they are among values.

/// The most edges of bands.
pub(super) const MAX_EDGES: usize = 12;
/// Steps within a power of ten, the widest first, as whole numbers of a tenth of it: 5, 2.5, 2 and 1.
pub(super) const STEPS: [i64; 4] = [50, 25, 20, 10];
/// Whole numbers up to here are exact in floating point.
pub(super) const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Whether multiples of a step are whole, if they have to be.
pub(super) const fn is_usable(tenths: i64, power: i32, whole: bool) -> bool {
    !whole || power >= 1 || (power == 0 && tenths % 10 == 0)
}

/// How many values are below an edge.
pub(super) fn below_edge(values: &[f64], edge: f64) -> usize {
    values.partition_point(|value| *value < edge)
}

/// `digits` times ten to the `power`, as it is written in decimal digits; `None` if it is not finite. Factors and steps are small, so the
/// product is exact; one that is not is only less round.
pub(super) fn decimal(digits: i64, power: i32) -> Option<f64> {
    let digits = digits as f64;
    let value = if power < 0 {
        digits / 10_f64.powi(-power)
    } else {
        digits * 10_f64.powi(power)
    };
    value.is_finite().then_some(value)
}

/// The power of ten of the first digit.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the logarithm of a floating-point number is below 400"
)]
pub(super) fn exponent(value: f64) -> i32 {
    value.abs().log10().floor() as i32
}
