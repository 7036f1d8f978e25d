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

mod estimate;

use std::collections::BTreeMap;

use concordat_protocol::ids::{
    CollectionName, ColumnName, DatasetName, DatasetRef, Digest32, GrantId, InstitutionId, QueryId,
};
use concordat_protocol::query::Outcome;
use concordat_protocol::scope::{Purpose, Tier};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use estimate::{EstimatedNoise, EstimatedPart, NoiseUnit, QueryEstimate};

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
    /// Whether an answer without a member's part, which has a remark for each missing part, is an answer; otherwise it is an error.
    #[serde(default)]
    pub allow_partial: bool,
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
    /// The same notes, with the member, the column and the cells that each is about.
    pub remarks: Vec<AnswerRemark>,
}

/// Key of the metadata of a file of rows that contains the remarks on them, as a JSON array of [`AnswerRemark`].
pub const REMARKS_KEY: &str = "concordat.remarks";

/// What is missing from an answer, was changed in it, or happened while it was received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRemark {
    /// What it is about.
    pub kind: RemarkKind,
    /// The member whose part is concerned.
    #[schema(value_type = Option<String>)]
    pub institution: Option<InstitutionId>,
    /// Its dataset.
    #[schema(value_type = Option<String>)]
    pub dataset: Option<DatasetName>,
    /// The column.
    pub column: Option<String>,
    /// The cells: for each, the groups and their values.
    pub cells: Vec<BTreeMap<String, String>>,
    /// The remark for people to read.
    pub text: String,
}

/// What a remark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemarkKind {
    /// A member whose part is not in the answer.
    MissingMember,
    /// An institution that does not share the dataset any more.
    FormerMember,
    /// A member whose part is not in the answer because it lacks a column.
    MissingColumn,
    /// Cells without a member's part: it has none, or too few subjects.
    MissingCells,
    /// Cells that a member withheld, or may have withheld.
    WithheldCells,
    /// Values that are missing from rows of an answer with figures, as its rows show: how many, by column.
    MissingFigures,
    /// A column with another name than in the query.
    RenamedColumn,
    /// A member's answer whose connection was lost, and which continued after the same rows.
    ContinuedAnswer,
    /// What figures that are combined from several members' parts mean.
    CombinedParts,
    /// Values that figures limit to a declared range: it follows from the text and the declarations.
    LimitedValues,
    /// Quantiles that are estimated from numbers in bands: it follows from the text and the declarations.
    QuantilesInBands,
    /// Figures with noise: how far they are from those as they are computed, by the grant.
    Noise,
    /// First rows or ranks in the order of figures, of which some may be withheld: it follows from the text of the query.
    OrderOfFigures,
    /// Values before the first declared edge or after the last one, which have no group of their own: it follows from the text and the
    /// declarations.
    ValuesBeyond,
    /// Rows that no one has sent: they are invented from names and types.
    InventedRows,
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
    /// How it ended: `completed`, `cut` or `failed`.
    #[schema(value_type = String)]
    pub outcome: Outcome,
    /// Digest of the receipt, by which both ledgers refer to it.
    #[schema(value_type = String)]
    pub receipt: Digest32,
}

/// What a query can compute, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FunctionRule {
    /// The function or operator, as a query writes it.
    pub name: String,
    /// Its kind.
    pub kind: FunctionKind,
    /// The parts of a query below tier `records` that may have it.
    pub parts: Vec<QueryPart>,
    /// The lowest tier at which a holder computes it; `null` if only the consumer's node does, from records.
    #[schema(value_type = Option<String>)]
    pub tier: Option<Tier>,
    /// Who computes it at tier `records`.
    pub records: ComputedBy,
}

/// A part of a query below tier `records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueryPart {
    /// What must be true of a row: in `WHERE`, `FILTER`, `CASE` and joins.
    Condition,
    /// A column of `GROUP BY`.
    Group,
    /// What an aggregate is computed of.
    Operand,
    /// An aggregate of the rows of a group.
    Aggregate,
    /// A derived table with one row for each subject.
    PerSubject,
    /// What is computed from figures: all that is above the groups.
    Figures,
}

/// Who computes a function at tier `records`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ComputedBy {
    /// The holder, over one dataset and over those of a collection.
    Holder,
    /// The holder, over the datasets of a collection only; over others the consumer's node.
    HolderOfCollection,
    /// The consumer's node, from records.
    Consumer,
}

/// The kind of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FunctionKind {
    /// An operator, or another form of SQL.
    Operator,
    /// Computed from one row.
    Scalar,
    /// Computed from the rows of a group.
    Aggregate,
    /// Computed from the rows around each row.
    Window,
}

/// Whose catalog is listed.
#[derive(Clone, Debug, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CatalogQuery {
    /// Only this member's; without it, that of every member.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub peer: Option<InstitutionId>,
    /// Only the dataset, or the datasets of the collection, of this name; without it, all.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub dataset: Option<DatasetName>,
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
    /// Its name in a query, as `institution.dataset`, or `institution.collection.dataset` if it is one of several.
    pub dataset: String,
    /// The collection that it is requested with; of a dataset alone its own name.
    #[schema(value_type = String)]
    pub collection: CollectionName,
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
    /// The unit of its values, if it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// With which columns of its collection it joins, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublishedKey>,
}

/// What a column is for joins within its collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PublishedKey {
    /// It has the key of the subject, as other columns of this kind.
    Subject,
    /// It has a key of its dataset: each row has another one.
    Own,
    /// It has the key of another dataset.
    Of {
        /// The dataset.
        #[schema(value_type = String)]
        dataset: DatasetName,
        /// Its key.
        #[schema(value_type = String)]
        column: ColumnName,
    },
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
