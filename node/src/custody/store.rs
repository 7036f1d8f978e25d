//! Whether the store that holds the objects can be used, where they lie in one.
//!
//! It is asked again and again, so that `status` and `/readyz` tell the truth without asking it themselves. When it comes back,
//! what could not be done meanwhile is done.

use std::{sync::PoisonError, time::Duration};

use tokio_util::sync::CancellationToken;

use super::Custody;
use crate::fault::chain;

/// How often the store is asked: a node is known to be unready some seconds after its store, at one small request each.
const PERIOD: Duration = Duration::from_secs(5);
/// What is said until the first answer.
pub(super) const NOT_ASKED: &str = "the object store has not answered yet";

impl Custody {
    /// Why the store that holds the objects cannot be used now; none if it can, or if there is none.
    pub fn store_trouble(&self) -> Option<String> {
        self.trouble().clone()
    }

    /// Asks the store until the stage stops.
    pub(super) async fn watch_store(&self, stop: CancellationToken) {
        let watching = async {
            loop {
                let found = self.0.with.storage.look_at_objects().await;
                self.note(found.err().map(|error| chain(&error))).await;
                tokio::time::sleep(PERIOD).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    async fn note(&self, found: Option<String>) {
        let before = std::mem::replace(&mut *self.trouble(), found.clone());
        match (&before, &found) {
            (_, Some(error)) if before != found => tracing::error!(error, "no dataset can be read or changed"),
            (Some(_), None) => {
                tracing::info!("the object store answers");
                self.collect_orphans().await;
                self.0.wake.notify_one();
            }
            (None | Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.store_trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
