//! Datasets and their immutable versions.
//!
//! 1. An import ([`Catalog::import`]) writes sealed Parquet objects that nobody can see yet; each is on the disk when it is
//!    complete.
//! 2. A [`Manifest`] states what the version holds: columns, rows, and each object with its length and hashes. The
//!    institution's key signs it.
//! 3. One commit of the state database stores the manifest and moves the dataset's pointer to it. Before it the old version
//!    is there, after it the new one, and never anything between.
//! 4. A reader ([`Catalog::open_version`]) holds one manifest and sees its objects only. Objects of a version are never
//!    changed, so it goes on undisturbed while newer versions appear.
//! 5. What an import that failed or was killed left behind is named by no manifest; [`Catalog::collect_orphans`] removes it.
//!
//! An object lies at `KEY-ID/RANDOM.parquet`: its path says nothing about the dataset. What the steward says about the
//! columns ([`Classification`]) may change at any time and does not make a version.
//!
//! All calls block. `import`, `verify` and `collect_orphans` do file work on a tokio runtime: call them within
//! `tokio::task::spawn_blocking` (in an async task itself they would panic, as blocking there does).

mod classification;
mod dataset;
mod error;
mod import;
mod read;
mod upkeep;
mod version;
mod writer;

use std::{
    fmt,
    sync::{Arc, RwLock},
};

use concordat_protocol::{
    identity::InstitutionPublicKey,
    ids::{DatasetName, SegmentName},
    signed::{Signed, Verified},
};
use object_store::ObjectStore;

pub use classification::{Classification, ColumnClass, InvalidClass};
pub use dataset::DatasetRecord;
pub use error::CatalogError;
pub use import::{ImportError, ImportMode, ImportRequest, Imported, MAIN_SEGMENT, Progress, ROWS_PER_OBJECT};
pub use read::OpenVersion;
pub use upkeep::Verification;
pub use version::{ColumnMeta, Manifest, ObjectEntry, Provenance, VersionNumber};

use crate::{
    keys::{DatasetKey, MasterKey, SegmentKey, Wrapped},
    meta::{MetaError, SealedDb, SealedTree, TreeId},
    seal::{SealedStore, Suite},
    storage::Identities,
};

const SEGMENTS: TreeId = TreeId::new("segments");
const DATASETS: TreeId = TreeId::new("datasets");
const MANIFESTS: TreeId = TreeId::new("manifests");

/// The datasets of one node.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    master: Arc<MasterKey>,
    identities: Arc<Identities>,
    meta: SealedDb,
    segments: SealedTree<Wrapped>,
    datasets: SealedTree<DatasetRecord>,
    manifests: SealedTree<Signed<Manifest>>,
    /// Holds sealed bytes; only [`SealedStore`]s read and write it.
    objects: Arc<dyn ObjectStore>,
    /// Shared by imports, taken alone by the removal of orphans, to which an import's objects would look like ones.
    writing: RwLock<()>,
}

impl Catalog {
    pub(crate) fn open(
        master: Arc<MasterKey>,
        identities: Arc<Identities>,
        meta: SealedDb,
        objects: Arc<dyn ObjectStore>,
    ) -> Result<Self, MetaError> {
        Ok(Self(Arc::new(Inner {
            master,
            identities,
            segments: meta.tree(SEGMENTS)?,
            datasets: meta.tree(DATASETS)?,
            manifests: meta.tree(MANIFESTS)?,
            meta,
            objects,
            writing: RwLock::default(),
        })))
    }

    /// Opens a version, the current one if none is named.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::NoSuchVersion`], and an error of [`crate::fault::Fault::Integrity`] if
    /// the manifest or a key is not what was stored.
    pub fn open_version(
        &self,
        name: &DatasetName,
        version: Option<VersionNumber>,
    ) -> Result<OpenVersion, CatalogError> {
        let record = self.show(name)?;
        let manifest = self.manifest(&record, version.unwrap_or(record.current))?;
        let store = self.sealed_store(self.dataset_key(&record)?);
        Ok(OpenVersion::new(manifest, store, Arc::clone(&self.0.objects)))
    }

    /// The manifests of all versions of a dataset, the oldest first.
    ///
    /// # Errors
    /// As [`Catalog::open_version`].
    pub fn versions(&self, name: &DatasetName) -> Result<Vec<Manifest>, CatalogError> {
        let record = self.show(name)?;
        let numbers = 1..=record.current.get();
        numbers
            .map(|number| Ok(self.manifest(&record, VersionNumber::new(number))?.document().clone()))
            .collect()
    }

    /// The manifest of a version, its signature and its place checked.
    fn manifest(
        &self,
        record: &DatasetRecord,
        version: VersionNumber,
    ) -> Result<Verified<Manifest, InstitutionPublicKey>, CatalogError> {
        let name = || record.name.clone();
        if !(VersionNumber::FIRST..=record.current).contains(&version) {
            return Err(CatalogError::NoSuchVersion {
                name: name(),
                version,
                current: record.current,
            });
        }
        let signed = self.0.manifests.get(&manifest_key(&record.name, version))?;
        let signed = signed.ok_or_else(|| CatalogError::ManifestGone { name: name(), version })?;
        let key = self.0.identities.institution_public().map_err(Box::new)?;
        let manifest = signed.verify(key).map_err(|source| CatalogError::Signature {
            name: name(),
            version,
            source,
        })?;
        if manifest.document().dataset != record.name || manifest.document().version != version {
            return Err(CatalogError::OtherManifest { name: name(), version });
        }
        Ok(manifest)
    }

    fn dataset_key(&self, record: &DatasetRecord) -> Result<DatasetKey, CatalogError> {
        let segment = self.segment_key(&record.segment)?;
        let segment = segment.ok_or_else(|| CatalogError::SegmentGone {
            segment: record.segment.clone(),
        })?;
        Ok(segment.open_dataset(record.name.as_str(), &record.key)?)
    }

    fn segment_key(&self, segment: &SegmentName) -> Result<Option<SegmentKey>, CatalogError> {
        let Some(wrapped) = self.0.segments.get(segment.as_str())? else {
            return Ok(None);
        };
        Ok(Some(self.0.master.open_segment(segment.as_str(), &wrapped)?))
    }

    fn sealed_store(&self, key: DatasetKey) -> SealedStore {
        SealedStore::new(Arc::clone(&self.0.objects), key, Suite::auto())
    }
}

/// Where the manifest of a version is kept.
fn manifest_key(name: &DatasetName, version: VersionNumber) -> String {
    format!("{name}/{version}")
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
