//! The master key and the file that keeps it.
//!
//! `master.key` is a CBOR map (format version, how the key-encrypting key is made, the wrapped master key) followed by the
//! BLAKE3 checksum of that map. The checksum is no protection; it tells damage from a wrong passphrase, which the
//! authenticated encryption alone cannot.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    Argon2Cost, IdentityKey, KeyError, KeySource, LedgerKey, SegmentKey, StateKey, Wrapped, labels,
    raw::RawKey,
    source::{from_key_file, from_passphrase, read_private},
    wrap::context,
};
use crate::seal::durable;

const VERSION: u8 = 1;
const CHECK_LEN: usize = 32;

/// The key above all keys of a node: random, and stored only wrapped.
#[derive(Debug)]
pub struct MasterKey(RawKey);

impl MasterKey {
    /// Makes a new master key and stores it at `path`, wrapped under `source`; `cost` applies to passphrases.
    ///
    /// # Errors
    /// [`KeyError::Exists`] if there is one already; otherwise as for the source, or if the file cannot be written.
    pub fn create(path: &Path, source: &KeySource, cost: Argon2Cost) -> Result<Self, KeyError> {
        if path.exists() {
            return Err(KeyError::Exists { path: path.to_owned() });
        }
        let master = Self(RawKey::random()?);
        master.store(path, source, cost)?;
        Ok(master)
    }

    /// Opens the master key stored at `path`.
    ///
    /// # Errors
    /// A wrong passphrase, a damaged file, a file that others can read and a missing file are each an error of its own.
    pub fn unlock(path: &Path, source: &KeySource) -> Result<Self, KeyError> {
        let stored = Stored::read(path)?;
        let wrapping = stored.kdf.wrapping_key(path, source)?;
        let context = stored.kdf.context()?;
        let opened = stored.wrapped.open_key(&wrapping, &context, "master key");
        opened.map(Self).map_err(|_| match source {
            KeySource::Passphrase(_) => KeyError::WrongPassphrase { path: path.to_owned() },
            KeySource::KeyFile(_) => KeyError::WrongKeyFile { path: path.to_owned() },
        })
    }

    /// Stores the same master key under another source, replacing the file in one step.
    ///
    /// # Errors
    /// As for [`MasterKey::create`], except that an existing file is replaced.
    pub fn store(&self, path: &Path, source: &KeySource, cost: Argon2Cost) -> Result<(), KeyError> {
        let kdf = Kdf::fresh(source, cost)?;
        let wrapping = kdf.wrapping_key(path, source)?;
        let wrapped = Wrapped::seal(&wrapping, &kdf.context()?, self.0.bytes())?;
        let bytes = Stored {
            version: VERSION,
            kdf,
            wrapped,
        }
        .encode()?;
        durable::write_private(path, &bytes).map_err(|source| KeyError::io("write", path, source))
    }

    /// The key of the state database.
    #[must_use]
    pub fn state(&self) -> StateKey {
        StateKey::derive(&self.0)
    }

    /// The key of the ledger.
    #[must_use]
    pub fn ledger(&self) -> LedgerKey {
        LedgerKey::derive(&self.0)
    }

    /// The key that seals the node's private keys.
    #[must_use]
    pub fn identity(&self) -> IdentityKey {
        IdentityKey::derive(&self.0)
    }

    /// Makes the key of a new segment; keep the wrapped form, it is the only copy.
    ///
    /// # Errors
    /// Only if the machine has no random bytes.
    pub fn create_segment(&self, segment: &str) -> Result<(SegmentKey, Wrapped), KeyError> {
        SegmentKey::create(&self.segments(), segment)
    }

    /// Opens the key of the named segment.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if it was changed, belongs to another segment or to another node.
    pub fn open_segment(&self, segment: &str, wrapped: &Wrapped) -> Result<SegmentKey, KeyError> {
        SegmentKey::unwrap(&self.segments(), segment, wrapped)
    }

    fn segments(&self) -> RawKey {
        RawKey::derive(self.0.bytes(), &[], labels::SEGMENTS)
    }
}

/// The contents of `master.key`.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u8,
    kdf: Kdf,
    wrapped: Wrapped,
}

impl Stored {
    fn read(path: &Path) -> Result<Self, KeyError> {
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
        if stored.version != VERSION {
            return Err(KeyError::Version {
                what: "master key file",
                version: stored.version,
            });
        }
        Ok(stored)
    }

    fn encode(&self) -> Result<Vec<u8>, KeyError> {
        let mut bytes = to_cbor(self)?;
        let check = checksum(&bytes);
        bytes.extend_from_slice(&check);
        Ok(bytes)
    }
}

/// How the key-encrypting key is made.
#[derive(Serialize, Deserialize)]
enum Kdf {
    Argon2id { cost: Argon2Cost, salt: [u8; 16] },
    KeyFile { salt: [u8; 16] },
}

impl Kdf {
    fn fresh(source: &KeySource, cost: Argon2Cost) -> Result<Self, KeyError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(KeyError::Random)?;
        Ok(match source {
            KeySource::Passphrase(_) => Self::Argon2id { cost, salt },
            KeySource::KeyFile(_) => Self::KeyFile { salt },
        })
    }

    fn wrapping_key(&self, path: &Path, source: &KeySource) -> Result<RawKey, KeyError> {
        match (self, source) {
            (Self::Argon2id { cost, .. }, KeySource::Passphrase(_)) if !cost.is_bearable() => Err(KeyError::Damaged {
                path: path.to_owned(),
                what: "it asks for more memory than is allowed",
            }),
            (Self::Argon2id { cost, salt }, KeySource::Passphrase(passphrase)) => {
                from_passphrase(passphrase, *cost, salt)
            }
            (Self::KeyFile { salt }, KeySource::KeyFile(file)) => from_key_file(file, salt),
            (Self::Argon2id { .. }, KeySource::KeyFile(_)) => Err(KeyError::WrongSource {
                path: path.to_owned(),
                needs: "passphrase",
            }),
            (Self::KeyFile { .. }, KeySource::Passphrase(_)) => Err(KeyError::WrongSource {
                path: path.to_owned(),
                needs: "key file",
            }),
        }
    }

    fn context(&self) -> Result<Vec<u8>, KeyError> {
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
