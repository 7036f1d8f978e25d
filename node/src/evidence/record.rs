//! What is stored about one query.

use concordat_protocol::audit::LedgerHead;
use concordat_protocol::ids::{ActorId, Digest32, GrantId, InstitutionId, NodeId, QueryId};
use concordat_protocol::membership::NodeCertificate;
use concordat_protocol::query::{AttestedQuery, EvidenceError, MAX_PROOFS, QueryEnvelope, Receipt};
use concordat_protocol::scope::Tier;
use concordat_protocol::signed::{CoSigned, Signed};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::AnswerDigest;
use serde::{Deserialize, Serialize};

/// The side of a query that this node is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceSide {
    /// It answers another institution.
    Provider,
    /// It queries another institution.
    Consumer,
    /// It answers one of its own people.
    Local,
}

/// The other node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidencePeer {
    /// Its institution.
    pub institution: InstitutionId,
    /// The node.
    pub node: NodeId,
    /// The certificate that it presented in hello.
    pub certificate: Signed<NodeCertificate>,
    /// This node's own, of the same time or up to a minute before.
    pub own: Signed<NodeCertificate>,
}

/// What a consumer has received of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Rows received.
    pub rows: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Digest of these bytes.
    pub answer: Digest32,
    /// How far the answer was read.
    #[serde(default)]
    pub end: AnswerEnd,
    /// Whether the bytes contain the end of the rows.
    #[serde(default)]
    pub complete: bool,
}

impl Counted {
    /// Nothing, of an answer that was read so far.
    pub fn nothing(end: AnswerEnd) -> Self {
        Self {
            rows: 0,
            bytes: 0,
            answer: AnswerDigest::default().finish(),
            end,
            complete: false,
        }
    }
}

/// How far a consumer has read an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerEnd {
    /// The provider refused the query, and there is no answer.
    Refused,
    /// Until its provider had ended it.
    Read,
    /// Until it was interrupted, on either side. The provider may have counted one chunk more.
    Interrupted,
    /// That is not known: the node stopped meanwhile, the rows could not be decoded, or the record is of an earlier version.
    #[default]
    Unknown,
}

/// What a receipt of a query that this node sent may state at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBounds {
    /// The tier of the grant.
    pub tier: Tier,
}

impl Default for ReceiptBounds {
    /// For records of earlier versions, which do not have them.
    fn default() -> Self {
        Self { tier: Tier::Records }
    }
}

/// The evidence of one query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvidenceRecord {
    /// The side that this node is on.
    pub side: EvidenceSide,
    /// When it began.
    pub at: Timestamp,
    /// The requester.
    pub actor: ActorId,
    /// The grant; `None` for queries of this node's own people.
    pub grant: Option<GrantId>,
    /// The other node; `None` for queries of this node's own people.
    pub peer: Option<EvidencePeer>,
    /// The text of a query of this node's own people; the signed query has that of others. Records from before had both.
    pub sql: Option<String>,
    /// The signed query; `None` for queries of this node's own people.
    pub envelope: Option<Signed<QueryEnvelope>>,
    /// The ledger entries about it, in order.
    pub entries: Vec<u64>,
    /// The size of the ledger when the record was stored: no entry about the query has a lower number. `None` before it is stored, and in records
    /// of earlier versions.
    #[serde(default)]
    pub since: Option<u64>,
    /// What a receipt may state at most, for a query that this node sent.
    #[serde(default)]
    pub bounds: Option<ReceiptBounds>,
    /// What a consumer has received, once the query has ended.
    pub counted: Option<Counted>,
    /// The receipt with the provider's signature, and the consumer's if `countersigned`.
    pub receipt: Option<CoSigned<Receipt>>,
    /// Whether both sides have signed.
    pub countersigned: bool,
    /// The head of the consumer's ledger that came with its signature.
    pub consumer_ledger: Option<Signed<LedgerHead>>,
}

impl EvidenceRecord {
    /// Names a ledger entry, once. If there are more entries than evidence may contain, the first ones stay: the decision is among them, also if
    /// a start finds it after later ones.
    pub fn note(&mut self, entry: u64) {
        if self.entries.contains(&entry) {
            return;
        }
        let at = self.entries.partition_point(|known| *known < entry);
        self.entries.insert(at, entry);
        self.entries.truncate(MAX_PROOFS);
    }

    /// The text of the query.
    pub fn text(&self) -> Option<String> {
        let signed = || self.envelope.as_ref()?.peek_unverified().ok();
        self.sql.clone().or_else(|| signed().map(|query| query.sql))
    }

    /// The certificates of the consumer's and of the provider's node; `None` for queries of this node's own people.
    pub fn certificates(&self) -> Option<[Signed<NodeCertificate>; 2]> {
        let peer = self.peer.as_ref()?;
        let own = peer.own.clone();
        let other = peer.certificate.clone();
        match self.side {
            EvidenceSide::Provider => Some([other, own]),
            EvidenceSide::Consumer => Some([own, other]),
            EvidenceSide::Local => None,
        }
    }

    /// Checks a receipt with the other parts of the record, as a reader of the evidence does.
    ///
    /// # Errors
    /// Why the evidence would be invalid.
    pub fn check_receipt(
        &self,
        receipt: &CoSigned<Receipt>,
        consumer_ledger: Option<&Signed<LedgerHead>>,
    ) -> Result<(), EvidenceError> {
        let signed = self.certificates().zip(self.envelope.clone());
        let (certificates, envelope) = signed.ok_or(EvidenceError::Inconsistent {
            what: "the query is not signed, or is one of this institution",
        })?;
        let attested = AttestedQuery::check(certificates, envelope)?;
        attested.check_receipt(receipt, consumer_ledger).map(drop)
    }
}

/// A receipt that the other side has not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outstanding {
    /// The query.
    pub query: QueryId,
    /// Since when.
    pub since: Timestamp,
}
