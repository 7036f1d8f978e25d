//! The messages of each protocol between nodes, one per frame.
//!
//! | protocol | dialler sends | other side answers |
//! | --- | --- | --- |
//! | `/concordat/hello/1` | [`Hello`], then [`LedgerProof`] | [`HelloReply`] |
//! | `/concordat/roster/1` | [`RosterMessage`] | [`RosterMessage`] |
//! | `/concordat/catalog/1` | [`CatalogRequest`] | [`CatalogReply`] |
//! | `/concordat/negotiation/1` | [`NegotiationFrame`] | [`Reply`] |
//! | `/concordat/query/1` | [`QueryFrame`], later [`Countersignature`] | [`QueryOpening`], Arrow IPC in chunks, [`QueryClosing`] |
//! | `/concordat/receipt/1` | [`ReceiptRequest`], then [`Countersignature`]s | [`ReceiptReply`], then a [`Reply`] for each |
//! | `/concordat/notice/1` | [`NoticeFrame`] | [`NoticeReply`] |

use serde::{Deserialize, Serialize};

use super::codec::Frame;
use crate::audit::{LedgerHead, LedgerProof};
use crate::grant::{Acknowledgement, Notice};
use crate::ids::{ColumnName, DatasetName, Digest32, NodeId, Nonce, QueryId};
use crate::labels::{self, Label};
use crate::membership::{NodeCertificate, Roster};
use crate::negotiation::NegotiationMessage;
use crate::query::{QueryEnvelope, Receipt};
use crate::scope::Tier;
use crate::signed::{CoSigned, Document, MAX_DOCUMENT, Signed};
use crate::time::Timestamp;

/// Room for the CBOR around a largest signed document.
const DOCUMENT_FRAME: usize = MAX_DOCUMENT + 64 * 1024;
/// Room for small answers.
const SMALL_FRAME: usize = 64 * 1024;
/// Limit of messages with proofs for [`MAX_HEADS`](crate::audit::MAX_HEADS) heads: a ledger of 10^9 entries takes about 1 KiB for each.
const PROOF_FRAME: usize = 192 * 1024;
/// Most receipts in one [`ReceiptReply`].
pub const MAX_RECEIPTS: usize = 16;
/// Most datasets in one catalogue answer.
pub const MAX_CATALOG: usize = 10_000;

/// First on every connection, from both sides: who I am, and that I mean you.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The institution's word for the node key.
    pub certificate: Signed<NodeCertificate>,
    /// The same by the key that is to follow the institution's, while the sender does not know that the roster names it.
    pub next_certificate: Option<Signed<NodeCertificate>>,
    /// The node's own statement, bound to both ends of the connection.
    pub statement: Signed<HelloStatement>,
    /// The heads of the other side's ledger that this side keeps, as the other side signed them: the proven one first, at most
    /// [`MAX_HEADS`](crate::audit::MAX_HEADS).
    pub kept: Vec<Signed<LedgerHead>>,
}

/// The answer to a hello: the other side's own, and its ledger. The dialer's ledger follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HelloReply {
    /// Who the listener is.
    pub hello: Hello,
    /// That its ledger extends the heads that the dialer keeps.
    pub ledger: LedgerProof,
}

impl Frame for HelloReply {
    const MAX: usize = PROOF_FRAME;
}

impl Frame for LedgerProof {
    const MAX: usize = PROOF_FRAME;
}

/// What a node states in a hello, signed by its node key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HelloStatement {
    /// The node that speaks.
    pub from: NodeId,
    /// The node it speaks to.
    pub to: NodeId,
    /// Makes the statement unique.
    pub nonce: Nonce,
    /// Number of the newest roster it knows.
    pub roster: u64,
    /// Version of the program, for the operator's eyes.
    pub version: String,
    /// When it was made.
    pub sent_at: Timestamp,
}

impl Document for HelloStatement {
    const LABEL: Label = labels::HELLO;
}

impl Frame for Hello {
    const MAX: usize = SMALL_FRAME;
}

/// Asking for, telling or acknowledging the newest roster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RosterMessage {
    /// Asks for the newest roster.
    Ask,
    /// Tells a roster.
    Tell(CoSigned<Roster>),
    /// The roster told is taken or known already.
    Known,
}

