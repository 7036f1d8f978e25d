//! The messages of each protocol between nodes, one per frame.
//!
//! | protocol | dialer sends | other side answers |
//! | --- | --- | --- |
//! | `/concordat/hello/1` | [`Hello`], then [`HelloClosing`] | [`HelloReply`] |
//! | `/concordat/roster/1` | [`RosterMessage`] | [`RosterMessage`] |
//! | `/concordat/addresses/1` | [`AddressesFrame`] | [`AddressesFrame`] |
//! | `/concordat/rules/1` | [`RulesFrame`] | [`RulesFrame`] |
//! | `/concordat/probe/1` | [`ProbeRequest`] | [`ProbeReply`] |
//! | `/concordat/catalog/2` | [`CatalogRequest`] | [`CatalogReply`] |
//! | `/concordat/grant-columns/3` | [`GrantColumnsRequest`] | [`GrantColumnsReply`] |
//! | `/concordat/estimate/1` | [`EstimateRequest`] | [`EstimateReply`] |
//! | `/concordat/negotiation/2` | [`NegotiationFrame`] | [`Reply`] |
//! | `/concordat/query/1` | [`QueryFrame`], later [`Countersignature`] | [`QueryOpening`], Arrow IPC in chunks, [`QueryClosing`] |
//! | `/concordat/receipt/1` | [`ReceiptRequest`], then [`Countersignature`]s | [`ReceiptReply`], then a [`Reply`] for each |
//! | `/concordat/notice/1` | [`NoticeFrame`] | [`NoticeReply`] |
//! | `/concordat/grant-heads/1` | [`GrantHeadsFrame`] | [`GrantHeadsReply`] |

mod answer_digest;
mod estimate;
mod hello;
mod probe;
mod refusal;
mod rules;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use answer_digest::AnswerDigest;
pub use estimate::{EstimateReply, EstimateRequest, EstimatedTerms, NoiseBudget};
pub use hello::{Hello, HelloClosing, HelloRefusal, HelloReply, HelloStatement};
pub use probe::{ProbeReply, ProbeRequest};
pub use refusal::{Reason, Refusal, RefusalCode};
pub use rules::{
    EnforcedRules, MAX_RULES, RulesByTier, RulesError, RulesFrame, RulesOrder, RulesSender, RulesStatement, TierRules,
    ValidRules, Weakening, WeakerRule,
};

use super::codec::Frame;
use crate::audit::LedgerHead;
use crate::collection::{CollectionRules, ColumnRole};
use crate::grant::{Acknowledgement, GrantHeads, NewerNotices, Notice};
use crate::ids::{CollectionName, ColumnName, DatasetName, GrantId, QueryId};
use crate::membership::{AddressRecord, Roster};
use crate::negotiation::NegotiationMessage;
use crate::query::{QueryEnvelope, Receipt};
use crate::schema::ColumnKind;
use crate::scope::{ProtectionName, Tier};
use crate::signed::{CoSigned, MAX_DOCUMENT, Signed};
use crate::text::Label;

/// Limit for the largest signed document and the CBOR around it.
const DOCUMENT_FRAME: usize = MAX_DOCUMENT + 64 * 1024;
/// Limit for small messages.
const SMALL_FRAME: usize = 64 * 1024;
/// Most receipts in one [`ReceiptReply`].
pub const MAX_RECEIPTS: usize = 16;
/// Most records in one [`AddressesFrame`]: each has at most
/// [`MAX_ADDRESS_RECORD`](crate::membership::MAX_ADDRESS_RECORD) bytes.
pub const MAX_ADDRESS_RECORDS: usize = 256;
/// Most collections in one catalog reply.
pub const MAX_CATALOG: usize = 10_000;

/// Requests, announces or acknowledges the newest roster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RosterMessage {
    /// Requests the newest roster.
    Request,
    /// Announces a roster.
    Announce(CoSigned<Roster>),
    /// The announced roster was accepted or is already known.
    Acknowledged,
}

impl Frame for RosterMessage {
    const MAX: usize = DOCUMENT_FRAME;
}

