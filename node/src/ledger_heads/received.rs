//! What peers show of their ledgers.

use std::time::Duration;

use concordat_protocol::audit::{EntryBody, HeadConflict, LedgerHead, LedgerProof};
use concordat_protocol::ids::{Digest32, InstitutionId, NodeId};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_storage::ledger::Attribution;
use serde::Serialize;

use super::own_ledger::{own_alarm, own_start_alarm};
use super::own_start::copy_alarm;
use super::peers::{HeadRejected, PeerLedger, Shown};
use super::{LedgerHeads, LedgerHeadsError, locked, names};

/// Maximum age of a head in a hello in milliseconds; the allowed clock skew is added to it.
const MAX_HEAD_AGE_MS: i64 = 30_000;
/// How long a head without a proof waits for capacity, which becomes free when other heads are proven.
const CAPACITY_TIMEOUT: Duration = Duration::from_secs(5);

/// A peer whose ledger contradicts what it had signed.
#[derive(Clone, Debug, Serialize)]
pub struct PeerConflict {
    /// Its institution.
    pub institution: InstitutionId,
    /// The node.
    pub node: NodeId,
    /// The root of the head that it showed last; it becomes the base when it is acknowledged by this root.
    pub head: Digest32,
    /// Number of entries of the stored proven head.
    pub known_entries: u64,
    /// Number of entries of the head that it showed last.
    pub shown_entries: u64,
    /// How the two contradict each other.
    pub reason: String,
    /// When it showed that head, RFC 3339.
    pub at: String,
}

impl LedgerHeads {
    /// Checks the head that an attested `peer` of `institution` shows in a hello against those in `sent`, which were sent to it, and
    /// stores it.
    ///
    /// # Errors
    /// [`LedgerHeadsError::PeerConflict`] if it contradicts a stored head, now or earlier.
    pub async fn check_peer(
        &self,
        (peer, institution): (NodeId, InstitutionId),
        sent: Vec<Signed<LedgerHead>>,
        proof: LedgerProof,
        by: Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let head = proof.head.head_of(peer, &institution)?;
        head.at
            .fresh_at(self.0.clock.now(), MAX_HEAD_AGE_MS)
            .map_err(LedgerHeadsError::NotFresh)?;
        let sent = sent.into_iter().map(|signed| {
            let head = signed.peek_unverified()?;
            Ok(Shown { signed, head })
        });
        let sent = sent.collect::<Result<Vec<Shown>, LedgerHeadsError>>()?;
        let shown = Shown {
            signed: proof.head.clone(),
            head,
        };
        let heads = self.clone();
        let store = move || {
            let stored = heads.update(&institution, shown.clone(), &by, true, |ledger| {
                ledger.extend(&sent, shown, &proof)
            });
            heads.0.capacity.notify_waiters();
            stored
        };
        tokio::task::spawn_blocking(store).await?
    }

    /// Stores the head in a receipt or countersignature that `institution` signed. It is pending: the next hello requests a proof. It
    /// is durable when [`LedgerHeads::save`] has run.
    ///
    /// # Errors
    /// [`LedgerHeadsError::PeerConflict`] if it contradicts a stored head, [`LedgerHeadsError::Unproven`] if the node has signed many
    /// heads and proved none of them for a while.
    pub async fn note_pending(
        &self,
        institution: InstitutionId,
        signed: Signed<LedgerHead>,
        by: Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let node = signed.peek_unverified()?.node;
        let head = signed.head_of(node, &institution)?;
        let shown = Shown { signed, head };
        let accepted = async {
            loop {
                let proven = self.0.capacity.notified();
                match self.try_note(&institution, &shown, &by).await {
                    Err(LedgerHeadsError::Unproven { .. }) => proven.await,
                    result => return result,
                }
            }
        };
        let result = tokio::time::timeout(CAPACITY_TIMEOUT, accepted).await;
        result.unwrap_or(Err(LedgerHeadsError::Unproven { node }))
    }

    async fn try_note(
        &self,
        institution: &InstitutionId,
        shown: &Shown,
        by: &Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let heads = self.clone();
        let institution = institution.clone();
        let shown = shown.clone();
        let by = by.clone();
        let node = shown.head.node;
        let store = move || heads.update(&institution, shown.clone(), &by, false, |ledger| ledger.observe(shown));
        let stored = tokio::task::spawn_blocking(store).await?;
        if self.peers_with_many().contains(&node) {
            self.0.many.notify_one();
        }
        stored
    }

    /// Applies `change` to the stored heads of a node; a contradiction is durable and in the ledger before this returns.
    fn update(
        &self,
        institution: &InstitutionId,
        shown: Shown,
        by: &Attribution,
        durable: bool,
        change: impl FnOnce(&mut PeerLedger) -> Result<(), HeadRejected>,
    ) -> Result<(), LedgerHeadsError> {
        let _changing = locked(&self.0.changing);
        let node = shown.head.node;
        let before = self.state().peers.get(&node).cloned();
        let Some(mut ledger) = before else {
            return self.put(node, &PeerLedger::new(institution.clone(), shown));
        };
        if let Some(conflict) = &mut ledger.conflict {
            conflict.show(shown);
            let refused = LedgerHeadsError::conflict(&ledger, node);
            self.put(node, &ledger)?;
            return Err(refused);
        }
        match change(&mut ledger) {
            Ok(()) if durable => self.put(node, &ledger),
            Ok(()) => {
                let mut state = self.state();
                state.peers.insert(node, ledger);
                state.unsaved.insert(node);
                Ok(())
            }
            Err(HeadRejected::Full) => Err(LedgerHeadsError::Unproven { node }),
            Err(HeadRejected::Conflict { known, source }) => self.contradict_peer(ledger, shown, (known, &source), by),
        }
    }