impl Frame for RosterMessage {
    const MAX: usize = DOCUMENT_FRAME;
}

/// Asks which datasets the caller may know of.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogRequest {
    /// Where to go on: 0, then what the last reply named.
    pub from: u32,
}

impl Frame for CatalogRequest {
    const MAX: usize = 1024;
}

/// One page of the datasets the caller may know of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogReply {
    /// The entries, in order of their names.
    pub datasets: Vec<CatalogEntry>,
    /// Where the next page begins in the holder's order, always further on; nothing after the last page.
    pub next: Option<u32>,
}

impl Frame for CatalogReply {
    const MAX: usize = DOCUMENT_FRAME;
}

/// What a peer may know of a dataset before it has a grant: the shape, never a figure that depends on single subjects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// Its name.
    pub dataset: DatasetName,
    /// Its columns.
    pub columns: Vec<CatalogColumn>,
    /// Number of rows, rounded to two digits.
    pub about_rows: u64,
    /// The highest tier a request may hope for.
    pub tier: Tier,
}

/// One column in a catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogColumn {
    /// Its name.
    pub name: ColumnName,
    /// Its type as stored, in words: `integer`, `number`, `text`, `date`, `time`, `boolean`.
    pub kind: String,
    /// Its class: `direct-identifier`, `quasi-identifier`, `sensitive`, `ordinary`.
    pub class: String,
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

/// Taken, or refused with reasons. A refusal changes no state on either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Taken.
    Taken,
    /// Not taken.
    Refused(Refusal),
}

impl Frame for Reply {
    const MAX: usize = SMALL_FRAME;
}

/// Why something was refused, as far as the caller may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The kind of refusal.
    pub code: RefusalCode,
    /// Every reason, each with what would turn it into a yes.
    pub reasons: Vec<Reason>,
}

impl Refusal {
    /// A refusal with one reason.
    pub fn because(code: RefusalCode, text: impl Into<String>) -> Self {
        Self {
            code,
            reasons: vec![Reason {
                text: text.into(),
                remedy: None,
                rule: None,
            }],
        }
    }
}

/// The kind of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// The message is not what it should be.
    Invalid,
    /// A policy, a grant or its state forbids it.
    Denied,
    /// There is no such thing, or none that the caller may see: the two are told in the same words.
    NotFound,
    /// Too much at once; try again later.
    Busy,
    /// The answering side failed.
    Failed,
    /// Receipts of earlier answers have to be countersigned first.
    CountersignFirst,
}

/// One reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// What stands against it.
    pub text: String,
    /// What would turn it into a yes.
    pub remedy: Option<String>,
    /// The rule that says so.
    pub rule: Option<String>,
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

/// First answer to a query: the stream that follows, or the reasons why none does.
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

/// The consumer's last word: the same receipt with both signatures, and the head of its ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Countersignature {
    /// Signed by both nodes.
    pub receipt: CoSigned<Receipt>,
    /// The head of the consumer's ledger with the entry about the countersignature in it; the provider keeps it.
    pub ledger: Signed<LedgerHead>,
}

impl Frame for Countersignature {
    const MAX: usize = SMALL_FRAME;
}

/// Asks for the receipts that the caller's institution has not countersigned.
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
    /// Taken; signed.
    Acknowledged(Signed<Acknowledgement>),
    /// Not taken.
    Refused(Refusal),
}

impl Frame for NoticeReply {
    const MAX: usize = SMALL_FRAME;
}

/// The digest an answer's bytes are named by: SHA-256 over the chunks in order, begun with its label.
#[derive(Clone, Debug)]
pub struct AnswerDigest(sha2::Sha256);

impl Default for AnswerDigest {
    fn default() -> Self {
        use sha2::Digest;
        Self(
            sha2::Sha256::new()
                .chain_update(labels::ANSWER_HASH.as_bytes())
                .chain_update([0]),
        )
    }
}

impl AnswerDigest {
    /// Takes the next bytes of the answer.
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    /// The digest over everything taken so far.
    pub fn finish(&self) -> Digest32 {
        Digest32::from_bytes(sha2::Digest::finalize(self.0.clone()).into())
    }
}
