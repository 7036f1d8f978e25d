//! An object store in which everything is sealed.

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use concordat_keys::{DatasetKey, Suite};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Attributes, CopyOptions, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, TagSet,
    path::Path,
};

use super::{
    SealError, Sealer,
    openers::Openers,
    read::{OpenObject, plain_list, plain_meta, sealed_meta},
    upload::{SealedUpload, seal_payload},
};

/// The objects of one dataset, sealed under its key, in an inner store that has only sealed bytes.
///
/// Lengths in `head` and listings are computed from the sealed length; the length a `get` reports is authenticated.
/// Attributes and tags would be stored in clear next to the object, and are rejected as not supported.
#[derive(Debug, Clone)]
pub struct SealedStore {
    inner: Arc<dyn ObjectStore>,
    key: Arc<DatasetKey>,
    older: Arc<[DatasetKey]>,
    suite: Suite,
    openers: Arc<Openers>,
}

impl SealedStore {
    /// Seals new objects with `suite`; objects of either suite can be read.
    #[must_use]
    pub fn new(inner: Arc<dyn ObjectStore>, key: impl Into<Arc<DatasetKey>>, suite: Suite) -> Self {
        Self {
            inner,
            key: key.into(),
            older: Arc::from([]),
            suite,
            openers: Arc::default(),
        }
    }

    /// Adds keys for reading older objects; new objects are not sealed under them.
    #[must_use]
    pub fn with_older_keys(self, older: Vec<DatasetKey>) -> Self {
        Self {
            older: older.into(),
            ..self
        }
    }

    fn sealer(&self, location: &Path) -> Result<Sealer> {
        Sealer::new(&self.key, self.suite).map_err(|error| error.at(location))
    }

    fn keys(&self) -> impl Iterator<Item = &DatasetKey> {
        std::iter::once(self.key.as_ref()).chain(self.older.iter())
    }

    /// The object as the inner store holds it now.
    async fn open_now(&self, sealed: ObjectMeta) -> Result<Arc<OpenObject>> {
        if let Some(known) = self
            .openers
            .get(&sealed.location)
            .filter(|known| known.sealed == sealed)
        {
            return Ok(known);
        }
        let object = Arc::new(OpenObject::load(self.inner.as_ref(), self.keys(), sealed).await?);
        self.openers.put(&object);
        Ok(object)
    }

    async fn read_ranges(&self, object: &Arc<OpenObject>, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let ranges = ranges
            .iter()
            .map(|range| GetRange::from(range.clone()).as_range(object.len).map_err(bad_range))
            .collect::<Result<Vec<_>>>()?;
        object.read_all(self.inner.as_ref(), &ranges).await
    }
}

fn bad_range(source: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic {
        store: "sealed",
        source: Box::new(source),
    }
}

fn reject_in_clear(attributes: &Attributes, tags: &TagSet) -> Result<()> {
    if attributes.is_empty() && tags.encoded().is_empty() {
        return Ok(());
    }
    Err(object_store::Error::NotSupported {
        source: "attributes and tags would be stored in clear".into(),
    })
}

impl fmt::Display for SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedStore({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for SealedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        reject_in_clear(&opts.attributes, &opts.tags)?;
        let sealer = self.sealer(location)?;
        let at = location.clone();
        let sealed = tokio::task::spawn_blocking(move || seal_payload(sealer, &payload)).await?;
        let result = self
            .inner
            .put_opts(location, sealed.map_err(|error: SealError| error.at(&at))?, opts)
            .await;
        self.openers.forget(location);
        result
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        reject_in_clear(&opts.attributes, &opts.tags)?;
        let sealer = self.sealer(location)?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(SealedUpload::new(
            inner,
            sealer,
            location.clone(),
            Arc::clone(&self.openers),
        )))
    }

    async fn get_opts(&self, location: &Path, mut options: GetOptions) -> Result<GetResult> {
        if options.version.is_some() {
            return Err(object_store::Error::NotSupported {
                source: "versions of sealed objects".into(),
            });
        }
        let range = options.range.take();
        let head = options.head;
        let meta = sealed_meta(self.inner.as_ref(), location, options).await?;
        let empty = GetResultPayload::Stream(futures::stream::empty().boxed());
        if head {
            let meta = plain_meta(meta)?;
            return Ok(GetResult {
                payload: empty,
                range: 0..meta.size,
                meta,
                attributes: Attributes::new(),
            });
        }
        let object = self.open_now(meta).await?;
        let range = match range {
            Some(range) => range.as_range(object.len).map_err(bad_range)?,
            None => 0..object.len,
        };
        let meta = ObjectMeta {
            size: object.len,
            ..object.sealed.clone()
        };
        let stream = object.stream(Arc::clone(&self.inner), range.clone());
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream),
            meta,
            range,
            attributes: Attributes::new(),
        })
    }

    /// Uses the cached object without another request to the inner store. If the object was replaced in the meantime, its
    /// blocks do not open; then it is loaded again, once.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(known) = self.openers.get(location) {
            if let Ok(found) = self.read_ranges(&known, ranges).await {
                return Ok(found);
            }
            self.openers.forget(location);
        }
        let meta = sealed_meta(self.inner.as_ref(), location, GetOptions::new()).await?;
        let object = self.open_now(meta).await?;
        self.read_ranges(&object, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let openers = Arc::clone(&self.openers);
        self.inner
            .delete_stream(locations)
            .inspect_ok(move |location| openers.forget(location))
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        plain_list(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        plain_list(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let found = self.inner.list_with_delimiter(prefix).await?;
        let objects = found.objects.into_iter().map(plain_meta).collect::<Result<_>>()?;
        Ok(ListResult { objects, ..found })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let result = self.inner.copy_opts(from, to, options).await;
        self.openers.forget(to);
        result
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let result = self.inner.rename_opts(from, to, options).await;
        self.openers.forget(from);
        self.openers.forget(to);
        result
    }
}
