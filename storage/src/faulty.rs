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
    /// It is done, and nobody learns of it.
    Unreported,
    /// A read brings fewer bytes than were asked for, and no error.
    Short,
}

/// When the store fails; shared with the test.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    writes: AtomicU64,
    reads: AtomicU64,
    how: Mutex<Outcome>,
    struck: AtomicBool,
}

impl Faults {
    /// The `number`th write from now on fails.
    pub(crate) fn at_write(&self, number: u64, how: Outcome) {
        self.arm(&self.writes, number, how);
    }

    /// The `number`th read or listing from now on fails.
    pub(crate) fn at_read(&self, number: u64, how: Outcome) {
        self.arm(&self.reads, number, how);
    }

    fn arm(&self, counter: &AtomicU64, number: u64, how: Outcome) {
        *self.how.lock().unwrap() = how;
        self.struck.store(false, Ordering::SeqCst);
        counter.store(number, Ordering::SeqCst);
    }

    /// Nothing fails any more; says whether anything did.
    pub(crate) fn end(&self) -> bool {
        self.writes.store(0, Ordering::SeqCst);
        self.reads.store(0, Ordering::SeqCst);
        self.struck.load(Ordering::SeqCst)
    }

    fn strikes(&self, counter: &AtomicU64) -> Option<Outcome> {
        let left = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        (left == Ok(1)).then(|| {
            self.struck.store(true, Ordering::SeqCst);
            *self.how.lock().unwrap()
        })
    }
}

/// The store.
#[derive(Clone, Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults>,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, faults: Arc<Faults>) -> Self {
        Self { inner, faults }
    }

    async fn written<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        written(&self.faults, work).await
    }
}

async fn written<T>(faults: &Faults, work: impl Future<Output = Result<T>>) -> Result<T> {
    match faults.strikes(&faults.writes) {
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

/// `EIO`, which a failing disk gives.
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
        let inner = self.written(self.inner.put_multipart_opts(location, opts)).await?;
        let faults = Arc::clone(&self.faults);
        Ok(Box::new(FaultyUpload { inner, faults }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.faults.strikes(&self.faults.reads) {
            None => self.inner.get_opts(location, options).await,
            Some(_) => Err(unreadable()),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let struck = self.faults.strikes(&self.faults.reads);
        let mut found = self.inner.get_ranges(location, ranges).await?;
        match struck {
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
        match self.faults.strikes(&self.faults.reads) {
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
    faults: Arc<Faults>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let faults = Arc::clone(&self.faults);
        let part = self.inner.put_part(data);
        async move { written(&faults, part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        written(&self.faults, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
