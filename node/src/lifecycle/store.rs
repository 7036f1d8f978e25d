//! Monitors the object store, if objects are stored in one.
//!
//! The store is checked periodically, so that `status` and `/readyz` are accurate without contacting it themselves. When it becomes
//! available again, postponed work is done.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use concordat_protocol::error_kind::chain;
use concordat_storage::objects::LocationError;
use tokio_util::sync::CancellationToken;

use super::Lifecycle;

/// How often the store is checked: a node reports not ready a few seconds after its store fails, at the cost of one small request each.
const STORE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Why the store cannot be used.
#[derive(Clone, Debug)]
pub(super) struct StoreUnavailable {
    /// The reason; the same text for as long as the reason is the same.
    reason: String,
    /// The reason with the error of the last check.
    detail: String,
}

impl StoreUnavailable {
    /// The state until the first check.
    pub(super) fn not_checked() -> Self {
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

impl Lifecycle {
    /// Why the object store cannot be used now; `None` if it can be used, or if there is none.
    pub fn store_unavailable(&self) -> Option<String> {
        self.availability()
            .as_ref()
            .map(|unavailable| unavailable.detail.clone())
    }

    /// Checks the store periodically until the stage stops.
    pub(super) async fn watch_store(&self, stop: CancellationToken) {
        let watching = async {
            loop {
                let found = self.0.with.storage.check_objects().await;
                self.note(found.as_ref().err().map(StoreUnavailable::of)).await;
                tokio::time::sleep(STORE_CHECK_INTERVAL).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    async fn note(&self, found: Option<StoreUnavailable>) {
        let before = std::mem::replace(&mut *self.availability(), found.clone());
        match (before, found) {
            (Some(before), Some(now)) if before.reason == now.reason => {}
            (_, Some(now)) => tracing::error!(error = now.detail, "no dataset can be read or changed"),
            (Some(_), None) => {
                tracing::info!("the object store is available again");
                self.collect_orphans().await;
                self.0.wake.notify_one();
            }
            (None, None) => {}
        }
    }

    fn availability(&self) -> MutexGuard<'_, Option<StoreUnavailable>> {
        self.0.store_unavailable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
