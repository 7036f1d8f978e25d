//! Round numbers between the values of subjects.

use chrono::{Datelike as _, NaiveDate};

use super::{
    levels::ProposedRange,
    quantiles::quantile_edges,
    round_numbers::{MAX_EDGES, MAX_EXACT, STEPS, below_edge, decimal, exponent, is_usable},
};

/// As few edges as make a useful distribution.
pub(super) const ENOUGH_EDGES: usize = 5;
/// The most round numbers that are tried for one step.
const MAX_CANDIDATES: i64 = 4_096;
/// Powers of ten below the width of the values that are tried.
const DECADES: i32 = 6;
/// Steps of years.
const YEARS: [i64; 6] = [50, 20, 10, 5, 2, 1];

/// Edges at round numbers: multiples of 1, 2, 2.5 or 5 times a power of ten. At least `least` values are below the first, from the last on,
/// and between two. `values` ascend. The widest step with five edges is taken, or the one with the most; if no step divides the values
/// evenly, the edges are at quantiles, unless these divide them no better.
pub(super) fn round_edges(values: &[f64], least: usize, whole: bool) -> Vec<f64> {
    let Some(inner) = Inner::of(values, least) else {
        return Vec::new();
    };
    let top = exponent(inner.high - inner.low);
    let steps = (0..=DECADES).flat_map(|down| STEPS.map(|tenths| (tenths, top - down)));
    let usable = steps.filter(|(tenths, power)| is_usable(*tenths, *power, whole));
    let edges = best(
        values,
        usable.filter_map(|(tenths, power)| {
            let candidates = multiples(&inner, decimal(tenths, power - 1)?)?;
            let edges = candidates.filter_map(|factor| decimal(factor.checked_mul(tenths)?, power - 1));
            Some(separated(values, edges, least))
        }),
    );
    if is_even(values, &edges) {
        return edges;
    }
    let at_quantiles = quantile_edges(values, least, whole);
    if largest_part(values, &at_quantiles) < largest_part(values, &edges) {
        at_quantiles
    } else {
        edges
    }
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
    let edges_of = |step: i64| {
        let years = multiples(&inner, decimal(step, 0)?)?;
        let edges = years.filter_map(|factor| decimal(factor.checked_mul(step)?, 0));
        Some(separated(values, edges, least))
    };
    best(values, YEARS.into_iter().filter_map(edges_of))
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
    let edges_of = |step: i64| {
        let first = years.start().div_euclid(step);
        let last = years.end().div_euclid(step);
        let is_bounded = last.saturating_sub(first) < MAX_CANDIDATES;
        let edges = (first..=last).filter_map(|factor| first_day(factor.checked_mul(step)?));
        is_bounded.then(|| separated(values, edges, least))
    };
    best(values, YEARS.into_iter().filter_map(edges_of))
}

/// The range of all values but the `least` smallest and largest, rounded outward to one digit. `values` ascend. No value of fewer than
/// `least` subjects decides it: the ends are of the value beyond which `least` others are, and only their first digit is known.
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
pub(super) fn separated(values: &[f64], candidates: impl Iterator<Item = f64>, least: usize) -> Vec<f64> {
    let mut below = 0;
    candidates
        .filter(|edge| {
            let count = below_edge(values, *edge);
            let is_separated = count - below >= least && values.len() - count >= least;
            if is_separated {
                below = count;
            }
            is_separated
        })
        .collect()
}

/// The first with enough edges that divides the values evenly, or the first of those with the most.
fn best(values: &[f64], found: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
    let mut best = Vec::new();
    for edges in found.filter(|edges| edges.len() <= MAX_EDGES) {
        let is_enough = edges.len() >= ENOUGH_EDGES && is_even(values, &edges);
        if is_enough || edges.len() > best.len() {
            best = edges;
        }
        if is_enough {
            break;
        }
    }
    best
}

/// Whether at most half of the values are between two edges, or beyond one. An outlier makes a step so wide that almost all are.
fn is_even(values: &[f64], edges: &[f64]) -> bool {
    largest_part(values, edges) <= values.len() / 2
}

/// How many values are between two edges, or beyond one, at most.
fn largest_part(values: &[f64], edges: &[f64]) -> usize {
    let counts = edges.iter().map(|edge| below_edge(values, *edge));
    let mut before = 0;
    let mut largest = 0;
    for count in counts.chain([values.len()]) {
        largest = largest.max(count - before);
        before = count;
    }
    largest
}

/// The factors of a step whose multiples are within the values; `None` if there are too many, or the numbers are too large.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers, checked to be exact in floating point"
)]
fn multiples(inner: &Inner, step: f64) -> Option<std::ops::RangeInclusive<i64>> {
    let first = (inner.low / step).floor();
    let last = (inner.high / step).ceil();
    let is_exact = first.abs() < MAX_EXACT && last.abs() < MAX_EXACT;
    let factors = is_exact.then_some(first as i64..=last as i64)?;
    (factors.end() - factors.start() < MAX_CANDIDATES).then_some(factors)
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
