//! The socket below the data directory, and the operating system account of the connected process.

use std::{os::unix::fs::PermissionsExt, path::Path};

use axum::{
    extract::{FromRequestParts, connect_info::ConnectInfo, connect_info::Connected},
    http::request::Parts,
    serve::IncomingStream,
};
use tokio::net::UnixListener;

use super::{Api, router};
use crate::shutdown::Stage;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;

/// The socket, below the data directory.
pub const SOCKET: &str = "run/api.sock";

/// The account of the operating system whose process made the connection, as the kernel reports it (`SO_PEERCRED`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OsAccount {
    /// Its user id.
    pub uid: u32,
}

/// What the kernel reported when the connection was made; a connection without this information is denied everything.
#[derive(Clone, Copy, Debug)]
struct PeerAccount(Option<OsAccount>);

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

/// Serves the API on the socket in the data directory `dir` as part of `stage`; when this returns, the socket is open.
///
/// # Errors
/// If the socket cannot be made.
pub fn serve(api: Api, dir: &Path, stage: &Stage) -> Result<(), Problem> {
    let path = dir.join(SOCKET);
    let listener =
        bind(&path).map_err(|error| Problem::internal(&format!("cannot open `{}`", path.display()), &error))?;
    let token = stage.token().clone();
    let service = router(api).into_make_service_with_connect_info::<PeerAccount>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async move { token.cancelled().await });
    stage.spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the API has stopped");
        }
        std::fs::remove_file(&path).ok();
    });
    Ok(())
}

/// An existing socket is a leftover: the lock on the data directory guarantees that no other node runs.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
