//! A file that is being written, and gets its name once it is complete.
//!
//! 1. Where the file system supports it (`O_TMPFILE`), the file has no name before that: however the process ends, nothing of it remains.
//! 2. Elsewhere it has an unpredictable name, newly created (`O_EXCL`, which follows no link). That name is removed when this is dropped,
//!    and when SIGINT or SIGTERM ends the process ([`interrupt`]); after a `kill -9` it stays.
//! 3. The folder is opened once, and all names are relative to it.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat, renameat},
    sys::stat::Mode,
    unistd::{UnlinkatFlags, linkat, unlinkat},
};

use super::interrupt;

/// Only the owner may read and write.
const PRIVATE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// A file without its final name.
#[derive(Debug)]
pub(super) struct Staged {
    folder: File,
    file: File,
    name: Option<TemporaryName>,
}

/// The name until then, and where it is.
#[derive(Debug)]
struct TemporaryName {
    name: String,
    path: PathBuf,
}

impl Staged {
    /// Begins a file in `folder`, which was opened from `path`.
    ///
    /// # Errors
    /// If no file can be created there.
    pub(super) fn create(folder: File, path: &Path) -> io::Result<Self> {
        match unnamed(&folder) {
            Some(file) => Ok(Self {
                folder,
                file,
                name: None,
            }),
            None => Self::named(folder, path),
        }
    }

    /// Begins a file with a name of its own.
    fn named(folder: File, path: &Path) -> io::Result<Self> {
        let name = TemporaryName::random(path)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        interrupt::remove_later(&name.path);
        match openat(&folder, name.name.as_str(), flags, PRIVATE) {
            Ok(file) => Ok(Self {
                folder,
                file: file.into(),
                name: Some(name),
            }),
            Err(error) => {
                interrupt::forget(&name.path);
                Err(error.into())
            }
        }
    }

    /// The folder that it is in.
    pub(super) fn folder(&self) -> &File {
        &self.folder
    }

    /// Makes the file durable and gives it `name` in its folder, where it replaces a file of that name.
    ///
    /// # Errors
    /// If it cannot be written completely; there is no file then that was not there before.
    pub(super) fn publish(mut self, name: &OsStr) -> io::Result<()> {
        self.file.sync_all()?;
        if self.name.is_none() && !self.link(name)? {
            // Only a file with a name can replace another one.
            let temporary = TemporaryName::random(Path::new(""))?;
            if !self.link(OsStr::new(&temporary.name))? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            self.name = Some(temporary);
        }
        if let Some(temporary) = &self.name {
            // A link that appears there now is replaced, and not followed.
            renameat(&self.folder, temporary.name.as_str(), &self.folder, name)?;
            interrupt::forget(&temporary.path);
            self.name = None;
        }
        self.folder.sync_all()
    }

    /// Gives a file without a name the name `name`; false if something has it already.
    fn link(&self, name: &OsStr) -> io::Result<bool> {
        let opened = opened(&self.file);
        match linkat(&self.folder, &opened, &self.folder, name, AtFlags::AT_SYMLINK_FOLLOW) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl TemporaryName {
    fn random(folder: &Path) -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!(".{}.part", HEXLOWER.encode(&random));
        Ok(Self {
            path: folder.join(&name),
            name,
        })
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(temporary) = &self.name {
            // If it cannot be removed, a file with a random name remains.
            unlinkat(&self.folder, temporary.name.as_str(), UnlinkatFlags::NoRemoveDir).ok();
            interrupt::forget(&temporary.path);
        }
    }
}

/// A file without a name; `None` where there is no such file, or where it could not get a name later.
#[cfg(target_os = "linux")]
fn unnamed(folder: &File) -> Option<File> {
    let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = File::from(openat(folder, ".", flags, PRIVATE).ok()?);
    opened(&file).exists().then_some(file)
}

/// Other systems have none.
#[cfg(not(target_os = "linux"))]
fn unnamed(_: &File) -> Option<File> {
    None
}

/// The path by which the kernel shows an open file of this process (`proc(5)`).
fn opened(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd;

    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    /// In which folder a second process of this test creates a file, and waits for a signal.
    const CHILD: &str = "CONCORDAT_STAGED_IN";
    const NAME: &str = "files::staged::tests::file_that_has_a_name_is_removed_by_a_signal";

    type Begin = fn(File, &Path) -> io::Result<Staged>;

    fn begin(folder: &Path, create: Begin) -> Staged {
        let mut staged = create(File::open(folder).unwrap(), folder).unwrap();
        staged.write_all(b"rows").unwrap();
        staged
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn file_has_no_name_before_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let staged = begin(dir.path(), Staged::create);
        assert_eq!(files(dir.path()), 0);
        staged.publish(OsStr::new("a")).unwrap();
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"rows");
    }

    #[test]
    fn file_replaces_an_older_one_and_leaves_no_other() {
        for create in [Staged::create as Begin, Staged::named] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a");
            fs::write(&path, "older").unwrap();
            drop(begin(dir.path(), create));
            assert_eq!(fs::read(&path).unwrap(), b"older");
            begin(dir.path(), create).publish(OsStr::new("a")).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"rows");
            // What cannot be replaced stays, and the file without its name goes.
            fs::create_dir(dir.path().join("folder")).unwrap();
            begin(dir.path(), create).publish(OsStr::new("folder")).unwrap_err();
            assert_eq!(files(dir.path()), 2);
        }
    }

    #[test]
    fn file_that_has_a_name_is_removed_by_a_signal() {
        if let Some(folder) = std::env::var_os(CHILD) {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let _staged = begin(Path::new(&folder), Staged::named);
                std::thread::sleep(Duration::from_secs(60));
            });
        }
        for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
            let dir = tempfile::tempdir().unwrap();
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", NAME]).env(CHILD, dir.path());
            let mut child = command.spawn().unwrap();
            while files(dir.path()) == 0 {
                assert!(child.try_wait().unwrap().is_none(), "it ended without a file");
                std::thread::sleep(Duration::from_millis(5));
            }
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
            assert_eq!(files(dir.path()), 0, "{signal}");
        }
    }
}
