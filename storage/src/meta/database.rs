//! The database: sled, its lock, and what each commit states.

use std::{
    fmt,
    fs::{File, TryLockError},
    num::NonZeroUsize,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{Builder, available_parallelism},
};

use concordat_keys::{
    StateKey,
    fs::{create_dir_private, lock_exclusive, open_or_create_regular, open_regular},
};
use sled::{
    Transactional, Tree,
    transaction::{ConflictableTransactionError, TransactionError, TransactionalTree},
};
use zeroize::Zeroizing;

use super::{
    MetaError,
    codec::{HashedKey, hashed, open_value},
    commits::{self, Commits},
    contents::Contents,
    head::Head,
    sled_files::check_files,
};

/// Most memory that sled's page cache may take. Everything is read when a database is opened, so a large one fills it at once. What a node
/// reads again and again are a few values for each query, which are a small part of this.
const CACHE_BYTES: u64 = 12 * 1000 * 1000;
/// Most threads that read a database when it is opened.
const READERS: usize = 4;
/// Size of a database from which several threads read it: one of some megabytes is read in milliseconds, and each thread leaves memory behind.
const LARGE: u64 = 8 << 20;
/// Size of the file of a database from which a start reports that it reads it: a smaller one is read in a second.
const REPORTED: u64 = 1 << 30;
/// Readers for each processor: each of them waits for the disk about half of the time.
const READERS_PER_PROCESSOR: usize = 2;
/// Parts of a tree, each read by one thread. Most values are in a few trees, so the threads would not have equally much to read by trees alone.
const PARTS: u8 = 16;

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

/// A commit that is applied: everyone reads its values, and [`Database::until_durable`] waits until they are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "it may be lost in a power cut until it is durable"]
pub struct Applied(u64);

/// How far commits are on disk. Those that wait while one thread syncs share the next sync.
#[derive(Debug, Default)]
struct Durable {
    /// All commits up to this one are on disk.
    up_to: u64,
    /// Whether a thread syncs now.
    syncing: bool,
}

/// An opened database; no other process has it open.
pub(super) struct Database {
    pub(super) db: sled::Db,
    pub(super) key: StateKey,
    commits: Tree,
    commits_key: HashedKey,
    /// Held shared while a commit is applied, and exclusively while everything is read at one instant.
    pub(super) gate: RwLock<()>,
    head: Mutex<Head>,
    head_path: PathBuf,
    /// The newest commit that is applied.
    applied: AtomicU64,
    durable: Mutex<Durable>,
    synced: Condvar,
    /// How often the disk was waited for.
    pub(super) syncs: AtomicU64,
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
        let commits = guarded(|| Ok(db.open_tree(commits::TREE)?))?;
        let commits_key = hashed(&key, commits::TREE, commits::TREE);
        let database = Self {
            db,
            key,
            commits,
            commits_key,
            gate: RwLock::default(),
            head: Mutex::new(head),
            head_path,
            applied: AtomicU64::new(0),
            durable: Mutex::default(),
            synced: Condvar::new(),
            syncs: AtomicU64::new(0),
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
        let found = found.map(|sealed| Commits::open(&self.key, &self.commits_key, &sealed));
        let found = found.transpose()?.unwrap_or_default();
        let contents = self.contents()?;
        self.applied.store(found.count, Ordering::SeqCst);
        self.durable().up_to = found.count;
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        check(&mut head, &self.head_path, &self.key, found.count)?;
        drop(head);
        if contents == found.contents {
            Ok(())
        } else {
            Err(MetaError::OtherValues)
        }
    }

    /// The hash of all values that there are.
    fn contents(&self) -> Result<Contents, MetaError> {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = processors.saturating_mul(READERS_PER_PROCESSOR).min(READERS);
        let is_large = guarded(|| Ok(self.db.size_on_disk()?))? >= LARGE;
        self.contents_by(if is_large { threads } else { 1 })
    }

