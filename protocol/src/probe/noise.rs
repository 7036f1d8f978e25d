//! Whether figures have the noise that is stated with them.
//!
//! Perturbed figures have deviations that are bounded and rounded, which no chance breaks. Of the rest only their absence is found: that all
//! figures are as they would be without noise, although that has a probability below [`LN_UNLIKELY`]. The deviations of private figures are
//! compared with the normal distribution by the bounds of Chernoff for sums of squares, in both directions.

use super::released::Released;
use super::statement::ProbeStatement;
use super::truth::Figure;
use crate::scope::{Loss, MicroRho, Noise};

/// The logarithm of one in 10^9.
const LN_UNLIKELY: f64 = -20.723;
/// Means without noise are this near to the truth: they are rounded to multiples of at most 0.031.
const MEAN_WITHIN: f64 = 0.02;
/// The logarithm of 0.005, the most that the probability of that is with noise: it has a standard deviation of the largest costs of a subject,
/// some 1,000 at least, divided by some 125 visits.
const LN_MEAN_WITHIN: f64 = -5.298;

/// Whether figures that are stated to have `noise` do not have it, from a node that releases no count below `min_cell`.
pub(super) fn is_not_perturbed(noise: &Noise, min_cell: u32, released: &[Released]) -> bool {
    let once = || {
        released
            .iter()
            .filter(|one| one.statement != ProbeStatement::SitesAgain)
    };
    let round = f64::from(noise.round());
    let largest = f64::from(noise.max()) + round;
    let is_beyond = |one: &Released| {
        let is_multiple = one.value.rem_euclid(round) <= 0.0;
        !is_multiple || one.deviation().abs() > largest
    };
    let mut counts = once().filter(|one| one.truth.figure == Figure::Subjects);
    if counts.any(is_beyond) {
        return true;
    }
    // Nearer to the minimum, deviations have another distribution.
    let typical = f64::from(min_cell) + largest;
    let unchanged = once().filter(|one| f64::from(one.truth.subjects) >= typical);
    let unchanged: Vec<Option<f64>> = unchanged.filter_map(|one| ln_unchanged(noise, one)).collect();
    let all: Option<f64> = unchanged.into_iter().sum();
    all.is_some_and(|ln| ln < LN_UNLIKELY)
}

/// The logarithm of the probability that noise leaves a figure as it is; the inner `None` if it did not, the outer one for other figures.
fn ln_unchanged(noise: &Noise, one: &Released) -> Option<Option<f64>> {
    match one.truth.figure {
        Figure::Subjects => {
            let is_unchanged = one.deviation().abs() * 2.0 <= f64::from(noise.round());
            Some(is_unchanged.then(|| ln_count_unchanged(noise, i32::from(one.truth.subjects))))
        }
        Figure::Mean(_) => Some((one.deviation().abs() < MEAN_WITHIN).then_some(LN_MEAN_WITHIN)),
        // Their noise depends on the subject with most of them.
        Figure::Rows(_) => None,
    }
}

/// The same for a number of subjects, as if deviations were from the normal distribution. Those of a node have the same variance and a bound,
/// and are near to zero less often.
fn ln_count_unchanged(noise: &Noise, size: i32) -> f64 {
    let variance = f64::from(noise.variance());
    let weight = |deviation: i32| (-f64::from(deviation).powi(2) / (2.0 * variance)).exp();
    let deviations = || -i32::from(noise.max())..=i32::from(noise.max());
    let all: f64 = deviations().map(weight).sum();
    let is_unchanged =
        |deviation: &i32| is_rounded_near(size.saturating_add(*deviation), size, i32::from(noise.round()));
    let unchanged: f64 = deviations().filter(is_unchanged).map(weight).sum();
    (unchanged / all).ln()
}

/// Whether `noisy`, rounded to a multiple of `round` in one of the directions that are possible, is as near to `size` as a multiple can be.
fn is_rounded_near(noisy: i32, size: i32, round: i32) -> bool {
    let rest = noisy.checked_rem_euclid(round).unwrap_or(0);
    let down = noisy.saturating_sub(rest);
    let up = down.saturating_add(round);
    let is_near = |rounded: i32| rounded.saturating_sub(size).saturating_abs().saturating_mul(2) <= round;
    let doubled = rest.saturating_mul(2);
    doubled <= round && is_near(down) || doubled >= round && is_near(up)
}

/// Whether figures that are stated to lose at most `loss` have noise of another variance: that of one subject in one cell, divided by twice
/// the loss of a query.
pub(super) fn is_not_private(loss: &Loss, released: &[Released]) -> bool {
    let people = released
        .iter()
        .filter(|one| one.statement.counts_people() && one.statement != ProbeStatement::SitesAgain);
    let deviations: Vec<f64> = people.map(|one| one.deviation().abs()).collect();
    if deviations.is_empty() {
        return false;
    }
    let count = f64::from(u32::try_from(deviations.len()).unwrap_or(u32::MAX));
    let variance = as_f64(MicroRho::PER_RHO) / (2.0 * as_f64(loss.query().get()));
    let relative = |least: f64| {
        let squares = deviations.iter().map(|deviation| (deviation + least).powi(2));
        squares.sum::<f64>() / (count * variance)
    };
    let exponent = |relative: f64| count / 2.0 * (relative - 1.0 - relative.ln());
    let above = relative(0.0);
    // Whole numbers are up to a half from those of the normal distribution.
    let below = relative(0.5);
    above > 1.0 && -exponent(above) < LN_UNLIKELY || below < 1.0 && -exponent(below) < LN_UNLIKELY
}

#[expect(clippy::cast_precision_loss, reason = "at most 10^8")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}
