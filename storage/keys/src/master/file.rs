//! `master.key` as bytes.

use std::path::Path;

use concordat_protocol::ids::Digest32;
use serde::{Deserialize, Serialize};

use super::{
    super::{KeyEncryptingKey, KeyError, Parameters, Wrapped, labels, raw::RawKey, wrap::to_cbor},
    roots::WrappedRoots,
};
use crate::fs::{read_private, write_private};

/// The format that is written.
const VERSION: u8 = 2;
/// The previous format: without root keys.
const WITHOUT_ROOTS: u8 = 1;
const CHECK_LEN: usize = 32;
/// Its name in errors.
const WHAT: &str = "master key file";

/// The contents of `master.key`.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    version: u8,
    pub(super) kdf: Parameters,
    pub(super) wrapped: Wrapped,
    #[serde(default)]
    pub(super) roots: Option<WrappedRoots>,
    #[serde(default)]
    pub(super) previous: Option<Wrapped>,
}

impl Stored {
    pub(super) fn new(kdf: Parameters, wrapped: Wrapped, roots: WrappedRoots, previous: Option<Wrapped>) -> Self {
        Self {
            version: VERSION,
            kdf,
            wrapped,
            roots: Some(roots),
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
        let stored: Self = ciborium::from_reader(body).map_err(|_| damaged("it is not a master key file"))?;
        match (stored.version, &stored.roots) {
            (VERSION, Some(_)) | (WITHOUT_ROOTS, None) => Ok((stored, digest(&bytes))),
            (VERSION | WITHOUT_ROOTS, _) => Err(damaged("its parts do not match its version")),
            (version, _) => Err(KeyError::Version { what: WHAT, version }),
        }
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
