//! Files that only their owner may read.

use std::{fs::File, io::Read, os::unix::fs::PermissionsExt, path::Path};

use zeroize::Zeroizing;

use super::KeyError;

/// The most a key or master key file may hold: 64 KiB.
const MAX_FILE: u64 = 64 * 1024;

/// Reads a small file that only its owner may read.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let file = File::open(path).map_err(|source| KeyError::io("open", path, source))?;
    let mode = file
        .metadata()
        .map_err(|source| KeyError::io("inspect", path, source))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned() });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|source| KeyError::io("read", path, source))?;
    Ok(bytes)
}
