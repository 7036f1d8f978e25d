//! Encrypts datasets with their new keys, in the background.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use concordat_protocol::error_kind::{ErrorKind, Explain, chain};
use concordat_protocol::ids::DatasetName;
use concordat_storage::catalog::{Catalog, Reencrypted};
use tokio::sync::Notify;

/// Bytes per second that it reads: this leaves most of a disk and of a core to queries.
const RATE: u64 = 64 * 1024 * 1024;

/// The datasets that are being re-encrypted.
#[derive(Debug, Default)]
pub(super) struct Reencryption {
    progress: Mutex<BTreeMap<DatasetName, Reencrypted>>,
    wake: Notify,
}

impl Reencryption {
    /// Re-encrypts the datasets that are pending, one after the other, as long as `keep_going` returns true. Blocks.
    pub(super) fn run(&self, catalog: &Catalog, keep_going: &dyn Fn() -> bool) {
        let names = match catalog.reencryption().pending() {
            Ok(names) => names,
            Err(error) => {
                return tracing::error!(error = %chain(&error), "the pending re-encryptions cannot be read");
            }
        };
        for name in names.into_iter().take_while(|_| keep_going()) {
            let mut follow = |done: Reencrypted| {
                self.progress().insert(name.clone(), done);
                keep_going()
            };
            match catalog.reencryption().run(&name, Some(RATE), &mut follow) {
                Ok(done) => {
                    tracing::info!(dataset = %name, objects = done.objects, "re-encrypted with the new key")
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    tracing::info!(dataset = %name, "the dataset was erased before it was re-encrypted");
                }
                Err(error) => {
                    tracing::error!(dataset = %name, error = %chain(&error), "the dataset cannot be re-encrypted");
                }
            }
            self.progress().remove(&name);
        }
    }

    /// The progress, if `dataset` is being re-encrypted now.
    pub(super) fn progress_of(&self, dataset: &DatasetName) -> Option<Reencrypted> {
        self.progress().get(dataset).copied()
    }

    /// Announces that a dataset is pending, or that one can be read again.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until [`Self::wake`] is called, also if that was before.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    fn progress(&self) -> MutexGuard<'_, BTreeMap<DatasetName, Reencrypted>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
