//! The messages of a hello.

use serde::{Deserialize, Serialize};

use super::{Refusal, SMALL_FRAME};
use crate::audit::{LedgerHead, LedgerProof};
use crate::ids::{NodeId, Nonce};
use crate::labels::{self, DomainLabel};
use crate::membership::{NodeCertificate, NodeStart};
use crate::signed::{Document, Signed};
use crate::time::Timestamp;
use crate::wire::codec::Frame;

/// Limit of messages with proofs for [`MAX_HEADS`](crate::audit::MAX_HEADS) heads: a ledger of 10^9 entries needs about 1 KiB
/// for each.
const PROOF_FRAME: usize = 192 * 1024;

/// The first message on every connection, from both sides: identifies the sender and names the recipient.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The institution's certificate for the node key.
    pub certificate: Signed<NodeCertificate>,
    /// The same certificate by the next key of the institution, as long as the sender does not know whether the roster lists it.
    pub next_certificate: Option<Signed<NodeCertificate>>,
    /// The node's own statement, bound to both ends of the connection.
    pub statement: Signed<HelloStatement>,
    /// The heads of the other side's ledger that this side knows, as the other side signed them: the proven one first, at most
    /// [`MAX_HEADS`](crate::audit::MAX_HEADS).
    pub known_heads: Vec<Signed<LedgerHead>>,
    /// The statement of another start of the other side's node, which this side has refused: a copy of that node runs.
    pub refused_start: Option<Signed<HelloStatement>>,
}

/// The answer to a hello.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HelloReply {
    /// The hello of the listener, and the proof of its ledger. The proof of the dialer's ledger follows.
    Answered {
        /// The hello of the listener.
        hello: Hello,
        /// Proves that its ledger extends the heads that the dialer knows.
        ledger: LedgerProof,
    },
    /// The dialer is not the newest start of its node.
    Refused(HelloRefusal),
}

/// The last message of a hello, by the dialer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HelloClosing {
    /// Proves that its ledger extends the heads that the listener knows.
    Proven(LedgerProof),
    /// The listener is not the newest start of its node.
    Refused(HelloRefusal),
}

/// Why a node is refused that is not the newest start of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HelloRefusal {
    /// Why, and what to do, for people. Nothing follows from it.
    pub refusal: Refusal,
    /// What the newest start has stated in a hello, as the refused node's own key signed it: the proof.
    pub newest: Signed<HelloStatement>,
}

/// What a node states in a hello, signed by its node key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HelloStatement {
    /// The sending node.
    pub from: NodeId,
    /// The receiving node.
    pub to: NodeId,
    /// Makes the statement unique.
    pub nonce: Nonce,
    /// Which start of the node it is.
    pub start: NodeStart,
    /// Number of the newest roster it knows.
    pub roster: u64,
    /// Version of the program, for operators.
    pub version: String,
    /// When it was made.
    pub sent_at: Timestamp,
}

impl Document for HelloStatement {
    const LABEL: DomainLabel = labels::HELLO;
}

impl Frame for Hello {
    const MAX: usize = SMALL_FRAME;
}

impl Frame for HelloReply {
    const MAX: usize = PROOF_FRAME;
}

impl Frame for HelloClosing {
    const MAX: usize = PROOF_FRAME;
}
