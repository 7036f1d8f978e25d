//! The lifecycle of keys and datasets, and the detection of a restored older state.
//!
//! 1. At the start the catalog is compared with the ledger ([`rollback`]), before anything is served.
//! 2. In the background, erasures are applied to backup repositories that can be reached now, unreferenced objects are removed, and
//!    interrupted re-encryption continues.
//! 3. An object store is monitored ([`store`]); unreferenced objects are removed when it is available.
//! 4. Every operation on a key or a dataset is written to the ledger before it is performed.

mod backups;
mod erasure;
mod parts;
mod reencryption;
mod retention;
mod rollback;
mod rotation;
mod store;

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};

use concordat_documents::problem::Problem;
use concordat_keys::Recipient;
use concordat_protocol::error_kind::chain;
use concordat_protocol::{
    audit::{EntryBody, KeyChange},
    ids::{DatasetName, KeyId, SegmentName},
    text::{Label, Reason},
};
use concordat_storage::{
    backup::CreatedSnapshot,
    catalog::{ErasureStatement, Reencrypted},
    ledger::Attribution,
};
use tokio_util::sync::CancellationToken;

pub(crate) use parts::LifecycleParts;
pub(crate) use rollback::RollbackError;

use crate::shutdown::Stage;
use reencryption::Reencryption;
use store::{STORE_CHECK_INTERVAL, StoreHealth};

/// A cloneable handle to the lifecycle of keys and datasets.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: LifecycleParts,
    reencryption: Reencryption,
    store: StoreHealth,
}

impl Lifecycle {
    /// Compares the catalog with the ledger, and completes what a stop interrupted between the two.
    ///
    /// # Errors
    /// [`RollbackError`] if an older copy of the state was restored.
    pub async fn open(parts: LifecycleParts) -> Result<Self, RollbackError> {
        let lifecycle = Self(Arc::new(Inner {
            store: StoreHealth::new(&parts.storage),
            parts,
            reencryption: Reencryption::default(),
        }));
        let checked = lifecycle.clone();
        let done = tokio::task::spawn_blocking(move || rollback::compare_with_ledger(&checked.0.parts)).await;
        done.map_err(RollbackError::Interrupted)??;
        Ok(lifecycle)
    }

    /// Removes orphaned objects, then re-encrypts datasets whenever there are any pending, until the stage stops.
    pub fn serve(&self, stage: &Stage) {
        let is_remote = self.0.parts.storage.is_remote();
        if is_remote {
            let lifecycle = self.clone();
            let stop = stage.token().clone();
            stage.spawn(async move { lifecycle.watch_store(stop).await });
        }
        let lifecycle = self.clone();
        let stop = stage.token().clone();
        stage.spawn(async move {
            lifecycle.catch_up().await;
            if !is_remote {
                lifecycle.collect_orphans().await;
            }
            loop {
                let working = lifecycle.clone();
                let ending = stop.clone();
                let keep_going = move || !ending.is_cancelled();
                if let Err(error) = tokio::task::spawn_blocking(move || working.reencrypt_all(&keep_going)).await {
                    tracing::error!(%error, "re-encryption was interrupted");
                }
                if stop
                    .run_until_cancelled(lifecycle.0.reencryption.woken())
                    .await
                    .is_none()
                {
                    return;
                }
            }
        });
    }

    /// Checks the object store periodically until `stop`, and does what was postponed when it is available again.
    async fn watch_store(&self, stop: CancellationToken) {
        let watching = async {
            loop {
                if self.0.store.check(&self.0.parts.storage).await {
                    self.collect_orphans().await;
                    self.0.reencryption.wake();
                }
                tokio::time::sleep(STORE_CHECK_INTERVAL).await;
            }
        };
        stop.run_until_cancelled(watching).await;
    }

