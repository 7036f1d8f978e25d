//! The folder that holds snapshots.

use std::{
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use concordat_protocol::{
    audit::Erasure,
    identity::InstitutionPublicKey,
    ids::{Digest32, KeyId, Nonce},
    signed::{Signed, Verified},
};

use super::{BackupError, FileEntry, Snapshot, contents::FILE_HASH};
use crate::{
    catalog::ErasureStatement,
    seal::durable::{create_dir_private, sync_dir, write_private},
};

/// The format of repositories.
const FORMAT: &str = "concordat backups 1\n";

/// The file of a snapshot with the key that signed it, in hexadecimal digits. Whether it is the right one shows when the sealed
/// key of the institution is opened.
pub(super) const SIGNER: &str = "institution.pub";

/// A repository of snapshots.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
}

/// A snapshot, its signature checked against the institution's key that lies beside it.
#[derive(Clone, Debug)]
pub struct SnapshotInfo {
    /// What it holds.
    pub contents: Verified<Snapshot, InstitutionPublicKey>,
    /// Its folder.
    pub(super) dir: PathBuf,
}

impl Repository {
    /// Opens the repository in a folder; an empty or missing one becomes a repository.
    ///
    /// # Errors
    /// [`BackupError::NoRepository`] if the folder holds something else.
    pub fn create(root: &Path) -> Result<Self, BackupError> {
        create_dir_private(root).map_err(BackupError::io("create", root))?;
        let mut inside = fs::read_dir(root).map_err(BackupError::io("read", root))?;
        if inside.next().is_none() {
            let format = root.join("format");
            write_private(&format, FORMAT.as_bytes()).map_err(BackupError::io("write", &format))?;
        }
        let repository = Self::open(root)?;
        for part in ["objects", "snapshots", "erasures"] {
            let part = root.join(part);
            create_dir_private(&part).map_err(BackupError::io("create", &part))?;
        }
        Ok(repository)
    }

