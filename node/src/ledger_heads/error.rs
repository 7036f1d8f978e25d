//! Errors of ledger heads.

use concordat_protocol::audit::HeadError;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{InstitutionId, NodeId};
use concordat_protocol::signed::SignatureError;
use concordat_protocol::time::Staleness;
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::MetaError;

use super::peers::PeerLedger;
use super::shown_start::StartRefused;

/// Why a head was not signed or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum LedgerHeadsError {
    /// The peer's ledger contradicts what it had signed.
    #[error("the ledger of node {} of `{institution}` contradicts what it has shown before: {reason}", .node.short())]
    PeerConflict {
        /// The institution.
        institution: InstitutionId,
        /// The node.
        node: NodeId,
        /// How they contradict each other.
        reason: String,
    },
    /// The peer is not the newest start of its node.
    #[error(transparent)]
    Start(#[from] StartRefused),
    /// The head is not the peer's.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The head was not made for this hello.
    #[error("the head of the ledger is not fresh: {0}")]
    NotFresh(Staleness),
    /// Signed bytes are malformed.
    #[error("the head of a ledger cannot be read or signed")]
    Signature(#[from] SignatureError),
    /// Too many heads of the peer are unproven.
    #[error("node {} has not proved the heads that it has signed", .node.short())]
    Unproven {
        /// The node.
        node: NodeId,
    },
    /// There is no such conflict.
    #[error(
        "there is no unacknowledged conflict of this name; `concordat consortium ledger list` lists what peers have shown"
    )]
    NothingToAcknowledge,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state failed.
    #[error("the heads of ledgers cannot be read or written")]
    State(#[from] MetaError),
    /// A blocking task was canceled.
    #[error("the node is stopping")]
    Stopping(#[from] tokio::task::JoinError),
}

impl LedgerHeadsError {
    pub(super) fn conflict(ledger: &PeerLedger, node: NodeId) -> Self {
        Self::PeerConflict {
            institution: ledger.institution.clone(),
            node,
            reason: ledger.conflict.as_ref().map_or_else(String::new, |c| c.reason.clone()),
        }
    }
}

impl Explain for LedgerHeadsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::PeerConflict { .. }
            | Self::Start(_)
            | Self::Head(_)
            | Self::NotFresh(_)
            | Self::Signature(_)
            | Self::Unproven { .. } => ErrorKind::Integrity,
            Self::NothingToAcknowledge => ErrorKind::NotFound,
            Self::Ledger(source) => source.kind(),
            Self::State(source) => source.kind(),
            Self::Stopping(_) => ErrorKind::Internal,
        }
    }
}
