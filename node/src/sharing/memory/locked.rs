//! A memory while one answer is decided, and how its records become durable.

use std::sync::Arc;

use concordat_disclosure::{AnsweredFigures, Entropy, OwnersOf, Reserved, Spent};
use concordat_engine::{LockedMemory, NewMemory, QueryError, UnitMemory};
use concordat_protocol::ids::DatasetName;
use concordat_protocol::scope::{Loss, MicroRho};
use concordat_storage::answers::{AnswerLog, Appended};
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::Ledger;
use concordat_storage::meta::MetaError;
use futures::future::BoxFuture;
use tokio::sync::OwnedMappedMutexGuard;

use super::error::MemoryError;
use super::restored::{Logs, Restored};

/// Where the memory of an owner is.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Locked while an answer is decided. `None` until the memory is restored.
    pub(super) restored: Arc<tokio::sync::Mutex<Option<Restored>>>,
    /// Locked while records are written, also if the answer is not awaited any more.
    pub(super) writing: Arc<tokio::sync::Mutex<()>>,
}

/// With what records are written.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    pub(super) storage: Storage,
    pub(super) ledger: Ledger,
    pub(super) slot: Arc<Slot>,
}

/// The locked memory of an owner. If it is dropped before what was begun is complete, it is closed.
#[derive(Debug)]
pub(super) struct Locked {
    restored: OwnedMappedMutexGuard<Option<Restored>, Restored>,
    rows_of: Option<DatasetName>,
    writer: Writer,
    is_complete: bool,
}

impl Locked {
    /// `rows_of` is the dataset whose rows are counted.
    pub(super) fn new(
        restored: OwnedMappedMutexGuard<Option<Restored>, Restored>,
        rows_of: Option<DatasetName>,
        writer: Writer,
    ) -> Self {
        Self {
            restored,
            rows_of,
            writer,
            is_complete: true,
        }
    }

    /// Reserves loss of privacy; see [`UnitMemory::reserve`].
    pub(super) fn reserve(&mut self, limits: Loss, rho: MicroRho) -> Result<(Reserved, Vec<u8>), Spent> {
        self.restored.reserve(limits, rho)
    }

    /// The figures with noise that were released so far.
    pub(super) fn answered(&self) -> AnsweredFigures {
        self.restored.subjects.known().answered()
    }

    /// The loss of privacy that was reserved so far, in millionths of `rho`.
    pub(super) fn spent(&self) -> u64 {
        self.restored.subjects.known().spent()
    }

    /// Writes records on a thread for blocking tasks. It goes on to its end if this future is dropped.
    ///
    /// # Errors
    /// [`MemoryError`]; the memory is closed then.
    pub(super) async fn write(&mut self, records: NewMemory) -> Result<(), MemoryError> {
        self.is_complete = false;
        let writing = Arc::clone(&self.writer.slot.writing).try_lock_owned();
        let writing = writing.map_err(|_| MemoryError::Closed)?;
        let logs = self.restored.take_logs(self.rows_of.as_ref())?;
        let writer = self.writer.clone();
        // In this order: if this future is dropped, the logs are closed before another one may open them.
        let written = tokio::task::spawn_blocking(move || (writer.write(logs, &records), writing));
        let (logs, writing) = written.await?;
        self.restored.return_logs(self.rows_of.as_ref(), logs?);
        drop(writing);
        Ok(())
    }
}

impl Writer {
    /// Appends records to the logs, and makes them count together with the present head of the ledger. Durable when it returns. Blocks.
    fn write(&self, logs: Logs, records: &NewMemory) -> Result<Logs, MemoryError> {
        let subjects = Writing::append(logs.subjects, &records.subjects)?;
        let rows = logs.rows.map(|log| Writing::append(log, &records.rows)).transpose()?;
        let meta = self.storage.meta();
        let ((), change) = self.ledger.apply(meta, |_, batch| {
            for appended in [Some(&subjects), rows.as_ref()].into_iter().flatten() {
                if let Writing::Appended(appended) = appended {
                    appended.stage(batch)?;
                }
            }
            Ok::<_, MetaError>(())
        })?;
        self.ledger.until_durable(meta, change)?;
        Ok(Logs {
            subjects: subjects.into_log()?,
            rows: rows.map(Writing::into_log).transpose()?,
        })
    }
}

/// A log to which there may be something to write.
enum Writing {
    Unchanged(AnswerLog),
    Appended(Appended),
}

impl Writing {
    fn append(log: AnswerLog, records: &[Vec<u8>]) -> Result<Self, MemoryError> {
        if records.is_empty() {
            return Ok(Self::Unchanged(log));
        }
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        Ok(Self::Appended(log.append(&records)?))
    }

    fn into_log(self) -> Result<AnswerLog, MemoryError> {
        match self {
            Self::Unchanged(log) => Ok(log),
            Self::Appended(appended) => Ok(appended.into_log()?),
        }
    }
}

impl LockedMemory for Locked {
    fn memories(&mut self) -> (&mut UnitMemory, Option<&mut UnitMemory>) {
        self.restored.memories(self.rows_of.as_ref())
    }

    fn restore_rows(&mut self, owners_of: &mut dyn OwnersOf, entropy: &mut dyn Entropy) -> Result<(), QueryError> {
        let Some(dataset) = &self.rows_of else { return Ok(()) };
        let restored = self.restored.restore_rows(dataset, owners_of, entropy);
        restored.map_err(|error| error.to_query_error())
    }

    fn changing(&mut self) {
        self.is_complete = false;
    }

    fn store(&mut self, records: NewMemory) -> BoxFuture<'_, Result<(), QueryError>> {
        // From here on, also if the future is never awaited.
        self.is_complete = false;
        Box::pin(async move { self.write(records).await.map_err(|error| error.to_query_error()) })
    }

    fn complete(&mut self) {
        self.is_complete = true;
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if !self.is_complete {
            self.restored.close();
        }
    }
}
