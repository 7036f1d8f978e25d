//! All logs of one data directory.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use concordat_keys::fs::{open_regular, sync_dir};
use concordat_protocol::{
    ids::{CreationId, KeyId, Nonce},
    time::Timestamp,
};

use super::{
    AnswersError, MemorySpace, StoredRecord,
    head::{HEADS, LogHead, RecentLimits, SpaceHead},
    log::{AnswerLog, Source},
    older_copies::OlderCopies,
    opening::{LogKeys, Opened, Opening},
    record,
};
use crate::meta::{Batch, MetaError, SealedDb, SealedTree};

/// A log, as far as the state covers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogExtent(LogHead);

impl LogExtent {
    /// Where it is, below the folder of all logs.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// Its length in bytes.
    pub(crate) const fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Checks that a copy at `path` has the records that the state covers; needs no key.
    ///
    /// # Errors
    /// [`AnswersError::Damaged`] if it has not.
    pub(crate) fn check_copy(&self, path: &Path) -> Result<(), AnswersError> {
        let copy = open_regular(path).map_err(AnswersError::io("open", path.to_owned()))?;
        record::check_log(&copy, &self.0).map_err(|(number, bad)| AnswersError::record(path.to_owned(), number, bad))
    }
}

/// The logs of answers of one data directory.
#[derive(Debug)]
pub(crate) struct AnswerStore {
    dir: PathBuf,
    meta: SealedDb,
    heads: SealedTree<SpaceHead>,
    copies: OlderCopies,
    opened: Opened,
    limits: RecentLimits,
}

impl AnswerStore {
    /// The logs in the folder `dir`, which must exist, and their heads in the state.
    pub(crate) fn open(dir: &Path, meta: &SealedDb) -> Result<Self, MetaError> {
        Self::with_limits(dir, meta, RecentLimits::DEFAULT)
    }

    pub(super) fn with_limits(dir: &Path, meta: &SealedDb, limits: RecentLimits) -> Result<Self, MetaError> {
        Ok(Self {
            dir: dir.to_owned(),
            meta: meta.clone(),
            heads: meta.tree(HEADS)?,
            copies: OlderCopies::open(meta)?,
            opened: Opened::default(),
            limits,
        })
    }

    /// Opens the log of a space and passes its records to `each`, the oldest first. What `each` got must not be used after an error. One
    /// record at a time is in memory.
    ///
    /// # Errors
    /// [`AnswersError::OlderCopy`] until it is acknowledged that answers may be missing; [`AnswersError::Changed`] if the dataset is not known;
    /// [`AnswersError::InUse`]; [`AnswersError::Damaged`] if the records are not those that were released.
    pub(crate) fn open_log(
        &self,
        space: &MemorySpace,
        keys: LogKeys,
        mut each: impl FnMut(StoredRecord, &[u8]),
    ) -> Result<AnswerLog, AnswersError> {
        // Before the head is read: an erasure between the two is found when a head is committed.
        let acknowledgment = self.copies.acknowledgment(space.created())?;
        let source = Source {
            dir: self.dir.clone(),
            heads: self.heads.clone(),
            limits: self.limits,
            acknowledgment,
            opening: Opening::begin(space.to_string(), &self.opened)?,
        };
        AnswerLog::open(source, keys, &mut each)
    }

