//! How often this node went on from an older copy of its state: from a snapshot, or from an older data directory that an administrator
//! acknowledged.
//!
//! An older copy contains decisions that were taken back since: grants that were revoked, negotiations that were ended. So what was decided
//! before is not used as it is. Each record that permits something states the count at which it was decided, and permits nothing while the
//! present count is another one.

use std::sync::Arc;

use concordat_protocol::time::Timestamp;
use concordat_storage::answers::note_older_copy;
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The key of the only record in the tree.
const KEY: &str = "count";

/// How often this node had gone on from an older copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RestorationCount(u64);

/// The count in the sealed state; clones share it.
#[derive(Clone, Debug)]
pub struct Restorations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    meta: SealedDb,
    tree: SealedTree<RestorationCount>,
    count: watch::Sender<RestorationCount>,
}

impl Restorations {
    /// Loads the count.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        let tree: SealedTree<RestorationCount> = meta.tree(TreeId::new("restorations"))?;
        let count = tree.get(KEY)?.unwrap_or_default();
        Ok(Self(Arc::new(Inner {
            meta: meta.clone(),
            tree,
            count: watch::Sender::new(count),
        })))
    }

    /// The present count.
    pub fn current(&self) -> RestorationCount {
        *self.0.count.borrow()
    }

    /// Watches the count.
    pub fn watch(&self) -> watch::Receiver<RestorationCount> {
        self.0.count.subscribe()
    }

    /// Counts one more for an older data directory, in which answers are known until `known_until`: what was answered below `records` since then
    /// may be missing, until a steward acknowledges that. A restore of a snapshot notes it itself. Blocks.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_older(&self, known_until: Timestamp) -> Result<(), MetaError> {
        note_older_copy(&self.0.meta, known_until)?;
        self.add()
    }

    /// Counts one more: from here on nothing that was decided before is used as it is. Blocks.
    ///
    /// # Errors
    /// If the state cannot be written; nothing may be served then.
    pub fn add(&self) -> Result<(), MetaError> {
        let next = RestorationCount(self.current().0.saturating_add(1));
        // In memory first: even if the state cannot be written, nothing is served under an older decision.
        self.0.count.send_replace(next);
        self.0.tree.put(KEY, &next)
    }
}

#[cfg(test)]
mod tests {
    use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};

    use super::*;

    #[test]
    fn restorations_are_counted_across_starts() {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let db = SealedDb::open(&dir.path().join("meta"), master.state()).unwrap();
        let restorations = Restorations::open(&db).unwrap();
        assert_eq!(restorations.current(), RestorationCount::default());
        let watched = restorations.watch();
        restorations.add().unwrap();
        assert!(watched.has_changed().unwrap());
        assert_eq!(Restorations::open(&db).unwrap().current(), RestorationCount(1));
        assert_eq!(restorations.current(), RestorationCount(1));
    }
}
