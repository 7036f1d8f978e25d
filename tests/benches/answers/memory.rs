//! The memory of an owner, with its records in the logs of the data directory as in a node, and how long a decision takes.
//!
//! As in `node/src/sharing/memory`: the memory of subjects is restored when it is opened; the log of the rows of a dataset is read when the
//! first query counts rows of that dataset, and the memory of these rows is restored from it once a process can find their subjects.
//! The collection has one version, so all records of rows are about it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use concordat_disclosure::{Entropy, OwnersOf, Replay, SpaceLimits, Themselves, UnitSet};
use concordat_engine::{AnswerMemory, Changes, LockedMemory, NewMemory, QueryError, UnitMemory};
use concordat_protocol::{ids::DatasetName, schema::VersionNumber, scope::DEFAULT_MIN_CELL};
use concordat_storage::answers::{AnswerLog, MemoryUnit};
use futures::future::{BoxFuture, ready};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    clinic::Clinic,
    logs::{Logs, OwnerLogs},
};

/// The bounds of a memory, as a node has them.
const LIMITS: SpaceLimits = SpaceLimits {
    k: DEFAULT_MIN_CELL,
    distinctions: 512,
    bytes: 64 << 20,
};

/// The same random bytes in every run.
pub(crate) struct Seeded(blake3::OutputReader);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

/// There is one version.
pub(crate) struct OneVersion;

impl Changes for OneVersion {
    fn subjects(&self, _: VersionNumber) -> Result<Option<UnitSet>, QueryError> {
        Ok(None)
    }

    fn rows(&self, _: &DatasetName, _: VersionNumber) -> Result<Option<UnitSet>, QueryError> {
        Ok(None)
    }
}

/// How long the parts of a decision took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided {
    /// From the report of the cells to the records of what is released: the audit, and the figures.
    pub(crate) check: Duration,
    /// Until these records were durable.
    pub(crate) store: Duration,
    /// Until the sets were in the bases.
    pub(crate) commit: Duration,
}

/// The memory of one owner.
pub(crate) struct Memory(Mutex<State>);

struct State {
    logs: OwnerLogs,
    subjects: UnitMemory,
    /// `None` while it is written.
    log: Option<AnswerLog>,
    rows: BTreeMap<DatasetName, Rows>,
    step: Step,
    decided: Option<Decided>,
    restored: Duration,
}

/// The memory of the rows of a dataset.
struct Rows {
    /// `None` while it is written.
    log: Option<AnswerLog>,
    /// The records, until the memory is restored from them.
    read: Option<Replay>,
    memory: Option<UnitMemory>,
}

/// Where a decision is.
#[derive(Clone, Copy)]
enum Step {
    /// The version becomes known.
    Begun,
    /// The cells are decided, from this moment on.
    Deciding(Instant),
    /// Everything is durable, from this moment on.
    Stored {
        check: Duration,
        store: Duration,
        since: Instant,
    },
}

impl Memory {
    /// The memory of an owner that was not answered yet.
    pub(crate) fn new(clinic: &Clinic, owner: &str) -> Self {
        Self::open(clinic, owner, |records| records == 0)
    }

    /// The memory of an owner that was answered before.
    pub(crate) fn restored(clinic: &Clinic, owner: &str) -> Self {
        Self::open(clinic, owner, |records| records > 0)
    }

    fn open(clinic: &Clinic, owner: &str, is_expected: impl FnOnce(u64) -> bool) -> Self {
        let began = Instant::now();
        let logs = OwnerLogs::of(clinic, owner);
        let mut replay = Replay::default();
        let log = logs.open(MemoryUnit::Subjects, |record| replay.read(record));
        let records = log.records();
        assert!(
            is_expected(records),
            "{owner} has {records} records: begin with an empty directory"
        );
        let subjects = UnitMemory::replayed(replay, LIMITS, &mut Themselves, &mut Seeded::new(1)).unwrap();
        Self(Mutex::new(State {
            logs,
            subjects,
            log: Some(log),
            rows: BTreeMap::new(),
            step: Step::Begun,
            decided: None,
            restored: began.elapsed(),
        }))
    }

