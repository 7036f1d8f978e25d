//! What was answered about a canary, for the time of one probe. Nothing of it is stored, because the canary is of no one.

use std::collections::BTreeMap;

use concordat_disclosure::{Entropy, OwnersOf, Reserved, SpaceLimits, Themselves};
use concordat_engine::{AnswerMemory, LockedMemory, NewMemory, QueryError, UnitMemory};
use concordat_protocol::error_kind::ErrorKind;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::scope::Loss;
use futures::future::BoxFuture;
use tokio::sync::{Mutex, MutexGuard};

/// The memory of one probe.
#[derive(Debug)]
pub(super) struct CanaryMemory(Mutex<Memories>);

#[derive(Debug)]
struct Memories {
    limits: SpaceLimits,
    subjects: UnitMemory,
    rows: BTreeMap<DatasetName, UnitMemory>,
}

impl CanaryMemory {
    /// A memory of no answer.
    ///
    /// # Errors
    /// [`QueryError`] if there is no memory within these limits.
    pub(super) fn new(limits: SpaceLimits, entropy: &mut dyn Entropy) -> Result<Self, QueryError> {
        Ok(Self(Mutex::new(Memories {
            limits,
            subjects: empty(limits, &mut Themselves, entropy)?,
            rows: BTreeMap::new(),
        })))
    }

    /// Reserves the loss of one query.
    ///
    /// # Errors
    /// [`QueryError`] if that is more than is left.
    pub(super) async fn reserve(&self, loss: Loss) -> Result<Reserved, QueryError> {
        let reserved = self.0.lock().await.subjects.reserve(loss, loss.query());
        let reserved = reserved.map_err(|error| QueryError::Reported {
            kind: ErrorKind::Denied,
            text: error.to_string(),
        });
        reserved.map(|(reserved, _)| reserved)
    }
}

fn empty(
    limits: SpaceLimits,
    owners_of: &mut dyn OwnersOf,
    entropy: &mut dyn Entropy,
) -> Result<UnitMemory, QueryError> {
    let memory = UnitMemory::restored(std::iter::empty::<&[u8]>(), limits, owners_of, entropy);
    memory.map_err(|error| QueryError::Reported {
        kind: ErrorKind::Internal,
        text: error.to_string(),
    })
}

impl AnswerMemory for CanaryMemory {
    fn locked<'a>(
        &'a self,
        rows_of: Option<&'a DatasetName>,
    ) -> BoxFuture<'a, Result<Box<dyn LockedMemory + 'a>, QueryError>> {
        Box::pin(async move {
            let memories = self.0.lock().await;
            Ok(Box::new(Locked { memories, rows_of }) as Box<dyn LockedMemory + 'a>)
        })
    }
}

/// The memory while one answer is decided. What is dropped halfway needs no records: the probe ends with it.
struct Locked<'a> {
    memories: MutexGuard<'a, Memories>,
    rows_of: Option<&'a DatasetName>,
}

impl LockedMemory for Locked<'_> {
    fn memories(&mut self) -> (&mut UnitMemory, Option<&mut UnitMemory>) {
        let rows_of = self.rows_of;
        let Memories { subjects, rows, .. } = &mut *self.memories;
        (subjects, rows_of.and_then(|dataset| rows.get_mut(dataset)))
    }

    fn restore_rows(&mut self, owners_of: &mut dyn OwnersOf, entropy: &mut dyn Entropy) -> Result<(), QueryError> {
        if let Some(dataset) = self.rows_of
            && !self.memories.rows.contains_key(dataset)
        {
            let rows = empty(self.memories.limits, owners_of, entropy)?;
            self.memories.rows.insert(dataset.clone(), rows);
        }
        Ok(())
    }

    fn changing(&mut self) {}

    fn store(&mut self, _: NewMemory) -> BoxFuture<'_, Result<(), QueryError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn complete(&mut self) {}
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::{DeltaExponent, MicroRho};

    use super::*;
    use crate::sharing::memory::OsEntropy;

    fn memory() -> CanaryMemory {
        let limits = SpaceLimits {
            k: 10,
            distinctions: 8,
            bytes: 1 << 20,
        };
        CanaryMemory::new(limits, &mut OsEntropy::new().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn canary_memory_is_the_same_for_all_statements() {
        let memory = memory();
        let visits = DatasetName::new("visits").unwrap();
        let mut entropy = OsEntropy::new().unwrap();
        let mut first = memory.locked(Some(&visits)).await.unwrap();
        assert!(first.memories().1.is_none());
        first.restore_rows(&mut Themselves, &mut entropy).unwrap();
        assert!(first.memories().1.is_some());
        drop(first);
        let mut of_subjects = memory.locked(None).await.unwrap();
        assert!(of_subjects.memories().1.is_none());
        drop(of_subjects);
        let mut again = memory.locked(Some(&visits)).await.unwrap();
        assert!(again.memories().1.is_some());
    }

    #[tokio::test]
    async fn canary_memory_counts_the_loss_of_each_statement() {
        let memory = memory();
        let rho = |millionths: u64| MicroRho::new(millionths).unwrap();
        let loss = Loss::new(rho(10), rho(25), DeltaExponent::new(6).unwrap()).unwrap();
        assert!(memory.reserve(loss).await.is_ok());
        assert!(memory.reserve(loss).await.is_ok());
        assert!(matches!(
            memory.reserve(loss).await,
            Err(QueryError::Reported {
                kind: ErrorKind::Denied,
                ..
            })
        ));
    }
}