/// Records of addresses, as their nodes signed them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressesFrame {
    /// At most [`MAX_ADDRESS_RECORDS`], at most one of each node.
    pub records: Vec<Signed<AddressRecord>>,
    /// Whether these are all that the sender knows, so that the other side sends what is not among them.
    pub complete: bool,
}

impl Frame for AddressesFrame {
    const MAX: usize = DOCUMENT_FRAME;
}

/// Requests the collections that the caller may see, or one of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogRequest {
    /// Where to continue: 0, then the value from the last reply.
    pub from: u32,
    /// Only this collection; all if `None`.
    pub collection: Option<CollectionName>,
}

impl Frame for CatalogRequest {
    const MAX: usize = 1024;
}

/// One page of the collections that the caller may see.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogReply {
    /// The entries, in order of their names.
    pub collections: Vec<CatalogEntry>,
    /// Where the next page begins in the provider's order, always increasing; `None` after the last page.
    pub next: Option<u32>,
}

impl Frame for CatalogReply {
    const MAX: usize = 2 * DOCUMENT_FRAME;
}

/// What a peer may know about a collection before it has a grant: its structure, never a number that depends on single subjects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// Its name.
    pub collection: CollectionName,
    /// Its datasets.
    pub datasets: Vec<CatalogDataset>,
    /// The highest tier that a request can obtain.
    pub tier: Tier,
    /// The protections with which a request can obtain answers.
    pub protections: BTreeSet<ProtectionName>,
}

impl CatalogEntry {
    /// The one dataset of a collection of one, which has its name.
    pub fn only(&self) -> Option<&CatalogDataset> {
        match self.datasets.as_slice() {
            [dataset] if self.collection.is_name_of(&dataset.name) => Some(dataset),
            _ => None,
        }
    }
}

/// One dataset in a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogDataset {
    /// Its name.
    pub name: DatasetName,
    /// Its columns.
    pub columns: Vec<CatalogColumn>,
    /// Number of rows, rounded to two digits.
    pub about_rows: u64,
}

/// One column in a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogColumn {
    /// Its name.
    pub name: ColumnName,
    /// The name of its type as stored: `integer`, `number`, `text`, `date`, `time`, `boolean`.
    pub kind: String,
    /// Its class: `direct-identifier`, `quasi-identifier`, `sensitive`, `ordinary`.
    pub class: String,
    /// With which columns of the other datasets of its collection it joins. It names only what the catalog shows.
    #[serde(default, skip_serializing_if = "is_value")]
    pub role: ColumnRole,
    /// The unit of its values, if it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Label>,
}

/// Requests the columns that a grant shows of the current version of its collection.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantColumnsRequest {
    /// The grant, of which the caller is the consumer.
    pub grant: GrantId,
}

impl Frame for GrantColumnsRequest {
    const MAX: usize = 1024;
}

/// What a grant shows: the datasets and columns of its scope that the version has, in the version's order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum GrantColumnsReply {
    /// The datasets with their columns as they are stored; the scope of the grant states how each is transformed.
    Datasets(GrantedDatasets),
    /// There is no such grant for the caller, or it cannot be used now.
    Refused(Refusal),
}

impl Frame for GrantColumnsReply {
    const MAX: usize = DOCUMENT_FRAME;
}

/// The datasets that a grant shows, and what is declared about them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedDatasets {
    /// The datasets.
    pub datasets: Vec<GrantedDataset>,
    /// What conditions and groups may distinguish below tier `records`, as far as the grant shows it
    /// ([`CollectionRules::shown_by`](crate::collection::CollectionRules::shown_by)); `None` if nothing can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<CollectionRules>,
}

/// A dataset that a grant shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedDataset {
    /// Its name.
    pub name: DatasetName,
    /// Its columns.
    pub columns: Vec<GrantedColumn>,
}

/// A column that a grant shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedColumn {
    /// Its name.
    pub name: ColumnName,
    /// Its type as stored.
    pub kind: ColumnKind,
    /// Whether no row of the dataset has a value in it: then its type is a guess, and fits to any other.
    pub empty: bool,
    /// With which columns of the other datasets of the grant it joins. It names only what the grant shows.
    #[serde(default, skip_serializing_if = "is_value")]
    pub role: ColumnRole,
}

