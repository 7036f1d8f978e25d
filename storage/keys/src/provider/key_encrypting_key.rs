//! The key that wraps the master key, how it is derived, and what is stored to derive it again.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use super::cost::Argon2Cost;
use crate::{
    KeyError, Wrapped, labels,
    raw::RawKey,
    wrap::{context, to_cbor},
};

/// A secret that unlocks a node, and how the key-encrypting key is derived from it.
pub trait KeyProvider: fmt::Debug + Send + Sync {
    /// Derives a new key with fresh parameters, which are stored to derive it again. May be slow by design.
    ///
    /// # Errors
    /// If the secret is missing, exposed or not good enough.
    fn fresh(&self) -> Result<(KeyEncryptingKey, Parameters), KeyError>;

    /// Derives the key again from the parameters in the master key file at `file`. May be slow by design.
    ///
    /// # Errors
    /// [`KeyError::WrongProvider`] if another kind of secret is needed; otherwise as [`KeyProvider::fresh`].
    fn rederive(&self, stored: &Parameters, file: &Path) -> Result<KeyEncryptingKey, KeyError>;

    /// Derives the key again from the secret as it was entered, which earlier versions did; `None` if that is the key that
    /// [`KeyProvider::rederive`] derives.
    ///
    /// # Errors
    /// As [`KeyProvider::rederive`].
    fn rederive_as_entered(&self, _stored: &Parameters) -> Result<Option<KeyEncryptingKey>, KeyError> {
        Ok(None)
    }

    /// Whether a key derived with these parameters is weaker than one derived today.
    fn is_outdated(&self, _stored: &Parameters) -> bool {
        false
    }

    /// The error if the derived key does not open the master key in `file`.
    fn unlock_error(&self, file: &Path) -> KeyError;
}

/// What is stored to derive a key-encrypting key again; nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parameters {
    /// Argon2id (RFC 9106) of a passphrase.
    Argon2id {
        /// The cost of one guess.
        cost: Argon2Cost,
        /// Random; new for each master key file that is written for a new secret.
        salt: [u8; SALT],
    },
    /// HKDF-SHA256 (RFC 5869) of a key file.
    KeyFile {
        /// As above.
        salt: [u8; SALT],
    },
    /// HKDF-SHA256 of an HMAC-SHA256 (RFC 2104) that a PKCS#11 token computes over the salt.
    Pkcs11 {
        /// As above.
        salt: [u8; SALT],
    },
}

/// Bytes of a salt, as RFC 9106 section 3.1 recommends.
pub(super) const SALT: usize = 16;

impl Parameters {
    /// The kind of secret, as a noun phrase that follows "a".
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Argon2id { .. } => "passphrase",
            Self::KeyFile { .. } => "key file",
            Self::Pkcs11 { .. } => "key in a PKCS#11 token",
        }
    }

    /// The error of a provider that gets the parameters of another kind.
    pub(super) fn wrong_provider(&self, file: &Path) -> KeyError {
        KeyError::WrongProvider {
            path: file.to_owned(),
            needs: self.label(),
        }
    }

    fn context(&self) -> Result<Vec<u8>, KeyError> {
        Ok(context(labels::MASTER_WRAP, &[&to_cbor(self, "master key file")?]))
    }
}

/// The key that wraps the master key and nothing else.
#[derive(Debug)]
pub struct KeyEncryptingKey(pub(super) RawKey);

impl KeyEncryptingKey {
    pub(crate) fn wrap(&self, parameters: &Parameters, master: &RawKey) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.0, &parameters.context()?, master.bytes())
    }

    pub(crate) fn unwrap(&self, parameters: &Parameters, wrapped: &Wrapped) -> Result<RawKey, KeyError> {
        wrapped.open_key(&self.0, &parameters.context()?, "master key")
    }

    /// The same key for a second holder.
    pub(crate) fn copy(&self) -> Self {
        Self(self.0.copy())
    }
}

/// A new salt.
pub(super) fn salt() -> Result<[u8; SALT], KeyError> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(KeyError::Random)?;
    Ok(salt)
}
