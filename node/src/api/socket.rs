//! The socket below the data directory, and its connections.
//!
//! Any process that can open the socket can keep connections without a login. Each has a file descriptor and a buffer, so
//!
//! 1. they are limited in number, in all and of each account of the operating system ([`Connections`]). One beyond that is answered with a problem
//!    document if it sends a request at once, and closed;
//! 2. a request has [`HEADER_TIMEOUT`] from the end of the one before to the end of its header, which has at most [`MAX_HEADER`] bytes;
//! 3. a body is limited by its route, and in time ([`super::body`], [`super::body_budget`]);
//! 4. a response that is not read ends after [`READ_TIMEOUT`].
//!
//! When the stage stops, no more connections are accepted, and those that are open end with the request that they are in, or after
//! [`STOP_TIMEOUT`].

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::response::IntoResponse as _;
use concordat_documents::SOCKET;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connections::{ConnectionSlot, Connections};
use super::os_account::PeerAccount;
use super::write_timeout::WriteTimeout;
use crate::init::check_socket_path;
use crate::shutdown::Stage;

/// How long a connection may be without a complete header, also between two requests: a client on the same machine needs milliseconds for one, and
/// one that keeps a connection opens another.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Most bytes of a request's header, with its path.
const MAX_HEADER: usize = 16 << 10;
/// How long a client may read nothing of a response: as long as an answer may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Connections that are refused with an answer at the same time; those beyond them are closed without.
const REFUSED: usize = 32;
/// How long a refused connection may take to send its request and read why it is refused.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a request may take to end when the API stops: shorter than the stage waits, so that a request that does not arrive is not a part that
/// did not stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
/// The pause after a connection could not be accepted, in particular because there are no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves `router` on the socket in the data directory `dir` as part of `stage`, with at most so many `connections` at the same time; when this
/// returns, the socket is open.
///
/// # Errors
/// If the socket cannot be made, also because the directory was moved to a path that is too long for one.
pub(super) fn serve(router: Router, dir: &Path, stage: &Stage, connections: usize) -> Result<(), Problem> {
    check_socket_path(dir)?;
    let path = dir.join(SOCKET);
    let listener =
        bind(&path).map_err(|error| Problem::internal(&format!("cannot open `{}`", path.display()), &error))?;
    let server = Server {
        router,
        open: Connections::new(connections),
        refused: Connections::new(REFUSED),
        stopping: stage.token().clone(),
        tasks: TaskTracker::new(),
    };
    stage.spawn(async move {
        server.run(listener).await;
        std::fs::remove_file(&path).ok();
    });
    Ok(())
}

/// An existing socket is a leftover: the lock on the data directory guarantees that no other node runs.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// What accepts connections and serves them.
#[derive(Debug)]
struct Server {
    router: Router,
    open: Connections,
    /// Those that are beyond the limit and still get an answer.
    refused: Connections,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Accepts connections until the stage stops, and waits until they have ended.
    async fn run(self, listener: UnixListener) {
        while let Some(accepted) = self.stopping.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "the API cannot accept connections");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn admit(&self, stream: UnixStream) {
        let account = PeerAccount::of(&stream);
        if let Some(slot) = self.open.admit(account.uid()) {
            let served = serve_connection(self.router.clone(), stream, account, self.stopping.clone());
            self.tasks.spawn(while_held(slot, served));
        } else if let Some(slot) = self.refused.admit(account.uid()) {
            self.tasks.spawn(while_held(slot, refuse(stream)));
        } else {
            drop(stream);
        }
    }
}

/// Runs a task of a connection, which counts meanwhile.
async fn while_held(slot: ConnectionSlot, task: impl Future<Output = ()> + Send) {
    task.await;
    drop(slot);
}

/// Whether a connection ended before it was accepted; the next one is not affected.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

async fn serve_connection(router: Router, stream: UnixStream, account: PeerAccount, stopping: CancellationToken) {
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(account);
        routes.call(request)
    });
    let stream = TokioIo::new(WriteTimeout::new(stream, READ_TIMEOUT));
    let mut connection = pin!(http(HEADER_TIMEOUT).serve_connection(stream, service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(STOP_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the API has ended");
    }
}

/// Answers the first request of a connection that is one too many.
async fn refuse(stream: UnixStream) {
    let busy = service_fn(|_: Request<Incoming>| async { Ok::<_, Infallible>(too_many().into_response()) });
    let mut http = http(REFUSAL_TIMEOUT);
    let answered = http.keep_alive(false).serve_connection(TokioIo::new(stream), busy);
    if let Ok(Err(error)) = timeout(REFUSAL_TIMEOUT, answered).await {
        tracing::debug!(%error, "a refused connection to the API has ended");
    }
}

fn too_many() -> Problem {
    Problem::new(
        ErrorKind::Unreachable,
        "the node has the maximum number of connections of your account, or of all",
    )
    .help("close connections that are not used, and try again later")
}

fn http(header_timeout: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_header_size(MAX_HEADER);
    http
}