    /// Opens a repository that is there.
    ///
    /// # Errors
    /// [`BackupError::NoRepository`] if it is none.
    pub fn open(root: &Path) -> Result<Self, BackupError> {
        match fs::read_to_string(root.join("format")) {
            Ok(format) if format == FORMAT => Ok(Self { root: root.to_owned() }),
            Ok(_) | Err(_) => Err(BackupError::NoRepository { path: root.to_owned() }),
        }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    pub(super) fn snapshots_dir(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// All snapshots, the oldest first. One that was broken off is none.
    ///
    /// # Errors
    /// [`BackupError::Signature`] or [`BackupError::Damaged`] if one of them does not hold.
    pub fn snapshots(&self) -> Result<Vec<SnapshotInfo>, BackupError> {
        let mut found = Vec::new();
        for id in self.ids()? {
            found.push(self.read(id)?);
        }
        found.sort_by_key(|snapshot: &SnapshotInfo| snapshot.contents.document().at);
        Ok(found)
    }

    /// The names of all snapshots, damaged ones as well.
    ///
    /// # Errors
    /// [`BackupError::Io`] if the folder cannot be read.
    pub fn ids(&self) -> Result<Vec<Nonce>, BackupError> {
        let dir = self.snapshots_dir();
        let mut ids = Vec::new();
        for entry in fs::read_dir(&dir).map_err(BackupError::io("read", &dir))? {
            let entry = entry.map_err(BackupError::io("read", &dir))?;
            ids.extend(entry.file_name().to_string_lossy().parse::<Nonce>());
        }
        Ok(ids)
    }

    /// One snapshot, the newest if none is named.
    ///
    /// # Errors
    /// [`BackupError::NoSnapshot`] if there is none; otherwise as [`Repository::snapshots`].
    pub fn snapshot(&self, id: Option<Nonce>) -> Result<SnapshotInfo, BackupError> {
        let missing = || BackupError::NoSnapshot {
            path: self.root.clone(),
            id,
        };
        match id {
            Some(id) if self.snapshots_dir().join(id.to_string()).is_dir() => self.read(id),
            Some(_) => Err(missing()),
            None => self.snapshots()?.pop().ok_or_else(missing),
        }
    }

    fn read(&self, id: Nonce) -> Result<SnapshotInfo, BackupError> {
        let dir = self.snapshots_dir().join(id.to_string());
        let damaged = |path: &str, what| BackupError::Damaged {
            id,
            path: path.to_owned(),
            what,
        };
        let key = fs::read_to_string(dir.join(SIGNER))
            .ok()
            .and_then(|text| text.trim().parse::<Digest32>().ok())
            .and_then(|bytes| InstitutionPublicKey::from_bytes(*bytes.as_bytes()).ok())
            .ok_or_else(|| damaged(SIGNER, "is not there or no public key"))?;
        let bytes = fs::read(dir.join("contents.cose")).map_err(|_| damaged("contents.cose", "cannot be read"))?;
        let verified = Signed::from_bytes(bytes).and_then(|signed: Signed<Snapshot>| signed.verify(key));
        let contents = verified.map_err(|source| BackupError::Signature { id, source })?;
        if contents.document().id != id {
            return Err(damaged("contents.cose", "belongs to another snapshot"));
        }
        Ok(SnapshotInfo { contents, dir })
    }

    /// Keeps a statement of an erasure, and removes the objects of the keys that it names.
    ///
    /// # Errors
    /// [`BackupError::Io`] if the repository cannot be written.
    pub fn note_erasure(&self, statement: &ErasureStatement) -> Result<(), BackupError> {
        let path = self.root.join("erasures").join(format!("{}.cose", statement.digest()));
        if !path.exists() {
            write_private(&path, statement.signed().as_bytes()).map_err(BackupError::io("write", &path))?;
        }
        for key in &statement.document().keys {
            self.remove_objects(*key)?;
        }
        Ok(())
    }

    fn remove_objects(&self, key: KeyId) -> Result<(), BackupError> {
        let folder = self.objects().join(key.to_string());
        if !folder.exists() {
            return Ok(());
        }
        fs::remove_dir_all(&folder).map_err(BackupError::io("remove", &folder))?;
        sync_dir(&self.objects()).map_err(BackupError::io("sync", &folder))
    }

    /// The statements of erasures that lie here, checked with the institution's key.
    ///
    /// # Errors
    /// [`BackupError::Statement`] if one does not hold: to pass over it might bring a dataset back to life.
    pub fn erasures(&self, key: InstitutionPublicKey) -> Result<Vec<ErasureStatement>, BackupError> {
        let dir = self.root.join("erasures");
        let mut statements = Vec::new();
        for entry in fs::read_dir(&dir).map_err(BackupError::io("read", &dir))? {
            let path = entry.map_err(BackupError::io("read", &dir))?.path();
            let bytes = fs::read(&path).map_err(BackupError::io("read", &path))?;
            let verified = Signed::<Erasure>::from_bytes(bytes).and_then(|signed| signed.verify(key));
            statements.push(verified.map_err(|_| BackupError::Statement { path })?);
        }
        Ok(statements)
    }
}

impl SnapshotInfo {
    /// The objects that the snapshot needs.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] if the list is not the one that was signed.
    pub(super) fn objects(&self) -> Result<Vec<FileEntry>, BackupError> {
        let listed = self
            .contents
            .document()
            .files
            .iter()
            .find(|file| file.path.as_str() == "objects");
        let listed = listed.ok_or_else(|| self.damaged("objects", "is not named"))?;
        self.check(&self.dir, listed)?;
        let path = self.dir.join("objects");
        let file = File::open(&path).map_err(BackupError::io("open", &path))?;
        let objects: Vec<FileEntry> = ciborium::from_reader(BufReader::new(file))
            .map_err(|_| self.damaged("objects", "is no list of objects"))?;
        if objects.iter().all(FileEntry::is_inside) {
            Ok(objects)
        } else {
            Err(self.damaged("objects", "names a file outside of the repository"))
        }
    }

    /// A file of the data directory as the snapshot holds it; none if it holds no such file.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] if it is not the one that was signed.
    pub fn file(&self, path: &str) -> Result<Option<Vec<u8>>, BackupError> {
        let below = format!("dir/{path}");
        let named = self
            .contents
            .document()
            .files
            .iter()
            .find(|file| file.path.as_str() == below);
        let Some(named) = named else { return Ok(None) };
        self.check(&self.dir, named)?;
        let path = self.dir.join(&below);
        fs::read(&path).map(Some).map_err(BackupError::io("read", &path))
    }

    /// Whether a file below `dir` is the one that was signed.
    pub(super) fn check(&self, dir: &Path, file: &FileEntry) -> Result<(), BackupError> {
        if !file.is_inside() {
            return Err(self.damaged(file.path.as_str(), "lies outside of the snapshot"));
        }
        let (len, hash) =
            hash_file(&dir.join(file.path.as_str())).map_err(|_| self.damaged(file.path.as_str(), "cannot be read"))?;
        if (len, hash) == (file.len, file.hash) {
            Ok(())
        } else {
            Err(self.damaged(file.path.as_str(), "is not what was written"))
        }
    }

    pub(super) fn damaged(&self, path: &str, what: &'static str) -> BackupError {
        BackupError::Damaged {
            id: self.contents.document().id,
            path: path.to_owned(),
            what,
        }
    }
}

/// Length and hash of a file.
pub(super) fn hash_file(path: &Path) -> std::io::Result<(u64, Digest32)> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new_derive_key(FILE_HASH);
    let mut buffer = vec![0; 256 * 1024];
    let mut len = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((len, Digest32::from_bytes(*hasher.finalize().as_bytes())));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        len += read as u64;
    }
}

/// Copies a file so that it is on the disk, 0600, and says what was copied.
pub(super) fn copy_file(from: &Path, to: &Path, limit: Option<u64>) -> std::io::Result<(u64, Digest32)> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    if let Some(parent) = to.parent() {
        create_dir_private(parent)?;
    }
    let mut source = File::open(from)?.take(limit.unwrap_or(u64::MAX));
    let mut target = File::options().write(true).create_new(true).mode(0o600).open(to)?;
    let mut hasher = blake3::Hasher::new_derive_key(FILE_HASH);
    let mut buffer = vec![0; 256 * 1024];
    let mut len = 0;
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        hasher.update(bytes);
        target.write_all(bytes)?;
        len += read as u64;
    }
    target.sync_all()?;
    Ok((len, Digest32::from_bytes(*hasher.finalize().as_bytes())))
}
