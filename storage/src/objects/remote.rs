//! A store elsewhere, as if it were a folder here.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "errors and payloads beyond the named ones are all the same here"
)]

use std::{collections::BTreeSet, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use concordat_protocol::ids::Nonce;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, path::Path,
};
use tokio::sync::OnceCell;

use super::{
    PlaceError, S3Place,
    claim::{Claim, Needed},
    connection::{Connection, Store},
};
use crate::meta::SealedDb;

type Result<T, E = object_store::Error> = std::result::Result<T, E>;

/// The object that bears the mark: 32 hexadecimal digits. Its name is none that a sealed object can have.
const MARK: &str = "owner";
const MARK_LEN: u64 = 32;

/// The objects of one data directory in an S3-compatible store. Cloning makes another handle.
///
/// Nothing is done there before the place is known to be this data directory's; see [`super`].
#[derive(Clone, Debug)]
pub(crate) struct RemoteStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Arc<Connection>,
    claim: Claim,
    admitted: OnceCell<()>,
}

impl RemoteStore {
    /// Makes the client. Nothing is sent yet: a node starts while its store is down.
    ///
    /// # Errors
    /// If the credentials cannot be read or no client can be made of the settings.
    pub(crate) fn open(place: &S3Place, meta: &SealedDb) -> Result<Self, PlaceError> {
        Ok(Self(Arc::new(Inner {
            connection: Connection::open(place)?,
            claim: Claim::remembered(meta, &place.url)?,
            admitted: OnceCell::new(),
        })))
    }

    fn store(&self) -> &Store {
        self.0.connection.store()
    }

    fn place(&self) -> String {
        self.0.connection.to_string()
    }

    /// Says which objects must be there if the place is new to this data directory.
    pub(crate) fn need(&self, needed: Needed) {
        self.0.claim.need(needed);
    }

    /// Looks whether the place can be used now.
    ///
    /// # Errors
    /// [`PlaceError`] says why not.
    pub(crate) async fn look(&self) -> Result<(), PlaceError> {
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
        if self.mark().await?.is_none() {
            self.must_be_complete().await?;
            let mark = PutPayload::from(self.0.claim.mark.to_string());
            let made = self
                .store()
                .put_opts(&Path::from(MARK), mark, PutMode::Create.into())
                .await;
            match made {
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(error) => return Err(self.0.connection.place_error(error)),
            }
        }
        self.must_be_ours().await
    }

    /// Of two that take a place at once, one finds the other's mark.
    async fn must_be_ours(&self) -> Result<(), PlaceError> {
        let place = || self.place();
        match self.mark().await? {
            Some(mark) if mark == self.0.claim.mark => Ok(()),
            Some(_) => Err(PlaceError::Taken { place: place() }),
            None => Err(PlaceError::Unmarked { place: place() }),
        }
    }

    async fn mark(&self) -> Result<Option<Nonce>, PlaceError> {
        let bytes = match self.store().get_range(&Path::from(MARK), 0..MARK_LEN).await {
            Ok(bytes) => bytes,
            Err(error) => {
                return match self.0.connection.told(error) {
                    object_store::Error::NotFound { .. } => Ok(None),
                    error => Err(self.0.connection.place_error(error)),
                };
            }
        };
        let mark = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
        mark.map(Some).ok_or_else(|| PlaceError::Taken { place: self.place() })
    }

    /// A listing may lack what is new, so what it lacks is asked for by name.
    async fn must_be_complete(&self) -> Result<(), PlaceError> {
        let claim = self.0.claim.clone();
        let needed = tokio::task::spawn_blocking(move || claim.needed())
            .await
            .map_err(|_| PlaceError::BrokenOff)?
            .map_err(|source| PlaceError::Needed {
                place: self.place(),
                source: Box::new(source),
            })?;
        if needed.is_empty() {
            return Ok(());
        }
        let listed = self.store().list(None).map_ok(|meta| meta.location);
        let listed: BTreeSet<Path> = listed
            .try_collect()
            .await
            .map_err(|error| self.0.connection.place_error(error))?;
        for path in needed.difference(&listed) {
            match self
                .store()
                .head(path)
                .await
                .map_err(|error| self.0.connection.told(error))
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

    /// [`Connection::told`] of a read: an object counts as gone only where the rest is still there.
    async fn told_of_read(&self, error: object_store::Error) -> object_store::Error {
        let told = self.0.connection.told(error);
        if !matches!(told, object_store::Error::NotFound { .. }) {
            return told;
        }
        match self.must_be_ours().await {
            Ok(()) => told,
            Err(error) => error.into(),
        }
    }

    /// A stream of the store that begins when the place is known to be ours.
    fn admitted<T: Send + 'static>(
        &self,
        begin: impl FnOnce(&Store) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let (remote, telling) = (self.clone(), Arc::clone(&self.0.connection));
        stream::once(async move {
            remote.admit().await?;
            Ok::<_, object_store::Error>(begin(remote.store()))
        })
        .try_flatten()
        .map_err(move |error| telling.told(error))
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
        result.map_err(|error| self.0.connection.told(error))
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.admit().await?;
        Ok(Box::new(self.0.connection.begin_upload(location, opts).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.admit().await?;
        let found = match self.store().get_opts(location, options).await {
            Ok(found) => found,
            Err(error) => return Err(self.told_of_read(error).await),
        };
        let telling = Arc::clone(&self.0.connection);
        let payload = match found.payload {
            GetResultPayload::Stream(bytes) => {
                GetResultPayload::Stream(bytes.map_err(move |error| telling.told(error)).boxed())
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
            Err(error) => Err(self.told_of_read(error).await),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.admitted(move |store| store.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        let listed = self.admitted(move |store| store.list(prefix.as_ref()));
        listed
            .try_filter(|meta| std::future::ready(meta.location.as_ref() != MARK))
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.admit().await?;
        let listed = self.store().list_with_delimiter(prefix).await;
        let mut listed = listed.map_err(|error| self.0.connection.told(error))?;
        listed.objects.retain(|meta| meta.location.as_ref() != MARK);
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.admit().await?;
        let copied = self.store().copy_opts(from, to, options).await;
        copied.map_err(|error| self.0.connection.told(error))
    }
}
