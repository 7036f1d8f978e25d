//! The lifecycle of keys and datasets, and the detection of a restored older state.
//!
//! 1. At the start the catalog is compared with the ledger ([`rollback`]), before anything is served.
//! 2. In the background, erasures are applied to backup repositories that can be reached now, unreferenced objects are removed, and
//!    interrupted re-encryption continues.
//! 3. An object store is monitored ([`store`]); unreferenced objects are removed when it is available.
//! 4. Every operation on a key or a dataset is written to the ledger before it is performed.

mod backups;
mod rollback;
mod store;

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    audit::{EntryBody, KeyChange},
    ids::{DatasetName, KeyId, SegmentName},
    text::{Label, Reason},
};
use concordat_storage::{
    catalog::{ErasureOrder, ErasureStatement, Reencrypted},
    data_dir::Storage,
    keys::Recipient,
    ledger::{Attribution, Ledger},
};
use tokio::sync::Notify;

pub use rollback::RollbackError;
use store::StoreUnavailable;

use crate::{clock::Clock, epoch::Epoch, identity::Identity, shutdown::Stage};

/// Bytes per second that re-encryption reads: this leaves most of a disk and of a core to queries.
const REENCRYPT_RATE: u64 = 64 * 1024 * 1024;

/// A cloneable handle to the lifecycle of keys and datasets.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Parts>);

/// The parts that [`Lifecycle`] needs.
#[derive(Debug)]
pub struct LifecycleParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// Its storage.
    pub storage: Storage,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// Raised when a dataset is erased.
    pub epoch: Epoch,
}

#[derive(Debug)]
struct Parts {
    with: LifecycleParts,
    reencrypting: Mutex<BTreeMap<DatasetName, Reencrypted>>,
    store_unavailable: Mutex<Option<StoreUnavailable>>,
    wake: Notify,
}

impl Lifecycle {
    /// Compares the catalog with the ledger, and completes what a stop interrupted between the two.
    ///
    /// # Errors
    /// [`RollbackError`] if an older copy of the state was restored.
    pub async fn open(with: LifecycleParts) -> Result<Self, RollbackError> {
        let unavailable = with.storage.is_remote().then(StoreUnavailable::not_checked);
        let lifecycle = Self(Arc::new(Parts {
            with,
            store_unavailable: Mutex::new(unavailable),
            reencrypting: Mutex::default(),
            wake: Notify::new(),
        }));
        let checked = lifecycle.clone();
        let done = tokio::task::spawn_blocking(move || checked.compare_with_ledger()).await;
        done.map_err(RollbackError::Interrupted)??;
        Ok(lifecycle)
    }

    /// Removes orphaned objects, then re-encrypts datasets whenever there are any pending, until the stage stops.
    pub fn serve(&self, stage: &Stage) {
        let is_remote = self.0.with.storage.is_remote();
        if is_remote {
            let (lifecycle, stop) = (self.clone(), stage.token().clone());
            stage.spawn(async move { lifecycle.watch_store(stop).await });
        }
        let (lifecycle, stop) = (self.clone(), stage.token().clone());
        stage.spawn(async move {
            lifecycle.catch_up().await;
            if !is_remote {
                lifecycle.collect_orphans().await;
            }
            loop {
                let (working, ending) = (lifecycle.clone(), stop.clone());
                let keep_going = move || !ending.is_cancelled();
                if let Err(error) = tokio::task::spawn_blocking(move || working.reencrypt_all(&keep_going)).await {
                    tracing::error!(%error, "re-encryption was interrupted");
                }
                if stop.run_until_cancelled(lifecycle.0.wake.notified()).await.is_none() {
                    return;
                }
            }
        });
    }

