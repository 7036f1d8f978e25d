//! Collections of datasets and their immutable versions. A dataset alone is a collection of one, of the same name.
//!
//! 1. An import ([`Catalog::import`], [`Catalog::import_collection`], [`Catalog::index`]) writes sealed Parquet objects that are not visible
//!    yet; each is durable once it is complete.
//! 2. A [`CollectionManifest`] describes the contents of the version: its datasets with columns, rows, and each object
//!    with its length and hashes, and what is stored about the subjects. The institution's key signs it.
//! 3. One commit of the state database stores the manifest and moves the collection's pointer to it. Before it, readers
//!    see the old version of all datasets, after it the new one, and never anything in between.
//! 4. A reader ([`Catalog::open_version`], [`Catalog::open_collection`]) reads one manifest and sees only its objects. Objects of a version are never
//!    changed, so newer versions do not affect it.
//! 5. Objects of an import that failed or was killed are not named by any manifest; [`Maintenance::collect_orphans`]
//!    removes them.
//!
//! 6. A dataset's key can be rotated; what the older key sealed can be reencrypted while it is in use
//!    ([`Reencryption`]). Old versions are removed by a retention rule ([`Retention`]), a dataset by erasing it
//!    ([`Erasures`]). What was answered about a dataset is erased with it ([`AnswerLogs`]).
//!
//! Locks are acquired in this order: the one for writing objects, the one for changing a record or a key, the one for
//! changing the locations of objects.
//!
//! An object is stored at `KEY-ID/RANDOM.parquet`: its path reveals nothing about the dataset. The steward can change
//! the [`Classification`] of the columns at any time; this does not create a version.
//!
//! All calls block. `import`, `verify` and `collect_orphans` do file I/O on a tokio runtime: call them within
//! `tokio::task::spawn_blocking` (directly in an async task they would panic, because they block).

mod answer_logs;
mod changed_since;
mod classification;
mod content;
mod datasets;
mod declared;
mod entered;
mod erase;
mod error;
mod import;
mod keyring;
mod latest_import;
mod maintenance;
mod objects;
mod pinned_objects;
mod planned;
mod proposed;
mod read;
mod record;
mod reencryption;
mod retention;
mod runtime;
mod subject_tables;
mod version;
mod version_entries;
mod versions;
mod weakened;
mod writer;

use std::{collections::BTreeSet, fmt, sync::Arc};

use concordat_keys::{Identities, MasterKey};
use concordat_protocol::{
    identity::InstitutionKey,
    ids::{CollectionName, DatasetName},
    schema::VersionNumber,
    time::Timestamp,
};
use object_store::ObjectStore;

pub use answer_logs::AnswerLogs;
pub use classification::Classification;
pub use datasets::{DATASETS, Datasets};
pub use erase::{ErasureOrder, ErasureStatement, Erasures};
pub use error::CatalogError;
pub use import::{
    CollectionImport, DatasetImport, Declare, Declared, ImportError, ImportMode, ImportRequest, Imported,
    ImportedCollection, ImportedDataset, MAIN_SEGMENT, Progress, ROWS_PER_OBJECT,
};
pub use keyring::{DatasetKeyStatus, KeyStatus, Keyring, SEGMENTS};
pub use latest_import::LatestImport;
pub use maintenance::{Maintenance, Verification};
pub use pinned_objects::PinnedObjects;
pub use planned::PlannedChange;
pub use proposed::{OpenColumns, ProposedColumn, ProposedColumns};
pub use read::{
    OpenCollection, OpenVersion,
    collection::{Collection, CollectionSource, StoredDataset, StoredObject},
};
pub use record::{
    DatasetRecord,
    collection::{CollectionRecord, DatasetDeclarations},
};
pub use reencryption::{KeepGoing, Reencrypted, Reencryption};
pub use retention::Retention;
pub use version::{
    ColumnMeta, Manifest, ObjectEntry, Provenance,
    collection::{
        ChangedTable, CollectionManifest, DatasetManifest, InvalidManifest, ManifestForm, ORDINAL_COLUMN,
        SubjectTables, VersionManifest,
    },
};
pub use version_entries::VersionEntries;

use import::Importer;
use objects::StoredObjects;
use versions::Versions;

