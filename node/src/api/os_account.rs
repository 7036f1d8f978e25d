//! The account of the operating system whose process is connected.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use tokio::net::UnixStream;

/// The account of the operating system whose process made the connection, as the kernel reports it (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OsAccount {
    /// Its user id.
    pub(super) uid: u32,
}

/// What the kernel reported when the connection was made; a connection without this information is denied everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerAccount(Option<OsAccount>);

impl PeerAccount {
    /// The account of the process at the other end of `stream`.
    pub(super) fn of(stream: &UnixStream) -> Self {
        let account = stream.peer_cred().map(|peer| OsAccount { uid: peer.uid() });
        Self(account.ok())
    }

    /// Its user id, if the kernel reported it.
    pub(super) fn uid(self) -> Option<u32> {
        self.0.map(|account| account.uid)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OsAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let account = parts.extensions.get::<PeerAccount>().and_then(|account| account.0);
        account.ok_or_else(|| {
            Problem::new(
                ErrorKind::Denied,
                "the operating system does not report the account of the connected process",
            )
        })
    }
}
