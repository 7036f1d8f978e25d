//! A snapshot that is being taken.
//!
//! The repository is untrusted while it is written too: it may be another machine's disk. So the list of files that is signed is the list of
//! what this module has written, with hashes of the bytes as they were written. Nothing is read back for it, and a file that appears in the
//! folder does not become part of the snapshot.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
};

use concordat_keys::fs::{open_regular, read_regular, unnamed_private};
use concordat_protocol::{identity::InstitutionPublicKey, ids::Nonce, text::Text};

use super::{BackupError, FileEntry, Repository, files::HashedFile, repository::SIGNER};
use crate::{
    answers::LogExtent,
    beneath::{rename_beneath, sync_folder_beneath},
    catalog::{CatalogError, PinnedObjects},
    data_dir::{ANSWERS, Storage},
    ledger::{Frozen, Ledger},
};

/// Most bytes of a small file of the data directory: a key, the configuration, the roster, a policy.
const MAX_SETTING: u64 = 16 * 1024 * 1024;

/// A snapshot that is not visible yet.
pub(super) struct Draft {
    id: Nonce,
    /// The repository.
    root: PathBuf,
    /// The folder below it.
    folder: PathBuf,
    written: Vec<FileEntry>,
}

/// What the data directory contains at one instant. The disk of the repository may stop answering at any time, so nothing is written to it
/// while others wait.
struct Captured {
    /// The state, in a file without a name.
    state: File,
    /// The small files, with their paths in the data directory.
    settings: Vec<(PathBuf, Vec<u8>)>,
    answers: Vec<LogExtent>,
    ledger: Frozen,
}

impl Captured {
    fn of(storage: &Storage, ledger: &Ledger) -> Result<Self, BackupError> {
        let dir = storage.dir();
        let mut state = unnamed_private(&dir.join("run")).map_err(BackupError::io("create a file in", dir))?;
        storage.meta().export(&mut state)?;
        // Read after the state: they cover at least what it covers, and a restore ignores the rest.
        let answers = storage.catalog().answers().extents()?;
        Ok(Self {
            state,
            answers,
            settings: settings(dir)?,
            ledger: ledger.frozen()?,
        })
    }
}

impl Draft {
    /// An empty one.
    pub(super) fn begin(repository: &Repository, id: Nonce) -> Self {
        Self {
            id,
            root: repository.root().to_owned(),
            folder: Path::new("snapshots").join(format!("{id}.new")),
            written: Vec::new(),
        }
    }

    pub(super) const fn id(&self) -> Nonce {
        self.id
    }

    /// Captures state, ledger and keys at one instant, and the objects that belong to them. Also returns the number of entries in the ledger.
    pub(super) fn capture(&mut self, storage: &Storage, ledger: &Ledger) -> Result<(PinnedObjects, u64), BackupError> {
        let (holding, captured) = storage.catalog().pin_objects(|| Captured::of(storage, ledger))?;
        let Captured {
            mut state,
            settings,
            answers,
            ledger: frozen,
        } = captured?;
        state.rewind().map_err(BackupError::io("read", storage.dir()))?;
        self.write(Path::new("state"), &state)?;
        for (path, bytes) in settings {
            self.write(&Path::new("dir").join(path), bytes.as_slice())?;
        }
        // Logs only grow, so their first bytes can be copied afterwards.
        let entries = storage.dir().join("ledger/entries.log");
        let log = open_regular(&entries).map_err(BackupError::io("open", &entries))?;
        self.write(Path::new("dir/ledger/entries.log"), log.take(frozen.length))?;
        self.write(Path::new("dir/ledger/head"), frozen.head.as_slice())?;
        if let Some(checkpoint) = &frozen.checkpoint {
            self.write(Path::new("dir/ledger/checkpoint.cose"), checkpoint.as_slice())?;
        }
        self.copy_answers(&storage.dir().join(ANSWERS), &answers)?;
        Ok((holding, frozen.size))
    }

