//! Removing whole datasets for good.
//!
//! Erasing a dataset destroys its keys. Its wrapped keys are taken out of the state database; because that keeps old pages for
//! a while, the keys that wrapped them are rotated too, the segment's and the master key. What may still lie on the disk does
//! not open then. The signed statement stays, and names the keys: a copy of the dataset that comes back with an older backup
//! is erased again ([`Erasures::apply`]).

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
    CatalogError, DatasetRecord,
    datasets::{Datasets, manifest_key},
    keyring::Keyring,
    objects::StoredObjects,
    runtime::runtime,
};
use crate::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};

const ERASURES: TreeId = TreeId::new("erasures");
const ERASING: TreeId = TreeId::new("erasing");

/// An erasure that was stated and not done yet.
pub type ErasureStatement = Verified<Erasure, InstitutionPublicKey>;

/// Who erases, and why.
#[derive(Clone, Debug)]
pub struct ErasureOrder {
    /// Whose dataset it is.
    pub institution: InstitutionId,
    /// Who orders it.
    pub by: Option<ActorId>,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Timestamp,
}

/// The erasures of datasets: those that were stated, and carrying them out.
#[derive(Debug)]
pub struct Erasures {
    datasets: Arc<Datasets>,
    keys: Arc<Keyring>,
    objects: Arc<StoredObjects>,
    statements: SealedTree<Signed<Erasure>>,
    /// Erasures that are under way, with the segment of the dataset.
    pub(super) under_way: SealedTree<SegmentName>,
}

impl Erasures {
    pub(super) fn open(
        meta: &SealedDb,
        datasets: Arc<Datasets>,
        keys: Arc<Keyring>,
        objects: Arc<StoredObjects>,
    ) -> Result<Self, MetaError> {
        Ok(Self {
            datasets,
            keys,
            objects,
            statements: meta.tree(ERASURES)?,
            under_way: meta.tree(ERASING)?,
        })
    }

    /// States that a dataset is erased; [`Erasures::erase`] does it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is none of this name.
    pub fn state(
        &self,
        name: &DatasetName,
        order: ErasureOrder,
        signer: &InstitutionKey,
    ) -> Result<ErasureStatement, CatalogError> {
        let runtime = runtime()?;
        let record = self.datasets.show(name)?;
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

    /// Erases the dataset that a statement names, if it is there with one of the keys that it names, and says whether it was.
    /// Answers under way break off. Blocks; see [`super`] for where to call it.
    ///
    /// # Errors
    /// If state or keys cannot be written; calling it again goes on.
    pub fn erase(&self, statement: &ErasureStatement) -> Result<bool, CatalogError> {
        let runtime = runtime()?;
        let erasure = statement.document();
        let mut objects = BTreeSet::new();
        let was_there = {
            let _changing = self.datasets.changing();
            match self.datasets.records.get(erasure.dataset.as_str())? {
                Some(record) if self.is_meant(&record, erasure)? => {
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
        Ok(was_there)
    }

    /// The keys are gone, so the dataset is. Objects that cannot be removed now open under no key, and go with the orphans.
    fn remove_erased(&self, runtime: &Handle, erasure: &Erasure, mut objects: BTreeSet<Path>) {
        let listed = self.objects_under(runtime, &erasure.keys);
        let removed = listed.and_then(|listed| {
            objects.extend(listed);
            self.objects.remove(runtime, objects.into_iter().collect())
        });
        if let Err(error) = removed {
            tracing::warn!(%error, dataset = %erasure.dataset, "objects of an erased dataset stay for now; no key opens them");
        }
    }

    /// The objects of a dataset as far as its manifests can be read; a listing that lags may not show all of them.
    fn known_objects(&self, record: &DatasetRecord) -> Vec<Path> {
        let named = self.datasets.named_objects(record).unwrap_or_default().into_iter();
        named
            .filter_map(|entry| self.objects.placed_one(entry).ok())
            .map(|entry| entry.location())
            .collect()
    }

    /// Carries out statements that came with a backup, and returns those whose datasets had come back to life.
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

    fn is_meant(&self, record: &DatasetRecord, erasure: &Erasure) -> Result<bool, CatalogError> {
        Ok(self.all_keys(record)?.iter().any(|id| erasure.keys.contains(id)))
    }

    /// Names all keys that the dataset ever had.
    fn all_keys(&self, record: &DatasetRecord) -> Result<Vec<KeyId>, CatalogError> {
        let mut keys = self.keys.open_keys(record)?.ids();
        keys.extend(&record.keys.past);
        Ok(keys)
    }

    /// Every object that is sealed under one of the keys, whether a manifest names it or not: one that cannot be read any more
    /// must not keep a dataset from being erased.
    fn objects_under(&self, runtime: &Handle, keys: &[KeyId]) -> Result<Vec<Path>, CatalogError> {
        let mut found = Vec::new();
        for key in keys {
            let folder = Path::from(key.to_string());
            let listed = self.objects.store.list(Some(&folder)).map_ok(|meta| meta.location);
            found.extend(runtime.block_on(listed.try_collect::<Vec<Path>>())?);
        }
        Ok(found)
    }

    /// Takes the dataset out of the state and destroys the keys above it; what remains are objects that nothing opens.
    fn forget_dataset(&self, record: &DatasetRecord, statement: &ErasureStatement) -> Result<(), CatalogError> {
        let name = record.name.as_str();
        let mut batch = Batch::new();
        batch.expect(&self.datasets.records, name, Some(record))?;
        batch.remove(&self.datasets.records, name);
        for entry in self.datasets.named_objects(record).unwrap_or_default() {
            batch.remove(&self.objects.placements, &entry.path);
        }
        for number in record.oldest.get()..=record.current.get() {
            batch.remove(
                &self.datasets.manifests,
                &manifest_key(&record.name, VersionNumber::new(number)),
            );
        }
        let digest = statement.digest().to_string();
        batch
            .put(&self.statements, &digest, statement.signed())?
            .put(&self.under_way, &digest, &record.segment)?;
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

    /// Goes on with erasures that were broken off between taking the dataset out and rotating the keys above it.
    pub(super) fn finish(&self) -> Result<(), CatalogError> {
        let _changing = self.datasets.changing();
        for (statement, segment) in self.under_way.iter()? {
            self.destroy_keys(&statement, &segment)?;
        }
        Ok(())
    }

    /// Rotates what wrapped the keys of a dataset that was taken out.
    fn destroy_keys(&self, statement: &str, segment: &SegmentName) -> Result<(), CatalogError> {
        self.keys.rotate_segment_alone(segment)?;
        self.keys.rotate_master_alone()?;
        Ok(self.under_way.remove(statement)?)
    }
}
