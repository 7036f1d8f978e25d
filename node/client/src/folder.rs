//! A folder to upload, or an archive of one, read with the permissions of the person who uploads it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use concordat_documents::collection::{Closing, FolderFile, MAX_FILES};
use concordat_documents::problem::Problem;
use futures::Stream;
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::reading::{Ending, Reading, begin};

/// Which files of a folder are sent, by their names.
pub type IsTable = fn(&str) -> bool;

/// A folder to upload. Its files are opened one after the other, and it is listed again when all of them were read.
pub struct Folder {
    path: PathBuf,
    /// `None` for an archive, which is one file.
    is_table: Option<IsTable>,
    listed: Vec<Listed>,
    left_out: Vec<String>,
    /// Called with the number of bytes that were sent so far.
    progress: Arc<dyn Fn(u64) + Send + Sync>,
}

/// A file as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    name: String,
    len: u64,
    modified: Option<SystemTime>,
}

impl Folder {
    /// Lists a folder, or takes the archive at `path`.
    ///
    /// # Errors
    /// If there is neither, it cannot be read, or has no or too many files.
    pub fn open(
        path: &Path,
        is_table: IsTable,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<Self, Problem> {
        let progress: Arc<dyn Fn(u64) + Send + Sync> = Arc::new(progress);
        if !path.is_dir() {
            let file = Reading::open(path, |_| {})?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let listed = Listed {
                name: name.unwrap_or_default(),
                len: file.size(),
                modified: file.modified(),
            };
            return Ok(Self {
                path: path.to_owned(),
                is_table: None,
                listed: vec![listed],
                left_out: Vec::new(),
                progress,
            });
        }
        let (listed, left_out) = list(path, is_table)?;
        if !(1..=MAX_FILES).contains(&listed.len()) {
            let detail = format!("`{}` has {} files with tables", path.display(), listed.len());
            return Err(Problem::usage(detail).help(format!("name a folder with 1 to {MAX_FILES} of them")));
        }
        Ok(Self {
            path: path.to_owned(),
            is_table: Some(is_table),
            listed,
            left_out,
            progress,
        })
    }

    /// The files that are sent, in their order.
    pub fn files(&self) -> Vec<FolderFile> {
        let files = self.listed.iter().map(|file| FolderFile {
            name: file.name.clone(),
            len: file.len,
        });
        files.collect()
    }

    /// Whether it is an archive.
    pub fn is_archive(&self) -> bool {
        self.is_table.is_none()
    }

    /// Files of the folder that are not sent.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.listed.iter().map(|file| file.len).fold(0, u64::saturating_add)
    }

    /// Reads on a separate thread, a few chunks ahead of the consumer: the files, and the line that closes the body.
    pub(crate) fn begin(self) -> (impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static, Ending) {
        begin(move |chunks| self.read(chunks))
    }

    fn read(self, chunks: &mpsc::Sender<io::Result<Frame<Bytes>>>) -> Result<(), Problem> {
        let mut before = 0;
        for file in &self.listed {
            let progress = Arc::clone(&self.progress);
            let sent_before = before;
            let reading = Reading::open(&self.path_of(file), move |sent| progress(sent_before + sent))?;
            if reading.size() != file.len || reading.modified() != file.modified {
                return Err(self.changed());
            }
            reading.read(chunks)?;
            before += file.len;
        }
        if let Some(is_table) = self.is_table
            && list(&self.path, is_table)?.0 != self.listed
        {
            return Err(self.changed());
        }
        let mut line = serde_json::to_vec(&Closing { unchanged: true })
            .map_err(|error| Problem::internal("cannot write the request", &error))?;
        line.push(b'\n');
        // Without a receiver there is a response already.
        chunks.blocking_send(Ok(Frame::data(Bytes::from(line)))).ok();
        Ok(())
    }

    fn path_of(&self, file: &Listed) -> PathBuf {
        if self.is_archive() {
            self.path.clone()
        } else {
            self.path.join(&file.name)
        }
    }

    fn changed(&self) -> Problem {
        let detail = format!("`{}` changed while it was read", self.path.display());
        Problem::usage(detail).help("import a folder that no other process is writing to")
    }
}

/// The files of a folder in the order of their names, and the names of those that are not sent. Folders in it are not read.
fn list(path: &Path, is_table: IsTable) -> Result<(Vec<Listed>, Vec<String>), Problem> {
    let unreadable = |error: io::Error| Problem::internal(&format!("cannot read `{}`", path.display()), &error);
    let mut listed = Vec::new();
    let mut left_out = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What a link leads to is sent, as a file that is named is.
        let metadata = std::fs::metadata(entry.path()).map_err(unreadable)?;
        if metadata.is_file() && is_table(&name) {
            listed.push(Listed {
                name,
                len: metadata.len(),
                modified: metadata.modified().ok(),
            });
        } else {
            left_out.push(name);
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    left_out.sort();
    Ok((listed, left_out))
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    fn is_csv(name: &str) -> bool {
        name.ends_with(".csv")
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("person.csv", "person_id\n1\n"), ("LICENSE", "free"), ("visit.csv", "")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        std::fs::create_dir(dir.path().join("more.csv")).unwrap();
        dir
    }

    async fn sent(folder: Folder) -> (String, bool, Result<(), Problem>) {
        let (stream, ending) = folder.begin();
        let mut stream = std::pin::pin!(stream);
        let mut bytes = Vec::new();
        let mut whole = true;
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
                Err(_) => whole = false,
            }
        }
        (String::from_utf8(bytes).unwrap(), whole, ending.check())
    }

    #[tokio::test]
    async fn folder_is_sent_with_its_closing_line() {
        let dir = folder();
        let open = || Folder::open(dir.path(), is_csv, |_| {}).unwrap();
        let names: Vec<String> = open().files().into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["person.csv", "visit.csv"]);
        assert_eq!(open().left_out(), ["LICENSE", "more.csv"]);
        assert_eq!((open().size(), open().is_archive()), (12, false));
        let (text, whole, ended) = sent(open()).await;
        assert_eq!(text, "person_id\n1\n{\"unchanged\":true}\n");
        assert!(whole && ended.is_ok());

        let archive = Folder::open(&dir.path().join("LICENSE"), is_csv, |_| {}).unwrap();
        assert!(archive.is_archive());
        assert_eq!(sent(archive).await.0, "free{\"unchanged\":true}\n");
    }

    #[tokio::test]
    async fn folder_that_changes_is_not_closed() {
        type Change = fn(&Path);
        let changes: [Change; 3] = [
            |dir| std::fs::write(dir.join("note.csv"), "new").unwrap(),
            |dir| std::fs::write(dir.join("person.csv"), "person_id\n1\n2\n").unwrap(),
            |dir| std::fs::rename(dir.join("visit.csv"), dir.join("visits.csv")).unwrap(),
        ];
        for change in changes {
            let dir = folder();
            let open = Folder::open(dir.path(), is_csv, |_| {}).unwrap();
            change(dir.path());
            let (text, whole, ended) = sent(open).await;
            assert!(!whole && !text.contains("unchanged"), "{text}");
            ended.unwrap_err();
        }
    }

    #[test]
    fn folder_without_tables_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Folder::open(dir.path(), is_csv, |_| {}).unwrap_err();
        assert!(refused.detail.contains("0 files"), "{refused:?}");
        assert!(Folder::open(&dir.path().join("none"), is_csv, |_| {}).is_err());
    }
}
