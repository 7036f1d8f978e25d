//! A store that fails at a chosen moment, for tests.

use std::{
    fmt, io,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UploadPart, path::Path,
};

/// How an operation fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is not done.
    #[default]
    NotDone,
    /// It is done, but reported as failed.
    Unreported,
    /// A read returns fewer bytes than requested, and no error.
    Short,
}

/// When the store fails; shared with the test.
#[derive(Debug, Default)]
pub(crate) struct InjectedFaults {
    writes: AtomicU64,
    reads: AtomicU64,
    outcome: Mutex<Outcome>,
    triggered: AtomicBool,
    uploads: AtomicU64,
}

impl InjectedFaults {
    /// The `number`th write from now on fails.
    pub(crate) fn at_write(&self, number: u64, outcome: Outcome) {
        self.arm(&self.writes, number, outcome);
    }

    /// The `number`th read or listing from now on fails.
    pub(crate) fn at_read(&self, number: u64, outcome: Outcome) {
        self.arm(&self.reads, number, outcome);
    }

    fn arm(&self, counter: &AtomicU64, number: u64, outcome: Outcome) {
        *self.outcome.lock().unwrap() = outcome;
        self.triggered.store(false, Ordering::SeqCst);
        counter.store(number, Ordering::SeqCst);
    }

    /// Removes the injected fault; returns whether it was triggered.
    pub(crate) fn end(&self) -> bool {
        self.writes.store(0, Ordering::SeqCst);
        self.reads.store(0, Ordering::SeqCst);
        self.triggered.load(Ordering::SeqCst)
    }

    /// How many uploads were begun, and neither completed nor aborted. In a remote store the parts of such an upload stay.
    pub(crate) fn open_uploads(&self) -> u64 {
        self.uploads.load(Ordering::SeqCst)
    }

    fn trigger(&self, counter: &AtomicU64) -> Option<Outcome> {
        let left = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        (left == Ok(1)).then(|| {
            self.triggered.store(true, Ordering::SeqCst);
            *self.outcome.lock().unwrap()
        })
    }
}

/// The store that fails.
#[derive(Clone, Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<InjectedFaults>,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, faults: Arc<InjectedFaults>) -> Self {
        Self { inner, faults }
    }

    async fn written<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        written(&self.faults, work).await
    }
}

async fn written<T>(faults: &InjectedFaults, work: impl Future<Output = Result<T>>) -> Result<T> {
    match faults.trigger(&faults.writes) {
        None => work.await,
        Some(Outcome::Unreported) => work.await.and(Err(failure(io::ErrorKind::StorageFull.into()))),
        Some(Outcome::NotDone | Outcome::Short) => Err(failure(io::ErrorKind::StorageFull.into())),
    }
}

fn failure(error: io::Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "faulty",
        source: Box::new(error),
    }
}

/// `EIO`, as from a failing disk.
fn unreadable() -> object_store::Error {
    failure(io::Error::from_raw_os_error(5))
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.written(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        match self.faults.trigger(&self.faults.writes) {
            None => {
                let inner = self.inner.put_multipart_opts(location, opts).await?;
                Ok(Box::new(FaultyUpload::new(inner, &self.faults)))
            }
            Some(Outcome::Unreported) => {
                // A local upload that is dropped removes its file in the background: it could be found, or not, by who looks for what is left.
                self.inner.put_multipart_opts(location, opts).await?.abort().await?;
                Err(failure(io::ErrorKind::StorageFull.into()))
            }
            Some(Outcome::NotDone | Outcome::Short) => Err(failure(io::ErrorKind::StorageFull.into())),
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.faults.trigger(&self.faults.reads) {
            None => self.inner.get_opts(location, options).await,
            Some(_) => Err(unreadable()),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let outcome = self.faults.trigger(&self.faults.reads);
        let mut found = self.inner.get_ranges(location, ranges).await?;
        match outcome {
            None => Ok(found),
            Some(Outcome::Short) => {
                let last = found.pop().unwrap_or_default();
                found.push(last.slice(..last.len() / 2));
                Ok(found)
            }
            Some(Outcome::NotDone | Outcome::Unreported) => Err(unreadable()),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let each = move |location: Path| {
            let store = store.clone();
            async move {
                let one = futures::stream::once(std::future::ready(Ok(location.clone()))).boxed();
                let removed = async { store.inner.delete_stream(one).try_collect::<Vec<_>>().await };
                store.written(removed).await.map(|_| location)
            }
        };
        locations.and_then(each).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.faults.trigger(&self.faults.reads) {
            None => self.inner.list(prefix),
            Some(_) => futures::stream::once(std::future::ready(Err(unreadable()))).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.written(self.inner.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    faults: Arc<InjectedFaults>,
    is_open: bool,
}

impl FaultyUpload {
    fn new(inner: Box<dyn MultipartUpload>, faults: &Arc<InjectedFaults>) -> Self {
        faults.uploads.fetch_add(1, Ordering::SeqCst);
        Self {
            inner,
            faults: Arc::clone(faults),
            is_open: true,
        }
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.faults.uploads.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let faults = Arc::clone(&self.faults);
        let part = self.inner.put_part(data);
        async move { written(&faults, part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let completed = written(&self.faults, self.inner.complete()).await?;
        self.close();
        Ok(completed)
    }

    async fn abort(&mut self) -> Result<()> {
        self.close();
        self.inner.abort().await
    }
}
