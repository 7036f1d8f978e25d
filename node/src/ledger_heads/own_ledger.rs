//! What this node stores about its own ledger outside of the ledger.

use concordat_protocol::audit::LedgerHead;
use concordat_protocol::ids::NodeId;
use concordat_protocol::membership::NodeStart;
use concordat_protocol::signed::Signed;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::HelloStatement;
use concordat_storage::meta::TreeId;
use serde::{Deserialize, Serialize};

/// The tree of the record about this node's own ledger.
pub(super) const OWN_TREE: TreeId = TreeId::new("ledger-head-own");
/// The key of the only record in that tree.
pub(super) const OWN: &str = "own";

/// The record about this node's own ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnLedger {
    /// How many times a restore was acknowledged.
    pub(super) generation: u32,
    pub(super) conflict: Option<OwnConflict>,
    /// For which other start peers refuse this node.
    #[serde(default)]
    pub(super) later_start: Option<OwnStartConflict>,
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

/// Another start of this node, which this node's key has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnStartConflict {
    /// The signed statement of it.
    pub signed: Signed<HelloStatement>,
    /// The start.
    pub start: NodeStart,
    /// The peer that showed it.
    pub shown_by: NodeId,
    /// When it was shown.
    pub at: Timestamp,
}

impl OwnLedger {
    /// Whether this node is an older copy of itself, or a copy beside another.
    pub(super) const fn is_older(&self) -> bool {
        self.conflict.is_some() || self.later_start.is_some()
    }
}

pub(super) fn own_start_alarm(conflict: &OwnStartConflict, present: NodeStart) -> String {
    format!(
        "this data directory is a copy: node {} has shown start {} of this node at {}, and this is start {}, so it neither serves nor sends \
         requests; if the other one runs, stop this one and delete the copy; if this one is to go on, as after a restore, stop the other one \
         for good, then acknowledge that with `concordat consortium ledger acknowledge-own --start {}`",
        conflict.shown_by.short(),
        conflict.start.number,
        conflict.at,
        present.number,
        conflict.signed.digest()
    )
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
