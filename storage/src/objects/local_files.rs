//! The files of local objects, opened below the folder of the store.
//!
//! The disk is trusted with nothing: a name may have become a link, a pipe, a socket, a device or a folder. Opening a pipe waits for a
//! writer, and a link leads elsewhere, so that only regular files below the folder are opened, and no link is followed
//! ([`crate::beneath`]). Anything else in place of an object is damage. All functions block.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::Path as FsPath};

use bytes::Bytes;
use chrono::DateTime;
use object_store::{ObjectMeta, Result, path::Path};
use rustix::{
    fs::{AtFlags, Dir, FileType, Stat, fstat, statat},
    io::Errno,
};

use super::error::LocationError;
use crate::beneath::{open_beneath, open_folder_beneath, remove_existing_beneath};

/// Opens the file of an object for reading.
///
/// # Errors
/// [`object_store::Error::NotFound`]; [`LocationError::NotAFile`] if it is not a regular file, or its path goes through a link.
pub(super) fn open(root: &FsPath, location: &Path) -> Result<File> {
    open_beneath(root, below(location)).map_err(|error| failed("open", location, error))
}

/// Checks that the folder in which an object is to be written is below the store.
///
/// # Errors
/// [`LocationError::NotAFile`] if its path goes through a link.
pub(super) fn check_folder(root: &FsPath, location: &Path) -> Result<()> {
    let folder = below(location).parent().unwrap_or(FsPath::new(""));
    let opened = open_folder_beneath(root, folder);
    opened.map(drop).map_err(|error| failed("open", location, error))
}

/// Size in bytes, time and tag of an open file.
///
/// # Errors
/// The error of the system.
pub(super) fn meta(file: &File, location: &Path) -> Result<ObjectMeta> {
    let found = fstat(file).map_err(|error| failed("inspect", location, error.into()))?;
    Ok(meta_of(&found, location.clone()))
}

/// The bytes of `range`, all of them, read at their position.
///
/// # Errors
/// If the file ends before, or the error of the system.
pub(super) fn read(file: &File, location: &Path, range: &Range<u64>) -> Result<Bytes> {
    let unread = |kind: io::ErrorKind| failed("read", location, kind.into());
    let len = range
        .end
        .checked_sub(range.start)
        .and_then(|len| usize::try_from(len).ok())
        .ok_or_else(|| unread(io::ErrorKind::UnexpectedEof))?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, range.start)
        .map_err(|error| failed("read", location, error))?;
    Ok(bytes.into())
}

/// Removes what has the name of an object, which may be a link, a pipe or the like: they must not prevent an erasure.
///
/// # Errors
/// [`object_store::Error::NotFound`]; [`LocationError::NotAFile`] if it is a folder, or its path goes through a link.
pub(super) fn remove(root: &FsPath, location: &Path) -> Result<()> {
    remove_existing_beneath(root, below(location)).map_err(|error| failed("remove", location, error))
}

/// What a folder has.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The folders in it.
    pub(super) folders: Vec<Path>,
    /// The regular files in it.
    pub(super) objects: Vec<ObjectMeta>,
}

/// Folders and regular files of a folder, nothing if it does not exist. Links, pipes and the like are left out, also links to folders: they are
/// not objects, and one of them must not prevent that orphans are removed.
///
/// # Errors
/// [`LocationError::NotAFile`] if the path of the folder goes through a link; otherwise the error of the system.
pub(super) fn list(root: &FsPath, folder: &Path) -> Result<Listed> {
    let opened = match open_folder_beneath(root, below(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Listed::default()),
        opened => opened.map_err(|error| failed("list", folder, error))?,
    };
    let unlisted = |error: Errno| failed("list", folder, error.into());
    let mut listed = Listed::default();
    for entry in Dir::read_from(&opened).map_err(unlisted)? {
        let entry = entry.map_err(unlisted)?;
        // A name that no location can have is not one of an object.
        let Some(location) = entry.file_name().to_str().ok().and_then(|name| child(folder, name)) else {
            continue;
        };
        let found = match statat(&opened, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            found => found.map_err(unlisted)?,
        };
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind == FileType::RegularFile {
            listed.objects.push(meta_of(&found, location));
        } else if kind == FileType::Directory {
            listed.folders.push(location);
        }
    }
    Ok(listed)
}

/// The names on disk are those of the location.
fn below(location: &Path) -> &FsPath {
    FsPath::new(location.as_ref())
}

fn child(folder: &Path, name: &str) -> Option<Path> {
    if matches!(name, "." | "..") {
        return None;
    }
    Path::parse(format!("{folder}/{name}")).ok()
}

/// The tag has the form of [`object_store::local::LocalFileSystem`], which writes the objects: inode, microseconds and size.
fn meta_of(found: &Stat, location: Path) -> ObjectMeta {
    let size = u64::try_from(found.st_size).unwrap_or_default();
    // The types of these fields differ between systems.
    let seconds = i128::from(found.st_mtime);
    let nanos = i128::from(found.st_mtime_nsec);
    let micros = seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000).max(0);
    let modified = i64::try_from(seconds).ok().zip(u32::try_from(nanos).ok());
    ObjectMeta {
        location,
        last_modified: modified
            .and_then(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos))
            .unwrap_or_default(),
        size,
        e_tag: Some(format!("{:x}-{micros:x}-{size:x}", found.st_ino)),
        version: None,
    }
}

fn failed(action: &'static str, location: &Path, source: io::Error) -> object_store::Error {
    let path = location.to_string();
    let kind = source.kind();
    if kind == io::ErrorKind::NotFound {
        let source = Box::new(source);
        object_store::Error::NotFound { path, source }
    } else if kind == io::ErrorKind::InvalidInput {
        LocationError::NotAFile { path, source }.into()
    } else {
        object_store::Error::Generic {
            store: "durable",
            source: Box::new(FileError { action, path, source }),
        }
    }
}

/// The error of the system, with the path of the object.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} object `{path}`")]
struct FileError {
    action: &'static str,
    path: String,
    #[source]
    source: io::Error,
}
