//! Files that commands read and write for people.
//!
//! What is read is a regular file, up to a limit: a pipe would wait, and a device may have no end. What is written:
//!
//! 1. A file has mode 0600, and no name before it is complete; where that is not possible it has an unpredictable one ([`staged`]).
//! 2. Once the complete file is on disk, it gets its name, and replaces an older file of that name. A command that fails or is interrupted
//!    leaves no file behind.
//! 3. A target that is a link, or anything but a regular file, is refused, and so is a folder in which any user can replace files.
//!
//! Files in a data directory are written by the node itself; they are safe from other users, because the folder is 0700.

mod interrupt;
mod staged;

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata},
    io::{self, BufWriter, IntoInnerError, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use concordat_documents::problem::Problem;
use concordat_protocol::error_kind::ErrorKind;
use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag},
    sys::stat::{SFlag, fstatat},
};
use staged::Staged;

/// Any user may write.
const ALL_WRITE: u32 = 0o002;
/// Only the owner of a file may rename or remove it.
const STICKY: u32 = 0o1000;

/// A file that is being written. Nothing remains of it if this is dropped before [`NewFile::finish`].
#[derive(Debug)]
pub(crate) struct NewFile {
    file: BufWriter<Staged>,
    name: OsString,
    path: PathBuf,
}

impl NewFile {
    /// Starts the file that will appear at `path`.
    ///
    /// # Errors
    /// If the target is not a regular file, other users could replace it, or it cannot be created.
    pub(crate) fn create(path: &Path) -> Result<Self, Problem> {
        let name = file_name(path)?.to_owned();
        let folder_path = folder(path);
        let folder = open_folder(folder_path)?;
        refuse_unless_regular(&folder, &name, path)?;
        let unwritable = |error: io::Error| {
            Problem::usage(format!("cannot write into `{}`: {error}", folder_path.display()))
                .help("choose a folder that you can write to")
        };
        let metadata = folder.metadata().map_err(unwritable)?;
        if is_world_writable(&metadata) {
            return Err(
                Problem::usage(format!("any user can replace files in `{}`", folder_path.display()))
                    .help("write into a folder that only you can write to"),
            );
        }
        let staged = Staged::create(folder, folder_path).map_err(unwritable)?;
        Ok(Self {
            file: BufWriter::new(staged),
            name,
            path: path.to_owned(),
        })
    }

    /// Completes the file, which appears at its path.
    ///
    /// # Errors
    /// If it cannot be written completely, or something other than a regular file appeared at its path.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Self { file, name, path } = self;
        let unwritable = |error: io::Error| Problem::internal(&format!("cannot write `{}`", path.display()), &error);
        let staged = file
            .into_inner()
            .map_err(IntoInnerError::into_error)
            .map_err(unwritable)?;
        refuse_unless_regular(staged.folder(), &name, &path)?;
        staged.publish(&name).map_err(unwritable)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a complete file.
///
/// # Errors
/// As [`NewFile::create`] and [`NewFile::finish`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes)
        .map_err(|error| Problem::internal(&format!("cannot write `{}`", path.display()), &error))?;
    file.finish()
}

/// Removes a file that [`NewFile`] could replace, if there is one.
///
/// # Errors
/// If it cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<(), Problem> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Problem::internal(
            &format!("cannot remove `{}`", path.display()),
            &error,
        )),
        _ => Ok(()),
    }
}

/// Reads a complete file of at most `most` bytes. A link is followed: the person who names a file may name a link to it.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is none; [`ErrorKind::Usage`] if it is longer, is not a regular file, or cannot be read.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Problem> {
    read_regular(path, most).map_err(|error| unreadable(path, &error))
}

/// Reads a complete file with at most `most` bytes of text.
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String, Problem> {
    let text = String::from_utf8(read(path, most)?);
    text.map_err(|_| Problem::usage(format!("cannot read `{}`: it is not UTF-8 text", path.display())))
}

/// Reads standard input to its end, at most `most` bytes of text.
///
/// # Errors
/// If it is longer, is not UTF-8, or cannot be read.
pub(crate) fn read_standard_input(most: u64) -> Result<String, Problem> {
    let bytes = read_within(io::stdin().lock(), most);
    let bytes = bytes.map_err(|error| Problem::usage(format!("cannot read standard input: {error}")))?;
    String::from_utf8(bytes).map_err(|_| Problem::usage("cannot read standard input: it is not UTF-8 text"))
}

/// Whether there is a regular file, and not a link to one, that begins with these bytes.
pub(crate) fn begins_with(path: &Path, start: &[u8]) -> bool {
    let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    let mut bytes = vec![0; start.len()];
    is_file && open_regular(path).is_ok_and(|mut file| file.read_exact(&mut bytes).is_ok()) && bytes == start
}

fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_within(open_regular(path)?, most)
}