    /// The hash of all values that there are, by so many threads, which read parts of the trees.
    fn contents_by(&self, threads: usize) -> Result<Contents, MetaError> {
        let names = guarded(|| Ok(self.db.tree_names()))?;
        let trees = names.iter().filter(|name| **name != self.commits.name());
        let parts: Vec<_> = trees
            .flat_map(|name| (0..PARTS).map(move |part| (name, part)))
            .collect();
        let next = AtomicUsize::new(0);
        let read = || -> Result<Contents, MetaError> {
            let mut contents = Contents::default();
            while let Some((name, part)) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                contents.join(self.contents_of(name, *part)?);
            }
            Ok(contents)
        };
        std::thread::scope(|scope| {
            // Parts that a thread cannot be started for are read by the others.
            let others: Vec<_> = (1..threads)
                .filter_map(|_| Builder::new().spawn_scoped(scope, read).ok())
                .collect();
            let mut contents = read()?;
            for other in others {
                contents.join(other.join().unwrap_or(Err(MetaError::Damaged))?);
            }
            Ok(contents)
        })
    }

    fn contents_of(&self, tree: &[u8], part: u8) -> Result<Contents, MetaError> {
        guarded(|| {
            let mut contents = Contents::default();
            for entry in self.db.open_tree(tree)?.range(keys_of(part)) {
                let (hashed, sealed) = entry?;
                contents.add(&self.key, tree, &hashed, &sealed);
            }
            Ok(contents)
        })
    }

    /// Applies all steps or none, and returns when they are on disk.
    pub(super) fn commit(&self, ops: &[Op]) -> Result<(), MetaError> {
        let applied = self.apply_all(ops)?;
        self.until_durable(applied)
    }

    /// Applies all steps or none. They are on disk together with any later commit: the database writes commits in their order.
    pub(super) fn apply_all(&self, ops: &[Op]) -> Result<Applied, MetaError> {
        let _running = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let mut trees = vec![self.commits.clone()];
        for op in ops {
            if !trees.iter().any(|tree| tree.name() == op.tree.name()) {
                trees.push(op.tree.clone());
            }
        }
        let count = guarded(|| {
            trees
                .as_slice()
                .transaction(|views| self.apply(&trees, views, ops))
                .map_err(unwrap_abort)
        })?;
        self.applied.fetch_max(count, Ordering::SeqCst);
        Ok(Applied(count))
    }

    /// Waits until a commit is on disk. One thread syncs, for all commits that are applied when it begins.
    pub(super) fn until_durable(&self, Applied(count): Applied) -> Result<(), MetaError> {
        let mut durable = self.durable();
        while durable.up_to < count && durable.syncing {
            durable = self.synced.wait(durable).unwrap_or_else(PoisonError::into_inner);
        }
        if durable.up_to >= count {
            return Ok(());
        }
        durable.syncing = true;
        drop(durable);
        let up_to = self.applied.load(Ordering::SeqCst);
        let synced = self.sync(up_to);
        let mut durable = self.durable();
        durable.syncing = false;
        if synced.is_ok() {
            durable.up_to = durable.up_to.max(up_to);
        }
        // After a failure the next of those that wait tries itself, and gets its own error.
        self.synced.notify_all();
        synced
    }

    /// Makes all commits durable that are applied.
    pub(super) fn sync_applied(&self) -> Result<(), MetaError> {
        self.until_durable(Applied(self.applied.load(Ordering::SeqCst)))
    }

    fn sync(&self, up_to: u64) -> Result<(), MetaError> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        guarded(|| Ok(self.db.flush().map(drop)?))?;
        // The commits are durable only now, so `head` may be raised only now.
        self.head
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .raise(&self.head_path, &self.key, up_to)
    }

    fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(
        &self,
        trees: &[Tree],
        views: &[TransactionalTree],
        ops: &[Op],
    ) -> Result<u64, ConflictableTransactionError<MetaError>> {
        let abort = ConflictableTransactionError::Abort;
        let commits = views.first().ok_or(abort(MetaError::Damaged))?;
        let mut after = match commits.get(self.commits_key)? {
            Some(sealed) => Commits::open(&self.key, &self.commits_key, &sealed).map_err(abort)?,
            None => Commits::default(),
        };
        for op in ops {
            let view = trees
                .iter()
                .zip(views)
                .find(|(tree, _)| tree.name() == op.tree.name())
                .map(|(_, view)| view);
            self.apply_one(view.ok_or(abort(MetaError::Damaged))?, op, &mut after.contents)?;
        }
        after.count = after.count.saturating_add(1);
        let sealed = after.seal(&self.key, &self.commits_key).map_err(abort)?;
        commits.insert(&self.commits_key, sealed)?;
        Ok(after.count)
    }

    fn apply_one(
        &self,
        view: &TransactionalTree,
        op: &Op,
        contents: &mut Contents,
    ) -> Result<(), ConflictableTransactionError<MetaError>> {
        let tree = op.tree.name();
        let before = match &op.change {
            Change::Put(sealed) => {
                contents.add(&self.key, &tree, &op.key, sealed);
                view.insert(&op.key, sealed.as_slice())?
            }
            Change::Remove => view.remove(&op.key)?,
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
                None
            }
        };
        if let Some(before) = before {
            contents.remove(&self.key, &tree, &op.key, &before);
        }
        Ok(())
    }
}

