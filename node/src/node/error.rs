//! Why a node does not start.

use concordat_network::NetworkError;
use concordat_protocol::error_kind::{ErrorKind, Explain};

use crate::evidence::EvidenceError;
use crate::lifecycle::RollbackError;
use crate::membership::MembershipError;
use crate::negotiation::NegotiationError;
use crate::policies::PolicyStoreError;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// People's accounts cannot be read.
    #[error("the accounts cannot be opened")]
    Accounts(#[from] crate::iam::IamError),
    /// The catalog does not match the ledger.
    #[error(transparent)]
    Lifecycle(#[from] RollbackError),
    /// The policies are not valid.
    #[error(transparent)]
    Policy(#[from] PolicyStoreError),
    /// The network cannot be started.
    #[error("the network cannot be started")]
    Network(#[from] NetworkError),
    /// The roster cannot be used.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The grants cannot be used.
    #[error(transparent)]
    Negotiation(#[from] NegotiationError),
    /// The queries that the last stop interrupted cannot be closed.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The state of queries cannot be used.
    #[error("the state of queries cannot be opened")]
    Sharing(#[from] concordat_storage::meta::MetaError),
    /// The start of a part was interrupted.
    #[error("the start was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Explain for StartError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Accounts(source) => source.kind(),
            Self::Lifecycle(source) => source.kind(),
            Self::Policy(source) => source.kind(),
            Self::Network(source) => source.kind(),
            Self::Membership(source) => source.kind(),
            Self::Negotiation(source) => source.kind(),
            Self::Sharing(source) => source.kind(),
            Self::Evidence(source) => source.kind(),
            Self::Interrupted(_) => ErrorKind::Internal,
        }
    }

    fn reasons(&self) -> Vec<String> {
        match self {
            Self::Policy(source) => source.reasons(),
            Self::Lifecycle(_)
            | Self::Accounts(_)
            | Self::Network(_)
            | Self::Membership(_)
            | Self::Negotiation(_)
            | Self::Sharing(_)
            | Self::Evidence(_)
            | Self::Interrupted(_) => Vec::new(),
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Lifecycle(source) => source.help(),
            Self::Evidence(source) => source.help(),
            Self::Policy(source) => source.help(),
            Self::Accounts(source) => source.help(),
            Self::Network(source) => source.help(),
            Self::Membership(source) => source.help(),
            Self::Negotiation(source) => source.help(),
            Self::Sharing(source) => source.help(),
            Self::Interrupted(_) => None,
        }
    }
}
