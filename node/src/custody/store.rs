//! Whether the store that holds the objects can be used, where they lie in one.
//!
//! It is asked again and again, so that `status` and `/readyz` tell the truth without asking it themselves. When it comes back,
//! what could not be done meanwhile is done.

use std::{
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use concordat_storage::objects::PlaceError;
use tokio_util::sync::CancellationToken;

use super::Custody;
use crate::fault::chain;

/// How often the store is asked: a node is known to be unready some seconds after its store, at one small request each.
const PERIOD: Duration = Duration::from_secs(5);
/// Why the store cannot be used.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// The same words for as long as it is the same trouble.
    what: String,
    /// With what the last try ended with.
    all: String,
}

impl Trouble {
    /// What is said until the first answer.
    pub(super) fn not_asked() -> Self {
        let what = "the object store has not answered yet";
        Self {
            what: what.to_owned(),
            all: what.to_owned(),
        }
    }

    fn of(error: &PlaceError) -> Self {
        Self {
            what: error.to_string(),
            all: chain(error),
        }
    }
}

impl Custody {
    /// Why the store that holds the objects cannot be used now; none if it can, or if there is none.
    pub fn store_trouble(&self) -> Option<String> {
        self.trouble().as_ref().map(|trouble| trouble.all.clone())
    }

    /// Asks the store until the stage stops.
    pub(super) async fn watch_store(&self, stop: CancellationToken) {
        let watching = async {
            loop {
                let found = self.0.with.storage.check_objects().await;
                self.note(found.as_ref().err().map(Trouble::of)).await;
                tokio::time::sleep(PERIOD).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    async fn note(&self, found: Option<Trouble>) {
        let before = std::mem::replace(&mut *self.trouble(), found.clone());
        match (before, found) {
            (Some(before), Some(now)) if before.what == now.what => {}
            (_, Some(now)) => tracing::error!(error = now.all, "no dataset can be read or changed"),
            (Some(_), None) => {
                tracing::info!("the object store answers");
                self.collect_orphans().await;
                self.0.wake.notify_one();
            }
            (None, None) => {}
        }
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.0.store_trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
