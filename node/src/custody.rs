//! The care of what this node keeps: its keys, its datasets' lives, and that nobody put an older state back.
//!
//! 1. At the start the catalogue is compared with the ledger ([`rollback`]), before anything is served.
//! 2. What was erased is erased in repositories of backups that can be reached now, objects that nothing names are removed, and encrypting again that was broken off goes on, in the background.
//! 3. A store that holds the objects is watched ([`store`]); the objects that nothing names are removed when it answers.
//! 4. What is done to a key or a dataset stands in the ledger before it is done.

mod backups;
mod rollback;
mod store;

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use concordat_protocol::{
    audit::{EntryBody, KeyChange},
    ids::{DatasetName, KeyId, SegmentName},
    text::{Reason, Word},
};
use concordat_storage::{
    catalog::{ErasureOrder, ErasureStatement, Reencrypted},
    data_dir::Storage,
    error_kind::ErrorKind,
    keys::Recipient,
    ledger::{Attribution, Ledger},
};
use tokio::sync::Notify;

pub use rollback::RollbackError;
use store::Trouble;

use crate::{clock::Clock, epoch::Epoch, fault::Problem, identity::Identity, shutdown::Stage};

/// Bytes that encrypting again reads a second: it leaves most of a disk and of a core to those who ask.
const REENCRYPT_RATE: u64 = 64 * 1024 * 1024;

/// A cloneable handle.
#[derive(Clone, Debug)]
pub struct Custody(Arc<Parts>);

/// What custody works with.
#[derive(Debug)]
pub struct CustodyParts {
    /// Who this node is.
    pub identity: Arc<Identity>,
    /// What it keeps.
    pub storage: Storage,
    /// The ledger.
    pub ledger: Ledger,
    /// The clock.
    pub clock: Clock,
    /// Raised when a dataset is gone.
    pub epoch: Epoch,
}

#[derive(Debug)]
struct Parts {
    with: CustodyParts,
    reencrypting: Mutex<BTreeMap<DatasetName, Reencrypted>>,
    store_trouble: Mutex<Option<Trouble>>,
    wake: Notify,
}

impl Custody {
    /// Compares the catalogue with the ledger, and completes what a stop broke off between the two.
    ///
    /// # Errors
    /// [`RollbackError`] if an older state of the catalogue was put back.
    pub async fn open(with: CustodyParts) -> Result<Self, RollbackError> {
        let trouble = with.storage.is_remote().then(Trouble::not_asked);
        let custody = Self(Arc::new(Parts {
            with,
            store_trouble: Mutex::new(trouble),
            reencrypting: Mutex::default(),
            wake: Notify::new(),
        }));
        let checked = custody.clone();
        let done = tokio::task::spawn_blocking(move || checked.compare_with_ledger()).await;
        done.map_err(RollbackError::BrokenOff)??;
        Ok(custody)
    }

    /// Removes orphans, then encrypts again whenever there is something to seal, until the stage stops.
    pub fn serve(&self, stage: &Stage) {
        let is_remote = self.0.with.storage.is_remote();
        if is_remote {
            let (custody, stop) = (self.clone(), stage.token().clone());
            stage.spawn(async move { custody.watch_store(stop).await });
        }
        let (custody, stop) = (self.clone(), stage.token().clone());
        stage.spawn(async move {
            custody.catch_up().await;
            if !is_remote {
                custody.collect_orphans().await;
            }
            loop {
                let (working, ending) = (custody.clone(), stop.clone());
                let keep_going = move || !ending.is_cancelled();
                if let Err(error) = tokio::task::spawn_blocking(move || working.reencrypt_all(&keep_going)).await {
                    tracing::error!(%error, "encrypting again was broken off");
                }
                if stop.run_until_cancelled(custody.0.wake.notified()).await.is_none() {
                    return;
                }
            }
        });
    }

