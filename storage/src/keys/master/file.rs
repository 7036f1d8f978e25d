//! `master.key` as bytes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    super::{
        Argon2Cost, KeyError, KeySource, Wrapped, labels,
        raw::RawKey,
        source::{from_key_file, from_passphrase, read_private},
        wrap::context,
    },
    WrappedRoots,
};
use crate::seal::durable;

/// The format that is written.
const VERSION: u8 = 2;
/// The format before: without roots.
const WITHOUT_ROOTS: u8 = 1;
const CHECK_LEN: usize = 32;

/// The contents of `master.key`.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    version: u8,
    pub(super) kdf: Kdf,
    pub(super) wrapped: Wrapped,
    #[serde(default)]
    pub(super) roots: Option<WrappedRoots>,
    #[serde(default)]
    pub(super) previous: Option<Wrapped>,
}

impl Stored {
    pub(super) fn new(kdf: Kdf, wrapped: Wrapped, roots: WrappedRoots, previous: Option<Wrapped>) -> Self {
        Self {
            version: VERSION,
            kdf,
            wrapped,
            roots: Some(roots),
            previous,
        }
    }

    pub(super) fn read(path: &Path) -> Result<Self, KeyError> {
        let damaged = |what| KeyError::Damaged {
            path: path.to_owned(),
            what,
        };
        let bytes = read_private(path)?;
        let (body, check) = bytes
            .split_last_chunk::<CHECK_LEN>()
            .ok_or_else(|| damaged("it is cut short"))?;
        if checksum(body) != *check {
            return Err(damaged("its checksum does not match"));
        }
        let stored: Self = ciborium::from_reader(body).map_err(|_| damaged("it is not a master key file"))?;
        match (stored.version, &stored.roots) {
            (VERSION, Some(_)) | (WITHOUT_ROOTS, None) => Ok(stored),
            (VERSION | WITHOUT_ROOTS, _) => Err(damaged("its parts do not fit its version")),
            (version, _) => Err(KeyError::Version {
                what: "master key file",
                version,
            }),
        }
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), KeyError> {
        let mut bytes = to_cbor(self)?;
        let check = checksum(&bytes);
        bytes.extend_from_slice(&check);
        durable::write_private(path, &bytes).map_err(|source| KeyError::io("write", path, source))
    }
}

/// How the key-encrypting key is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Kdf {
    Argon2id { cost: Argon2Cost, salt: [u8; 16] },
    KeyFile { salt: [u8; 16] },
}

impl Kdf {
    pub(super) fn fresh(source: &KeySource, cost: Argon2Cost) -> Result<Self, KeyError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(KeyError::Random)?;
        Ok(match source {
            KeySource::Passphrase(_) => Self::Argon2id { cost, salt },
            KeySource::KeyFile(_) => Self::KeyFile { salt },
        })
    }

    pub(super) fn in_words(&self) -> &'static str {
        match self {
            Self::Argon2id { .. } => "passphrase",
            Self::KeyFile { .. } => "key file",
        }
    }

    pub(super) fn wrapping_key(&self, path: &Path, source: &KeySource) -> Result<RawKey, KeyError> {
        match (self, source) {
            (Self::Argon2id { cost, .. }, KeySource::Passphrase(_)) if !cost.is_bearable() => Err(KeyError::Damaged {
                path: path.to_owned(),
                what: "it asks for more memory than is allowed",
            }),
            (Self::Argon2id { cost, salt }, KeySource::Passphrase(passphrase)) => {
                from_passphrase(passphrase, *cost, salt)
            }
            (Self::KeyFile { salt }, KeySource::KeyFile(file)) => from_key_file(file, salt),
            (Self::Argon2id { .. }, KeySource::KeyFile(_)) | (Self::KeyFile { .. }, KeySource::Passphrase(_)) => {
                Err(KeyError::WrongSource {
                    path: path.to_owned(),
                    needs: self.in_words(),
                })
            }
        }
    }

    pub(super) fn context(&self) -> Result<Vec<u8>, KeyError> {
        Ok(context(labels::MASTER_WRAP, &[&to_cbor(self)?]))
    }
}

fn to_cbor<T: Serialize>(value: &T) -> Result<Vec<u8>, KeyError> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|_| KeyError::Unopenable {
        what: "master key file",
    })?;
    Ok(bytes)
}

fn checksum(body: &[u8]) -> [u8; CHECK_LEN] {
    blake3::derive_key(labels::MASTER_CHECK, body)
}

/// Writes the file as format 1 did.
#[cfg(test)]
pub(super) fn write_format_1(path: &Path, kdf: Kdf, wrapped: Wrapped) {
    #[derive(Serialize)]
    struct Format1 {
        version: u8,
        kdf: Kdf,
        wrapped: Wrapped,
    }
    let mut bytes = to_cbor(&Format1 {
        version: WITHOUT_ROOTS,
        kdf,
        wrapped,
    })
    .unwrap();
    let check = checksum(&bytes);
    bytes.extend_from_slice(&check);
    durable::write_private(path, &bytes).unwrap();
}