/// The type is checked before the file is opened, so that nothing else is opened, and after, because the file may have been replaced in
/// between; nothing waits.
fn open_regular(path: &Path) -> io::Result<File> {
    require_regular(&fs::metadata(path)?)?;
    let file = File::options()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)?;
    require_regular(&file.metadata()?)?;
    Ok(file)
}

/// Reads to the end, at most `most` bytes.
fn read_within(source: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = source.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= most) {
        Ok(bytes)
    } else {
        let what = format!("it has more than {most} bytes");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, what))
    }
}

fn require_regular(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        Ok(())
    } else {
        let what = "it is not a regular file; pipes, devices and folders are not read";
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }
}

/// The problem of a file or folder that a person named and that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let shown = path.display();
    if error.kind() == io::ErrorKind::NotFound {
        return Problem::new(ErrorKind::NotFound, format!("there is no file `{shown}`"));
    }
    Problem::usage(format!("cannot read `{shown}`: {error}"))
}

/// The name of a file, without its folder.
fn file_name(path: &Path) -> Result<&OsStr, Problem> {
    let is_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    path.file_name()
        .filter(|_| !is_folder)
        .ok_or_else(|| Problem::usage(format!("`{}` is not a file name", path.display())))
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn open_folder(path: &Path) -> Result<File, Problem> {
    let flags = OFlag::O_DIRECTORY.bits();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    opened.map_err(|error| {
        let shown = path.display();
        if error.kind() == io::ErrorKind::NotFound {
            return Problem::usage(format!("there is no folder `{shown}`")).help("create it, or choose another one");
        }
        Problem::usage(format!("cannot write into `{shown}`: {error}")).help("choose a folder that you can write to")
    })
}

fn refuse_unless_regular(folder: &File, name: &OsStr, path: &Path) -> Result<(), Problem> {
    let shown = path.display();
    let found = match fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(found) => SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT,
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => {
            return Err(Problem::usage(format!(
                "cannot write `{shown}`: {}",
                io::Error::from(error)
            )));
        }
    };
    if found == SFlag::S_IFREG {
        Ok(())
    } else if found == SFlag::S_IFLNK {
        Err(Problem::usage(format!("`{shown}` is a link, and is not followed"))
            .help("give the path of the file itself, or remove the link"))
    } else {
        Err(Problem::usage(format!("`{shown}` exists, and is not a regular file")).help("choose another name"))
    }
}

/// Whether any user can replace files in a folder. Where only owners can (`/tmp`), a newly created file is safe.
fn is_world_writable(folder: &Metadata) -> bool {
    folder.mode() & ALL_WRITE != 0 && folder.mode() & STICKY == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn input_file_is_regular_and_within_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert!(read(&path, 4).unwrap_err().detail.contains("more than 4 bytes"));
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for device in ["/dev/zero", "/dev/null", pipe.to_str().unwrap()] {
            let refused = read(Path::new(device), 5).unwrap_err();
            assert!(refused.detail.contains("not a regular file"), "{refused:?}");
        }
        let absent = read(&dir.path().join("absent"), 5).unwrap_err();
        assert_eq!(absent.code, ErrorKind::NotFound, "{absent:?}");
    }

    #[test]
    fn output_file_is_complete_and_private_or_absent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(names(dir.path()), Vec::<String>::new());
        fs::write(&path, "older").unwrap();
        write(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(names(dir.path()), ["a.csv"]);
    }

    #[test]
    fn output_file_refuses_links_and_special_files() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        let path = dir.path().join("a.csv");
        for target in [&victim, &dir.path().join("nothing"), dir.path(), Path::new("/dev/null")].map(Path::to_owned) {
            symlink(&target, &path).unwrap();
            let problem = write(&path, b"x").unwrap_err();
            assert!(problem.detail.contains("is a link"), "{problem:?}");
            fs::remove_file(&path).unwrap();
        }
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(write(&path, b"x").unwrap_err().detail.contains("not a regular file"));
        fs::remove_file(&path).unwrap();
        assert!(write(Path::new("/"), b"x").is_err());
        assert!(write(dir.path(), b"x").is_err());

        // A link that appears later is not followed either.
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"x").unwrap();
        symlink(&victim, &path).unwrap();
        file.finish().unwrap_err();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        fs::remove_file(&path).unwrap();
        assert_eq!(names(dir.path()), ["victim"]);
    }

    #[test]
    fn output_file_refuses_world_writable_folder() {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("shared");
        fs::create_dir(&shared).unwrap();
        for (mode, is_refused) in [
            (0o777, true),
            (0o757, true),
            (0o1777, false),
            (0o775, false),
            (0o700, false),
        ] {
            fs::set_permissions(&shared, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(write(&shared.join("a"), b"x").is_err(), is_refused, "{mode:o}");
        }
    }
}
