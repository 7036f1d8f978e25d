//! What was released, signed by both sides.

use serde::{Deserialize, Serialize};

use super::QueryEnvelope;
use crate::audit::{HeadError, LedgerHead};
use crate::ids::{ActorId, Digest32, GrantId, InstitutionId, QueryId};
use crate::labels::{self, DomainLabel};
use crate::scope::{Purpose, Tier};
use crate::signed::{Document, Signed};
use crate::time::Timestamp;

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All of it was sent.
    Completed,
    /// It was cut because the permission ended during the stream.
    Cut,
    /// It failed for a technical reason.
    Failed,
}

/// What was released under one query. Both nodes sign it and both ledgers name it. It states nothing about cells that were withheld: their
/// number would depend on people of whom there are too few.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The query.
    pub query: QueryId,
    /// The grant under which it was sent.
    pub grant: GrantId,
    /// Who answered.
    pub provider: InstitutionId,
    /// Who sent the query.
    pub consumer: InstitutionId,
    /// The person.
    pub actor: ActorId,
    /// What for.
    pub purpose: Purpose,
    /// Digest of the SQL text.
    pub sql: Digest32,
    /// How much the answer could reveal.
    pub tier: Tier,
    /// Rows released.
    pub rows: u64,
    /// Bytes released.
    pub bytes: u64,
    /// Digest of the bytes released.
    pub answer: Digest32,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's ledger entry with the decision (its leaf hash).
    pub decision: Digest32,
    /// The head of the provider's ledger with that entry in it; the consumer keeps it.
    pub ledger: Signed<LedgerHead>,
    /// When the answer ended.
    pub at: Timestamp,
}

impl Document for Receipt {
    const LABEL: DomainLabel = labels::RECEIPT;
}

impl Receipt {
    /// The head of the provider's ledger, signed by the node that it names. Whether that is a node of the provider is checked
    /// against the roster.
    ///
    /// # Errors
    /// [`HeadError`] if it is not signed, or of another institution.
    pub fn ledger_head(&self) -> Result<LedgerHead, HeadError> {
        let node = self.ledger.peek_unverified().map_err(HeadError::Signature)?.node;
        self.ledger.head_of(node, &self.provider)
    }

    /// Checks on the consumer's side that the receipt matches the query that was sent and the answer that was received, before
    /// it is countersigned.
    ///
    /// # Errors
    /// [`ReceiptMismatch`] names the first field that differs.
    pub fn matches(&self, sent: &QueryEnvelope, actor: &ActorId, received: Received) -> Result<(), ReceiptMismatch> {
        let checks = [
            ("query", self.query == sent.query),
            ("grant", self.grant == sent.grant),
            ("provider", self.provider == sent.to),
            ("consumer", self.consumer == sent.from),
            ("actor", self.actor == *actor),
            ("purpose", self.purpose == sent.purpose),
            ("sql", self.sql == sent.sql_digest()),
            ("bytes", self.bytes == received.bytes),
            ("answer", self.answer == received.answer),
            ("ledger", self.ledger_head().is_ok()),
        ];
        match checks.into_iter().find(|(_, same)| !same) {
            Some((field, _)) => Err(ReceiptMismatch { field }),
            None => Ok(()),
        }
    }
}

/// What the consumer itself has received.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Bytes received.
    pub bytes: u64,
    /// Digest of these bytes.
    pub answer: Digest32,
}

/// A receipt that does not match the query or the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receipt states another `{field}` than what was sent and received")]
pub struct ReceiptMismatch {
    /// The field that differs.
    pub field: &'static str,
}
