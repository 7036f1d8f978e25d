//! Which versions are kept.

use std::{num::NonZeroU32, sync::Arc};

use concordat_protocol::{ids::DatasetName, schema::VersionNumber};
use object_store::path::Path;

use super::{
    CatalogError, DatasetRecord, ObjectEntry,
    datasets::{Datasets, manifest_key},
    objects::StoredObjects,
    runtime::runtime,
};
use crate::meta::Batch;

/// Removes the versions that a steward does not keep.
#[derive(Clone, Debug)]
pub struct Retention {
    pub(super) datasets: Arc<Datasets>,
    pub(super) objects: Arc<StoredObjects>,
}

impl Retention {
    /// Keeps only the newest versions of a dataset, now and after each import; `None` keeps all from now on. Returns how many
    /// versions were removed. Blocks; see [`super`] for where to call it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is none of this name.
    pub fn retain(&self, name: &DatasetName, versions: Option<NonZeroU32>) -> Result<u64, CatalogError> {
        {
            let _changing = self.datasets.changing();
            let record = self.datasets.show(name)?;
            self.datasets.exchange(
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
            let _changing = self.datasets.changing();
            let _steady = self.objects.moving();
            let record = self.datasets.show(name)?;
            let Some(keep) = record.keep else { return Ok(0) };
            let oldest = (record.current.get() + 1).saturating_sub(u64::from(keep.get()));
            let oldest = VersionNumber::new(oldest.max(record.oldest.get()));
            if oldest == record.oldest {
                return Ok(0);
            }
            let removed = oldest.get() - record.oldest.get();
            (removed, self.forget_versions(&record, oldest)?)
        };
        let free = objects.into_iter().filter(|path| self.objects.readers.is_free(path));
        self.objects.remove(&runtime, free.collect())?;
        Ok(removed)
    }

    /// Takes versions out of the state and names the objects that no other version needs.
    fn forget_versions(&self, record: &DatasetRecord, oldest: VersionNumber) -> Result<Vec<Path>, CatalogError> {
        let changed = DatasetRecord {
            oldest,
            ..record.clone()
        };
        let kept = self.datasets.named_objects(&changed)?;
        let is_kept = |entry: &ObjectEntry| kept.iter().any(|other| other.path == entry.path);
        let mut batch = Batch::new();
        self.datasets.replace(&mut batch, record, &changed)?;
        for number in record.oldest.get()..oldest.get() {
            let key = manifest_key(&record.name, VersionNumber::new(number));
            batch.remove(&self.datasets.manifests, &key);
        }
        let mut objects = Vec::new();
        for entry in self
            .datasets
            .named_objects(record)?
            .into_iter()
            .filter(|entry| !is_kept(entry))
        {
            batch.remove(&self.objects.placements, &entry.path);
            objects.push(self.objects.placed_one(entry)?.location());
        }
        self.datasets.meta.commit(batch)?;
        Ok(objects)
    }
}
