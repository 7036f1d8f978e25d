//! Files that a person or a setting names: a configuration, a policy, a key.
//!
//! Only regular files are opened: opening a pipe waits for a writer, and a device may have no end. Each is read up to a limit, and a
//! longer one is refused and not cut. A link is followed, because the person who names a file may name a link to it, as platforms do that
//! mount secrets. Folders whose contents others may have written are read in another way, which follows none.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use rustix::fs::{Mode, OFlags, open};

/// Opens a regular file for reading, without waiting.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if it is not a regular file; otherwise the error of the system.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Checked before it is opened, so that nothing else is opened, and after, because the file may have been replaced in between.
    require_regular(&std::fs::metadata(path)?)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    require_regular(&file.metadata()?)?;
    Ok(file)
}

/// Opens a regular file for reading and writing, without waiting, and creates it (0600) if there is none. For files of the own folder, which may be
/// on a disk that others can write to.
///
/// # Errors
/// As [`open_regular`].
pub fn open_or_create_regular(path: &Path) -> io::Result<File> {
    match std::fs::metadata(path) {
        Ok(found) => require_regular(&found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::RUSR | Mode::WUSR)?);
    require_regular(&file.metadata()?)?;
    Ok(file)
}

/// Opens a regular file to append to it, without waiting. For files of the own folder, as [`open_or_create_regular`].
///
/// # Errors
/// As [`open_regular`].
pub fn append_to_regular(path: &Path) -> io::Result<File> {
    require_regular(&std::fs::metadata(path)?)?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    require_regular(&file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open_regular`], and [`io::ErrorKind::FileTooLarge`].
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_up_to(open_regular(path)?, most, &mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file with at most `most` bytes of text.
///
/// # Errors
/// As [`read_regular`], and [`io::ErrorKind::InvalidData`] if it is not UTF-8.
pub fn read_regular_text(path: &Path, most: u64) -> io::Result<String> {
    let text = String::from_utf8(read_regular(path, most)?);
    text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Adds the whole file to `bytes`.
fn read_up_to(file: File, most: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let read = file.take(most.saturating_add(1)).read_to_end(bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= most) {
        Ok(())
    } else {
        let what = format!("it has more than {most} bytes");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, what))
    }
}

fn require_regular(found: &std::fs::Metadata) -> io::Result<()> {
    if found.is_file() {
        Ok(())
    } else {
        let what = "it is not a regular file; pipes, devices and folders are not read";
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::{fs, io::Write as _, path::PathBuf, sync::mpsc, thread, time::Duration};

    use super::*;

    /// On a separate thread: a file that is read without a limit, or a pipe, would never end.
    fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let path: PathBuf = path.to_owned();
        let (done, waiting) = mpsc::channel();
        thread::spawn(move || done.send(read_regular(&path, most)));
        waiting
            .recv_timeout(Duration::from_secs(20))
            .expect("reading the file ends")
    }

    #[test]
    fn file_longer_than_its_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_regular_text(&path, 5).unwrap(), "12345");
        fs::write(&path, [0xFF]).unwrap();
        assert_eq!(
            read_regular_text(&path, 5).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        let absent = read(&dir.path().join("none"), 5).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        symlink("pipe", at("link to pipe")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for refused in ["pipe", "zero", "link to pipe", "socket", ""] {
            assert_eq!(
                read(&at(refused), 5).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{refused}"
            );
        }
        for refused in ["pipe", "zero", "link to pipe", "socket", ""] {
            let path = at(refused);
            let (done, waiting) = mpsc::channel();
            thread::spawn(move || done.send(open_or_create_regular(&path).map(drop)));
            let opened = waiting.recv_timeout(Duration::from_secs(20)).expect("opening it ends");
            assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{refused}");
            let path = at(refused);
            let (done, waiting) = mpsc::channel();
            thread::spawn(move || done.send(append_to_regular(&path).map(drop)));
            let opened = waiting.recv_timeout(Duration::from_secs(20)).expect("opening it ends");
            assert_eq!(opened.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{refused}");
        }
        let mode = open_or_create_regular(&at("new"))
            .unwrap()
            .metadata()
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        fs::write(at("file"), "123").unwrap();
        append_to_regular(&at("file")).unwrap().write_all(b"45").unwrap();
        symlink("file", at("link")).unwrap();
        assert_eq!(read(&at("link"), 5).unwrap(), b"12345");
    }
}
