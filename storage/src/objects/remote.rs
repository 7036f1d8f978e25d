//! A store elsewhere, as if it were a folder here.

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
    PlaceError, S3Place,
    connection::{Connection, Store},
    ownership::{OwnershipMarker, RequiredObjects},
    upload::RemoteUpload,
};

type Result<T, E = object_store::Error> = std::result::Result<T, E>;

/// The object that bears the marker. Its name is none that a sealed object can have.
const MARKER: &str = "owner";

/// The objects of one data directory in an S3-compatible store. Cloning makes another handle.
///
/// Nothing is done there before the place is known to be this data directory's; see [`super`].
#[derive(Clone, Debug)]
pub(crate) struct RemoteStore(Arc<Inner>);

struct Inner {
    connection: Arc<Connection>,
    marker: OwnershipMarker,
    required: OnceLock<RequiredObjects>,
    admitted: OnceCell<()>,
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
    /// Makes the client. Nothing is sent yet: a node starts while its store is down.
    ///
    /// # Errors
    /// If the credentials cannot be read or no client can be made of the settings.
    pub(crate) fn open(place: &S3Place, marker: OwnershipMarker) -> Result<Self, PlaceError> {
        Ok(Self(Arc::new(Inner {
            connection: Connection::open(place)?,
            marker,
            required: OnceLock::new(),
            admitted: OnceCell::new(),
        })))
    }

    fn store(&self) -> &Store {
        self.0.connection.store()
    }

    fn place(&self) -> String {
        self.0.connection.to_string()
    }

    /// Sets which objects must be there if the place is new to this data directory. Only the first call counts.
    pub(crate) fn require(&self, required: RequiredObjects) {
        // By the order of opening there is no second call.
        drop(self.0.required.set(required));
    }

    /// Checks whether the place can be used now.
    ///
    /// # Errors
    /// [`PlaceError`] says why not.
    pub(crate) async fn check(&self) -> Result<(), PlaceError> {
        let connection = &self.0.connection;
        if self.0.admitted.initialized() {
            connection.promptly(self.must_be_ours()).await
        } else {
            connection.promptly(self.admit()).await
        }
    }

    /// Lets through what is done at the place, once it is known to be this data directory's.
    async fn admit(&self) -> Result<(), PlaceError> {
        self.0.admitted.get_or_try_init(|| self.take_place()).await.copied()
    }

    async fn take_place(&self) -> Result<(), PlaceError> {
        if self.marker().await?.is_none() {
            self.must_be_complete().await?;
            let marker = PutPayload::from(self.0.marker.to_string());
            let made = self
                .store()
                .put_opts(&Path::from(MARKER), marker, PutMode::Create.into())
                .await;
            match made {
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(self.0.connection.place_error(error)),
            }
        }
        self.must_be_ours().await
    }

    /// Of two that take a place at once, one finds the other's marker.
    async fn must_be_ours(&self) -> Result<(), PlaceError> {
        let place = || self.place();
        match self.marker().await? {
            Some(marker) if marker == self.0.marker => Ok(()),
            Some(_) => Err(PlaceError::Taken { place: place() }),
            None => Err(PlaceError::Unmarked { place: place() }),
        }
    }

    async fn marker(&self) -> Result<Option<OwnershipMarker>, PlaceError> {
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
                return Err(self.0.connection.place_error(error));
            }
        };
        let marker = OwnershipMarker::parse(&bytes);
        marker
            .map(Some)
            .ok_or_else(|| PlaceError::Taken { place: self.place() })
    }

    /// A listing may lack what is new, so what it lacks is asked for by name.
    async fn must_be_complete(&self) -> Result<(), PlaceError> {
        let required = self.required().await?;
        if required.is_empty() {
            return Ok(());
        }
        let listed = self.store().list(None).map_ok(|meta| meta.location);
        let listed: BTreeSet<Path> = listed
            .try_collect()
            .await
            .map_err(|error| self.0.connection.place_error(error))?;
        for path in required.difference(&listed) {
            match self
                .store()
                .head(path)
                .await
                .map_err(|error| self.0.connection.classify(error))
            {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) => {
                    return Err(PlaceError::Incomplete {
                        place: self.place(),
                        first: path.to_string(),
                    });
                }
                Err(error) => return Err(self.0.connection.place_error(error)),
            }
        }
        Ok(())
    }

    /// The objects that must be there.
    async fn required(&self) -> Result<BTreeSet<Path>, PlaceError> {
        let inner = Arc::clone(&self.0);
        let listing = tokio::task::spawn_blocking(move || match inner.required.get() {
            Some(required) => required(),
            None => Ok(BTreeSet::new()),
        });
        let listed = listing.await.map_err(|_| PlaceError::BrokenOff)?;
        listed.map_err(|source| PlaceError::Unlisted {
            place: self.place(),
            source,
        })
    }

    /// [`Connection::classify`] for a read: an object counts as missing only where the rest is still there.
    async fn classify_read(&self, error: object_store::Error) -> object_store::Error {
        let error = self.0.connection.classify(error);
        if !matches!(error, object_store::Error::NotFound { .. }) {
            return error;
        }
        match self.must_be_ours().await {
            Ok(()) => error,
            Err(error) => error.into(),
        }
    }

    /// A stream of the store that begins when the place is known to be ours.
    fn admitted<T: Send + 'static>(
        &self,
        begin: impl FnOnce(&Store) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let remote = self.clone();
        let connection = Arc::clone(&self.0.connection);
        stream::once(async move {
            remote.admit().await?;
            Ok::<_, object_store::Error>(begin(remote.store()))
        })
        .try_flatten()
        .map_err(move |error| connection.classify(error))
        .boxed()
    }
}

impl fmt::Display for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteStore({})", self.place())
    }
}

#[async_trait]
impl ObjectStore for RemoteStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.admit().await?;
        let result = self.store().put_opts(location, payload, opts).await;
        result.map_err(|error| self.0.connection.classify(error))
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.admit().await?;
        Ok(Box::new(RemoteUpload::begin(&self.0.connection, location, opts).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.admit().await?;
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
        // The layer that adds the prefix does not take it off here.
        let meta = ObjectMeta {
            location: location.clone(),
            ..found.meta
        };
        Ok(GetResult { payload, meta, ..found })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.admit().await?;
        match self.store().get_ranges(location, ranges).await {
            Ok(found) => Ok(found),
            Err(error) => Err(self.classify_read(error).await),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.admitted(move |store| store.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        let listed = self.admitted(move |store| store.list(prefix.as_ref()));
        listed
            .try_filter(|meta| std::future::ready(meta.location.as_ref() != MARKER))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.admit().await?;
        let listed = self.store().list_with_delimiter(prefix).await;
        let mut listed = listed.map_err(|error| self.0.connection.classify(error))?;
        listed.objects.retain(|meta| meta.location.as_ref() != MARKER);
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.admit().await?;
        let copied = self.store().copy_opts(from, to, options).await;
        copied.map_err(|error| self.0.connection.classify(error))
    }
}
