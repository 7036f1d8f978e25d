//! A file to upload, read with the permissions of the person who uploads it.

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use futures::Stream;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// Bytes that are read at a time.
const CHUNK: usize = 256 * 1024;
/// Chunks that wait for the daemon.
const CHUNKS: usize = 4;

/// A file to upload.
pub struct Reading {
    file: File,
    path: PathBuf,
    len: u64,
    modified: Option<SystemTime>,
    /// Called with the number of bytes that were sent so far.
    progress: Box<dyn FnMut(u64) + Send>,
}

/// The outcome of reading a file, once it is known.
pub(crate) struct Ending(Arc<Mutex<Option<Problem>>>);

impl Ending {
    /// # Errors
    /// Why the file could not be read completely.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let mut problem = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        problem.take().map_or(Ok(()), Err)
    }
}

impl Reading {
    /// Opens a regular file.
    ///
    /// # Errors
    /// If it is missing, is not a regular file, or cannot be read.
    pub fn open(path: &Path, progress: impl FnMut(u64) + Send + 'static) -> Result<Self, Problem> {
        let shown = path.display();
        let unreadable = |error: io::Error| {
            if error.kind() == io::ErrorKind::NotFound {
                Problem::new(ErrorKind::NotFound, format!("there is no file `{shown}`"))
            } else {
                Problem::internal(&format!("cannot read `{shown}`"), &error)
            }
        };
        // Checked before it is opened, since opening a pipe waits for a writer.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(Problem::usage(format!(
                "`{shown}` is not a regular file; pipes, devices and folders cannot be imported"
            )));
        }
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        Ok(Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            file,
            path: path.to_owned(),
            progress: Box::new(progress),
        })
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// When it was modified before it was opened, if the system knows that.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Reads on a separate thread, a few chunks ahead of the consumer.
    pub(crate) fn begin(self) -> (impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static, Ending) {
        begin(move |chunks| self.read(chunks))
    }

    /// Sends all of it, unless there is no receiver any more.
    pub(crate) fn read(mut self, chunks: &mpsc::Sender<io::Result<Frame<Bytes>>>) -> Result<(), Problem> {
        let unreadable =
            |error: io::Error| Problem::internal(&format!("cannot read `{}`", self.path.display()), &error);
        let mut sent = 0;
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = self.file.read(&mut chunk).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            chunk.truncate(read);
            sent += read as u64;
            if chunks.blocking_send(Ok(Frame::data(Bytes::from(chunk)))).is_err() {
                return Ok(());
            }
            (self.progress)(sent);
        }
        let metadata = self.file.metadata().map_err(unreadable)?;
        if sent == self.len && metadata.len() == self.len && metadata.modified().ok() == self.modified {
            return Ok(());
        }
        let detail = format!("`{}` changed while it was read", self.path.display());
        Err(Problem::usage(detail).help("import a file that no other process is writing to"))
    }
}

/// Reads on a separate thread, a few chunks ahead of the consumer.
pub(crate) fn begin(
    read: impl FnOnce(&mpsc::Sender<io::Result<Frame<Bytes>>>) -> Result<(), Problem> + Send + 'static,
) -> (impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static, Ending) {
    let (chunks, waiting) = mpsc::channel(CHUNKS);
    let problem = Arc::new(Mutex::new(None));
    let ending = Ending(Arc::clone(&problem));
    tokio::task::spawn_blocking(move || {
        if let Err(found) = read(&chunks) {
            *problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            // A body that ends in an error is never mistaken for a complete file.
            chunks.blocking_send(Err(io::ErrorKind::UnexpectedEof.into())).ok();
        }
    });
    let stream = futures::stream::unfold(waiting, async |mut waiting| Some((waiting.recv().await?, waiting)));
    (stream, ending)
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    async fn sent(reading: Reading) -> (Vec<u8>, bool, Result<(), Problem>) {
        let (stream, ending) = reading.begin();
        let mut stream = std::pin::pin!(stream);
        let mut bytes = Vec::new();
        let mut whole = true;
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
                Err(_) => whole = false,
            }
        }
        (bytes, whole, ending.check())
    }

    #[tokio::test]
    async fn file_is_sent_whole_or_the_body_ends_in_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let text = vec![b'x'; 3 * CHUNK + 5];
        std::fs::write(&path, &text).unwrap();
        let (bytes, whole, ended) = sent(Reading::open(&path, |_| {}).unwrap()).await;
        assert!(bytes == text && whole && ended.is_ok());

        for len in [10, 4 * CHUNK as u64] {
            std::fs::write(&path, &text).unwrap();
            let reading = Reading::open(&path, |_| {}).unwrap();
            File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
            let (_, whole, ended) = sent(reading).await;
            let problem = ended.unwrap_err();
            assert!(
                !whole && problem.detail.contains("changed while it was read"),
                "{problem:?}"
            );
        }
    }

    #[test]
    fn only_regular_files_are_sent() {
        let dir = tempfile::tempdir().unwrap();
        for (path, code) in [
            (dir.path().to_owned(), ErrorKind::Usage),
            (dir.path().join("none"), ErrorKind::NotFound),
        ] {
            assert_eq!(Reading::open(&path, |_| {}).unwrap_err().code, code);
        }
        assert_eq!(
            Reading::open(Path::new("/dev/null"), |_| {}).unwrap_err().code,
            ErrorKind::Usage
        );
    }
}
