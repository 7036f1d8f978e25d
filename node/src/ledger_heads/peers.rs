//! What is kept of the ledgers of peers.

use concordat_protocol::audit::{HeadConflict, LedgerHead, check_growth};
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The newest head of one node's ledger, and whether another one contradicted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerLedger {
    pub(super) institution: InstitutionId,
    /// As the node signed it.
    pub(super) signed: Signed<LedgerHead>,
    /// What is signed.
    pub(super) head: LedgerHead,
    pub(super) conflict: Option<Conflict>,
}

/// Two heads of one node that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conflict {
    /// Names the signed head that contradicted the one kept; people name it when they acknowledge the conflict.
    pub(super) first: Digest32,
    /// The head shown last: the base once the conflict is acknowledged.
    pub(super) latest: Signed<LedgerHead>,
    /// What is signed.
    pub(super) latest_head: LedgerHead,
    pub(super) reason: String,
    pub(super) at: Timestamp,
}

/// A head as it was shown, and what is signed.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) signed: Signed<LedgerHead>,
    pub(super) head: LedgerHead,
}

impl PeerLedger {
    pub(super) fn new(institution: InstitutionId, shown: Shown) -> Self {
        Self {
            institution,
            signed: shown.signed,
            head: shown.head,
            conflict: None,
        }
    }

    /// Takes a head that the node proved to extend `base`, the one it was asked about. A head that came in the meantime may be
    /// newer than either.
    ///
    /// # Errors
    /// How it contradicts what is kept.
    pub(super) fn extend(
        &mut self,
        base: Option<&LedgerHead>,
        shown: Shown,
        path: Option<&[Digest32]>,
    ) -> Result<(), HeadConflict> {
        if let Some(base) = base {
            check_growth(base, &shown.head, path)?;
        }
        self.observe(shown)
    }

    /// Takes a head without a proof; the next hello asks for it.
    ///
    /// # Errors
    /// How it contradicts what is kept.
    pub(super) fn observe(&mut self, shown: Shown) -> Result<(), HeadConflict> {
        let place = |head: &LedgerHead| (head.generation, head.tree.size);
        if place(&shown.head) == place(&self.head) && shown.head.tree.root != self.head.tree.root {
            return Err(HeadConflict::OtherRoot {
                size: self.head.tree.size,
            });
        }
        if place(&shown.head) >= place(&self.head) {
            (self.signed, self.head) = (shown.signed, shown.head);
        }
        Ok(())
    }

    /// The node is refused from here on.
    pub(super) fn contradict(&mut self, shown: Shown, reason: String, at: Timestamp) {
        self.conflict = Some(Conflict {
            first: shown.signed.digest(),
            latest: shown.signed,
            latest_head: shown.head,
            reason,
            at,
        });
    }

    /// The head shown last becomes the base.
    pub(super) fn acknowledge(&mut self) {
        if let Some(conflict) = self.conflict.take() {
            (self.signed, self.head) = (conflict.latest, conflict.latest_head);
        }
    }
}
