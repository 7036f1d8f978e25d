//! What this node stores about its own ledger outside of the ledger.

use concordat_protocol::audit::LedgerHead;
use concordat_protocol::ids::NodeId;
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The record about this node's own ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnLedger {
    /// How many times a restore was acknowledged.
    pub(super) generation: u32,
    pub(super) conflict: Option<OwnConflict>,
}

/// A head that this node has signed but its ledger does not extend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnConflict {
    /// The signed head.
    pub signed: Signed<LedgerHead>,
    /// Its content.
    pub head: LedgerHead,
    /// The peer that showed it.
    pub shown_by: NodeId,
    /// When it was shown.
    pub at: Timestamp,
}

impl OwnLedger {
    pub(super) const fn is_older(&self) -> bool {
        self.conflict.is_some()
    }
}

pub(super) fn own_alarm(conflict: &OwnConflict) -> String {
    format!(
        "the data directory is an older copy: this node has signed a ledger of {} entries, which the present ledger does not \
         extend, so it neither serves nor sends requests; restore the newest backup, or if the older copy is intended, acknowledge it with \
         `concordat consortium ledger acknowledge-own --head {}`",
        conflict.head.tree.size,
        conflict.signed.digest()
    )
}
