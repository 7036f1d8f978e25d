//! Counts with noise.

use std::cmp::Ordering;
use std::num::NonZeroU32;

use concordat_protocol::scope::Noise;

use super::contribution::ContributionNoise;
use super::key::CellKey;
use super::noisy::{Noisy, as_f64};
use super::table::{Distribution, TableError};

/// Adds noise to what is computed of a set of subjects, of which the set's [`CellKey`] decides.
#[derive(Clone, Debug)]
pub struct Perturbation {
    noise: Noise,
    /// No released count is smaller.
    smallest: u64,
    /// The distributions of counts that are [`gap`] and more above the smallest one; larger ones have the last.
    rows: Vec<Distribution>,
    contributions: ContributionNoise,
    /// What noise is drawn by besides the key of the set: its variance and its largest deviation. Two figures of a set with more noise and with less, of
    /// the same draw, would be two equations for the figure without noise. `None` for the shipped noise and for noise without a number of answers, which
    /// are drawn by the key alone, so that no figure changes that was released.
    drawn_by: Option<[u8; 3]>,
}

impl Perturbation {
    /// The tables for this noise if no count from 1 to `k - 1` is released.
    ///
    /// Noise for a number of answers has one table for all counts, and what is below the smallest one is raised to it afterward: so a count shows no
    /// more than its size with that noise does. A table with the bounds of a small count has the variance too, and a mean of zero, but most of it lies
    /// at its ends, which show the size.
    ///
    /// # Errors
    /// [`TableError`] if a distribution was not found. The tests solve all that valid parameters lead to.
    pub fn of(noise: Noise, k: NonZeroU32) -> Result<Self, TableError> {
        let row =
            |above: u8| Distribution::solve(-i32::from(above), i32::from(noise.max()), f64::from(noise.variance()));
        let lowest = noise.answers().map_or(gap(noise), |_| noise.max());
        Ok(Self {
            noise,
            smallest: u64::from(k.get()),
            rows: (lowest..=noise.max()).map(row).collect::<Result<_, _>>()?,
            contributions: ContributionNoise::solve(noise.answers().is_some())?,
            drawn_by: drawn_by(noise),
        })
    }

    /// The fewest subjects with which the set of this key is released: the smallest released count, the gap, and 0 to 2 by the key.
    ///
    /// A set of exactly the smallest count could only get deviations from zero on, so with a mean of zero it would get none. The gap is the
    /// distance with which the whole variance is possible: 1 for a variance of 3 and deviations of at most 5. With noise for a number of answers it is
    /// three eighths of a standard deviation, so that most counts are not the smallest one.
    pub fn threshold(&self, key: &CellKey) -> u64 {
        key.threshold(self.smallest.saturating_add(u64::from(gap(self.noise))))
    }

    /// How far above the smallest released count a set has to be at least.
    pub(crate) fn gap(&self) -> u64 {
        u64::from(gap(self.noise))
    }

    /// The number of subjects, with noise, rounded; `None` if `size` is below the threshold of the set.
    ///
    /// The result is a multiple of `round` and never below the smallest count. Noise is added first: rounding is of what has noise, so it
    /// shows no more.
    pub fn count(&self, size: u64, key: &CellKey) -> Option<u64> {
        if size < self.threshold(key) {
            return None;
        }
        Some(self.rounded(self.deviated(size, key.count_draw(self.drawn_by()))?, key))
    }

    /// The number of subjects with the deviation of a draw; `None` if there is no such number.
    fn deviated(&self, size: u64, draw: u32) -> Option<u64> {
        let above = size.checked_sub(self.smallest)?.checked_sub(self.gap())?;
        let last = self.rows.len().checked_sub(1)?;
        let row = usize::try_from(above).map_or(last, |above| above.min(last));
        let deviation = self.rows.get(row)?.deviation(draw);
        if deviation < 0 {
            return Some(size.saturating_sub(u64::from(deviation.unsigned_abs())));
        }
        size.checked_add(u64::from(deviation.unsigned_abs()))
    }

