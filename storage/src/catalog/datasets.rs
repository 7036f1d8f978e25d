//! The records of datasets and the manifests of their versions, and the decisions of stewards about them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_keys::Identities;
use concordat_protocol::{
    identity::InstitutionPublicKey,
    ids::{ColumnName, DatasetName, Digest32},
    release::ReleaseChange,
    schema::VersionNumber,
    signed::{Signed, Verified},
};

use super::{CatalogError, Classification, DatasetRecord, LatestImport, Manifest, ObjectEntry};
use crate::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};

/// The records of datasets, under their names.
pub const DATASETS: TreeId = TreeId::new("datasets");
const MANIFESTS: TreeId = TreeId::new("manifests");
const IMPORTS: TreeId = TreeId::new("imports");

/// The datasets of one node, as stored in its state database.
#[derive(Debug)]
pub struct Datasets {
    pub(super) meta: SealedDb,
    pub(super) records: SealedTree<DatasetRecord>,
    pub(super) manifests: SealedTree<Signed<Manifest>>,
    /// The latest import of each dataset; none for those that were imported before this was kept.
    pub(super) imports: SealedTree<LatestImport>,
    pub(super) identities: Arc<Identities>,
    /// Held while a record or a key is changed; never during work on objects.
    change_lock: Mutex<()>,
}

impl Datasets {
    pub(super) fn open(meta: &SealedDb, identities: Arc<Identities>) -> Result<Self, MetaError> {
        Ok(Self {
            records: meta.tree(DATASETS)?,
            manifests: meta.tree(MANIFESTS)?,
            imports: meta.tree(IMPORTS)?,
            meta: meta.clone(),
            identities,
            change_lock: Mutex::default(),
        })
    }

    /// The institution's public key, which signs manifests.
    pub(super) fn signer(&self) -> Result<InstitutionPublicKey, CatalogError> {
        Ok(self.identities.institution_public()?)
    }

    /// That key and the earlier ones: stored documents were signed by one of them.
    pub(super) fn signers(&self) -> Result<Arc<[InstitutionPublicKey]>, CatalogError> {
        Ok(self.identities.institution_keys()?)
    }

