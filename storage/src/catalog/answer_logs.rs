//! What was answered about the datasets: each log is sealed with a key of its dataset.

use std::sync::Arc;

use concordat_protocol::{ids::DatasetName, time::Timestamp};

use super::{CatalogError, datasets::Datasets, keyring::Keyring};
use crate::answers::{AnswerLog, AnswerStore, LogExtent, LogKeys, MemorySpace, StoredRecord};

/// The logs of answers of the datasets that there are.
#[derive(Debug)]
pub struct AnswerLogs {
    pub(super) datasets: Arc<Datasets>,
    pub(super) keys: Arc<Keyring>,
    pub(super) store: Arc<AnswerStore>,
}

impl AnswerLogs {
    /// Opens the log of a space of a dataset and passes its records to `each`, the oldest first; see [`AnswerStore::open_log`].
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if the dataset with this name is not the one of the space; [`CatalogError::Answers`].
    pub fn open(
        &self,
        name: &DatasetName,
        space: &MemorySpace,
        each: impl FnMut(StoredRecord, &[u8]),
    ) -> Result<AnswerLog, CatalogError> {
        let keys = {
            let _changes = self.datasets.lock_changes();
            let record = self.datasets.record(name)?;
            if record.created != Some(space.created()) {
                return Err(CatalogError::NotFound { name: name.clone() });
            }
            self.store.add_dataset(space.created())?;
            self.keys.open_keys(&record)?
        };
        let keys = LogKeys::new(keys.pseudonyms.answers_key(), keys.current.id());
        Ok(self.store.open_log(space, keys, each)?)
    }

    /// Until when all answers about a dataset are known; `None` if there is no such limit. A limit comes from a restore, and nothing is
    /// answered until a steward acknowledges it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name.
    pub fn known_until(&self, name: &DatasetName) -> Result<Option<Timestamp>, CatalogError> {
        let created = self.datasets.record(name)?.created;
        created.map_or(Ok(None), |created| Ok(self.store.known_until(created)?))
    }

    /// Acknowledges that answers about a dataset which are missing since a restore do not count. Durable when it returns.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name.
    pub fn acknowledge(&self, name: &DatasetName) -> Result<(), CatalogError> {
        let _changes = self.datasets.lock_changes();
        let created = self.datasets.record(name)?.created;
        created.map_or(Ok(()), |created| Ok(self.store.acknowledge(created)?))
    }

    /// All logs, as far as the state covers them now.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub(crate) fn extents(&self) -> Result<Vec<LogExtent>, CatalogError> {
        Ok(self.store.extents()?)
    }
}