    /// How long the parts of the latest decision took. There must have been one since the last call: a query that was answered before
    /// gets the same answer without one.
    pub(crate) async fn decided(&self) -> Decided {
        self.0.lock().await.decided.take().unwrap()
    }

    /// How long reading the logs and restoring the memories took so far.
    pub(crate) async fn restoring(&self) -> Duration {
        self.0.lock().await.restored
    }

    /// The datasets whose rows were counted so far.
    pub(crate) async fn counted(&self) -> Vec<DatasetName> {
        self.0.lock().await.rows.keys().cloned().collect()
    }
}

impl AnswerMemory for Memory {
    fn locked<'a>(
        &'a self,
        rows_of: Option<&'a DatasetName>,
    ) -> BoxFuture<'a, Result<Box<dyn LockedMemory + 'a>, QueryError>> {
        Box::pin(async move {
            let mut state = self.0.lock().await;
            if let Some(dataset) = rows_of {
                state.open_rows(dataset);
            }
            Ok(Box::new(Locked { state, rows_of }) as Box<dyn LockedMemory + 'a>)
        })
    }
}

struct Locked<'a> {
    state: MutexGuard<'a, State>,
    rows_of: Option<&'a DatasetName>,
}

impl LockedMemory for Locked<'_> {
    fn memories(&mut self) -> (&mut UnitMemory, Option<&mut UnitMemory>) {
        let State { subjects, rows, .. } = &mut *self.state;
        let rows = self.rows_of.and_then(|dataset| rows.get_mut(dataset));
        (subjects, rows.and_then(|rows| rows.memory.as_mut()))
    }

    fn restore_rows(&mut self, owners_of: &mut dyn OwnersOf, entropy: &mut dyn Entropy) -> Result<(), QueryError> {
        if let Some(dataset) = self.rows_of {
            self.state.restore_rows(dataset, owners_of, entropy);
        }
        Ok(())
    }

    fn changing(&mut self) {
        self.state.step = Step::Begun;
    }

    /// Blocks: no one else is answered meanwhile.
    fn store(&mut self, records: NewMemory) -> BoxFuture<'_, Result<(), QueryError>> {
        let began = Instant::now();
        self.state.write(self.rows_of, &records);
        if let Step::Deciding(since) = self.state.step {
            self.state.step = Step::Stored {
                check: began.duration_since(since),
                store: began.elapsed(),
                since: Instant::now(),
            };
        }
        Box::pin(ready(Ok(())))
    }

    fn complete(&mut self) {
        match self.state.step {
            Step::Begun => self.state.step = Step::Deciding(Instant::now()),
            Step::Deciding(_) => {}
            Step::Stored { check, store, since } => {
                let commit = since.elapsed();
                self.state.decided = Some(Decided { check, store, commit });
            }
        }
    }
}

impl State {
    /// Reads the records of the rows of a dataset, unless they were read.
    fn open_rows(&mut self, dataset: &DatasetName) {
        if self.rows.contains_key(dataset) {
            return;
        }
        let began = Instant::now();
        let mut replay = Replay::default();
        let unit = MemoryUnit::Rows(dataset.clone());
        let log = self.logs.open(unit, |record| replay.read(record));
        let rows = Rows {
            log: Some(log),
            read: Some(replay),
            memory: None,
        };
        self.rows.insert(dataset.clone(), rows);
        self.restored += began.elapsed();
    }

    fn restore_rows(&mut self, dataset: &DatasetName, owners_of: &mut dyn OwnersOf, entropy: &mut dyn Entropy) {
        let began = Instant::now();
        let rows = self.rows.get_mut(dataset).unwrap();
        if let Some(read) = rows.read.take() {
            rows.memory = Some(UnitMemory::replayed(read, LIMITS, owners_of, entropy).unwrap());
        }
        self.restored += began.elapsed();
    }

    fn write(&mut self, rows_of: Option<&DatasetName>, records: &NewMemory) {
        let mut rows = rows_of.map(|dataset| self.rows.get_mut(dataset).unwrap());
        let logs = Logs {
            subjects: self.log.take().unwrap(),
            rows: rows.as_mut().map(|rows| rows.log.take().unwrap()),
        };
        let logs = self.logs.write(logs, records);
        self.log = Some(logs.subjects);
        if let Some(rows) = rows {
            rows.log = logs.rows;
        }
    }
}