    /// Until when all answers about a dataset are known; `None` if there is no such limit.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(crate) fn known_until(&self, created: CreationId) -> Result<Option<Timestamp>, MetaError> {
        self.copies.known_until(created)
    }

    /// Acknowledges that answers about a dataset which were given after [`AnswerStore::known_until`] are not counted. Durable when it
    /// returns.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub(crate) fn acknowledge(&self, created: CreationId) -> Result<(), MetaError> {
        let mut batch = Batch::new();
        self.copies.acknowledge(&mut batch, created)?;
        self.meta.commit(batch)
    }

    /// Makes a dataset known that was imported by a version without logs of answers. The caller prevents that it is erased meanwhile.
    pub(crate) fn add_dataset(&self, created: CreationId) -> Result<(), MetaError> {
        self.copies.add(created)
    }

    /// Adds to a change of the state that a dataset is new, so that no answers about it can be missing.
    pub(crate) fn stage_new(&self, batch: &mut Batch, created: CreationId) -> Result<(), MetaError> {
        self.copies.acknowledge(batch, created)
    }

    /// Adds to a change of the state that no log of a dataset is known any more. A head that is committed just before the change does not count
    /// after it, because the acknowledgment of its dataset is missing; [`AnswerStore::collect_orphans`] removes it.
    pub(crate) fn stage_erasure(&self, batch: &mut Batch, created: CreationId) -> Result<(), MetaError> {
        let is_of = |key: &str| MemorySpace::created_in(key) == Some(created);
        for (key, _) in self.heads.iter()?.filter(|(key, _)| is_of(key)) {
            batch.remove(&self.heads, &key);
        }
        self.copies.forget(batch, created);
        Ok(())
    }

    /// Removes the logs of an erased dataset, which had these keys.
    pub(crate) fn remove_folders(&self, keys: &[KeyId]) -> Result<(), AnswersError> {
        for key in keys {
            let folder = self.dir.join(key.to_string());
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(AnswersError::io("remove", folder)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        sync_dir(&self.dir).map_err(AnswersError::io("sync", self.dir.clone()))
    }

    /// All logs, as far as the state covers them. They only grow, so a copy that is made later contains what was covered.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(crate) fn extents(&self) -> Result<Vec<LogExtent>, MetaError> {
        let heads: Vec<_> = self.heads.iter()?.collect();
        let datasets = self.copies.datasets()?;
        let counts = |key: &str| MemorySpace::created_in(key).is_some_and(|created| datasets.contains(&created));
        let logs = heads.into_iter().filter(|(key, _)| counts(key));
        Ok(logs
            .map(|(_, head)| head.log)
            .filter(|log| log.records > 0)
            .map(LogExtent)
            .collect())
    }

    /// Removes what interrupted appends and erasures left: heads of erased datasets, and logs that no other head names. Returns how many logs
    /// there were.
    ///
    /// # Errors
    /// If the state cannot be read, or a file cannot be removed.
    pub(crate) fn collect_orphans(&self) -> Result<u64, AnswersError> {
        // In this order: a log that is created is noted before there is a file, and its head is committed before that is over; a dataset
        // is known before it has a head.
        let files = self.files()?;
        let in_use = self.opened.created();
        let heads: Vec<_> = self.heads.iter()?.collect();
        let datasets = self.copies.datasets()?;
        let mut named = BTreeSet::new();
        for (key, head) in heads {
            match MemorySpace::created_in(&key) {
                Some(created) if !datasets.contains(&created) => self.heads.remove(&key)?,
                Some(_) | None => drop(named.insert(head.log.path())),
            }
        }
        let mut removed = 0;
        for file in files {
            if named.contains(&file) || in_use.contains(&file) {
                continue;
            }
            let path = self.dir.join(file);
            fs::remove_file(&path).map_err(AnswersError::io("remove", path))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// The files that have the names of logs; others do not belong to this module.
    fn files(&self) -> Result<Vec<PathBuf>, AnswersError> {
        let mut files = Vec::new();
        for folder in names(&self.dir)?
            .into_iter()
            .filter(|name| name.parse::<KeyId>().is_ok())
        {
            let below = names(&self.dir.join(&folder))?;
            let logs = below.into_iter().filter(|name| is_log(name));
            files.extend(logs.map(|name| Path::new(&folder).join(name)));
        }
        Ok(files)
    }
}

fn is_log(name: &str) -> bool {
    let stem = name.strip_suffix(".log").unwrap_or_default();
    stem.parse::<Nonce>().is_ok()
}

/// The names in a folder that are text.
fn names(folder: &Path) -> Result<Vec<String>, AnswersError> {
    let io = || AnswersError::io("read", folder.to_owned());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io())? {
        names.extend(entry.map_err(io())?.file_name().into_string().ok());
    }
    Ok(names)
}