    /// Applies erasures to repositories that could not be reached when they were ordered.
    async fn catch_up(&self) {
        let lifecycle = self.clone();
        let work = move || {
            let statements = lifecycle.0.with.storage.catalog().erasures().all()?;
            Ok::<_, Problem>(lifecycle.erase_in_repositories(&statements)?)
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
        let storage = self.0.with.storage.clone();
        match tokio::task::spawn_blocking(move || storage.catalog().maintenance().collect_orphans()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!(count, "removed objects that no dataset references"),
            Ok(Err(error)) => {
                tracing::warn!(error = %concordat_protocol::error_kind::chain(&error), "unreferenced objects could not be removed")
            }
            Err(error) => tracing::error!(%error, "removing unreferenced objects was interrupted"),
        }
    }

    fn reencrypt_all(&self, keep_going: &dyn Fn() -> bool) {
        let catalog = self.0.with.storage.catalog();
        let names = match catalog.reencryption().pending() {
            Ok(names) => names,
            Err(error) => {
                return tracing::error!(error = %concordat_protocol::error_kind::chain(&error), "the pending re-encryptions cannot be read");
            }
        };
        for name in names.into_iter().take_while(|_| keep_going()) {
            let mut follow = |done: Reencrypted| {
                self.reencrypting().insert(name.clone(), done);
                keep_going()
            };
            match catalog.reencryption().run(&name, Some(REENCRYPT_RATE), &mut follow) {
                Ok(done) => {
                    tracing::info!(dataset = %name, objects = done.objects, "re-encrypted with the new key")
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    tracing::info!(dataset = %name, "the dataset was erased before it was re-encrypted");
                }
                Err(error) => {
                    tracing::error!(dataset = %name, error = %concordat_protocol::error_kind::chain(&error), "the dataset cannot be re-encrypted");
                }
            }
            self.reencrypting().remove(&name);
        }
    }

    /// The progress of re-encryption, if `dataset` is being re-encrypted now.
    pub fn reencrypted(&self, dataset: &DatasetName) -> Option<Reencrypted> {
        self.reencrypting().get(dataset).copied()
    }

    fn reencrypting(&self) -> std::sync::MutexGuard<'_, BTreeMap<DatasetName, Reencrypted>> {
        self.0.reencrypting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rotates the master key. Blocks.
    ///
    /// # Errors
    /// If it cannot be recorded or performed.
    pub fn rotate_master(&self, by: &Attribution) -> Result<(), Problem> {
        self.record_key("master key", KeyChange::Rotated, by)?;
        Ok(self.0.with.storage.catalog().keys().rotate_master()?)
    }

    /// Rotates the key of a segment and returns the number of datasets that it wraps. Blocks.
    ///
    /// # Errors
    /// `not_found` if there is no such segment.
    pub fn rotate_segment(&self, segment: &SegmentName, by: &Attribution) -> Result<u64, Problem> {
        let catalog = self.0.with.storage.catalog();
        if !catalog
            .keys()
            .status()?
            .segments
            .iter()
            .any(|(known, _)| known == segment)
        {
            return Ok(catalog.keys().rotate_segment(segment)?);
        }
        self.record_key(&format!("key of segment {segment}"), KeyChange::Rotated, by)?;
        Ok(catalog.keys().rotate_segment(segment)?)
    }

    /// Gives a dataset a new key; with `reencrypt`, its data is re-encrypted in the background. Blocks.
    ///
    /// # Errors
    /// `not_found` if there is no such dataset.
    pub fn rotate_dataset(&self, dataset: &DatasetName, reencrypt: bool, by: &Attribution) -> Result<KeyId, Problem> {
        let catalog = self.0.with.storage.catalog();
        catalog.keys().check_rotation(dataset)?;
        self.record_key(&format!("key of dataset {dataset}"), KeyChange::Rotated, by)?;
        let id = catalog.keys().rotate_dataset(dataset, reencrypt)?;
        if reencrypt {
            self.0.wake.notify_one();
        }
        Ok(id)
    }

    /// Retains only the newest versions of a dataset from now on, or all versions; returns the number of versions removed. Blocks.
    ///
    /// # Errors
    /// `not_found` if there is no such dataset.
    pub fn retain(&self, dataset: &DatasetName, keep: Option<NonZeroU32>, by: &Attribution) -> Result<u64, Problem> {
        let catalog = self.0.with.storage.catalog();
        let record = catalog.datasets().show(dataset)?;
        let oldest = keep.map(|keep| (record.current.get() + 1).saturating_sub(u64::from(keep.get())));
        if let Some(oldest) = oldest.filter(|oldest| *oldest > record.oldest.get()) {
            self.record(
                EntryBody::DatasetTrimmed {
                    dataset: dataset.clone(),
                    oldest,
                },
                by,
            )?;
        }
        Ok(catalog.retention().retain(dataset, keep)?)
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
        let with = &self.0.with;
        let order = ErasureOrder {
            institution: with.identity.institution.clone(),
            by: by.actor().cloned(),
            reason,
            at: with.clock.now(),
        };
        let catalog = with.storage.catalog();
        let statement = catalog
            .erasures()
            .sign_statement(dataset, order, &with.identity.institution_key())?;
        self.record(
            EntryBody::DatasetErased {
                dataset: dataset.clone(),
                statement: statement.digest(),
            },
            by,
        )?;
        let erased = catalog.erasures().erase(&statement);
        with.epoch.raise();
        erased?;
        let out_of_reach = self.erase_in_repositories(std::slice::from_ref(&statement))?;
        Ok((statement, out_of_reach))
    }

    /// Encrypts the keys of this node to recovery keys. Blocks.
    ///
    /// # Errors
    /// `usage` if there is no recipient.
    pub fn back_up_keys(&self, recipients: &[Recipient], by: &Attribution) -> Result<String, Problem> {
        let escrow = self.0.with.storage.catalog().keys().escrow(recipients)?;
        self.record_key("keys of the node", KeyChange::BackedUp, by)?;
        Ok(escrow)
    }

    fn record_key(&self, key: &str, change: KeyChange, by: &Attribution) -> Result<(), Problem> {
        self.record(
            EntryBody::KeyChanged {
                key: Label::sanitized(key),
                change,
            },
            by,
        )
    }

    /// Writes the entry to the ledger. An operation that cannot be recorded must not be performed.
    fn record(&self, entry: EntryBody, by: &Attribution) -> Result<(), Problem> {
        drop(self.0.with.ledger.append(entry, by, self.0.with.clock.now())?);
        Ok(())
    }
}