    /// Copies the logs of answers, and checks the copies.
    fn copy_answers(&mut self, from: &Path, logs: &[LogExtent]) -> Result<(), BackupError> {
        for log in logs {
            let path = from.join(log.path());
            let below = Path::new("dir").join(ANSWERS).join(log.path());
            match open_regular(&path) {
                Ok(file) => self.write(&below, file.take(log.bytes()))?,
                // It was erased in the meantime, or removed by someone else: then the next query finds that.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BackupError::ObjectMissing),
                Err(error) => return Err(BackupError::io("open", &path)(error)),
            }
            log.check_copy(&self.path(&below)).map_err(CatalogError::from)?;
        }
        Ok(())
    }

    /// Writes the list of the objects that the snapshot needs.
    pub(super) fn write_objects(&mut self, objects: &[FileEntry]) -> Result<(), BackupError> {
        let mut bytes = Vec::new();
        ciborium::into_writer(objects, &mut bytes)
            .map_err(io::Error::other)
            .map_err(BackupError::io("write", &self.path(Path::new("objects"))))?;
        self.write(Path::new("objects"), bytes.as_slice())
    }

    /// Writes the key that will sign the snapshot.
    pub(super) fn write_signer(&mut self, key: &InstitutionPublicKey) -> Result<(), BackupError> {
        self.write(Path::new(SIGNER), format!("{key}\n").as_bytes())
    }

    /// The files that were written, by path.
    pub(super) fn files(&self) -> Vec<FileEntry> {
        let mut files = self.written.clone();
        files.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
        files
    }

    /// Makes the draft a snapshot with the signed contents.
    pub(super) fn finish(&mut self, contents: &[u8]) -> Result<(), BackupError> {
        self.write(Path::new("contents.cose"), contents)?;
        self.sync_folders()?;
        let snapshots = Path::new("snapshots");
        let target = snapshots.join(self.id.to_string());
        let renamed = rename_beneath(&self.root, &self.folder, &target);
        renamed
            .and_then(|()| sync_folder_beneath(&self.root, snapshots))
            .map_err(BackupError::io("rename", &self.root.join(&self.folder)))
    }

    /// Removes it. What may be left is not a snapshot.
    pub(super) fn discard(self) {
        drop(fs::remove_dir_all(self.root.join(&self.folder)));
    }

    /// Writes a file of the snapshot.
    fn write(&mut self, below: &Path, from: impl io::Read) -> Result<(), BackupError> {
        let written = HashedFile::create_beneath(&self.root, &self.folder.join(below)).and_then(|file| file.fill(from));
        let (len, hash) = written.map_err(BackupError::io("write", &self.path(below)))?;
        self.written.push(FileEntry {
            path: Text::sanitized(&below.to_string_lossy()),
            len,
            hash,
        });
        Ok(())
    }

    fn path(&self, below: &Path) -> PathBuf {
        self.root.join(&self.folder).join(below)
    }

    /// The files are durable; this makes their names durable.
    fn sync_folders(&self) -> Result<(), BackupError> {
        let mut folders = BTreeSet::from([self.folder.clone()]);
        for file in &self.written {
            let above = Path::new(file.path.as_str()).ancestors().skip(1);
            folders.extend(above.map(|folder| self.folder.join(folder)));
        }
        for folder in folders {
            sync_folder_beneath(&self.root, &folder).map_err(BackupError::io("sync", &self.root.join(&folder)))?;
        }
        Ok(())
    }
}

/// The small files of the data directory: keys, configuration, roster, policies.
fn settings(dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, BackupError> {
    let mut files: Vec<PathBuf> = ["format", "concordat.toml", "roster.cose"].map(PathBuf::from).into();
    files.retain(|file| dir.join(file).exists());
    let mut folders: Vec<PathBuf> = ["identity", "policies"].map(PathBuf::from).into();
    folders.retain(|folder| dir.join(folder).is_dir());
    while let Some(folder) = folders.pop() {
        let path = dir.join(&folder);
        for entry in fs::read_dir(&path).map_err(BackupError::io("read", &path))? {
            let entry = entry.map_err(BackupError::io("read", &path))?;
            let below = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(below);
            } else {
                files.push(below);
            }
        }
    }
    let read = |below: PathBuf| {
        let path = dir.join(&below);
        let bytes = read_regular(&path, MAX_SETTING).map_err(BackupError::io("read", &path))?;
        Ok((below, bytes))
    };
    files.into_iter().map(read).collect()
}
