//! Distributions of deviations: the ones of largest entropy with a mean of zero, a given variance and given bounds.
//!
//! Of all distributions with these properties the one of largest entropy shows least about the count besides them (Marley, Leaver 2011;
//! Giessing 2016). It has the form `exp(a d + c d²)`, and the two multipliers minimize the sum of `exp(a d + c (d² - variance))`, which is
//! convex: Newton's method with steps that are halved until the sum falls.
//!
//! A distribution is kept as whole numbers of 2^-32. They are corrected so that the mean is zero exactly. It is the same on every machine,
//! because its floating point numbers come from the four operations of IEEE 754 in a fixed order (`table.golden` is what a
//! variance of 3 and deviations of at most 5 give).

use crate::exponential::exp;

/// Probabilities are multiples of one divided by this.
const ONE: u64 = 1 << 32;
/// Newton's method doubles the digits each step, after the first few.
const MAX_STEPS: u32 = 200;
/// The mean and the variance are right to this, as parts of the largest deviation: less than what the rounding to 2^-32 changes.
const TOLERANCE: f64 = 1e-12;
/// More than what the rounding of a sum of 400 numbers changes.
const ROUNDING: f64 = 1e-12;
/// 2^-40 of a step changes nothing that is rounded to 2^-32.
const MAX_HALVINGS: u32 = 40;

/// No distribution was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no distribution of deviations from {low} to {high} has a mean of zero and this variance")]
pub struct TableError {
    low: i32,
    high: i32,
}

/// A distribution of deviations, as cumulative probabilities in units of 2^-32. INVARIANT: the last of them would be 2^32, and is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Distribution {
    low: i32,
    thresholds: Vec<u32>,
}

impl Distribution {
    /// The distribution of largest entropy on `low..=high` with a mean of zero and this variance.
    ///
    /// # Errors
    /// [`TableError`] if there is none: `low` and `high` are not on both sides of zero, or the variance is not between zero and `-low ·
    /// high`.
    pub(super) fn solve(low: i32, high: i32, variance: f64) -> Result<Self, TableError> {
        let error = TableError { low, high };
        // Outcomes at both ends, and no others, have the largest variance.
        let largest = -f64::from(low) * f64::from(high);
        if low >= 0 || high <= 0 || !(variance > 0.0 && variance < largest) {
            return Err(error);
        }
        let scale = f64::from(high.max(-low));
        let support: Vec<f64> = (low..=high).map(|deviation| f64::from(deviation) / scale).collect();
        let weights = largest_entropy(&support, variance / (scale * scale)).ok_or(error)?;
        let weights = whole(low, &weights).ok_or(error)?;
        let cumulative = weights.iter().scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        // Only the last one is 2^32, or those of zero weight before it, which are never reached.
        let thresholds = cumulative.filter_map(|sum: u64| u32::try_from(sum).ok()).collect();
        Ok(Self { low, thresholds })
    }

    /// The deviation of a draw: each has its probability if all draws are equally probable.
    pub(super) fn deviation(&self, draw: u32) -> i32 {
        let passed = self.thresholds.partition_point(|threshold| *threshold <= draw);
        // There are fewer than 2^10 of them.
        self.low + i32::try_from(passed).unwrap_or(0)
    }

    /// Each deviation and its probability, in units of 2^-32.
    #[cfg(test)]
    pub(super) fn weights(&self) -> Vec<(i32, u64)> {
        let ends = self
            .thresholds
            .iter()
            .map(|threshold| u64::from(*threshold))
            .chain([ONE]);
        let starts = std::iter::once(0).chain(self.thresholds.iter().map(|threshold| u64::from(*threshold)));
        (self.low..)
            .zip(ends.zip(starts))
            .map(|(deviation, (end, start))| (deviation, end - start))
            .collect()
    }
}

