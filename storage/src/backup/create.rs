//! Takes a snapshot while the node is serving.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use concordat_keys::{
    KeyError,
    fs::{create_dir_private, open_regular, sync_dir, write_private},
};
use concordat_protocol::{
    identity::{InstitutionKey, InstitutionPublicKey, PrivateKey},
    ids::{Digest32, InstitutionId, Nonce},
    signed::{Signed, Verified},
    text::Text,
    time::Timestamp,
};
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use super::{
    BackupError, FileEntry, Owner, Repository, Snapshot, TargetRepository,
    contents::FILE_HASH,
    files::{copy_file, hash_file},
    repository::SIGNER,
};
use crate::{
    answers::LogExtent,
    catalog::{CatalogError, PinnedObjects},
    data_dir::{ANSWERS, Storage},
    ledger::{Attribution, Ledger, LedgerError},
    objects::DurableStore,
};

/// Objects are read in chunks of this size: in a remote store each is one request with its own timeout.
const CHUNK: u64 = 8 * 1024 * 1024;

/// What to back up, and where to.
#[derive(Debug)]
pub struct BackupRequest<'a> {
    /// The repository.
    pub to: &'a TargetRepository,
    /// The institution.
    pub institution: InstitutionId,
    /// Its key, which signs the contents.
    pub signer: &'a InstitutionKey,
    /// The time of the snapshot.
    pub now: Timestamp,
    /// Who takes it. They must still be permitted to when it is completed.
    pub by: &'a Attribution,
}

/// A snapshot that was taken.
#[derive(Clone, Debug)]
pub struct CreatedSnapshot {
    /// Its contents.
    pub contents: Verified<Snapshot, InstitutionPublicKey>,
    /// Objects that were copied; the others were in the repository already.
    pub copied: u64,
    /// Bytes that were copied, without state and ledger.
    pub bytes: u64,
}

