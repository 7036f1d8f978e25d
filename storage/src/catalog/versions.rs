//! Opening a version.

use std::sync::Arc;

use concordat_protocol::{ids::DatasetName, schema::VersionNumber};

use super::{
    CatalogError, ObjectEntry, OpenVersion, datasets::Datasets, keyring::Keyring, objects::StoredObjects, read::Parts,
};

/// Opens versions.
#[derive(Clone, Debug)]
pub(super) struct Versions {
    pub(super) datasets: Arc<Datasets>,
    pub(super) keys: Arc<Keyring>,
    pub(super) objects: Arc<StoredObjects>,
}

impl Versions {
    pub(super) fn open(&self, name: &DatasetName, version: Option<VersionNumber>) -> Result<OpenVersion, CatalogError> {
        let _placements = self.objects.read_placements();
        let record = self.datasets.show(name)?;
        let manifest = self.datasets.manifest(&record, version.unwrap_or(record.current))?;
        let entries = self.objects.current_entries(&record, manifest.document())?;
        let guard = self
            .objects
            .readers
            .register(entries.iter().map(ObjectEntry::location).collect());
        let keys = self.keys.open_keys(&record)?;
        let sealed = self.objects.sealed_under(keys.current).with_older_keys(keys.older);
        Ok(OpenVersion::new(Parts {
            manifest,
            entries,
            pseudonyms: keys.pseudonyms,
            sealed,
            inner: Arc::clone(&self.objects.store),
            guard,
        }))
    }
}