/// Probabilities in proportion to `exp(a x + c x²)` with a mean of zero and this variance.
fn largest_entropy(support: &[f64], variance: f64) -> Option<Vec<f64>> {
    let mut current = Fit::new(support, variance, 0.0, 0.0);
    for _ in 0..MAX_STEPS {
        if current.mean.abs() < TOLERANCE && current.excess.abs() < TOLERANCE {
            return Some(current.weights.iter().map(|weight| weight / current.total).collect());
        }
        current = current.improved(support, variance)?;
    }
    None
}

/// The distribution of two multipliers, and how far it is from what is required.
struct Fit {
    a: f64,
    c: f64,
    /// `exp(a x + c (x² - variance))` of each outcome.
    weights: Vec<f64>,
    /// Their sum, which is minimized.
    total: f64,
    mean: f64,
    /// The mean of `x² - variance`.
    excess: f64,
    /// The step of Newton's method.
    step: (f64, f64),
}

impl Fit {
    fn new(support: &[f64], variance: f64, a: f64, c: f64) -> Self {
        let weight = |x: &f64| exp(a * x + c * (x * x - variance));
        let weights: Vec<f64> = support.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
        let mean_of = |value: &dyn Fn(f64) -> f64| {
            let terms = support.iter().zip(&weights).map(|(x, weight)| value(*x) * weight);
            terms.sum::<f64>() / total
        };
        let mean = mean_of(&|x| x);
        let excess = mean_of(&|x| x * x - variance);
        // Covariances of `x` and `x²`, which are the second derivatives of the logarithm of the sum.
        let xx = mean_of(&|x| (x - mean) * (x - mean));
        let xy = mean_of(&|x| (x - mean) * (x * x - variance - excess));
        let yy = mean_of(&|x| (x * x - variance - excess) * (x * x - variance - excess));
        let determinant = xx * yy - xy * xy;
        let step = (
            (xy * excess - yy * mean) / determinant,
            (xy * mean - xx * excess) / determinant,
        );
        Self {
            a,
            c,
            weights,
            total,
            mean,
            excess,
            step,
        }
    }

    /// After the largest step, of the full one and its halves, that does not raise the sum by more than its rounding. An infinite sum or
    /// one that is not a number is never accepted.
    fn improved(&self, support: &[f64], variance: f64) -> Option<Self> {
        let mut size = 1.0;
        for _ in 0..MAX_HALVINGS {
            let fit = Self::new(
                support,
                variance,
                self.a + size * self.step.0,
                self.c + size * self.step.1,
            );
            if fit.total <= self.total * (1.0 + ROUNDING) {
                return Some(fit);
            }
            size /= 2.0;
        }
        None
    }
}

