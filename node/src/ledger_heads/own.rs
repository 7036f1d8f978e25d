//! This node's own ledger, as peers know it by this node's signatures.

use concordat_protocol::audit::{EntryBody, LedgerHead, LedgerProof, MAX_HEADS};
use concordat_protocol::ids::{Digest32, NodeId};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{LedgerHeads, LedgerHeadsError, OWN, locked, names};

/// What this node knows of its own ledger beyond the ledger itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnLedger {
    /// How often a restore was acknowledged.
    pub(super) generation: u32,
    pub(super) conflict: Option<OwnConflict>,
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

impl OwnLedger {
    pub(super) const fn is_older(&self) -> bool {
        self.conflict.is_some()
    }
}

impl LedgerHeads {
    /// Signs the present head and proves that it extends the heads that a peer keeps. If it does not although this node signed
    /// one, this node is an older copy of itself from here on.
    ///
    /// # Errors
    /// If ledger or state cannot be read or written.
    pub async fn prove(
        &self,
        kept: Vec<Signed<LedgerHead>>,
        peer: NodeId,
        by: Attribution,
    ) -> Result<LedgerProof, LedgerHeadsError> {
        let heads = self.clone();
        tokio::task::spawn_blocking(move || heads.prove_blocking(kept, peer, &by)).await?
    }

    fn prove_blocking(
        &self,
        kept: Vec<Signed<LedgerHead>>,
        peer: NodeId,
        by: &Attribution,
    ) -> Result<LedgerProof, LedgerHeadsError> {
        let inner = &self.0;
        let signed = self.signed()?;
        let present = signed.head_of(inner.identity.node(), &inner.identity.institution)?;
        let mut paths = Vec::with_capacity(kept.len().min(MAX_HEADS));
        // Whoever keeps more than that does not keep the rules and gets no proof of the others.
        for kept in kept.into_iter().take(MAX_HEADS) {
            paths.push(self.path(kept, &present, peer, by)?);
        }
        Ok(LedgerProof { head: signed, paths })
    }

    fn path(
        &self,
        kept: Signed<LedgerHead>,
        present: &LedgerHead,
        peer: NodeId,
        by: &Attribution,
    ) -> Result<Option<Vec<Digest32>>, LedgerHeadsError> {
        let inner = &self.0;
        let (us, institution) = (inner.identity.node(), &inner.identity.institution);
        // What this node did not sign says nothing about it.
        let Ok(claimed) = kept.head_of(us, institution) else {
            return Ok(None);
        };
        let path = locked(&inner.blocks).path(&inner.ledger, &claimed, present.tree)?;
        let contradicts = path.is_none() && claimed.generation == present.generation;
        if contradicts || claimed.generation > present.generation {
            self.contradict_own(kept, claimed, peer, by)?;
        }
        Ok(path)
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
        // In memory first: whatever fails now, nothing is served any more. Running answers are decided again at once, and sessions
        // end, whatever becomes of the connection that showed it.
        self.state().own = own.clone();
        inner.epoch.raise();
        inner.older.send_replace(true);
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

    /// Watches whether this node is an older copy of itself.
    pub fn watch_older(&self) -> watch::Receiver<bool> {
        self.0.older.subscribe()
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
            inner.older.send_replace(false);
            Ok(generation)
        };
        tokio::task::spawn_blocking(acknowledge).await?
    }
}

pub(super) fn own_alarm(conflict: &OwnConflict) -> String {
    format!(
        "the data directory is an older copy: this node has signed a ledger of {} entries, which the ledger here does not \
         extend, and neither serves nor asks; restore the newest backup, or if an older one is meant, acknowledge it with \
         `concordat consortium ledger acknowledge-own --head {}`",
        conflict.head.tree.size,
        conflict.signed.digest()
    )
}
