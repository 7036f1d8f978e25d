//! Removing for good: versions that are no longer kept, and whole datasets.
//!
//! Erasing a dataset destroys its keys. Its wrapped keys are taken out of the state database; because that keeps old pages for
//! a while, the keys that wrapped them are rotated too, the segment's and the master key. What may still lie on the disk does
//! not open then. The signed statement stays, and names the keys: a copy of the dataset that comes back with an older backup
//! is erased again ([`Catalog::apply_erasures`]).

use std::{collections::BTreeSet, num::NonZeroU32};

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

use super::{Catalog, CatalogError, DatasetRecord, ObjectEntry, manifest_key, upkeep::runtime};
use crate::meta::Batch;

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

impl Catalog {
    /// States that a dataset is erased; [`Catalog::erase`] does it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is none of this name.
    pub fn state_erasure(
        &self,
        name: &DatasetName,
        order: ErasureOrder,
        signer: &InstitutionKey,
    ) -> Result<ErasureStatement, CatalogError> {
        let runtime = runtime()?;
        let record = self.show(name)?;
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
            let _changing = self.changing();
            match self.0.datasets.get(erasure.dataset.as_str())? {
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
            self.remove(runtime, objects.into_iter().collect())
        });
        if let Err(error) = removed {
            tracing::warn!(%error, dataset = %erasure.dataset, "objects of an erased dataset stay for now; no key opens them");
        }
    }

    /// The objects of a dataset as far as its manifests can be read; a listing that lags may not show all of them.
    fn known_objects(&self, record: &DatasetRecord) -> Vec<Path> {
        let named = self.named_objects(record).unwrap_or_default().into_iter();
        named
            .filter_map(|entry| self.placed_one(entry).ok())
            .map(|entry| entry.location())
            .collect()
    }

    /// Carries out statements that came with a backup, and returns those whose datasets had come back to life.
    ///
    /// # Errors
    /// As [`Catalog::erase`].
    pub fn apply_erasures(&self, statements: &[ErasureStatement]) -> Result<Vec<ErasureStatement>, CatalogError> {
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
    /// If state cannot be read or a signature does not hold.
    pub fn erasures(&self) -> Result<Vec<ErasureStatement>, CatalogError> {
        let keys = self.0.identities.institution_keys()?;
        let mut statements = Vec::new();
        for (_, signed) in self.0.erasures.iter()? {
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
        let mut keys = self.open_keys(record)?.ids();
        keys.extend(&record.keys.past);
        Ok(keys)
    }

    /// Every object that is sealed under one of the keys, whether a manifest names it or not: one that cannot be read any more
    /// must not keep a dataset from being erased.
    fn objects_under(&self, runtime: &Handle, keys: &[KeyId]) -> Result<Vec<Path>, CatalogError> {
        let mut found = Vec::new();
        for key in keys {
            let folder = Path::from(key.to_string());
            let listed = self.0.objects.list(Some(&folder)).map_ok(|meta| meta.location);
            found.extend(runtime.block_on(listed.try_collect::<Vec<Path>>())?);
        }
        Ok(found)
    }

    /// Takes the dataset out of the state and destroys the keys above it; what remains are objects that nothing opens.
    fn forget_dataset(&self, record: &DatasetRecord, statement: &ErasureStatement) -> Result<(), CatalogError> {
        let (name, house) = (record.name.as_str(), &self.0);
        let mut batch = Batch::new();
        batch.expect(&house.datasets, name, Some(record))?;
        batch.remove(&house.datasets, name);
        for entry in self.named_objects(record).unwrap_or_default() {
            batch.remove(&house.placements, &entry.path);
        }
        for number in record.oldest.get()..=record.current.get() {
            batch.remove(
                &house.manifests,
                &manifest_key(&record.name, VersionNumber::new(number)),
            );
        }
        let digest = statement.digest().to_string();
        batch
            .put(&house.erasures, &digest, statement.signed())?
            .put(&house.erasing, &digest, &record.segment)?;
        house.meta.commit(batch)?;
        self.destroy_keys(&digest, &record.segment)
    }

    fn store_statement(&self, statement: &ErasureStatement) -> Result<(), CatalogError> {
        let key = statement.digest().to_string();
        if self.0.erasures.contains(&key)? {
            return Ok(());
        }
        Ok(self.0.erasures.put(&key, statement.signed())?)
    }

    /// Keeps only the newest versions of a dataset, now and after each import; `None` keeps all from now on. Returns how many
    /// versions were removed. Blocks; see [`super`] for where to call it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is none of this name.
    pub fn retain(&self, name: &DatasetName, versions: Option<NonZeroU32>) -> Result<u64, CatalogError> {
        {
            let _changing = self.changing();
            let record = self.show(name)?;
            self.exchange(
                &record,
                DatasetRecord {
                    keep: versions,
                    ..record.clone()
                },
            )?;
        }
        self.trim(name)
    }

    /// Removes the versions that the dataset's rule does not keep.
    pub(super) fn trim(&self, name: &DatasetName) -> Result<u64, CatalogError> {
        let runtime = runtime()?;
        let (removed, objects) = {
            let _changing = self.changing();
            let _steady = self.0.moving.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let record = self.show(name)?;
            let Some(keep) = record.keep else { return Ok(0) };
            let oldest = (record.current.get() + 1).saturating_sub(u64::from(keep.get()));
            let oldest = VersionNumber::new(oldest.max(record.oldest.get()));
            if oldest == record.oldest {
                return Ok(0);
            }
            let removed = oldest.get() - record.oldest.get();
            (removed, self.forget_versions(&record, oldest)?)
        };
        let free = objects.into_iter().filter(|path| self.0.readers.is_free(path));
        self.remove(&runtime, free.collect())?;
        Ok(removed)
    }

    /// Takes versions out of the state and names the objects that no other version needs.
    fn forget_versions(&self, record: &DatasetRecord, oldest: VersionNumber) -> Result<Vec<Path>, CatalogError> {
        let changed = DatasetRecord {
            oldest,
            ..record.clone()
        };
        let kept = self.named_objects(&changed)?;
        let is_kept = |entry: &ObjectEntry| kept.iter().any(|other| other.path == entry.path);
        let mut batch = Batch::new();
        self.replace(&mut batch, record, &changed)?;
        for number in record.oldest.get()..oldest.get() {
            let key = manifest_key(&record.name, VersionNumber::new(number));
            batch.remove(&self.0.manifests, &key);
        }
        let mut objects = Vec::new();
        for entry in self.named_objects(record)?.into_iter().filter(|entry| !is_kept(entry)) {
            batch.remove(&self.0.placements, &entry.path);
            objects.push(self.placed_one(entry)?.location());
        }
        self.0.meta.commit(batch)?;
        Ok(objects)
    }

    /// Goes on with erasures that were broken off between taking the dataset out and rotating the keys above it.
    pub(super) fn finish_erasures(&self) -> Result<(), CatalogError> {
        let _changing = self.changing();
        for (statement, segment) in self.0.erasing.iter()? {
            self.destroy_keys(&statement, &segment)?;
        }
        Ok(())
    }

    /// Rotates what wrapped the keys of a dataset that was taken out.
    fn destroy_keys(&self, statement: &str, segment: &SegmentName) -> Result<(), CatalogError> {
        self.rotate_segment_alone(segment)?;
        self.rotate_master_alone()?;
        Ok(self.0.erasing.remove(statement)?)
    }
}
