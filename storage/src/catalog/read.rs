//! Reading one version: only the objects that its manifest names.

pub(super) mod collection;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use concordat_keys::{OrderKey, PseudonymKey, PseudonymSecret};
use concordat_protocol::{
    ids::{ColumnName, Digest32},
    time::Timestamp,
};
use futures::{StreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, path::Path,
};
use zeroize::Zeroizing;

use super::{CollectionManifest, Manifest, ObjectEntry, VersionManifest, content::header_digest, objects::ReadGuard};
use crate::seal::{SealError, SealedStore};

/// An open version of a collection, which stays readable whatever is imported in the meantime.
#[derive(Clone, Debug)]
pub struct OpenCollection {
    manifest: Arc<VersionManifest>,
    pseudonyms: Arc<PseudonymSecret>,
    store: Arc<VersionStore>,
}

/// An open version of a dataset that is a collection of one.
#[derive(Clone, Debug)]
pub struct OpenVersion {
    collection: OpenCollection,
    manifest: Arc<Manifest>,
}

/// The parts of an [`OpenCollection`].
pub(super) struct Parts {
    pub(super) manifest: VersionManifest,
    /// The manifest's objects in its order, with their current paths and headers.
    pub(super) entries: Vec<ObjectEntry>,
    pub(super) pseudonyms: PseudonymSecret,
    pub(super) sealed: SealedStore,
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) guard: ReadGuard,
}

impl OpenCollection {
    pub(super) fn new(parts: Parts) -> Self {
        let made = parts.manifest.document().imported_at();
        let named = parts.manifest.document().objects();
        let current = named.map(|entry| entry.path.clone()).zip(parts.entries.iter().cloned());
        let current = current.collect();
        let store = VersionStore {
            sealed: parts.sealed,
            inner: parts.inner,
            metas: parts.entries.iter().map(|entry| entry.meta(made)).collect(),
            headers: parts
                .entries
                .iter()
                .map(|entry| (entry.location(), entry.header))
                .collect(),
            entries: parts.entries,
            current,
            made,
            recognized: Mutex::default(),
            _guard: parts.guard,
        };
        Self {
            manifest: Arc::new(parts.manifest),
            pseudonyms: Arc::new(parts.pseudonyms),
            store: Arc::new(store),
        }
    }

    /// The objects with their current paths and headers.
    pub(super) fn entries(&self) -> &[ObjectEntry] {
        &self.store.entries
    }

    /// The manifest, its signature checked.
    #[must_use]
    pub fn manifest(&self) -> &CollectionManifest {
        self.manifest.document()
    }

    /// The digest of the signed manifest, for receipts and the ledger.
    #[must_use]
    pub fn manifest_digest(&self) -> Digest32 {
        self.manifest.digest()
    }

    /// The objects as plain Parquet: read-only, and limited to this version.
    #[must_use]
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }

    /// The Parquet files of these objects of the manifest, in order, with plaintext lengths.
    #[must_use]
    pub fn objects<'a>(&self, named: impl IntoIterator<Item = &'a ObjectEntry>) -> Vec<ObjectMeta> {
        let current = named
            .into_iter()
            .filter_map(|entry| self.store.current.get(&entry.path));
        current.map(|entry| entry.meta(self.store.made)).collect()
    }

    /// The key of the pseudonyms under the grant with this id; `None` for the institution's own users.
    #[must_use]
    pub fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey {
        self.pseudonyms.key(grant)
    }

    /// The key of the order in which the rows of this version are released, likewise for each grant.
    #[must_use]
    pub fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey {
        self.pseudonyms.order_key(grant, self.manifest_digest().as_bytes())
    }

    /// The secret that all noise of the collection's statistics comes from, the same for each grant, and for each version with the same
    /// reference datasets.
    #[must_use]
    pub fn cell_secret(&self) -> Zeroizing<[u8; 32]> {
        self.pseudonyms.cell_secret(&self.manifest().reference_contents())
    }
}

