//! The interface of the state database.

use std::{
    fmt,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use concordat_keys::StateKey;
use concordat_protocol::{ids::Digest32, labels};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Batch, MetaError, SealedTree, TreeId,
    codec::encode,
    database::{Applied, Database, guarded},
    head::Head,
};

/// The state database of one node.
#[derive(Clone)]
pub struct SealedDb(Arc<Database>);

impl SealedDb {
    /// Opens the database in `dir`, creating it (0700) if there is none.
    ///
    /// # Errors
    /// [`MetaError::InUse`] if another process has it open; [`MetaError::Damaged`], [`MetaError::Value`] or
    /// [`MetaError::RolledBack`] if it is not what was written.
    pub fn open(dir: &Path, key: StateKey) -> Result<Self, MetaError> {
        Database::open(dir, key, Head::check).map(Self::from_database)
    }

    /// A tree of values of one type.
    ///
    /// # Errors
    /// If the database fails.
    pub fn tree<V: Serialize + DeserializeOwned>(&self, id: TreeId) -> Result<SealedTree<V>, MetaError> {
        let tree = guarded(|| Ok(self.0.db.open_tree(id.as_str())?))?;
        Ok(SealedTree::new(Arc::clone(&self.0), id, tree))
    }

    /// A digest of the value under `key` of a tree; `None` if there is none.
    ///
    /// # Errors
    /// [`MetaError::Value`] if it was changed or moved.
    pub fn fingerprint(&self, id: TreeId, key: &str) -> Result<Option<Digest32>, MetaError> {
        let tree: SealedTree<ciborium::Value> = self.tree(id)?;
        let value = tree.get(key)?;
        let digest = |value| {
            Ok(Digest32::sha256(
                labels::STATE_VALUE_HASH,
                &encode(id.as_str(), key, &value)?,
            ))
        };
        value.map(digest).transpose()
    }

    /// Applies everything in the batch or nothing, and returns when it is on disk.
    ///
    /// # Errors
    /// [`MetaError::Conflict`] if the batch expected another value.
    pub fn commit(&self, batch: Batch) -> Result<(), MetaError> {
        self.0.commit(&batch.into_ops())
    }

    /// Applies everything in the batch or nothing. A power cut may lose it until [`Self::until_durable`], or any later commit that is
    /// durable, or the end of the process in good order.
    ///
    /// # Errors
    /// [`MetaError::Conflict`] if the batch expected another value.
    pub fn apply(&self, batch: Batch) -> Result<Applied, MetaError> {
        self.0.apply_all(&batch.into_ops())
    }

    /// Waits until what was applied is on disk, together with all that was applied before it. Blocks.
    ///
    /// # Errors
    /// If the disk fails; whether the change is there after the next start is not known then.
    pub fn until_durable(&self, applied: Applied) -> Result<(), MetaError> {
        self.0.until_durable(applied)
    }

    /// How often the disk was waited for since the database was opened: what its commits cost, those that waited together counted once.
    pub fn syncs(&self) -> u64 {
        self.0.syncs.load(Ordering::Relaxed)
    }

    /// Bytes that the database takes on the disk.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn size_on_disk(&self) -> Result<u64, MetaError> {
        guarded(|| Ok(self.0.db.size_on_disk()?))
    }

    pub(super) fn from_database(database: Database) -> Self {
        Self(Arc::new(database))
    }

    pub(super) fn database(&self) -> &Database {
        &self.0
    }
}

impl fmt::Debug for SealedDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedDb").finish_non_exhaustive()
    }
}
