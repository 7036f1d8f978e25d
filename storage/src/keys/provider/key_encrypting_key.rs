//! The key that wraps the master key, what makes it, and what is stored to make it again.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};

use super::cost::Argon2Cost;
use crate::keys::{
    KeyError, Wrapped, labels,
    raw::RawKey,
    wrap::{context, to_cbor},
};

/// A secret that unlocks a node, and how it becomes the key-encrypting key.
pub trait KeyProvider: fmt::Debug + Send + Sync {
    /// Makes a key that nothing was wrapped under before, and what is stored to make it again. May take time by design.
    ///
    /// # Errors
    /// If the secret is missing, exposed or not good enough.
    fn fresh(&self) -> Result<(KeyEncryptingKey, Parameters), KeyError>;

    /// Makes the key again from what the master key file at `file` stores. May take time by design.
    ///
    /// # Errors
    /// [`KeyError::WrongProvider`] if another kind of secret is needed; otherwise as [`KeyProvider::fresh`].
    fn again(&self, stored: &Parameters, file: &Path) -> Result<KeyEncryptingKey, KeyError>;

    /// Whether a key made with these parameters is weaker than one that is made today.
    fn is_dated(&self, _stored: &Parameters) -> bool {
        false
    }

    /// What to tell a person when the key that was made does not open the master key in `file`.
    fn refused(&self, file: &Path) -> KeyError;
}

/// What is stored to make a key-encrypting key again: nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parameters {
    /// Argon2id (RFC 9106) of a passphrase.
    Argon2id {
        /// What one try costs.
        cost: Argon2Cost,
        /// Drawn at random for each master key file that is written for a new secret.
        salt: [u8; SALT],
    },
    /// HKDF-SHA256 (RFC 5869) of a key file.
    KeyFile {
        /// As above.
        salt: [u8; SALT],
    },
    /// HKDF-SHA256 of an HMAC-SHA256 (RFC 2104) that a PKCS#11 token makes over the salt.
    Pkcs11 {
        /// As above.
        salt: [u8; SALT],
    },
}

/// Bytes of a salt, as RFC 9106 section 3.1 recommends.
pub(super) const SALT: usize = 16;

impl Parameters {
    /// What unlocks, in words that go after "a".
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Argon2id { .. } => "passphrase",
            Self::KeyFile { .. } => "key file",
            Self::Pkcs11 { .. } => "key in a PKCS#11 token",
        }
    }

    /// The error of a provider that was given the parameters of another.
    pub(super) fn meant_for_another(&self, file: &Path) -> KeyError {
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
    pub(in crate::keys) fn wrap(&self, parameters: &Parameters, master: &RawKey) -> Result<Wrapped, KeyError> {
        Wrapped::seal(&self.0, &parameters.context()?, master.bytes())
    }

    pub(in crate::keys) fn unwrap(&self, parameters: &Parameters, wrapped: &Wrapped) -> Result<RawKey, KeyError> {
        wrapped.open_key(&self.0, &parameters.context()?, "master key")
    }

    /// The same key for a second holder.
    pub(in crate::keys) fn copy(&self) -> Self {
        Self(self.0.copy())
    }
}

/// A new salt.
pub(super) fn salt() -> Result<[u8; SALT], KeyError> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(KeyError::Random)?;
    Ok(salt)
}