    /// A released count with its standard deviation: of the deviation and of the rounding.
    pub fn counted(&self, released: u64) -> Noisy {
        Noisy {
            value: as_f64(released),
            standard_deviation: self.count_deviation(),
        }
    }

    /// The standard deviation of a released count.
    pub fn count_deviation(&self) -> f64 {
        self.noise.count_deviation()
    }

    /// The variance of rounding.
    pub(super) fn rounding_variance(&self) -> f64 {
        self.noise.rounding_variance()
    }

    /// The probability of each deviation of a set, and what is released with it, in units of 2^-32. A half is rounded by the key.
    #[cfg(test)]
    pub(super) fn outcomes(&self, size: u64, key: &CellKey) -> Vec<(u64, u64)> {
        let above = usize::try_from(size - self.smallest - self.gap()).unwrap();
        let row = &self.rows[above.min(self.rows.len() - 1)];
        let ends = row.weights().into_iter().scan(0, |end, (_, weight)| {
            let start = *end;
            *end += weight;
            Some((start, weight))
        });
        let draws = ends.filter(|(_, weight)| *weight > 0);
        let released = |draw: u64| self.rounded(self.deviated(size, u32::try_from(draw).unwrap()).unwrap(), key);
        draws.map(|(start, weight)| (released(start), weight)).collect()
    }

    /// The nearest multiple of `round` that is not below the smallest count. Halfway the key decides, because always upward would be a
    /// bias that adds up in totals.
    pub(super) fn rounded(&self, noisy: u64, key: &CellKey) -> u64 {
        let round = u64::from(self.noise.round());
        let noisy = noisy.max(self.smallest);
        let rest = noisy % round;
        let down = noisy - rest;
        let is_down = match (2 * rest).cmp(&round) {
            Ordering::Less => true,
            Ordering::Equal => !key.rounds_up(),
            Ordering::Greater => false,
        };
        if is_down && down >= self.smallest {
            return down;
        }
        down.checked_add(round).unwrap_or(down)
    }

    /// The standard deviation of the noise of a figure that is not a count, in units of the largest contribution.
    pub(super) fn contribution_deviation(&self) -> f64 {
        self.noise.sum_deviation()
    }

    /// How many answers the noise is for.
    pub(crate) fn answers(&self) -> Option<u8> {
        self.noise.answers()
    }

    /// The variance of the noise.
    pub(crate) const fn variance(&self) -> u16 {
        self.noise.variance()
    }

    /// What noise is drawn by besides the key of the set.
    pub(super) fn drawn_by(&self) -> Option<&[u8]> {
        self.drawn_by.as_ref().map(<[u8; 3]>::as_slice)
    }

    pub(super) const fn contributions(&self) -> &ContributionNoise {
        &self.contributions
    }
}

fn drawn_by(noise: Noise) -> Option<[u8; 3]> {
    let parts = |noise: Noise| (noise.variance(), noise.max());
    let is_shipped = noise.answers().is_none() || parts(noise) == parts(Noise::default());
    let [low, high] = noise.variance().to_le_bytes();
    (!is_shipped).then(|| [low, high, noise.max()])
}

/// How far above the smallest target a count has to be.
///
/// With deviations from `-gap` to `max` and a mean of zero, variances below `gap · max` exist. It is at most `max`, because the variance of [`Noise`] is
/// below the square of it. With noise for a number of answers, deviations do not depend on it.
pub(super) fn gap(noise: Noise) -> u8 {
    let gap = match noise.answers() {
        // A third of the deviations of a set of this size are below the smallest count.
        Some(_) => (noise.variance().isqrt() + 1) * 3 / 8,
        None => noise.variance() / u16::from(noise.max()) + 1,
    };
    u8::try_from(gap).unwrap_or(noise.max())
}
