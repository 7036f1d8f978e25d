//! Whether answers may be missing because this node went on from an older copy of its state.
//!
//! After a restore, what was answered since the snapshot is not known, also to owners who have no log in it. So the state counts the
//! restores, and for each dataset how many of them a steward has acknowledged. A dataset that is imported later lacks nothing. The
//! acknowledgment exists as long as the dataset: each head is committed only while it does.

use std::collections::BTreeSet;

use concordat_protocol::{ids::CreationId, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::AnswersError;
use crate::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};

/// The tree of the only record.
const COPIES: TreeId = TreeId::new("answer-copies");
/// Its key.
const KEY: &str = "copies";
/// The tree of acknowledgments, by creation id.
const ACKNOWLEDGED: TreeId = TreeId::new("answer-acknowledgments");

/// From each older copy that the node went on from, until when answers are known in it; the first one first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Copies(Vec<Timestamp>);

/// The older copies, and which of them were acknowledged for which dataset.
#[derive(Debug)]
pub(super) struct OlderCopies {
    copies: SealedTree<Copies>,
    acknowledged: SealedTree<u64>,
}

/// What was acknowledged for a dataset when a log was opened.
#[derive(Debug)]
pub(super) struct Acknowledgment {
    tree: SealedTree<u64>,
    created: CreationId,
    copies: u64,
}

/// Notes that this state is an older copy, in which answers are known until `known_until`: from here on no log opens until it is acknowledged for
/// its dataset. For a restore, and for an older data directory that an administrator accepts.
///
/// # Errors
/// If the state cannot be written; nothing may be answered then.
pub fn note_older_copy(meta: &SealedDb, known_until: Timestamp) -> Result<(), MetaError> {
    let tree = meta.tree(COPIES)?;
    let Copies(mut copies) = tree.get(KEY)?.unwrap_or_default();
    copies.push(known_until);
    tree.put(KEY, &Copies(copies))
}

impl OlderCopies {
    pub(super) fn open(meta: &SealedDb) -> Result<Self, MetaError> {
        Ok(Self {
            copies: meta.tree(COPIES)?,
            acknowledged: meta.tree(ACKNOWLEDGED)?,
        })
    }

    fn all(&self) -> Result<Vec<Timestamp>, MetaError> {
        Ok(self.copies.get(KEY)?.unwrap_or_default().0)
    }

    /// The datasets that there are.
    pub(super) fn datasets(&self) -> Result<BTreeSet<CreationId>, MetaError> {
        let known = self.acknowledged.iter()?;
        Ok(known.filter_map(|(created, _)| created.parse().ok()).collect())
    }

    /// Until when the answers about a dataset are known; `None` if all of them are, or if it was acknowledged that some are not.
    pub(super) fn known_until(&self, created: CreationId) -> Result<Option<Timestamp>, MetaError> {
        let acknowledged = self.acknowledged.get(&created.to_string())?.unwrap_or_default();
        self.after(acknowledged)
    }

    fn after(&self, acknowledged: u64) -> Result<Option<Timestamp>, MetaError> {
        let acknowledged = usize::try_from(acknowledged).unwrap_or(usize::MAX);
        Ok(self.all()?.get(acknowledged).copied())
    }

    /// The acknowledgment for a dataset about which no answers are missing.
    ///
    /// # Errors
    /// [`AnswersError::OlderCopy`], and [`AnswersError::Changed`] if the dataset is not there any more.
    pub(super) fn acknowledgment(&self, created: CreationId) -> Result<Acknowledgment, AnswersError> {
        let found = self.acknowledged.get(&created.to_string())?;
        let copies = found.ok_or(AnswersError::Changed)?;
        if let Some(known_until) = self.after(copies)? {
            return Err(AnswersError::OlderCopy { known_until });
        }
        Ok(Acknowledgment {
            tree: self.acknowledged.clone(),
            created,
            copies,
        })
    }

    /// Acknowledges all older copies so far for a dataset, as part of a larger change.
    pub(super) fn acknowledge(&self, batch: &mut Batch, created: CreationId) -> Result<(), MetaError> {
        let copies = self.all()?.len() as u64;
        batch.put(&self.acknowledged, &created.to_string(), &copies)?;
        Ok(())
    }

    /// Makes a dataset known for which no copies were acknowledged, unless it is known.
    pub(super) fn add(&self, created: CreationId) -> Result<(), MetaError> {
        let key = created.to_string();
        if self.acknowledged.contains(&key)? {
            return Ok(());
        }
        self.acknowledged.compare_and_swap(&key, None, Some(&0)).map(drop)
    }

    /// Removes what is known about a dataset, as part of a larger change.
    pub(super) fn forget(&self, batch: &mut Batch, created: CreationId) {
        batch.remove(&self.acknowledged, &created.to_string());
    }
}

impl Acknowledgment {
    /// Makes a change conditional on the acknowledgment: it fails once the dataset is erased.
    pub(super) fn expect(&self, batch: &mut Batch) -> Result<(), MetaError> {
        batch.expect(&self.tree, &self.created.to_string(), Some(&self.copies))?;
        Ok(())
    }
}
