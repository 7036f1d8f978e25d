//! What was released, signed by both sides.

use serde::{Deserialize, Serialize};

use super::QueryEnvelope;
use crate::audit::{HeadError, LedgerHead};
use crate::ids::{ActorId, Digest32, GrantId, InstitutionId, QueryId};
use crate::labels::{self, Label};
use crate::scope::{Purpose, Tier};
use crate::signed::{Document, Signed};
use crate::time::Timestamp;

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All of it was sent.
    Completed,
    /// It was cut because the permission ended on the way.
    Cut,
    /// It broke for a technical reason.
    Failed,
}

/// What was released under one query. Both nodes sign it and both ledgers name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The query.
    pub query: QueryId,
    /// The grant it was asked under.
    pub grant: GrantId,
    /// Who answered.
    pub provider: InstitutionId,
    /// Who asked.
    pub consumer: InstitutionId,
    /// The person.
    pub actor: ActorId,
    /// What for.
    pub purpose: Purpose,
    /// Names the SQL text.
    pub sql: Digest32,
    /// How much the answer could reveal.
    pub tier: Tier,
    /// Rows released.
    pub rows: u64,
    /// Bytes released.
    pub bytes: u64,
    /// Cells withheld because too few subjects stand behind them.
    pub suppressed_cells: u64,
    /// Names the bytes released.
    pub answer: Digest32,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's ledger entry that holds the decision (its leaf hash).
    pub decision: Digest32,
    /// The head of the provider's ledger with that entry in it; the consumer keeps it.
    pub ledger: Signed<LedgerHead>,
    /// When the answer ended.
    pub at: Timestamp,
}

impl Document for Receipt {
    const LABEL: Label = labels::RECEIPT;
}

impl Receipt {
    /// The head of the provider's ledger, signed by the node that it names. Whether that is a node of the provider, the roster says.
    ///
    /// # Errors
    /// [`HeadError`] if it is not signed, or of another institution.
    pub fn ledger_head(&self) -> Result<LedgerHead, HeadError> {
        let node = self.ledger.peek_unverified().map_err(HeadError::Signature)?.node;
        self.ledger.head_of(node, &self.provider)
    }

    /// Checks on the consumer's side that the receipt is about what was asked and what arrived, before it is countersigned.
    ///
    /// # Errors
    /// [`ReceiptMismatch`] names the first field that differs.
    pub fn matches(&self, asked: &QueryEnvelope, actor: &ActorId, received: Received) -> Result<(), ReceiptMismatch> {
        let checks = [
            ("query", self.query == asked.query),
            ("grant", self.grant == asked.grant),
            ("provider", self.provider == asked.to),
            ("consumer", self.consumer == asked.from),
            ("actor", self.actor == *actor),
            ("purpose", self.purpose == asked.purpose),
            ("sql", self.sql == asked.sql_digest()),
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

/// What the consumer has counted itself.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Bytes received.
    pub bytes: u64,
    /// Names these bytes.
    pub answer: Digest32,
}

/// A receipt that states something else than what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receipt states another `{field}` than what was asked and received")]
pub struct ReceiptMismatch {
    /// The field that differs.
    pub field: &'static str,
}
