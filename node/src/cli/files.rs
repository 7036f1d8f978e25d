//! Files that commands write for people, all in one way.
//!
//! 1. They are written under a name that nobody could know before, made anew (`O_EXCL`, which follows no link), mode 0600.
//! 2. When all of it is there and on the disk, the file gets its name, in one step. A command that fails leaves nothing.
//! 3. A name that is a link, or anything but a regular file, is refused, and so is a folder in which everybody can exchange files.
//!
//! What lies in a data directory is written by [`write_private`], which nobody else can get between: the folder is 0700.
//!
//! [`write_private`]: concordat_storage::fs::write_private

use std::{
    fs::{self, File, Metadata},
    io::{self, BufWriter, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use concordat_storage::fs::sync_dir;
use data_encoding::HEXLOWER;

use crate::fault::Problem;

/// Everybody may write.
const ALL_WRITE: u32 = 0o002;
/// Only the owner of a file may rename or remove it.
const STICKY: u32 = 0o1000;

/// A file that is being written; dropped, it is gone.
#[derive(Debug)]
pub(super) struct NewFile {
    file: BufWriter<File>,
    staged: PathBuf,
    path: PathBuf,
}

impl NewFile {
    /// Begins the file that will be at `path`.
    ///
    /// # Errors
    /// If something there is not a regular file, others could get in between, or the system refuses.
    pub(super) fn create(path: &Path) -> Result<Self, Problem> {
        let unwritable = |error: io::Error| Problem::usage(format!("cannot write `{}`: {error}", path.display()));
        if path.file_name().is_none() {
            return Err(Problem::usage(format!("`{}` is no name of a file", path.display())));
        }
        refuse_unless_regular(path)?;
        let folder = folder(path);
        let about = fs::metadata(folder).map_err(unwritable)?;
        if is_open_to_all(&about) {
            return Err(
                Problem::usage(format!("everybody can exchange files in `{}`", folder.display()))
                    .help("write into a folder of your own"),
            );
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| Problem::fault("the machine gives no random numbers", &error))?;
        let staged = folder.join(format!(".{}.part", HEXLOWER.encode(&random)));
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&staged)
            .map_err(unwritable)?;
        Ok(Self {
            file: BufWriter::new(file),
            staged,
            path: path.to_owned(),
        })
    }

    /// All of it is there: the file appears.
    ///
    /// # Errors
    /// If it cannot be written to its end, or something else has come to lie there.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        let unwritable = |error: io::Error| Problem::fault(&format!("cannot write `{}`", self.path.display()), &error);
        self.file.flush().map_err(unwritable)?;
        self.file.get_ref().sync_all().map_err(unwritable)?;
        refuse_unless_regular(&self.path)?;
        // A link that comes to lie there now is replaced, and not followed.
        fs::rename(&self.staged, &self.path).map_err(unwritable)?;
        sync_dir(folder(&self.path)).map_err(unwritable)
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

impl Drop for NewFile {
    fn drop(&mut self) {
        // After `finish` there is nothing of this name; if it cannot be removed, a file stays that says nothing by its name.
        drop(fs::remove_file(&self.staged));
    }
}

/// Writes a whole file.
///
/// # Errors
/// As [`NewFile::create`] and [`NewFile::finish`].
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes)
        .map_err(|error| Problem::fault(&format!("cannot write `{}`", path.display()), &error))?;
    file.finish()
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn refuse_unless_regular(path: &Path) -> Result<(), Problem> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_symlink() => Err(Problem::usage(format!("`{shown}` is a link, and is not followed"))
            .help("name the file itself, or remove the link")),
        Ok(about) if !about.is_file() => {
            Err(Problem::usage(format!("`{shown}` is there, and is not a regular file")).help("choose another name"))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Problem::usage(format!("cannot write `{shown}`: {error}"))),
    }
}

/// Whether everybody can exchange what lies in a folder. Where only owners can (`/tmp`), a file that was made anew is safe.
fn is_open_to_all(folder: &Metadata) -> bool {
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
    fn output_appears_whole_and_private_or_not_at_all() {
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
    fn output_follows_no_link_and_opens_nothing_but_files() {
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

        // A link that comes later is not followed either.
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"x").unwrap();
        symlink(&victim, &path).unwrap();
        file.finish().unwrap_err();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        fs::remove_file(&path).unwrap();
        assert_eq!(names(dir.path()), ["victim"]);
    }

    #[test]
    fn output_is_not_written_where_everybody_can_exchange_it() {
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
