//! Signed heads of ledgers, between peers: no node goes back to an older copy of itself unseen.
//!
//! 1. In each hello a node shows the durable head of its ledger, signed, and that it extends the head which the other side
//!    keeps ([`concordat_protocol::audit::check_growth`]). Each receipt carries a head, too. Peers keep the newest head of each
//!    node in their sealed state.
//! 2. A head that contradicts the one kept is entered, and the node is neither served nor asked until an administrator
//!    acknowledges what was shown; then it is the new base.
//! 3. The other side's hello brings back the head that this node had signed. If the ledger here does not extend it, the data
//!    directory is an older copy: the node neither serves nor asks from then on. Only this node's own signature counts, so
//!    nobody can stop it with a number.
//! 4. Only acknowledged entries are under a signed head, and these are on the disk. So no crash looks like an older copy.

mod peers;
mod proofs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_protocol::audit::{EntryBody, HeadError, LedgerHead, LedgerProof};
use concordat_protocol::ids::{Digest32, InstitutionId, NodeId};
use concordat_protocol::signed::{SignatureError, Signed};
use concordat_protocol::text::Reason;
use concordat_protocol::time::{Staleness, Timestamp};
use concordat_storage::ledger::{Attribution, Ledger, LedgerError};
use concordat_storage::meta::{MetaError, SealedDb, SealedTree, TreeId};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::fault::{Code, Explain};
use crate::identity::Identity;
use peers::{PeerLedger, Shown};
use proofs::Blocks;

/// The key of the one record about this node's own ledger.
const OWN: &str = "own";
/// How old a head in a hello may be in milliseconds; the allowed clock skew comes on top.
const MAX_HEAD_AGE_MS: i64 = 30_000;
/// Least characters by which a head is named in a command.
const MIN_NAME: usize = 8;

/// A cloneable handle to the heads of this node's ledger and of those of peers.
#[derive(Clone, Debug)]
pub struct LedgerHeads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Arc<Identity>,
    ledger: Ledger,
    clock: Clock,
    own: SealedTree<OwnLedger>,
    peers: SealedTree<PeerLedger>,
    blocks: Mutex<Blocks>,
    state: Mutex<State>,
    /// Held from the reading of a record until its change is durable; never while `state` is locked.
    changing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    own: OwnLedger,
    peers: BTreeMap<NodeId, PeerLedger>,
    /// Peers whose head from a receipt is not durable yet.
    unsaved: BTreeSet<NodeId>,
}

/// What this node knows of its own ledger beyond the ledger itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnLedger {
    /// How often a restore was acknowledged.
    generation: u32,
    conflict: Option<OwnConflict>,
}

/// A head that this node has signed and that its ledger does not extend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnConflict {
    /// As it was signed.
    pub signed: Signed<LedgerHead>,
    /// What is signed.
    pub head: LedgerHead,
    /// The peer that showed it.
    pub shown_by: NodeId,
    /// When.
    pub at: Timestamp,
}

/// A peer whose ledger contradicts what it had signed.
#[derive(Clone, Debug, Serialize)]
pub struct PeerConflict {
    /// Its institution.
    pub institution: InstitutionId,
    /// The node.
    pub node: NodeId,
    /// Names the head that it showed.
    pub head: Digest32,
    /// Entries under the head that is kept.
    pub kept_entries: u64,
    /// Entries under the head that it showed last.
    pub shown_entries: u64,
    /// How the two contradict each other.
    pub reason: String,
    /// When it showed it, RFC 3339.
    pub at: String,
}

