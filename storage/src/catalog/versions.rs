//! Opening a version.

use std::sync::Arc;

use concordat_protocol::{
    ids::{CollectionName, DatasetName},
    schema::VersionNumber,
};

use super::{
    CatalogError, CollectionManifest, CollectionRecord, ObjectEntry, OpenCollection, OpenVersion, datasets::Datasets,
    keyring::Keyring, objects::StoredObjects, read::Parts,
};

/// Opens versions.
#[derive(Clone, Debug)]
pub(super) struct Versions {
    pub(super) datasets: Arc<Datasets>,
    pub(super) keys: Arc<Keyring>,
    pub(super) objects: Arc<StoredObjects>,
}

impl Versions {
    /// Opens a version of a collection of one.
    pub(super) fn open(&self, name: &DatasetName, version: Option<VersionNumber>) -> Result<OpenVersion, CatalogError> {
        let opened = self.open_collection(&CollectionName::from(name), version)?;
        OpenVersion::new(opened).ok_or_else(|| CatalogError::NotFound { name: name.clone() })
    }

    pub(super) fn open_collection(
        &self,
        name: &CollectionName,
        version: Option<VersionNumber>,
    ) -> Result<OpenCollection, CatalogError> {
        let _placements = self.objects.read_placements();
        let record = self.datasets.collection(name)?;
        let manifest = self.datasets.manifest(&record, version.unwrap_or(record.current))?;
        let entries = self.objects.current_entries(&record, manifest.document())?;
        let guard = self
            .objects
            .readers
            .register(entries.iter().map(ObjectEntry::location).collect());
        let keys = self.keys.open_keys(&record)?;
        let sealed = self.objects.sealed_under(keys.current).with_older_keys(keys.older);
        Ok(OpenCollection::new(Parts {
            manifest,
            entries,
            pseudonyms: keys.pseudonyms,
            sealed,
            inner: Arc::clone(&self.objects.store),
            guard,
        }))
    }

    /// The record of a collection and the manifest of a version, the current one if none is given, as they are at one moment.
    pub(super) fn described(
        &self,
        name: &CollectionName,
        version: Option<VersionNumber>,
    ) -> Result<(CollectionRecord, CollectionManifest), CatalogError> {
        let _placements = self.objects.read_placements();
        let record = self.datasets.collection(name)?;
        let manifest = self.datasets.manifest(&record, version.unwrap_or(record.current))?;
        Ok((record, manifest.document().clone()))
    }
}
