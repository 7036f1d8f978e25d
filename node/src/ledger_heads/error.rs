//! Why a head was not given or not taken.

use concordat_protocol::audit::HeadError;
use concordat_protocol::ids::{InstitutionId, NodeId};
use concordat_protocol::signed::SignatureError;
use concordat_protocol::time::Staleness;
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::MetaError;

use super::peers::PeerLedger;
use crate::fault::{Code, Explain};

/// Why a head was not given or not taken.
#[derive(Debug, thiserror::Error)]
pub enum LedgerHeadsError {
    /// The peer's ledger contradicts what it had signed.
    #[error("the ledger of node {} of `{institution}` is not the one that it has shown before: {reason}", .node.short())]
    PeerConflict {
        /// The institution.
        institution: InstitutionId,
        /// The node.
        node: NodeId,
        /// How.
        reason: String,
    },
    /// The head is not the peer's.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The head was not made for this hello.
    #[error("the head of the ledger was not signed now: {0}")]
    NotFresh(Staleness),
    /// Signed bytes are malformed.
    #[error("the head of a ledger cannot be read or signed")]
    Signature(#[from] SignatureError),
    /// More heads of the peer wait for a proof than are kept.
    #[error("the heads that node {} has signed wait for a proof, which it does not give", .node.short())]
    Unproven {
        /// The node.
        node: NodeId,
    },
    /// There is no such conflict.
    #[error(
        "no conflict with this head is waiting to be acknowledged; `concordat consortium ledger list` names the heads"
    )]
    NothingToAcknowledge,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state failed.
    #[error("the heads of ledgers cannot be read or written")]
    State(#[from] MetaError),
    /// A helper thread was ended.
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
    fn code(&self) -> Code {
        match self {
            Self::PeerConflict { .. }
            | Self::Head(_)
            | Self::NotFresh(_)
            | Self::Signature(_)
            | Self::Unproven { .. } => Code::Integrity,
            Self::NothingToAcknowledge => Code::NotFound,
            Self::Ledger(source) => source.code(),
            Self::State(source) => source.code(),
            Self::Stopping(_) => Code::Fault,
        }
    }
}
