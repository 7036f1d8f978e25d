//! Which versions are kept.

use std::{num::NonZeroU32, sync::Arc};

use concordat_protocol::{ids::DatasetName, schema::VersionNumber};
use object_store::path::Path;

use super::{
    CatalogError, CollectionRecord, ObjectEntry,
    datasets::{Datasets, manifest_key},
    objects::StoredObjects,
    runtime::runtime,
};
use crate::meta::Batch;

/// Removes the versions that the retention rule of a dataset excludes.
#[derive(Clone, Debug)]
pub struct Retention {
    pub(super) datasets: Arc<Datasets>,
    pub(super) objects: Arc<StoredObjects>,
}

impl Retention {
    /// Sets how many of the newest versions of a dataset are kept; `None` keeps all. Removes nothing: see [`Retention::excluded`].
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name.
    pub fn set_rule(&self, name: &DatasetName, versions: Option<NonZeroU32>) -> Result<(), CatalogError> {
        let _changes = self.datasets.lock_changes();
        let record = self.datasets.record(name)?;
        self.datasets.update(&record.with_retention(versions))
    }

    /// The oldest version that the dataset's retention rule keeps, if there are older ones.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name.
    pub fn excluded(&self, name: &DatasetName) -> Result<Option<VersionNumber>, CatalogError> {
        Ok(oldest_kept(&self.datasets.record(name)?))
    }

    /// Removes the versions before `oldest`, if the dataset's retention rule still excludes all of them. Returns how many versions were
    /// removed. The caller has recorded that before. Blocks; see [`super`] for where to call it.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] if there is no dataset with this name. If objects cannot be removed, the versions are removed
    /// nevertheless, and the objects at the next start.
    pub fn trim(&self, name: &DatasetName, oldest: VersionNumber) -> Result<u64, CatalogError> {
        let runtime = runtime()?;
        let (removed, objects) = {
            let _changes = self.datasets.lock_changes();
            let _placements = self.objects.change_placements();
            let record = self.datasets.record(name)?;
            if oldest <= record.oldest || oldest_kept(&record).is_none_or(|kept| kept < oldest) {
                return Ok(0);
            }
            let removed = oldest.get() - record.oldest.get();
            (removed, self.forget_versions(&record, oldest)?)
        };
        let free = objects.into_iter().filter(|path| self.objects.readers.is_unused(path));
        self.objects.remove(&runtime, free.collect())?;
        Ok(removed)
    }

    /// Removes versions from the state and returns the objects that no other version needs.
    fn forget_versions(&self, record: &CollectionRecord, oldest: VersionNumber) -> Result<Vec<Path>, CatalogError> {
        let changed = record.with_oldest(oldest);
        let needed = self.datasets.named_objects(changed.after())?;
        let is_needed = |entry: &ObjectEntry| needed.iter().any(|other| other.path == entry.path);
        let mut batch = Batch::new();
        self.datasets.replace(&mut batch, &changed)?;
        for number in record.oldest.get()..oldest.get() {
            let key = manifest_key(&record.dataset_name(), VersionNumber::new(number));
            batch.remove(&self.datasets.manifests, &key);
        }
        let mut objects = Vec::new();
        for entry in self
            .datasets
            .named_objects(record)?
            .into_iter()
            .filter(|entry| !is_needed(entry))
        {
            batch.remove(&self.objects.placements, &entry.path);
            objects.push(self.objects.current_entry(entry)?.location());
        }
        self.datasets.meta.commit(batch)?;
        Ok(objects)
    }
}

/// The oldest version that the retention rule keeps, if there are older ones.
fn oldest_kept(record: &CollectionRecord) -> Option<VersionNumber> {
    let keep = record.keep?;
    let oldest = (record.current.get() + 1).saturating_sub(u64::from(keep.get()));
    (oldest > record.oldest.get()).then(|| VersionNumber::new(oldest))
}
