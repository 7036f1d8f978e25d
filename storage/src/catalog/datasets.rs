//! The records of datasets and the manifests of their versions, and what changes a record.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use concordat_keys::Identities;
use concordat_protocol::{
    identity::InstitutionPublicKey,
    ids::{CollectionName, ColumnName, DatasetName, Digest32},
    schema::VersionNumber,
    signed::Signed,
};

use super::{
    CatalogError, CollectionManifest, CollectionRecord, DatasetRecord, LatestImport, Manifest, ObjectEntry,
    ProposedColumns, VersionManifest, entered::Entered, record::collection::MaintainedRecord,
};
use crate::meta::{Batch, MetaError, SealedDb, SealedTree, TreeId};

/// The records of collections, under their names; that of a collection of one is a [`DatasetRecord`].
pub const DATASETS: TreeId = TreeId::new("datasets");
const MANIFESTS: TreeId = TreeId::new("manifests");
const IMPORTS: TreeId = TreeId::new("imports");
const PROPOSALS: TreeId = TreeId::new("proposals");

/// The datasets of one node, as stored in its state database.
#[derive(Debug)]
pub struct Datasets {
    pub(super) meta: SealedDb,
    records: SealedTree<CollectionRecord>,
    /// Those of datasets alone that were signed before there were collections have the same form, and another label.
    pub(super) manifests: SealedTree<Signed<CollectionManifest>>,
    /// The latest import of each dataset; none for those that were imported before this was kept.
    pub(super) imports: SealedTree<LatestImport>,
    /// What is proposed for the columns of collections, under their names.
    pub(super) proposals: SealedTree<ProposedColumns>,
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
            proposals: meta.tree(PROPOSALS)?,
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

