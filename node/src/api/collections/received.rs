//! The body of an import of a folder: a line of JSON, the bytes of each file, and a line that states that the folder is unchanged.
//!
//! The rules are those of [one file](super::super::imports::received): each file is stored sealed and without a name, the body is read to its end,
//! and it has to arrive in time. If it ends anywhere else than after the closing line, nothing of it is left.

use std::io;

use axum::extract::Request;
use bytes::Bytes;
use concordat_documents::collection::{Closing, FOLDER, FolderImport, MAX_FILES};
use concordat_documents::problem::Problem;
use concordat_storage::data_dir::StorageError;
use concordat_storage::ingest::{Upload, UploadWriter};
use tokio::sync::mpsc;

use super::super::imports::received::{Arriving, begin_body, drained, head, stored};
use crate::iam::Actor;
use crate::node::Node;
use crate::services::transfers::TransferPermit;

/// Most bytes after the files: the closing line has fewer.
const MAX_CLOSING: usize = 64;

/// What was received.
pub(super) struct ReceivedFolder {
    /// The line of JSON.
    pub(super) head: FolderImport,
    /// The files, in their order.
    pub(super) uploads: Vec<Upload>,
    /// Held for as long as work for the request may run.
    pub(super) permit: TransferPermit,
}

/// Receives a complete body from `caller`.
///
/// # Errors
/// As for one file, and if the files are not as long as the first line states, or the last line does not state that the folder is unchanged.
pub(super) async fn receive_folder(
    node: &Node,
    caller: &Actor,
    request: Request,
    permit: TransferPermit,
) -> Result<ReceivedFolder, Problem> {
    let mut body = begin_body((node, caller), request, FOLDER)?;
    let received = receive_all(node, &mut body, permit).await;
    drained(received, &mut body).await
}

async fn receive_all(node: &Node, body: &mut Arriving<'_>, permit: TransferPermit) -> Result<ReceivedFolder, Problem> {
    let (head, first) = head::<FolderImport>(body).await?;
    if head.files.len() > MAX_FILES {
        return Err(Problem::usage(format!("an import has at most {MAX_FILES} files")));
    }
    let lens: Vec<u64> = head.files.iter().map(|file| file.len).collect();
    let storing = node.clone();
    let writing = move |chunks| {
        let begin = || storing.storage().begin_upload().map_err(unwritable);
        write(lens, begin, chunks)
    };
    let (written, permit) = stored(body, first, permit, writing).await?;
    // A folder of an inbox is listed by the node.
    let uploads = if head.inbox.is_some() && head.files.is_empty() && written.closing.is_empty() {
        written.uploads
    } else {
        written.closed()?
    };
    Ok(ReceivedFolder { head, uploads, permit })
}

fn unwritable(error: StorageError) -> io::Error {
    io::Error::other(error)
}

/// What was written of a body.
struct Written {
    uploads: Vec<Upload>,
    /// Whether all files had the lengths that were stated.
    whole: bool,
    /// What follows the files, or its beginning.
    closing: Vec<u8>,
}

impl Written {
    /// The files of a folder that did not change.
    fn closed(self) -> Result<Vec<Upload>, Problem> {
        let line = self.closing.strip_suffix(b"\n").unwrap_or(&self.closing);
        // A line that begins with a blank follows a file that is longer than was stated.
        let is_closed = self.whole && line.starts_with(b"{");
        let closing = serde_json::from_slice(line).ok().filter(|_| is_closed);
        match closing {
            Some(Closing { unchanged: true }) => Ok(self.uploads),
            Some(Closing { unchanged: false }) => Err(Problem::usage("the folder changed while it was read")
                .help("import a folder that no other process is writing to")),
            None => Err(Problem::usage("the files were not received completely")
                .help("nothing of them is stored; import them again")),
        }
    }
}

/// Divides the bytes after the first line into files, each of the length that was stated.
struct Files<B> {
    lens: std::vec::IntoIter<u64>,
    begin: B,
    /// The current file, and how many of its bytes are still to come.
    open: Option<(UploadWriter, u64)>,
    uploads: Vec<Upload>,
    closing: Vec<u8>,
}

impl<B: Fn() -> io::Result<UploadWriter>> Files<B> {
    fn new(lens: Vec<u64>, begin: B) -> io::Result<Self> {
        let mut files = Self {
            lens: lens.into_iter(),
            begin,
            open: None,
            uploads: Vec::new(),
            closing: Vec::new(),
        };
        files.next_file()?;
        Ok(files)
    }

    /// Begins the next file. Those without bytes end at once.
    fn next_file(&mut self) -> io::Result<()> {
        for len in self.lens.by_ref() {
            let writer = (self.begin)()?;
            if len > 0 {
                self.open = Some((writer, len));
                break;
            }
            self.uploads.push(writer.finish()?);
        }
        Ok(())
    }

    fn add(&mut self, mut chunk: Bytes) -> io::Result<()> {
        while !chunk.is_empty() {
            let Some((mut writer, left)) = self.open.take() else {
                let most = (MAX_CLOSING + 1).saturating_sub(self.closing.len());
                self.closing.extend(chunk.iter().take(most));
                return Ok(());
            };
            let now = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            writer.write(&chunk.split_to(now))?;
            let left = left - now as u64;
            if left > 0 {
                self.open = Some((writer, left));
            } else {
                self.uploads.push(writer.finish()?);
                self.next_file()?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Written {
        Written {
            whole: self.open.is_none(),
            uploads: self.uploads,
            closing: self.closing,
        }
    }
}

fn write(
    lens: Vec<u64>,
    begin: impl Fn() -> io::Result<UploadWriter>,
    mut waiting: mpsc::Receiver<Bytes>,
) -> io::Result<Written> {
    let mut files = Files::new(lens, begin)?;
    while let Some(chunk) = waiting.blocking_recv() {
        files.add(chunk)?;
    }
    Ok(files.finish())
}

#[cfg(test)]
mod tests;
