//! Errors of the evidence.

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::QueryId;
use concordat_protocol::query;
use concordat_protocol::signed::SignatureError;
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::MetaError;

/// Why the evidence of a query is not stored, or the queries that a stop interrupted could not be closed.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The state cannot be read or written.
    #[error("the evidence of queries cannot be read or written")]
    State(#[from] MetaError),
    /// What became of a query cannot be entered in the ledger.
    #[error("what became of a query cannot be entered in the ledger")]
    Ledger(#[from] LedgerError),
    /// The ledger has an entry about a query without a record in the state.
    #[error(
        "the folder `meta` was replaced by an older copy: entry {entry} of the ledger is about query {}, of which the sealed state \
         has no record, and a crash cannot cause this",
        .query.short()
    )]
    StateOlder {
        /// The query.
        query: QueryId,
        /// The entry.
        entry: u64,
    },
    /// A part of the other side that would make the evidence invalid, so it is not stored.
    #[error("the evidence of the query would be invalid")]
    Invalid(#[from] query::EvidenceError),
    /// What this node signs cannot be encoded.
    #[error("a receipt, or the head of the ledger, cannot be signed")]
    Unsigned(#[from] SignatureError),
    /// The work itself was interrupted.
    #[error("storing the evidence of a query was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Explain for EvidenceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::State(source) => source.kind(),
            Self::Ledger(source) => source.kind(),
            Self::Invalid(source) => source.kind(),
            Self::StateOlder { .. } => ErrorKind::Integrity,
            Self::Unsigned(_) => ErrorKind::Internal,
            Self::Interrupted(_) => ErrorKind::Internal,
        }
    }

    fn help(&self) -> Option<String> {
        matches!(self, Self::StateOlder { .. })
            .then(|| "restore the newest copy of `meta`, or restore a backup into an empty directory".to_owned())
    }
}
