//! Domain-separation strings: every signature and hash states what it is about, so that none can be mistaken for another.

/// What a signature is about. It is part of the signed bytes, as COSE external additional data (RFC 9052, section 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DomainLabel(&'static str);

impl DomainLabel {
    /// The label as text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// A roster, by the institution keys of enough holders of the charter.
pub const ROSTER: DomainLabel = DomainLabel("concordat/roster/1");
/// A change of the charter, by the institution keys of enough holders.
pub const CHARTER: DomainLabel = DomainLabel("concordat/charter/1");
/// An application to join, by the institution's key.
pub const ENROLLMENT: DomainLabel = DomainLabel("concordat/enrolment/1");
/// Which key follows an institution's key, by the old key.
pub const KEY_SUCCESSION: DomainLabel = DomainLabel("concordat/key-succession/1");
/// A node certificate, by the institution's key.
pub const NODE_CERTIFICATE: DomainLabel = DomainLabel("concordat/node-certificate/1");
/// The addresses of a node, by the node's key.
pub const ADDRESS_RECORD: DomainLabel = DomainLabel("concordat/addresses/1");
/// What a node enforces below tier `records`, by the node's key.
pub const RULES: DomainLabel = DomainLabel("concordat/rules/1");
/// A hello, by the node's key.
pub const HELLO: DomainLabel = DomainLabel("concordat/hello/1");
/// A message of a negotiation, by the node's key.
pub const NEGOTIATION: DomainLabel = DomainLabel("concordat/negotiation/2");
/// The terms of a grant, by both institutions' keys.
pub const GRANT: DomainLabel = DomainLabel("concordat/grant/2");
/// A statement that an actor was authenticated, by the node's key.
pub const ACTOR_ASSERTION: DomainLabel = DomainLabel("concordat/actor-assertion/1");
/// A query, by the consumer's node key.
pub const QUERY: DomainLabel = DomainLabel("concordat/query/1");
/// What was released, by both nodes' keys.
pub const RECEIPT: DomainLabel = DomainLabel("concordat/receipt/2");
/// A change of a grant's state, by the node's key.
pub const NOTICE: DomainLabel = DomainLabel("concordat/notice/1");
/// The acknowledgement of a notice, by the node's key.
pub const ACKNOWLEDGEMENT: DomainLabel = DomainLabel("concordat/acknowledgement/1");
/// The head of a ledger, by the institution's key.
pub const CHECKPOINT: DomainLabel = DomainLabel("concordat/checkpoint/1");
/// The head of a node's ledger, by the node's key.
pub const LEDGER_HEAD: DomainLabel = DomainLabel("concordat/ledger-head/1");
/// The statement that a policy set was applied, by the institution's key.
pub const POLICY_SET: DomainLabel = DomainLabel("concordat/policy-set-statement/1");
/// The manifest of a version of a dataset without ordinals of subjects, by the institution's key.
pub const MANIFEST: DomainLabel = DomainLabel("concordat/manifest/1");
/// The manifest of a version of a collection, by the institution's key.
pub const COLLECTION_MANIFEST: DomainLabel = DomainLabel("concordat/manifest/2");
/// The statement that a dataset was erased, by the institution's key.
pub const ERASURE: DomainLabel = DomainLabel("concordat/erasure/1");
/// The contents of a snapshot of a node's data directory, by the institution's key.
pub const SNAPSHOT: DomainLabel = DomainLabel("concordat/snapshot/1");

/// Hash of a negotiation message, by which the next message refers to it.
pub const TRANSCRIPT_HASH: &str = "concordat/transcript-hash/1";
/// Hash of a value of the sealed state, which makes a change of it detectable.
pub const STATE_VALUE_HASH: &str = "concordat/state-value-hash/1";
/// Hash of a query's text, by which receipts and ledgers refer to it.
pub const SQL_HASH: &str = "concordat/sql-hash/1";
/// Hash over the bytes of an answer: the context of BLAKE3 in its mode for key derivation.
pub const ANSWER_HASH: &str = "concordat/answer-hash/2";
/// Hash of a signature with its key and message, in the memory of this process only.
pub const CHECKED_SIGNATURE: &str = "concordat/checked-signature/1";
/// Hash from which the numbers of a canary collection are drawn.
pub const CANARY: &str = "concordat/canary/1";
/// Hash of the declarations of a collection as a grant shows them, by which a query states on which of them it was planned.
pub const COLLECTION_RULES: &str = "concordat/collection-rules/1";
/// Hash of everything that is declared about a collection, by which the ledger names it.
pub const DECLARATIONS: &str = "concordat/declarations/1";
/// Hash of the limits of a dataset's answers, by which the ledger names them.
pub const RELEASE_RULES: &str = "concordat/release-rules/2";
/// Hash of signed bytes, which identifies a signed document.
pub const DOCUMENT_HASH: &str = "concordat/document-hash/1";
/// Hash of an institution's key, of which the first half is its fingerprint.
pub const FINGERPRINT: &str = "concordat/fingerprint/1";
