//! Signed queries, the person behind them, and the receipt that both sides keep.
//!
//! 1. The consumer's node states in an [`ActorAssertion`] who sends the query, how that person was authenticated and when, for this one
//!    query and this one provider.
//! 2. It puts the assertion, the grant, the purpose and the SQL into a [`QueryEnvelope`] and signs that.
//! 3. The provider turns the envelope into a [`ValidQuery`]; only a valid query is ever answered. A [`ReplayWindow`] refuses the
//!    same query a second time.
//! 4. The answer ends with a [`Receipt`] that both nodes sign.
//! 5. All of it together is an [`EvidenceBundle`], which anyone can check. Both sides check each part as it comes
//!    ([`AttestedQuery`]), so that what they have accepted is valid evidence.

mod actor;
mod asserted;
mod envelope;
mod evidence;
mod receipt;
mod replay;

pub use actor::{ActorAssertion, Factor, Role};
pub use asserted::ValidAssertion;
pub use envelope::{InvalidQuery, MAX_QUERY_AGE_MS, MAX_SQL, Parties, QueryEnvelope, ValidQuery};
pub use evidence::{
    AttestedQuery, AttestedReceipt, EvidenceBundle, EvidenceError, MAX_CERTIFICATE_DELAY_MS, MAX_HEAD_DELAY_MS,
    MAX_PROOFS, MAX_QUERY_DELAY_MS, MissingPart, ValidEvidence, query_of,
};
pub use receipt::{Outcome, Receipt, ReceiptMismatch, Received};
pub use replay::{ReplayWindow, Replayed};

#[cfg(test)]
mod tests;
