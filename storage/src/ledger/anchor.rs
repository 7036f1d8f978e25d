//! The ledger's head in the sealed state: neither of the two can be replaced by an older copy without the other.
//!
//! 1. A group of entries is made durable in the ledger first, then its head is written to the state, then the group is
//!    acknowledged. The anchor therefore never covers more than the ledger has: a shorter ledger is an older one.
//! 2. Entries about single queries are frequent, and each commit of the state costs a sync. For them the anchor is updated when
//!    it is [`MAX_LAG`] entries behind. The state has a record of each of these queries, made durable before the first entry
//!    about it; a start looks for the records of all entries after the anchor. Every other entry ends its group and is anchored
//!    before it is acknowledged.
//! 3. Before an entry of the second kind is written, the head that the ledger will have with it is announced in the state.
//! 4. So after a crash at any instruction, the ledger has at most one group more than [`MAX_LAG`] entries after the anchor, and
//!    an entry of the second kind can only be the last of them, under the announced head. Anything else means that the *state*
//!    is older than the ledger: for example, a copy of the state from before a revocation does not contain it.

use std::path::Path;

use concordat_keys::LedgerKey;
use concordat_protocol::audit::{EntryBody, TreeHead};
use concordat_protocol::ids::Digest32;

use super::format::Head;
use super::medium::MAX_GROUP;
use super::segments::Segments;
use super::shared::Shared;
use super::{AnchorError, LedgerError, log};
use crate::meta::{MetaError, SealedDb, SealedTree, TreeId};

/// Entries about queries by which the anchor may lag behind.
pub(super) const MAX_LAG: u64 = 64;
/// The tree of anchors.
pub(super) const TREE: TreeId = TreeId::new("ledger-anchor");
/// The key of the anchor in it.
const KEY: &str = "ledger";
/// The key of the latest announced head.
pub(super) const ANNOUNCED: &str = "announced";

/// Whether an entry is of a frequent kind: about one query, for which the state already has a record.
pub(super) fn is_frequent(body: &EntryBody) -> bool {
    matches!(
        body,
        EntryBody::DecisionMade { .. }
            | EntryBody::AnswerReleased { .. }
            | EntryBody::ReceiptCountersigned { .. }
            | EntryBody::QueryOpened { .. }
            | EntryBody::QueryClosed { .. }
            | EntryBody::AnswerLost { .. }
    )
}

/// The anchor of one ledger.
#[derive(Debug)]
pub(super) struct Anchor {
    tree: SealedTree<TreeHead>,
    size: u64,
}

impl Anchor {
    /// Entries that the state covers.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Compares a ledger that was just read with the state.
    ///
    /// # Errors
    /// [`AnchorError`] if one of the two is older than the other.
    pub(super) fn check(meta: &SealedDb, dir: &Path, key: &LedgerKey, opened: &Shared) -> Result<Self, LedgerError> {
        let found = &opened.tip.head();
        let tree = meta.tree(TREE).map_err(AnchorError::State)?;
        let anchored: Option<TreeHead> = tree.get(KEY).map_err(AnchorError::State)?;
        let size = anchored.map_or(0, |anchored| anchored.size);
        let announced: Option<TreeHead> = tree.get(ANNOUNCED).map_err(AnchorError::State)?;
        if let Some(anchored) = anchored {
            compare(dir, key, found, (anchored, announced), &opened.segments)?;
        } else if found.size > 0 && announced != Some(tree_head(found)) {
            return Err(older_state(found, 0).into());
        }
        Ok(Self { tree, size })
    }

    /// Sets the anchor from the ledger as it is: for a data directory restored from a snapshot, whose parts are signed together.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(super) fn adopt(meta: &SealedDb, found: &Head) -> Result<Self, AnchorError> {
        let mut anchor = Self {
            tree: meta.tree(TREE)?,
            size: 0,
        };
        anchor.put(found)?;
        Ok(anchor)
    }

    /// Durably records the head that the ledger will have, before an entry that must be anchored is written.
    pub(super) fn announce(&self, head: &Head) -> Result<(), MetaError> {
        self.tree.put(ANNOUNCED, &tree_head(head))
    }

    /// Updates the anchor after the entries up to `head` are durable. `now` is true if the group may not be acknowledged before.
    pub(super) fn follow(&mut self, head: &Head, now: bool) -> Result<(), MetaError> {
        if now || head.size.saturating_sub(self.size) >= MAX_LAG {
            self.put(head)
        } else {
            Ok(())
        }
    }

    fn put(&mut self, head: &Head) -> Result<(), MetaError> {
        self.tree.put(KEY, &tree_head(head))?;
        self.size = head.size;
        Ok(())
    }
}

fn tree_head(head: &Head) -> TreeHead {
    TreeHead {
        size: head.size,
        root: head.root,
    }
}

fn older_state(found: &Head, anchored: u64) -> AnchorError {
    AnchorError::StateOlder {
        found: found.size,
        anchored,
    }
}

/// The anchored head; `None` if there is none.
pub(super) fn known(meta: &SealedDb) -> Result<Option<TreeHead>, MetaError> {
    meta.tree(TREE)?.get(KEY)
}

fn compare(
    dir: &Path,
    key: &LedgerKey,
    found: &Head,
    (anchored, announced): (TreeHead, Option<TreeHead>),
    segments: &Segments,
) -> Result<(), LedgerError> {
    if found.size < anchored.size {
        return Err(AnchorError::LedgerOlder {
            found: found.size,
            anchored: anchored.size,
        }
        .into());
    }
    if found.size - anchored.size >= MAX_LAG.saturating_add(MAX_GROUP as u64) {
        return Err(older_state(found, anchored.size).into());
    }
    let (root, explained) = if found.size == anchored.size {
        (found.root, true)
    } else {
        let last_announced = announced == Some(tree_head(found));
        read_beyond(dir, key, found, (anchored.size, last_announced), segments)?
    };
    if root != anchored.root {
        return Err(AnchorError::OtherLedger {
            anchored: anchored.size,
        }
        .into());
    }
    if explained {
        Ok(())
    } else {
        Err(older_state(found, anchored.size).into())
    }
}

/// The root over the first `anchored` entries, and whether a crash explains the entries after them.
///
/// The recorded tree at the end of a segment is used without a check: a wrong one leads to another root.
fn read_beyond(
    dir: &Path,
    key: &LedgerKey,
    found: &Head,
    (anchored, last_announced): (u64, bool),
    segments: &Segments,
) -> Result<(Digest32, bool), LedgerError> {
    let from = segments.before(anchored);
    let mut tree = from.tree.clone();
    let mut explained = true;
    let last = found.size.saturating_sub(1);
    log::read(dir, key, &from, found.size, |record| {
        let sequence = record.entry.sequence;
        if sequence < anchored {
            tree.push(record.leaf);
        } else if !(is_frequent(&record.entry.body) || sequence == last && last_announced) {
            explained = false;
        }
    })?;
    Ok((tree.root(), explained))
}
