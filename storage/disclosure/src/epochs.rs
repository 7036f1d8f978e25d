//! Units over the versions of the data.
//!
//! A figure of one version is about other values than the same figure of the next version, as far as units have changed. So what the
//! audit counts with is not an ordinal but an ordinal with an [`Epoch`]: the version in which the unit last changed. A unit that did not
//! change is the same in both versions; one that did is another.

use std::borrow::Cow;

use concordat_protocol::schema::VersionNumber;

use crate::random::below;
use crate::{Entropy, UnitSet};

/// The version in which a unit last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(VersionNumber);

impl Epoch {
    /// The version.
    #[must_use]
    pub fn version(self) -> VersionNumber {
        self.0
    }
}

/// A unit in the state that it has since an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Unit {
    pub(crate) epoch: Epoch,
    pub(crate) ordinal: u32,
}

/// Which units changed in which version.
#[derive(Clone, Debug)]
pub struct Epochs {
    first: VersionNumber,
    /// Ascending.
    changes: Vec<(VersionNumber, UnitSet)>,
    /// The union of `changes`.
    changed: UnitSet,
}

/// Why versions do not fit together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochsError {
    /// Versions are added in order.
    #[error("version {added} was added after version {latest}")]
    NotLater {
        /// The version to be added.
        added: VersionNumber,
        /// The latest version so far.
        latest: VersionNumber,
    },
    /// It is not known what changed in the version.
    #[error("version {0} is not known")]
    Unknown(VersionNumber),
}

impl Epochs {
    /// The units of `first`, which have not changed.
    #[must_use]
    pub fn new(first: VersionNumber) -> Self {
        Self {
            first,
            changes: Vec::new(),
            changed: UnitSet::new(),
        }
    }

    /// Adds the next version, in which `changed` differ from the version before or are new.
    pub fn add(&mut self, version: VersionNumber, changed: UnitSet) -> Result<(), EpochsError> {
        let latest = self.latest();
        if version <= latest {
            return Err(EpochsError::NotLater { added: version, latest });
        }
        self.changed = self.changed.union(&changed);
        self.changes.push((version, changed));
        Ok(())
    }

    /// The latest version.
    #[must_use]
    pub fn latest(&self) -> VersionNumber {
        self.changes.last().map_or(self.first, |(version, _)| *version)
    }

    /// Whether it is known what changed in a version.
    pub(crate) fn has(&self, version: VersionNumber) -> bool {
        version == self.first || self.changes.iter().any(|(changed_in, _)| *changed_in == version)
    }

    /// For each version before `version` the units that changed since, without those for which it is the same.
    pub(crate) fn changed_until(&self, version: VersionNumber) -> Vec<UnitSet> {
        let mut since: Vec<UnitSet> = Vec::new();
        let until = self.changes.iter().rev();
        for (_, changed) in until.filter(|(changed_in, _)| *changed_in <= version) {
            let all = since
                .last()
                .map_or_else(|| changed.clone(), |since| since.union(changed));
            if !all.is_empty() && since.last() != Some(&all) {
                since.push(all);
            }
        }
        since
    }

    /// The set `units` of `version`, by epoch.
    pub(crate) fn split(&self, units: &UnitSet, version: VersionNumber) -> Result<Parts, EpochsError> {
        self.split_owned(units.clone(), version)
    }

    /// The same, without a copy of what has not changed.
    pub(crate) fn split_owned(&self, units: UnitSet, version: VersionNumber) -> Result<Parts, EpochsError> {
        if !self.has(version) {
            return Err(EpochsError::Unknown(version));
        }
        let mut parts = Vec::new();
        let mut rest = units.intersection(&self.changed);
        let first = if rest.is_empty() {
            units
        } else {
            units.difference(&rest)
        };
        for (changed_in, changed) in self
            .changes
            .iter()
            .rev()
            .filter(|(changed_in, _)| *changed_in <= version)
        {
            let part = rest.intersection(changed);
            rest = rest.difference(&part);
            parts.push((Epoch(*changed_in), part));
        }
        // What changed only after `version` is as it was at first.
        parts.push((Epoch(self.first), first.union(&rest)));
        parts.retain(|(_, part)| !part.is_empty());
        Ok(Parts(parts))
    }
}

/// A set of units of one version, by epoch.
#[derive(Clone, Debug)]
pub(crate) struct Parts(Vec<(Epoch, UnitSet)>);

impl Parts {
    /// Whether `unit` is an element, in the state of its epoch.
    pub(crate) fn contains(&self, unit: Unit) -> bool {
        self.at(unit.epoch).is_some_and(|part| part.contains(unit.ordinal))
    }