    /// Refuses a node from now on; called with `changing` locked.
    fn contradict_peer(
        &self,
        mut ledger: PeerLedger,
        shown: Shown,
        (known, conflict): (Digest32, &HeadConflict),
        by: &Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let node = shown.head.node;
        let institution = ledger.institution.clone();
        let now = self.0.clock.now();
        tracing::error!(peer = %node.short(), %institution, %conflict, "the ledger of a peer was replaced or has diverged; the peer is refused");
        let entry = EntryBody::PeerLedgerConflict {
            node,
            institution,
            known,
            shown: shown.signed.digest(),
            reason: Reason::sanitized(&conflict.to_string()),
        };
        ledger.contradict(shown, conflict.to_string(), now);
        self.put(node, &ledger)?;
        drop(self.0.ledger.append(entry, by, now)?);
        Err(LedgerHeadsError::conflict(&ledger, node))
    }

    /// The peers that are refused because of their ledgers.
    pub fn conflicts(&self) -> Vec<PeerConflict> {
        let state = self.state();
        let conflicts = state.peers.iter().filter_map(|(node, ledger)| {
            let conflict = ledger.conflict.as_ref()?;
            let latest = conflict.latest()?;
            Some(PeerConflict {
                institution: ledger.institution.clone(),
                node: *node,
                head: latest.head.tree.root,
                known_entries: ledger.proven.head.tree.size,
                shown_entries: latest.head.tree.size,
                reason: conflict.reason.clone(),
                at: conflict.at.to_string(),
            })
        });
        conflicts.collect()
    }

    /// Messages for people: one sentence for each conflict, with the command that resolves it.
    pub fn alarms(&self) -> Vec<String> {
        // One sentence: what is acknowledged for one of the two is acknowledged for both.
        let own_start = self.own_start_conflict();
        let own_start = own_start.map(|conflict| own_start_alarm(&conflict, self.start()));
        let own = own_start.or_else(|| self.own_conflict().map(|conflict| own_alarm(&conflict)));
        let copy = self.refused_copy().map(|copy| copy_alarm(&copy, self.0.began));
        let starts = self.refused_starts().into_iter().map(|refused| {
            format!(
                "node {} of `{}` was refused at {}: {}; the node with start {} is served; call `{}`, which stops one of \
                 the two; this is shown until that node starts again",
                refused.node.short(),
                refused.institution,
                refused.at,
                refused.reason,
                refused.known,
                refused.institution
            )
        });
        let peers = self.conflicts().into_iter().map(|conflict| {
            format!(
                "node {} of `{}` is refused: {}; find out the reason, then acknowledge the {} entries that it shows now with `concordat \
                 consortium ledger acknowledge {} --head {}`",
                conflict.node.short(),
                conflict.institution,
                conflict.reason,
                conflict.shown_entries,
                conflict.institution,
                conflict.head
            )
        });
        own.into_iter().chain(copy).chain(starts).chain(peers).collect()
    }

    /// Acknowledges a head that a node of `institution` has shown since it contradicted itself: that head is the base from now on, and
    /// the next hello has to extend it. `root` is a prefix of its root, so that no one acknowledges a head that they have not
    /// seen.
    ///
    /// # Errors
    /// [`LedgerHeadsError::NothingToAcknowledge`] if no such head was shown.
    pub async fn acknowledge_peer(
        &self,
        institution: InstitutionId,
        root: String,
        by: Attribution,
    ) -> Result<PeerConflict, LedgerHeadsError> {
        let heads = self.clone();
        let acknowledge = move || {
            let _changing = locked(&heads.0.changing);
            let found = heads.shown_as(&institution, &root);
            let (node, mut ledger, root) = found.ok_or(LedgerHeadsError::NothingToAcknowledge)?;
            let reason = ledger
                .conflict
                .as_ref()
                .map_or_else(String::new, |conflict| conflict.reason.clone());
            let known_entries = ledger.proven.head.tree.size;
            let base = ledger.acknowledge(root).ok_or(LedgerHeadsError::NothingToAcknowledge)?;
            let entry = EntryBody::PeerLedgerAcknowledged {
                node,
                institution: institution.clone(),
                shown: base.signed.digest(),
            };
            let now = heads.0.clock.now();
            drop(heads.0.ledger.append(entry, &by, now)?);
            heads.put(node, &ledger)?;
            Ok(PeerConflict {
                institution,
                node,
                head: root,
                known_entries,
                shown_entries: base.head.tree.size,
                reason,
                at: now.to_string(),
            })
        };
        tokio::task::spawn_blocking(acknowledge).await?
    }

    /// The node of `institution` that is refused and has shown a head whose root begins with `root`, the newest of them first.
    fn shown_as(&self, institution: &InstitutionId, root: &str) -> Option<(NodeId, PeerLedger, Digest32)> {
        let state = self.state();
        let of = state
            .peers
            .iter()
            .filter(|(_, ledger)| ledger.institution == *institution);
        of.filter_map(|(node, ledger)| {
            let mut shown = ledger.conflict.as_ref()?.newest_first();
            let found = shown.find(|shown| names(root, shown.head.tree.root))?;
            Some((*node, ledger.clone(), found.head.tree.root))
        })
        .next()
    }
}