impl LedgerHeads {
    /// Opens what is kept.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open(identity: Arc<Identity>, ledger: Ledger, clock: Clock, meta: &SealedDb) -> Result<Self, MetaError> {
        let own: SealedTree<OwnLedger> = meta.tree(TreeId::new("ledger-head-own"))?;
        let peers: SealedTree<PeerLedger> = meta.tree(TreeId::new("ledger-heads"))?;
        let kept = peers.iter()?.map(|(_, ledger)| (ledger.head.node, ledger)).collect();
        let state = State {
            own: own.get(OWN)?.unwrap_or_default(),
            peers: kept,
            unsaved: BTreeSet::new(),
        };
        let heads = Self(Arc::new(Inner {
            identity,
            ledger,
            clock,
            own,
            peers,
            blocks: Mutex::default(),
            state: Mutex::new(state),
            changing: Mutex::default(),
        }));
        heads.read_ahead();
        Ok(heads)
    }

    /// Reads the ledger once, in pieces and beside everything else, so that no hello has to wait for it.
    fn read_ahead(&self) {
        let (weak, size) = (Arc::downgrade(&self.0), self.0.ledger.size());
        // No task of the runtime, whose end would wait for it. Each piece is read under its own lock, so that a hello may come between; what
        // cannot be read is reported when somebody asks for it.
        let more = move || {
            let inner = weak.upgrade()?;
            locked(&inner.blocks).fill_some(&inner.ledger, size).ok()
        };
        let thread = std::thread::Builder::new().name("ledger-roots".to_owned());
        if let Err(error) = thread.spawn(move || while more() == Some(true) {}) {
            tracing::warn!(%error, "the ledger is read when the first peer asks, not before");
        }
    }

    /// The durable head of this node's ledger, signed.
    ///
    /// # Errors
    /// [`SignatureError`] if it cannot be encoded.
    pub fn signed(&self) -> Result<Signed<LedgerHead>, SignatureError> {
        let inner = &self.0;
        let head = LedgerHead {
            institution: inner.identity.institution.clone(),
            node: inner.identity.node(),
            generation: self.state().own.generation,
            tree: inner.ledger.head(),
            at: inner.clock.now(),
        };
        Ok(Signed::sign(&head, &inner.identity.node_key)?.signed().clone())
    }

    /// The newest head that is kept of `peer`, to be sent to it.
    pub fn kept(&self, peer: &NodeId) -> Option<Signed<LedgerHead>> {
        self.state().peers.get(peer).map(|ledger| ledger.signed.clone())
    }

    /// Signs the present head and proves that it extends the head that a peer keeps. If it does not although this node signed
    /// that one, this node is an older copy of itself from here on.
    ///
    /// # Errors
    /// If ledger or state cannot be read or written.
    pub async fn prove(
        &self,
        kept: Option<Signed<LedgerHead>>,
        peer: NodeId,
        by: Attribution,
    ) -> Result<LedgerProof, LedgerHeadsError> {
        let heads = self.clone();
        tokio::task::spawn_blocking(move || heads.prove_blocking(kept, peer, &by)).await?
    }

    fn prove_blocking(
        &self,
        kept: Option<Signed<LedgerHead>>,
        peer: NodeId,
        by: &Attribution,
    ) -> Result<LedgerProof, LedgerHeadsError> {
        let inner = &self.0;
        let (us, institution) = (inner.identity.node(), &inner.identity.institution);
        let signed = self.signed()?;
        let present = signed.head_of(us, institution)?;
        let Some(kept) = kept else {
            let path = Some(Vec::new());
            return Ok(LedgerProof { head: signed, path });
        };
        // What this node did not sign says nothing about it.
        let Ok(claimed) = kept.head_of(us, institution) else {
            let path = None;
            return Ok(LedgerProof { head: signed, path });
        };
        let path = locked(&inner.blocks).path(&inner.ledger, &claimed, present.tree)?;
        let contradicts = path.is_none() && claimed.generation == present.generation;
        if contradicts || claimed.generation > present.generation {
            self.contradict_own(kept, claimed, peer, by)?;
        }
        Ok(LedgerProof { head: signed, path })
    }

    /// Durable before it is entered: a node that stops in between stays stopped.
    fn contradict_own(
        &self,
        signed: Signed<LedgerHead>,
        head: LedgerHead,
        peer: NodeId,
        by: &Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let inner = &self.0;
        let _changing = locked(&inner.changing);
        let mut own = self.state().own.clone();
        let place = |head: &LedgerHead| (head.generation, head.tree.size);
        let known = own.conflict.as_ref().map(|conflict| place(&conflict.head));
        if known.is_some_and(|known| known >= place(&head)) {
            return Ok(());
        }
        let (size, digest, now) = (head.tree.size, signed.digest(), inner.clock.now());
        own.conflict = Some(OwnConflict {
            signed,
            head,
            shown_by: peer,
            at: now,
        });
        // In memory first: whatever fails now, nothing is served any more.
        self.state().own = own.clone();
        inner.own.put(OWN, &own)?;
        if known.is_none() {
            tracing::error!(peer = %peer.short(), size, "the ledger is older than a head that this node has signed; nothing is served or asked");
            let signed = digest;
            drop(
                inner
                    .ledger
                    .append(EntryBody::OwnLedgerConflict { size, signed }, by, now)?,
            );
        }
        Ok(())
    }

    /// The head that this node has signed and its ledger does not extend, until somebody acknowledges it.
    pub fn own_conflict(&self) -> Option<OwnConflict> {
        self.state().own.conflict.clone()
    }

    /// Checks the head that an attested `peer` of `institution` shows in a hello against `base`, which was sent to it, and keeps
    /// it.
    ///
    /// # Errors
    /// [`LedgerHeadsError::PeerConflict`] if it contradicts what is kept, now or before.
    pub async fn check_peer(
        &self,
        (peer, institution): (NodeId, InstitutionId),
        base: Option<Signed<LedgerHead>>,
        proof: LedgerProof,
        by: Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let head = proof.head.head_of(peer, &institution)?;
        head.at
            .fresh_at(self.0.clock.now(), MAX_HEAD_AGE_MS)
            .map_err(LedgerHeadsError::NotFresh)?;
        let base = base.map(|base| base.peek_unverified()).transpose()?;
        let shown = Shown {
            signed: proof.head,
            head,
        };
        let heads = self.clone();
        let keep = move || {
            heads.keep(&institution, shown.clone(), &by, true, |ledger| {
                ledger.extend(base.as_ref(), shown, proof.path.as_deref())
            })
        };
        tokio::task::spawn_blocking(keep).await?
    }

    /// Keeps the head in a receipt that `institution` signed; the next hello asks for a proof. It is durable when
    /// [`LedgerHeads::save`] has run.
    ///
    /// # Errors
    /// As for [`LedgerHeads::check_peer`].
    pub async fn note_receipt(
        &self,
        institution: InstitutionId,
        signed: Signed<LedgerHead>,
        by: Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let node = signed.peek_unverified()?.node;
        let head = signed.head_of(node, &institution)?;
        let shown = Shown { signed, head };
        let heads = self.clone();
        let keep = move || heads.keep(&institution, shown.clone(), &by, false, |ledger| ledger.observe(shown));
        tokio::task::spawn_blocking(keep).await?
    }

    /// Changes what is kept of a node by `change`; a contradiction is durable and entered before this returns.
    fn keep(
        &self,
        institution: &InstitutionId,
        shown: Shown,
        by: &Attribution,
        at_once: bool,
        change: impl FnOnce(&mut PeerLedger) -> Result<(), concordat_protocol::audit::HeadConflict>,
    ) -> Result<(), LedgerHeadsError> {
        let inner = &self.0;
        let _changing = locked(&inner.changing);
        let (node, now) = (shown.head.node, inner.clock.now());
        let before = self.state().peers.get(&node).cloned();
        let known = before.is_some();
        let mut ledger = before.unwrap_or_else(|| PeerLedger::new(institution.clone(), shown.clone()));
        if let Some(conflict) = &mut ledger.conflict {
            (conflict.latest, conflict.latest_head) = (shown.signed, shown.head);
            let refused = LedgerHeadsError::conflict(&ledger, node);
            self.put(node, &ledger)?;
            return Err(refused);
        }
        if !known {
            return self.put(node, &ledger);
        }
        match change(&mut ledger) {
            Ok(()) if at_once => self.put(node, &ledger),
            Ok(()) => {
                let mut state = self.state();
                state.peers.insert(node, ledger);
                state.unsaved.insert(node);
                Ok(())
            }
            Err(conflict) => {
                let kept = ledger.signed.digest();
                let entry = EntryBody::PeerLedgerConflict {
                    node,
                    institution: institution.clone(),
                    kept,
                    shown: shown.signed.digest(),
                    reason: Reason::fitted(&conflict.to_string()),
                };
                tracing::error!(peer = %node.short(), %institution, %conflict, "the ledger of a peer was replaced or has two histories; the peer is refused");
                ledger.contradict(shown, conflict.to_string(), now);
                let refused = LedgerHeadsError::conflict(&ledger, node);
                self.put(node, &ledger)?;
                drop(inner.ledger.append(entry, by, now)?);
                Err(refused)
            }
        }
    }

    /// In memory first: a peer that is refused stays refused even if the state cannot be written.
    fn put(&self, node: NodeId, ledger: &PeerLedger) -> Result<(), LedgerHeadsError> {
        self.state().peers.insert(node, ledger.clone());
        self.0.peers.put(&node.to_string(), ledger)?;
        self.state().unsaved.remove(&node);
        Ok(())
    }

    /// Makes durable what receipts brought.
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

    /// The peers that are refused because of their ledgers.
    pub fn conflicts(&self) -> Vec<PeerConflict> {
        let state = self.state();
        let conflicts = state.peers.iter().filter_map(|(node, ledger)| {
            let conflict = ledger.conflict.as_ref()?;
            Some(PeerConflict {
                institution: ledger.institution.clone(),
                node: *node,
                head: conflict.first,
                kept_entries: ledger.head.tree.size,
                shown_entries: conflict.latest_head.tree.size,
                reason: conflict.reason.clone(),
                at: conflict.at.to_string(),
            })
        });
        conflicts.collect()
    }

    /// What is wrong, for people: one sentence for each conflict, with the command that ends it.
    pub fn alarms(&self) -> Vec<String> {
        let own = self.own_conflict().map(|conflict| own_alarm(&conflict));
        let peers = self.conflicts().into_iter().map(|conflict| {
            format!(
                "node {} of `{}` is refused: {}; find out why, then acknowledge it with `concordat consortium ledger \
                 acknowledge {} --head {}`",
                conflict.node.short(),
                conflict.institution,
                conflict.reason,
                conflict.institution,
                conflict.head
            )
        });
        own.into_iter().chain(peers).collect()
    }

    /// Acknowledges what a node of `institution` showed: it is the base from here on. `head` names it.
    ///
    /// # Errors
    /// [`LedgerHeadsError::NothingToAcknowledge`] if that was not shown.
    pub async fn acknowledge_peer(
        &self,
        institution: InstitutionId,
        head: String,
        by: Attribution,
    ) -> Result<NodeId, LedgerHeadsError> {
        let heads = self.clone();
        let acknowledge = move || {
            let inner = &heads.0;
            let _changing = locked(&inner.changing);
            let of = |conflict: &PeerConflict| conflict.institution == institution && names(&head, conflict.head);
            let conflict = heads.conflicts().into_iter().find(of);
            let PeerConflict { node, head, .. } = conflict.ok_or(LedgerHeadsError::NothingToAcknowledge)?;
            let entry = EntryBody::PeerLedgerAcknowledged {
                node,
                institution: institution.clone(),
                shown: head,
            };
            drop(inner.ledger.append(entry, &by, inner.clock.now())?);
            let mut ledger = heads.state().peers.get(&node).cloned();
            if let Some(mut ledger) = ledger.take() {
                ledger.acknowledge();
                heads.put(node, &ledger)?;
            }
            Ok(node)
        };
        tokio::task::spawn_blocking(acknowledge).await?
    }

    /// Acknowledges that this node goes on from an older copy of its ledger, under the next generation. `head` names the head that
    /// the ledger does not extend.
    ///
    /// # Errors
    /// [`LedgerHeadsError::NothingToAcknowledge`] if no peer showed that.
    pub async fn acknowledge_own(&self, head: String, by: Attribution) -> Result<u32, LedgerHeadsError> {
        let heads = self.clone();
        let acknowledge = move || {
            let inner = &heads.0;
            let _changing = locked(&inner.changing);
            let own = heads.state().own.clone();
            let conflict = own
                .conflict
                .filter(|conflict| names(&head, conflict.signed.digest()))
                .ok_or(LedgerHeadsError::NothingToAcknowledge)?;
            let generation = own.generation.max(conflict.head.generation).saturating_add(1);
            let entry = EntryBody::OwnLedgerAcknowledged {
                signed: conflict.signed.digest(),
                generation,
            };
            drop(inner.ledger.append(entry, &by, inner.clock.now())?);
            let own = OwnLedger {
                generation,
                conflict: None,
            };
            inner.own.put(OWN, &own)?;
            heads.state().own = own;
            Ok(generation)
        };
        tokio::task::spawn_blocking(acknowledge).await?
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }
}

