//! Files that are on the disk, private to their owner, when a call returns.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Creates a folder and its parents, 0700 where they are new.
///
/// # Errors
/// What the system says.
pub fn create_dir_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Replaces a small file in one step: after a crash either the old or the new contents are there, whole. Mode 0600.
///
/// # Errors
/// What the system says; the old file is then untouched, and nothing else stays.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    create_dir_private(dir)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let staged = dir.join(name);
    if let Err(error) = write_staged(&staged, bytes).and_then(|()| std::fs::rename(&staged, path)) {
        // On a full disk even an empty file may stay in the way of what is tried next.
        drop(std::fs::remove_file(&staged));
        return Err(error);
    }
    sync_dir(dir)
}

fn write_staged(staged: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a process that was killed left goes; nothing is written through what somebody else put there.
    match std::fs::remove_file(staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(staged)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in a folder durable.
///
/// # Errors
/// What the system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
