//! The memory of an owner, with its records in the logs of the data directory as in a node, and how long a decision takes.

use std::time::{Duration, Instant};

use concordat_disclosure::{Entropy, OwnersOf, Replay, SpaceLimits, Themselves, UnitSet};
use concordat_engine::{AnswerMemory, Changes, LockedMemory, NewMemory, QueryError, UnitMemory};
use concordat_protocol::{
    ids::{DatasetName, InstitutionId},
    schema::VersionNumber,
};
use concordat_storage::{
    answers::{AnswerLog, Appended, MemoryOwner, MemorySpace, MemoryUnit},
    data_dir::Storage,
    ledger::Ledger,
    meta::{Batch, MetaError},
};
use futures::future::{BoxFuture, ready};
use tokio::sync::{Mutex, MutexGuard};

use super::clinic::{Clinic, dataset, name};

/// The bounds of a memory, as a node has them.
pub(crate) const LIMITS: SpaceLimits = SpaceLimits {
    k: 10,
    distinctions: 512,
    bytes: 64 << 20,
};
/// The dataset whose rows are counted.
const ROWS_OF: &str = "prescription";

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

/// How long the parts of the latest decision took.
#[derive(Clone, Copy, Debug, Default)]
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
    storage: Storage,
    ledger: Ledger,
    subjects: Unit,
    rows: Unit,
    step: Step,
    decided: Decided,
}

/// The memory of one kind of units; that of rows is restored once their subjects can be found.
struct Unit {
    memory: Option<UnitMemory>,
    /// `None` while it is written.
    log: Option<AnswerLog>,
}

/// Where a decision is.
#[derive(Clone, Copy)]
enum Step {
    /// The version becomes known.
    Begun,
    /// The cells are decided, from this moment on.
    Deciding(Instant),
    /// Everything is durable, from this moment on.
    Stored(Instant),
}

impl Memory {
    /// The memory of an owner that was not answered yet, whose memory of subjects is that of `records`.
    pub(crate) fn new(clinic: &Clinic, owner: &str, records: &[Vec<u8>]) -> Self {
        let mut replay = Replay::default();
        records.iter().for_each(|record| replay.read(record));
        let subjects = UnitMemory::replayed(replay, LIMITS, &mut Themselves, &mut Seeded::new(1)).unwrap();
        Self(Mutex::new(State {
            storage: clinic.storage.clone(),
            ledger: clinic.ledger.clone(),
            subjects: Unit {
                memory: Some(subjects),
                log: Some(log(clinic, owner, MemoryUnit::Subjects)),
            },
            rows: Unit {
                memory: None,
                log: Some(log(clinic, owner, MemoryUnit::Rows(dataset(ROWS_OF)))),
            },
            step: Step::Begun,
            decided: Decided::default(),
        }))
    }

    /// How long the parts of the latest decision took.
    pub(crate) async fn decided(&self) -> Decided {
        self.0.lock().await.decided
    }
}

/// The log of an owner, which must have no records.
fn log(clinic: &Clinic, owner: &str, unit: MemoryUnit) -> AnswerLog {
    let datasets = clinic.storage.catalog().datasets();
    let created = datasets.collection(&name()).unwrap().created.unwrap();
    let owner = MemoryOwner::Institution(InstitutionId::new(owner).unwrap());
    let space = MemorySpace::new(created, owner, unit);
    let answers = clinic.storage.catalog().answers();
    let log = answers.open(&DatasetName::from(&name()), &space, |_, _| ()).unwrap();
    assert_eq!(log.records(), 0, "the step was run before in this directory");
    log
}

impl AnswerMemory for Memory {
    fn locked<'a>(
        &'a self,
        rows_of: Option<&'a DatasetName>,
    ) -> BoxFuture<'a, Result<Box<dyn LockedMemory + 'a>, QueryError>> {
        Box::pin(async move {
            assert!(rows_of.is_none_or(|dataset| dataset.as_str() == ROWS_OF), "{rows_of:?}");
            let state = self.0.lock().await;
            let counts_rows = rows_of.is_some();
            Ok(Box::new(Locked { state, counts_rows }) as Box<dyn LockedMemory + 'a>)
        })
    }
}

struct Locked<'a> {
    state: MutexGuard<'a, State>,
    counts_rows: bool,
}

impl LockedMemory for Locked<'_> {
    fn memories(&mut self) -> (&mut UnitMemory, Option<&mut UnitMemory>) {
        let counts_rows = self.counts_rows;
        let State { subjects, rows, .. } = &mut *self.state;
        let rows = rows.memory.as_mut().filter(|_| counts_rows);
        (subjects.memory.as_mut().unwrap(), rows)
    }

    fn restore_rows(&mut self, owners_of: &mut dyn OwnersOf, entropy: &mut dyn Entropy) -> Result<(), QueryError> {
        if self.state.rows.memory.is_none() {
            let restored = UnitMemory::replayed(Replay::default(), LIMITS, owners_of, entropy);
            self.state.rows.memory = Some(restored.unwrap());
        }
        Ok(())
    }

    fn changing(&mut self) {
        self.state.step = Step::Begun;
    }

    /// Blocks: no one else is answered meanwhile.
    fn store(&mut self, records: NewMemory) -> BoxFuture<'_, Result<(), QueryError>> {
        let began = Instant::now();
        self.state.write(&records);
        if let Step::Deciding(since) = self.state.step {
            self.state.decided.check = began.duration_since(since);
            self.state.decided.store = began.elapsed();
            self.state.step = Step::Stored(Instant::now());
        }
        Box::pin(ready(Ok(())))
    }

    fn complete(&mut self) {
        match self.state.step {
            Step::Begun => self.state.step = Step::Deciding(Instant::now()),
            Step::Deciding(_) => {}
            Step::Stored(since) => self.state.decided.commit = since.elapsed(),
        }
    }
}

impl State {
    /// Appends records to the logs, and makes them count together with the present head of the ledger. Durable when it returns.
    fn write(&mut self, records: &NewMemory) {
        let subjects = Writing::begin(&mut self.subjects, &records.subjects);
        let rows = Writing::begin(&mut self.rows, &records.rows);
        let meta = self.storage.meta();
        let ((), change) = self
            .ledger
            .apply(meta, |_, batch| {
                subjects.stage(batch)?;
                rows.stage(batch)
            })
            .unwrap();
        self.ledger.until_durable(meta, change).unwrap();
        self.subjects.log = Some(subjects.into_log());
        self.rows.log = Some(rows.into_log());
    }
}

/// A log to which there may be something to write.
enum Writing {
    Unchanged(AnswerLog),
    Appended(Appended),
}

impl Writing {
    fn begin(unit: &mut Unit, records: &[Vec<u8>]) -> Self {
        let log = unit.log.take().unwrap();
        if records.is_empty() {
            return Self::Unchanged(log);
        }
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        Self::Appended(log.append(&records).unwrap())
    }

    fn stage(&self, batch: &mut Batch) -> Result<(), MetaError> {
        match self {
            Self::Unchanged(_) => Ok(()),
            Self::Appended(appended) => appended.stage(batch),
        }
    }

    fn into_log(self) -> AnswerLog {
        match self {
            Self::Unchanged(log) => log,
            Self::Appended(appended) => appended.into_log().unwrap(),
        }
    }
}
