//! Objects as local files that are on disk and private to their owner when a call returns.
//!
//! [`object_store::local::LocalFileSystem`] writes a temporary file and renames it, but never calls `fsync`; after a power cut
//! the name may be there without the bytes. [`DurableStore`] adds the missing steps: it syncs the file, then each folder up to
//! the root of the store. Folders are 0700 and files 0600.

use std::{
    fmt,
    fs::{File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path as FsPath, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use concordat_keys::fs::{create_dir_private, sync_dir};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart, local::LocalFileSystem, path::Path,
};

/// Local files under one folder; everything that it acknowledges is on disk.
#[derive(Debug, Clone)]
pub struct DurableStore {
    root: Arc<PathBuf>,
    files: Arc<LocalFileSystem>,
}

impl DurableStore {
    /// Opens the store in `root`, creating the folder (0700) if necessary.
    ///
    /// # Errors
    /// If the folder cannot be created or opened.
    pub fn open(root: &FsPath) -> Result<Self> {
        create_dir_private(root)
            .and_then(|()| sync_dir(root))
            .map_err(machine)?;
        let files = LocalFileSystem::new_with_prefix(root)?;
        Ok(Self {
            root: Arc::new(root.canonicalize().map_err(machine)?),
            files: Arc::new(files),
        })
    }

    async fn prepare(&self, location: &Path) -> Result<()> {
        let file = self.files.path_to_filesystem(location)?;
        blocking(move || file.parent().map_or(Ok(()), create_dir_private)).await
    }

    async fn sync(&self, location: &Path) -> Result<()> {
        let file = self.files.path_to_filesystem(location)?;
        let root = Arc::clone(&self.root);
        blocking(move || {
            let opened = File::open(&file)?;
            opened.set_permissions(Permissions::from_mode(0o600))?;
            opened.sync_all()?;
            sync_parents(&file, &root)
        })
        .await
    }
}

/// Syncs each folder from the file's up to the root.
fn sync_parents(file: &FsPath, root: &FsPath) -> io::Result<()> {
    file.ancestors()
        .skip(1)
        .take_while(|dir| dir.starts_with(root))
        .try_for_each(sync_dir)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?.map_err(machine)
}

fn machine(source: io::Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "durable",
        source: Box::new(source),
    }
}

impl fmt::Display for DurableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableStore({})", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DurableStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.prepare(location).await?;
        let result = self.files.put_opts(location, payload, opts).await?;
        self.sync(location).await?;
        Ok(result)
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.prepare(location).await?;
        let inner = self.files.put_multipart_opts(location, opts).await?;
        Ok(Box::new(DurableUpload {
            inner,
            store: self.clone(),
            location: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[std::ops::Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        self.files
            .delete_stream(locations)
            .and_then(move |location| {
                let store = store.clone();
                async move {
                    let file = store.files.path_to_filesystem(&location)?;
                    let root = Arc::clone(&store.root);
                    blocking(move || sync_parents(&file, &root)).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.prepare(to).await?;
        self.files.copy_opts(from, to, options).await?;
        self.sync(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.prepare(to).await?;
        self.files.rename_opts(from, to, options).await?;
        self.sync(to).await?;
        let old = self.files.path_to_filesystem(from)?;
        let root = Arc::clone(&self.root);
        blocking(move || sync_parents(&old, &root)).await
    }
}

/// A multipart upload that is on disk when it is complete.
#[derive(Debug)]
struct DurableUpload {
    inner: Box<dyn MultipartUpload>,
    store: DurableStore,
    location: Path,
}

#[async_trait]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let result = self.inner.complete().await?;
        self.store.sync(&self.location).await?;
        Ok(result)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
