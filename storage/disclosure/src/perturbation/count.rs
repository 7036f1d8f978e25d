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
    /// The distributions of counts that are [`gap`] to `max` above the smallest one; larger ones have the last.
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
    /// # Errors
    /// [`TableError`] if a distribution was not found. The tests solve all that valid parameters lead to.
    pub fn of(noise: Noise, k: NonZeroU32) -> Result<Self, TableError> {
        let row =
            |above: u8| Distribution::solve(-i32::from(above), i32::from(noise.max()), f64::from(noise.variance()));
        Ok(Self {
            noise,
            smallest: u64::from(k.get()),
            rows: (gap(noise)..=noise.max()).map(row).collect::<Result<_, _>>()?,
            contributions: ContributionNoise::solve()?,
            drawn_by: drawn_by(noise),
        })
    }

    /// The fewest subjects with which the set of this key is released: the smallest released count, the gap, and 0 to 2 by the key.
    ///
    /// A set of exactly the smallest count could only get deviations from zero on, so with a mean of zero it would get none. The gap is the
    /// distance with which the whole variance is possible: 1 for a variance of 3 and deviations of at most 5.
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
        let above = (size - self.smallest).min(u64::from(self.noise.max()));
        let row = above.checked_sub(u64::from(gap(self.noise)))?;
        let row = self.rows.get(usize::try_from(row).ok()?)?;
        let noisy = size.checked_add_signed(i64::from(row.deviation(key.count_draw(self.drawn_by()))))?;
        Some(self.rounded(noisy, key))
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
        (f64::from(self.noise.variance()) + self.rounding_variance()).sqrt()
    }

    /// As if all rests were equally frequent.
    pub(super) fn rounding_variance(&self) -> f64 {
        let round = f64::from(self.noise.round());
        (round * round - 1.0) / 12.0
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

    /// The standard deviation of the noise of a figure that is not a count, in units of the largest contribution: that of a count, where the noise is
    /// for a number of answers. Otherwise a mean would measure a subject with less noise than a count does.
    pub(super) fn contribution_deviation(&self) -> f64 {
        match self.noise.answers() {
            Some(_) => f64::from(self.noise.variance()).sqrt(),
            None => 1.0,
        }
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

/// How far above the smallest target a count has to be: with deviations from `-gap` to `max` and a mean of zero, variances below
/// `gap · max` exist. It is at most `max`, because the variance of [`Noise`] is below the square of it.
pub(super) fn gap(noise: Noise) -> u8 {
    // An eighth more for large variances: next to the largest possible one only the outcomes at both ends are left.
    let more = noise.answers().map_or(0, |_| noise.variance() / 8);
    let gap = (noise.variance() + more) / u16::from(noise.max()) + 1;
    u8::try_from(gap).unwrap_or(noise.max())
}
