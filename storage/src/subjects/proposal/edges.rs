//! Round numbers between the values of subjects.

use chrono::{Datelike as _, NaiveDate};

use super::levels::ProposedRange;

/// As few edges as make a useful distribution.
const ENOUGH_EDGES: usize = 5;
/// The most edges that are proposed.
const MAX_EDGES: usize = 12;
/// The most round numbers that are tried for one step.
const MAX_CANDIDATES: i64 = 4_096;
/// Powers of ten below the width of the values that are tried.
const DECADES: i32 = 6;
/// Steps within a power of ten, the widest first, as whole numbers of a tenth of it: 5, 2.5, 2 and 1.
const STEPS: [i64; 4] = [50, 25, 20, 10];
/// Steps of years.
const YEARS: [i64; 6] = [50, 20, 10, 5, 2, 1];

/// Edges at round numbers: multiples of 1, 2, 2.5 or 5 times a power of ten. At least `least` values are below the first, from the last on,
/// and between two. `values` ascend. The widest step with five edges is taken, or the one with the most.
pub(super) fn round_edges(values: &[f64], least: usize, whole: bool) -> Vec<f64> {
    let Some(inner) = Inner::of(values, least) else {
        return Vec::new();
    };
    let top = exponent(inner.high - inner.low);
    let steps = (0..=DECADES).flat_map(|down| STEPS.map(|tenths| (tenths, top - down)));
    let usable = steps.filter(|(tenths, power)| !whole || *power >= 1 || (*power == 0 && tenths % 10 == 0));
    best(usable.filter_map(|(tenths, power)| {
        let candidates = multiples(&inner, decimal(tenths, power - 1)?)?;
        let edges = candidates.filter_map(|factor| decimal(factor.checked_mul(tenths)?, power - 1));
        Some(separated(values, edges, least))
    }))
}

/// Edges at multiples of ten: bands of ages.
pub(super) fn age_edges(values: &[f64], least: usize) -> Vec<f64> {
    separated(values, (1..=12_u8).map(|tens| f64::from(tens) * 10.0), least)
}

/// Edges at years that are multiples of 50, 20, 10, 5, 2 or 1.
pub(super) fn year_edges(values: &[f64], least: usize) -> Vec<f64> {
    let Some(inner) = Inner::of(values, least) else {
        return Vec::new();
    };
    best(YEARS.into_iter().filter_map(|step| {
        let years = multiples(&inner, decimal(step, 0)?)?;
        let edges = years.filter_map(|factor| decimal(factor.checked_mul(step)?, 0));
        Some(separated(values, edges, least))
    }))
}

/// Edges at the first days of years that are multiples of 50, 20, 10, 5, 2 or 1.
pub(super) fn day_edges(values: &[f64], least: usize) -> Vec<f64> {
    let years = Inner::of(values, least).and_then(|inner| {
        let low = date(inner.low)?.year();
        let high = date(inner.high)?.year();
        Some(i64::from(low)..=i64::from(high))
    });
    let Some(years) = years else {
        return Vec::new();
    };
    best(YEARS.into_iter().filter_map(|step| {
        let first = years.start().div_euclid(step);
        let last = years.end().div_euclid(step);
        let is_bounded = last.saturating_sub(first) < MAX_CANDIDATES;
        let edges = (first..=last).filter_map(|factor| first_day(factor.checked_mul(step)?));
        is_bounded.then(|| separated(values, edges, least))
    }))
}

/// The range of all values but the `least` smallest and largest, rounded outward to one digit. `values` ascend.
pub(super) fn range(values: &[f64], least: usize) -> Option<ProposedRange> {
    let last = values.len().checked_sub(least + 1)?;
    let low = rounded_down(*values.get(least)?)?;
    let high = -rounded_down(-*values.get(last)?)? + 0.0;
    (least <= last && low < high).then_some(ProposedRange { low, high })
}

/// The values between which edges can be.
struct Inner {
    low: f64,
    high: f64,
}

impl Inner {
    fn of(values: &[f64], least: usize) -> Option<Self> {
        let low = *values.get(least.checked_sub(1)?)?;
        let high = *values.get(values.len().checked_sub(least)?)?;
        (low < high && (high - low).is_finite()).then_some(Self { low, high })
    }
}

/// The candidates with at least `least` values on both sides, and between them and the one before.
fn separated(values: &[f64], candidates: impl Iterator<Item = f64>, least: usize) -> Vec<f64> {
    let mut below = 0;
    candidates
        .filter(|edge| {
            let count = values.partition_point(|value| value < edge);
            let is_separated = count - below >= least && values.len() - count >= least;
            if is_separated {
                below = count;
            }
            is_separated
        })
        .collect()
}

/// The first with enough edges, or that with the most.
fn best(found: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
    let mut best = Vec::new();
    for edges in found.filter(|edges| edges.len() <= MAX_EDGES) {
        if edges.len() > best.len() {
            best = edges;
        }
        if best.len() >= ENOUGH_EDGES {
            break;
        }
    }
    best
}

/// The factors of a step whose multiples are within the values; `None` if there are too many, or the numbers are too large.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers, checked to be exact in floating point"
)]
fn multiples(inner: &Inner, step: f64) -> Option<std::ops::RangeInclusive<i64>> {
    /// Whole numbers up to here are exact in floating point.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let first = (inner.low / step).floor();
    let last = (inner.high / step).ceil();
    let is_exact = first.abs() < MAX_EXACT && last.abs() < MAX_EXACT;
    let factors = is_exact.then_some(first as i64..=last as i64)?;
    (factors.end() - factors.start() < MAX_CANDIDATES).then_some(factors)
}

/// `digits` times ten to the `power`, as it is written in decimal digits; `None` if it is not finite. Factors and steps are small, so the
/// product is exact; one that is not is only less round.
fn decimal(digits: i64, power: i32) -> Option<f64> {
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
fn exponent(value: f64) -> i32 {
    value.abs().log10().floor() as i32
}

/// The largest number with one digit that is not above; `None` if there is none that is finite.
#[expect(clippy::cast_possible_truncation, reason = "at most two digits")]
fn rounded_down(value: f64) -> Option<f64> {
    if value == 0.0 {
        return Some(0.0);
    }
    let power = exponent(value);
    let unit = decimal(1, power)?;
    let digit = (value / unit).floor() as i64;
    // The quotient is rounded: the next digit is tried first.
    let digits = [digit.saturating_add(1), digit, digit.saturating_sub(1)];
    let mut rounded = digits.into_iter().filter_map(|digit| decimal(digit, power));
    rounded.find(|rounded| *rounded <= value)
}

fn date(day: f64) -> Option<NaiveDate> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and far days have no date")]
    let day = day as i64;
    NaiveDate::default().checked_add_signed(chrono::TimeDelta::try_days(day)?)
}

fn first_day(year: i64) -> Option<f64> {
    let first = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, 1, 1)?;
    let days = first.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).ok().map(f64::from)
}
