//! The folder with the snapshots.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use concordat_keys::fs::{create_dir_private, real_path, sync_dir, write_private};
use concordat_protocol::{
    audit::Erasure,
    identity::InstitutionPublicKey,
    ids::{Digest32, KeyId, Nonce},
    signed::{Signed, Verified},
};

use super::{
    BackupError, FileEntry, Owner, Snapshot,
    files::{hash_file, small},
};
use crate::{beneath::open_beneath, catalog::ErasureStatement, data_dir::ANSWERS};

/// The format of repositories.
const FORMAT: &str = "concordat backups 1\n";

/// The file of a snapshot with the key that signed it, in hexadecimal digits. Whether it is the right key is only known when the
/// sealed key of the institution is opened.
pub(super) const SIGNER: &str = "institution.pub";

/// A repository of snapshots.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
}

/// A snapshot of the requested institution: it is signed with a key of the [`Owner`].
#[derive(Clone, Debug)]
pub struct SnapshotInfo {
    /// Its contents.
    pub contents: Verified<Snapshot, InstitutionPublicKey>,
    /// Whether an earlier key than the owner's signed it. Anyone who has a copy of that key can have made it, at any time.
    pub older_key: bool,
    /// The repository.
    root: PathBuf,
}

/// What a snapshot claims about itself. Anyone who can write to the repository can forge all of it: it is for listings only.
#[derive(Clone, Debug)]
pub struct UnverifiedSnapshot {
    /// The contents that it claims to have.
    pub snapshot: Snapshot,
    /// The fingerprint of the key that is stored with it and signed it.
    pub fingerprint: String,
    /// Whether another snapshot in the repository lists that key as an earlier one of the same institution.
    pub older_key: bool,
}

/// The folders of a repository.
const FOLDERS: [&str; 3] = ["objects", "snapshots", "erasures"];

impl Repository {
    /// Opens the repository in a folder; an empty or missing one becomes a repository. Its caller has checked that the
    /// folder may become one.
    ///
    /// # Errors
    /// [`BackupError::NoRepository`] if the folder holds something else.
    pub(super) fn create(root: &Path) -> Result<Self, BackupError> {
        create_dir_private(root).map_err(BackupError::io("create", root))?;
        let mut inside = fs::read_dir(root).map_err(BackupError::io("read", root))?;
        if inside.next().is_none() {
            let format = root.join("format");
            write_private(&format, FORMAT.as_bytes()).map_err(BackupError::io("write", &format))?;
        }
        let repository = Self::open(root)?;
        for part in FOLDERS {
            let part = root.join(part);
            create_dir_private(&part).map_err(BackupError::io("create", &part))?;
        }
        Ok(repository)
    }

    /// Opens an existing repository.
    ///
    /// # Errors
    /// [`BackupError::NoRepository`] if it is not a repository, or if one of its folders is a link.
    pub fn open(root: &Path) -> Result<Self, BackupError> {
        let is_known = small(root, "format").is_ok_and(|format| format == FORMAT.as_bytes());
        // Files are written into a repository by path, so none of its folders may be a link.
        let is_link = |part: &&str| fs::symlink_metadata(root.join(part)).is_ok_and(|about| !about.is_dir());
        if is_known && !FOLDERS.iter().any(is_link) {
            Ok(Self { root: root.to_owned() })
        } else {
            Err(BackupError::NoRepository { path: root.to_owned() })
        }
    }

