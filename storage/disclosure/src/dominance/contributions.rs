//! What is kept of the contributions to one sum.

use super::magnitude::Magnitude;

/// How many of the largest contributions are kept.
pub(super) const KEPT: usize = 5;

/// Sums of more binary digits than these are counted in larger units: sizes have 64, and are compared as percentages.
const MAX_BITS: u32 = 63;

/// The largest contributions and the sum of all magnitudes. Subjects may be added in any order, and in parts that are merged.
///
/// Each subject is added once, with all that it contributes: two rows of one subject are one contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contributions {
    /// In descending order.
    largest: [Magnitude; KEPT],
    /// The sum of what the magnitudes are at least.
    total: u128,
}

impl Default for Contributions {
    fn default() -> Self {
        Self {
            largest: [Magnitude::ZERO; KEPT],
            total: 0,
        }
    }
}

impl Contributions {
    /// What was computed elsewhere, in any unit: the largest magnitudes and the sum of all of them, these included.
    ///
    /// Numbers that are too large are counted in larger units, and then the largest ones are at most, and the others at least, what is kept.
    #[must_use]
    pub fn of(largest: [u128; KEPT], total: u128) -> Self {
        let bits = u128::BITS - total.leading_zeros();
        let shift = bits.saturating_sub(MAX_BITS);
        // None of them is larger than the sum, or the numbers are wrong and the largest contribution dominates.
        let scaled = |number: u128| u64::try_from(number >> shift).unwrap_or(u64::MAX);
        let magnitude = |number: u128| Magnitude::of_units(scaled(number), shift > 0);
        let mut kept = Self {
            largest: [Magnitude::ZERO; KEPT],
            // Each of the kept ones is up to one unit larger than its lower bound, by which it is subtracted.
            total: (total >> shift).saturating_sub(if shift > 0 { KEPT as u128 } else { 0 }),
        };
        largest.into_iter().for_each(|number| kept.keep(magnitude(number)));
        kept
    }

    /// Adds the contribution of one more subject.
    pub fn add(&mut self, magnitude: Magnitude) {
        self.keep(magnitude);
        // Below 2^64 subjects of below 2^64 each.
        self.total = self.total.saturating_add(u128::from(magnitude.lower()));
    }

    /// Adds the contributions of other subjects.
    pub fn merge(&mut self, other: &Self) {
        other.largest.iter().for_each(|magnitude| self.keep(*magnitude));
        self.total = self.total.saturating_add(other.total);
    }

    /// The sum of the `number` largest ones, which is at most this.
    pub(super) fn largest(&self, number: usize) -> u128 {
        self.largest
            .iter()
            .take(number)
            .map(|magnitude| u128::from(magnitude.upper()))
            .sum()
    }

    /// The sum of all but the `number` largest ones, which is at least this.
    pub(super) fn rest(&self, number: usize) -> u128 {
        let largest: u128 = self
            .largest
            .iter()
            .take(number)
            .map(|magnitude| u128::from(magnitude.lower()))
            .sum();
        self.total.saturating_sub(largest)
    }

    fn keep(&mut self, magnitude: Magnitude) {
        let mut carried = magnitude;
        for kept in &mut self.largest {
            if carried > *kept {
                std::mem::swap(&mut carried, kept);
            }
        }
    }
}

impl FromIterator<Magnitude> for Contributions {
    fn from_iter<I: IntoIterator<Item = Magnitude>>(magnitudes: I) -> Self {
        let mut contributions = Self::default();
        magnitudes
            .into_iter()
            .for_each(|magnitude| contributions.add(magnitude));
        contributions
    }
}
