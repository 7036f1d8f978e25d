//! The upload of an object to a store, part by part.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{FutureExt, TryFutureExt};
use object_store::{
    MultipartUpload, ObjectStore, PutMultipartOptions, PutPayload, PutResult, Result, UploadPart, path::Path,
};

use super::connection::Connection;

/// A multipart upload; nothing is visible before it is complete.
#[derive(Debug)]
pub(crate) struct RemoteUpload {
    inner: Box<dyn MultipartUpload>,
    connection: Arc<Connection>,
    location: Path,
    sent: u64,
}

impl RemoteUpload {
    /// Begins an upload to `location`.
    ///
    /// # Errors
    /// The error of the store.
    pub(crate) async fn begin(
        connection: &Arc<Connection>,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Self> {
        let begun = connection.store().put_multipart_opts(location, opts).await;
        Ok(Self {
            inner: begun.map_err(|error| connection.failed(error))?,
            connection: Arc::clone(connection),
            location: location.clone(),
            sent: 0,
        })
    }
}

#[async_trait]
impl MultipartUpload for RemoteUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.sent += data.content_length() as u64;
        let connection = Arc::clone(&self.connection);
        self.inner
            .put_part(data)
            .map_err(move |error| connection.failed(error))
            .boxed()
    }

    /// If the response to the last request is lost, the request is repeated, and some stores then report that they do not know
    /// the completed upload, or deny access to it. The name of an object is never used twice, so an object of this length is
    /// this one.
    async fn complete(&mut self) -> Result<PutResult> {
        let failed = match self.inner.complete().await {
            Ok(result) => return Ok(result),
            Err(error) => error,
        };
        let is_unknown = matches!(
            failed,
            object_store::Error::NotFound { .. } | object_store::Error::PermissionDenied { .. }
        );
        if is_unknown && self.connection.len(&self.location).await.ok() == Some(self.sent) {
            return Ok(PutResult {
                e_tag: None,
                version: None,
            });
        }
        Err(self.connection.failed(failed))
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await.map_err(|error| self.connection.failed(error))
    }
}
