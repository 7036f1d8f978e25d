//! How a store elsewhere is spoken to, and what its errors mean.

use std::{fmt, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::AmazonS3Builder,
    client::{HttpError, HttpErrorKind},
    path::Path,
    prefix::PrefixStore,
};

use super::{Endpoint, PlaceError, S3Place, StoreReply, credentials::FileCredentials, response::BoundedConnector};

type Result<T, E = Error> = std::result::Result<T, E>;

/// The longest pause between two tries; a store that comes back within seconds is not given up.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest wait for a connection; a host that is there accepts one within milliseconds.
const CONNECT: Duration = Duration::from_secs(5);

/// The store below its prefix.
pub(super) type Store = PrefixStore<Box<dyn ObjectStore>>;

/// A client of one place.
#[derive(Debug)]
pub(crate) struct Connection {
    store: Store,
    place: String,
    /// The longest that a look may take, however often it is tried.
    timeout: Duration,
}

impl Connection {
    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// If the credentials cannot be read or no client can be made of the settings.
    pub(crate) fn open(place: &S3Place) -> Result<Arc<Self>, PlaceError> {
        let credentials = FileCredentials::open(&place.credentials)?;
        let builder = AmazonS3Builder::new()
            .with_bucket_name(place.url.bucket())
            .with_region(place.region.as_str())
            .with_credentials(Arc::new(credentials))
            .with_client_options(client_options(place))
            .with_retry(retries(place))
            .with_http_connector(BoundedConnector::default());
        let builder = match &place.endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint.as_str()),
            None => builder,
        };
        let store = builder.build().map_err(|error| PlaceError::Unusable {
            place: place.url.to_string(),
            source: StoreReply::new(&error),
        })?;
        Ok(Arc::new(Self {
            store: PrefixStore::new(Box::new(store), place.url.prefix()),
            place: place.url.to_string(),
            timeout: place.request_timeout,
        }))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Does something that tells whether the store can be used at this moment, and waits no longer for it than for one answer.
    pub(super) async fn promptly<T>(&self, work: impl Future<Output = Result<T, PlaceError>>) -> Result<T, PlaceError> {
        let done = tokio::time::timeout(self.timeout, work).await;
        done.unwrap_or_else(|_| {
            Err(PlaceError::Slow {
                place: self.place.clone(),
                source: StoreReply::text(&format!("no answer within {} seconds", self.timeout.as_secs_f32())),
            })
        })
    }

    /// The length of an object.
    pub(super) async fn len(&self, location: &Path) -> Result<u64> {
        self.store.head(location).await.map(|meta| meta.size)
    }

    /// An error as those above can tell it apart: what concerns one object stays as it is, the rest becomes a [`PlaceError`].
    pub(crate) fn classify(&self, error: Error) -> Error {
        let is_of_the_store = if matches!(error, Error::NotFound { .. }) {
            is_no_bucket(&error)
        } else {
            matches!(
                error,
                Error::Generic { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
            )
        };
        if is_of_the_store {
            self.place_error(error).into()
        } else {
            error
        }
    }

    /// An error where there is no object yet that it could be about.
    pub(super) fn failed(&self, error: Error) -> Error {
        self.place_error(error).into()
    }

    /// What keeps the place from being used.
    pub(crate) fn place_error(&self, error: Error) -> PlaceError {
        let error = match PlaceError::within(error) {
            Ok(known) => return known,
            Err(error) => error,
        };
        let (place, source) = (self.place.clone(), StoreReply::new(&error));
        match (&error, http_kind(&error)) {
            (Error::NotFound { .. }, _) if is_no_bucket(&error) => PlaceError::NoBucket { place, source },
            (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) => PlaceError::Denied { place, source },
            (_, Some(HttpErrorKind::Timeout)) => PlaceError::Slow { place, source },
            (_, Some(HttpErrorKind::Decode)) => PlaceError::Failing { place, source },
            (_, Some(_)) => PlaceError::Unreachable { place, source },
            (_, None) => PlaceError::Failing { place, source },
        }
    }
}

fn client_options(place: &S3Place) -> ClientOptions {
    ClientOptions::new()
        .with_timeout(place.request_timeout)
        .with_connect_timeout(place.request_timeout.min(CONNECT))
        .with_allow_http(place.endpoint.as_ref().is_some_and(Endpoint::is_plain))
}

/// As many tries as were asked for, each with its whole time.
fn retries(place: &S3Place) -> RetryConfig {
    let tries = u32::try_from(place.retries).unwrap_or(u32::MAX).saturating_add(1);
    RetryConfig {
        backoff: BackoffConfig {
            max_backoff: LONGEST_PAUSE,
            ..BackoffConfig::default()
        },
        max_retries: place.retries,
        retry_timeout: (place.request_timeout + LONGEST_PAUSE).saturating_mul(tries),
    }
}

/// The code that every S3-compatible store sends; the status alone is that of a missing object.
fn is_no_bucket(error: &Error) -> bool {
    error.to_string().contains("NoSuchBucket")
}

/// How a request failed that got no answer.
fn http_kind(error: &Error) -> Option<HttpErrorKind> {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut sources = std::iter::successors(Some(first), |error| error.source());
    sources.find_map(|error| Some(error.downcast_ref::<HttpError>()?.kind()))
}

/// The address of the place.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}
