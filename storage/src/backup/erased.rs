//! Which files of a repository belong to datasets that were erased since.

use std::collections::BTreeSet;

use concordat_protocol::ids::KeyId;

use super::FileEntry;
use crate::catalog::ErasureStatement;

/// The keys of erased datasets.
pub(super) struct ErasedKeys(BTreeSet<KeyId>);

impl ErasedKeys {
    pub(super) fn of(statements: &[ErasureStatement]) -> Self {
        let keys = statements.iter().flat_map(|statement| &statement.document().keys);
        Self(keys.copied().collect())
    }

    /// Whether a file belongs to one of these datasets.
    pub(super) fn cover(&self, file: &FileEntry) -> bool {
        file.key().is_some_and(|key| self.0.contains(&key))
    }
}
