//! This node's own ledger, as peers know it from this node's signatures.

use concordat_protocol::audit::{EntryBody, LedgerHead, LedgerProof, MAX_HEADS};
use concordat_protocol::ids::{Digest32, NodeId};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::Attribution;
use tokio::sync::watch;

use super::own_ledger::OWN;
use super::own_ledger::{OwnConflict, OwnLedger};
use super::{LedgerHeads, LedgerHeadsError, locked, names};

impl LedgerHeads {
    /// Signs the present head and proves that it extends the heads that a peer has stored. If it does not extend one that this node
    /// signed, this node counts as an older copy of itself from now on.
    ///
    /// # Errors
    /// If ledger or state cannot be read or written.
    pub async fn prove(
        &self,
        known_heads: Vec<Signed<LedgerHead>>,
        peer: NodeId,
        by: Attribution,
    ) -> Result<LedgerProof, LedgerHeadsError> {
        let heads = self.clone();
        tokio::task::spawn_blocking(move || heads.prove_blocking(known_heads, peer, &by)).await?
    }

    fn prove_blocking(
        &self,
        known_heads: Vec<Signed<LedgerHead>>,
        peer: NodeId,
        by: &Attribution,
    ) -> Result<LedgerProof, LedgerHeadsError> {
        let inner = &self.0;
        let signed = self.signed()?;
        let present = signed.head_of(inner.identity.node(), &inner.identity.institution)?;
        let mut paths = Vec::with_capacity(known_heads.len().min(MAX_HEADS));
        // A peer that sends more than that violates the protocol and does not get proofs for the rest.
        for known in known_heads.into_iter().take(MAX_HEADS) {
            paths.push(self.path(known, &present, peer, by)?);
        }
        Ok(LedgerProof { head: signed, paths })
    }

    fn path(
        &self,
        known: Signed<LedgerHead>,
        present: &LedgerHead,
        peer: NodeId,
        by: &Attribution,
    ) -> Result<Option<Vec<Digest32>>, LedgerHeadsError> {
        let inner = &self.0;
        let us = inner.identity.node();
        let institution = &inner.identity.institution;
        // A head that this node did not sign is not evidence about its ledger.
        let Ok(claimed) = known.head_of(us, institution) else {
            return Ok(None);
        };
        let path = locked(&inner.blocks).path(&inner.ledger, &claimed, present.tree)?;
        let contradicts = path.is_none() && claimed.generation == present.generation;
        if contradicts || claimed.generation > present.generation {
            self.contradict_own(known, claimed, peer, by)?;
        }
        Ok(path)
    }

    /// The conflict is durable before the ledger entry is written: if the node stops in between, the conflict remains.
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
        let position = |head: &LedgerHead| (head.generation, head.tree.size);
        let known = own.conflict.as_ref().map(|conflict| position(&conflict.head));
        if known.is_some_and(|known| known >= position(&head)) {
            return Ok(());
        }
        let size = head.tree.size;
        let digest = signed.digest();
        let now = inner.clock.now();
        own.conflict = Some(OwnConflict {
            signed,
            head,
            shown_by: peer,
            at: now,
        });
        self.stop_serving(&own)?;
        if known.is_none() {
            tracing::error!(peer = %peer.short(), size, "the ledger is older than a head that this node has signed; the node neither serves nor sends requests");
            let signed = digest;
            drop(
                inner
                    .ledger
                    .append(EntryBody::OwnLedgerConflict { size, signed }, by, now)?,
            );
        }
        Ok(())
    }

    /// From now on this node counts as a copy; called with `changing` locked.
    pub(super) fn stop_serving(&self, own: &OwnLedger) -> Result<(), LedgerHeadsError> {
        // In memory first: even if a later step fails, nothing is served. Running answers are evaluated again at once, and sessions
        // end, regardless of what happens to the connection that showed it.
        self.state().own = own.clone();
        self.0.epoch.raise();
        self.0.older.send_replace(true);
        Ok(self.0.own.put(OWN, own)?)
    }

    /// Whether this node is an older copy of itself, or a copy beside another, and no one has acknowledged that.
    pub fn is_copy(&self) -> bool {
        self.state().own.is_older()
    }

    /// The head that this node has signed but its ledger does not extend, until it is acknowledged.
    pub fn own_conflict(&self) -> Option<OwnConflict> {
        self.state().own.conflict.clone()
    }

    /// When the last entry before this start was made. What a later copy of this node has answered since then is not known here.
    fn last_before_start(&self) -> Result<Timestamp, LedgerHeadsError> {
        let inner = &self.0;
        let opened = inner.ledger.opened();
        let last = inner.ledger.range_for_start(opened.saturating_sub(1), opened)?;
        Ok(last.last().map_or(inner.began, |stored| stored.entry.at))
    }

    /// Watches whether this node is an older copy of itself.
    pub fn watch_older(&self) -> watch::Receiver<bool> {
        self.0.older.subscribe()
    }

    /// Acknowledges that this node continues although it is a copy, in the next generation. `shown` names the head that the ledger does
    /// not extend, or the statement of another start; what the other of the two shows is then acknowledged as well. The older copy may lack
    /// the revocation of a grant; so all grants are suspended from here on.
    ///
    /// # Errors
    /// [`LedgerHeadsError::NothingToAcknowledge`] if no peer has shown that.
    pub async fn acknowledge_own(&self, shown: String, by: Attribution) -> Result<u32, LedgerHeadsError> {
        let heads = self.clone();
        let acknowledge = move || {
            let inner = &heads.0;
            let _changing = locked(&inner.changing);
            let own = heads.state().own.clone();
            let head = own
                .conflict
                .as_ref()
                .map(|found| (found.signed.digest(), found.head.generation));
            let start = own.later_start.as_ref();
            let start = start.map(|found| (found.signed.digest(), found.start.generation));
            let of_both = || head.into_iter().chain(start);
            let (signed, _) = of_both()
                .find(|(digest, _)| names(&shown, *digest))
                .ok_or(LedgerHeadsError::NothingToAcknowledge)?;
            inner.restorations.add_older(heads.last_before_start()?)?;
            let known = of_both().map(|(_, generation)| generation).max().unwrap_or(0);
            let generation = own.generation.max(known).saturating_add(1);
            let entry = EntryBody::OwnLedgerAcknowledged { signed, generation };
            drop(inner.ledger.append(entry, &by, inner.clock.now())?);
            let own = OwnLedger {
                generation,
                ..OwnLedger::default()
            };
            inner.own.put(OWN, &own)?;
            heads.state().own = own;
            inner.older.send_replace(false);
            Ok(generation)
        };
        tokio::task::spawn_blocking(acknowledge).await?
    }
}