    /// All datasets that are collections of one, by name.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn list(&self) -> Result<Vec<DatasetRecord>, CatalogError> {
        Ok(self.collections()?.iter().filter_map(CollectionRecord::alone).collect())
    }

    /// All collections, by name.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn collections(&self) -> Result<Vec<CollectionRecord>, CatalogError> {
        Ok(self.records.iter()?.map(|(_, record)| record).collect())
    }

    /// What `of` makes of each collection, by name. The records of thousands of collections are not in memory at the same time.
    ///
    /// # Errors
    /// [`CatalogError::Meta`] if state cannot be read.
    pub fn map_collections<T>(&self, of: impl FnMut(&CollectionRecord) -> T) -> Result<Vec<T>, CatalogError> {
        Ok(self.records.map_values(of)?)
    }

    /// The record of a collection, if there is one.
    pub(super) fn find(&self, name: &DatasetName) -> Result<Option<CollectionRecord>, CatalogError> {
        Ok(self.records.get(name.as_str())?)
    }

    /// The record of the collection with this name.
    pub(super) fn record(&self, name: &DatasetName) -> Result<CollectionRecord, CatalogError> {
        self.find(name)?
            .ok_or_else(|| CatalogError::NotFound { name: name.clone() })
    }

    /// One collection.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no collection with this name.
    pub fn collection(&self, name: &CollectionName) -> Result<CollectionRecord, CatalogError> {
        self.record(&DatasetName::from(name))
    }

    /// One dataset that is a collection of one.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no such dataset with this name.
    pub fn show(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        let alone = self.record(name)?.alone();
        alone.ok_or_else(|| CatalogError::NotFound { name: name.clone() })
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

    /// The columns of the current version that have no class yet.
    ///
    /// # Errors
    /// As [`super::Catalog::open_version`].
    pub fn unclassified(&self, record: &DatasetRecord) -> Result<Vec<ColumnName>, CatalogError> {
        let manifest = self.manifest_alone(record, record.current)?;
        let columns = manifest.own_columns().map(|column| &column.name);
        Ok(columns
            .filter(|column| record.classification.class(column).is_none())
            .cloned()
            .collect())
    }

    /// The manifests of all versions of a dataset that are kept, the oldest first.
    ///
    /// # Errors
    /// As [`super::Catalog::open_version`].
    pub fn versions(&self, name: &DatasetName) -> Result<Vec<Manifest>, CatalogError> {
        let record = self.show(name)?;
        let numbers = record.oldest.get()..=record.current.get();
        numbers
            .map(|number| self.manifest_alone(&record, VersionNumber::new(number)))
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

    /// The manifest of a version of a dataset alone, as [`Datasets::manifest`].
    pub(super) fn manifest_alone(
        &self,
        record: &DatasetRecord,
        version: VersionNumber,
    ) -> Result<Manifest, CatalogError> {
        let manifest = self.manifest(&CollectionRecord::from(record.clone()), version)?;
        manifest.document().alone().ok_or_else(|| CatalogError::OtherManifest {
            name: record.name.clone(),
            version,
        })
    }

    /// The manifest of a version, after checking its signature and that it belongs to this collection and version.
    pub(super) fn manifest(
        &self,
        record: &CollectionRecord,
        version: VersionNumber,
    ) -> Result<VersionManifest, CatalogError> {
        let name = || record.dataset_name();
        if !(record.oldest..=record.current).contains(&version) {
            return Err(CatalogError::NoSuchVersion {
                name: name(),
                version,
                oldest: record.oldest,
                current: record.current,
            });
        }
        let Some(signed) = self.manifests.get(&manifest_key(&name(), version))? else {
            return Err(self.manifest_missing(record, version)?);
        };
        let keys = self.signers()?;
        let manifest = VersionManifest::verify(signed, &keys).map_err(|source| CatalogError::Signature {
            name: name(),
            version,
            source,
        })?;
        if *manifest.document().collection() != record.name || manifest.document().version() != version {
            return Err(CatalogError::OtherManifest { name: name(), version });
        }
        Ok(manifest)
    }

    /// Why a version of a collection that was read before has no manifest: the collection was erased in the meantime, or the state is damaged.
    fn manifest_missing(
        &self,
        record: &CollectionRecord,
        version: VersionNumber,
    ) -> Result<CatalogError, CatalogError> {
        let name = record.dataset_name();
        let now = self.find(&name)?;
        let is_there =
            now.is_some_and(|now| now.created == record.created && (now.oldest..=now.current).contains(&version));
        Ok(if is_there {
            CatalogError::ManifestMissing { name, version }
        } else {
            CatalogError::NotFound { name }
        })
    }

    /// Every object that a version of the collection names, each once, as its manifest states it.
    pub(super) fn named_objects(&self, record: &CollectionRecord) -> Result<Vec<ObjectEntry>, CatalogError> {
        let mut named: Vec<ObjectEntry> = Vec::new();
        for number in record.oldest.get()..=record.current.get() {
            let manifest = self.manifest(record, VersionNumber::new(number))?;
            named.extend(manifest.document().objects().cloned());
        }
        named.sort_by(|a, b| a.path.cmp(&b.path));
        named.dedup_by(|a, b| a.path == b.path);
        Ok(named)
    }

    /// Stores a record with the same declarations, if it was not changed in the meantime.
    pub(super) fn update(&self, record: &MaintainedRecord) -> Result<(), CatalogError> {
        let mut batch = Batch::new();
        self.replace(&mut batch, record)?;
        Ok(self.meta.commit(batch)?)
    }

    /// The same as part of a larger change.
    pub(super) fn replace(&self, batch: &mut Batch, record: &MaintainedRecord) -> Result<(), MetaError> {
        self.stage(batch, Some(record.before()), record.after())
    }

    /// Stores a record whose declarations may be others, as part of a larger change.
    pub(super) fn put_declared(
        &self,
        batch: &mut Batch,
        old: Option<&CollectionRecord>,
        new: &CollectionRecord,
        _entered: &Entered,
    ) -> Result<(), MetaError> {
        self.stage(batch, old, new)
    }

    fn stage(
        &self,
        batch: &mut Batch,
        old: Option<&CollectionRecord>,
        new: &CollectionRecord,
    ) -> Result<(), MetaError> {
        let name = new.name.as_str();
        batch.expect(&self.records, name, old)?.put(&self.records, name, new)?;
        Ok(())
    }

    /// Removes a record, as part of an erasure.
    pub(super) fn stage_removal(&self, batch: &mut Batch, record: &CollectionRecord) -> Result<(), MetaError> {
        let name = record.name.as_str();
        batch.expect(&self.records, name, Some(record))?;
        batch.remove(&self.records, name);
        Ok(())
    }

    /// Locks changes of records and keys, so that concurrent changes do not overwrite each other.
    pub(super) fn lock_changes(&self) -> MutexGuard<'_, ()> {
        self.change_lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key under which the latest import of a dataset of a collection is stored.
pub(super) fn import_key(collection: &CollectionName, dataset: &DatasetName) -> String {
    if collection.is_name_of(dataset) {
        dataset.to_string()
    } else {
        format!("{collection}/{dataset}")
    }
}

/// The key under which the manifest of a version is stored.
pub(super) fn manifest_key(name: &DatasetName, version: VersionNumber) -> String {
    format!("{name}/{version}")
}
