//! A key that never leaves a PKCS#11 token: a hardware security module, or a software one.
//!
//! 1. The token holds a generic secret of 32 bytes, sensitive and not extractable, which it made itself.
//! 2. It makes HMAC-SHA256 (RFC 2104; `CKM_SHA256_HMAC` of the PKCS #11 Current Mechanisms) over a label and the stored salt.
//! 3. HKDF-SHA256 over that, with the salt, is the key-encrypting key.
//!
//! Without the token and its PIN nobody makes the key, and with the PIN alone nobody does either. The token is asked once, when the
//! node is unlocked; then the module is closed. See `docs/decisions/0016-hmac-in-the-token.md`.

mod error;
mod module;
mod place;
mod session;

use std::path::Path;

pub use error::TokenError;
pub use place::TokenPlace;

use super::key_encrypting_key::{KeyEncryptingKey, KeyProvider, Parameters, salt};
use crate::keys::{KeyError, Secret, labels, raw::RawKey};
use session::Access;

/// A key in a token, and the PIN behind which it is.
#[derive(Debug)]
pub struct TokenKey {
    place: TokenPlace,
    pin: Secret,
}

impl TokenKey {
    /// The key at `place`. If the token has none of that label, it is made there when a new master key file needs it.
    #[must_use]
    pub fn new(place: TokenPlace, pin: Secret) -> Self {
        Self { place, pin }
    }

    fn key(&self, access: Access, salt: &[u8]) -> Result<KeyEncryptingKey, KeyError> {
        if self.pin.is_empty() {
            return Err(KeyError::Empty);
        }
        let message = [labels::TOKEN_HMAC.as_bytes(), salt].concat();
        let code = session::hmac(&self.place, &self.pin, access, &message)?;
        let key = RawKey::derive(code.as_slice(), salt, labels::TOKEN_KEY);
        Ok(KeyEncryptingKey(key))
    }
}

impl KeyProvider for TokenKey {
    fn fresh(&self) -> Result<(KeyEncryptingKey, Parameters), KeyError> {
        let salt = salt()?;
        Ok((self.key(Access::MakeKey, &salt)?, Parameters::Pkcs11 { salt }))
    }

    fn again(&self, stored: &Parameters, file: &Path) -> Result<KeyEncryptingKey, KeyError> {
        match stored {
            Parameters::Pkcs11 { salt } => self.key(Access::UseKey, salt),
            Parameters::Argon2id { .. } | Parameters::KeyFile { .. } => Err(stored.meant_for_another(file)),
        }
    }

    fn refused(&self, file: &Path) -> KeyError {
        KeyError::WrongTokenKey {
            path: file.to_owned(),
            token: self.place.token.clone(),
            key: self.place.key.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
