//! The database: one directory, one process.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use concordat_protocol::{ids::Digest32, labels};
use serde::{Serialize, de::DeserializeOwned};
use sled::{
    Transactional, Tree,
    transaction::{ConflictableTransactionError, TransactionError, TransactionalTree},
};

use super::{
    Batch, MetaError, SealedTree, TreeId,
    batch::{Change, Op},
    codec::{HashedKey, decode, encode, hashed, open_value, seal_value},
    head::Head,
};
use crate::{keys::StateKey, seal::durable::create_dir_private};

/// Most memory that sled's page cache may take: 32 MB.
const CACHE_BYTES: u64 = 32 * 1000 * 1000;

/// The tree and key of the commit counter.
const COMMITS: &str = "concordat-commits";

/// The state database of one node.
#[derive(Clone)]
pub struct SealedDb(Arc<Inner>);

pub(super) struct Inner {
    pub(super) db: sled::Db,
    pub(super) key: StateKey,
    commits: Tree,
    commits_key: HashedKey,
    /// Shared by commits, taken alone by whoever reads everything at one instant.
    pub(super) gate: RwLock<()>,
    head: Mutex<Head>,
    head_path: PathBuf,
    /// Held for as long as the database is open.
    _lock: File,
}

impl SealedDb {
    /// Opens the database in `dir`, creating it (0700) if there is none.
    ///
    /// # Errors
    /// [`MetaError::InUse`] if another process has it open; [`MetaError::Damaged`], [`MetaError::Value`] or
    /// [`MetaError::RolledBack`] if it is not what was written.
    pub fn open(dir: &Path, key: StateKey) -> Result<Self, MetaError> {
        Self::open_with(dir, key, Head::check)
    }

    /// The same with another way to bring the counter beside the database in line with it.
    pub(super) fn open_with(
        dir: &Path,
        key: StateKey,
        check: impl FnOnce(&mut Head, &Path, &StateKey, u64) -> Result<(), MetaError>,
    ) -> Result<Self, MetaError> {
        create_dir_private(&dir.join("sled")).map_err(|source| MetaError::Io {
            action: "create",
            path: dir.to_owned(),
            source,
        })?;
        let lock = lock(dir)?;
        let head_path = dir.join("head");
        let head = Head::open(&head_path, &key)?;
        let db = guarded(|| open_sled(dir))?;
        let commits = guarded(|| Ok(db.open_tree(COMMITS)?))?;
        let commits_key = hashed(&key, COMMITS, COMMITS);
        let inner = Inner {
            db,
            key,
            commits,
            commits_key,
            gate: RwLock::default(),
            head: Mutex::new(head),
            head_path,
            _lock: lock,
        };
        inner.check_head(check)?;
        Ok(Self(Arc::new(inner)))
    }

    /// A tree of values of one type.
    ///
    /// # Errors
    /// If the database fails.
    pub fn tree<V: Serialize + DeserializeOwned>(&self, id: TreeId) -> Result<SealedTree<V>, MetaError> {
        let tree = guarded(|| Ok(self.0.db.open_tree(id.as_str())?))?;
        Ok(SealedTree::new(self.clone(), id, tree))
    }

    /// Names the value under `key` of a tree by its contents; `None` if there is not one.
    ///
    /// # Errors
    /// [`MetaError::Value`] if it was changed or moved.
    pub fn fingerprint(&self, id: TreeId, key: &str) -> Result<Option<Digest32>, MetaError> {
        let tree: SealedTree<ciborium::Value> = self.tree(id)?;
        let value = tree.get(key)?;
        let named = |value| Ok(Digest32::sha256(labels::STATE_VALUE_HASH, &tree.encoded(key, &value)?));
        value.map(named).transpose()
    }

    /// Does everything in the batch or nothing, and returns when it is on disk.
    ///
    /// # Errors
    /// [`MetaError::Conflict`] if the batch expected another value.
    pub fn commit(&self, batch: Batch) -> Result<(), MetaError> {
        self.0.commit(&batch.into_ops())
    }

