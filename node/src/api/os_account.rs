//! The account of the operating system whose process is connected.

use axum::extract::{FromRequestParts, connect_info::ConnectInfo, connect_info::Connected};
use axum::http::request::Parts;
use axum::serve::IncomingStream;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use tokio::net::UnixListener;

/// The account of the operating system whose process made the connection, as the kernel reports it (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OsAccount {
    /// Its user id.
    pub(super) uid: u32,
}

/// What the kernel reported when the connection was made; a connection without this information is denied everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerAccount(Option<OsAccount>);

impl Connected<IncomingStream<'_, UnixListener>> for PeerAccount {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let account = stream.io().peer_cred().map(|peer| OsAccount { uid: peer.uid() });
        Self(account.ok())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OsAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let known = parts.extensions.get::<ConnectInfo<PeerAccount>>();
        let account = known.and_then(|ConnectInfo(PeerAccount(account))| *account);
        account.ok_or_else(|| {
            Problem::new(
                ErrorKind::Denied,
                "the operating system does not report the account of the connected process",
            )
        })
    }
}
