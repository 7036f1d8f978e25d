//! What peers show of their ledgers.

use std::time::Duration;

use concordat_protocol::audit::{EntryBody, HeadConflict, LedgerHead, LedgerProof};
use concordat_protocol::ids::{Digest32, InstitutionId, NodeId};
use concordat_protocol::signed::Signed;
use concordat_protocol::text::Reason;
use concordat_storage::ledger::Attribution;
use serde::Serialize;

use super::own::own_alarm;
use super::peers::{NotTaken, PeerLedger, Shown};
use super::{LedgerHeads, LedgerHeadsError, locked, names};

/// How old a head in a hello may be in milliseconds; the allowed clock skew comes on top.
const MAX_HEAD_AGE_MS: i64 = 30_000;
/// How long a head without a proof waits for room, which the proof of others makes.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);

/// A peer whose ledger contradicts what it had signed.
#[derive(Clone, Debug, Serialize)]
pub struct PeerConflict {
    /// Its institution.
    pub institution: InstitutionId,
    /// The node.
    pub node: NodeId,
    /// The root of the head that it showed last: the base, once it is acknowledged by this name.
    pub head: Digest32,
    /// Entries under the proven head that is kept.
    pub kept_entries: u64,
    /// Entries under the head that it showed last.
    pub shown_entries: u64,
    /// How the two contradict each other.
    pub reason: String,
    /// When it showed it, RFC 3339.
    pub at: String,
}

impl LedgerHeads {
    /// Checks the head that an attested `peer` of `institution` shows in a hello against those in `asked`, which were sent to it, and
    /// keeps it.
    ///
    /// # Errors
    /// [`LedgerHeadsError::PeerConflict`] if it contradicts what is kept, now or before.
    pub async fn check_peer(
        &self,
        (peer, institution): (NodeId, InstitutionId),
        asked: Vec<Signed<LedgerHead>>,
        proof: LedgerProof,
        by: Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let head = proof.head.head_of(peer, &institution)?;
        head.at
            .fresh_at(self.0.clock.now(), MAX_HEAD_AGE_MS)
            .map_err(LedgerHeadsError::NotFresh)?;
        let asked = asked.into_iter().map(|signed| {
            let head = signed.peek_unverified()?;
            Ok(Shown { signed, head })
        });
        let asked = asked.collect::<Result<Vec<Shown>, LedgerHeadsError>>()?;
        let shown = Shown {
            signed: proof.head.clone(),
            head,
        };
        let heads = self.clone();
        let keep = move || {
            let kept = heads.keep(&institution, shown.clone(), &by, true, |ledger| {
                ledger.extend(&asked, shown, &proof)
            });
            heads.0.room.notify_waiters();
            kept
        };
        tokio::task::spawn_blocking(keep).await?
    }

    /// Keeps the head in a receipt or countersignature that `institution` signed. It is pending: the next hello asks for a proof. It
    /// is durable when [`LedgerHeads::save`] has run.
    ///
    /// # Errors
    /// [`LedgerHeadsError::PeerConflict`] if it contradicts what is kept, [`LedgerHeadsError::Unproven`] if the node has signed many
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
        let room = async {
            loop {
                let proven = self.0.room.notified();
                match self.try_note(&institution, &shown, &by).await {
                    Err(LedgerHeadsError::Unproven { .. }) => proven.await,
                    taken => return taken,
                }
            }
        };
        let taken = tokio::time::timeout(ROOM_TIMEOUT, room).await;
        taken.unwrap_or(Err(LedgerHeadsError::Unproven { node }))
    }

    async fn try_note(
        &self,
        institution: &InstitutionId,
        shown: &Shown,
        by: &Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let (heads, institution, shown, by) = (self.clone(), institution.clone(), shown.clone(), by.clone());
        let node = shown.head.node;
        let keep = move || heads.keep(&institution, shown.clone(), &by, false, |ledger| ledger.observe(shown));
        let kept = tokio::task::spawn_blocking(keep).await?;
        if self.peers_with_many().contains(&node) {
            self.0.many.notify_one();
        }
        kept
    }

    /// Changes what is kept of a node by `change`; a contradiction is durable and entered before this returns.
    fn keep(
        &self,
        institution: &InstitutionId,
        shown: Shown,
        by: &Attribution,
        at_once: bool,
        change: impl FnOnce(&mut PeerLedger) -> Result<(), NotTaken>,
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
            Ok(()) if at_once => self.put(node, &ledger),
            Ok(()) => {
                let mut state = self.state();
                state.peers.insert(node, ledger);
                state.unsaved.insert(node);
                Ok(())
            }
            Err(NotTaken::Full) => Err(LedgerHeadsError::Unproven { node }),
            Err(NotTaken::Conflict { kept, how }) => self.contradict_peer(ledger, shown, (kept, &how), by),
        }
    }

    /// Refuses a node from here on; called with `changing` locked.
    fn contradict_peer(
        &self,
        mut ledger: PeerLedger,
        shown: Shown,
        (kept, how): (Digest32, &HeadConflict),
        by: &Attribution,
    ) -> Result<(), LedgerHeadsError> {
        let (node, institution, now) = (shown.head.node, ledger.institution.clone(), self.0.clock.now());
        tracing::error!(peer = %node.short(), %institution, conflict = %how, "the ledger of a peer was replaced or has two histories; the peer is refused");
        let entry = EntryBody::PeerLedgerConflict {
            node,
            institution,
            kept,
            shown: shown.signed.digest(),
            reason: Reason::fitted(&how.to_string()),
        };
        ledger.contradict(shown, how.to_string(), now);
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
                kept_entries: ledger.proven.head.tree.size,
                shown_entries: latest.head.tree.size,
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
                "node {} of `{}` is refused: {}; find out why, then acknowledge the {} entries that it shows now with `concordat \
                 consortium ledger acknowledge {} --head {}`",
                conflict.node.short(),
                conflict.institution,
                conflict.reason,
                conflict.shown_entries,
                conflict.institution,
                conflict.head
            )
        });
        own.into_iter().chain(peers).collect()
    }

    /// Acknowledges a head that a node of `institution` has shown since it contradicted itself: that one is the base from here on, and
    /// the next hello has to extend it. `root` names it by the beginning of its root, so that nobody acknowledges what they have not
    /// seen.
    ///
    /// # Errors
    /// [`LedgerHeadsError::NothingToAcknowledge`] if that was not shown.
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
            let kept_entries = ledger.proven.head.tree.size;
            let base = ledger.acknowledge(root).ok_or(LedgerHeadsError::NothingToAcknowledge)?;
            let (entry, now) = (
                EntryBody::PeerLedgerAcknowledged {
                    node,
                    institution: institution.clone(),
                    shown: base.signed.digest(),
                },
                heads.0.clock.now(),
            );
            drop(heads.0.ledger.append(entry, &by, now)?);
            heads.put(node, &ledger)?;
            Ok(PeerConflict {
                institution,
                node,
                head: root,
                kept_entries,
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
