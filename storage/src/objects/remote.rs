//! A remote store.

use std::{
    collections::BTreeSet,
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, path::Path,
};
use tokio::sync::OnceCell;

use super::{
    LocationError, S3Location,
    connection::{Connection, Store},
    ownership::{OwnershipMarker, RequiredObjects},
    upload::RemoteUpload,
};

type Result<T, E = object_store::Error> = std::result::Result<T, E>;

/// The object with the ownership marker. No sealed object can have its name.
const MARKER: &str = "owner";

/// The objects of one data directory in an S3-compatible store. Clones are handles to the same store.
///
/// Nothing is done there before the location is known to belong to this data directory; see [`super`].
#[derive(Clone, Debug)]
pub(crate) struct RemoteStore(Arc<Inner>);

struct Inner {
    connection: Arc<Connection>,
    marker: OwnershipMarker,
    required: OnceLock<RequiredObjects>,
    owned: OnceCell<()>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("connection", &self.connection)
            .field("marker", &self.marker)
            .finish_non_exhaustive()
    }
}

impl RemoteStore {
    /// Creates the client. Nothing is sent yet, so a node starts while its store is down.
    ///
    /// # Errors
    /// If the credentials cannot be read or the settings are unusable.
    pub(crate) fn open(location: &S3Location, marker: OwnershipMarker) -> Result<Self, LocationError> {
        Ok(Self(Arc::new(Inner {
            connection: Connection::open(location)?,
            marker,
            required: OnceLock::new(),
            owned: OnceCell::new(),
        })))
    }

    fn store(&self) -> &Store {
        self.0.connection.store()
    }

    fn location(&self) -> String {
        self.0.connection.to_string()
    }

    /// Sets which objects must be there if the location is new to this data directory. Only the first call has an effect.
    pub(crate) fn require(&self, required: RequiredObjects) {
        // Opening a data directory calls this once.
        drop(self.0.required.set(required));
    }

    /// Checks whether the location is usable now.
    ///
    /// # Errors
    /// [`LocationError`] with the reason.
    pub(crate) async fn check(&self) -> Result<(), LocationError> {
        let connection = &self.0.connection;
        if self.0.owned.initialized() {
            connection.with_timeout(self.check_marker()).await
        } else {
            connection.with_timeout(self.ensure_owned()).await
        }
    }

    /// Makes sure, once, that the location belongs to this data directory.
    async fn ensure_owned(&self) -> Result<(), LocationError> {
        self.0.owned.get_or_try_init(|| self.acquire()).await.copied()
    }

    async fn acquire(&self) -> Result<(), LocationError> {
        if self.marker().await?.is_none() {
            self.check_complete().await?;
            let marker = PutPayload::from(self.0.marker.to_string());
            let written = self
                .store()
                .put_opts(&Path::from(MARKER), marker, PutMode::Create.into())
                .await;
            match written {
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(self.0.connection.location_error(error)),
            }
        }
        self.check_marker().await
    }

    /// If two nodes acquire a location at the same time, one of them finds the other's marker.
    async fn check_marker(&self) -> Result<(), LocationError> {
        let location = || self.location();
        match self.marker().await? {
            Some(marker) if marker == self.0.marker => Ok(()),
            Some(_) => Err(LocationError::OwnedByOther { location: location() }),
            None => Err(LocationError::MarkerMissing { location: location() }),
        }
    }