    /// Checks that a data directory that is about to be created is neither in this repository nor around it.
    ///
    /// # Errors
    /// [`BackupError::Inside`], and [`BackupError::Path`] if `dir` does not lead to a folder.
    pub fn require_apart_from(&self, dir: &Path) -> Result<(), BackupError> {
        require_apart(dir, &self.root)
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

    /// All snapshots, the oldest first. An interrupted one does not count.
    ///
    /// # Errors
    /// [`BackupError::Foreign`], [`BackupError::Signature`] or [`BackupError::Damaged`] if one of them is not `owner`'s or is
    /// invalid.
    pub fn snapshots(&self, owner: &Owner) -> Result<Vec<SnapshotInfo>, BackupError> {
        let mut found = Vec::new();
        for id in self.ids()? {
            found.push(self.read(id, owner)?);
        }
        found.sort_by_key(|snapshot: &SnapshotInfo| snapshot.contents.document().at);
        Ok(found)
    }

    /// The names of all snapshots, including damaged ones.
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

    /// One snapshot; the newest if `id` is `None`. A snapshot that is signed with an older key than the owner's is never the newest,
    /// whatever time it states: it has to be named by its id.
    ///
    /// # Errors
    /// [`BackupError::NoSnapshot`] if there is none; otherwise as [`Repository::snapshots`].
    pub fn snapshot(&self, id: Option<Nonce>, owner: &Owner) -> Result<SnapshotInfo, BackupError> {
        let missing = || BackupError::NoSnapshot {
            path: self.root.clone(),
            id,
        };
        match id {
            Some(id) if self.snapshots_dir().join(id.to_string()).is_dir() => self.read(id, owner),
            Some(_) => Err(missing()),
            None => {
                let mut found = self.snapshots(owner)?;
                found.retain(|snapshot| !snapshot.older_key);
                found.pop().ok_or_else(missing)
            }
        }
    }

    /// What a snapshot claims about itself, regardless of which key signed it.
    ///
    /// # Errors
    /// [`BackupError::Signature`] or [`BackupError::Damaged`] if it is invalid; [`BackupError::Io`].
    pub fn snapshot_unverified(&self, id: Nonce) -> Result<UnverifiedSnapshot, BackupError> {
        let contents = self.signed(id)?;
        let key = contents.signer();
        let institution = &contents.document().institution;
        let is_of_institution = |other: &Snapshot| other.institution == *institution;
        Ok(UnverifiedSnapshot {
            fingerprint: key.fingerprint(),
            older_key: self.is_earlier_key(&key, |other| is_of_institution(other.document()))?,
            snapshot: contents.document().clone(),
        })
    }

    fn read(&self, id: Nonce, owner: &Owner) -> Result<SnapshotInfo, BackupError> {
        let contents = self.signed(id)?;
        if !self.is_of(owner, &contents.signer())? {
            return Err(BackupError::Foreign {
                id,
                institution: contents.document().institution.clone(),
                fingerprint: contents.signer().fingerprint(),
                wanted: owner.fingerprint(),
            });
        }
        Ok(SnapshotInfo {
            older_key: !owner.is(&contents.signer()),
            contents,
            root: self.root.clone(),
        })
    }

    /// Whether `key` is `owner`'s, or is listed as an earlier key in a snapshot here that a key of `owner` signed.
    fn is_of(&self, owner: &Owner, key: &InstitutionPublicKey) -> Result<bool, BackupError> {
        Ok(owner.is(key) || self.is_earlier_key(key, |later| owner.is(&later.signer()))?)
    }

    /// Whether one of these snapshots lists `key` as an earlier key of its institution.
    fn is_earlier_key(
        &self,
        key: &InstitutionPublicKey,
        counts: impl Fn(&Verified<Snapshot, InstitutionPublicKey>) -> bool,
    ) -> Result<bool, BackupError> {
        let lists_key = |id| {
            let later = self.signed(id).ok().filter(|later| counts(later));
            later.is_some_and(|later| later.document().earlier_keys.contains(key))
        };
        Ok(self.ids()?.into_iter().any(lists_key))
    }

    /// The contents of a snapshot, signed by the key stored with it, whichever key that is.
    fn signed(&self, id: Nonce) -> Result<Verified<Snapshot, InstitutionPublicKey>, BackupError> {
        let damaged = |path: &str, what| BackupError::Damaged {
            id,
            path: path.to_owned(),
            what,
        };
        let read = |name: &str| small(&self.root, &format!("snapshots/{id}/{name}"));
        let key = read(SIGNER)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| text.trim().parse::<Digest32>().ok())
            .and_then(|bytes| InstitutionPublicKey::from_bytes(*bytes.as_bytes()).ok())
            .ok_or_else(|| damaged(SIGNER, "is missing or is not a public key"))?;
        let bytes = read("contents.cose").map_err(|_| damaged("contents.cose", "cannot be read"))?;
        let verified = Signed::from_bytes(bytes).and_then(|signed: Signed<Snapshot>| signed.verify(key));
        let contents = verified.map_err(|source| BackupError::Signature { id, source })?;
        let snapshot = contents.document();
        if snapshot.id != id {
            return Err(damaged("contents.cose", "belongs to another snapshot"));
        }
        if let Some(file) = snapshot.files.iter().find(|file| !file.is_part()) {
            return Err(damaged(file.path.as_str(), "is not a file of a snapshot"));
        }
        Ok(contents)
    }

