//! Permanent removal of whole datasets.
//!
//! Erasing a dataset destroys its keys. Its wrapped keys are removed from the state database; because the database
//! keeps old pages for a while, the keys that wrapped them are rotated too: the segment's key and the master key. What
//! may remain on the disk can then no longer be opened. The signed statement stays, and names the keys: a copy of the
//! dataset that is restored from an older backup is erased again ([`Erasures::apply`]).

use std::{collections::BTreeSet, sync::Arc};

use concordat_protocol::{
    audit::Erasure,
    identity::{InstitutionKey, InstitutionPublicKey},
    ids::{ActorId, DatasetName, InstitutionId, KeyId, SegmentName},
    schema::VersionNumber,
    signed::{Signed, Verified},
    text::Reason,
    time::Timestamp,
};
use futures::TryStreamExt;
use object_store::{ObjectStore, path::Path};
use tokio::runtime::Handle;

use super::{
    CatalogError, CollectionRecord,
    datasets::{Datasets, import_key, manifest_key},
    keyring::Keyring,
    objects::StoredObjects,
    runtime::runtime,
};
use crate::{
    answers::AnswerStore,
    meta::{Batch, MetaError, SealedDb, SealedTree, TreeId},
};

const ERASURES: TreeId = TreeId::new("erasures");
const ERASING: TreeId = TreeId::new("erasing");

/// A verified statement of an erasure.
pub type ErasureStatement = Verified<Erasure, InstitutionPublicKey>;

/// Who orders an erasure, and why.
#[derive(Clone, Debug)]
pub struct ErasureOrder {
    /// The institution that owns the dataset.
    pub institution: InstitutionId,
    /// Who orders it.
    pub by: Option<ActorId>,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
}

/// The erasures of datasets: their statements, and their execution.
#[derive(Debug)]
pub struct Erasures {
    datasets: Arc<Datasets>,
    keys: Arc<Keyring>,
    objects: Arc<StoredObjects>,
    answers: Arc<AnswerStore>,
    statements: SealedTree<Signed<Erasure>>,
    /// Erasures in progress, with the segment of the dataset.
    pub(super) in_progress: SealedTree<SegmentName>,
}

impl Erasures {
    pub(super) fn open(
        meta: &SealedDb,
        datasets: Arc<Datasets>,
        keys: Arc<Keyring>,
        objects: Arc<StoredObjects>,
        answers: Arc<AnswerStore>,
    ) -> Result<Self, MetaError> {
        Ok(Self {
            datasets,
            keys,
            objects,
            answers,
            statements: meta.tree(ERASURES)?,
            in_progress: meta.tree(ERASING)?,
        })
    }

    /// Signs the statement that a dataset is erased; [`Erasures::erase`] carries it out.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name.
    pub fn sign_statement(
        &self,
        name: &DatasetName,
        order: ErasureOrder,
        signer: &InstitutionKey,
    ) -> Result<ErasureStatement, CatalogError> {
        let runtime = runtime()?;
        let record = self.datasets.record(name)?;
        let keys = self.all_keys(&record)?;
        let objects = self.objects_under(&runtime, &keys)?.len() as u64;
        let erasure = Erasure {
            institution: order.institution,
            dataset: name.clone(),
            keys,
            versions: record.current.get() - record.oldest.get() + 1,
            objects,
            at: order.at,
            by: order.by,
            reason: order.reason,
        };
        Signed::sign(&erasure, signer).map_err(CatalogError::Sign)
    }

    /// Erases the dataset that a statement names, if it exists with one of the keys in the statement, and returns
    /// whether it existed. Answers in progress are interrupted. Blocks; see [`super`] for where to call it.
    ///
    /// # Errors
    /// If state or keys cannot be written; calling it again continues.
    pub fn erase(&self, statement: &ErasureStatement) -> Result<bool, CatalogError> {
        let runtime = runtime()?;
        let erasure = statement.document();
        let mut objects = BTreeSet::new();
        let was_present = {
            let _changes = self.datasets.lock_changes();
            match self.datasets.find(&erasure.dataset)? {
                Some(record) if self.applies_to(&record, erasure)? => {
                    objects.extend(self.known_objects(&record));
                    self.forget_dataset(&record, statement)?;
                    true
                }
                Some(_) | None => {
                    self.store_statement(statement)?;
                    false
                }
            }
        };
        self.remove_erased(&runtime, erasure, objects);
        Ok(was_present)
    }

    /// The keys are destroyed, so the dataset is erased. Objects that cannot be removed now can no longer be opened,
    /// and are removed with the orphans. So are logs of answers.
    fn remove_erased(&self, runtime: &Handle, erasure: &Erasure, mut objects: BTreeSet<Path>) {
        let listed = self.objects_under(runtime, &erasure.keys);
        let removed = listed.and_then(|listed| {
            objects.extend(listed);
            self.objects.remove(runtime, objects.into_iter().collect())
        });
        if let Err(error) = removed {
            tracing::warn!(%error, dataset = %erasure.dataset, "objects of an erased dataset were not removed yet; no key opens them");
        }
        if let Err(error) = self.answers.remove_folders(&erasure.keys) {
            tracing::warn!(%error, dataset = %erasure.dataset, "answers about an erased dataset were not removed yet; no key opens them");
        }
    }