/// Takes a snapshot. Blocks; must be called on a tokio runtime thread that may block.
///
/// # Errors
/// [`BackupError`]; the repository then has no new snapshot.
pub fn create(storage: &Storage, ledger: &Ledger, request: &BackupRequest<'_>) -> Result<CreatedSnapshot, BackupError> {
    let runtime = Handle::try_current().map_err(|_| BackupError::NoRuntime)?;
    let repository = request.to.repository();
    for statement in storage.catalog().erasures().all()? {
        repository.note_erasure(&statement)?;
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(KeyError::Random)?;
    let draft = Draft::begin(repository, Nonce::from_bytes(random))?;
    let result = fill(&runtime, storage, ledger, request, repository, &draft);
    if result.is_err() {
        // The leftover is not a snapshot, even if it cannot be removed.
        drop(fs::remove_dir_all(&draft.dir));
    }
    result
}

fn fill(
    runtime: &Handle,
    storage: &Storage,
    ledger: &Ledger,
    request: &BackupRequest<'_>,
    repository: &Repository,
    draft: &Draft,
) -> Result<CreatedSnapshot, BackupError> {
    let (holding, size) = draft.capture(storage, ledger)?;
    let keys = storage.identities().institution_keys()?;
    let known = known_objects(repository, &Owner::from(request.signer.public()))?;
    let copies: Arc<dyn ObjectStore> = Arc::new(DurableStore::open(&repository.objects())?);
    let mut objects = Vec::new();
    let mut copied = 0;
    let mut bytes = 0;
    for path in holding.paths() {
        let text = path.to_string();
        let entry = match known.get(&text).filter(|entry| is_present(repository, entry)) {
            Some(entry) => entry.clone(),
            None => {
                let entry = runtime.block_on(copy_object(&holding, path, &copies, &repository.objects()))?;
                copied += 1;
                bytes += entry.len;
                entry
            }
        };
        objects.push(entry);
    }
    draft.write_objects(&objects)?;
    draft.write_signer(&request.signer.public())?;
    let snapshot = Snapshot {
        id: draft.id,
        institution: request.institution.clone(),
        at: request.now,
        ledger: size,
        objects: objects.len() as u64,
        earlier_keys: keys
            .iter()
            .copied()
            .filter(|key| *key != request.signer.public())
            .collect(),
        files: draft.files()?,
    };
    let contents = Signed::sign(&snapshot, request.signer).map_err(BackupError::Sign)?;
    // Copying may have taken hours, in which the account was disabled.
    request.by.check(request.now).map_err(LedgerError::from)?;
    draft.finish(repository, contents.signed().as_bytes())?;
    Ok(CreatedSnapshot {
        contents,
        copied,
        bytes,
    })
}

/// The objects that earlier snapshots of this institution list, with their hashes. Those that are signed with an older key do not
/// count: a copy of that key could have listed anything, and the new snapshot would be signed over it. Their objects are copied again.
fn known_objects(repository: &Repository, owner: &Owner) -> Result<BTreeMap<String, FileEntry>, BackupError> {
    let mut known = BTreeMap::new();
    for id in repository.ids()? {
        // A damaged snapshot must not prevent a new one: the objects that it lists are copied again.
        if let Ok(objects) = repository.snapshot(Some(id), owner).and_then(|snapshot| {
            if snapshot.older_key {
                Ok(Vec::new())
            } else {
                snapshot.objects()
            }
        }) {
            known.extend(objects.into_iter().map(|entry| (entry.path.to_string(), entry)));
        }
    }
    Ok(known)
}

/// Compares only the length; `verify` compares the bytes.
fn is_present(repository: &Repository, entry: &FileEntry) -> bool {
    let found = fs::symlink_metadata(repository.objects().join(entry.path.as_str()));
    found.is_ok_and(|found| found.is_file() && found.len() == entry.len)
}

/// Copies a sealed object as it is, and keeps the copy only if it matches the manifest: otherwise a copy of a damaged object
/// would pass every later comparison with the recorded hash.
async fn copy_object(
    holding: &PinnedObjects,
    path: &object_store::path::Path,
    copies: &Arc<dyn ObjectStore>,
    into: &Path,
) -> Result<FileEntry, BackupError> {
    let target = into.join(path.as_ref());
    let staged = target.with_extension("new");
    let folder = target.parent().unwrap_or(into);
    create_dir_private(folder).map_err(BackupError::io("create", folder))?;
    let copied = copy_and_check(holding, path, copies, &staged, into).await;
    let entry = copied.inspect_err(|_| drop(fs::remove_file(&staged)))?;
    fs::rename(&staged, &target).map_err(BackupError::io("rename", &staged))?;
    sync_dir(folder)
        .and_then(|()| sync_dir(into))
        .map_err(BackupError::io("sync", folder))?;
    Ok(entry)
}

async fn copy_and_check(
    holding: &PinnedObjects,
    path: &object_store::path::Path,
    copies: &Arc<dyn ObjectStore>,
    staged: &Path,
    into: &Path,
) -> Result<FileEntry, BackupError> {
    let entry = copy_bytes(holding.store(), path, staged).await?;
    let name = staged.strip_prefix(into).unwrap_or(staged);
    let copy = object_store::path::Path::from(name.to_string_lossy().as_ref());
    holding.check(path, copies, &copy).await?;
    Ok(entry)
}

async fn copy_bytes(
    store: &dyn ObjectStore,
    path: &object_store::path::Path,
    staged: &Path,
) -> Result<FileEntry, BackupError> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let missing = |error| {
        if matches!(error, object_store::Error::NotFound { .. }) {
            BackupError::ObjectMissing
        } else {
            error.into()
        }
    };
    let size = store.head(path).await.map_err(missing)?.size;
    let io = |action| BackupError::io(action, staged);
    // A leftover of an interrupted backup is removed, and an existing file or link is never written through.
    if let Err(error) = fs::remove_file(staged)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(io("replace")(error));
    }
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(staged)
        .map_err(io("create"))?;
    let mut hasher = blake3::Hasher::new_derive_key(FILE_HASH);
    let mut len = 0;
    while len < size {
        let chunk = len..size.min(len + CHUNK);
        let bytes = store.get_range(path, chunk.clone()).await.map_err(missing)?;
        if bytes.len() as u64 != chunk.end - chunk.start {
            return Err(BackupError::ObjectMissing);
        }
        hasher.update(&bytes);
        file.write_all(&bytes).map_err(io("write"))?;
        len += bytes.len() as u64;
    }
    file.sync_all().map_err(io("sync"))?;
    Ok(FileEntry {
        path: Text::sanitized(path.as_ref()),
        len,
        hash: Digest32::from_bytes(*hasher.finalize().as_bytes()),
    })
}

/// Copies a file of the data directory.
fn copy_data_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    let copied = open_regular(from).and_then(|file| copy_file(file, to, None));
    copied.map(drop).map_err(BackupError::io("copy", from))
}

/// A snapshot that is not visible yet.
struct Draft {
    id: Nonce,
    dir: PathBuf,
}

impl Draft {
    fn begin(repository: &Repository, id: Nonce) -> Result<Self, BackupError> {
        let dir = repository.snapshots_dir().join(format!("{id}.new"));
        create_dir_private(&dir).map_err(BackupError::io("create", &dir))?;
        Ok(Self { id, dir })
    }

