//! Files below a folder whose contents others may have written: a backup repository, an inbox.
//!
//! Nothing in the folder can lead out of it, neither what is read nor what is written. Each folder on the path and the file itself are opened by their names relative to
//! the parent folder, links are not followed, and what is not a regular file is not opened at all: opening a pipe waits for a
//! writer, and opening a device may have side effects.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Component, Path},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, fsync, mkdirat, openat, renameat, statat, unlinkat},
    io::Errno,
};

/// Flags for opening each folder on the path.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Most entries of a folder that is listed.
const MAX_ENTRIES: usize = 10_000;

/// Opens the regular file at `below`, a relative path of plain names, for reading. `root` was chosen by the operator, so it may
/// be a link.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] if it does not exist; [`io::ErrorKind::InvalidInput`] if the path leaves `root`, if it goes
/// through a link, or if it is not a regular file.
pub fn open_beneath(root: &Path, below: &Path) -> io::Result<File> {
    let (folder, file) = parent(root, below, Missing::IsAnError)?;
    regular(&folder, file)
}

/// Creates the file at `below`, with mode 0600, and the folders on the way to it that are missing, with mode 0700.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if it exists, also as a link; otherwise as [`open_beneath`].
pub fn create_beneath(root: &Path, below: &Path) -> io::Result<File> {
    let (folder, file) = parent(root, below, Missing::IsCreated)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(&folder, file, flags, Mode::RUSR | Mode::WUSR)?))
}

/// Gives a file or folder another path. A file that has it is replaced.
///
/// # Errors
/// As [`open_beneath`].
pub fn rename_beneath(root: &Path, from: &Path, to: &Path) -> io::Result<()> {
    let (old, from) = parent(root, from, Missing::IsAnError)?;
    let (new, to) = parent(root, to, Missing::IsAnError)?;
    Ok(renameat(&old, from, &new, to)?)
}

/// Removes a file, or a link. One that does not exist is removed already.
///
/// # Errors
/// As [`open_beneath`].
pub fn remove_beneath(root: &Path, below: &Path) -> io::Result<()> {
    match remove_existing_beneath(root, below) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes a file, or a link, a pipe or the like, which is not opened.
///
/// # Errors
/// As [`open_beneath`]; [`io::ErrorKind::InvalidInput`] if it is a folder.
pub(crate) fn remove_existing_beneath(root: &Path, below: &Path) -> io::Result<()> {
    let (folder, file) = parent(root, below, Missing::IsAnError)?;
    unlinkat(&folder, file, AtFlags::empty()).map_err(|error| match error {
        Errno::ISDIR => refused("it is a folder"),
        other => other.into(),
    })
}

/// Makes the names in the folder at `below` durable.
///
/// # Errors
/// As [`open_beneath`].
pub fn sync_folder_beneath(root: &Path, below: &Path) -> io::Result<()> {
    Ok(fsync(open_folder_beneath(root, below)?)?)
}

/// Opens the folder at `below`; an empty path is `root` itself.
///
/// # Errors
/// As [`open_beneath`].
pub(crate) fn open_folder_beneath(root: &Path, below: &Path) -> io::Result<OwnedFd> {
    let mut folder = openat(CWD, root, FOLDER, Mode::empty())?;
    for name in names(below)? {
        folder = openat(&folder, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty()).map_err(open_error)?;
    }
    Ok(folder)
}

/// What happens to a folder on a path that does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsAnError,
    IsCreated,
}

/// The folder of what is at `below`, opened, and its name there.
fn parent<'a>(root: &Path, below: &'a Path, missing: Missing) -> io::Result<(OwnedFd, &'a OsStr)> {
    let mut names = names(below)?;
    let last = names.pop().ok_or_else(|| refused("the path does not name a file"))?;
    let mut folder = openat(CWD, root, FOLDER, Mode::empty())?;
    for name in names {
        if missing == Missing::IsCreated {
            match mkdirat(&folder, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        folder = openat(&folder, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty()).map_err(open_error)?;
    }
    Ok((folder, last))
}

fn names(below: &Path) -> io::Result<Vec<&OsStr>> {
    let name = |part| match part {
        Component::Normal(name) => Ok(name),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
            Err(refused("the path leaves the folder"))
        }
    };
    below.components().map(name).collect()
}

/// A file of a folder, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub len: u64,
    /// When it was changed last: seconds since 1970 and nanoseconds.
    pub modified: (i128, i128),
}