    /// Bytes that the database takes on the disk.
    ///
    /// # Errors
    /// If the disk cannot be read.
    pub fn size_on_disk(&self) -> Result<u64, MetaError> {
        guarded(|| Ok(self.0.db.size_on_disk()?))
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    fn check_head(
        &self,
        check: impl FnOnce(&mut Head, &Path, &StateKey, u64) -> Result<(), MetaError>,
    ) -> Result<(), MetaError> {
        let found = guarded(|| Ok(self.commits.get(self.commits_key)?))?;
        let found = found.map_or(Ok(0), |sealed| self.read_count(&sealed))?;
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        check(&mut head, &self.head_path, &self.key, found)
    }

    fn read_count(&self, sealed: &[u8]) -> Result<u64, MetaError> {
        let plain = open_value(&self.key, COMMITS, &self.commits_key, sealed)?;
        decode::<u64>(COMMITS, &plain).map(|(_, count)| count)
    }

    fn commit(&self, ops: &[Op]) -> Result<(), MetaError> {
        let _running = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let mut trees = vec![self.commits.clone()];
        for op in ops {
            if !trees.iter().any(|tree| tree.name() == op.tree.name()) {
                trees.push(op.tree.clone());
            }
        }
        let count = guarded(|| {
            let count = trees
                .as_slice()
                .transaction(|views| self.apply(&trees, views, ops))
                .map_err(unwrap_abort)?;
            self.db.flush()?;
            Ok(count)
        })?;
        // Only now is the commit durable, so only now may `head` say so.
        self.head
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .raise(&self.head_path, &self.key, count)
    }

    fn apply(
        &self,
        trees: &[Tree],
        views: &[TransactionalTree],
        ops: &[Op],
    ) -> Result<u64, ConflictableTransactionError<MetaError>> {
        for op in ops {
            let view = trees
                .iter()
                .zip(views)
                .find(|(tree, _)| tree.name() == op.tree.name())
                .map(|(_, view)| view);
            let view = view.ok_or(ConflictableTransactionError::Abort(MetaError::Damaged))?;
            self.apply_one(view, op)?;
        }
        let commits = views
            .first()
            .ok_or(ConflictableTransactionError::Abort(MetaError::Damaged))?;
        let abort = ConflictableTransactionError::Abort;
        let count = match commits.get(self.commits_key)? {
            Some(sealed) => self.read_count(&sealed).map_err(abort)?.saturating_add(1),
            None => 1,
        };
        let plain = encode(COMMITS, COMMITS, &count).map_err(abort)?;
        let sealed = seal_value(&self.key, COMMITS, &self.commits_key, &plain).map_err(abort)?;
        commits.insert(&self.commits_key, sealed)?;
        Ok(count)
    }

    fn apply_one(&self, view: &TransactionalTree, op: &Op) -> Result<(), ConflictableTransactionError<MetaError>> {
        match &op.change {
            Change::Put(sealed) => view.insert(&op.key, sealed.as_slice())?.map_or((), drop),
            Change::Remove => view.remove(&op.key)?.map_or((), drop),
            Change::Expect(expected) => {
                let found = view.get(op.key)?;
                let found = found
                    .map(|sealed| open_value(&self.key, op.name, &op.key, &sealed))
                    .transpose();
                let found = found.map_err(ConflictableTransactionError::Abort)?;
                if found.as_deref() != expected.as_deref() {
                    return Err(ConflictableTransactionError::Abort(MetaError::Conflict {
                        tree: op.name,
                    }));
                }
            }
        }
        Ok(())
    }
}

fn unwrap_abort(error: TransactionError<MetaError>) -> MetaError {
    match error {
        TransactionError::Abort(error) => error,
        TransactionError::Storage(error) => error.into(),
    }
}

/// Opens sled's part of the folder.
pub(super) fn open_sled(dir: &Path) -> Result<sled::Db, MetaError> {
    let path = dir.join("sled");
    wait_until_closed(&path.join("db"))?;
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
    Ok(config.flush_every_ms(None).open()?)
}

/// Waits until sled has let go of its file: it closes on threads of its own, after the last handle is gone. Whoever holds
/// the lock of the directory waits only for a closed database of its own process.
fn wait_until_closed(file: &Path) -> Result<(), MetaError> {
    let waited = File::open(file).and_then(|file| file.lock());
    match waited {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(MetaError::Io {
            action: "lock",
            path: file.to_owned(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn lock(dir: &Path) -> Result<File, MetaError> {
    let path = dir.join("lock");
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let file = opened.map_err(|source| MetaError::Io {
        action: "open",
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(MetaError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(MetaError::Io {
            action: "lock",
            path,
            source,
        }),
    }
}

/// Runs a call into sled, which panics on some kinds of damage, and reports such a panic as damage.
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T, MetaError>) -> Result<T, MetaError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(MetaError::Damaged))
}

impl fmt::Debug for SealedDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedDb").finish_non_exhaustive()
    }
}