    /// Captures state, ledger and keys at one instant, and the objects that belong to them.
    fn capture(&self, storage: &Storage, ledger: &Ledger) -> Result<(PinnedObjects, u64), BackupError> {
        let state = self.dir.join("state");
        let mut out = fs::File::options();
        let file = {
            use std::os::unix::fs::OpenOptionsExt;
            out.write(true).create_new(true).mode(0o600).open(&state)
        };
        let file = file.map_err(BackupError::io("create", &state))?;
        let source = storage.dir();
        let (holding, captured) = storage.catalog().pin_objects(|| {
            storage.meta().export(&file)?;
            // Read after the state: they cover at least what it covers, and a restore ignores the rest.
            let answers = storage.catalog().answers().extents()?;
            self.copy_settings(source)?;
            Ok::<_, BackupError>((ledger.frozen()?, answers))
        })?;
        let (frozen, answers) = captured?;
        file.sync_all().map_err(BackupError::io("sync", &state))?;
        let folder = self.dir.join("dir/ledger");
        create_dir_private(&folder).map_err(BackupError::io("create", &folder))?;
        // The log only grows, so its first bytes can be copied afterwards.
        let log = folder.join("entries.log");
        open_regular(&source.join("ledger/entries.log"))
            .and_then(|file| copy_file(file, &log, Some(frozen.length)))
            .map_err(BackupError::io("copy", &log))?;
        write_private(&folder.join("head"), &frozen.head).map_err(BackupError::io("write", &folder))?;
        if let Some(checkpoint) = &frozen.checkpoint {
            let path = folder.join("checkpoint.cose");
            write_private(&path, checkpoint).map_err(BackupError::io("write", &path))?;
        }
        self.copy_answers(&source.join(ANSWERS), &answers)?;
        Ok((holding, frozen.size))
    }

    /// Copies the logs of answers, and checks the copies. They only grow, so their first bytes can be copied after the instant of the snapshot.
    fn copy_answers(&self, from: &Path, logs: &[LogExtent]) -> Result<(), BackupError> {
        for log in logs {
            let path = from.join(log.path());
            let to = self.dir.join("dir").join(ANSWERS).join(log.path());
            match open_regular(&path).and_then(|file| copy_file(file, &to, Some(log.bytes()))) {
                Ok(_) => log.check_copy(&to).map_err(CatalogError::from)?,
                // It was erased in the meantime, or removed by someone else: then the next query finds that.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(BackupError::ObjectMissing),
                Err(error) => return Err(BackupError::io("copy", &path)(error)),
            }
        }
        Ok(())
    }

    /// Copies the small files: keys, configuration, roster, policies.
    fn copy_settings(&self, from: &Path) -> Result<(), BackupError> {
        for part in ["format", "concordat.toml", "roster.cose"] {
            let path = from.join(part);
            if path.exists() {
                copy_data_file(&path, &self.dir.join("dir").join(part))?;
            }
        }
        for part in ["identity", "policies"] {
            self.copy_folder(from, Path::new(part))?;
        }
        Ok(())
    }

    fn copy_folder(&self, from: &Path, part: &Path) -> Result<(), BackupError> {
        let folder = from.join(part);
        if !folder.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(&folder).map_err(BackupError::io("read", &folder))? {
            let entry = entry.map_err(BackupError::io("read", &folder))?;
            let path = entry.path();
            let below = part.join(entry.file_name());
            if path.is_dir() {
                self.copy_folder(from, &below)?;
            } else {
                copy_data_file(&path, &self.dir.join("dir").join(&below))?;
            }
        }
        Ok(())
    }

    fn write_objects(&self, objects: &[FileEntry]) -> Result<(), BackupError> {
        let path = self.dir.join("objects");
        let mut bytes = Vec::new();
        let encoded = ciborium::into_writer(objects, &mut bytes).map_err(std::io::Error::other);
        encoded
            .and_then(|()| write_private(&path, &bytes))
            .map_err(BackupError::io("write", &path))
    }

    fn write_signer(&self, key: &InstitutionPublicKey) -> Result<(), BackupError> {
        let path = self.dir.join(SIGNER);
        write_private(&path, format!("{key}\n").as_bytes()).map_err(BackupError::io("write", &path))
    }

    /// All files in the draft, with hashes.
    fn files(&self) -> Result<Vec<FileEntry>, BackupError> {
        let mut files = Vec::new();
        let mut folders = vec![self.dir.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(BackupError::io("read", &folder))? {
                let path = entry.map_err(BackupError::io("read", &folder))?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let (len, hash) = open_regular(&path)
                    .and_then(hash_file)
                    .map_err(BackupError::io("read", &path))?;
                let below = path.strip_prefix(&self.dir).unwrap_or(&path);
                files.push(FileEntry {
                    path: Text::sanitized(&below.to_string_lossy()),
                    len,
                    hash,
                });
            }
        }
        files.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
        Ok(files)
    }

    /// Makes the draft a snapshot.
    fn finish(&self, repository: &Repository, contents: &[u8]) -> Result<(), BackupError> {
        let path = self.dir.join("contents.cose");
        write_private(&path, contents).map_err(BackupError::io("write", &path))?;
        let snapshots = repository.snapshots_dir();
        let target = snapshots.join(self.id.to_string());
        fs::rename(&self.dir, &target).map_err(BackupError::io("rename", &target))?;
        sync_dir(&snapshots).map_err(BackupError::io("sync", &snapshots))
    }
}
