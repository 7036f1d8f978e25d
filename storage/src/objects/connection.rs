//! The connection to a remote store, and the classification of its errors.

use std::{fmt, sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::AmazonS3Builder,
    client::{HttpError, HttpErrorKind},
    path::Path,
    prefix::PrefixStore,
};

use super::{
    Endpoint, LocationError, S3Location, StoreReply, credentials::FileCredentials, response::BoundedConnector,
};

type Result<T, E = Error> = std::result::Result<T, E>;

/// The longest delay between two attempts; a store that is back within seconds is still reached.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// The longest wait for a connection; a reachable host accepts one within milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The store below its prefix.
pub(super) type Store = PrefixStore<Box<dyn ObjectStore>>;

/// A client of one location.
#[derive(Debug)]
pub(crate) struct Connection {
    store: Store,
    location: String,
    /// The longest that a check may take, including retries.
    timeout: Duration,
}

impl Connection {
    /// Creates the client. Nothing is sent yet.
    ///
    /// # Errors
    /// If the credentials cannot be read or the settings are unusable.
    pub(crate) fn open(location: &S3Location) -> Result<Arc<Self>, LocationError> {
        let credentials = FileCredentials::open(&location.credentials)?;
        let builder = AmazonS3Builder::new()
            .with_bucket_name(location.url.bucket())
            .with_region(location.region.as_str())
            .with_credentials(Arc::new(credentials))
            .with_client_options(client_options(location))
            .with_retry(retries(location))
            .with_http_connector(BoundedConnector::default());
        let builder = match &location.endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint.as_str()),
            None => builder,
        };
        let store = builder.build().map_err(|error| LocationError::Unusable {
            location: location.url.to_string(),
            source: StoreReply::new(&error),
        })?;
        Ok(Arc::new(Self {
            store: PrefixStore::new(Box::new(store), location.url.prefix()),
            location: location.url.to_string(),
            timeout: location.request_timeout,
        }))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Runs a check of whether the store is usable now, and waits at most as long as one request may take.
    pub(super) async fn with_timeout<T>(
        &self,
        work: impl Future<Output = Result<T, LocationError>>,
    ) -> Result<T, LocationError> {
        let done = tokio::time::timeout(self.timeout, work).await;
        done.unwrap_or_else(|_| {
            Err(LocationError::Slow {
                location: self.location.clone(),
                source: StoreReply::text(&format!("no response within {} seconds", self.timeout.as_secs_f32())),
            })
        })
    }

    /// The length of an object.
    pub(super) async fn len(&self, location: &Path) -> Result<u64> {
        self.store.head(location).await.map(|meta| meta.size)
    }

    /// Separates errors of one object, which are unchanged, from errors of the store, which become a [`LocationError`].
    pub(crate) fn classify(&self, error: Error) -> Error {
        let is_store_error = if matches!(error, Error::NotFound { .. }) {
            is_no_bucket(&error)
        } else {
            matches!(
                error,
                Error::Generic { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
            )
        };
        if is_store_error {
            self.location_error(error).into()
        } else {
            error
        }
    }

    /// An error of an operation before the object exists, so it is always an error of the store.
    pub(super) fn failed(&self, error: Error) -> Error {
        self.location_error(error).into()
    }

    /// Why the location cannot be used.
    pub(crate) fn location_error(&self, error: Error) -> LocationError {
        let error = match LocationError::within(error) {
            Ok(known) => return known,
            Err(error) => error,
        };
        let location = self.location.clone();
        let source = StoreReply::new(&error);
        match (&error, http_kind(&error)) {
            (Error::NotFound { .. }, _) if is_no_bucket(&error) => LocationError::NoBucket { location, source },
            (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) => {
                LocationError::Denied { location, source }
            }
            (_, Some(HttpErrorKind::Timeout)) => LocationError::Slow { location, source },
            (_, Some(HttpErrorKind::Decode)) => LocationError::Failing { location, source },
            (_, Some(_)) => LocationError::Unreachable { location, source },
            (_, None) => LocationError::Failing { location, source },
        }
    }
}

fn client_options(location: &S3Location) -> ClientOptions {
    ClientOptions::new()
        .with_timeout(location.request_timeout)
        .with_connect_timeout(location.request_timeout.min(CONNECT_TIMEOUT))
        .with_allow_http(location.endpoint.as_ref().is_some_and(Endpoint::is_plain))
}

/// The configured number of retries, each with its full timeout.
fn retries(location: &S3Location) -> RetryConfig {
    let attempts = u32::try_from(location.retries).unwrap_or(u32::MAX).saturating_add(1);
    RetryConfig {
        backoff: BackoffConfig {
            max_backoff: MAX_BACKOFF,
            ..BackoffConfig::default()
        },
        max_retries: location.retries,
        retry_timeout: (location.request_timeout + MAX_BACKOFF).saturating_mul(attempts),
    }
}

/// Every S3-compatible store sends this code; the status alone is the same as for a missing object.
fn is_no_bucket(error: &Error) -> bool {
    error.to_string().contains("NoSuchBucket")
}

/// How a request without a response failed.
fn http_kind(error: &Error) -> Option<HttpErrorKind> {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut sources = std::iter::successors(Some(first), |error| error.source());
    sources.find_map(|error| Some(error.downcast_ref::<HttpError>()?.kind()))
}

/// The address of the location.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.location)
    }
}