/// Probabilities as whole numbers of 2^-32, with a sum of 2^32 and a mean of exactly zero.
fn whole(low: i32, probabilities: &[f64]) -> Option<Vec<u64>> {
    let mut weights: Vec<i64> = probabilities.iter().map(|probability| rounded(*probability)).collect();
    let moment: i64 = (i64::from(low)..)
        .zip(&weights)
        .map(|(deviation, weight)| deviation * weight)
        .sum();
    let zero = usize::try_from(-low).ok()?;
    // One unit at 1, or at -1, changes the mean by one unit, and the variance by one unit of 2^-32.
    let beside = if moment > 0 { zero.checked_sub(1)? } else { zero + 1 };
    *weights.get_mut(beside)? += moment.abs();
    let sum: i64 = weights.iter().sum();
    *weights.get_mut(zero)? += i64::try_from(ONE).ok()? - sum;
    weights.into_iter().map(|weight| u64::try_from(weight).ok()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a probability times 2^32")]
fn rounded(probability: f64) -> i64 {
    (probability * 4_294_967_296.0).round() as i64
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::Noise;

    use super::super::count::gap;
    use super::*;

    /// Every distribution that valid parameters lead to.
    fn all() -> impl Iterator<Item = (i32, i32, f64, Distribution)> {
        let noises = (1..=16).flat_map(|variance| (2..=20).filter_map(move |max| Noise::new(variance, max, 1).ok()));
        let cases = noises.flat_map(|noise| (gap(noise)..=noise.max()).map(move |above| (noise, above)));
        cases.map(|(noise, above)| {
            let (low, high, variance) = (-i32::from(above), i32::from(noise.max()), f64::from(noise.variance()));
            (
                low,
                high,
                variance,
                Distribution::solve(low, high, variance).expect("parameters are feasible"),
            )
        })
    }

    #[test]
    fn table_has_its_moments_for_all_parameters() {
        let mut number = 0;
        for (low, high, variance, distribution) in all() {
            let weights = distribution.weights();
            assert!(weights.iter().all(|(d, _)| (low..=high).contains(d)), "{low}..={high}");
            assert_eq!(weights.iter().map(|(_, weight)| weight).sum::<u64>(), ONE);
            let mean: i64 = weights
                .iter()
                .map(|(d, weight)| i64::from(*d) * i64::try_from(*weight).unwrap())
                .sum();
            assert_eq!(mean, 0, "{low}..={high} with {variance}");
            let square: u64 = weights
                .iter()
                .map(|(d, weight)| u64::from(d.unsigned_abs().pow(2)) * weight)
                .sum();
            let found = square as f64 / ONE as f64;
            assert!(
                (found - variance).abs() < 1.0 / f64::from(1 << 20),
                "{low}..={high}: {found} is not {variance}"
            );
            number += 1;
        }
        assert!(number > 2000, "{number}");
    }

    /// Largest entropy is `exp` of a polynomial of degree two, so the third differences of the logarithms are zero.
    #[test]
    fn table_has_the_form_of_largest_entropy() {
        for (low, high, variance, distribution) in all().step_by(7) {
            let weights = distribution.weights();
            for window in weights.windows(4) {
                let [p, q, r, s] = [0, 1, 2, 3].map(|number: usize| window[number].1 as f64);
                let smallest = p.min(q).min(r).min(s);
                if smallest < 1000.0 {
                    continue;
                }
                let third = s.ln() - 3.0 * r.ln() + 3.0 * q.ln() - p.ln();
                // The rounding and the correction change a weight by at most a few hundred units.
                assert!(
                    third.abs() < 1500.0 / smallest,
                    "{low}..={high} with {variance}: {third} at {window:?}"
                );
            }
        }
    }

    #[test]
    fn table_draws_have_their_probabilities() {
        let distribution = Distribution::solve(-2, 5, 3.0).unwrap();
        let mut at = 0_u64;
        for (deviation, weight) in distribution.weights() {
            assert_eq!(
                distribution.deviation(u32::try_from(at).unwrap()),
                deviation,
                "the first draw of {deviation}"
            );
            at += weight;
            assert_eq!(
                distribution.deviation(u32::try_from(at - 1).unwrap()),
                deviation,
                "the last draw of {deviation}"
            );
        }
        assert_eq!(at, ONE);
    }

    #[test]
    fn table_that_is_infeasible_is_an_error() {
        for (low, high, variance) in [
            (0, 5, 3.0),
            (-5, 0, 1.0),
            (-1, 5, 5.0),
            (-2, 2, 4.0),
            (-5, 5, 0.0),
            (-5, 5, -1.0),
            (-5, 5, f64::NAN),
        ] {
            assert_eq!(
                Distribution::solve(low, high, variance),
                Err(TableError { low, high }),
                "{variance}"
            );
        }
        let near = Distribution::solve(-1, 5, 4.999).unwrap();
        assert!(near.weights()[6].1 > ONE / 7, "nearly all at both ends");
    }

    /// What these parameters give on every machine.
    #[test]
    fn table_of_variance_three_is_the_golden_one() {
        let noise = Noise::new(3, 5, 5).unwrap();
        let rows = (gap(noise)..=noise.max()).map(|above| {
            let row =
                Distribution::solve(-i32::from(above), i32::from(noise.max()), f64::from(noise.variance())).unwrap();
            let weights: Vec<String> = row
                .weights()
                .iter()
                .map(|(d, weight)| format!("{d}:{weight}"))
                .collect();
            format!("{above} above the smallest target  {}\n", weights.join(" "))
        });
        let text: String = rows.collect();
        assert_eq!(text, include_str!("table.golden"), "the table is now\n{text}");
    }
}
