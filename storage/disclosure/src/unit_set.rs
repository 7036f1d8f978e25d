//! Sets of units: subjects of a collection or rows of a dataset, by their ordinals.

use roaring::RoaringBitmap;

/// The first bytes of an encoding without runs (Roaring format specification, "cookie header").
const COOKIE: [u8; 4] = 12346_u32.to_le_bytes();

/// A set of ordinals, compressed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitSet(RoaringBitmap);

/// Why bytes are not a set of units.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitSetError {
    /// The bytes are not an encoding without runs.
    #[error("a set of units is malformed")]
    Malformed,
    /// The set contains an ordinal outside of the universe.
    #[error("a set of units goes beyond the {universe} that exist")]
    Beyond {
        /// The number of units that exist.
        universe: u32,
    },
    /// The set has another, canonical encoding.
    #[error("a set of units is not in its canonical encoding")]
    NotCanonical,
}

impl UnitSet {
    /// The set without elements.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The ordinals below `universe`.
    #[must_use]
    pub fn all(universe: u32) -> Self {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..universe);
        Self(all)
    }

    /// Decodes what another process sent: ordinals below `universe`, in the one encoding that [`Self::to_bytes`] writes.
    ///
    /// Runs are refused, because 14 bytes of them stand for 65,536 ordinals: without them the memory of the result is below twice the
    /// length of the bytes, plus 512 KiB while headers are read.
    pub fn from_untrusted(bytes: &[u8], universe: u32) -> Result<Self, UnitSetError> {
        if !bytes.starts_with(&COOKIE) {
            return Err(UnitSetError::Malformed);
        }
        let set = RoaringBitmap::deserialize_from(bytes).map_err(|_| UnitSetError::Malformed)?;
        if set.max().is_some_and(|largest| largest >= universe) {
            return Err(UnitSetError::Beyond { universe });
        }
        let set = Self(set);
        if set.to_bytes() != bytes {
            return Err(UnitSetError::NotCanonical);
        }
        Ok(set)
    }

    /// The canonical encoding: Roaring's portable format without runs, at most 8 KiB and 16 bytes for each 65,536 ordinals.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut plain = self.0.clone();
        plain.remove_run_compression();
        let mut bytes = Vec::with_capacity(plain.serialized_size());
        // A vector grows and does not fail.
        let written = plain.serialize_into(&mut bytes);
        debug_assert!(written.is_ok());
        bytes
    }

    /// The number of units.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `unit` is an element.
    #[must_use]
    pub fn contains(&self, unit: u32) -> bool {
        self.0.contains(unit)
    }

    /// The largest ordinal.
    #[must_use]
    pub fn largest(&self) -> Option<u32> {
        self.0.max()
    }

    /// The ordinals, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter()
    }

    /// The ordinals from `first` to `last`, both included, ascending.
    pub fn between(&self, first: u32, last: u32) -> impl Iterator<Item = u32> + '_ {
        self.0.range(first..=last)
    }

    /// How many ordinals from `first` to `last` are elements.
    #[must_use]
    pub fn count_between(&self, first: u32, last: u32) -> u64 {
        self.0.range_cardinality(first..=last)
    }

    /// Elements of this set or the other.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    /// Elements of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }

    /// Elements of this set only.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// Elements of one of both only.
    #[must_use]
    pub(crate) fn symmetric_difference(&self, other: &Self) -> Self {
        Self(&self.0 ^ &other.0)
    }

    /// How much an operation on the set has to read: ordinals, or words of 64 ordinals where the set is dense.
    pub(crate) fn words(&self) -> u64 {
        let of = self.0.statistics();
        let sparse = u64::from(of.n_values_array_containers) + u64::from(of.n_containers);
        sparse + of.n_bytes_run_containers / 8 + of.n_bytes_bitset_containers / 8
    }

    /// Whether no unit is in both.
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.0.is_disjoint(&other.0)
    }

    /// Adds an element.
    pub(crate) fn insert(&mut self, unit: u32) {
        self.0.insert(unit);
    }

    /// The element at a position in ascending order.
    pub(crate) fn select(&self, position: u32) -> Option<u32> {
        self.0.select(position)
    }
}

