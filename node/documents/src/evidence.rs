//! The evidence of queries.

use concordat_protocol::ids::{ActorId, Digest32, GrantId, InstitutionId, NodeId, QueryId};
use concordat_protocol::query::Outcome;
use concordat_protocol::text::Reason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::audit::Entry;

/// What this node knows of a query. Its text is for auditors only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRecord {
    /// The query.
    #[schema(value_type = String)]
    pub query: QueryId,
    /// The side that this node is on.
    pub side: Side,
    /// When it began.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who sent it.
    #[schema(value_type = String)]
    pub actor: ActorId,
    /// The other institution; `null` for queries on data of this institution.
    #[schema(value_type = Option<String>)]
    pub peer: Option<InstitutionId>,
    /// Its node.
    #[schema(value_type = Option<String>)]
    pub node: Option<NodeId>,
    /// The grant under which it was sent.
    #[schema(value_type = Option<String>)]
    pub grant: Option<GrantId>,
    /// The purpose that the receipt states.
    pub purpose: Option<String>,
    /// Whether the query was signed.
    pub signed: bool,
    /// Rows that the receipt states.
    pub rows: Option<u64>,
    /// Bytes that the receipt states.
    pub bytes: Option<u64>,
    /// How it ended, as the receipt states: `completed`, `cut` or `failed`.
    #[schema(value_type = Option<String>)]
    pub outcome: Option<Outcome>,
    /// Digest of the receipt.
    #[schema(value_type = Option<String>)]
    pub receipt: Option<Digest32>,
    /// Who signed the receipt.
    pub receipt_signed_by: Vec<Signer>,
    /// The ledger entries about it.
    pub entries: Vec<Entry>,
    /// Whether it has not ended.
    pub open: bool,
    /// Its text, for those who may read evidence; absent for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
}

/// The side of a query that a node is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// It answers another institution.
    Provider,
    /// It queries another institution.
    Consumer,
    /// It answers one of its own people.
    Local,
}

/// Who signed a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Signer {
    /// The institution that answered.
    Provider,
    /// The institution that sent the query.
    Consumer,
}

/// Why a receipt is written off.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteOff {
    /// The reason, for the ledger.
    #[schema(value_type = String)]
    pub reason: Reason,
}

/// A receipt that was written off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WrittenOff {
    /// Its query.
    #[schema(value_type = String)]
    pub query: QueryId,
    /// Always true.
    pub written_off: bool,
}
