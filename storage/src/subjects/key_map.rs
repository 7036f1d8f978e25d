//! The owners of the rows of a dataset, by a key of it that other datasets refer to.
//!
//! An entry takes 16 bytes: 96 bits of the keyed hash of the key, and the owner. 64 bits would not do: of 2^24 keys that the dataset lacks,
//! one would have the hash of a key that it has with a probability of 2^-16, and its rows would silently get the owner of another row. With
//! 96 bits it is 2^-48. Two keys of the dataset with the same hash are found, and have no owner.

use std::{fmt, sync::Arc};

use arrow::array::{Array as _, ArrayRef, UInt32Array};
use concordat_keys::SubjectsKey;

use super::{
    SubjectError, SubjectKey,
    key::{Identity, SubjectKeys},
};

/// The most keys of a dataset that others are linked to: they take 256 MiB, and up to 320 MiB while they are collected.
pub const MAX_LINK_KEYS: usize = 1 << 24;

/// Stands for an owner of rows that have none.
const UNOWNED: u32 = u32::MAX;
/// Stands for several owners.
const AMBIGUOUS: u32 = u32::MAX - 1;

/// The bits of an entry that are of the key.
const KEY_BITS: u128 = u128::MAX << u32::BITS;

/// Entries at which duplicates are first removed.
const FIRST_COMPACTION: usize = 1 << 16;

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linked {
    Owner(u32),
    /// No row has the key.
    Unknown,
    /// The rows with the key have several owners, or only some have one.
    Ambiguous,
    /// The rows with the key have no owner.
    Unowned,
}

/// The owners of the rows of a dataset that is written, by their keys.
pub struct KeyMapBuilder {
    keys: SubjectKeys,
    entries: Vec<u128>,
    /// Rows with a key.
    rows: u64,
    compact_at: usize,
    limit: usize,
}

impl fmt::Debug for KeyMapBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMapBuilder")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl KeyMapBuilder {
    /// No rows yet.
    #[must_use]
    pub fn new(key: Arc<SubjectsKey>) -> Self {
        Self::with_limit(key, MAX_LINK_KEYS)
    }

    pub(super) fn with_limit(key: Arc<SubjectsKey>, limit: usize) -> Self {
        Self {
            keys: SubjectKeys::new(key),
            entries: Vec::new(),
            rows: 0,
            compact_at: FIRST_COMPACTION.min(limit + 1),
            limit,
        }
    }

    /// Adds rows: the column of the key, and the owners that [`OwnerResolver`](super::OwnerResolver) found. Rows without a key are not
    /// referred to.
    ///
    /// # Errors
    /// [`SubjectError::TooManyKeys`], [`SubjectError::Lengths`] and [`SubjectError::Type`].
    pub fn add(&mut self, keys: &ArrayRef, owners: &UInt32Array) -> Result<(), SubjectError> {
        if keys.len() != owners.len() {
            return Err(SubjectError::Lengths {
                rows: keys.len(),
                others: owners.len(),
            });
        }
        let identities = self.keys.of_array(keys)?;
        for (identity, owner) in identities.into_iter().zip(owners) {
            let Identity::Key(key) = identity else { continue };
            if self.entries.len() >= self.compact_at {
                self.compact()?;
            }
            self.rows += 1;
            self.entries.push(entry(key, owner.unwrap_or(UNOWNED)));
        }
        Ok(())
    }

    /// The owners by key.
    ///
    /// # Errors
    /// [`SubjectError::TooManyKeys`].
    pub fn finish(mut self) -> Result<KeyMap, SubjectError> {
        self.compact()?;
        Ok(KeyMap::of(self.entries, self.rows))
    }

    /// Sorts, and makes one entry of those with the same key.
    fn compact(&mut self) -> Result<(), SubjectError> {
        self.entries.sort_unstable();
        self.entries.dedup_by(|next, kept| {
            let same_key = (*next ^ *kept) & KEY_BITS == 0;
            if same_key && next != kept {
                *kept = (*kept & KEY_BITS) | u128::from(AMBIGUOUS);
            }
            same_key
        });
        if self.entries.len() > self.limit {
            return Err(SubjectError::TooManyKeys { limit: self.limit });
        }
        // A quarter more than the limit, so that repeated keys of a dataset at the limit do not make every row sort all of them.
        let most = self.limit + self.limit / 4 + 1;
        self.compact_at = (self.entries.len() * 2).max(FIRST_COMPACTION).min(most);
        Ok(())
    }
}

/// The owners of the rows of a dataset, by a key.
pub struct KeyMap {
    /// Sorted, one for each key.
    entries: Vec<u128>,
    /// For each value of the first `bits` bits, the first entry with it; one more at the end.
    starts: Vec<u32>,
    bits: u32,
    rows: u64,
}

impl fmt::Debug for KeyMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMap")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl KeyMap {
    /// The keys are uniformly distributed, so an average of 16 of them have the same first bits.
    fn of(entries: Vec<u128>, rows: u64) -> Self {
        let bits = (entries.len() / 16 + 1).ilog2();
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (at, entry) in entries.iter().enumerate() {
            while starts.len() <= first_bits(*entry, bits) {
                starts.push(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
        starts.resize((1 << bits) + 1, u32::try_from(entries.len()).unwrap_or(u32::MAX));
        Self {
            entries,
            starts,
            bits,
            rows,
        }
    }

    /// How many keys it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether no two rows have the same key. Without owners, this is what is known of a dataset of reference.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        u64::try_from(self.entries.len()).is_ok_and(|keys| keys == self.rows)
    }

    /// Keys whose rows have several owners.
    #[must_use]
    pub fn ambiguous(&self) -> usize {
        let is_ambiguous = |entry: &&u128| owner(**entry) == AMBIGUOUS;
        self.entries.iter().filter(is_ambiguous).count()
    }

    pub(super) fn find(&self, key: SubjectKey) -> Linked {
        let bucket = first_bits(key.0, self.bits);
        let start = self.starts.get(bucket).map_or(0, |start| index(*start));
        let end = self.starts.get(bucket + 1).map_or(0, |end| index(*end));
        let entries = self.entries.get(start..end).unwrap_or_default();
        let wanted = key.0 & KEY_BITS;
        let found = entries.binary_search_by_key(&wanted, |entry| *entry & KEY_BITS);
        match found.ok().and_then(|at| entries.get(at)).map(|entry| owner(*entry)) {
            None => Linked::Unknown,
            Some(UNOWNED) => Linked::Unowned,
            Some(AMBIGUOUS) => Linked::Ambiguous,
            Some(owner) => Linked::Owner(owner),
        }
    }
}

fn entry(key: SubjectKey, owner: u32) -> u128 {
    (key.0 & KEY_BITS) | u128::from(owner)
}

fn owner(entry: u128) -> u32 {
    u32::try_from(entry & !KEY_BITS).unwrap_or(UNOWNED)
}

fn first_bits(key: u128, bits: u32) -> usize {
    key.checked_shr(u128::BITS - bits)
        .map_or(0, |first| usize::try_from(first).unwrap_or_default())
}

fn index(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}
