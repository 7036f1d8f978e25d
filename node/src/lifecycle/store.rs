//! Monitors the object store, if objects are stored in one.
//!
//! The store is checked periodically, so that `status` and `/readyz` are accurate without contacting it themselves. When it becomes
//! available again, the caller does what was postponed.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use concordat_protocol::error_kind::chain;
use concordat_storage::data_dir::Storage;
use concordat_storage::objects::LocationError;

/// How often the store is checked: a node reports not ready a few seconds after its store fails, at the cost of one small request each.
pub(super) const STORE_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Why the store cannot be used.
#[derive(Clone, Debug)]
struct StoreUnavailable {
    /// The reason; the same text for as long as the reason is the same.
    reason: String,
    /// The reason with the error of the last check.
    detail: String,
}

impl StoreUnavailable {
    /// The state until the first check.
    fn not_checked() -> Self {
        let reason = "the object store has not answered yet";
        Self {
            reason: reason.to_owned(),
            detail: reason.to_owned(),
        }
    }

    fn of(error: &LocationError) -> Self {
        Self {
            reason: error.to_string(),
            detail: chain(error),
        }
    }
}

/// Whether the object store could be used at the last check.
#[derive(Debug)]
pub(super) struct StoreHealth(Mutex<Option<StoreUnavailable>>);

impl StoreHealth {
    /// The state until the first check: unavailable, unless objects are in the data directory.
    pub(super) fn new(storage: &Storage) -> Self {
        Self(Mutex::new(storage.is_remote().then(StoreUnavailable::not_checked)))
    }

    /// Why the store cannot be used now; `None` if it can be used, or if there is none.
    pub(super) fn unavailable(&self) -> Option<String> {
        self.last().as_ref().map(|unavailable| unavailable.detail.clone())
    }

    /// Checks the store. Returns whether it is available again.
    pub(super) async fn check(&self, storage: &Storage) -> bool {
        let found = storage.check_objects().await;
        self.note(found.as_ref().err().map(StoreUnavailable::of))
    }

    fn note(&self, found: Option<StoreUnavailable>) -> bool {
        let before = std::mem::replace(&mut *self.last(), found.clone());
        match (before, found) {
            (Some(before), Some(now)) if before.reason == now.reason => false,
            (_, Some(now)) => {
                tracing::error!(error = now.detail, "no dataset can be read or changed");
                false
            }
            (Some(_), None) => {
                tracing::info!("the object store is available again");
                true
            }
            (None, None) => false,
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<StoreUnavailable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
