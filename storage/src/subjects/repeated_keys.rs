//! Rows whose key is that of an earlier row, found in bounded memory.

use std::{collections::HashSet, fmt, sync::Arc};

use arrow::array::ArrayRef;
use concordat_keys::SubjectsKey;

use super::{
    SubjectError, SubjectKey,
    key::{Identity, SubjectKeys},
};

/// The most keys that are kept: they take about 16 MiB.
const MAX_KEPT: usize = 1 << 19;

/// Finds rows whose key is that of an earlier one.
///
/// All keys are compared as long as they can be kept. Of more, half are not compared any longer, and half of the others whenever there are
/// too many again: which ones depends on their keyed hashes alone, so that both rows of a pair are compared or none.
pub struct RepeatedKeys {
    keys: SubjectKeys,
    kept: HashSet<SubjectKey>,
    /// Bits that are zero in the hash of a key that is compared.
    mask: u128,
    limit: usize,
    repeated: u64,
}

impl fmt::Debug for RepeatedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepeatedKeys")
            .field("repeated", &self.repeated)
            .finish_non_exhaustive()
    }
}

impl RepeatedKeys {
    /// No rows yet.
    #[must_use]
    pub fn new(key: Arc<SubjectsKey>) -> Self {
        Self::with_limit(key, MAX_KEPT)
    }

    pub(super) fn with_limit(key: Arc<SubjectsKey>, limit: usize) -> Self {
        Self {
            keys: SubjectKeys::new(key),
            kept: HashSet::new(),
            mask: 0,
            limit,
            repeated: 0,
        }
    }

    /// Adds the column of the key of rows. Rows without a key are not compared.
    ///
    /// # Errors
    /// [`SubjectError::Type`].
    pub fn add(&mut self, keys: &ArrayRef) -> Result<(), SubjectError> {
        for identity in self.keys.of_array(keys)? {
            let Identity::Key(key) = identity else { continue };
            if key.0 & self.mask != 0 {
                continue;
            }
            if !self.kept.insert(key) {
                self.repeated += 1;
            } else if self.kept.len() > self.limit {
                self.halve();
            }
        }
        Ok(())
    }

    /// How many rows have the key of an earlier one; the least number if some were not compared.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.repeated
    }

    fn halve(&mut self) {
        self.mask = (self.mask << 1) | 1;
        let mask = self.mask;
        self.kept.retain(|key| key.0 & mask == 0);
    }
}
