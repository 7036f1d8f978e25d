//! How a query ends, as it is recorded, as the receipt states it, and as the requester learns it.

use concordat_engine::AnswerTotals;
use concordat_protocol::audit;
use concordat_protocol::query;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::{AnswerDigest, Refusal};

use super::case::Case;

/// How an answer ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All of it left.
    Completed,
    /// The permission ended while it was sent.
    Cut(Refusal),
    /// The permission ended before the reader had confirmed a chunk; the way to it was cut off, so that it does not learn the reason.
    Interrupted(Refusal),
    /// An error on this side.
    Failed(Refusal),
    /// The reader went away, or stopped reading.
    Abandoned(String),
}

impl Outcome {
    /// The end of an answer whose reader blocked a change of its grant. The change takes effect first; then the lease states why nothing
    /// more may leave.
    pub(super) async fn interrupted(case: &Case, now: Timestamp) -> Self {
        match case.guard(now).await {
            Err(refusal) => Self::Interrupted(refusal),
            Ok(_) => Self::Abandoned(unconfirmed("the reader did not read while the grant was changed")),
        }
    }

    /// The outcome as the ledger records it.
    pub(super) fn to_ledger(&self) -> audit::Outcome {
        match self {
            Self::Completed => audit::Outcome::Completed,
            Self::Cut(refusal) => audit::Outcome::Cut {
                reason: first_reason(refusal),
            },
            Self::Interrupted(refusal) => audit::Outcome::Cut {
                reason: Reason::sanitized(&unconfirmed(first_text(refusal))),
            },
            Self::Failed(refusal) => audit::Outcome::Failed {
                reason: first_reason(refusal),
            },
            Self::Abandoned(reason) => audit::Outcome::Failed {
                reason: Reason::sanitized(reason),
            },
        }
    }

    /// The outcome as the receipt states it.
    pub(super) fn to_receipt(&self) -> query::Outcome {
        match self {
            Self::Completed => query::Outcome::Completed,
            Self::Cut(_) => query::Outcome::Cut,
            Self::Interrupted(_) => query::Outcome::Cut,
            Self::Failed(_) => query::Outcome::Failed,
            Self::Abandoned(_) => query::Outcome::Failed,
        }
    }
}

/// The reason of an end before the last chunk was confirmed; the totals include that chunk.
pub(super) fn unconfirmed(reason: &str) -> String {
    format!("the last chunk is counted and was not confirmed: {reason}")
}

fn first_reason(refusal: &Refusal) -> Reason {
    Reason::sanitized(first_text(refusal))
}

/// The text of a refusal's first reason.
pub(super) fn first_text(refusal: &Refusal) -> &str {
    let first = refusal.reasons.first();
    first.map_or("no reason was given", |reason| reason.text.as_str())
}

/// The totals of a query that did not run.
pub(super) fn no_answer() -> AnswerTotals {
    AnswerTotals {
        rows: 0,
        bytes: 0,
        answer: AnswerDigest::default().finish(),
        complete: false,
    }
}

/// Why a query was not run, and whether the ledger knows.
#[derive(Debug)]
pub(super) enum NotRun {
    /// Refused before a decision was recorded.
    Unrecorded(Refusal),
    /// The ledger holds the decision, and the outcome where one was owed.
    Recorded(Refusal),
}

impl NotRun {
    /// The refusal for the requester.
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::Unrecorded(refusal) => refusal,
            Self::Recorded(refusal) => refusal,
        }
    }
}
