//! The ledger's head in the sealed state: neither of the two can be replaced by an older copy without the other.
//!
//! The state covers a ledger entry if the head in it, the *anchor*, is at least as long. A ledger that lacks a covered entry, or has
//! another one in its place, has another root up to the anchor, and does not open.
//!
//! 1. A group of entries is made durable in the ledger first, then its head is written to the state, then the group is
//!    acknowledged. The anchor therefore never covers more than the ledger has: a shorter ledger is an older one. If the entry records a
//!    change that is one transaction of the state, the head is written in that transaction instead ([`Anchoring::WithTheChange`]): what the
//!    entry permits is durable only together with the head that covers it. No other entry is written before.
//! 2. Entries about single queries are frequent, and each commit of the state costs a sync. For them the anchor is updated when
//!    it is [`MAX_LAG`] entries behind. The state has a record of each of these queries, made durable before the first entry
//!    about it; a start looks for the records of all entries after the anchor. Every other entry ends its group and is anchored
//!    before it is acknowledged.
//! 3. Before an entry of the second kind is written, the head that the ledger will have with it is announced in the state.
//! 4. A value of the state that names an entry, such as the record of a query, is stored together with the present head, in one
//!    transaction ([`Ledger::apply`](super::Ledger::apply)). So the state covers each entry that it names, at no further sync.
//! 5. What leaves this node and is signed over the ledger is signed over a head that the state covers: it is made of an
//!    [`AnchoredHead`]. So the ledger alone cannot be set back to before something that others have a signature of.
//! 6. So after a crash at any instruction, the ledger has at most one group more than [`MAX_LAG`] entries after the anchor, and
//!    an entry of the second kind can only be the last of them, under the announced head. Anything else means that the *state*
//!    is older than the ledger: for example, a copy of the state from before a revocation does not contain it.

use std::fmt;
use std::path::Path;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use concordat_keys::LedgerKey;
use concordat_protocol::audit::merkle::CompactTree;
use concordat_protocol::audit::{EntryBody, TreeHead};
use concordat_protocol::ids::Digest32;

use super::format::Head;
use super::medium::MAX_GROUP;
use super::segments::Segments;
use super::shared::{Shared, locked};
use super::{AnchorError, LedgerError, log_reader};
use crate::meta::{Applied, Batch, MetaError, SealedDb, SealedTree, TreeId};

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

/// When the state covers an entry that records a change of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchoring {
    /// Before the append returns.
    BeforeTheChange,
    /// In the transaction of the change, by [`Ledger::apply`](super::Ledger::apply), and at the latest before the next entry is written. Only for
    /// changes that have no effect outside of that transaction before it is durable.
    WithTheChange,
}

/// A head of the ledger that the sealed state covers. What is signed over the ledger is signed over such a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchoredHead(TreeHead);

impl AnchoredHead {
    /// Size and root.
    #[must_use]
    pub const fn tree(self) -> TreeHead {
        self.0
    }

    /// The head of a ledger that was opened without a state: there is nothing that could cover it.
    pub(super) const fn without_state(head: TreeHead) -> Self {
        Self(head)
    }
}

/// The anchor of one ledger; clones share it.
#[derive(Clone)]
pub(super) struct Anchor(Arc<Inner>);

struct Inner {
    db: SealedDb,
    tree: SealedTree<TreeHead>,
    /// What the state covers durably.
    covered: Mutex<TreeHead>,
    /// The longest head in the state. Locked while it is changed, so that a shorter head never replaces a longer one; not while it is made
    /// durable.
    longest: Mutex<Longest>,
    /// Size of the ledger with the newest entry that the state has to cover before another entry is written; 0 if there is none.
    owed: AtomicU64,
}

/// The longest head in the state, which may not be durable yet.
struct Longest {
    size: u64,
    /// The change that put it there; `None` if it was there when the ledger was opened.
    applied: Option<Applied>,
}

impl Anchor {
    fn new(db: &SealedDb, tree: SealedTree<TreeHead>, covered: TreeHead, owed: u64) -> Self {
        Self(Arc::new(Inner {
            db: db.clone(),
            tree,
            covered: Mutex::new(covered),
            longest: Mutex::new(Longest {
                size: covered.size,
                applied: None,
            }),
            owed: AtomicU64::new(owed),
        }))
    }

    /// The longest head that the state covers and that is not longer than `present`. An entry is covered a moment before it is
    /// acknowledged, so the present head may be shorter, and then it is covered as well.
    pub(super) fn covered_up_to(&self, present: TreeHead) -> AnchoredHead {
        let covered = *locked(&self.0.covered);
        AnchoredHead(if covered.size < present.size { covered } else { present })
    }

    /// Entries that the state covers.
    pub(super) fn size(&self) -> u64 {
        locked(&self.0.covered).size
    }

