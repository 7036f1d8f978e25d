//! The files of a data directory: used by one process and private to its account.

use std::{
    fs::{self, DirEntry, File, Metadata, Permissions, TryLockError},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use concordat_keys::fs::{create_dir_private, lock_exclusive, open_or_create_regular};

use super::StorageError;

/// Most paths that an error names.
const MAX_SHOWN: usize = 5;

/// The files of sled. It creates new files at any time with the mode that the process's umask gives, so what protects them is
/// that the folder is 0700; [`tighten`] makes the files in it private at each start.
pub(super) const SLED: &str = "meta/sled";

/// Where sealed objects are stored, unless that is elsewhere.
pub(super) const OBJECTS: &str = "objects";

/// Where data uploaded for an import is stored. Its files have no names, so this folder is empty.
pub(super) const UPLOADS: &str = "uploads";

/// Removes files of uploads whose process was killed just before they were unlinked; they are still empty.
pub(super) fn remove_uploads(dir: &Path) -> Result<(), StorageError> {
    let uploads = dir.join(UPLOADS);
    match fs::remove_dir_all(&uploads) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StorageError::io("remove", &uploads, source))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Creates the folder of a new data directory, or makes an existing empty one private.
pub(super) fn create(dir: &Path) -> Result<(), StorageError> {
    create_dir_private(dir).map_err(|source| StorageError::io("create", dir, source))?;
    let mut entries = fs::read_dir(dir).map_err(|source| StorageError::io("inspect", dir, source))?;
    if entries.next().is_some() {
        return Ok(());
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(|source| StorageError::io("protect", dir, source))
}

/// Locks the directory for this process until the file is closed.
pub(super) fn lock(dir: &Path) -> Result<File, StorageError> {
    let path = dir.join("lock");
    let file = open_or_create_regular(&path).map_err(|source| StorageError::io("open", &path, source))?;
    match lock_exclusive(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StorageError::io("lock", &path, source)),
    }
}

/// Rejects the directory if other accounts can access anything in it.
pub(super) fn check_modes(dir: &Path) -> Result<(), StorageError> {
    exposed(dir, &mut |_, _| false)?.into_result(dir)
}

/// Removes unfinished uploads of a killed process, which the object store writes to `objects/…/NAME#NUMBER` before it renames them to `NAME`, and
/// rejects the directory if other accounts can access anything else in it. There are as many files as objects, so each is visited once.
pub(super) fn remove_unfinished_and_check_modes(dir: &Path) -> Result<(), StorageError> {
    let objects = dir.join(OBJECTS);
    let mut unfinished = Vec::new();
    let exposed = exposed(dir, &mut |path, found| {
        let is_left = found.is_file() && is_unfinished(path) && path.starts_with(&objects);
        if is_left {
            unfinished.push(path.to_owned());
        }
        is_left
    })?;
    unfinished
        .into_iter()
        .try_for_each(|path| fs::remove_file(&path).map_err(|source| StorageError::io("remove", &path, source)))?;
    exposed.into_result(dir)
}

/// What other accounts can access in `dir`, without that for which `leaves_out` returns true.
fn exposed(dir: &Path, leaves_out: &mut dyn FnMut(&Path, &Metadata) -> bool) -> Result<Exposed, StorageError> {
    let sled = dir.join(SLED);
    let mut exposed = Exposed::default();
    let root = fs::metadata(dir).map_err(|source| StorageError::io("inspect", dir, source))?;
    exposed.note(dir, root.permissions().mode());
    walk(dir, &mut |path, found| {
        if !leaves_out(path, found) {
            exposed.note(path, found.permissions().mode());
        }
        path != sled
    })?;
    Ok(exposed)
}

/// What other accounts can access.
#[derive(Debug, Default)]
struct Exposed {
    /// The first of the paths.
    paths: Vec<PathBuf>,
    count: usize,
}

impl Exposed {
    fn note(&mut self, path: &Path, mode: u32) {
        if mode & 0o077 != 0 {
            self.count += 1;
            if self.paths.len() < MAX_SHOWN {
                self.paths.push(path.to_owned());
            }
        }
    }

    fn into_result(self, dir: &Path) -> Result<(), StorageError> {
        let Self { paths, count } = self;
        if count == 0 {
            return Ok(());
        }
        Err(StorageError::Exposed {
            dir: dir.to_owned(),
            paths,
            count,
        })
    }
}

/// Makes everything below `dir` private.
pub(super) fn tighten(dir: &Path) -> Result<(), StorageError> {
    let mut loose = Vec::new();
    walk(dir, &mut |path, found| {
        let mode = found.permissions().mode();
        if mode & 0o077 != 0 {
            loose.push((path.to_owned(), mode & 0o700));
        }
        true
    })?;
    loose.into_iter().try_for_each(|(path, mode)| {
        fs::set_permissions(&path, Permissions::from_mode(mode))
            .map_err(|source| StorageError::io("protect", &path, source))
    })
}

/// Whether it has the name of an unfinished upload.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    let number = name
        .as_deref()
        .and_then(|name| name.rsplit_once('#'))
        .map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Calls `visit` with every file and folder below `dir` and its metadata, and descends into the folders for which it returns true. A
/// link counts as its target, and is not descended into. A socket is skipped: without its process it cannot be used.
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path, &Metadata) -> bool) -> Result<(), StorageError> {
    let mut folders: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |source| StorageError::io("inspect", &folder, source);
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry: DirEntry = entry.map_err(unreadable)?;
            let path = entry.path();
            let inspected = fs::metadata(&path).map_err(|source| StorageError::io("inspect", &path, source))?;
            if !inspected.is_file() && !inspected.is_dir() {
                continue;
            }
            let descend = visit(&path, &inspected);
            if descend && entry.file_type().map_err(unreadable)?.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}