    /// All datasets, by name.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn list(&self) -> Result<Vec<DatasetRecord>, CatalogError> {
        Ok(self.records.iter()?.map(|(_, record)| record).collect())
    }

    /// The record of a dataset, if there is one.
    pub(super) fn find(&self, name: &DatasetName) -> Result<Option<DatasetRecord>, CatalogError> {
        Ok(self.records.get(name.as_str())?)
    }

    /// One dataset.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name.
    pub fn show(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        self.find(name)?
            .ok_or_else(|| CatalogError::NotFound { name: name.clone() })
    }

    /// What is kept of the latest import of a dataset; `None` if nothing was kept then.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name.
    pub fn latest_import(&self, name: &DatasetName) -> Result<Option<LatestImport>, CatalogError> {
        let record = self.show(name)?;
        let latest = self.imports.get(name.as_str())?;
        Ok(latest.filter(|latest| latest.version == record.current))
    }

    /// Sets the classes of some columns; the others keep theirs.
    ///
    /// # Errors
    /// [`CatalogError::UnknownColumns`] if the current version lacks any of them; nothing is changed then.
    pub fn classify(&self, name: &DatasetName, classes: &Classification) -> Result<DatasetRecord, CatalogError> {
        let _changes = self.lock_changes();
        let old = self.show(name)?;
        let manifest = self.manifest(&old, old.current)?;
        let is_known = |column: &ColumnName| manifest.document().own_columns().any(|known| known.name == *column);
        let unknown: Vec<ColumnName> = classes
            .iter()
            .map(|(column, _)| column.clone())
            .filter(|column| !is_known(column))
            .collect();
        if !unknown.is_empty() {
            return Err(CatalogError::UnknownColumns {
                name: name.clone(),
                columns: unknown,
            });
        }
        let mut new = old.clone();
        new.classification.merge(classes);
        self.update(&old, new)
    }

    /// Shows the dataset to other institutions.
    ///
    /// # Errors
    /// [`CatalogError::Unclassified`] while any column of the current version has no class.
    pub fn publish(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        let _changes = self.lock_changes();
        let old = self.show(name)?;
        let columns = self.unclassified(&old)?;
        if !columns.is_empty() {
            return Err(CatalogError::Unclassified {
                name: name.clone(),
                columns,
            });
        }
        let new = DatasetRecord {
            published: true,
            ..old.clone()
        };
        self.update(&old, new)
    }

    /// Stops showing the dataset to other institutions; this does not affect grants.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name.
    pub fn withdraw(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        let _changes = self.lock_changes();
        let old = self.show(name)?;
        let new = DatasetRecord {
            published: false,
            ..old.clone()
        };
        self.update(&old, new)
    }

    /// The columns of the current version that have no class yet.
    ///
    /// # Errors
    /// As [`super::Catalog::open_version`].
    pub fn unclassified(&self, record: &DatasetRecord) -> Result<Vec<ColumnName>, CatalogError> {
        let manifest = self.manifest(record, record.current)?;
        let columns = manifest.document().own_columns().map(|column| &column.name);
        Ok(columns
            .filter(|column| record.classification.class(column).is_none())
            .cloned()
            .collect())
    }

    /// Changes the steward's decisions about the answers of a dataset.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name, [`CatalogError::Limits`] for a limit that
    /// cannot be set.
    pub fn set_release(&self, name: &DatasetName, change: &ReleaseChange) -> Result<DatasetRecord, CatalogError> {
        let _changes = self.lock_changes();
        let old = self.show(name)?;
        let new = DatasetRecord {
            release: change.applied(&old.release)?,
            ..old.clone()
        };
        self.update(&old, new)
    }

    /// The manifests of all versions of a dataset that are kept, the oldest first.
    ///
    /// # Errors
    /// As [`super::Catalog::open_version`].
    pub fn versions(&self, name: &DatasetName) -> Result<Vec<Manifest>, CatalogError> {
        let record = self.show(name)?;
        let numbers = record.oldest.get()..=record.current.get();
        numbers
            .map(|number| Ok(self.manifest(&record, VersionNumber::new(number))?.document().clone()))
            .collect()
    }

    /// The digest of the signed manifest of a version, as stored; only its seal is checked.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn manifest_digest(
        &self,
        name: &DatasetName,
        version: VersionNumber,
    ) -> Result<Option<Digest32>, CatalogError> {
        let found = self.manifests.get(&manifest_key(name, version))?;
        Ok(found.map(|signed| signed.digest()))
    }

    /// The manifest of a version, after checking its signature and that it belongs to this dataset and version.
    pub(super) fn manifest(
        &self,
        record: &DatasetRecord,
        version: VersionNumber,
    ) -> Result<Verified<Manifest, InstitutionPublicKey>, CatalogError> {
        let name = || record.name.clone();
        if !(record.oldest..=record.current).contains(&version) {
            return Err(CatalogError::NoSuchVersion {
                name: name(),
                version,
                oldest: record.oldest,
                current: record.current,
            });
        }
        let signed = self.manifests.get(&manifest_key(&record.name, version))?;
        let signed = signed.ok_or_else(|| CatalogError::ManifestMissing { name: name(), version })?;
        let keys = self.signers()?;
        let manifest = signed.verify_any(&keys).map_err(|source| CatalogError::Signature {
            name: name(),
            version,
            source,
        })?;
        if manifest.document().dataset != record.name || manifest.document().version != version {
            return Err(CatalogError::OtherManifest { name: name(), version });
        }
        Ok(manifest)
    }

    /// Every object that a version of the dataset names, each once, as its manifest states it.
    pub(super) fn named_objects(&self, record: &DatasetRecord) -> Result<Vec<ObjectEntry>, CatalogError> {
        let mut named: Vec<ObjectEntry> = Vec::new();
        for number in record.oldest.get()..=record.current.get() {
            let manifest = self.manifest(record, VersionNumber::new(number))?;
            named.extend(manifest.document().objects.iter().cloned());
        }
        named.sort_by(|a, b| a.path.cmp(&b.path));
        named.dedup_by(|a, b| a.path == b.path);
        Ok(named)
    }

    /// Replaces `old` with `new`, if it was not changed in the meantime.
    pub(super) fn update(&self, old: &DatasetRecord, new: DatasetRecord) -> Result<DatasetRecord, CatalogError> {
        let mut batch = Batch::new();
        self.replace(&mut batch, old, &new)?;
        self.meta.commit(batch)?;
        Ok(new)
    }

    /// The same as part of a larger change.
    pub(super) fn replace(&self, batch: &mut Batch, old: &DatasetRecord, new: &DatasetRecord) -> Result<(), MetaError> {
        let name = old.name.as_str();
        batch
            .expect(&self.records, name, Some(old))?
            .put(&self.records, name, new)?;
        Ok(())
    }

    /// Locks changes of records and keys, so that concurrent changes do not overwrite each other.
    pub(super) fn lock_changes(&self) -> MutexGuard<'_, ()> {
        self.change_lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key under which the manifest of a version is stored.
pub(super) fn manifest_key(name: &DatasetName, version: VersionNumber) -> String {
    format!("{name}/{version}")
}
