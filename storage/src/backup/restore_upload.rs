//! Uploads the objects of a snapshot to a remote store.

use std::{fs::File, io::Read, path::Path as FsPath, sync::Arc};

use concordat_protocol::ids::Digest32;
use futures::{StreamExt, TryStreamExt};
use object_store::{MultipartUpload, ObjectStore, PutMultipartOptions, PutPayload, path::Path};
use tokio::runtime::Handle;

use super::{BackupError, FileEntry, contents::FILE_HASH, repository::SnapshotInfo};
use crate::{
    objects::{Connection, LocationError, RemoteUpload, S3Location},
    seal::PART_LEN,
};

/// An empty location that a snapshot is restored to. It has no ownership marker yet, so no node uses the objects there.
pub(super) struct RestoreUpload<'a> {
    runtime: &'a Handle,
    connection: Arc<Connection>,
}

impl<'a> RestoreUpload<'a> {
    /// # Errors
    /// [`LocationError::Occupied`] if anything is there.
    pub(super) fn begin(runtime: &'a Handle, location: &S3Location) -> Result<Self, BackupError> {
        let connection = Connection::open(location)?;
        let first = runtime.block_on(connection.store().list(None).next());
        match first {
            None => Ok(Self { runtime, connection }),
            Some(Ok(_)) => Err(LocationError::Occupied {
                location: connection.to_string(),
            }
            .into()),
            Some(Err(error)) => Err(connection.location_error(error).into()),
        }
    }

    /// Uploads one object and compares what was sent with what was signed.
    pub(super) fn put(&self, snapshot: &SnapshotInfo, entry: &FileEntry) -> Result<(), BackupError> {
        let text = entry.path.as_str();
        let file = snapshot.open_object(entry)?;
        let location = Path::from(text);
        let begun = RemoteUpload::begin(&self.connection, &location, PutMultipartOptions::default());
        let mut upload = self.runtime.block_on(begun)?;
        let put = self.send(file, FsPath::new(text), &mut upload).and_then(|sent| {
            if sent == (entry.len, entry.hash) {
                Ok(self.runtime.block_on(upload.complete())?)
            } else {
                Err(snapshot.damaged(text, "is not what was written"))
            }
        });
        if put.is_err() {
            // An unfinished upload is not an object.
            drop(self.runtime.block_on(upload.abort()));
        }
        put.map(drop)
    }

    fn send(&self, file: File, path: &FsPath, upload: &mut RemoteUpload) -> Result<(u64, Digest32), BackupError> {
        let mut file = file;
        let mut hasher = blake3::Hasher::new_derive_key(FILE_HASH);
        let mut len = 0;
        loop {
            let mut part = Vec::with_capacity(PART_LEN);
            let read = file.by_ref().take(PART_LEN as u64).read_to_end(&mut part);
            read.map_err(BackupError::io("read", path))?;
            if part.is_empty() {
                return Ok((len, Digest32::from_bytes(*hasher.finalize().as_bytes())));
            }
            hasher.update(&part);
            len += part.len() as u64;
            self.runtime.block_on(upload.put_part(PutPayload::from(part)))?;
        }
    }

    /// Removes the uploaded objects. If that fails too, they stay there, and only this institution's keys can open them.
    pub(super) fn undo(self, objects: &[FileEntry]) {
        let paths: Vec<_> = objects
            .iter()
            .map(|object| Ok(Path::from(object.path.as_str())))
            .collect();
        let removing = self
            .connection
            .store()
            .delete_stream(futures::stream::iter(paths).boxed());
        let removed = removing.try_for_each(|_| std::future::ready(Ok(())));
        if let Err(error) = self.runtime.block_on(removed) {
            tracing::warn!(%error, location = %self.connection, "objects of a failed restore were not removed");
        }
    }
}
