//! The ledger.

use concordat_protocol::audit::{Cause, EntryBody};
use concordat_protocol::ids::{Digest32, InstitutionId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How many of the newest entries are returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Tail {
    /// 20 if absent, at most 10,000.
    pub count: Option<u64>,
}

/// An entry of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Its number.
    pub sequence: u64,
    /// When it was appended.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who caused it, in one line.
    pub by: String,
    /// What happened, in one line.
    pub what: String,
    /// The hash of its leaf in the Merkle tree.
    #[schema(value_type = String)]
    pub leaf: Digest32,
    /// Who caused it.
    #[schema(value_type = Object)]
    pub cause: Cause,
    /// What happened.
    #[schema(value_type = Object)]
    pub body: EntryBody,
}

/// The result of a check of the whole ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditReport {
    /// Number of entries that were acknowledged.
    pub entries: u64,
    /// The Merkle root over them.
    #[schema(value_type = String)]
    pub root: Digest32,
    /// The latest checkpoint, if it is valid.
    pub checkpoint: Option<CheckpointReport>,
    /// Whether everything is valid.
    pub ok: bool,
    /// Number of the first invalid entry.
    pub first_bad_entry: Option<u64>,
    /// What is wrong.
    pub reason: Option<String>,
}

/// A valid checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointReport {
    /// Entries that it covers.
    pub size: u64,
    /// Whose key signed it.
    #[schema(value_type = String)]
    pub signed_by: InstitutionId,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Which peers have cosigned it.
    #[schema(value_type = Vec<String>)]
    pub witnesses: Vec<InstitutionId>,
}
