//! One number for each subject in the sample.

use std::collections::HashMap;

use super::sample::Sample;
use crate::subjects::{column::DAY_MS, row_hash::SipHash};

/// Whole numbers up to here are exact in floating point.
const MAX_EXACT: u64 = 1 << 53;

/// The numbers of a column, one for each subject: that with the smallest keyed hash.
pub(super) struct Numbers {
    hash: SipHash,
    chosen: HashMap<u64, f64>,
    size: usize,
}

impl Numbers {
    pub(super) fn new(hash: SipHash, size: usize) -> Self {
        Self {
            hash,
            chosen: HashMap::new(),
            size,
        }
    }

    pub(super) fn observe_whole(&mut self, value: i64, subject: u64) {
        if value.unsigned_abs() <= MAX_EXACT {
            self.observe(value as f64, subject);
        }
    }

    /// The day on which it is.
    pub(super) fn observe_time(&mut self, ms: i64, subject: u64) {
        self.observe_whole(ms.div_euclid(DAY_MS), subject);
    }

    /// Numbers that are not finite are on neither side of an edge.
    pub(super) fn observe(&mut self, value: f64, subject: u64) {
        if !value.is_finite() {
            return;
        }
        // A sum with zero has no negative zero.
        let value = value + 0.0;
        if self.chosen.len() >= 2 * self.size && !self.chosen.contains_key(&subject) {
            self.shrink();
        }
        let hash = self.hash;
        let chosen = self.chosen.entry(subject).or_insert(value);
        if *chosen != value && rank(value, subject, hash) < rank(*chosen, subject, hash) {
            *chosen = value;
        }
    }

    /// Removes subjects with large hashes, of which as many are left as the sample has: the others have left it.
    fn shrink(&mut self) {
        let mut subjects: Vec<u64> = self.chosen.keys().copied().collect();
        let (_, largest, _) = subjects.select_nth_unstable(self.size.saturating_sub(1));
        let largest = *largest;
        self.chosen.retain(|subject, _| *subject <= largest);
    }

    /// The numbers of the subjects in the sample, ascending.
    pub(super) fn sorted(&self, subjects: &Sample) -> Vec<f64> {
        let sampled = self.chosen.iter().filter(|(subject, _)| subjects.has(**subject));
        let mut numbers: Vec<f64> = sampled.map(|(_, number)| *number).collect();
        numbers.sort_unstable_by(f64::total_cmp);
        numbers
    }
}

/// Which of a subject's numbers is chosen is random, and another for each subject.
fn rank(value: f64, subject: u64, mut hash: SipHash) -> u64 {
    hash.absorb(value.to_bits());
    hash.absorb(subject);
    hash.finish()
}