fn is_value(role: &ColumnRole) -> bool {
    *role == ColumnRole::Value
}

/// A message of a negotiation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NegotiationFrame {
    /// As signed.
    pub message: Signed<NegotiationMessage>,
}

impl Frame for NegotiationFrame {
    const MAX: usize = DOCUMENT_FRAME;
}

/// Accepted, or refused with reasons. A refusal changes no state on either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Accepted.
    Accepted,
    /// Not accepted.
    Refused(Refusal),
}

impl Frame for Reply {
    const MAX: usize = SMALL_FRAME;
}

/// A query.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryFrame {
    /// As signed.
    pub envelope: Signed<QueryEnvelope>,
}

impl Frame for QueryFrame {
    const MAX: usize = 2 * SMALL_FRAME;
}

/// First answer to a query: the stream that follows, or the reasons why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum QueryOpening {
    /// An Arrow IPC stream follows in chunks.
    Accepted {
        /// The query that is answered.
        query: QueryId,
        /// How much the answer can reveal.
        tier: Tier,
    },
    /// Nothing follows.
    Refused(Refusal),
}

impl Frame for QueryOpening {
    const MAX: usize = SMALL_FRAME;
}

/// The consumer has the chunk with this number, counted from 1. The provider sends the next one only then, so that it knows what has
/// arrived and never has more than one chunk in transit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkAccepted {
    /// The number of the chunk.
    pub number: u64,
    /// Whether the consumer wants another one. If not, the answer ends here, and nothing of it is in transit.
    pub more: bool,
}

impl Frame for ChunkAccepted {
    const MAX: usize = 1024;
}

/// Last answer to a query: the receipt, and why the stream ended early if it did.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryClosing {
    /// Signed by the provider's node.
    pub receipt: CoSigned<Receipt>,
    /// Why the answer is incomplete.
    pub cut: Option<Refusal>,
}

impl Frame for QueryClosing {
    const MAX: usize = SMALL_FRAME;
}

/// The last message of the consumer: the same receipt with both signatures, and the head of its ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Countersignature {
    /// Signed by both nodes.
    pub receipt: CoSigned<Receipt>,
    /// The head of the consumer's ledger with the entry about the countersignature in it; the provider stores it.
    pub ledger: Signed<LedgerHead>,
}

impl Frame for Countersignature {
    const MAX: usize = SMALL_FRAME;
}

/// Requests the receipts that the caller's institution has not countersigned.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptRequest {}

impl Frame for ReceiptRequest {
    const MAX: usize = 1024;
}

/// The oldest of the receipts that are not countersigned, at most [`MAX_RECEIPTS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptReply {
    /// Each signed by the provider's node.
    pub receipts: Vec<CoSigned<Receipt>>,
}

impl Frame for ReceiptReply {
    const MAX: usize = SMALL_FRAME;
}

/// A change of a grant's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeFrame {
    /// As signed.
    pub notice: Signed<Notice>,
}

impl Frame for NoticeFrame {
    const MAX: usize = SMALL_FRAME;
}

/// Answer to a notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum NoticeReply {
    /// Accepted; signed.
    Acknowledged(Signed<Acknowledgement>),
    /// Not accepted.
    Refused(Refusal),
}

impl Frame for NoticeReply {
    const MAX: usize = SMALL_FRAME;
}

/// The notices about one grant that the sender knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantHeadsFrame {
    /// The newest of each side.
    pub heads: GrantHeads,
}

impl Frame for GrantHeadsFrame {
    const MAX: usize = 1024;
}

/// Answer to the heads of a grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum GrantHeadsReply {
    /// What the sender of the heads lacks; nothing if both sides know the same.
    Newer(NewerNotices),
    /// Not accepted.
    Refused(Refusal),
}

impl Frame for GrantHeadsReply {
    const MAX: usize = SMALL_FRAME;
}
