//! A third-party S3 server in the test's own process, behind a fault injection layer.
//!
//! 1. [`S3Server::start`] makes a bucket and listens on a free port of this machine. The server is `s3s-fs`: it is_active_side S3 as
//!    Amazon describes it, checks signatures, and keeps objects as files, where a test can look at them and change them.
//! 2. In front of it is a layer ([`fault_injection`]) that answers with errors, cuts connections, delays requests, or returns a
//!    stale listing.
//! 3. [`S3Server::secured`] opens a second port, which is_active_side TLS ([`tls`]).
//! 4. [`S3Server::go_down`] and [`S3Server::come_back`] close and open the port.

mod fault_injection;
mod tls;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, server::conn::http1};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

pub use fault_injection::{Fault, InjectedFaults, Kind, Rule};
pub use tls::Secured;

/// The name of the bucket.
pub const BUCKET: &str = "hospital";
/// The key that the server accepts.
const KEY: (&str, &str) = ("AKIDOFTESTS", "secretoftests");

/// A running server. Dropping it stops the server and removes its objects.
#[derive(Debug)]
pub struct S3Server {
    dir: TempDir,
    address: SocketAddr,
    service: Arc<S3Service>,
    faults: Arc<InjectedFaults>,
    serving: Mutex<Option<tokio::task::JoinHandle<()>>>,
    runtime: Runtime,
}

impl S3Server {
    /// Starts a server with an empty bucket.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("concordat-s3-")
            .tempdir()
            .expect("a folder");
        fs::create_dir(dir.path().join(BUCKET)).expect("a bucket");
        let mut builder = S3ServiceBuilder::new(FileSystem::new(dir.path()).expect("a file system"));
        builder.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let server = Self {
            dir,
            address: listener.local_addr().expect("an address"),
            service: Arc::new(builder.build()),
            faults: Arc::default(),
            serving: Mutex::default(),
            runtime,
        };
        server.serve(listener);
        server
    }

    fn serve(&self, listener: TcpListener) {
        let service = Arc::clone(&self.service);
        let faults = Arc::clone(&self.faults);
        let task = self.runtime.spawn(async move {
            // Connections end with the task that accepted them.
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let service = Arc::clone(&service);
                let faults = Arc::clone(&faults);
                let answer = service_fn(move |request: Request<Incoming>| {
                    let service = Arc::clone(&service);
                    let faults = Arc::clone(&faults);
                    async move { faults.answer(&service, request).await }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), answer);
                connections.spawn(async move { connection.await.ok() });
            }
        });
        *self.serving.lock().unwrap() = Some(task);
    }

    /// Closes the port and cuts every connection.
    pub fn go_down(&self) {
        if let Some(task) = self.serving.lock().unwrap().take() {
            task.abort();
            self.runtime.block_on(task).ok();
        }
    }

    /// Opens the port again.
    pub fn come_back(&self) {
        let listener = self.runtime.block_on(TcpListener::bind(self.address));
        self.serve(listener.expect("the port is free"));
    }

    /// The fault injection layer.
    pub fn faults(&self) -> &InjectedFaults {
        &self.faults
    }

    /// The address, as a node's configuration contains it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A second address, which is_active_side TLS.
    pub fn secured(&self) -> Secured {
        self.runtime.block_on(tls::listen(self.address, self.dir.path()))
    }

    /// The key, in a file that only its owner can read.
    pub fn credentials(&self, folder: &Path) -> PathBuf {
        let path = folder.join("store.key");
        let key = format!(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            KEY.0, KEY.1
        );
        fs::write(&path, key).expect("a key file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a private file");
        path
    }

    /// The folder with the objects of the bucket.
    pub fn bucket(&self) -> PathBuf {
        self.dir.path().join(BUCKET)
    }

    /// The sealed objects below a prefix, in a stable order.
    pub fn objects(&self, prefix: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_below(&self.bucket().join(prefix), &mut found);
        found.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
        found.sort();
        found
    }

    /// Every file of the server, including those outside the bucket.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_below(self.dir.path(), &mut found);
        found
    }

    /// The number of uploads that were begun and neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        let entries = fs::read_dir(self.dir.path()).expect("the folder of the server");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names
            .filter(|name| name.starts_with(".upload-") && name.ends_with(".json"))
            .count()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.go_down();
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}
