//! Queries and catalogs.
//!
//! The response to `POST /v1/query` is a stream of parts, each with a tag and a length, so that the end can be distinguished from a
//! broken connection:
//!
//! ```text
//! part = tag (1 byte) | length (u32, big-endian) | bytes
//! tag 'A'  a chunk of an Arrow IPC stream, in order; at most 1 MiB
//! tag 'E'  the end: JSON, an AnswerEnd; nothing follows
//! ```

use concordat_protocol::ids::{ColumnName, DatasetRef, Digest32, GrantId, InstitutionId, QueryId};
use concordat_protocol::query::Outcome;
use concordat_protocol::scope::{Purpose, Tier};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Problem;

/// Media type of the parts.
pub const PARTS: &str = "application/vnd.concordat.answer";
/// Tag of a chunk of the Arrow IPC stream.
pub const ARROW: u8 = b'A';
/// Tag of the end.
pub const END: u8 = b'E';
/// Most bytes of one part. Rows are sent in smaller chunks; only the end is built in one part.
pub const MAX_PART: usize = 16 << 20;

/// A query.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryRequest {
    /// One `SELECT`.
    pub sql: String,
    /// The purpose; needed if the grants permit several.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub purpose: Option<Purpose>,
}

/// The end of an answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerEnd {
    /// The receipts behind the rows, and what a reader must know about them.
    pub summary: AnswerSummary,
    /// Why the answer is incomplete; `null` if it is complete.
    pub problem: Option<Problem>,
}

/// Receipts and notes of one query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerSummary {
    /// Every answer with a receipt.
    pub receipts: Vec<AnswerReceipt>,
    /// What the reader has to know about the rows, one sentence per note.
    pub notes: Vec<String>,
}

/// One answer, as stated in the receipt that both sides signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerReceipt {
    /// The dataset that answered: an object with its institution and its name.
    #[schema(value_type = Object)]
    pub dataset: DatasetRef,
    /// The grant it answered under.
    #[schema(value_type = String)]
    pub grant: GrantId,
    /// The query that was sent to it.
    #[schema(value_type = String)]
    pub query: QueryId,
    /// Rows transferred.
    pub rows: u64,
    /// Bytes transferred.
    pub bytes: u64,
    /// Values withheld in the one row of an answer without groups, because they cover too few subjects. It is 0 for groups.
    pub suppressed_cells: u64,
    /// How it ended: `completed`, `cut` or `failed`.
    #[schema(value_type = String)]
    pub outcome: Outcome,
    /// Digest of the receipt, by which both ledgers refer to it.
    #[schema(value_type = String)]
    pub receipt: Digest32,
}

/// Whose catalog is listed.
#[derive(Clone, Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CatalogQuery {
    /// Only this member's; without it, that of every member.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub peer: Option<InstitutionId>,
}

/// What other members publish.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// Their datasets.
    pub items: Vec<PublishedDataset>,
    /// Members whose catalog is not included.
    pub unreachable: Vec<UnreachableMember>,
}

/// A dataset that another member publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedDataset {
    /// Its name in a query, as `institution.dataset`.
    pub dataset: String,
    /// Its holder.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// Number of rows, rounded to two digits.
    pub about_rows: u64,
    /// The highest tier that a request can obtain.
    #[schema(value_type = String)]
    pub tier: Tier,
    /// Its columns.
    pub columns: Vec<PublishedColumn>,
}

/// A column of a published dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedColumn {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ColumnName,
    /// Its type: `integer`, `number`, `text`, `date`, `time` or `boolean`.
    pub kind: String,
    /// Its class: `direct-identifier`, `quasi-identifier`, `sensitive` or `ordinary`.
    pub class: String,
}

/// A member whose catalog could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnreachableMember {
    /// The member.
    #[schema(value_type = String)]
    pub institution: InstitutionId,
    /// Why.
    pub reason: String,
}
