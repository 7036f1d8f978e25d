//! Requests to the daemon.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use concordat_documents::SOCKET;
use concordat_documents::collection::FOLDER;
use concordat_documents::import::UPLOAD;
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use futures::{Stream, StreamExt};
use http_body_util::{Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response,
    body::{Frame, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use crate::chunks::Chunks;
use crate::folder::Folder;
use crate::lines::Lines;
use crate::reading::{Ending, Reading};
use crate::response::{broken, checked, read_json};

/// A client of the daemon in one data directory.
pub struct Client {
    dir: PathBuf,
    token: Option<Zeroizing<String>>,
}

impl Client {
    /// A client without a session.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            token: None,
        }
    }

    /// The same client as the person whose session `token` proves.
    #[must_use]
    pub fn with_token(mut self, token: Option<Zeroizing<String>>) -> Self {
        self.token = token;
        self
    }

    /// Fetches `path`.
    ///
    /// # Errors
    /// The problem that the daemon returned, or that it does not respond.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        read_json(response).await
    }

    /// Sends `body` to `path`.
    ///
    /// # Errors
    /// The problem that the daemon returned, or that it does not respond.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Problem> {
        let response = self.send(Method::POST, path, encode(body)?).await?;
        read_json(response).await
    }

    /// Sends a line of JSON and the bytes of a file to `path`, as [`UPLOAD`] describes it, and reads the report line by line.
    ///
    /// # Errors
    /// The problem that the daemon returned, that it does not respond, or that the file could not be read completely.
    pub async fn upload(&self, path: &str, head: &impl Serialize, file: Option<Reading>) -> Result<Lines, Problem> {
        let response = self.send_file(path, head, file).await?;
        Ok(Lines::new(checked(response).await?.into_body()))
    }

    /// Sends a line of JSON and the bytes of a file to `path`, as [`Self::upload`] does, and reads the document that it returns.
    ///
    /// # Errors
    /// As [`Self::upload`].
    pub async fn upload_for<T: DeserializeOwned>(
        &self,
        path: &str,
        head: &impl Serialize,
        file: Option<Reading>,
    ) -> Result<T, Problem> {
        read_json(self.send_file(path, head, file).await?).await
    }

    /// Sends a line of JSON, the files of a folder and the line that closes it to `path`, as [`FOLDER`] describes it, and reads the report
    /// line by line.
    ///
    /// # Errors
    /// As [`Self::upload`], and if the folder has changed.
    pub async fn upload_folder(
        &self,
        path: &str,
        head: &impl Serialize,
        folder: Option<Folder>,
    ) -> Result<Lines, Problem> {
        let folder = folder.map(Folder::begin);
        let response = self.send_bytes((path, FOLDER), head, folder).await?;
        Ok(Lines::new(checked(response).await?.into_body()))
    }

    async fn send_file(
        &self,
        path: &str,
        head: &impl Serialize,
        file: Option<Reading>,
    ) -> Result<Response<Incoming>, Problem> {
        let file = file.map(Reading::begin);
        self.send_bytes((path, UPLOAD), head, file).await
    }

    /// Sends a line of JSON, and bytes as they are read.
    async fn send_bytes<S>(
        &self,
        (path, media): (&str, &str),
        head: &impl Serialize,
        bytes: Option<(S, Ending)>,
    ) -> Result<Response<Incoming>, Problem>
    where
        S: Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static,
    {
        let mut line = encode(head)?.to_vec();
        line.push(b'\n');
        let first = futures::stream::iter([Ok(Frame::data(Bytes::from(line)))]);
        let (body, reading) = match bytes {
            None => (UnsyncBoxBody::new(StreamBody::new(first)), None),
            Some((chunks, reading)) => (UnsyncBoxBody::new(StreamBody::new(first.chain(chunks))), Some(reading)),
        };
        let sent = self.dispatch(Method::POST, path, media, body).await;
        if let (Err(_), Some(reading)) = (&sent, reading) {
            // The reason why a file could not be read is more useful than the aborted request.
            reading.check()?;
        }
        sent
    }

    /// Sends `body` to `path` and returns the response as it arrives.
    ///
    /// # Errors
    /// The problem that the daemon returned, or that it does not respond.
    pub async fn raw(&self, path: &str, body: &impl Serialize) -> Result<Chunks, Problem> {
        let response = self.send(Method::POST, path, encode(body)?).await?;
        Ok(Chunks::new(checked(response).await?.into_body()))
    }

    /// Fetches `path` and returns the response as it arrives.
    ///
    /// # Errors
    /// The problem that the daemon returned, or that it does not respond.
    pub async fn raw_get(&self, path: &str) -> Result<Chunks, Problem> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        Ok(Chunks::new(checked(response).await?.into_body()))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Problem> {
        self.dispatch(method, path, "application/json", Full::new(body)).await
    }

    async fn dispatch<B>(&self, method: Method, path: &str, media: &str, body: B) -> Result<Response<Incoming>, Problem>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = UnixStream::connect(self.dir.join(SOCKET))
            .await
            .map_err(|_| self.not_running())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        // The task ends with the connection; a connection error also fails the request.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "concordat")
            .header(CONTENT_TYPE, media);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.as_str()));
        }
        let request = request
            .body(body)
            .map_err(|error| Problem::usage(format!("`{path}` cannot be requested: {error}")))?;
        sender.send_request(request).await.map_err(|error| broken(&error))
    }

    fn not_running(&self) -> Problem {
        let dir = self.dir.display();
        Problem::new(ErrorKind::Unreachable, format!("no node is running in `{dir}`"))
            .help("start it with `concordat serve`")
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn encode(body: &impl Serialize) -> Result<Bytes, Problem> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| Problem::internal("cannot write the request", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn client_without_daemon_suggests_starting_it() {
        let dir = tempfile::tempdir().unwrap();
        let problem = Client::new(dir.path())
            .get::<serde_json::Value>("/v1/status")
            .await
            .unwrap_err();
        assert_eq!(problem.code, ErrorKind::Unreachable);
        assert_eq!(problem.help.as_deref(), Some("start it with `concordat serve`"));
    }
}
