//! What unlocks the master key: a passphrase or a key file.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::{BASE64, BASE64URL, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyError, Secret, labels, raw::RawKey};

/// Where the secret that opens the master key comes from.
#[derive(Debug)]
pub enum KeySource {
    /// Something a person types.
    Passphrase(Secret),
    /// A file with at least 32 bytes of key as hex, base64 or raw bytes, readable by its owner only.
    KeyFile(PathBuf),
}

/// What one try at a passphrase costs (Argon2id, RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argon2Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Argon2Cost {
    /// The most that a stored file may ask for: 1 GiB, so that a forged file cannot exhaust the machine.
    const MAX: Self = Self {
        memory_kib: 1 << 20,
        passes: 64,
        lanes: 16,
    };

    /// The least Argon2 takes, for tests only: it protects nothing.
    #[must_use]
    pub const fn dangerous_minimum() -> Self {
        Self {
            memory_kib: 8,
            passes: 1,
            lanes: 1,
        }
    }

    /// Whether a stored cost may be paid.
    pub(super) fn is_bearable(&self) -> bool {
        self.memory_kib <= Self::MAX.memory_kib && self.passes <= Self::MAX.passes && self.lanes <= Self::MAX.lanes
    }

    pub(crate) fn hasher(self) -> Result<Argon2<'static>, KeyError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(KeyError::Cost)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// 64 MiB and three passes: the second recommendation of RFC 9106 section 4, with one lane for small machines.
impl Default for Argon2Cost {
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 1,
        }
    }
}

/// The key-encrypting key of a passphrase.
pub(super) fn from_passphrase(passphrase: &Secret, cost: Argon2Cost, salt: &[u8]) -> Result<RawKey, KeyError> {
    if passphrase.is_empty() {
        return Err(KeyError::Empty);
    }
    let hasher = cost.hasher()?;
    RawKey::filled(|out| hasher.hash_password_into(passphrase.expose(), salt, out)).map_err(KeyError::Cost)
}

/// The key-encrypting key of a key file.
pub(super) fn from_key_file(path: &Path, salt: &[u8]) -> Result<RawKey, KeyError> {
    let bytes = read_private(path).map_err(|error| {
        if let KeyError::Missing { path } = error {
            KeyError::KeyFileMissing { path }
        } else {
            error
        }
    })?;
    let material = decode_key_file(path, bytes)?;
    Ok(RawKey::derive(material.expose(), salt, labels::KEY_FILE))
}

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

/// Text that is hex or base64 is decoded; anything else is the key itself.
fn decode_key_file(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Secret, KeyError> {
    let text = bytes.trim_ascii();
    let decoded = [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64URL]
        .into_iter()
        .find_map(|encoding| encoding.decode(text).ok().map(Zeroizing::new));
    let key = decoded.unwrap_or(bytes);
    if key.len() < 32 {
        return Err(KeyError::KeyFileTooShort {
            path: path.to_owned(),
            bytes: key.len(),
        });
    }
    Ok(Secret::from(key))
}
