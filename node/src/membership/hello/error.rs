//! Why a hello fails.

use concordat_protocol::membership::CertificateError;
use concordat_protocol::signed::SignatureError;
use concordat_protocol::text::Reason;
use concordat_protocol::time::Staleness;

use crate::ledger_heads::{LedgerHeadsError, StartRefused};
use crate::membership::error::MembershipError;
use concordat_network::NetworkError;

/// Why a hello failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelloError {
    /// The stream failed.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// There is no roster to check against.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The certificate is invalid.
    #[error("the peer's certificate is invalid: {0}")]
    Certificate(#[from] CertificateError),
    /// The statement is not signed by the peer.
    #[error("the peer's statement is not signed by the peer: {0}")]
    Statement(#[from] SignatureError),
    /// The statement names ends other than those of this connection.
    #[error("the peer's statement was made for another connection")]
    OtherConnection,
    /// The statement is not fresh: usually one of the two clocks is wrong.
    #[error("one of the two clocks is wrong, or the peer's statement is an old one: {0}")]
    NotFresh(Staleness),
    /// The peer's ledger contradicts what it has presented before, or one of the two ledgers cannot be read.
    #[error(transparent)]
    LedgerHeads(#[from] LedgerHeadsError),
    /// This node is a copy, or an older copy, of itself, and no one has acknowledged that.
    #[error(
        "this node is a copy, or an older copy, of a node that peers know, so it neither serves nor sends requests"
    )]
    OwnCopy,
    /// The peer refuses this node for another start of it, without a proof.
    #[error("the peer refuses this node, and does not prove that there is another one: {0}")]
    RefusedByPeer(Reason),
    /// The system's random number generator failed.
    #[error("the system's random number generator failed")]
    Random(#[from] getrandom::Error),
}

impl HelloError {
    /// The start of the peer that is refused, if that is why.
    pub(super) const fn refused_start(&self) -> Option<&StartRefused> {
        if let Self::LedgerHeads(LedgerHeadsError::Start(refused)) = self {
            Some(refused)
        } else {
            None
        }
    }

    /// Whether a wrong clock, here or at the peer, is the likely cause.
    pub(super) fn is_about_clocks(&self) -> bool {
        matches!(
            self,
            Self::NotFresh(_)
                | Self::Certificate(CertificateError::FutureDated { .. } | CertificateError::Expired { .. })
        )
    }
}