    /// Stores an erasure statement, and removes the objects and logs of answers of the keys that it names.
    ///
    /// # Errors
    /// [`BackupError::Io`] if the repository cannot be written.
    pub fn note_erasure(&self, statement: &ErasureStatement) -> Result<(), BackupError> {
        let path = self.root.join("erasures").join(format!("{}.cose", statement.digest()));
        if !path.exists() {
            write_private(&path, statement.signed().as_bytes()).map_err(BackupError::io("write", &path))?;
        }
        for key in &statement.document().keys {
            remove_folder(&self.objects(), *key)?;
        }
        for id in self.ids()? {
            let dir = self.snapshots_dir().join(id.to_string()).join("dir");
            let answers = dir.join(ANSWERS);
            // What is removed must be in the repository: neither folder may be a link.
            let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|about| about.is_dir());
            if is_folder(&dir) && is_folder(&answers) {
                let mut keys = statement.document().keys.iter();
                keys.try_for_each(|key| remove_folder(&answers, *key))?;
            }
        }
        Ok(())
    }

    /// The erasure statements in the repository, checked with the `keys` that the institution has and had.
    ///
    /// # Errors
    /// [`BackupError::Statement`] if one is invalid: ignoring it could restore an erased dataset.
    pub fn erasures(&self, keys: &[InstitutionPublicKey]) -> Result<Vec<ErasureStatement>, BackupError> {
        let dir = self.root.join("erasures");
        let mut statements = Vec::new();
        for entry in fs::read_dir(&dir).map_err(BackupError::io("read", &dir))? {
            let name = entry.map_err(BackupError::io("read", &dir))?.file_name();
            let path = dir.join(&name);
            let bytes = small(&dir, &name.to_string_lossy()).map_err(BackupError::io("read", &path))?;
            let verified = Signed::<Erasure>::from_bytes(bytes).and_then(|signed| signed.verify_any(keys));
            statements.push(verified.map_err(|_| BackupError::Statement { path })?);
        }
        Ok(statements)
    }
}

impl SnapshotInfo {
    /// The keys that the institution had when the snapshot was taken; the one that signed it is first.
    pub(super) fn keys(&self) -> Vec<InstitutionPublicKey> {
        let earlier = &self.contents.document().earlier_keys;
        [self.contents.signer()]
            .into_iter()
            .chain(earlier.iter().copied())
            .collect()
    }

    /// The objects that the snapshot needs.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] if the list is not the one that was signed.
    pub(super) fn objects(&self) -> Result<Vec<FileEntry>, BackupError> {
        let listed = self.listed("objects");
        let listed = listed.ok_or_else(|| self.damaged("objects", "is not listed"))?;
        let objects: Vec<FileEntry> = ciborium::from_reader(&*self.read(listed)?)
            .map_err(|_| self.damaged("objects", "is not a list of objects"))?;
        if objects.iter().all(FileEntry::is_object) {
            Ok(objects)
        } else {
            Err(self.damaged("objects", "lists a file that is not an object of the repository"))
        }
    }

    /// A file of the data directory as it is in the snapshot; `None` if the snapshot does not have it. The institution signed
    /// it, but it is still only data: nothing that it names may be opened, called or run.
    ///
    /// # Errors
    /// [`BackupError::Damaged`] if it is not the one that was signed.
    pub fn file(&self, path: &str) -> Result<Option<Vec<u8>>, BackupError> {
        let Some(entry) = self.listed(&format!("dir/{path}")) else {
            return Ok(None);
        };
        self.read(entry).map(Some)
    }

    /// The bytes of a file that was signed. It may be changed at any time, so what is used is what was compared.
    fn read(&self, file: &FileEntry) -> Result<Vec<u8>, BackupError> {
        let mut bytes = Vec::new();
        let read = self
            .open(file)?
            .take(file.len.saturating_add(1))
            .read_to_end(&mut bytes);
        read.map_err(|_| self.damaged(file.path.as_str(), "cannot be read"))?;
        self.compare(file, bytes.as_slice())?;
        Ok(bytes)
    }

