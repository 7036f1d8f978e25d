//! The private keys of the house, each sealed in a file of its own.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "sources beyond the named ones are all the same here"
)]

use std::{fmt, fs, io, path::PathBuf, sync::OnceLock};

use concordat_protocol::identity::{InstitutionKey, InstitutionPublicKey, NodeKey, PrivateKey};
use zeroize::Zeroizing;

use super::StorageError;
use crate::{
    keys::{IdentityKey, Secret, Wrapped},
    seal::durable::write_private,
};

/// The name of the institution's key.
const INSTITUTION: &str = "institution";
/// The name of the node's key.
const NODE: &str = "node";

/// The private keys in `identity/`.
pub struct Identities {
    dir: PathBuf,
    key: IdentityKey,
    institution: OnceLock<InstitutionPublicKey>,
}

impl Identities {
    pub(super) fn new(dir: PathBuf, key: IdentityKey) -> Self {
        Self {
            dir,
            key,
            institution: OnceLock::new(),
        }
    }

    /// Seals a private key under a name of `a-z`, `0-9` and `-`; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`StorageError::IdentityExists`] if there is one of this name.
    pub fn put(&self, name: &str, secret: &Secret) -> Result<(), StorageError> {
        let path = self.path(name)?;
        if path.exists() {
            return Err(StorageError::IdentityExists { name: name.to_owned() });
        }
        let sealed = self.key.seal_secret(name, secret)?;
        write_private(&path, sealed.as_bytes()).map_err(|source| StorageError::io("write", &path, source))
    }

    /// Opens a private key.
    ///
    /// # Errors
    /// [`StorageError::NoIdentity`] if there is none of this name; [`crate::keys::KeyError::Unopenable`] if it was changed.
    pub fn get(&self, name: &str) -> Result<Secret, StorageError> {
        let path = self.path(name)?;
        let sealed = fs::read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StorageError::NoIdentity { name: name.to_owned() },
            _ => StorageError::io("read", &path, source),
        })?;
        Ok(self.key.open_secret(name, &Wrapped::from_bytes(sealed))?)
    }

    /// Stores the institution's key.
    ///
    /// # Errors
    /// As [`Identities::put`].
    pub fn put_institution(&self, key: &InstitutionKey) -> Result<(), StorageError> {
        self.put(INSTITUTION, &Secret::from(key.expose_seed().to_vec()))
    }

    /// The institution's key.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn institution(&self) -> Result<InstitutionKey, StorageError> {
        Ok(InstitutionKey::from_seed(&self.seed(INSTITUTION)?))
    }

    /// The public half of the institution's key; read once.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn institution_public(&self) -> Result<InstitutionPublicKey, StorageError> {
        if let Some(known) = self.institution.get() {
            return Ok(*known);
        }
        let public = self.institution()?.public();
        Ok(*self.institution.get_or_init(|| public))
    }

    /// Stores the node's key.
    ///
    /// # Errors
    /// As [`Identities::put`].
    pub fn put_node(&self, key: &NodeKey) -> Result<(), StorageError> {
        self.put(NODE, &Secret::from(key.expose_seed().to_vec()))
    }

    /// The node's key.
    ///
    /// # Errors
    /// As [`Identities::get`].
    pub fn node(&self) -> Result<NodeKey, StorageError> {
        Ok(NodeKey::from_seed(&self.seed(NODE)?))
    }

    fn seed(&self, name: &str) -> Result<Zeroizing<[u8; 32]>, StorageError> {
        let secret = self.get(name)?;
        let seed = <[u8; 32]>::try_from(secret.expose()).map(Zeroizing::new);
        seed.map_err(|_| StorageError::IdentityDamaged { name: name.to_owned() })
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if name.is_empty() || name.len() > 64 || !plain {
            return Err(StorageError::IdentityName { name: name.to_owned() });
        }
        Ok(self.dir.join(format!("{name}.sealed")))
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
