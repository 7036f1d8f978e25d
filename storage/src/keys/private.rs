//! Files that only their owner may read, or nobody but the account that this runs under.

mod acl;

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use zeroize::Zeroizing;

use super::KeyError;

/// The most a key or master key file may hold: 64 KiB.
const MAX_FILE: u64 = 64 * 1024;

/// Reads a small file that nobody else may read.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let file = File::open(path).map_err(|source| KeyError::io("open", path, source))?;
    if !is_private(&file).map_err(|source| KeyError::io("inspect", path, source))? {
        return Err(KeyError::Exposed { path: path.to_owned() });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|source| KeyError::io("read", path, source))?;
    Ok(bytes)
}

/// What a service manager hands over is its own and readable for one account by an access control list, which shows in the mode
/// as if a group could read it.
fn is_private(file: &File) -> io::Result<bool> {
    let mode = file.metadata()?.mode();
    Ok(mode & 0o077 == 0 || mode & 0o037 == 0 && acl::is_for(file, nix::unistd::geteuid().as_raw())?)
}
