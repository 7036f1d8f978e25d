//! Why evidence is invalid.

use super::limits::MAX_PROOFS;
use crate::audit::merkle::VerifyError;
use crate::audit::{HeadError, ProofError};
use crate::error_kind::{ErrorKind, Explain};
use crate::membership::KeySuccessionError;
use crate::signed::SignatureError;

/// Why evidence is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not an evidence file, or another version of the format.
    #[error("the file is not evidence in a known format")]
    Format,
    /// A certificate is not signed by the key that it names.
    #[error("the certificate of the {of}'s node is invalid")]
    Certificate {
        /// Whose.
        of: &'static str,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// A certificate was not valid when the query was signed.
    #[error("the certificate of the {of}'s node was not valid at the time of the query")]
    OutOfTime {
        /// Whose.
        of: &'static str,
    },
    /// The query is not signed by the node of the certificate.
    #[error("the query is not signed by the consumer's node")]
    Query(#[source] SignatureError),
    /// The receipt is not signed by the nodes of the certificates.
    #[error("the receipt is not signed as required")]
    Receipt(#[source] SignatureError),
    /// The head of the ledger in the receipt is not the provider's.
    #[error("the head of the ledger in the receipt is not that of the provider's node")]
    Head(#[source] HeadError),
    /// The head of the ledger with the countersignature is not the consumer's.
    #[error("the head of the ledger with the countersignature is not that of the consumer's node")]
    ConsumerHead(#[source] HeadError),
    /// The parts do not belong together.
    #[error("the parts do not belong together: {what}")]
    Inconsistent {
        /// What differs.
        what: &'static str,
    },
    /// The head of the consumer's ledger is older than the receipt.
    #[error("the head of the ledger with the countersignature was signed before the receipt")]
    ConsumerHeadTime,
    /// The head of the provider's ledger is older than the end of the answer.
    #[error("the head of the ledger in the receipt was signed before the answer ended")]
    HeadTime,
    /// The checkpoint of the holder is not of the ledger whose head was signed with the receipt.
    #[error("the ledger with the proven entries does not continue from the head that was signed with the receipt")]
    Continuation(#[source] VerifyError),
    /// The holder is neither side.
    #[error("the holder of the evidence is neither of the two sides")]
    Holder,
    /// The keys of the holder do not follow one another.
    #[error("the keys of the holder do not follow one another")]
    Successions(#[source] KeySuccessionError),
    /// No proofs, or too many.
    #[error("between 1 and {MAX_PROOFS} ledger entries have to be proven")]
    Proofs,
    /// A ledger entry is not in the holder's ledger.
    #[error("a ledger entry is not proven")]
    Ledger(#[source] ProofError),
}

impl Explain for EvidenceError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unverified
    }
}
