//! Exchange of signed ledger heads between peers: a node that is restored from an older copy of itself is detected.
//!
//! 1. In each hello a node sends the durable head of its ledger, signed, and proves that it extends every head that the other side
//!    has stored ([`concordat_protocol::audit::check_growth`]). Receipts and countersignatures contain a head without a proof.
//! 2. Peers store in their sealed state the newest *proven* head of each node and the *pending* ones that arrived without a proof
//!    (`peers.rs`). Each of them has to be extended at the next hello; when many are pending, a hello is sent at once.
//! 3. A head that contradicts a stored one is written to the ledger, and no requests are served for or sent to the node until an
//!    administrator acknowledges a head that it has shown since, by its root; that head is the new base.
//! 4. The other side's hello contains the heads that this node had signed. If the present ledger does not extend one, the data
//!    directory is an older copy: from then on the node neither serves nor sends requests (`own.rs`). Only this node's own signature
//!    counts, so no peer can stop it by inventing a head.
//! 5. Each start of a node is counted and has an id, which each hello states. Peers store the newest start of each node and refuse any
//!    other (`peer_starts.rs`), so that a second node on a copy of the same data directory is noticed by all of them; the copy learns it
//!    from the statement of the other, signed by its own key (`own_start.rs`).
//! 6. A signed head is covered by the sealed state ([`AnchoredHead`]), and its entries are on the disk. So a crash never looks like an
//!    older copy, and the ledger alone cannot be set back to before a head that was signed.

mod counted_start;
mod error;
mod grown;
mod own;
mod own_ledger;
mod own_start;
mod peer_starts;
mod peers;
mod proofs;
mod received;
mod shown_start;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_protocol::audit::LedgerHead;
use concordat_protocol::ids::{Digest32, NodeId};
use concordat_protocol::signed::{SignatureError, Signed};
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{AnchoredHead, Ledger};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use tokio::sync::{Notify, watch};

pub use counted_start::{CountedStart, StartNotCounted};
pub(crate) use error::LedgerHeadsError;
pub(crate) use own_ledger::{OwnConflict, OwnStartConflict};
pub(crate) use own_start::ShownAs;
pub(crate) use peer_starts::RefusedPeerStart;
pub(crate) use received::PeerConflict;
pub(crate) use shown_start::{ShownStart, StartRefused};

use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::identity::Identity;
use crate::restorations::Restorations;
use own_ledger::{OWN, OWN_TREE, OwnLedger};
use peers::PeerLedger;
use proofs::Blocks;
use shown_start::PeerStart;

/// Minimum number of characters by which a head is named in a command.
const MIN_NAME: usize = 8;

/// A cloneable handle to the heads of this node's ledger and of its peers' ledgers.
#[derive(Clone, Debug)]
pub struct LedgerHeads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Arc<Identity>,
    ledger: Ledger,
    clock: Clock,
    /// Raised when this node learns that it is an older copy.
    epoch: Epoch,
    own: SealedTree<OwnLedger>,
    peers: SealedTree<PeerLedger>,
    peer_starts: SealedTree<PeerStart>,
    /// The present start of this node, and when it began.
    start: CountedStart,
    began: Timestamp,
    blocks: Mutex<Blocks>,
    state: Mutex<State>,
    /// Counted when an older copy of the ledger is acknowledged: what this node has decided before it is not used as it is.
    restorations: Restorations,
    /// Held from the reading of a record until its change is durable; never while `state` is locked.
    changing: Mutex<()>,
    /// Whether this node is an older copy of itself.
    older: watch::Sender<bool>,
    /// Notified when many heads of a peer are pending.
    many: Notify,
    /// Notified when pending heads of a peer are proven.
    capacity: Notify,
}

#[derive(Debug, Default)]
struct State {
    own: OwnLedger,
    peers: BTreeMap<NodeId, PeerLedger>,
    starts: BTreeMap<NodeId, PeerStart>,
    /// The copy of this node that a peer has refused since this node started.
    copy: Option<OwnStartConflict>,
    /// Peers whose head from a receipt is not durable yet.
    unsaved: BTreeSet<NodeId>,
}

