//! Opening a version.

use std::sync::Arc;

use concordat_protocol::{ids::DatasetName, schema::VersionNumber};

use super::{
    CatalogError, ObjectEntry, OpenVersion, datasets::Datasets, keyring::Keyring, objects::StoredObjects, read::Parts,
};

/// What opens versions.
#[derive(Clone, Debug)]
pub(super) struct Versions {
    pub(super) datasets: Arc<Datasets>,
    pub(super) keys: Arc<Keyring>,
    pub(super) objects: Arc<StoredObjects>,
}

impl Versions {
    pub(super) fn open(&self, name: &DatasetName, version: Option<VersionNumber>) -> Result<OpenVersion, CatalogError> {
        let _steady = self.objects.steady();
        let record = self.datasets.show(name)?;
        let manifest = self.datasets.manifest(&record, version.unwrap_or(record.current))?;
        let entries = self.objects.placed(&record, manifest.document())?;
        let reading = self
            .objects
            .readers
            .enter(entries.iter().map(ObjectEntry::location).collect());
        let keys = self.keys.open_keys(&record)?;
        let sealed = self.objects.sealed_under(keys.current).reading_also(keys.older);
        Ok(OpenVersion::new(Parts {
            manifest,
            entries,
            pseudonyms: keys.pseudonyms,
            sealed,
            inner: Arc::clone(&self.objects.store),
            reading,
        }))
    }
}
