//! The body of an import or an inspection: a line of JSON with the options, and the bytes of the file.
//!
//! 1. The bytes are encrypted with a key that exists only in memory, in an unnamed file ([`Upload`]), until the import has read
//!    them twice. A client that disconnects, or a process that dies, leaves no data behind.
//! 2. A body is read to its end even if it is refused: a client that is still writing does not read the response.
//! 3. A body that hardly arrives is refused, and so is one whose sender may act no longer ([`Arriving`]).
//! 4. Writing to the file needs a thread, so how many bodies are received at the same time is limited ([`TransferPermit`]).

mod arriving;

use std::io;

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
const CHUNKS: usize = 16;

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
    let mut body = begin_body((node, caller), request, UPLOAD)?;
    let received = receive_all(node, &mut body, permit).await;
    drained(received, &mut body).await
}

async fn receive_all<T: DeserializeOwned>(
    node: &Node,
    body: &mut Arriving<'_>,
    permit: TransferPermit,
) -> Result<Received<T>, Problem> {
    let (head, first) = head(body).await?;
    let writer = node.storage().begin_upload()?;
    let (upload, permit) = stored(body, first, permit, |chunks| write(writer, chunks)).await?;
    Ok(Received { head, upload, permit })
}

fn write(mut writer: UploadWriter, mut waiting: mpsc::Receiver<Bytes>) -> io::Result<Upload> {
    while let Some(chunk) = waiting.blocking_recv() {
        writer.write(&chunk)?;
    }
    writer.finish()
}

/// The body of a request, whose media type states what it consists of.
///
/// # Errors
/// If that is not `media`.
pub(in crate::api) fn begin_body<'a>(
    (node, caller): (&'a Node, &'a Actor),
    request: Request,
    media: &str,
) -> Result<Arriving<'a>, Problem> {
    let stated = request.headers().get(CONTENT_TYPE);
    if stated.and_then(|value| value.to_str().ok()) == Some(media) {
        return Ok(Arriving::new(node, caller, request.into_body().into_data_stream()));
    }
    Err(Problem::usage(format!(
        "an import is sent as `{media}`: a line of JSON, then the bytes"
    )))
}

/// What was received of a body. One that is refused has been read to its end.
///
/// # Errors
/// Those of `received`.
pub(in crate::api) async fn drained<T>(received: Result<T, Problem>, body: &mut Arriving<'_>) -> Result<T, Problem> {
    if received.is_err() {
        while let Ok(Some(_)) = body.next().await {}
    }
    received
}

/// The line of JSON that a body begins with, and the bytes that were received with it.
///
/// # Errors
/// If it is not what is expected, or too long.
pub(in crate::api) async fn head<T: DeserializeOwned>(body: &mut Arriving<'_>) -> Result<(T, Bytes), Problem> {
    let (line, first) = first_line(body).await?;
    let head = serde_json::from_slice(&line)
        .map_err(|error| Problem::usage(format!("the first line of an import is invalid: {error}")))?;
    Ok((head, first))
}

/// The first line, and the part of the file that was received with it.
async fn first_line(stream: &mut Arriving<'_>) -> Result<(Bytes, Bytes), Problem> {
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

/// What `write` makes of the rest of a body, on a thread that may block. `permit` is held until it has ended.
///
/// # Errors
/// If the body is cut off, hardly arrives or cannot be written, or the caller may act no longer.
pub(in crate::api) async fn stored<T: Send + 'static>(
    body: &mut Arriving<'_>,
    first: Bytes,
    permit: TransferPermit,
    write: impl FnOnce(mpsc::Receiver<Bytes>) -> io::Result<T> + Send + 'static,
) -> Result<(T, TransferPermit), Problem> {
    let (chunks, waiting) = mpsc::channel(CHUNKS);
    let writing = tokio::task::spawn_blocking(move || write(waiting).map(|written| (written, permit)));
    let sent = send(body, first, &chunks).await;
    drop(chunks);
    let stored = ended(writing).await?;
    sent?;
    Ok(stored)
}

/// Passes the bytes to the writer thread. If that has ended, its own error is reported instead.
async fn send(stream: &mut Arriving<'_>, first: Bytes, chunks: &mpsc::Sender<Bytes>) -> Result<(), Problem> {
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

async fn ended<T>(writing: JoinHandle<io::Result<T>>) -> Result<T, Problem> {
    let written = writing
        .await
        .map_err(|error| Problem::internal("the uploaded bytes could not be stored", &error))?;
    written.map_err(|error| {
        let problem = Problem::internal("the uploaded bytes cannot be written", &error);
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            problem.help(FREE_DISK_SPACE)
        } else {
            problem
        }
    })
}