    async fn marker(&self) -> Result<Option<OwnershipMarker>, LocationError> {
        let read = self
            .store()
            .get_range(&Path::from(MARKER), 0..OwnershipMarker::LEN)
            .await;
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                let error = self.0.connection.classify(error);
                if matches!(error, object_store::Error::NotFound { .. }) {
                    return Ok(None);
                }
                return Err(self.0.connection.location_error(error));
            }
        };
        let marker = OwnershipMarker::parse(&bytes);
        marker.map(Some).ok_or_else(|| LocationError::OwnedByOther {
            location: self.location(),
        })
    }

    /// A listing may not include new objects, so objects missing in it are requested by name.
    async fn check_complete(&self) -> Result<(), LocationError> {
        let required = self.required().await?;
        if required.is_empty() {
            return Ok(());
        }
        let listed = self.store().list(None).map_ok(|meta| meta.location);
        let listed: BTreeSet<Path> = listed
            .try_collect()
            .await
            .map_err(|error| self.0.connection.location_error(error))?;
        for path in required.difference(&listed) {
            match self
                .store()
                .head(path)
                .await
                .map_err(|error| self.0.connection.classify(error))
            {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) => {
                    return Err(LocationError::Incomplete {
                        location: self.location(),
                        first: path.to_string(),
                    });
                }
                Err(error) => return Err(self.0.connection.location_error(error)),
            }
        }
        Ok(())
    }

    /// The objects that must be there.
    async fn required(&self) -> Result<BTreeSet<Path>, LocationError> {
        let inner = Arc::clone(&self.0);
        let listing = tokio::task::spawn_blocking(move || match inner.required.get() {
            Some(required) => required(),
            None => Ok(BTreeSet::new()),
        });
        let listed = listing.await.map_err(|_| LocationError::Interrupted)?;
        listed.map_err(|source| LocationError::Unlisted {
            location: self.location(),
            source,
        })
    }

    /// [`Connection::classify`] for a read: an object counts as missing only if the ownership marker is still there.
    async fn classify_read(&self, error: object_store::Error) -> object_store::Error {
        let error = self.0.connection.classify(error);
        if !matches!(error, object_store::Error::NotFound { .. }) {
            return error;
        }
        match self.check_marker().await {
            Ok(()) => error,
            Err(error) => error.into(),
        }
    }

    /// A stream of the store that begins after the location is known to belong to this data directory.
    fn stream_if_owned<T: Send + 'static>(
        &self,
        begin: impl FnOnce(&Store) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let remote = self.clone();
        let connection = Arc::clone(&self.0.connection);
        stream::once(async move {
            remote.ensure_owned().await?;
            Ok::<_, object_store::Error>(begin(remote.store()))
        })
        .try_flatten()
        .map_err(move |error| connection.classify(error))
        .boxed()
    }
}

impl fmt::Display for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteStore({})", self.location())
    }
}

#[async_trait]
impl ObjectStore for RemoteStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.ensure_owned().await?;
        let result = self.store().put_opts(location, payload, opts).await;
        result.map_err(|error| self.0.connection.classify(error))
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.ensure_owned().await?;
        Ok(Box::new(RemoteUpload::begin(&self.0.connection, location, opts).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.ensure_owned().await?;
        let found = match self.store().get_opts(location, options).await {
            Ok(found) => found,
            Err(error) => return Err(self.classify_read(error).await),
        };
        let connection = Arc::clone(&self.0.connection);
        let payload = match found.payload {
            GetResultPayload::Stream(bytes) => {
                GetResultPayload::Stream(bytes.map_err(move |error| connection.classify(error)).boxed())
            }
            other => other,
        };
        // The layer that adds the prefix does not remove it here.
        let meta = ObjectMeta {
            location: location.clone(),
            ..found.meta
        };
        Ok(GetResult { payload, meta, ..found })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.ensure_owned().await?;
        match self.store().get_ranges(location, ranges).await {
            Ok(found) => Ok(found),
            Err(error) => Err(self.classify_read(error).await),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.stream_if_owned(move |store| store.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        let listed = self.stream_if_owned(move |store| store.list(prefix.as_ref()));
        listed
            .try_filter(|meta| std::future::ready(meta.location.as_ref() != MARKER))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.ensure_owned().await?;
        let listed = self.store().list_with_delimiter(prefix).await;
        let mut listed = listed.map_err(|error| self.0.connection.classify(error))?;
        listed.objects.retain(|meta| meta.location.as_ref() != MARKER);
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.ensure_owned().await?;
        let copied = self.store().copy_opts(from, to, options).await;
        copied.map_err(|error| self.0.connection.classify(error))
    }
}
