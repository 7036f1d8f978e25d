//! Files that are on disk and private to their owner when a call returns.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rustix::fs::{Mode, OFlags, open};

/// Creates a folder and its parents; new ones get mode 0700.
///
/// # Errors
/// The error of the system.
pub fn create_dir_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Replaces a small file atomically: after a crash the file has either the old or the new contents. Mode 0600.
///
/// # Errors
/// The error of the system; the old file is then unchanged, and no temporary file remains.
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
        // On a full disk even an empty leftover file may make the next attempt fail.
        drop(std::fs::remove_file(&staged));
        return Err(error);
    }
    sync_dir(dir)
}

fn write_staged(staged: &Path, bytes: &[u8]) -> io::Result<()> {
    // A leftover of a killed process is removed, and a link that another user created is never written through.
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

/// Makes the names in a folder durable. Anything else is not opened: opening a pipe waits for a writer.
///
/// # Errors
/// The error of the system.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    File::from(open(dir, flags, Mode::empty())?).sync_all()
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::*;

    #[test]
    fn only_folders_are_synced_as_folders() {
        let dir = tempfile::tempdir().unwrap();
        sync_dir(dir.path()).unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (done, waiting) = mpsc::channel();
        // On a separate thread: opening a pipe would wait forever.
        thread::spawn(move || done.send(sync_dir(&pipe)));
        let synced = waiting.recv_timeout(Duration::from_secs(20)).expect("syncing it ends");
        assert_eq!(synced.unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }
}
