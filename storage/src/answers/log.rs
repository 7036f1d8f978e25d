//! The log of one memory space: reading it, and appending in two steps.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use concordat_keys::{KeyError, Wrapped};
use concordat_protocol::ids::Nonce;
use zeroize::Zeroizing;

use super::{
    AnswersError,
    file::{self, Medium},
    head::{LogHead, RecentLimits, SpaceHead},
    older_copies::Acknowledgment,
    opening::{LogKeys, Opening},
    record::{self, Each, MAX_RECORD, StoredRecord},
};
use crate::meta::{Batch, MetaError, SealedTree};

/// Most records of a log: a hundred a day for 27 years.
pub(super) const MAX_RECORDS: u64 = 1_000_000;

/// The opened log of one memory space. No other handle to it exists.
pub struct AnswerLog {
    source: Source,
    keys: LogKeys,
    /// The head that the state had last; `None` before the first answer.
    head: Option<SpaceHead>,
    medium: Option<Box<dyn Medium>>,
}

/// Where the records of a space are.
pub(super) struct Source {
    /// The folder of all logs.
    pub(super) dir: PathBuf,
    pub(super) heads: SealedTree<SpaceHead>,
    pub(super) limits: RecentLimits,
    pub(super) acknowledgment: Acknowledgment,
    pub(super) opening: Opening,
}

/// Records that are on disk, or in the head that goes into the state, and that do not count yet.
#[must_use = "no record counts before its head is in the state"]
pub struct Appended {
    log: AnswerLog,
    head: SpaceHead,
    records: Vec<StoredRecord>,
}

impl AnswerLog {
    /// Opens the log that the state knows, and passes each of its records to `each`; nothing is created yet if there is none.
    pub(super) fn open(source: Source, keys: LogKeys, each: &mut Each<'_>) -> Result<Self, AnswersError> {
        let head = source.heads.get(source.opening.key())?;
        let mut log = Self {
            source,
            keys,
            head,
            medium: None,
        };
        if let Some(head) = log.head.as_ref().filter(|head| head.log.records > 0) {
            log.medium = Some(Box::new(open(&log.path(head))?));
        }
        log.replay(each)?;
        Ok(log)
    }

    /// Reads all records and checks that they are those that the head covers.
    pub(super) fn replay(&self, each: &mut Each<'_>) -> Result<(), AnswersError> {
        let Some(head) = &self.head else { return Ok(()) };
        record::replay(self.medium.as_deref(), &self.keys.key, head, each)
            .map_err(|(number, bad)| AnswersError::record(self.path(head), number, bad))
    }

    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.head.as_ref().map_or(0, SpaceHead::records)
    }

    /// Reads a record of this log again.
    ///
    /// # Errors
    /// [`AnswersError::Damaged`] if it is not the one that was read or appended.
    pub fn read(&self, stored: &StoredRecord) -> Result<Zeroizing<Vec<u8>>, AnswersError> {
        let number = stored.number();
        let head = self.head.as_ref().ok_or_else(|| AnswersError::Damaged {
            path: self.source.dir.clone(),
            record: number,
            reason: "there is no log",
        })?;
        record::read(self.medium.as_deref(), &self.keys.key, head, stored)
            .map_err(|bad| AnswersError::record(self.path(head), number, bad))
    }

    /// Adds records after the head. Few and short ones go into the state with the head; otherwise all that are not in the log yet are written to
    /// it and synced. They count once the head of the result is in the state.
    ///
    /// # Errors
    /// [`AnswersError::Changed`] if the state has another head, [`AnswersError::TooLong`] and [`AnswersError::Full`] for a record or log that
    /// is too long, [`AnswersError::Damaged`] if the log was cut since it was opened, [`AnswersError::Io`]. The log is closed then,
    /// and what was written does not count.
    pub fn append(mut self, records: &[&[u8]]) -> Result<Appended, AnswersError> {
        check_limits(self.records(), records)?;
        if self.source.heads.get(self.source.opening.key())? != self.head {
            return Err(AnswersError::Changed);
        }
        let mut head = match &self.head {
            Some(head) => head.clone(),
            None => SpaceHead::empty(self.keys.folder, random_name()?),
        };
        let records = if head.fits(self.source.limits, records) {
            self.add_to_head(&mut head, records)?
        } else {
            self.add_to_log(&mut head, records)?
        };
        Ok(Appended {
            log: self,
            head,
            records,
        })
    }

    fn add_to_head(&self, head: &mut SpaceHead, records: &[&[u8]]) -> Result<Vec<StoredRecord>, AnswersError> {
        let mut end = head.end();
        let mut added = Vec::with_capacity(records.len());
        for plain in records {
            let sealed = self.seal(&end, plain)?;
            let stored = StoredRecord::after(&end, &sealed);
            end.push(stored.sealed_len, stored.hash);
            head.recent.push(sealed);
            added.push(stored);
        }
        Ok(added)
    }

    fn add_to_log(&mut self, head: &mut SpaceHead, records: &[&[u8]]) -> Result<Vec<StoredRecord>, AnswersError> {
        let path = self.path(head);
        let medium = match self.medium.take() {
            Some(medium) => medium,
            None => self.create(head)?,
        };
        cut(&*medium, &head.log, &path)?;
        for sealed in std::mem::take(&mut head.recent) {
            write(&*medium, &mut head.log, &sealed, &path)?;
        }
        let mut written = Vec::with_capacity(records.len());
        for plain in records {
            let sealed = self.seal(&head.log, plain)?;
            written.push(write(&*medium, &mut head.log, &sealed, &path)?);
        }
        medium.sync().map_err(AnswersError::io("sync", path))?;
        self.medium = Some(medium);
        Ok(written)
    }

    fn seal(&self, end: &LogHead, plain: &[u8]) -> Result<Wrapped, AnswersError> {
        let sealed = self.keys.key.seal(end.name.as_bytes(), end.records, plain);
        sealed.map_err(AnswersError::Key)
    }

    /// Creates the file of the first records.
    fn create(&self, head: &SpaceHead) -> Result<Box<dyn Medium>, AnswersError> {
        self.source.opening.creates(head.log.path());
        let created = file::create(&self.source.dir, &head.log.path());
        Ok(Box::new(created.map_err(AnswersError::io("create", self.path(head)))?))
    }

    fn path(&self, head: &SpaceHead) -> PathBuf {
        self.source.dir.join(head.log.path())
    }

    /// Puts another medium over that of the log.
    #[cfg(test)]
    pub(super) fn over(mut self, layer: impl FnOnce(Box<dyn Medium>) -> Box<dyn Medium>) -> Self {
        self.medium = self.medium.map(layer);
        self
    }
}

