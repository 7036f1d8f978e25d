//! The body of an import: a line of JSON that says how to read the file, and the bytes of the file.
//!
//! 1. The bytes lie sealed under a key that only memory holds, in a file without a name ([`Upload`]), until the import has read
//!    them twice. A client that goes away, or a process that dies, leaves nothing.
//! 2. A body is read to its end even if it is refused: a client that is still writing reads no answer.

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use concordat_storage::ingest::{Upload, UploadWriter};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    fault::{Code, MAKE_ROOM, Problem},
    node::Node,
};

/// The longest line of JSON before the bytes: 1 MiB holds the names of all columns that a table can have.
const MAX_HEAD: usize = 1024 * 1024;

/// Pieces on their way to the disk; each is what the socket gave at once.
const PIECES: usize = 16;

/// What came.
pub(super) struct Received<T> {
    pub(super) head: T,
    pub(super) upload: Upload,
}

/// Takes a whole body.
///
/// # Errors
/// If it breaks off, its first line is not what it should be, or the disk does not take it.
pub(super) async fn receive<T: DeserializeOwned>(node: &Node, body: Body) -> Result<Received<T>, Problem> {
    let mut stream = body.into_data_stream();
    let received = take_all(node, &mut stream).await;
    if received.is_err() {
        while let Some(Ok(_)) = stream.next().await {}
    }
    received
}

async fn take_all<T: DeserializeOwned>(node: &Node, stream: &mut BodyDataStream) -> Result<Received<T>, Problem> {
    let (head, first) = head(stream).await?;
    let head = serde_json::from_slice(&head)
        .map_err(|error| Problem::usage(format!("the first line of an import is not what it should be: {error}")))?;
    let writer = node.storage().begin_upload()?;
    let (pieces, waiting) = mpsc::channel(PIECES);
    let writing = tokio::task::spawn_blocking(move || write(writer, waiting));
    let sent = send(stream, first, &pieces).await;
    drop(pieces);
    let upload = ended(writing).await?;
    sent?;
    Ok(Received { head, upload })
}

/// The first line, and what came with it of the file.
async fn head(stream: &mut BodyDataStream) -> Result<(Bytes, Bytes), Problem> {
    let mut buffer = BytesMut::new();
    loop {
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let rest = buffer.split_off(end + 1);
            return Ok((buffer.freeze(), rest.freeze()));
        }
        if buffer.len() > MAX_HEAD {
            return Err(Problem::usage("the first line of an import is longer than 1 MiB"));
        }
        match stream.next().await {
            None => return Err(Problem::usage("an import begins with a line of JSON; none came")),
            Some(piece) => buffer.extend_from_slice(&piece.map_err(|error| broken_off(&error))?),
        }
    }
}

/// Hands the bytes to the thread that writes. If that has ended, its own error is the one that counts.
async fn send(stream: &mut BodyDataStream, first: Bytes, pieces: &mpsc::Sender<Bytes>) -> Result<(), Problem> {
    let mut piece = first;
    loop {
        if pieces.send(piece).await.is_err() {
            return Ok(());
        }
        piece = match stream.next().await {
            None => return Ok(()),
            Some(next) => next.map_err(|error| broken_off(&error))?,
        };
    }
}

fn write(mut writer: UploadWriter, mut waiting: mpsc::Receiver<Bytes>) -> std::io::Result<Upload> {
    while let Some(piece) = waiting.blocking_recv() {
        writer.take(&piece)?;
    }
    writer.finish()
}

async fn ended(writing: JoinHandle<std::io::Result<Upload>>) -> Result<Upload, Problem> {
    let written = writing
        .await
        .map_err(|error| Problem::fault("the bytes could not be kept", &error))?;
    written.map_err(|error| {
        let problem = Problem::fault("the bytes that were sent cannot be written", &error);
        if matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        ) {
            problem.help(MAKE_ROOM)
        } else {
            problem
        }
    })
}

/// Part of a file is not imported.
fn broken_off(error: &axum::Error) -> Problem {
    Problem::new(Code::Usage, format!("the file did not arrive whole: {error}"))
}
