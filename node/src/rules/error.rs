//! Why statements of rules are not exchanged.

use concordat_network::NetworkError;
use concordat_protocol::signed::SignatureError;
use concordat_protocol::wire::messages::RulesError;
use concordat_storage::catalog::CatalogError;
use concordat_storage::ledger::LedgerError;
use concordat_storage::meta::MetaError;

/// Why a statement was not sent or not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// The stream failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The peer's statement is invalid.
    #[error(transparent)]
    Invalid(#[from] RulesError),
    /// The peer's statement is not newer than the known one.
    #[error("a statement of rules is older than the one that is known of its node")]
    Older,
    /// The peer has signed two statements with one number.
    #[error("two statements of rules of one node have the same number and another content")]
    Contradiction,
    /// This node's statement cannot be signed.
    #[error("the rules of this node cannot be signed")]
    Unsigned(#[from] SignatureError),
    /// What this node enforces cannot be read.
    #[error("the records of collections cannot be read")]
    Catalog(#[from] CatalogError),
    /// The ledger failed.
    #[error("a change of rules cannot be entered in the ledger")]
    Ledger(#[from] LedgerError),
    /// The state failed.
    #[error("the rules of peers cannot be read or written")]
    State(#[from] MetaError),
    /// The work itself was interrupted.
    #[error("the node is stopping")]
    Stopping(#[from] tokio::task::JoinError),
}