impl FromIterator<u32> for UnitSet {
    fn from_iter<I: IntoIterator<Item = u32>>(units: I) -> Self {
        Self(units.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{UnitSet, UnitSetError};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn any_units() -> impl Strategy<Value = BTreeSet<u32>> {
        let sparse = prop::collection::btree_set(0_u32..300_000, 0..60);
        let dense = (0_u32..100_000, 0_u32..9_000).prop_map(|(from, length)| (from..from + length).collect());
        prop_oneof![sparse, dense]
    }

    proptest! {
        #[test]
        fn unit_set_survives_its_encoding(units in any_units()) {
            let set: UnitSet = units.iter().copied().collect();
            let bytes = set.to_bytes();
            let again = UnitSet::from_untrusted(&bytes, 300_000).unwrap();
            prop_assert_eq!(again.iter().collect::<BTreeSet<_>>(), units);
            prop_assert_eq!(again, set);
        }

        #[test]
        fn unit_set_algebra_is_that_of_sets(a in any_units(), b in any_units()) {
            let (x, y): (UnitSet, UnitSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert!(x.union(&y).iter().eq(a.union(&b).copied()));
            prop_assert!(x.intersection(&y).iter().eq(a.intersection(&b).copied()));
            prop_assert!(x.difference(&y).iter().eq(a.difference(&b).copied()));
            prop_assert!(x.symmetric_difference(&y).iter().eq(a.symmetric_difference(&b).copied()));
            prop_assert_eq!(x.is_disjoint(&y), a.is_disjoint(&b));
            prop_assert_eq!(x.count_between(50, 5_000), a.range(50..=5_000).count() as u64);
        }

        #[test]
        fn unit_set_of_any_bytes_is_canonical(mut bytes in prop::collection::vec(any::<u8>(), 0..200), cookie: bool) {
            if cookie && bytes.len() > 8 {
                bytes[..8].copy_from_slice(&[0x3a, 0x30, 0, 0, 1, 0, 0, 0]);
            }
            if let Ok(set) = UnitSet::from_untrusted(&bytes, 1_000) {
                prop_assert_eq!(set.to_bytes(), bytes);
                prop_assert!(set.iter().all(|unit| unit < 1_000));
            }
        }

        #[test]
        fn unit_set_with_a_changed_byte_has_one_meaning(units in any_units(), at: prop::sample::Index, to: u8) {
            let set: UnitSet = units.into_iter().collect();
            let mut bytes = set.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(changed) = UnitSet::from_untrusted(&bytes, 300_000) {
                prop_assert_eq!(changed.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn unit_set_beyond_the_universe_is_refused() {
        let bytes = UnitSet::from_iter([3, 10]).to_bytes();
        assert!(UnitSet::from_untrusted(&bytes, 11).is_ok());
        let refused = UnitSet::from_untrusted(&bytes, 10);
        assert_eq!(refused, Err(UnitSetError::Beyond { universe: 10 }));
    }

    #[test]
    fn unit_set_in_another_encoding_is_refused() {
        let bytes = UnitSet::from_iter([3, 10]).to_bytes();
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(UnitSet::from_untrusted(&longer, 11), Err(UnitSetError::NotCanonical));
        let mut offset = bytes;
        offset[12] ^= 1;
        assert_eq!(UnitSet::from_untrusted(&offset, 11), Err(UnitSetError::NotCanonical));
    }

    #[test]
    fn unit_set_of_runs_is_refused() {
        let mut runs = roaring::RoaringBitmap::from_iter(0..5_000);
        runs.optimize();
        let mut bytes = Vec::new();
        runs.serialize_into(&mut bytes).unwrap();
        assert_eq!(UnitSet::from_untrusted(&bytes, 5_000), Err(UnitSetError::Malformed));
        assert_eq!(UnitSet::all(5_000).to_bytes(), UnitSet::from_iter(0..5_000).to_bytes());
    }

    #[test]
    fn unit_set_that_claims_more_than_it_has_is_refused() {
        for claimed in [1_u32, 65_536, 65_537, u32::MAX] {
            let bytes = [&super::COOKIE[..], &claimed.to_le_bytes()].concat();
            assert_eq!(UnitSet::from_untrusted(&bytes, u32::MAX), Err(UnitSetError::Malformed));
        }
        assert_eq!(UnitSet::from_untrusted(&[], 1), Err(UnitSetError::Malformed));
        let empty = [&super::COOKIE[..], &[0; 4]].concat();
        assert_eq!(UnitSet::from_untrusted(&empty, 0), Ok(UnitSet::new()));
    }
}
