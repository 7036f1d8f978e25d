//! Which logs are open, and with what.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use concordat_keys::AnswersKey;
use concordat_protocol::ids::KeyId;

use super::AnswersError;

/// What the logs of one dataset are sealed with, and where new ones are created.
#[derive(Debug)]
pub(crate) struct LogKeys {
    /// Seals the records.
    pub(super) key: AnswersKey,
    /// The folder: the id of a key of the dataset, which the statement of its erasure names.
    pub(super) folder: KeyId,
}

impl LogKeys {
    /// The key of the answers about a dataset, and the id of the key that seals its data now.
    #[must_use]
    pub(crate) const fn new(key: AnswersKey, folder: KeyId) -> Self {
        Self { key, folder }
    }
}

/// The keys of the heads of the logs that are open, each with the log that was created for it since.
#[derive(Clone, Debug, Default)]
pub(super) struct Opened(Arc<Mutex<BTreeMap<String, Option<PathBuf>>>>);

/// The right to have a log open; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Opening {
    key: String,
    opened: Opened,
}

impl Opened {
    /// The logs that were created and that a head may not name yet.
    pub(super) fn created(&self) -> BTreeSet<PathBuf> {
        self.locked().values().flatten().cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Option<PathBuf>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opening {
    /// # Errors
    /// [`AnswersError::InUse`] if the log is open already.
    pub(super) fn begin(key: String, opened: &Opened) -> Result<Self, AnswersError> {
        let mut keys = opened.locked();
        if keys.contains_key(&key) {
            return Err(AnswersError::InUse);
        }
        keys.insert(key.clone(), None);
        drop(keys);
        Ok(Self {
            key,
            opened: opened.clone(),
        })
    }

    /// The key of the head in the state.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Notes that a log is created that no head names yet.
    pub(super) fn creates(&self, path: PathBuf) {
        self.opened.locked().insert(self.key.clone(), Some(path));
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.opened.locked().remove(&self.key);
    }
}
