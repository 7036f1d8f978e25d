//! The objects of one query in its process: their bytes are requested from the node.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use tokio::{
    net::unix::OwnedWriteHalf,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

use super::{
    frames::{self, Kind},
    messages::{MAX_READ_BYTES, MAX_READS, ReadRequest, encode},
};
use concordat_protocol::error_kind::ErrorKind;

use crate::store_error::Reported;

/// Bytes of all objects of a version that is read whole, before the query needs it: two sealed blocks. Each further request of a small query
/// takes longer than reading them.
const WHOLE_BYTES: u64 = 128 << 10;

/// The connection to the node; whole frames are sent while the lock is held.
pub(super) type Writer = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

/// What the node returns for a request.
type Found = std::result::Result<Bytes, ErrorKind>;

/// The reads that have not been answered yet.
#[derive(Clone, Debug, Default)]
pub(super) struct PendingReads(Arc<Mutex<Requests>>);

#[derive(Debug, Default)]
struct Requests {
    last: u64,
    open: HashMap<u64, Request>,
}

/// A read that the node has not answered. It holds its slot until then, whether or not anything waits for it.
#[derive(Debug)]
struct Request {
    reader: oneshot::Sender<Found>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl PendingReads {
    fn register(&self, slot: Option<OwnedSemaphorePermit>) -> (u64, oneshot::Receiver<Found>) {
        let (reader, receiver) = oneshot::channel();
        let mut requests = self.requests();
        requests.last = requests.last.wrapping_add(1);
        let number = requests.last;
        requests.open.insert(number, Request { reader, _slot: slot });
        (number, receiver)
    }

    /// Discards the reads of a query that has ended: the node answers them no more.
    fn discard(&self) {
        self.requests().open.clear();
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Completes a pending read.
    pub(super) fn resolve(&self, number: u64, found: Found) {
        let mut requests = self.requests();
        if let Some(pending) = requests.open.remove(&number) {
            // The receiver may have been dropped.
            let _ = pending.reader.send(found);
        }
    }
}

/// A store with the objects of one query.
#[derive(Debug)]
pub(super) struct NodeStore {
    objects: Vec<ObjectMeta>,
    writer: Writer,
    pending: PendingReads,
    /// Requests that the node has not answered, at most as many as it accepts.
    slots: Arc<Semaphore>,
    /// The objects that were requested whole, in order; none or all.
    whole: Vec<tokio::sync::Mutex<Whole>>,
}

/// An object that was requested whole.
#[derive(Debug)]
enum Whole {
    Requested(oneshot::Receiver<Found>),
    Arrived(Found),
}

impl NodeStore {
    /// The store of a query, which begins. If its objects are few and small, all of them are requested now, so that the node reads them while
    /// the query is planned.
    ///
    /// # Errors
    /// If the node has ended.
    pub(super) async fn open(objects: Vec<ObjectMeta>, writer: Writer, pending: PendingReads) -> Result<Self> {
        pending.discard();
        let mut store = Self {
            objects,
            writer,
            pending,
            slots: Arc::new(Semaphore::new(MAX_READS)),
            whole: Vec::new(),
        };
        if is_small(&store.objects) {
            let mut whole = Vec::with_capacity(store.objects.len());
            for (object, meta) in store.objects.iter().enumerate() {
                let all = 0..meta.size;
                let requested = store.request(object, std::slice::from_ref(&all), None).await?;
                whole.push(tokio::sync::Mutex::new(Whole::Requested(requested)));
            }
            store.whole = whole;
        }
        Ok(store)
    }

    fn find(&self, location: &Path) -> Result<(usize, &ObjectMeta)> {
        let found = self
            .objects
            .iter()
            .enumerate()
            .find(|(_, meta)| meta.location == *location);
        found.ok_or_else(|| object_store::Error::NotFound {
            path: location.to_string(),
            source: "the query has no such object".into(),
        })
    }

    /// Requests bytes of one object.
    async fn request(
        &self,
        object: usize,
        ranges: &[Range<u64>],
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<oneshot::Receiver<Found>> {
        let (number, found) = self.pending.register(slot);
        let ranges = ranges.iter().map(|range| (range.start, range.end)).collect();
        let request = encode(&ReadRequest { number, object, ranges }).map_err(lost)?;
        let sent = frames::send(&mut *self.writer.lock().await, Kind::ReadRequest, &request, &[]).await;
        sent.map_err(lost)?;
        Ok(found)
    }

    async fn fetch(&self, object: usize, ranges: &[Range<u64>]) -> Result<Bytes> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(lost)?;
        let found = self.request(object, ranges, Some(slot)).await?.await.map_err(lost)?;
        found.map_err(|kind| generic(Reported(kind)))
    }

    /// Reads bytes of one object, with requests of a bounded size.
    async fn read(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (object, meta) = self.find(location)?;
        if let Some(whole) = self.whole.get(object) {
            let bytes = arrived(whole, meta.size).await?;
            return ranges.iter().map(|range| part(&bytes, range)).collect();
        }
        let mut found = Vec::with_capacity(ranges.len());
        let mut together = Vec::new();
        let mut size = 0;
        for range in ranges {
            if range.start > range.end || range.end > meta.size {
                return Err(invalid_range());
            }
            let len = range.end.saturating_sub(range.start);
            if len > MAX_READ_BYTES {
                found.extend(self.fetch_together(object, &std::mem::take(&mut together)).await?);
                found.push(self.fetch_in_chunks(object, range.clone()).await?);
                size = 0;
                continue;
            }
            if len.saturating_add(size) > MAX_READ_BYTES {
                found.extend(self.fetch_together(object, &std::mem::take(&mut together)).await?);
                size = 0;
            }
            size = size.saturating_add(len);
            together.push(range.clone());
        }
        found.extend(self.fetch_together(object, &together).await?);
        Ok(found)
    }

    async fn fetch_together(&self, object: usize, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if ranges.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = self.fetch(object, ranges).await?;
        let lengths = ranges.iter().map(length);
        if lengths.clone().sum::<usize>() != all.len() {
            return Err(generic(std::io::Error::from(std::io::ErrorKind::InvalidData)));
        }
        Ok(lengths.map(|length| all.split_to(length)).collect())
    }

    async fn fetch_in_chunks(&self, object: usize, range: Range<u64>) -> Result<Bytes> {
        let mut whole = BytesMut::with_capacity(length(&range));
        let mut start = range.start;
        while start < range.end {
            let end = start.saturating_add(MAX_READ_BYTES).min(range.end);
            for chunk in self.fetch_together(object, std::slice::from_ref(&(start..end))).await? {
                whole.extend_from_slice(&chunk);
            }
            start = end;
        }
        Ok(whole.freeze())
    }
}

/// Whether all of the objects may be requested at the same time, and are read whole.
fn is_small(objects: &[ObjectMeta]) -> bool {
    let bytes = objects.iter().fold(0_u64, |sum, meta| sum.saturating_add(meta.size));
    objects.len() <= MAX_READS && bytes <= WHOLE_BYTES
}

/// The bytes of an object that was requested whole and has `size` of them. Cancel-safe: another call waits for the same bytes.
async fn arrived(whole: &tokio::sync::Mutex<Whole>, size: u64) -> Result<Bytes> {
    let mut whole = whole.lock().await;
    let found = match &mut *whole {
        Whole::Arrived(found) => found.clone(),
        Whole::Requested(found) => {
            let found = found.await.unwrap_or(Err(ErrorKind::Internal));
            *whole = Whole::Arrived(found.clone());
            found
        }
    };
    let bytes = found.map_err(|kind| generic(Reported(kind)))?;
    if u64::try_from(bytes.len()) == Ok(size) {
        return Ok(bytes);
    }
    Err(generic(std::io::Error::from(std::io::ErrorKind::InvalidData)))
}

/// A part of the bytes of an object.
fn part(whole: &Bytes, range: &Range<u64>) -> Result<Bytes> {
    let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    let within = bounds.filter(|(start, end)| start <= end && *end <= whole.len());
    let (start, end) = within.ok_or_else(invalid_range)?;
    Ok(whole.slice(start..end))
}

fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX)
}

fn generic(source: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
    object_store::Error::Generic {
        store: "node",
        source: Box::new(source),
    }
}

fn invalid_range() -> object_store::Error {
    generic(std::io::Error::from(std::io::ErrorKind::InvalidInput))
}

/// The node has ended; this process ends too.
fn lost(_: impl std::error::Error) -> object_store::Error {
    generic(Reported(ErrorKind::Internal))
}

fn read_only() -> object_store::Error {
    object_store::Error::NotSupported {
        source: "a version is never changed".into(),
    }
}

impl fmt::Display for NodeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeStore({} objects)", self.objects.len())
    }
}

#[async_trait]
impl ObjectStore for NodeStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (_, meta) = self.find(location)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(generic)?,
            None => 0..meta.size,
        };
        let bytes = if options.head {
            Vec::new()
        } else {
            self.read(location, std::slice::from_ref(&range)).await?
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter(bytes.into_iter().map(Ok)).boxed()),
            meta: meta.clone(),
            range,
            attributes: Attributes::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        locations.map(|_| Err(read_only())).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::iter(self.objects.clone().into_iter().map(Ok)).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(read_only())
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only())
    }
}

#[cfg(test)]
mod tests;