    /// The objects of a dataset as far as its manifests can be read; an outdated listing may not show all of them.
    fn known_objects(&self, record: &CollectionRecord) -> Vec<Path> {
        let named = self.datasets.named_objects(record).unwrap_or_default().into_iter();
        named
            .filter_map(|entry| self.objects.current_entry(entry).ok())
            .map(|entry| entry.location())
            .collect()
    }

    /// Carries out the statements of a backup, and returns those whose datasets existed again.
    ///
    /// # Errors
    /// As [`Erasures::erase`].
    pub fn apply(&self, statements: &[ErasureStatement]) -> Result<Vec<ErasureStatement>, CatalogError> {
        let mut erased = Vec::new();
        for statement in statements {
            if self.erase(statement)? {
                erased.push(statement.clone());
            }
        }
        Ok(erased)
    }

    /// All statements, the oldest first.
    ///
    /// # Errors
    /// If state cannot be read or a signature is invalid.
    pub fn all(&self) -> Result<Vec<ErasureStatement>, CatalogError> {
        let keys = self.datasets.signers()?;
        let mut statements = Vec::new();
        for (_, signed) in self.statements.iter()? {
            statements.push(signed.verify_any(&keys).map_err(CatalogError::Statement)?);
        }
        statements.sort_by_key(|statement: &ErasureStatement| statement.document().at);
        Ok(statements)
    }

    fn applies_to(&self, record: &CollectionRecord, erasure: &Erasure) -> Result<bool, CatalogError> {
        Ok(self.all_keys(record)?.iter().any(|id| erasure.keys.contains(id)))
    }

    /// The ids of all keys that the collection ever had.
    ///
    /// # Errors
    /// If its keys cannot be opened.
    pub fn all_keys(&self, record: &CollectionRecord) -> Result<Vec<KeyId>, CatalogError> {
        let mut keys = self.keys.open_keys(record)?.ids();
        keys.extend(&record.keys.past);
        Ok(keys)
    }

    /// Every object that is sealed under one of the keys, whether a manifest names it or not: an unreadable object must
    /// not prevent the erasure of a dataset.
    fn objects_under(&self, runtime: &Handle, keys: &[KeyId]) -> Result<Vec<Path>, CatalogError> {
        let mut found = Vec::new();
        for key in keys {
            let folder = Path::from(key.to_string());
            let listed = self.objects.store.list(Some(&folder)).map_ok(|meta| meta.location);
            found.extend(runtime.block_on(listed.try_collect::<Vec<Path>>())?);
        }
        Ok(found)
    }

    /// Removes the dataset from the state and destroys the keys above it; the remaining objects can no longer be
    /// opened.
    fn forget_dataset(&self, record: &CollectionRecord, statement: &ErasureStatement) -> Result<(), CatalogError> {
        let name = record.name.as_str();
        let mut batch = Batch::new();
        self.datasets.stage_removal(&mut batch, record)?;
        batch.remove(&self.datasets.proposals, name);
        for dataset in record.datasets().keys() {
            batch.remove(&self.datasets.imports, &import_key(&record.name, dataset));
        }
        if let Some(created) = record.created {
            self.answers.stage_erasure(&mut batch, created)?;
        }
        for entry in self.datasets.named_objects(record).unwrap_or_default() {
            batch.remove(&self.objects.placements, &entry.path);
        }
        for number in record.oldest.get()..=record.current.get() {
            batch.remove(
                &self.datasets.manifests,
                &manifest_key(&record.dataset_name(), VersionNumber::new(number)),
            );
        }
        let digest = statement.digest().to_string();
        batch
            .put(&self.statements, &digest, statement.signed())?
            .put(&self.in_progress, &digest, &record.segment)?;
        self.datasets.meta.commit(batch)?;
        self.destroy_keys(&digest, &record.segment)
    }

    fn store_statement(&self, statement: &ErasureStatement) -> Result<(), CatalogError> {
        let key = statement.digest().to_string();
        if self.statements.contains(&key)? {
            return Ok(());
        }
        Ok(self.statements.put(&key, statement.signed())?)
    }

    /// Finishes erasures that were interrupted between removing the dataset and rotating the keys above it.
    pub(super) fn finish(&self) -> Result<(), CatalogError> {
        let _changes = self.datasets.lock_changes();
        for (statement, segment) in self.in_progress.iter()? {
            self.destroy_keys(&statement, &segment)?;
        }
        Ok(())
    }

    /// Rotates the keys that wrapped those of a removed dataset.
    fn destroy_keys(&self, statement: &str, segment: &SegmentName) -> Result<(), CatalogError> {
        self.keys.rotate_segment_locked(segment)?;
        self.keys.rotate_master_locked()?;
        Ok(self.in_progress.remove(statement)?)
    }
}
