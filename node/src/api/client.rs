//! The client of the daemon's socket.

mod reading;

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response,
    body::{Frame, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use concordat_documents::SOCKET;

use concordat_documents::import::{ImportEvent, ImportLine, UPLOAD};
use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;

pub use reading::Reading;

/// The longest line of a streamed response: 1 MiB, far above what the daemon writes.
const MAX_LINE: usize = 1024 * 1024;

/// Most bytes of a response that is read in one go: 10,000 ledger entries fit.
const MAX_RESPONSE: usize = 64 << 20;

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
        Ok(Lines {
            body: self.send_file(path, head, file).await?.into_body(),
            buffer: BytesMut::new(),
        })
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
        decode(&collect(self.send_file(path, head, file).await?).await?)
    }

    async fn send_file(
        &self,
        path: &str,
        head: &impl Serialize,
        file: Option<Reading>,
    ) -> Result<Response<Incoming>, Problem> {
        let mut line = encode(head)?.to_vec();
        line.push(b'\n');
        let first = futures::stream::iter([Ok(Frame::data(Bytes::from(line)))]);
        let (body, reading) = match file {
            None => (UnsyncBoxBody::new(StreamBody::new(first)), None),
            Some(file) => {
                let (chunks, reading) = file.begin();
                (UnsyncBoxBody::new(StreamBody::new(first.chain(chunks))), Some(reading))
            }
        };
        let sent = self.dispatch(Method::POST, path, UPLOAD, body).await;
        if let (Err(_), Some(reading)) = (&sent, reading) {
            // The reason why the file could not be read is more useful than the aborted request.
            reading.check()?;
        }
        checked(sent?).await
    }

    /// Sends `body` to `path` and returns the response body as a stream.
    ///
    /// # Errors
    /// The problem that the daemon returned, or that it does not respond.
    pub async fn raw(&self, path: &str, body: &impl Serialize) -> Result<Incoming, Problem> {
        let response = self.send(Method::POST, path, encode(body)?).await?;
        Ok(checked(response).await?.into_body())
    }

    /// Fetches `path` and returns the response body as a stream.
    ///
    /// # Errors
    /// The problem that the daemon returned, or that it does not respond.
    pub async fn raw_get(&self, path: &str) -> Result<Incoming, Problem> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        Ok(checked(response).await?.into_body())
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

/// The report of an import, line by line.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// The problem with which the import failed, or a broken stream.
    pub async fn next(&mut self) -> Result<Option<ImportEvent>, Problem> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end.saturating_add(1));
                return event(&line).map(Some);
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Problem::new(
                    ErrorKind::Internal,
                    "the node sent a line that is too long",
                ));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(broken(&error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

fn event(line: &[u8]) -> Result<ImportEvent, Problem> {
    match decode(line)? {
        ImportLine::Event(event) => Ok(event),
        ImportLine::Failed { problem } => Err(problem),
    }
}

/// One path segment, with special characters escaped (RFC 3986, section 2.1).
pub(crate) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn encode(body: &impl Serialize) -> Result<Bytes, Problem> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| Problem::internal("cannot write the request", &error))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|_| unreadable())
}

async fn checked(response: Response<Incoming>) -> Result<Response<Incoming>, Problem> {
    if response.status().is_success() {
        return Ok(response);
    }
    let bytes = collect(response).await?;
    Err(decode::<Problem>(&bytes).unwrap_or_else(|problem| problem))
}

async fn read_json<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Problem> {
    decode(&collect(checked(response).await?).await?)
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, Problem> {
    let collected = Limited::new(response.into_body(), MAX_RESPONSE).collect().await;
    let collected = collected.map_err(|error| match error.downcast_ref::<hyper::Error>() {
        Some(error) => broken(error),
        None => Problem::new(ErrorKind::Internal, "the node sent a response that is too long"),
    })?;
    Ok(collected.to_bytes())
}

fn broken(error: &hyper::Error) -> Problem {
    Problem::new(
        ErrorKind::Unreachable,
        format!("the node stopped in the middle of its response: {error}"),
    )
    .help("check its log, and check with `concordat status` whether it is running")
}

fn unreadable() -> Problem {
    Problem::new(
        ErrorKind::Internal,
        "the node's response has a format that this program does not know",
    )
    .help("use the same version of the node and of this program")
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

    #[test]
    fn path_segment_special_characters_are_escaped() {
        assert_eq!(segment("a b/c?d"), "a%20b%2Fc%3Fd");
        assert_eq!(segment("heart_1"), "heart_1");
    }

    #[test]
    fn a_problem_in_a_stream_is_an_error() {
        let problem = Problem::new(ErrorKind::Denied, "no");
        let line = serde_json::json!({ "problem": problem }).to_string();
        assert_eq!(event(line.as_bytes()).unwrap_err(), problem);
        assert_eq!(event(b"{}").unwrap_err(), unreadable());
    }
}
