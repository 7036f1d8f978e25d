//! Ledgers and starts that contradict what their nodes have signed, and how a person acknowledges them.

use concordat_protocol::ids::{Digest32, InstitutionId, NodeId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Ledgers and starts that contradict what their nodes have signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerConflicts {
    /// This node's own ledger; `null` if it extends everything that the node has signed.
    pub own: Option<OwnLedgerConflict>,
    /// Another start of this node, for which peers refuse it; `null` if this is the newest one.
    pub own_start: Option<OwnStartConflict>,
    /// Those of other nodes.
    pub items: Vec<PeerLedgerConflict>,
    /// Nodes of which a copy was refused.
    pub refused_starts: Vec<RefusedStart>,
}

/// Another start of this node: this one is a copy, or an older copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnStartConflict {
    /// The signed statement of the other one, which is named when this node is acknowledged.
    #[schema(value_type = String)]
    pub statement: Digest32,
    /// The number of the other start.
    pub other: u64,
    /// The number of this one.
    pub present: u64,
    /// The peer that showed it.
    #[schema(value_type = String)]
    pub shown_by: NodeId,
    /// When it was shown.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A node of which a start was refused, because it is not the newest one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusedStart {
    /// Its institution.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The number of the start that is served.
    pub served: u64,
    /// The number of the refused one.
    pub refused: u64,
    /// How the two relate.
    pub reason: String,
    /// When it was refused.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A head that this node has signed and that its ledger does not extend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnLedgerConflict {
    /// The signed head, which is named when it is acknowledged.
    #[schema(value_type = String)]
    pub head: Digest32,
    /// How many entries it covers.
    pub signed_entries: u64,
    /// The peer that showed it.
    #[schema(value_type = String)]
    pub shown_by: NodeId,
    /// When it was shown.
    #[schema(format = DateTime)]
    pub at: String,
}

/// A node whose ledger contradicts what it has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerLedgerConflict {
    /// Its institution.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The root of the head that it showed last, which is named when it is acknowledged.
    #[schema(value_type = String)]
    pub head: Digest32,
    /// How many entries the head covers that was known before.
    pub known_entries: u64,
    /// How many entries the head covers that it showed last.
    pub shown_entries: u64,
    /// How the two contradict each other.
    pub reason: String,
    /// When it contradicted itself, or when it was acknowledged.
    #[schema(format = DateTime)]
    pub at: String,
}

/// The ledger of another institution's node to acknowledge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerLedgerHead {
    /// The institution.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// The first characters of the root of the head that it showed, at least eight.
    pub head: String,
}

/// This node's own ledger to acknowledge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnLedgerHead {
    /// The first characters of the signed head that the ledger does not extend, or of the signed statement of another start, at least
    /// eight.
    pub head: String,
}

/// How this node continues from an older ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LedgerGeneration {
    /// How many times a restore was acknowledged.
    pub generation: u32,
}
