//! Takes a snapshot while the node is serving.

use std::{collections::BTreeMap, fs, io::Write as _, path::Path, sync::Arc};

use concordat_keys::{KeyError, fs::sync_dir};
use concordat_protocol::{
    identity::{InstitutionKey, InstitutionPublicKey, PrivateKey},
    ids::{InstitutionId, Nonce},
    signed::{Signed, Verified},
    text::Text,
    time::Timestamp,
};
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use super::{BackupError, FileEntry, Owner, Repository, Snapshot, TargetRepository, draft::Draft, files::HashedFile};
use crate::{
    beneath::{remove_beneath, rename_beneath, sync_folder_beneath},
    catalog::PinnedObjects,
    data_dir::Storage,
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
    let mut draft = Draft::begin(repository, Nonce::from_bytes(random));
    let filled = fill(&runtime, storage, ledger, request, repository, &mut draft);
    let completed = filled.and_then(|created| {
        draft.finish(created.contents.signed().as_bytes())?;
        Ok(created)
    });
    if completed.is_err() {
        draft.discard();
    }
    completed
}

fn fill(
    runtime: &Handle,
    storage: &Storage,
    ledger: &Ledger,
    request: &BackupRequest<'_>,
    repository: &Repository,
    draft: &mut Draft,
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
        id: draft.id(),
        institution: request.institution.clone(),
        at: request.now,
        ledger: size,
        objects: objects.len() as u64,
        earlier_keys: keys
            .iter()
            .copied()
            .filter(|key| *key != request.signer.public())
            .collect(),
        files: draft.files(),
    };
    let contents = Signed::sign(&snapshot, request.signer).map_err(BackupError::Sign)?;
    // Copying may have taken hours, in which the account was disabled.
    request.by.check(request.now).map_err(LedgerError::from)?;
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
    let target = Path::new(path.as_ref());
    let staged = target.with_extension("new");
    let folder = target.parent().unwrap_or(Path::new(""));
    let copied = copy_and_check(holding, path, copies, &staged, into).await;
    let entry = copied.inspect_err(|_| drop(remove_beneath(into, &staged)))?;
    rename_beneath(into, &staged, target).map_err(BackupError::io("rename", &into.join(&staged)))?;
    sync_folder_beneath(into, folder)
        .and_then(|()| sync_dir(into))
        .map_err(BackupError::io("sync", &into.join(folder)))?;
    Ok(entry)
}

async fn copy_and_check(
    holding: &PinnedObjects,
    path: &object_store::path::Path,
    copies: &Arc<dyn ObjectStore>,
    staged: &Path,
    into: &Path,
) -> Result<FileEntry, BackupError> {
    let entry = copy_bytes(holding.store(), path, staged, into).await?;
    let copy = object_store::path::Path::from(staged.to_string_lossy().as_ref());
    holding.check(path, copies, &copy).await?;
    Ok(entry)
}

async fn copy_bytes(
    store: &dyn ObjectStore,
    path: &object_store::path::Path,
    staged: &Path,
    into: &Path,
) -> Result<FileEntry, BackupError> {
    let missing = |error| {
        if matches!(error, object_store::Error::NotFound { .. }) {
            BackupError::ObjectMissing
        } else {
            error.into()
        }
    };
    let size = store.head(path).await.map_err(missing)?.size;
    let shown = into.join(staged);
    let io = |action| BackupError::io(action, &shown);
    // A leftover of an interrupted backup is removed, and an existing file or link is never written through.
    remove_beneath(into, staged).map_err(io("replace"))?;
    let mut file = HashedFile::create_beneath(into, staged).map_err(io("create"))?;
    let mut len = 0;
    while len < size {
        let chunk = len..size.min(len + CHUNK);
        let bytes = store.get_range(path, chunk.clone()).await.map_err(missing)?;
        if bytes.len() as u64 != chunk.end - chunk.start {
            return Err(BackupError::ObjectMissing);
        }
        file.write_all(&bytes).map_err(io("write"))?;
        len += bytes.len() as u64;
    }
    let (len, hash) = file.finish().map_err(io("sync"))?;
    Ok(FileEntry {
        path: Text::sanitized(path.as_ref()),
        len,
        hash,
    })
}
