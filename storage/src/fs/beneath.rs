//! Files below a folder whose contents others may have written: a backup repository, an inbox.
//!
//! Nothing that lies there leads out of it. Each folder on the way and the file itself are opened by their names in the folder
//! before, links are not followed, and what is not a regular file is not opened at all: opening a pipe waits for a writer, and
//! opening a device may do something.

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

/// What each folder on the way is opened with.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens the regular file at `below`, a relative path of plain names, for reading. `root` is the operator's: it may be a link.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if it is not there; [`io::ErrorKind::InvalidInput`] if the path leaves `root`, if a link is on
/// the way, or if it is not a regular file.
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
    let file = names.pop().ok_or_else(|| refused("the path names no file"))?;
    let mut folder = openat(CWD, root, FOLDER, Mode::empty())?;
    for name in names {
        folder = openat(&folder, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty()).map_err(of_folder)?;
    }
    regular(&folder, file)
}

/// The kind is looked at before, so that nothing else is opened, and after, because it may have been exchanged meanwhile.
fn regular(folder: &OwnedFd, name: &std::ffi::OsStr) -> io::Result<File> {
    let before = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(before.st_mode) != FileType::RegularFile {
        return Err(refused("it is a link, or not a regular file"));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::empty()).map_err(of_folder)?;
    let opened = fstat(&file)?;
    if FileType::from_raw_mode(opened.st_mode) != FileType::RegularFile {
        return Err(refused("it is not a regular file"));
    }
    Ok(File::from(file))
}

fn of_folder(error: Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::MLINK => refused("a link is on the way"),
        Errno::NOTDIR => refused("a link or a file is on the way where a folder should be"),
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
        let (root, below) = (root.to_owned(), below.to_owned());
        let (done, waiting) = mpsc::channel();
        // On a thread of its own: opening a pipe would wait for ever.
        thread::spawn(move || done.send(open_beneath(&root, Path::new(&below)).map(drop).unwrap_err().kind()));
        waiting
            .recv_timeout(Duration::from_secs(20))
            .expect("the opening waits")
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