impl OpenVersion {
    /// `None` for a collection that is not of one.
    pub(super) fn new(collection: OpenCollection) -> Option<Self> {
        let manifest = Arc::new(collection.manifest().alone()?);
        Some(Self { collection, manifest })
    }

    /// The manifest, its signature checked.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The version as that of a collection.
    #[must_use]
    pub fn collection(&self) -> &OpenCollection {
        &self.collection
    }

    /// The digest of the signed manifest, for receipts and the ledger.
    #[must_use]
    pub fn manifest_digest(&self) -> Digest32 {
        self.collection.manifest_digest()
    }

    /// The Arrow schema of the version. It may differ from that of an older object as [`Manifest::schema`] describes.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.manifest().schema()
    }

    /// The column that identifies the subject of a row; a reserved name if each row is its own subject.
    #[must_use]
    pub fn subject_column(&self) -> &ColumnName {
        &self.manifest().subject
    }

    /// Whether the rows have the ordinals of their subjects, without which the version is in no statistic.
    #[must_use]
    pub fn has_ordinals(&self) -> bool {
        let datasets = self.collection.manifest().datasets();
        datasets.iter().all(|dataset| dataset.ordinals)
    }

    /// The objects as plain Parquet: read-only, and limited to this version.
    #[must_use]
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        self.collection.object_store()
    }

    /// The Parquet files of the rows in order, with plaintext lengths; empty if there are no rows.
    #[must_use]
    pub fn objects(&self) -> Vec<ObjectMeta> {
        self.collection.objects(&self.manifest.objects)
    }

    /// The key of the pseudonyms under the grant with this id; `None` for the institution's own users.
    #[must_use]
    pub fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey {
        self.collection.pseudonym_key(grant)
    }

    /// The key of the order in which the rows of this version are released, likewise for each grant.
    #[must_use]
    pub fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey {
        self.collection.order_key(grant)
    }
}

/// The objects of one version. Each is identified by its header before any of it is read, so another intact object of
/// the same dataset that was substituted for it is refused.
#[derive(Debug)]
struct VersionStore {
    sealed: SealedStore,
    inner: Arc<dyn ObjectStore>,
    metas: Vec<ObjectMeta>,
    headers: BTreeMap<Path, Digest32>,
    entries: Vec<ObjectEntry>,
    /// The same by the paths in the manifest.
    current: BTreeMap<String, ObjectEntry>,
    made: Timestamp,
    recognized: Mutex<BTreeSet<Path>>,
    _guard: ReadGuard,
}

impl VersionStore {
    async fn recognize(&self, location: &Path) -> Result<()> {
        let expected = self.headers.get(location).ok_or_else(|| not_named(location))?;
        if self.recognized().contains(location) {
            return Ok(());
        }
        let found = header_digest(self.inner.as_ref(), location).await?;
        if found != *expected {
            return Err(SealError::Replaced.at(location));
        }
        self.recognized().insert(location.clone());
        Ok(())
    }

    fn recognized(&self) -> MutexGuard<'_, BTreeSet<Path>> {
        self.recognized.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn named(&self) -> Vec<Result<ObjectMeta>> {
        self.metas.iter().cloned().map(Ok).collect()
    }
}

fn not_named(location: &Path) -> object_store::Error {
    object_store::Error::NotFound {
        path: location.to_string(),
        source: "the version has no such object".into(),
    }
}

fn read_only() -> object_store::Error {
    object_store::Error::NotSupported {
        source: "a version is never changed".into(),
    }
}

impl fmt::Display for VersionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionStore({} objects)", self.metas.len())
    }
}

#[async_trait]
impl ObjectStore for VersionStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.recognize(location).await?;
        self.sealed.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.recognize(location).await?;
        self.sealed.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| Err(read_only())).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        let named = self.named().into_iter();
        let within = named.filter(move |meta| meta.as_ref().is_ok_and(|meta| meta.location.prefix_matches(&prefix)));
        futures::stream::iter(within.collect::<Vec<_>>()).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(object_store::Error::NotSupported {
            source: "a version has no folders".into(),
        })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only())
    }
}
