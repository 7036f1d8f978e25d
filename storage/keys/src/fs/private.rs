//! Files that only their owner, or only the account that this process runs under, may read.

mod acl;

use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::regular::{open_regular, read_up_to};

/// The most a key or master key file may hold: 64 KiB.
const MAX_FILE: u64 = 64 * 1024;

/// Why a private file was not read.
#[derive(Debug)]
pub enum PrivateFileError {
    /// Others on this machine can read it.
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// It could not be read.
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl PrivateFileError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Reads a small file that no other account may read.
///
/// # Errors
/// [`PrivateFileError`]; what was read is wiped.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let file = open_regular(path).map_err(PrivateFileError::io("open", path))?;
    if !is_private(&file).map_err(PrivateFileError::io("inspect", path))? {
        return Err(PrivateFileError::Exposed { path: path.to_owned() });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    read_up_to(file, MAX_FILE, &mut bytes).map_err(PrivateFileError::io("read", path))?;
    Ok(bytes)
}

/// A credential that a service manager provides is owned by the service manager and readable by one account through an access
/// control list, which shows in the mode as if a group could read it.
fn is_private(file: &File) -> io::Result<bool> {
    let mode = file.metadata()?.mode();
    Ok(mode & 0o077 == 0 || mode & 0o037 == 0 && acl::is_for(file, nix::unistd::geteuid().as_raw())?)
}