use crate::{
    answers::AnswerStore,
    ledger::Attribution,
    meta::SealedDb,
    objects::{RemoteStore, RequiredObjects},
};

/// The datasets of one node. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

/// The components, each built on the lower ones that it needs.
struct Inner {
    datasets: Arc<Datasets>,
    keys: Arc<Keyring>,
    objects: Arc<StoredObjects>,
    versions: Versions,
    importer: Importer,
    retention: Retention,
    erasures: Erasures,
    reencryption: Reencryption,
    maintenance: Maintenance,
    answers: AnswerLogs,
}

impl Catalog {
    /// Opens the catalog, and finishes interrupted rotations and erasures.
    pub(crate) fn open(
        master: Arc<MasterKey>,
        identities: Arc<Identities>,
        meta: &SealedDb,
        store: Arc<dyn ObjectStore>,
        remote: Option<RemoteStore>,
        answers: AnswerStore,
    ) -> Result<Self, CatalogError> {
        let datasets = Arc::new(Datasets::open(meta, identities)?);
        let keys = Arc::new(Keyring::open(master, meta, Arc::clone(&datasets))?);
        let objects = Arc::new(StoredObjects::open(store, remote, meta, Arc::clone(&datasets))?);
        let catalog = Self(Arc::new(Inner::assemble(meta, datasets, keys, objects, answers)?));
        catalog.0.keys.finish_rotation()?;
        catalog.0.erasures.finish()?;
        Ok(catalog)
    }

    /// The records of datasets and the manifests of their versions.
    #[must_use]
    pub fn datasets(&self) -> &Datasets {
        &self.0.datasets
    }