    /// Applies erasures to repositories that could not be reached when they were ordered.
    async fn catch_up(&self) {
        let lifecycle = self.clone();
        let work = move || {
            let statements = lifecycle.0.parts.storage.catalog().erasures().all()?;
            Ok::<_, Problem>(backups::erase_in_repositories(&lifecycle.0.parts, &statements)?)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(_)) => {}
            Ok(Err(problem)) => tracing::warn!(
                error = problem.detail,
                "cannot apply erasures to the backup repositories"
            ),
            Err(error) => tracing::error!(%error, "applying erasures to the backup repositories was interrupted"),
        }
    }

    async fn collect_orphans(&self) {
        let storage = self.0.parts.storage.clone();
        match tokio::task::spawn_blocking(move || storage.catalog().maintenance().collect_orphans()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!(count, "removed objects that no dataset references"),
            Ok(Err(error)) => {
                tracing::warn!(error = %chain(&error), "unreferenced objects could not be removed")
            }
            Err(error) => tracing::error!(%error, "removing unreferenced objects was interrupted"),
        }
    }

    fn reencrypt_all(&self, keep_going: &dyn Fn() -> bool) {
        self.0.reencryption.run(self.0.parts.storage.catalog(), keep_going);
    }

    /// The progress of re-encryption, if `dataset` is being re-encrypted now.
    pub fn reencrypted(&self, dataset: &DatasetName) -> Option<Reencrypted> {
        self.0.reencryption.progress_of(dataset)
    }

    /// Why the object store cannot be used now; `None` if it can be used, or if there is none.
    pub fn store_unavailable(&self) -> Option<String> {
        self.0.store.unavailable()
    }

    /// Rotates the master key. Blocks.
    ///
    /// # Errors
    /// If it cannot be recorded or performed.
    pub fn rotate_master(&self, by: &Attribution) -> Result<(), Problem> {
        rotation::rotate_master(&self.0.parts, by)
    }

    /// Rotates the key of a segment and returns the number of datasets that it wraps. Blocks.
    ///
    /// # Errors
    /// `not_found` if there is no such segment.
    pub fn rotate_segment(&self, segment: &SegmentName, by: &Attribution) -> Result<u64, Problem> {
        rotation::rotate_segment(&self.0.parts, segment, by)
    }

    /// Gives a dataset a new key; with `reencrypt`, its data is re-encrypted in the background. Blocks.
    ///
    /// # Errors
    /// `not_found` if there is no such dataset.
    pub fn rotate_dataset(&self, dataset: &DatasetName, reencrypt: bool, by: &Attribution) -> Result<KeyId, Problem> {
        let id = rotation::rotate_dataset(&self.0.parts, dataset, reencrypt, by)?;
        if reencrypt {
            self.0.reencryption.wake();
        }
        Ok(id)
    }

    /// Retains only the newest versions of a dataset from now on, or all versions; returns the number of versions removed. Blocks.
    ///
    /// # Errors
    /// `not_found` if there is no such dataset.
    pub fn retain(&self, dataset: &DatasetName, keep: Option<NonZeroU32>, by: &Attribution) -> Result<u64, Problem> {
        retention::retain(&self.0.parts, dataset, keep, by)
    }

    /// Removes the versions of a dataset that its retention rule excludes; returns their number. Blocks.
    ///
    /// # Errors
    /// `not_found` if there is no such dataset.
    pub fn trim(&self, dataset: &DatasetName, by: &Attribution) -> Result<u64, Problem> {
        retention::trim(&self.0.parts, dataset, by)
    }

    /// Erases a dataset permanently, here and in the backup repositories, and returns the signed statement with the
    /// repositories that could not be reached. Running answers are terminated. Blocks.
    ///
    /// # Errors
    /// `not_found` if there is no such dataset.
    pub fn erase(
        &self,
        dataset: &DatasetName,
        reason: Reason,
        by: &Attribution,
    ) -> Result<(ErasureStatement, Vec<PathBuf>), Problem> {
        erasure::erase(&self.0.parts, dataset, reason, by)
    }

    /// Takes a snapshot into the repository at `to`. Blocks.
    ///
    /// # Errors
    /// [`BackupError`](concordat_storage::backup::BackupError); no snapshot is created then.
    pub fn back_up(&self, to: &Path, by: &Attribution) -> Result<CreatedSnapshot, Problem> {
        backups::back_up(&self.0.parts, to, by)
    }

    /// Encrypts the keys of this node to recovery keys. Blocks.
    ///
    /// # Errors
    /// `usage` if there is no recipient.
    pub fn back_up_keys(&self, recipients: &[Recipient], by: &Attribution) -> Result<String, Problem> {
        let escrow = self.0.parts.storage.catalog().keys().escrow(recipients)?;
        let entry = EntryBody::KeyChanged {
            key: Label::sanitized("keys of the node"),
            change: KeyChange::BackedUp,
        };
        self.0.parts.record(entry, by)?;
        Ok(escrow)
    }
}

#[cfg(test)]
mod tests;
