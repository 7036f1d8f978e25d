//! A memory that is restored from its logs.

use std::collections::BTreeMap;

use concordat_disclosure::{Entropy, OwnersOf, Replay, Reserved, SpaceLimits, Spent, Themselves};
use concordat_engine::UnitMemory;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Loss, MicroRho};
use concordat_storage::answers::{AnswerLog, MemorySpace, MemoryUnit, StoredRecord};
use concordat_storage::catalog::{AnswerLogs, CatalogError};

use super::entropy::OsEntropy;
use super::error::MemoryError;
use super::key::MemoryKey;
use super::row_records::RowRecords;

/// The memory of a collection for an owner.
#[derive(Debug)]
pub(super) struct Restored {
    limits: SpaceLimits,
    pub(super) subjects: UnitMemory,
    /// `None` while its records are written.
    log: Option<AnswerLog>,
    rows: BTreeMap<DatasetName, Rows>,
    /// Whether it has what the records have.
    pub(super) is_current: bool,
}

/// The memory of the rows of a dataset, of one version.
#[derive(Debug)]
struct Rows {
    version: VersionNumber,
    log: Option<AnswerLog>,
    of: RowMemory,
}

/// Sets of rows are compared once it is known to which subjects rows belong.
#[derive(Debug)]
enum RowMemory {
    /// The records.
    Read(Replay),
    /// The memory that they lead to.
    Restored(Box<UnitMemory>),
    /// Nothing, because they lead to none.
    Failed,
}

/// The logs that are written.
#[derive(Debug)]
pub(super) struct Logs {
    pub(super) subjects: AnswerLog,
    pub(super) rows: Option<AnswerLog>,
}

impl Restored {
    /// The memory of subjects. Blocks.
    ///
    /// # Errors
    /// [`MemoryError`] if its records are not there, or not those of a memory.
    pub(super) fn open(answers: &AnswerLogs, key: &MemoryKey, limits: SpaceLimits) -> Result<Self, MemoryError> {
        let mut replay = Replay::default();
        let log = opened(answers, key, MemoryUnit::Subjects, |_, record| replay.read(record))?;
        let mut entropy = OsEntropy::new()?;
        Ok(Self {
            limits,
            subjects: UnitMemory::replayed(replay, limits, &mut Themselves, &mut entropy)?,
            log: Some(log),
            rows: BTreeMap::new(),
            is_current: true,
        })
    }

    /// Whether it has what the records have, and was restored within these limits.
    pub(super) fn is_within(&self, limits: SpaceLimits) -> bool {
        self.is_current && self.limits == limits
    }

    /// Reads the records of the rows of a dataset, unless those of this version were read. Blocks.
    ///
    /// # Errors
    /// [`MemoryError`] if they are not there.
    pub(super) fn open_rows(
        &mut self,
        answers: &AnswerLogs,
        key: &MemoryKey,
        (dataset, version): (&DatasetName, VersionNumber),
    ) -> Result<(), MemoryError> {
        let is_usable = |rows: &Rows| rows.version == version && !matches!(rows.of, RowMemory::Failed);
        if self.rows.get(dataset).is_some_and(is_usable) {
            return Ok(());
        }
        // A log is open once.
        self.rows.remove(dataset);
        let mut records = RowRecords::of(version);
        let unit = MemoryUnit::Rows(dataset.clone());
        let log = opened(answers, key, unit, |_, record| records.read(record))?;
        let rows = Rows {
            version,
            log: Some(log),
            of: RowMemory::Read(records.into_replay()),
        };
        self.rows.insert(dataset.clone(), rows);
        Ok(())
    }

    /// The memories, with that of the rows of a dataset if it is restored.
    pub(super) fn memories(&mut self, rows_of: Option<&DatasetName>) -> (&mut UnitMemory, Option<&mut UnitMemory>) {
        let rows = rows_of.and_then(|dataset| self.rows.get_mut(dataset));
        let rows = rows.and_then(|rows| match &mut rows.of {
            RowMemory::Restored(memory) => Some(memory.as_mut()),
            RowMemory::Read(_) | RowMemory::Failed => None,
        });
        (&mut self.subjects, rows)
    }

    /// Restores the memory of the rows of a dataset from the records that were read.
    ///
    /// # Errors
    /// [`MemoryError`] if they do not lead to a memory, or were not read.
    pub(super) fn restore_rows(
        &mut self,
        dataset: &DatasetName,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<(), MemoryError> {
        let rows = self.rows.get_mut(dataset).ok_or(MemoryError::Closed)?;
        match std::mem::replace(&mut rows.of, RowMemory::Failed) {
            RowMemory::Read(replay) => {
                let memory = UnitMemory::replayed(replay, self.limits, owners_of, entropy)?;
                rows.of = RowMemory::Restored(Box::new(memory));
                Ok(())
            }
            RowMemory::Restored(memory) => {
                rows.of = RowMemory::Restored(memory);
                Ok(())
            }
            RowMemory::Failed => Err(MemoryError::Closed),
        }
    }

    /// Reserves loss of privacy; see [`UnitMemory::reserve`].
    pub(super) fn reserve(&mut self, limits: Loss, rho: MicroRho) -> Result<(Reserved, Vec<u8>), Spent> {
        self.subjects.reserve(limits, rho)
    }

    /// The logs, to write to them. They are returned with [`Self::return_logs`].
    ///
    /// # Errors
    /// [`MemoryError::Closed`] if they are being written.
    pub(super) fn take_logs(&mut self, rows_of: Option<&DatasetName>) -> Result<Logs, MemoryError> {
        let rows = match rows_of {
            Some(dataset) => {
                let rows = self.rows.get_mut(dataset).ok_or(MemoryError::Closed)?;
                Some(rows.log.take().ok_or(MemoryError::Closed)?)
            }
            None => None,
        };
        let subjects = self.log.take().ok_or(MemoryError::Closed)?;
        Ok(Logs { subjects, rows })
    }

    /// Returns logs that have been written.
    pub(super) fn return_logs(&mut self, rows_of: Option<&DatasetName>, logs: Logs) {
        self.log = Some(logs.subjects);
        if let Some(rows) = rows_of.and_then(|dataset| self.rows.get_mut(dataset)) {
            rows.log = logs.rows;
        }
    }

    /// Closes the logs: the memory is restored before it is used again.
    pub(super) fn close(&mut self) {
        self.is_current = false;
        self.log = None;
        self.rows.clear();
    }
}

fn opened(
    answers: &AnswerLogs,
    key: &MemoryKey,
    unit: MemoryUnit,
    each: impl FnMut(StoredRecord, &[u8]),
) -> Result<AnswerLog, CatalogError> {
    let space = MemorySpace::new(key.created, key.owner.clone(), unit);
    answers.open(&key.name, &space, each)
}