    /// The elements of one epoch.
    pub(crate) fn at(&self, epoch: Epoch) -> Option<&UnitSet> {
        let mut parts = self.0.iter();
        parts.find(|(of, _)| *of == epoch).map(|(_, part)| part)
    }

    /// All epochs with their elements.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Epoch, &UnitSet)> {
        self.0.iter().map(|(epoch, part)| (*epoch, part))
    }

    /// The ordinals of all epochs. Those of a single one are not copied: sets of rows take hundreds of megabytes together.
    pub(crate) fn units(&self) -> Cow<'_, UnitSet> {
        match self.0.as_slice() {
            [(_, part)] => Cow::Borrowed(part),
            parts => {
                let parts = parts.iter().map(|(_, part)| part);
                Cow::Owned(parts.fold(UnitSet::new(), |all, part| all.union(part)))
            }
        }
    }

    /// `count` elements drawn uniformly, with repetition; none of the empty set.
    pub(crate) fn sample(&self, count: usize, entropy: &mut dyn Entropy) -> Vec<Unit> {
        let total = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let draws = (0..count).filter_map(|_| self.select(below(entropy, total)));
        draws.collect()
    }

    /// The element at a position, in the order of the parts.
    fn select(&self, mut position: u32) -> Option<Unit> {
        for (epoch, part) in self.iter() {
            let Some(ordinal) = part.select(position) else {
                position -= u32::try_from(part.len()).ok()?;
                continue;
            };
            return Some(Unit { epoch, ordinal });
        }
        None
    }

    /// The number of units.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|(_, part)| part.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Epoch, Epochs, EpochsError, Unit};
    use std::borrow::Cow;

    use crate::UnitSet;
    use concordat_protocol::schema::VersionNumber;
    use proptest::prelude::*;

    fn version(number: u64) -> VersionNumber {
        VersionNumber::new(number)
    }

    proptest! {
        /// The definition: the epoch of a unit in a version is the last version up to it in which the unit changed.
        #[test]
        fn epochs_are_the_last_changes(
            changes in prop::collection::vec(prop::collection::btree_set(0_u32..20, 0..10), 0..5),
            units in prop::collection::btree_set(0_u32..20, 0..20),
            of in 1_u64..6,
        ) {
            let mut epochs = Epochs::new(version(1));
            for (at, changed) in changes.iter().enumerate() {
                epochs.add(version(at as u64 + 2), changed.iter().copied().collect()).unwrap();
            }
            let set: UnitSet = units.iter().copied().collect();
            let split = epochs.split(&set, version(of));
            if of > changes.len() as u64 + 1 {
                prop_assert!(split.is_err());
                return Ok(());
            }
            let parts = split.unwrap();
            prop_assert_eq!(parts.len(), units.len() as u64);
            for ordinal in 0..20 {
                let changed_in = |number: &u64| (2..).zip(&changes).any(|(at, changed)| at == *number && changed.contains(&ordinal));
                let expected = (2..=of).rev().find(changed_in).unwrap_or(1);
                for number in 1..=6 {
                    let unit = Unit { epoch: Epoch(version(number)), ordinal };
                    prop_assert_eq!(parts.contains(unit), units.contains(&ordinal) && number == expected);
                }
            }
        }
    }

    #[test]
    fn parts_of_one_epoch_are_not_copied() {
        let mut epochs = Epochs::new(version(1));
        let all = UnitSet::all(20);
        let parts = epochs.split(&all, version(1)).unwrap();
        assert!(matches!(parts.units(), Cow::Borrowed(units) if *units == all));
        epochs.add(version(2), UnitSet::from_iter([3, 7])).unwrap();
        let parts = epochs.split(&all, version(2)).unwrap();
        assert_eq!(*parts.units(), all, "of two epochs");
        let none = epochs.split(&UnitSet::new(), version(2)).unwrap();
        assert!(none.units().is_empty());
    }

    #[test]
    fn epochs_of_unknown_versions_are_refused() {
        let mut epochs = Epochs::new(version(3));
        let earlier = EpochsError::NotLater {
            added: version(3),
            latest: version(3),
        };
        assert_eq!(epochs.add(version(3), UnitSet::new()), Err(earlier));
        epochs.add(version(5), UnitSet::all(2)).unwrap();
        for unknown in [1, 2, 4, 6] {
            let refused = epochs.split(&UnitSet::all(1), version(unknown)).unwrap_err();
            assert_eq!(refused, EpochsError::Unknown(version(unknown)));
        }
        assert!(epochs.split(&UnitSet::all(1), version(3)).is_ok());
    }
}