/// The keys of a part: those whose first byte is in its range. Keys are hashes, so all parts have about equally many. The first part also has the
/// empty key, which is never written, so that it is found if someone else did.
fn keys_of(part: u8) -> (Bound<[u8; 1]>, Bound<[u8; 1]>) {
    const WIDTH: u8 = u8::MAX / PARTS + 1;
    let first = part.saturating_mul(WIDTH);
    let begin = match part {
        0 => Bound::Unbounded,
        _ => Bound::Included([first]),
    };
    let end = match first.checked_add(WIDTH) {
        Some(next) => Bound::Excluded([next]),
        None => Bound::Unbounded,
    };
    (begin, end)
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
    check_files(&path)?;
    report_if_long(&path.join("db"));
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
    Ok(config.flush_every_ms(None).open()?)
}

/// Reports what a start waits for: sled reads the whole file, also if another person has extended it.
fn report_if_long(file: &Path) {
    if let Ok(found) = std::fs::metadata(file)
        && found.len() >= REPORTED
    {
        let path = file.display();
        tracing::info!(%path, bytes = found.len(), "reading the state database; a large one takes a while");
    }
}

/// Waits until sled has released its file: it closes on its own threads, after the last handle is dropped. The caller holds the
/// lock of the directory, so this waits only for a closed database of the same process.
fn wait_until_closed(file: &Path) -> Result<(), MetaError> {
    let waited = open_regular(file).and_then(|file| file.lock());
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
    let file = open_or_create_regular(&path).map_err(|source| MetaError::Io {
        action: "open",
        path: path.clone(),
        source,
    })?;
    match lock_exclusive(&file) {
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

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds as _;

    use super::*;
    use crate::meta::{SealedDb, TreeId, tests::state_key};

    #[test]
    fn several_threads_read_what_one_reads() {
        let dir = tempfile::tempdir().unwrap();
        let db = SealedDb::open(dir.path(), state_key()).unwrap();
        for name in ["first", "second", "third"] {
            let tree = db.tree::<u64>(TreeId::new(name)).unwrap();
            for number in 0..50 {
                let _not_awaited = tree.apply(&number.to_string(), &number).unwrap();
            }
        }
        let one = db.database().contents_by(1).unwrap();
        assert_ne!(one, Contents::default());
        assert_eq!(db.database().contents_by(READERS).unwrap(), one);
    }

    #[test]
    fn each_key_is_in_one_part_of_a_tree() {
        for first in 0..=u8::MAX {
            let parts = (0..PARTS).filter(|part| keys_of(*part).contains(&[first]));
            assert_eq!(parts.count(), 1, "{first}");
        }
        let unbounded = (0..PARTS).filter(|part| keys_of(*part).0 == Bound::Unbounded);
        assert_eq!(unbounded.collect::<Vec<_>>(), [0], "the empty key");
    }
}
