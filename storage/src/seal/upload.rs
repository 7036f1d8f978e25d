//! Sealing of streamed data.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart, path::Path};

use super::{BLOCK_LEN, SealError, Sealer, openers::Openers};

/// Sealed bytes are uploaded in parts of this size, the last one smaller: S3-compatible stores do not accept parts smaller than
/// 5 MiB, and some accept only parts of equal size.
pub(crate) const PART_LEN: usize = 8 * 1024 * 1024;

/// Parts of one object that are uploaded concurrently: enough for a store with long response times, and not so many that each one
/// times out on a slow connection.
const CONCURRENT_PARTS: usize = 4;

/// Seals a whole payload, block by block, with one copy.
pub(super) fn seal_payload(mut sealer: Sealer, payload: &PutPayload) -> Result<PutPayload, SealError> {
    let mut sealing = Sealing::new(&sealer);
    for chunk in payload {
        sealing.push(&mut sealer, chunk)?;
    }
    sealing.finish(&mut sealer)?;
    Ok(PutPayload::from(sealing.take()))
}

/// Plaintext that waits for its block to fill, and the sealed bytes so far.
///
/// A full block waits until more arrives, because only then is it known not to be the last.
#[derive(Debug)]
struct Sealing {
    waiting: Vec<u8>,
    sealed: Vec<u8>,
}

impl Sealing {
    fn new(sealer: &Sealer) -> Self {
        Self {
            waiting: Vec::with_capacity(BLOCK_LEN),
            sealed: sealer.header().to_vec(),
        }
    }

    fn push(&mut self, sealer: &mut Sealer, mut plain: &[u8]) -> Result<(), SealError> {
        while !plain.is_empty() {
            if self.waiting.len() == BLOCK_LEN {
                sealer.append_block(&self.waiting, false, &mut self.sealed)?;
                self.waiting.clear();
            }
            let len = (BLOCK_LEN - self.waiting.len()).min(plain.len());
            let (now, later) = plain.split_at_checked(len).unwrap_or((plain, &[]));
            self.waiting.extend_from_slice(now);
            plain = later;
        }
        Ok(())
    }

    fn finish(&mut self, sealer: &mut Sealer) -> Result<(), SealError> {
        sealer.append_block(&self.waiting, true, &mut self.sealed)?;
        self.waiting.clear();
        Ok(())
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.sealed).into()
    }

    /// The complete parts of the sealed bytes; the remainder waits for more.
    fn take_parts(&mut self) -> Vec<Bytes> {
        if self.sealed.len() < PART_LEN {
            return Vec::new();
        }
        let mut rest = self.take();
        let mut parts = Vec::new();
        while rest.len() >= PART_LEN {
            parts.push(rest.split_to(PART_LEN));
        }
        self.sealed.extend_from_slice(&rest);
        parts
    }
}

/// A multipart upload that seals in constant memory: at most one part and one block are buffered between two calls.
#[derive(Debug)]
pub(super) struct SealedUpload {
    inner: Box<dyn MultipartUpload>,
    sealer: Sealer,
    sealing: Sealing,
    location: Path,
    openers: Arc<Openers>,
}

impl SealedUpload {
    pub(super) fn new(inner: Box<dyn MultipartUpload>, sealer: Sealer, location: Path, openers: Arc<Openers>) -> Self {
        Self {
            inner,
            sealing: Sealing::new(&sealer),
            sealer,
            location,
            openers,
        }
    }

    fn push(&mut self, data: &PutPayload) -> Result<()> {
        for chunk in data {
            self.sealing
                .push(&mut self.sealer, chunk)
                .map_err(|error| error.at(&self.location))?;
        }
        Ok(())
    }
}

#[async_trait]
impl MultipartUpload for SealedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if let Err(error) = self.push(&data) {
            return futures::future::ready(Err(error)).boxed();
        }
        let parts = self.sealing.take_parts().into_iter();
        let sending: Vec<UploadPart> = parts.map(|part| self.inner.put_part(part.into())).collect();
        stream::iter(sending)
            .buffer_unordered(CONCURRENT_PARTS)
            .try_collect()
            .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.sealing
            .finish(&mut self.sealer)
            .map_err(|error| error.at(&self.location))?;
        let mut parts = self.sealing.take_parts();
        let rest = self.sealing.take();
        if !rest.is_empty() {
            parts.push(rest);
        }
        for part in parts {
            self.inner.put_part(part.into()).await?;
        }
        let result = self.inner.complete().await?;
        self.openers.forget(&self.location);
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