impl Appended {
    /// Adds the new head to a change of the state. Once that is durable, the records count, and the answer may leave. The change fails if the
    /// state has another head than the log was opened with, or if the dataset was erased.
    ///
    /// # Errors
    /// If the head cannot be sealed.
    pub fn stage(&self, batch: &mut Batch) -> Result<(), MetaError> {
        let Source {
            heads,
            acknowledgment,
            opening,
            ..
        } = &self.log.source;
        let key = opening.key();
        acknowledgment.expect(batch)?;
        batch
            .expect(heads, key, self.log.head.as_ref())?
            .put(heads, key, &self.head)?;
        Ok(())
    }

    /// The records that were appended, in order.
    #[must_use]
    pub fn records(&self) -> &[StoredRecord] {
        &self.records
    }

    /// The log with what the state has of it now: with the records if the change was applied, without them if not. The change must
    /// have been applied or dropped: the next append writes over records that do not count.
    ///
    /// # Errors
    /// [`AnswersError::Changed`] if the state has another head; the log is closed then.
    pub fn into_log(self) -> Result<AnswerLog, AnswersError> {
        let Self { mut log, head, .. } = self;
        let found = log.source.heads.get(log.source.opening.key())?;
        if found.as_ref() != Some(&head) && found != log.head {
            return Err(AnswersError::Changed);
        }
        log.head = found;
        if log.head.is_none() {
            log.medium = None;
        }
        Ok(log)
    }
}

fn open(path: &Path) -> Result<File, AnswersError> {
    file::open_existing(path).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            AnswersError::Damaged {
                path: path.to_owned(),
                record: 0,
                reason: "the log is missing",
            }
        } else {
            AnswersError::io("open", path.to_owned())(source)
        }
    })
}

pub(super) fn check_limits(present: u64, records: &[&[u8]]) -> Result<(), AnswersError> {
    if let Some(long) = records.iter().find(|record| record.len() > MAX_RECORD) {
        return Err(AnswersError::TooLong { bytes: long.len() });
    }
    if present.saturating_add(records.len() as u64) > MAX_RECORDS {
        return Err(AnswersError::Full { limit: MAX_RECORDS });
    }
    Ok(())
}

/// Removes what an interrupted append left after the head. A log that is shorter than its head is not continued: the hole would be filled
/// with zeros, and found at the next start only.
fn cut(medium: &dyn Medium, head: &LogHead, path: &Path) -> Result<(), AnswersError> {
    let length = medium.len().map_err(AnswersError::io("inspect", path.to_owned()))?;
    if length < head.bytes {
        return Err(AnswersError::Damaged {
            path: path.to_owned(),
            record: head.records.saturating_sub(1),
            reason: "the log was cut while it was open",
        });
    }
    if length > head.bytes {
        medium
            .cut(head.bytes)
            .map_err(AnswersError::io("cut", path.to_owned()))?;
    }
    Ok(())
}

/// Writes a record at the end of the log, and adds it to the head.
fn write(medium: &dyn Medium, head: &mut LogHead, sealed: &Wrapped, path: &Path) -> Result<StoredRecord, AnswersError> {
    let bytes = sealed.as_bytes().len();
    let framed = record::frame(sealed).ok_or(AnswersError::TooLong { bytes })?;
    medium
        .write_at(&framed, head.bytes)
        .map_err(AnswersError::io("write", path.to_owned()))?;
    let stored = StoredRecord::after(head, sealed);
    head.push(stored.sealed_len, stored.hash);
    Ok(stored)
}

fn random_name() -> Result<Nonce, AnswersError> {
    let mut name = [0; 16];
    getrandom::fill(&mut name).map_err(|error| AnswersError::Key(KeyError::Random(error)))?;
    Ok(Nonce::from_bytes(name))
}

impl fmt::Debug for AnswerLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnswerLog({} records)", self.records())
    }
}

impl fmt::Debug for Appended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Appended({} records)", self.records.len())
    }
}