/// Whether `text` is enough of the digest to name it.
fn names(text: &str, digest: Digest32) -> bool {
    text.len() >= MIN_NAME && digest.to_string().starts_with(text)
}

fn own_alarm(conflict: &OwnConflict) -> String {
    format!(
        "the data directory is an older copy: this node has signed a ledger of {} entries, which the ledger here does not \
         extend, and neither serves nor asks; restore the newest backup, or if an older one is meant, acknowledge it with \
         `concordat consortium ledger acknowledge-own --head {}`",
        conflict.head.tree.size,
        conflict.signed.digest()
    )
}

/// What a thread that panicked has left is whole: every change under these locks is a single assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a head was not given or not taken.
#[derive(Debug, thiserror::Error)]
pub enum LedgerHeadsError {
    /// The peer's ledger contradicts what it had signed.
    #[error("the ledger of node {} of `{institution}` is not the one that it has shown before: {reason}", .node.short())]
    PeerConflict {
        /// The institution.
        institution: InstitutionId,
        /// The node.
        node: NodeId,
        /// How.
        reason: String,
    },
    /// The head is not the peer's.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The head was not made for this hello.
    #[error("the head of the ledger was not signed now: {0}")]
    NotFresh(Staleness),
    /// Signed bytes are malformed.
    #[error("the head of a ledger cannot be read or signed")]
    Signature(#[from] SignatureError),
    /// There is no such conflict.
    #[error("no conflict with this head is waiting to be acknowledged; `concordat status` names the heads")]
    NothingToAcknowledge,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state failed.
    #[error("the heads of ledgers cannot be read or written")]
    State(#[from] MetaError),
    /// A helper thread was ended.
    #[error("the node is stopping")]
    Stopping(#[from] tokio::task::JoinError),
}

impl LedgerHeadsError {
    fn conflict(ledger: &PeerLedger, node: NodeId) -> Self {
        Self::PeerConflict {
            institution: ledger.institution.clone(),
            node,
            reason: ledger.conflict.as_ref().map_or_else(String::new, |c| c.reason.clone()),
        }
    }
}

impl Explain for LedgerHeadsError {
    fn code(&self) -> Code {
        match self {
            Self::PeerConflict { .. } | Self::Head(_) | Self::NotFresh(_) | Self::Signature(_) => Code::Integrity,
            Self::NothingToAcknowledge => Code::NotFound,
            Self::Ledger(source) => source.code(),
            Self::State(source) => source.code(),
            Self::Stopping(_) => Code::Fault,
        }
    }
}
