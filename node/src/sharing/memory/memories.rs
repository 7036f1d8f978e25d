//! All memories of this node, and the one that an answer belongs to.

use std::sync::{Arc, Mutex, PoisonError};

use concordat_disclosure::{AnsweredFigures, Reserved, SpaceLimits};
use concordat_engine::{AnswerMemory, LockedMemory, NewMemory, QueryError};
use concordat_protocol::ids::{CreationId, DatasetName};
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{Loss, MicroRho};
use concordat_storage::answers::MemoryOwner;
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::Ledger;
use futures::future::BoxFuture;
use tokio::sync::OwnedMutexGuard;

use super::error::MemoryError;
use super::key::MemoryKey;
use super::locked::{Locked, Slot, Writer};
use super::restored::Restored;

/// Most memories that stay restored. Restoring one takes seconds if it has hundreds of sets of a large collection, and its bases have up to
/// [`SpaceLimits::bytes`].
const MAX_RESTORED: usize = 16;

/// The memories of this node; clones share them.
#[derive(Clone, Debug)]
pub(in crate::sharing) struct AnswerMemories(Arc<Shared>);

/// What all clones share.
#[derive(Debug)]
struct Shared {
    storage: Storage,
    ledger: Ledger,
    /// The one that was used last is the last.
    slots: Mutex<Vec<(SlotKey, Arc<Slot>)>>,
}

/// The creation of a collection, and whose answers count together.
type SlotKey = (CreationId, MemoryOwner);

/// The memory of a collection for an owner, for an answer about a version.
#[derive(Clone, Debug)]
pub(in crate::sharing) struct CollectionMemory {
    memories: AnswerMemories,
    key: MemoryKey,
    version: VersionNumber,
    limits: SpaceLimits,
}

/// Loss of privacy that is reserved, and durable.
#[derive(Debug)]
pub(in crate::sharing) struct ReservedLoss {
    pub(in crate::sharing) reserved: Reserved,
    /// What is left for the owner, in millionths of `rho`.
    pub(in crate::sharing) left: u64,
}

impl AnswerMemories {
    /// Memories whose logs are in `storage`.
    pub(in crate::sharing) fn new(storage: Storage, ledger: Ledger) -> Self {
        Self(Arc::new(Shared {
            storage,
            ledger,
            slots: Mutex::default(),
        }))
    }

    /// The memory for an answer about a version. Its limits are those of all answers to the owner: a memory that was restored within others is
    /// restored again.
    pub(in crate::sharing) fn of(
        &self,
        key: MemoryKey,
        version: VersionNumber,
        limits: SpaceLimits,
    ) -> CollectionMemory {
        CollectionMemory {
            memories: self.clone(),
            key,
            version,
            limits,
        }
    }

    /// How many memories are restored.
    #[cfg(test)]
    pub(super) fn restored(&self) -> usize {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The slot of an owner. Of the others, those that no answer uses are closed if there are too many, the ones first that were not used for
    /// longest.
    fn slot(&self, key: &MemoryKey) -> Arc<Slot> {
        let key = (key.created, key.owner.clone());
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let known = slots.iter().position(|(other, _)| *other == key);
        let slot = known.map_or_else(Arc::default, |at| slots.remove(at).1);
        slots.push((key, Arc::clone(&slot)));
        let mut more = slots.len().saturating_sub(MAX_RESTORED);
        slots.retain(|(_, slot)| {
            let is_closed = more > 0 && Arc::strong_count(slot) == 1;
            more = more.saturating_sub(usize::from(is_closed));
            !is_closed
        });
        slot
    }
}

impl CollectionMemory {
    /// Reserves the loss of a query. It is durable when this returns, and counts whatever becomes of the query.
    ///
    /// # Errors
    /// [`MemoryError::Spent`] if that is more than is left, and as [`AnswerMemory::locked`].
    pub(in crate::sharing) async fn reserve(&self, limits: Loss, rho: MicroRho) -> Result<ReservedLoss, MemoryError> {
        let mut locked = self.lock(None).await?;
        locked.changing();
        match locked.reserve(limits, rho) {
            Ok((reserved, record)) => {
                let record = NewMemory {
                    subjects: vec![record],
                    rows: Vec::new(),
                };
                locked.write(record).await?;
                locked.complete();
                let left = limits.total().get().saturating_sub(locked.spent());
                Ok(ReservedLoss { reserved, left })
            }
            Err(spent) => {
                locked.complete();
                Err(spent.into())
            }
        }
    }

    /// The figures with noise that were released to the owner, and the loss that was reserved, in millionths of `rho`. Nothing changes.
    ///
    /// # Errors
    /// As [`AnswerMemory::locked`].
    pub(in crate::sharing) async fn used(&self) -> Result<(AnsweredFigures, u64), MemoryError> {
        let locked = self.lock(None).await?;
        Ok((locked.answered(), locked.spent()))
    }

    /// Waits until no other answer is decided for the owner, and restores the memory unless it is.
    async fn lock(&self, rows_of: Option<&DatasetName>) -> Result<Locked, MemoryError> {
        let slot = self.memories.slot(&self.key);
        let state = Arc::clone(&slot.restored).lock_owned().await;
        // An answer that is not awaited any more may still be written.
        drop(slot.writing.lock().await);
        let memory = self.clone();
        let dataset = rows_of.cloned();
        let in_use = Arc::clone(&slot);
        let restored = tokio::task::spawn_blocking(move || {
            let mut state = state;
            memory.restore(&mut state, dataset.as_ref())?;
            // A slot that is in use is not closed.
            drop(in_use);
            Ok::<_, MemoryError>(state)
        });
        let restored = OwnedMutexGuard::try_map(restored.await??, Option::as_mut);
        let writer = Writer {
            storage: self.memories.0.storage.clone(),
            ledger: self.memories.0.ledger.clone(),
            slot,
        };
        Ok(Locked::new(
            restored.map_err(|_| MemoryError::Closed)?,
            rows_of.cloned(),
            writer,
        ))
    }

    /// Makes `state` the memory as the records are now. Blocks.
    fn restore(&self, state: &mut Option<Restored>, rows_of: Option<&DatasetName>) -> Result<(), MemoryError> {
        let answers = self.memories.0.storage.catalog().answers();
        if let Some(known_until) = answers.known_until(&self.key.name)? {
            *state = None;
            return Err(MemoryError::OlderCopy { known_until });
        }
        if !state.as_ref().is_some_and(|found| found.is_within(self.limits)) {
            // A log is open once.
            *state = None;
            *state = Some(Restored::open(answers, &self.key, self.limits)?);
        }
        if let (Some(restored), Some(dataset)) = (state, rows_of) {
            restored.open_rows(answers, &self.key, (dataset, self.version))?;
        }
        Ok(())
    }
}

impl AnswerMemory for CollectionMemory {
    fn locked<'a>(
        &'a self,
        rows_of: Option<&'a DatasetName>,
    ) -> BoxFuture<'a, Result<Box<dyn LockedMemory + 'a>, QueryError>> {
        Box::pin(async move {
            let locked = self.lock(rows_of).await.map_err(|error| error.to_query_error())?;
            Ok(Box::new(locked) as Box<dyn LockedMemory + 'a>)
        })
    }
}
