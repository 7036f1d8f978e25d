//! A keyed hash of all values of the database together.
//!
//! Each value is sealed for its place, but an older value of the same place opens as well, and a value that is missing does not show. So each commit
//! states the sum, modulo 2^256, of the keyed hashes of all values that there are after it: a multiset hash (`MSet-Add-Hash` of Clarke, Devadas,
//! van Dijk, Gassend and Suh, "Incremental multiset hash functions and their application to memory integrity checking", 2003), which changes with a
//! value at the cost of hashing that value. The hashes are keyed and the sum is sealed, so someone who changes the files can neither compute one nor look
//! for another set of values with the same sum.

use concordat_keys::StateKey;
use serde::{Deserialize, Serialize};

/// Limbs of 64 bits.
const LIMBS: usize = 4;

/// The sum of the hashes of some values; the default is that of none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents([u64; LIMBS]);

impl Contents {
    /// Adds a value as it is stored.
    pub(super) fn add(&mut self, key: &StateKey, tree: &[u8], hashed: &[u8], sealed: &[u8]) {
        self.join(Self(limbs(key, tree, hashed, sealed)));
    }

    /// Adds the values of another sum.
    pub(super) fn join(&mut self, other: Self) {
        let mut carried = false;
        for (limb, added) in self.0.iter_mut().zip(other.0) {
            let (sum, first) = limb.overflowing_add(added);
            let (sum, second) = sum.overflowing_add(u64::from(carried));
            *limb = sum;
            carried = first || second;
        }
    }

    /// Takes away a value that was added.
    pub(super) fn remove(&mut self, key: &StateKey, tree: &[u8], hashed: &[u8], sealed: &[u8]) {
        let mut borrowed = false;
        for (limb, removed) in self.0.iter_mut().zip(limbs(key, tree, hashed, sealed)) {
            let (rest, first) = limb.overflowing_sub(removed);
            let (rest, second) = rest.overflowing_sub(u64::from(borrowed));
            *limb = rest;
            borrowed = first || second;
        }
    }
}

/// The hash of one value, the lowest limb first.
fn limbs(key: &StateKey, tree: &[u8], hashed: &[u8], sealed: &[u8]) -> [u64; LIMBS] {
    let mut limbs = [0; LIMBS];
    let hash = key.hash_stored(tree, hashed, sealed);
    let (parts, _) = hash.as_chunks::<8>();
    for (limb, part) in limbs.iter_mut().zip(parts) {
        *limb = u64::from_le_bytes(*part);
    }
    limbs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::meta::tests::state_key;

    fn of<'a>(key: &StateKey, values: impl IntoIterator<Item = &'a (u8, u8, Vec<u8>)>) -> Contents {
        let mut contents = Contents::default();
        for (tree, place, value) in values {
            contents.add(key, &[*tree], &[*place], value);
        }
        contents
    }

    proptest! {
        /// The order of changes does not matter, and what is removed leaves nothing.
        #[test]
        fn contents_depend_on_the_values_only(
            values in prop::collection::vec((0..3_u8, 0..3_u8, prop::collection::vec(any::<u8>(), 0..3)), 0..12),
            removed in prop::collection::vec((0..3_u8, 0..3_u8, prop::collection::vec(any::<u8>(), 0..3)), 0..12),
        ) {
            let key = state_key();
            let mut changed = of(&key, values.iter().chain(&removed));
            prop_assert_eq!(changed, of(&key, removed.iter().rev().chain(values.iter().rev())));
            for (tree, place, value) in &removed {
                changed.remove(&key, &[*tree], &[*place], value);
            }
            prop_assert_eq!(changed, of(&key, &values));
            changed.join(of(&key, &removed));
            prop_assert_eq!(changed, of(&key, removed.iter().chain(&values)));
        }
    }

    #[test]
    fn values_that_differ_in_anything_have_other_contents() {
        let key = state_key();
        let value = (1, 2, vec![3, 4]);
        let others = [
            vec![],
            vec![value.clone(), value.clone()],
            vec![(2, 2, vec![3, 4])],
            vec![(1, 3, vec![3, 4])],
            vec![(1, 2, vec![3])],
            vec![(1, 2, vec![4, 3])],
        ];
        for other in &others {
            assert_ne!(of(&key, [&value]), of(&key, other), "{other:?}");
        }
    }
}
