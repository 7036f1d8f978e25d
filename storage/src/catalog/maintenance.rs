//! Verification of stored data, and removal of objects that no version needs.

use std::sync::Arc;

use concordat_protocol::{ids::DatasetName, schema::VersionNumber};
use object_store::path::Path;

use super::{
    CatalogError, ObjectEntry, OpenCollection, content::content, datasets::Datasets, objects::StoredObjects,
    runtime::runtime, versions::Versions,
};
use crate::answers::AnswerStore;

/// What [`Maintenance::verify`] read and found intact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Versions.
    pub versions: u64,
    /// Objects; an object named by several versions counts once for each.
    pub objects: u64,
    /// Bytes of Parquet.
    pub bytes: u64,
}

/// Periodic work on the whole catalog.
#[derive(Debug)]
pub struct Maintenance {
    pub(super) datasets: Arc<Datasets>,
    pub(super) objects: Arc<StoredObjects>,
    pub(super) versions: Versions,
    pub(super) answers: Arc<AnswerStore>,
}

impl Maintenance {
    /// Reads every version of a dataset again: the manifest's signature, every block of every object, and the hash over
    /// all of it.
    ///
    /// # Errors
    /// The first damage that was found, as an error of [`concordat_protocol::error_kind::ErrorKind::Integrity`].
    pub fn verify(&self, name: &DatasetName) -> Result<Verification, CatalogError> {
        Ok(self.verify_while(name, || true)?.unwrap_or_default())
    }

    /// The same while `is_needed`; `None` if the result is not needed any more before the next object.
    ///
    /// # Errors
    /// As for [`Self::verify`].
    pub fn verify_while(
        &self,
        name: &DatasetName,
        is_needed: impl Fn() -> bool,
    ) -> Result<Option<Verification>, CatalogError> {
        let runtime = runtime()?;
        let mut done = Verification::default();
        let record = self.datasets.record(name)?;
        for number in record.oldest.get()..=record.current.get() {
            let version = self
                .versions
                .open_collection(&record.name, Some(VersionNumber::new(number)))?;
            for entry in version.entries() {
                if !is_needed() {
                    return Ok(None);
                }
                done.bytes += runtime.block_on(verify_object(&version, entry))?;
                done.objects += 1;
            }
            done.versions += 1;
        }
        Ok(Some(done))
    }

    /// Removes objects that no manifest names and logs of answers that no space has, and returns how many; meant for the start of a node. Objects that are
    /// being read stay until the next time. Files that do not have the name of an object are not touched, because they
    /// do not belong to this node. What is removed follows from the state alone, so an outdated listing does no harm:
    /// what it still shows is removed again, and what it does not show yet stays.
    ///
    /// # Errors
    /// If a manifest cannot be read, nothing is removed: what it names would look like orphans.
    pub fn collect_orphans(&self) -> Result<u64, CatalogError> {
        let runtime = runtime()?;
        let _exclusive = self.objects.exclude_writes();
        let live = self.objects.live_paths()?;
        let is_orphan = |location: &Path| !live.contains(location) && self.objects.readers.is_unused(location);
        let listed = runtime.block_on(self.objects.list())?;
        let removed = self
            .objects
            .remove(&runtime, listed.into_iter().filter(is_orphan).collect())?;
        Ok(removed + self.answers.collect_orphans()?)
    }
}

async fn verify_object(version: &OpenCollection, entry: &ObjectEntry) -> Result<u64, CatalogError> {
    let (len, hash) = content(&version.object_store(), &entry.location()).await?;
    if (len, hash) == (entry.len, entry.content) {
        return Ok(len);
    }
    let manifest = version.manifest();
    Err(CatalogError::Content {
        name: DatasetName::from(manifest.collection()),
        version: manifest.version(),
        path: entry.path.clone(),
    })
}
