//! Round numbers at the quantiles, for values that no equal steps divide: costs, delays, values with outliers.
//!
//! From below, each edge is the roundest number after which a part has between two thirds and one and a half of what is aimed at: an eighth
//! of the values, and of the largest ones half of those that are left. Outliers are beyond the last edge, however far they are.

use super::round_numbers::{MAX_EDGES, MAX_EXACT, STEPS, below_edge, decimal, exponent, is_usable};

/// How many parts are aimed at.
const PARTS: usize = 8;

/// Edges at round numbers near the quantiles, at most 12. At least `least` values are below the first, from the last on, and between two.
/// `values` ascend.
pub(super) fn quantile_edges(values: &[f64], least: usize, whole: bool) -> Vec<f64> {
    let mut edges = Vec::new();
    let mut below = 0;
    while edges.len() < MAX_EDGES
        && let Some(edge) = next_edge(values, below, least, whole)
    {
        edges.push(edge);
        below = below_edge(values, edge);
    }
    edges
}

/// The edge after a part of the values that are not below.
fn next_edge(values: &[f64], below: usize, least: usize, whole: bool) -> Option<f64> {
    let even = values.len().div_ceil(PARTS);
    let part = even.min((values.len() - below) / 2);
    // The last parts are halves, as long as a quarter of what is left is enough.
    if part < even && part < 2 * least {
        return None;
    }
    let most_below = values.len().checked_sub(least)?;
    let first = below + least.max((2 * part).div_ceil(3));
    if first > most_below {
        return None;
    }
    // Values that are equal are on one side of an edge.
    let low = *values.get(first.checked_sub(1)?)?;
    let ties = values.partition_point(|value| *value <= low);
    let last = (below + part + part / 2).max(ties + least - 1).min(most_below);
    let edge = roundest(low, *values.get(last)?, *values.get(below + part)?, whole);
    // Nearly all that are left have this value, which is an edge if enough are below it.
    let begin = below_edge(values, low);
    let is_last = || begin >= below + least && ties - begin >= least;
    edge.or_else(|| is_last().then_some(low))
}

/// The number above `low` and up to `high` that is a multiple of the widest step, of several the nearest to `aim`. `None` if there is
/// none that is exact.
fn roundest(low: f64, high: f64, aim: f64, whole: bool) -> Option<f64> {
    if low >= high {
        return None;
    }
    if low < 0.0 && high >= 0.0 {
        return Some(0.0);
    }
    // What is zero and what is more is distinguished in many columns of numbers of events.
    if whole && low == 0.0 {
        return Some(1.0);
    }
    let aim = aim.clamp(low, high);
    let widest = exponent(low.abs().max(high.abs()));
    let narrowest = exponent(high - low).saturating_sub(1);
    let powers = (narrowest..=widest).rev();
    let steps = powers.flat_map(|power| STEPS.map(|tenths| (tenths, power)));
    let mut usable = steps.filter(|(tenths, power)| is_usable(*tenths, *power, whole));
    usable.find_map(|(tenths, power)| {
        let multiples = near(aim, tenths, power - 1)?.into_iter();
        let within = multiples.filter(|multiple| low < *multiple && *multiple <= high);
        within.min_by(|a, b| (a - aim).abs().total_cmp(&(b - aim).abs()))
    })
}

/// The multiples of a step around a number, of which one is within each interval that has the number and a multiple.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers, checked to be exact in floating point"
)]
fn near(aim: f64, tenths: i64, power: i32) -> Option<Vec<f64>> {
    let factor = (aim / decimal(tenths, power)?).round();
    let factor = (factor.abs() < MAX_EXACT / 100.0).then_some(factor as i64)?;
    let around = [factor - 1, factor, factor + 1];
    Some(
        around
            .into_iter()
            .filter_map(|factor| decimal(factor.checked_mul(tenths)?, power))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roundest_number_is_a_multiple_of_the_widest_step() {
        for (low, high, whole, expected) in [
            (3.0, 7.0, true, Some(5.0)),
            (60.0, 120.0, true, Some(100.0)),
            (0.31, 0.39, false, Some(0.35)),
            (31.0, 34.0, true, Some(32.0)),
            (-7.0, 3.0, false, Some(0.0)),
            (-34.0, -31.0, true, Some(-32.0)),
            (0.0, 4_000.0, true, Some(1.0)),
            (6.0, 7.0, true, Some(7.0)),
            (20_607.0, 20_608.0, true, Some(20_608.0)),
            (5.0, 5.0, false, None),
            (f64::MIN, f64::MAX, false, Some(0.0)),
        ] {
            let middle = f64::midpoint(low, high);
            assert_eq!(roundest(low, high, middle, whole), expected, "{low} {high}");
        }
    }

    #[test]
    fn quantile_edges_leave_outliers_beyond_the_last() {
        let mut values: Vec<f64> = (0..990).map(|at| f64::from(at) * 0.01).collect();
        values.extend([60_000.0; 10]);
        let edges = quantile_edges(&values, 10, false);
        assert!(edges.len() >= 5, "{edges:?}");
        assert!(edges.iter().all(|edge| *edge < 10.0), "{edges:?}");
        let mut most_equal: Vec<f64> = (0..30).map(f64::from).collect();
        most_equal.extend([45.5; 970]);
        assert_eq!(quantile_edges(&most_equal, 10, false), [45.5]);
        assert_eq!(quantile_edges(&[1.0; 100], 10, false), Vec::<f64>::new());
        assert_eq!(quantile_edges(&[], 10, false), Vec::<f64>::new());
        assert_eq!(quantile_edges(&[1.0, 2.0, 3.0], 2, false), Vec::<f64>::new());
    }
}
