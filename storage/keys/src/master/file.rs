//! `master.key` as bytes.

use std::path::Path;

use concordat_protocol::ids::Digest32;
use serde::{Deserialize, Serialize};

use super::{
    super::{KeyEncryptingKey, KeyError, Parameters, Wrapped, labels, raw::RawKey, wrap::to_cbor},
    roots::WrappedRoots,
};
use crate::fs::{read_private, write_private};

/// The format that is written. Version 1 had no root keys.
const VERSION: u8 = 2;
const CHECK_LEN: usize = 32;
/// Its name in errors.
const WHAT: &str = "master key file";

/// The contents of `master.key`.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    version: u8,
    pub(super) kdf: Parameters,
    pub(super) wrapped: Wrapped,
    pub(super) roots: WrappedRoots,
    #[serde(default)]
    pub(super) previous: Option<Wrapped>,
}

/// What files of all versions have.
#[derive(Deserialize)]
struct Versioned {
    version: u8,
}

impl Stored {
    pub(super) fn new(kdf: Parameters, wrapped: Wrapped, roots: WrappedRoots, previous: Option<Wrapped>) -> Self {
        Self {
            version: VERSION,
            kdf,
            wrapped,
            roots,
            previous,
        }
    }

    /// The key `wrapping` and the master key that it opens; `None` if it does not open it.
    pub(super) fn open(&self, wrapping: KeyEncryptingKey) -> Option<(KeyEncryptingKey, RawKey)> {
        let master = wrapping.unwrap(&self.kdf, &self.wrapped).ok()?;
        Some((wrapping, master))
    }

    /// Reads the file, and computes its digest.
    pub(super) fn read(path: &Path) -> Result<(Self, Digest32), KeyError> {
        let damaged = |what| KeyError::Damaged {
            path: path.to_owned(),
            what,
        };
        let bytes = read_private(path)?;
        let (body, check) = bytes
            .split_last_chunk::<CHECK_LEN>()
            .ok_or_else(|| damaged("it is truncated"))?;
        if checksum(body) != *check {
            return Err(damaged("its checksum does not match"));
        }
        let other = || damaged("it is not a master key file");
        let Versioned { version } = ciborium::from_reader(body).map_err(|_| other())?;
        if version != VERSION {
            return Err(KeyError::Version { what: WHAT, version });
        }
        let stored = ciborium::from_reader(body).map_err(|_| other())?;
        Ok((stored, digest(&bytes)))
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, KeyError> {
        let mut bytes = to_cbor(self, WHAT)?;
        let check = checksum(&bytes);
        bytes.extend_from_slice(&check);
        Ok(bytes)
    }
}

/// Replaces the file atomically.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    write_private(path, bytes).map_err(|source| KeyError::io("write", path, source))
}

/// The digest of the file that is there.
pub(super) fn digest_at(path: &Path) -> Result<Digest32, KeyError> {
    Ok(digest(&read_private(path)?))
}

/// The digest by which the state knows the file.
pub(super) fn digest(bytes: &[u8]) -> Digest32 {
    Digest32::from_bytes(blake3::derive_key(labels::MASTER_FILE, bytes))
}

fn checksum(body: &[u8]) -> [u8; CHECK_LEN] {
    blake3::derive_key(labels::MASTER_CHECK, body)
}
