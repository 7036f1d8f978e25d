//! Files below a folder whose contents others may have written: a backup repository, an inbox.
//!
//! Nothing in the folder can lead out of it. Each folder on the path and the file itself are opened by their names relative to
//! the parent folder, links are not followed, and what is not a regular file is not opened at all: opening a pipe waits for a
//! writer, and opening a device may have side effects.

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat},
    io::Errno,
};

/// Flags for opening each folder on the path.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens the regular file at `below`, a relative path of plain names, for reading. `root` was chosen by the operator, so it may
/// be a link.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if it does not exist; [`io::ErrorKind::InvalidInput`] if the path leaves `root`, if it goes
/// through a link, or if it is not a regular file.
pub fn open_beneath(root: &Path, below: &Path) -> io::Result<File> {
    let mut names = Vec::new();
    for part in below.components() {
        match part {
            Component::Normal(name) => names.push(name),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
                return Err(refused("the path leaves the folder"));
            }
        }
    }
    let file = names.pop().ok_or_else(|| refused("the path does not name a file"))?;
    let mut folder = openat(CWD, root, FOLDER, Mode::empty())?;
    for name in names {
        folder = openat(&folder, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty()).map_err(open_error)?;
    }
    regular(&folder, file)
}

/// The file type is checked before opening, so that nothing else is opened, and after, because the file may have been replaced
/// in between.
fn regular(folder: &OwnedFd, name: &std::ffi::OsStr) -> io::Result<File> {
    let before = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(before.st_mode) != FileType::RegularFile {
        return Err(refused("it is a link, or not a regular file"));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::empty()).map_err(open_error)?;
    let opened = fstat(&file)?;
    if FileType::from_raw_mode(opened.st_mode) != FileType::RegularFile {
        return Err(refused("it is not a regular file"));
    }
    Ok(File::from(file))
}

fn open_error(error: Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::MLINK => refused("the path goes through a link"),
        Errno::NOTDIR => refused("the path goes through a link or a file where a folder should be"),
        other => other.into(),
    }
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read, os::unix::fs::symlink, sync::mpsc, thread, time::Duration};

    use super::*;

    fn kind(root: &Path, below: &str) -> io::ErrorKind {
        let root = root.to_owned();
        let below = below.to_owned();
        let (done, waiting) = mpsc::channel();
        // On a separate thread: opening a pipe would wait forever.
        thread::spawn(move || done.send(open_beneath(&root, Path::new(&below)).map(drop).unwrap_err().kind()));
        waiting
            .recv_timeout(Duration::from_secs(20))
            .expect("opening the file blocks")
    }

    #[test]
    fn only_regular_files_below_the_folder_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "inside").unwrap();
        fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink("../../secret", root.join("a/link")).unwrap();
        symlink(dir.path(), root.join("out")).unwrap();
        symlink("b", root.join("a/within")).unwrap();
        symlink("/dev/zero", root.join("zero")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();

        let mut text = String::new();
        open_beneath(&root, Path::new("a/b/file"))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "inside");
        let outside = dir.path().join("secret");
        for refused in [
            "../secret",
            "a/../../secret",
            outside.to_str().unwrap(),
            "a/link",
            "out/secret",
            "a/within/file",
            "zero",
            "pipe",
            "socket",
            "a/b",
            "a/b/file/more",
            "",
            ".",
        ] {
            assert_eq!(kind(&root, refused), io::ErrorKind::InvalidInput, "{refused}");
        }
        assert_eq!(kind(&root, "a/none"), io::ErrorKind::NotFound);
        let link = dir.path().join("link to root");
        symlink(&root, &link).unwrap();
        open_beneath(&link, Path::new("a/b/file")).unwrap();
    }
}