/// The regular files of the folder at `below`, a relative path of plain names, in the order of their names. Links, folders in it and files
/// whose names are not UTF-8 are left out. `root` was chosen by the operator, so it may be a link.
///
/// # Errors
/// As [`open_beneath`], and [`io::ErrorKind::InvalidInput`] if there are more than 10,000 entries.
pub fn list_beneath(root: &Path, below: &Path) -> io::Result<Vec<ListedFile>> {
    let folder = open_folder_beneath(root, below)?;
    let mut files = Vec::new();
    for (entry, number) in Dir::read_from(&folder)?.zip(0_usize..) {
        if number > MAX_ENTRIES {
            return Err(refused("the folder has too many entries"));
        }
        let entry = entry?;
        let found = statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        let name = entry.file_name().to_str();
        if let Ok(name) = name
            && FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
        {
            files.push(ListedFile {
                name: name.to_owned(),
                len: u64::try_from(found.st_size).unwrap_or_default(),
                // The types of these fields differ between systems.
                modified: (i128::from(found.st_mtime), i128::from(found.st_mtime_nsec)),
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The file type is checked before opening, so that nothing else is opened, and after, because the file may have been replaced
/// in between.
fn regular(folder: &OwnedFd, name: &OsStr) -> io::Result<File> {
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

    #[test]
    fn nothing_is_written_through_a_link() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::write(outside.path().join("file"), "theirs").unwrap();
        symlink(outside.path(), root.join("folder")).unwrap();
        symlink(outside.path().join("file"), root.join("file")).unwrap();
        fs::write(root.join("own"), "ours").unwrap();
        let path = Path::new;
        let kind = |done: io::Result<()>| done.unwrap_err().kind();
        assert_eq!(
            kind(create_beneath(root, path("folder/new")).map(drop)),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(create_beneath(root, path("file")).map(drop)),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(
            kind(create_beneath(root, path("../out")).map(drop)),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(rename_beneath(root, path("own"), path("folder/own"))),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(remove_beneath(root, path("folder/file"))),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(sync_folder_beneath(root, path("folder"))),
            io::ErrorKind::InvalidInput
        );
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(fs::read(outside.path().join("file")).unwrap(), b"theirs");
        // A link is removed itself.
        remove_beneath(root, path("file")).unwrap();
        remove_beneath(root, path("file")).unwrap();
        drop(create_beneath(root, path("new/folder/file")).unwrap());
        rename_beneath(root, path("own"), path("new/own")).unwrap();
        sync_folder_beneath(root, path("new")).unwrap();
        assert_eq!(fs::read(root.join("new/own")).unwrap(), b"ours");
    }

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
    fn only_regular_files_of_a_folder_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("omop/more")).unwrap();
        fs::write(root.join("omop/visit.csv"), "12345").unwrap();
        fs::write(root.join("omop/person.csv"), "").unwrap();
        symlink("visit.csv", root.join("omop/link.csv")).unwrap();
        symlink("omop", root.join("other")).unwrap();
        nix::unistd::mkfifo(&root.join("omop/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let list = |below: &str| list_beneath(&root, Path::new(below));
        let before = list("omop").unwrap();
        let found: Vec<_> = before.iter().map(|file| (file.name.as_str(), file.len)).collect();
        assert_eq!(found, [("person.csv", 0), ("visit.csv", 5)]);
        assert_eq!(list("omop").unwrap(), before);
        fs::write(root.join("omop/person.csv"), "1").unwrap();
        assert_ne!(list("omop").unwrap(), before);
        for refused in ["other", "../root/omop", "omop/visit.csv"] {
            assert_eq!(
                list(refused).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{refused}"
            );
        }
        assert_eq!(list("none").unwrap_err().kind(), io::ErrorKind::NotFound);
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