    /// The keys of segments and datasets.
    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.0.keys
    }

    /// Which versions are kept.
    #[must_use]
    pub fn retention(&self) -> &Retention {
        &self.0.retention
    }

    /// The erasures of datasets.
    #[must_use]
    pub fn erasures(&self) -> &Erasures {
        &self.0.erasures
    }

    /// Reencryption of what older keys sealed.
    #[must_use]
    pub fn reencryption(&self) -> &Reencryption {
        &self.0.reencryption
    }

    /// Verification of stored data, and removal of objects that no version needs.
    #[must_use]
    pub fn maintenance(&self) -> &Maintenance {
        &self.0.maintenance
    }

    /// What was answered about the datasets.
    #[must_use]
    pub fn answers(&self) -> &AnswerLogs {
        &self.0.answers
    }

    /// Opens a version, the current one if none is given.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], [`CatalogError::NoSuchVersion`], and an error of [`concordat_protocol::error_kind::ErrorKind::Integrity`] if
    /// the manifest or a key is not what was stored.
    pub fn open_version(
        &self,
        name: &DatasetName,
        version: Option<VersionNumber>,
    ) -> Result<OpenVersion, CatalogError> {
        self.0.versions.open(name, version)
    }

    /// Opens a version of a collection, the current one if none is given.
    ///
    /// # Errors
    /// As [`Catalog::open_version`].
    pub fn open_collection(
        &self,
        name: &CollectionName,
        version: Option<VersionNumber>,
    ) -> Result<OpenCollection, CatalogError> {
        self.0.versions.open_collection(name, version)
    }

    /// The ordinals of the subjects whose rows in a version are others than in the version `since`, or that are not in that one. `None` if that is not
    /// known: an ordinal can be another subject, or a version in between is not kept. Blocks, on a thread of a runtime that may block.
    ///
    /// # Errors
    /// As [`Catalog::open_version`], and [`CatalogError::Subjects`] if what is stored about subjects cannot be read.
    pub fn changed_since(
        &self,
        version: &OpenCollection,
        since: VersionNumber,
    ) -> Result<Option<BTreeSet<u32>>, CatalogError> {
        self.0.versions.changed_since(&runtime::runtime()?, version, since)
    }

    /// The record of a collection and the manifest of its current version, its signature checked. Neither keys nor objects are opened.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`], and an error of [`concordat_protocol::error_kind::ErrorKind::Integrity`] if the manifest is not what was stored.
    pub fn current(&self, name: &CollectionName) -> Result<(CollectionRecord, CollectionManifest), CatalogError> {
        self.0.versions.described(name, None)
    }

    /// As [`Catalog::current`], with the manifest of a version, the current one if none is given.
    ///
    /// # Errors
    /// As [`Catalog::current`], and [`CatalogError::NoSuchVersion`].
    pub fn described(
        &self,
        name: &CollectionName,
        version: Option<VersionNumber>,
    ) -> Result<(CollectionRecord, CollectionManifest), CatalogError> {
        self.0.versions.described(name, version)
    }

    /// Imports a file as a new version, signed by the institution. Blocks until the version is durable; see the module
    /// documentation for where to call it. Every event is reported to `progress`. Older versions stay: what the retention rule
    /// excludes afterwards is removed by [`Retention::trim`].
    ///
    /// # Errors
    /// [`ImportError`]; the dataset is then unchanged.
    pub fn import(
        &self,
        request: &ImportRequest,
        signer: &InstitutionKey,
        now: Timestamp,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported, ImportError> {
        self.0.importer.import(request, signer, now, progress)
    }

    /// Imports files as one new version of a collection: all of its datasets appear in it, or none. What is declared about them is determined
    /// when all of them have been read once, each after a [`Progress::Inspecting`]. Otherwise as [`Catalog::import`].
    ///
    /// # Errors
    /// [`ImportError`]; the collection is then unchanged.
    pub fn import_collection(
        &self,
        request: &CollectionImport,
        declare: &Declare<'_>,
        (signer, now): (&InstitutionKey, Timestamp),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportedCollection, ImportError> {
        let importer = &self.0.importer;
        importer.import_collection(request, declare, (signer, now), progress)
    }

    /// Creates a version of a dataset with the rows that it has and the ordinals of their subjects, which versions of data directories of
    /// format 2 do not have. Blocks as [`Catalog::import`].
    ///
    /// # Errors
    /// [`ImportError::Indexed`] if they have ordinals; the dataset is unchanged after every error.
    pub fn index(
        &self,
        name: &DatasetName,
        by: Option<&Attribution>,
        (signer, now): (&InstitutionKey, Timestamp),
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Imported, ImportError> {
        self.0.importer.index(name, by, (signer, now), progress)
    }

    /// Does `work` while no record, key or object location changes, and pins the objects of that moment.
    ///
    /// # Errors
    /// If a manifest cannot be read.
    pub fn pin_objects<T>(&self, work: impl FnOnce() -> T) -> Result<(PinnedObjects, T), CatalogError> {
        PinnedObjects::pin(&self.0.datasets, &self.0.keys, &self.0.objects, work)
    }

    /// Which objects must be in the object location.
    pub(crate) fn required_objects(&self) -> RequiredObjects {
        self.0.objects.required()
    }
}

impl Inner {
    fn assemble(
        meta: &SealedDb,
        datasets: Arc<Datasets>,
        keys: Arc<Keyring>,
        objects: Arc<StoredObjects>,
        answers: AnswerStore,
    ) -> Result<Self, CatalogError> {
        let answers = Arc::new(answers);
        let versions = Versions {
            datasets: Arc::clone(&datasets),
            keys: Arc::clone(&keys),
            objects: Arc::clone(&objects),
        };
        let retention = Retention {
            datasets: Arc::clone(&datasets),
            objects: Arc::clone(&objects),
        };
        let importer = Importer {
            datasets: Arc::clone(&datasets),
            keys: Arc::clone(&keys),
            objects: Arc::clone(&objects),
            versions: versions.clone(),
            answers: Arc::clone(&answers),
        };
        let erasures = Erasures::open(
            meta,
            Arc::clone(&datasets),
            Arc::clone(&keys),
            Arc::clone(&objects),
            Arc::clone(&answers),
        )?;
        let reencryption = Reencryption {
            datasets: Arc::clone(&datasets),
            keys: Arc::clone(&keys),
            objects: Arc::clone(&objects),
        };
        let maintenance = Maintenance {
            datasets: Arc::clone(&datasets),
            objects: Arc::clone(&objects),
            versions: versions.clone(),
            answers: Arc::clone(&answers),
        };
        let answers = AnswerLogs {
            datasets: Arc::clone(&datasets),
            keys: Arc::clone(&keys),
            store: answers,
        };
        Ok(Self {
            datasets,
            keys,
            objects,
            versions,
            importer,
            retention,
            erasures,
            reencryption,
            maintenance,
            answers,
        })
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