    /// Carries erasures to repositories that could not be reached when they were ordered.
    async fn catch_up(&self) {
        let custody = self.clone();
        let work = move || {
            let statements = custody.0.with.storage.catalog().erasures().all()?;
            Ok::<_, Problem>(custody.erase_in_repositories(&statements)?)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(_)) => {}
            Ok(Err(problem)) => tracing::warn!(error = problem.detail, "cannot look after the repositories of backups"),
            Err(error) => tracing::error!(%error, "looking after the repositories of backups was broken off"),
        }
    }

    async fn collect_orphans(&self) {
        let storage = self.0.with.storage.clone();
        match tokio::task::spawn_blocking(move || storage.catalog().maintenance().collect_orphans()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!(count, "removed objects that no dataset needs"),
            Ok(Err(error)) => tracing::warn!(error = %crate::fault::chain(&error), "objects could not be cleared up"),
            Err(error) => tracing::error!(%error, "clearing up was broken off"),
        }
    }

    fn reencrypt_all(&self, keep_going: &dyn Fn() -> bool) {
        let catalog = self.0.with.storage.catalog();
        let names = match catalog.reencryption().pending() {
            Ok(names) => names,
            Err(error) => {
                return tracing::error!(error = %crate::fault::chain(&error), "cannot see what to encrypt again");
            }
        };
        for name in names.into_iter().take_while(|_| keep_going()) {
            let mut follow = |done: Reencrypted| {
                self.reencrypting().insert(name.clone(), done);
                keep_going()
            };
            match catalog.reencryption().run(&name, Some(REENCRYPT_RATE), &mut follow) {
                Ok(done) => {
                    tracing::info!(dataset = %name, objects = done.objects, "encrypted again under the new key")
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    tracing::info!(dataset = %name, "gone before it was encrypted again");
                }
                Err(error) => {
                    tracing::error!(dataset = %name, error = %crate::fault::chain(&error), "cannot be encrypted again");
                }
            }
            self.reencrypting().remove(&name);
        }
    }

    /// How far encrypting again is with a dataset that it works on now.
    pub fn reencrypted(&self, dataset: &DatasetName) -> Option<Reencrypted> {
        self.reencrypting().get(dataset).copied()
    }

    fn reencrypting(&self) -> std::sync::MutexGuard<'_, BTreeMap<DatasetName, Reencrypted>> {
        self.0.reencrypting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges the master key. Blocks.
    ///
    /// # Errors
    /// If it cannot be written down or done.
    pub fn rotate_master(&self, by: &Attribution) -> Result<(), Problem> {
        self.record_key("master key", KeyChange::Rotated, by)?;
        Ok(self.0.with.storage.catalog().keys().rotate_master()?)
    }

    /// Exchanges the key of a segment and says how many datasets it wraps. Blocks.
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

    /// Gives a dataset a new key; with `reencrypt`, what it holds is encrypted again in the background. Blocks.
    ///
    /// # Errors
    /// `not_found` if there is no such dataset.
    pub fn rotate_dataset(&self, dataset: &DatasetName, reencrypt: bool, by: &Attribution) -> Result<KeyId, Problem> {
        let catalog = self.0.with.storage.catalog();
        catalog.datasets().show(dataset)?;
        self.record_key(&format!("key of dataset {dataset}"), KeyChange::Rotated, by)?;
        let id = catalog.keys().rotate_dataset(dataset, reencrypt)?;
        if reencrypt {
            self.0.wake.notify_one();
        }
        Ok(id)
    }

    /// Keeps only the newest versions of a dataset from now on, or all again; says how many were removed. Blocks.
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

    /// Erases a dataset for good, here and in the repositories of backups, and returns the signed statement of it with the
    /// repositories that could not be reached. Answers under way break off. Blocks.
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
            .state(dataset, order, &with.identity.institution_key())?;
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
                key: Word::fitted(key),
                change,
            },
            by,
        )
    }

    /// What cannot be written down must not be done.
    fn record(&self, entry: EntryBody, by: &Attribution) -> Result<(), Problem> {
        drop(self.0.with.ledger.append(entry, by, self.0.with.clock.now())?);
        Ok(())
    }
}
