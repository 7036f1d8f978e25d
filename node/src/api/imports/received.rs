//! The body of an import or an inspection: a line of JSON with the options, and the bytes of the file.
//!
//! 1. The bytes are encrypted with a key that exists only in memory, in an unnamed file ([`Upload`]), until the import has read
//!    them twice. A client that disconnects, or a process that dies, leaves no data behind.
//! 2. A body is read to its end even if it is refused: a client that is still writing does not read the response.
//! 3. A body that hardly arrives is refused, and so is one whose sender may act no longer ([`Arriving`]).
//! 4. Writing to the file needs a thread, so how many bodies are received at the same time is limited ([`TransferPermit`]).

mod arriving;

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use bytes::{Bytes, BytesMut};
use concordat_documents::import::UPLOAD;
use concordat_documents::problem::{FREE_DISK_SPACE, Problem};
use concordat_storage::ingest::{Upload, UploadWriter};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;

pub(in crate::api) use self::arriving::Arriving;
use crate::iam::Actor;
use crate::node::Node;
use crate::services::transfers::TransferPermit;

/// The longest line of JSON before the bytes: the names of all columns that a table can have fit into 1 MiB.
const MAX_HEAD: usize = 1024 * 1024;

/// Chunks that wait for the disk; each is what one read of the socket returned.
pub(in crate::api) const CHUNKS: usize = 16;

/// What was received.
pub(super) struct Received<T> {
    /// The line of JSON.
    pub(super) head: T,
    pub(super) upload: Upload,
    /// Held for as long as work for the request may run.
    pub(super) permit: TransferPermit,
}

/// Receives a complete body from `caller`.
///
/// # Errors
/// If it has another media type, is cut off or hardly arrives, its first line is invalid, it cannot be written to disk, or `caller` may act
/// no longer.
pub(super) async fn receive<T: DeserializeOwned>(
    node: &Node,
    caller: &Actor,
    request: Request,
    permit: TransferPermit,
) -> Result<Received<T>, Problem> {
    check_media(&request, UPLOAD)?;
    let mut body = Arriving::new(node, caller, request.into_body().into_data_stream());
    let received = receive_all(node, &mut body, permit).await;
    if received.is_err() {
        while let Ok(Some(_)) = body.next().await {}
    }
    received
}

/// The media type states what the body consists of.
pub(in crate::api) fn check_media(request: &Request, expected: &str) -> Result<(), Problem> {
    let media = request.headers().get(CONTENT_TYPE);
    if media.and_then(|value| value.to_str().ok()) == Some(expected) {
        return Ok(());
    }
    Err(Problem::usage(format!(
        "an import is sent as `{expected}`: a line of JSON, then the bytes"
    )))
}

async fn receive_all<T: DeserializeOwned>(
    node: &Node,
    stream: &mut Arriving<'_>,
    permit: TransferPermit,
) -> Result<Received<T>, Problem> {
    let (line, first) = first_line(stream).await?;
    let head = serde_json::from_slice(&line)
        .map_err(|error| Problem::usage(format!("the first line of an import is invalid: {error}")))?;
    let writer = node.storage().begin_upload()?;
    let (chunks, waiting) = mpsc::channel(CHUNKS);
    let writing = tokio::task::spawn_blocking(move || write(writer, waiting).map(|upload| (upload, permit)));
    let sent = send(stream, first, &chunks).await;
    drop(chunks);
    let (upload, permit) = ended(writing).await?;
    sent?;
    Ok(Received { head, upload, permit })
}

/// The first line, and the part of the file that was received with it.
pub(in crate::api) async fn first_line(stream: &mut Arriving<'_>) -> Result<(Bytes, Bytes), Problem> {
    let mut buffer = BytesMut::new();
    loop {
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let rest = buffer.split_off(end + 1);
            return Ok((buffer.freeze(), rest.freeze()));
        }
        if buffer.len() > MAX_HEAD {
            return Err(Problem::usage("the first line of an import is longer than 1 MiB"));
        }
        match stream.next().await? {
            None => {
                return Err(Problem::usage(
                    "an import begins with a line of JSON; the body is empty",
                ));
            }
            Some(chunk) => buffer.extend_from_slice(&chunk),
        }
    }
}

/// Passes the bytes to the writer thread. If that has ended, its own error is reported instead.
pub(in crate::api) async fn send(
    stream: &mut Arriving<'_>,
    first: Bytes,
    chunks: &mpsc::Sender<Bytes>,
) -> Result<(), Problem> {
    let mut chunk = first;
    loop {
        match chunks.try_send(chunk) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Ok(()),
            Err(TrySendError::Full(waiting)) => {
                if chunks.send(waiting).await.is_err() {
                    return Ok(());
                }
                stream.restart();
            }
        }
        chunk = match stream.next().await? {
            None => return Ok(()),
            Some(next) => next,
        };
    }
}

fn write(mut writer: UploadWriter, mut waiting: mpsc::Receiver<Bytes>) -> std::io::Result<Upload> {
    while let Some(chunk) = waiting.blocking_recv() {
        writer.write(&chunk)?;
    }
    writer.finish()
}

pub(in crate::api) async fn ended<T>(writing: JoinHandle<std::io::Result<T>>) -> Result<T, Problem> {
    let written = writing
        .await
        .map_err(|error| Problem::internal("the uploaded bytes could not be stored", &error))?;
    written.map_err(|error| {
        let problem = Problem::internal("the uploaded bytes cannot be written", &error);
        if matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        ) {
            problem.help(FREE_DISK_SPACE)
        } else {
            problem
        }
    })
}
