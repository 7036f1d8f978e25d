//! Domain strings: every signature and hash states what it is about, so that none can be taken for another.

/// What a signature is about. It enters the signed bytes as COSE external additional data (RFC 9052, section 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(&'static str);

impl Label {
    /// The label as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A roster, by the consortium's charter key.
pub const ROSTER: Label = Label("concordat/roster/1");
/// A change of the charter, by enough of its holders' institution keys.
pub const CHARTER: Label = Label("concordat/charter/1");
/// An application to join, by the institution's key.
pub const ENROLMENT: Label = Label("concordat/enrolment/1");
/// Which key follows an institution's key, by the old key.
pub const KEY_SUCCESSION: Label = Label("concordat/key-succession/1");
/// A node certificate, by the institution's key.
pub const NODE_CERTIFICATE: Label = Label("concordat/node-certificate/1");
/// A hello, by the node's key.
pub const HELLO: Label = Label("concordat/hello/1");
/// A message of a negotiation, by the node's key.
pub const NEGOTIATION: Label = Label("concordat/negotiation/1");
/// The terms of a grant, by both institutions' keys.
pub const GRANT: Label = Label("concordat/grant/1");
/// A statement that an actor was authenticated, by the node's key.
pub const ACTOR_ASSERTION: Label = Label("concordat/actor-assertion/1");
/// A query, by the consumer's node key.
pub const QUERY: Label = Label("concordat/query/1");
/// What was released, by both nodes' keys.
pub const RECEIPT: Label = Label("concordat/receipt/1");
/// A change of a grant's state, by the node's key.
pub const NOTICE: Label = Label("concordat/notice/1");
/// The acknowledgement of a notice, by the node's key.
pub const ACKNOWLEDGEMENT: Label = Label("concordat/acknowledgement/1");
/// The head of a ledger, by the institution's key.
pub const CHECKPOINT: Label = Label("concordat/checkpoint/1");
/// The head of a node's ledger, by the node's key.
pub const LEDGER_HEAD: Label = Label("concordat/ledger-head/1");
/// That a policy set came into force, by the institution's key.
pub const POLICY_SET: Label = Label("concordat/policy-set-statement/1");
/// A dataset version's manifest, by the institution's key.
pub const MANIFEST: Label = Label("concordat/manifest/1");
/// The statement that a dataset was erased, by the institution's key.
pub const ERASURE: Label = Label("concordat/erasure/1");
/// What a snapshot of a node's data directory holds, by the institution's key.
pub const SNAPSHOT: Label = Label("concordat/snapshot/1");
/// Answer to a catalogue question, by the node's key.
pub const CATALOG: Label = Label("concordat/catalog/1");

/// Hash of a negotiation message as the next one names it.
pub const TRANSCRIPT_HASH: &str = "concordat/transcript-hash/1";
/// Hash of a value of the sealed state, by which a change of it is found out.
pub const STATE_VALUE_HASH: &str = "concordat/state-value-hash/1";
/// Hash of a query's text as receipts and ledgers name it.
pub const SQL_HASH: &str = "concordat/sql-hash/1";
/// Hash over the batches of an answer.
pub const ANSWER_HASH: &str = "concordat/answer-hash/1";
/// Hash of signed bytes, to name a signed document.
pub const DOCUMENT_HASH: &str = "concordat/document-hash/1";