impl LedgerHeads {
    /// Loads the stored heads.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open(
        identity: Arc<Identity>,
        ledger: Ledger,
        clock: Clock,
        epoch: Epoch,
        meta: &SealedDb,
        restorations: Restorations,
        start: CountedStart,
    ) -> Result<Self, MetaError> {
        let own: SealedTree<OwnLedger> = meta.tree(OWN_TREE)?;
        let peers: SealedTree<PeerLedger> = meta.tree(TreeId::new("ledger-heads"))?;
        let stored = peers
            .iter()?
            .map(|(_, ledger)| (ledger.proven.head.node, ledger))
            .collect();
        let peer_starts: SealedTree<PeerStart> = meta.tree(TreeId::new("peer-starts"))?;
        let by_node = |(node, start): (String, PeerStart)| Some((node.parse::<NodeId>().ok()?, start));
        let state = State {
            own: own.get(OWN)?.unwrap_or_default(),
            peers: stored,
            starts: peer_starts.iter()?.filter_map(by_node).collect(),
            copy: None,
            unsaved: BTreeSet::new(),
        };
        let older = watch::Sender::new(state.own.is_older());
        let began = clock.now();
        let heads = Self(Arc::new(Inner {
            identity,
            ledger,
            clock,
            peer_starts,
            start,
            began,
            epoch,
            restorations,
            own,
            peers,
            blocks: Mutex::default(),
            state: Mutex::new(state),
            changing: Mutex::default(),
            older,
            many: Notify::new(),
            capacity: Notify::new(),
        }));
        heads.prefetch();
        Ok(heads)
    }

    /// Reads the ledger once, in chunks and in the background, so that no hello has to wait for it.
    fn prefetch(&self) {
        let weak = Arc::downgrade(&self.0);
        let size = self.0.ledger.size();
        // A thread and not a task of the runtime, because the shutdown of the runtime would wait for it. Each chunk is read under its own lock,
        // so that a hello can be served in between; a read error is reported when the entries are needed.
        let more = move || {
            let inner = weak.upgrade()?;
            locked(&inner.blocks).fill_some(&inner.ledger, size).ok()
        };
        let thread = std::thread::Builder::new().name("ledger-roots".to_owned());
        if let Err(error) = thread.spawn(move || while more() == Some(true) {}) {
            tracing::warn!(%error, "the ledger cannot be prefetched; it is read when the first peer requests a proof");
        }
    }

    /// The newest head of this node's ledger that the sealed state covers, signed.
    ///
    /// # Errors
    /// [`SignatureError`] if it cannot be encoded.
    pub fn signed(&self) -> Result<Signed<LedgerHead>, SignatureError> {
        self.sign(self.0.ledger.anchored_head())
    }

    /// Signs a head of this node's ledger.
    ///
    /// # Errors
    /// [`SignatureError`] if it cannot be encoded.
    pub fn sign(&self, head: AnchoredHead) -> Result<Signed<LedgerHead>, SignatureError> {
        let inner = &self.0;
        let head = LedgerHead {
            institution: inner.identity.institution.clone(),
            node: inner.identity.node(),
            generation: self.state().own.generation,
            tree: head.tree(),
            at: inner.clock.now(),
        };
        Ok(Signed::sign(&head, &inner.identity.node_key)?.signed().clone())
    }

    /// The stored heads of `peer`, to be sent to it: the proven one first.
    pub fn known_heads(&self, peer: &NodeId) -> Vec<Signed<LedgerHead>> {
        let state = self.state();
        let known = state.peers.get(peer).into_iter().flat_map(PeerLedger::known);
        known.map(|shown| shown.signed.clone()).collect()
    }

    /// Waits until peers have many heads without a proof, and returns these peers: a hello proves their heads.
    pub async fn many_pending(&self) -> Vec<NodeId> {
        loop {
            let notified = self.0.many.notified();
            let peers = self.peers_with_many();
            if !peers.is_empty() {
                return peers;
            }
            notified.await;
        }
    }

    fn peers_with_many(&self) -> Vec<NodeId> {
        let state = self.state();
        let many = state.peers.iter().filter(|(_, ledger)| ledger.has_many_pending());
        many.map(|(node, _)| *node).collect()
    }

    /// In memory first: a peer that is refused stays refused even if the state cannot be written.
    fn put(&self, node: NodeId, ledger: &PeerLedger) -> Result<(), LedgerHeadsError> {
        self.state().peers.insert(node, ledger.clone());
        self.0.peers.put(&node.to_string(), ledger)?;
        self.state().unsaved.remove(&node);
        Ok(())
    }

    /// Makes the heads from receipts durable.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn save(&self) -> Result<(), LedgerHeadsError> {
        if self.state().unsaved.is_empty() {
            return Ok(());
        }
        let heads = self.clone();
        let save = move || {
            let _changing = locked(&heads.0.changing);
            let unsaved = heads.state().unsaved.clone();
            for node in unsaved {
                let ledger = heads.state().peers.get(&node).cloned();
                if let Some(ledger) = ledger {
                    heads.put(node, &ledger)?;
                }
            }
            Ok(())
        };
        tokio::task::spawn_blocking(save).await?
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }
}

/// Whether `text` is a sufficiently long prefix of the digest.
fn names(text: &str, digest: Digest32) -> bool {
    text.len() >= MIN_NAME && digest.to_string().starts_with(text)
}

/// A poisoned lock can be used: every change under these locks is a single assignment, so a thread that panicked left a consistent value.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
