//! Captures the error of a failed read.
//!
//! The Parquet reader keeps only the text of some errors, including those of reading a file's footer, and the text
//! cannot be distinguished from errors about damaged bytes. The error of the store is captured here, so that an
//! unreachable store is not mistaken for one that was tampered with.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, path::Path,
};

use concordat_protocol::error_kind::ErrorKind;

use crate::store_error::store_error_kind;

/// The kind of the last error of one query's store.
#[derive(Clone, Debug, Default)]
pub(super) struct CapturedError(Arc<Mutex<Option<ErrorKind>>>);

impl CapturedError {
    pub(super) fn kind(&self) -> Option<ErrorKind> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, error: &object_store::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(store_error_kind(error));
    }
}

/// The store of one query.
#[derive(Debug)]
pub(super) struct ErrorCapture {
    inner: Arc<dyn ObjectStore>,
    seen: CapturedError,
}

impl ErrorCapture {
    pub(super) fn wrap(inner: Arc<dyn ObjectStore>) -> (Arc<dyn ObjectStore>, CapturedError) {
        let seen = CapturedError::default();
        let capture = Self {
            inner,
            seen: seen.clone(),
        };
        (Arc::new(capture), seen)
    }

    fn recorded<T>(&self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| self.seen.record(error))
    }
}

impl fmt::Display for ErrorCapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorCapture({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for ErrorCapture {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.inner.get_opts(location, options).await;
        self.recorded(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let found = self.inner.get_ranges(location, ranges).await;
        self.recorded(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
