//! The logs of what one owner was answered, as a node opens them and writes to them.

use concordat_engine::NewMemory;
use concordat_protocol::ids::{CreationId, DatasetName, InstitutionId};
use concordat_storage::{
    answers::{AnswerLog, Appended, MemoryOwner, MemorySpace, MemoryUnit},
    data_dir::Storage,
    ledger::Ledger,
    meta::{Batch, MetaError},
};

use super::clinic::{Clinic, name};

/// Where the logs of an owner are.
pub(crate) struct OwnerLogs {
    storage: Storage,
    ledger: Ledger,
    created: CreationId,
    owner: MemoryOwner,
}

/// The logs that an answer is written to.
pub(crate) struct Logs {
    pub(crate) subjects: AnswerLog,
    /// That of the rows that are counted.
    pub(crate) rows: Option<AnswerLog>,
}

impl OwnerLogs {
    /// Those of an institution, about the collection of the clinic.
    pub(crate) fn of(clinic: &Clinic, owner: &str) -> Self {
        let record = clinic.storage.catalog().datasets().collection(&name()).unwrap();
        Self {
            storage: clinic.storage.clone(),
            ledger: clinic.ledger.clone(),
            created: record.created.unwrap(),
            owner: MemoryOwner::Institution(InstitutionId::new(owner).unwrap()),
        }
    }

    /// Opens the log of these units, and passes its records to `each`.
    pub(crate) fn open(&self, unit: MemoryUnit, mut each: impl FnMut(&[u8])) -> AnswerLog {
        let space = MemorySpace::new(self.created, self.owner.clone(), unit);
        let answers = self.storage.catalog().answers();
        let name = DatasetName::from(&name());
        answers.open(&name, &space, |_, record| each(record)).unwrap()
    }

    /// Appends records to the logs, and makes them count together with the present head of the ledger. Durable when it returns. Blocks.
    pub(crate) fn write(&self, logs: Logs, records: &NewMemory) -> Logs {
        let subjects = Writing::begin(logs.subjects, &records.subjects);
        let rows = logs.rows.map(|log| Writing::begin(log, &records.rows));
        let meta = self.storage.meta();
        let ((), change) = self
            .ledger
            .apply(meta, |_, batch| {
                subjects.stage(batch)?;
                rows.as_ref().map_or(Ok(()), |rows| rows.stage(batch))
            })
            .unwrap();
        self.ledger.until_durable(meta, change).unwrap();
        Logs {
            subjects: subjects.into_log(),
            rows: rows.map(Writing::into_log),
        }
    }
}

/// A log to which there may be something to write.
enum Writing {
    Unchanged(AnswerLog),
    Appended(Appended),
}

impl Writing {
    fn begin(log: AnswerLog, records: &[Vec<u8>]) -> Self {
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
