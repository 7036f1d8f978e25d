//! Objects as local files that are on disk and private to their owner when a call returns.
//!
//! [`object_store::local::LocalFileSystem`] writes a temporary file and renames it, but never calls `fsync`; after a power cut
//! the name may be there without the bytes. [`DurableStore`] adds the missing steps: it syncs the file, then each folder up to
//! the root of the store. Folders are 0700 and files 0600.
//!
//! It also opens what it finds, waits for a writer if that is a pipe, and follows links. So objects are opened, listed and removed by
//! [`local_files`], and only written by it, under a name that is new.

use std::{
    fmt,
    fs::Permissions,
    io,
    ops::Range,
    os::unix::fs::PermissionsExt,
    path::{Path as FsPath, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use concordat_keys::fs::{create_dir_private, sync_dir};
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
    local::LocalFileSystem, path::Path,
};
use tokio::runtime::Handle;

use super::local_files::{self, Listed};

/// Objects that are removed at a time.
const REMOVED_AT_A_TIME: usize = 10;

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
        let root = Arc::clone(&self.root);
        let location = location.clone();
        blocking(move || {
            let created = file.parent().map_or(Ok(()), create_dir_private);
            created.map_err(machine)?;
            local_files::check_folder(&root, &location)
        })
        .await
    }

    async fn sync(&self, location: &Path) -> Result<()> {
        let file = self.files.path_to_filesystem(location)?;
        let root = Arc::clone(&self.root);
        let location = location.clone();
        blocking(move || {
            let opened = local_files::open(&root, &location)?;
            opened
                .set_permissions(Permissions::from_mode(0o600))
                .and_then(|()| opened.sync_all())
                .and_then(|()| sync_parents(&file, &root))
                .map_err(machine)
        })
        .await
    }

    /// Checks that there is an object: the system would link and rename anything.
    async fn check_object(&self, location: &Path) -> Result<()> {
        let root = Arc::clone(&self.root);
        let location = location.clone();
        blocking(move || local_files::open(&root, &location).map(drop)).await
    }

    /// The folders and objects of a folder, without unfinished uploads.
    async fn list_folder(&self, folder: Path) -> Result<Listed> {
        let store = self.clone();
        blocking(move || {
            let mut listed = local_files::list(&store.root, &folder)?;
            // Other names are those of unfinished uploads, which are not objects.
            let is_object = |location: &Path| store.files.path_to_filesystem(location).is_ok();
            listed.objects.retain(|meta| is_object(&meta.location));
            Ok(listed)
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

/// On a thread that may block; without a runtime that is this one.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

fn machine(source: io::Error) -> object_store::Error {
    object_store::Error::Generic {
        store: "durable",
        source: Box::new(source),
    }
}

fn bad_range(source: impl std::error::Error + Send + Sync + 'static) -> object_store::Error {
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
        let path = self.files.path_to_filesystem(location)?;
        let root = Arc::clone(&self.root);
        let location = location.clone();
        blocking(move || {
            let file = local_files::open(&root, &location)?;
            let meta = local_files::meta(&file, &location)?;
            options.check_preconditions(&meta)?;
            let range = match options.range {
                Some(range) => range.as_range(meta.size).map_err(bad_range)?,
                None => 0..meta.size,
            };
            Ok(GetResult {
                payload: GetResultPayload::File(file, path),
                attributes: Attributes::default(),
                range,
                meta,
            })
        })
        .await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        // It fails for names of unfinished uploads, which are not objects.
        self.files.path_to_filesystem(location)?;
        let root = Arc::clone(&self.root);
        let location = location.clone();
        let ranges = ranges.to_vec();
        blocking(move || {
            let file = local_files::open(&root, &location)?;
            let read = |range| local_files::read(&file, &location, range);
            ranges.iter().map(read).collect()
        })
        .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let remove = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let file = store.files.path_to_filesystem(&location)?;
                blocking(move || {
                    local_files::remove(&store.root, &location)?;
                    sync_parents(&file, &store.root).map_err(machine)?;
                    Ok(location)
                })
                .await
            }
        };
        locations.map(remove).buffered(REMOVED_AT_A_TIME).boxed()
    }

    /// One folder is in memory at a time.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        let first = prefix.cloned().unwrap_or_default();
        let folders = stream::try_unfold(vec![first], move |mut folders| {
            let store = store.clone();
            async move {
                let Some(folder) = folders.pop() else {
                    return Ok::<_, object_store::Error>(None);
                };
                let listed = store.list_folder(folder).await?;
                folders.extend(listed.folders);
                let objects = stream::iter(listed.objects.into_iter().map(Ok::<_, object_store::Error>));
                Ok(Some((objects, folders)))
            }
        });
        folders.try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.list_folder(prefix.cloned().unwrap_or_default()).await?;
        Ok(ListResult {
            common_prefixes: listed.folders,
            objects: listed.objects,
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check_object(from).await?;
        self.prepare(to).await?;
        self.files.copy_opts(from, to, options).await?;
        self.sync(to).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.check_object(from).await?;
        self.prepare(to).await?;
        self.files.rename_opts(from, to, options).await?;
        self.sync(to).await?;
        let old = self.files.path_to_filesystem(from)?;
        let root = Arc::clone(&self.root);
        blocking(move || sync_parents(&old, &root).map_err(machine)).await
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

#[cfg(test)]
mod tests;
