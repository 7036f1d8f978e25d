//! A key that never leaves a PKCS#11 token: a hardware security module, or a software one.
//!
//! 1. The token contains a generic secret of 32 bytes, sensitive and not extractable, which it generated itself.
//! 2. It computes HMAC-SHA256 (RFC 2104; `CKM_SHA256_HMAC` of the PKCS #11 Current Mechanisms) over a label and the stored salt.
//! 3. HKDF-SHA256 over the result, with the salt, is the key-encrypting key.
//!
//! Deriving the key takes both the token and its PIN. The token is used once, when the node is unlocked; then the module is
//! closed. See `docs/decisions/0016-a-token-unlocks-by-an-hmac-over-a-salt.md`.

mod module;
mod session;

use std::path::Path;

use super::key_encrypting_key::{KeyEncryptingKey, KeyProvider, Parameters, salt};
use crate::{KeyError, Secret, labels, raw::RawKey, token::TokenLocation};
use session::Access;

/// A key in a token, and the PIN that protects it.
#[derive(Debug)]
pub struct TokenKey {
    location: TokenLocation,
    pin: Secret,
}

impl TokenKey {
    /// The key at `location`. If the token has no key with that label, one is generated when a new master key file needs it.
    #[must_use]
    pub fn new(location: TokenLocation, pin: Secret) -> Self {
        Self { location, pin }
    }

    fn key(&self, access: Access, salt: &[u8]) -> Result<KeyEncryptingKey, KeyError> {
        if self.pin.is_empty() {
            return Err(KeyError::Empty);
        }
        let message = [labels::TOKEN_HMAC.as_bytes(), salt].concat();
        let code = session::hmac(&self.location, &self.pin, access, &message)?;
        let key = RawKey::derive(code.as_slice(), salt, labels::TOKEN_KEY);
        Ok(KeyEncryptingKey(key))
    }
}

impl KeyProvider for TokenKey {
    fn fresh(&self) -> Result<(KeyEncryptingKey, Parameters), KeyError> {
        let salt = salt()?;
        Ok((self.key(Access::CreateKey, &salt)?, Parameters::Pkcs11 { salt }))
    }

    fn rederive(&self, stored: &Parameters, file: &Path) -> Result<KeyEncryptingKey, KeyError> {
        match stored {
            Parameters::Pkcs11 { salt } => self.key(Access::UseKey, salt),
            Parameters::Argon2id { .. } | Parameters::KeyFile { .. } => Err(stored.wrong_provider(file)),
        }
    }

    fn unlock_error(&self, file: &Path) -> KeyError {
        KeyError::WrongTokenKey {
            path: file.to_owned(),
            token: self.location.token.clone(),
            key: self.location.key.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
