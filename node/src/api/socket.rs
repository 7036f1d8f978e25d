//! The socket below the data directory.

use std::{os::unix::fs::PermissionsExt, path::Path};

use tokio::net::UnixListener;

use axum::Router;
use concordat_documents::SOCKET;

use super::os_account::PeerAccount;
use crate::init::check_socket_path;
use crate::shutdown::Stage;
use concordat_documents::problem::Problem;

/// Serves `router` on the socket in the data directory `dir` as part of `stage`; when this returns, the socket is open.
///
/// # Errors
/// If the socket cannot be made, also because the directory was moved to a path that is too long for one.
pub(super) fn serve(router: Router, dir: &Path, stage: &Stage) -> Result<(), Problem> {
    check_socket_path(dir)?;
    let path = dir.join(SOCKET);
    let listener =
        bind(&path).map_err(|error| Problem::internal(&format!("cannot open `{}`", path.display()), &error))?;
    let token = stage.token().clone();
    let service = router.into_make_service_with_connect_info::<PeerAccount>();
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
