//! The database: sled, its lock and its commit counter.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
};

use concordat_keys::{StateKey, fs::create_dir_private};
use sled::{
    Transactional, Tree,
    transaction::{ConflictableTransactionError, TransactionError, TransactionalTree},
};
use zeroize::Zeroizing;

use super::{
    MetaError,
    codec::{HashedKey, decode, encode, hashed, open_value, seal_value},
    head::Head,
};

/// Most memory that sled's page cache may take: 32 MB.
const CACHE_BYTES: u64 = 32 * 1000 * 1000;

/// The tree and key of the commit counter.
const COMMITS: &str = "concordat-commits";

/// One step of a commit.
pub(super) struct Op {
    pub(super) tree: Tree,
    pub(super) name: &'static str,
    pub(super) key: HashedKey,
    pub(super) change: Change,
}

/// What a step does.
pub(super) enum Change {
    /// Store these sealed bytes.
    Put(Vec<u8>),
    /// Remove what is there.
    Remove,
    /// Continue only if this encoded value is there, or none if `None`.
    Expect(Option<Zeroizing<Vec<u8>>>),
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.change {
            Change::Put(_) => "put",
            Change::Remove => "remove",
            Change::Expect(_) => "expect",
        };
        write!(f, "{kind} in {}", self.name)
    }
}

/// An opened database; no other process has it open.
pub(super) struct Database {
    pub(super) db: sled::Db,
    pub(super) key: StateKey,
    commits: Tree,
    commits_key: HashedKey,
    /// Held shared by commits, and exclusively while everything is read at one instant.
    pub(super) gate: RwLock<()>,
    head: Mutex<Head>,
    head_path: PathBuf,
    /// Held while the database is open.
    _lock: File,
}

impl Database {
    /// Opens the database in `dir`, creating it (0700) if there is none. `check` compares the counter in the file with the
    /// database.
    pub(super) fn open(
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
        let database = Self {
            db,
            key,
            commits,
            commits_key,
            gate: RwLock::default(),
            head: Mutex::new(head),
            head_path,
            _lock: lock,
        };
        database.check_head(check)?;
        Ok(database)
    }

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

    /// Applies all steps or none, and returns when they are on disk.
    pub(super) fn commit(&self, ops: &[Op]) -> Result<(), MetaError> {
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
        // The commit is durable only now, so `head` may be raised only now.
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

/// Opens sled's subfolder.
pub(super) fn open_sled(dir: &Path) -> Result<sled::Db, MetaError> {
    let path = dir.join("sled");
    wait_until_closed(&path.join("db"))?;
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
    Ok(config.flush_every_ms(None).open()?)
}

/// Waits until sled has released its file: it closes on its own threads, after the last handle is dropped. The caller holds the
/// lock of the directory, so this waits only for a closed database of the same process.
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