    /// Compares a ledger that was just read with the state.
    ///
    /// # Errors
    /// [`AnchorError`] if one of the two is older than the other.
    pub(super) fn check(meta: &SealedDb, dir: &Path, key: &LedgerKey, opened: &Shared) -> Result<Self, LedgerError> {
        let found = &opened.tip.head();
        let tree = meta.tree(TREE).map_err(AnchorError::State)?;
        let anchored: Option<TreeHead> = tree.get(KEY).map_err(AnchorError::State)?;
        let announced: Option<TreeHead> = tree.get(ANNOUNCED).map_err(AnchorError::State)?;
        if let Some(anchored) = anchored {
            compare(dir, key, found, (anchored, announced), &opened.segments)?;
        } else if found.size > 0 && announced != Some(tree_head(found)) {
            return Err(older_state(found, 0).into());
        }
        // A stop came between the last entry and its anchor. If another entry was written first, a stop after that would leave two entries that
        // only one announcement explains.
        let is_announced = announced == Some(tree_head(found));
        let owed = if is_announced { found.size } else { 0 };
        Ok(Self::new(meta, tree, anchored.unwrap_or_else(empty), owed))
    }

    /// Sets the anchor from the ledger as it is: for a data directory restored from a snapshot, whose parts are signed together.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(super) fn adopt(meta: &SealedDb, found: &Head) -> Result<Self, AnchorError> {
        let tree = meta.tree(TREE)?;
        let head = tree_head(found);
        tree.put(KEY, &head)?;
        Ok(Self::new(meta, tree, head, 0))
    }

    /// Durably records the head that the ledger will have, before an entry that must be anchored is written, in one transaction with `note`.
    pub(super) fn announce(&self, head: &Head, mut note: Batch) -> Result<(), MetaError> {
        note.put(&self.0.tree, ANNOUNCED, &tree_head(head))?;
        self.0.db.commit(note)
    }

    /// Updates the anchor after the entries up to `head` are durable, if the group is not acknowledged before. `last` states that of the last
    /// entry; `None` if it is a frequent one.
    pub(super) fn follow(&self, head: &Head, last: Option<Anchoring>) -> Result<(), MetaError> {
        let now = match last {
            Some(Anchoring::BeforeTheChange) => true,
            Some(Anchoring::WithTheChange) => {
                self.0.owed.store(head.size, Ordering::Relaxed);
                false
            }
            None => head.size.saturating_sub(self.size()) >= MAX_LAG,
        };
        if now {
            self.cover(|| tree_head(head)).map(drop)
        } else {
            Ok(())
        }
    }

    /// Waits until the state covers the last entry, if that is one which has to be covered before another one is written. `written` returns the
    /// head of the ledger. Only the thread that appends calls this and [`Self::follow`].
    pub(super) fn cover_last(&self, written: impl FnOnce() -> Head) -> Result<(), MetaError> {
        if self.0.owed.load(Ordering::Relaxed) > self.size() {
            self.cover(|| tree_head(&written())).map(drop)
        } else {
            Ok(())
        }
    }

    /// Updates the anchor to the head that `present` returns, unless the state covers it already. Returns that head.
    pub(super) fn cover(&self, present: impl FnOnce() -> TreeHead) -> Result<AnchoredHead, MetaError> {
        let mut longest = locked(&self.0.longest);
        let present = present();
        if present.size > longest.size {
            *longest = Longest {
                size: present.size,
                applied: Some(self.0.tree.apply(KEY, &present)?),
            };
        }
        let applied = longest.applied;
        drop(longest);
        if let Some(applied) = applied.filter(|_| present.size > self.size()) {
            self.0.tree.until_durable(applied)?;
            self.covers(present);
        }
        Ok(AnchoredHead(present))
    }

    /// Applies what `make` adds to the batch, and the head that `present` returns, in one transaction. `make` gets that head, which the
    /// state covers once the transaction is durable.
    pub(super) fn apply<T, E: From<MetaError>>(
        &self,
        db: &SealedDb,
        present: impl FnOnce() -> TreeHead,
        make: impl FnOnce(AnchoredHead, &mut Batch) -> Result<T, E>,
    ) -> Result<(T, StateChange), E> {
        let mut longest = locked(&self.0.longest);
        let head = present();
        let mut batch = Batch::new();
        let made = make(AnchoredHead(head), &mut batch)?;
        let is_longer = head.size > longest.size;
        if is_longer {
            batch.put(&self.0.tree, KEY, &head)?;
        }
        let applied = db.apply(batch)?;
        if is_longer {
            *longest = Longest {
                size: head.size,
                applied: Some(applied),
            };
        }
        Ok((made, StateChange { applied, head }))
    }

    /// Notes that the state covers `head` durably.
    pub(super) fn covers(&self, head: TreeHead) {
        let mut covered = locked(&self.0.covered);
        if head.size > covered.size {
            *covered = head;
        }
    }
}

/// A change of the state that is applied, with the head of the ledger in it.
#[derive(Clone, Copy, Debug)]
#[must_use = "it may be lost in a power cut until it is durable"]
pub struct StateChange {
    pub(super) applied: Applied,
    pub(super) head: TreeHead,
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anchor({} entries)", self.size())
    }
}

/// The head of a ledger without entries.
fn empty() -> TreeHead {
    TreeHead {
        size: 0,
        root: CompactTree::new().root(),
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
    log_reader::read(dir, key, &from, found.size, |record| {
        let sequence = record.entry.sequence;
        if sequence < anchored {
            tree.push(record.leaf);
        } else if !(is_frequent(&record.entry.body) || sequence == last && last_announced) {
            explained = false;
        }
    })?;
    Ok((tree.root(), explained))
}
