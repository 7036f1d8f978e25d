//! Sets of units while they are collected.

use concordat_disclosure::UnitSet;

use super::tables::{mask, word_of, words};

/// Least units that are sorted at once.
const LEAST_PENDING: usize = 1_024;

/// A set that units are added to in any order, each any number of times.
#[derive(Debug)]
pub(super) enum Collector {
    /// A bit for each unit that there is; none before the first one is added.
    Bits { universe: u32, words: Vec<u64> },
    /// The set so far, and units that are not in it yet.
    List { set: UnitSet, pending: Vec<u32> },
}

impl Collector {
    /// The empty set of units below `universe`, as bits if there are few sets.
    pub(super) fn new(universe: u32, are_bits: bool) -> Self {
        if are_bits {
            Self::Bits {
                universe,
                words: Vec::new(),
            }
        } else {
            Self::List {
                set: UnitSet::new(),
                pending: Vec::new(),
            }
        }
    }

    pub(super) fn add(&mut self, unit: u32) {
        match self {
            Self::Bits { universe, words: bits } => {
                if bits.is_empty() {
                    bits.resize(words(*universe), 0);
                }
                if let Some(word) = bits.get_mut(word_of(unit)) {
                    *word |= mask(unit);
                }
            }
            Self::List { set, pending } => {
                if pending.last() == Some(&unit) {
                    return;
                }
                pending.push(unit);
                // In proportion to the set, so that all unions together cost little more than the last one.
                let most = usize::try_from(set.len() / 4).unwrap_or(usize::MAX).max(LEAST_PENDING);
                if pending.len() >= most {
                    *set = set.union(&pending.drain(..).collect());
                }
            }
        }
    }

    /// The set.
    pub(super) fn finish(self) -> UnitSet {
        match self {
            Self::Bits { words, .. } => (0..=u32::MAX)
                .step_by(64)
                .zip(words)
                .flat_map(|(first, word)| units(first, word))
                .collect(),
            Self::List { set, pending } => set.union(&pending.into_iter().collect()),
        }
    }
}

/// The units of a word of bits.
fn units(first: u32, mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros();
        word &= word - 1;
        Some(first + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn collector_has_each_unit_once(units in prop::collection::vec(0_u32..5_000, 0..4_000), are_bits: bool) {
            let mut collector = Collector::new(5_000, are_bits);
            units.iter().for_each(|unit| collector.add(*unit));
            prop_assert_eq!(collector.finish(), units.into_iter().collect::<UnitSet>());
        }
    }

    #[test]
    fn collector_of_long_lists_has_every_unit() {
        let mut collector = Collector::new(300_000, false);
        (0..300_000).rev().step_by(3).for_each(|unit| collector.add(unit));
        let expected: UnitSet = (0..300_000).rev().step_by(3).collect();
        assert_eq!(collector.finish(), expected);
    }
}