    fn listed(&self, path: &str) -> Option<&FileEntry> {
        let files = &self.contents.document().files;
        files.iter().find(|file| file.path.as_str() == path)
    }

    /// Opens a file of the snapshot.
    pub(super) fn open(&self, file: &FileEntry) -> Result<File, BackupError> {
        if !file.is_part() {
            return Err(self.damaged(file.path.as_str(), "is not a file of a snapshot"));
        }
        let folder = format!("snapshots/{}", self.contents.document().id);
        self.open_below(&folder, file)
    }

    /// Opens a sealed object.
    pub(super) fn open_object(&self, object: &FileEntry) -> Result<File, BackupError> {
        if !object.is_object() {
            return Err(self.damaged(object.path.as_str(), "is not an object of the repository"));
        }
        self.open_below("objects", object)
    }

    /// Whether the snapshot has a file.
    pub(super) fn has(&self, file: &FileEntry) -> bool {
        let snapshot = self
            .root
            .join("snapshots")
            .join(self.contents.document().id.to_string());
        file.is_part() && fs::symlink_metadata(snapshot.join(file.path.as_str())).is_ok()
    }

    /// Whether the repository has an object.
    pub(super) fn has_object(&self, object: &FileEntry) -> bool {
        object.is_object() && fs::symlink_metadata(self.root.join("objects").join(object.path.as_str())).is_ok()
    }

    fn open_below(&self, folder: &str, file: &FileEntry) -> Result<File, BackupError> {
        let below = Path::new(folder).join(file.path.as_str());
        open_beneath(&self.root, &below).map_err(|error| {
            let kind = error.kind();
            let what = if kind == io::ErrorKind::NotFound {
                "is missing"
            } else if kind == io::ErrorKind::InvalidInput {
                "is a link, or not a regular file"
            } else {
                "cannot be read"
            };
            self.damaged(file.path.as_str(), what)
        })
    }

    /// Checks that a file of the snapshot is the one that was signed.
    pub(super) fn check(&self, file: &FileEntry) -> Result<(), BackupError> {
        self.compare_opened(file, self.open(file)?)
    }

    /// Checks that an object is the one that was signed.
    pub(super) fn check_object(&self, object: &FileEntry) -> Result<(), BackupError> {
        self.compare_opened(object, self.open_object(object)?)
    }

    /// A file of another length, which may be of any, is not read.
    fn compare_opened(&self, file: &FileEntry, opened: File) -> Result<(), BackupError> {
        let found = opened.metadata();
        let len = found
            .map_err(|_| self.damaged(file.path.as_str(), "cannot be read"))?
            .len();
        if len == file.len {
            self.compare(file, opened.take(len.saturating_add(1)))
        } else {
            Err(self.damaged(file.path.as_str(), "is not what was written"))
        }
    }

    fn compare(&self, file: &FileEntry, opened: impl Read) -> Result<(), BackupError> {
        let (len, hash) = hash_file(opened).map_err(|_| self.damaged(file.path.as_str(), "cannot be read"))?;
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

/// Removes the folder of what belongs to one key.
fn remove_folder(dir: &Path, key: KeyId) -> Result<(), BackupError> {
    let folder = dir.join(key.to_string());
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(&folder).map_err(BackupError::io("remove", &folder))?;
    sync_dir(dir).map_err(BackupError::io("sync", &folder))
}

/// Checks that of a data directory and a repository neither is in the other one. Neither needs to exist.
///
/// # Errors
/// [`BackupError::Inside`], and [`BackupError::Path`] if one of the paths leads to no folder.
pub(super) fn require_apart(dir: &Path, repository: &Path) -> Result<(), BackupError> {
    let dir = resolved(dir)?;
    let real = resolved(repository)?;
    if real.starts_with(&dir) || dir.starts_with(&real) {
        let path = repository.to_owned();
        return Err(BackupError::Inside { path });
    }
    Ok(())
}

/// The path without its links.
///
/// # Errors
/// [`BackupError::Path`] if it leads to no folder.
pub(super) fn resolved(path: &Path) -> Result<PathBuf, BackupError> {
    real_path(path).map_err(|source| BackupError::Path {
        path: path.to_owned(),
        source,
    })
}
