//! A passphrase that a person types.

use std::path::Path;

use super::cost::Argon2Cost;
use super::key_encrypting_key::{KeyEncryptingKey, KeyProvider, Parameters, salt};
use crate::{KeyError, Secret, raw::RawKey};

/// A passphrase, made expensive to guess by Argon2id (RFC 9106).
#[derive(Debug)]
pub struct Passphrase {
    secret: Secret,
    cost: Argon2Cost,
}

impl Passphrase {
    /// The passphrase, and the cost of one guess at it. A master key file with a lower cost is rewritten with this cost when it
    /// is unlocked.
    #[must_use]
    pub fn new(secret: Secret, cost: Argon2Cost) -> Self {
        Self { secret, cost }
    }

    fn key(&self, cost: Argon2Cost, salt: &[u8]) -> Result<KeyEncryptingKey, KeyError> {
        if self.secret.is_empty() {
            return Err(KeyError::Empty);
        }
        let hasher = cost.hasher()?;
        RawKey::filled(|out| hasher.hash_password_into(self.secret.expose(), salt, out))
            .map(KeyEncryptingKey)
            .map_err(KeyError::Cost)
    }
}

impl KeyProvider for Passphrase {
    fn fresh(&self) -> Result<(KeyEncryptingKey, Parameters), KeyError> {
        let cost = self.cost;
        let salt = salt()?;
        Ok((self.key(cost, &salt)?, Parameters::Argon2id { cost, salt }))
    }

    fn rederive(&self, stored: &Parameters, file: &Path) -> Result<KeyEncryptingKey, KeyError> {
        match stored {
            Parameters::Argon2id { cost, .. } if !cost.is_within_limit() => Err(KeyError::Damaged {
                path: file.to_owned(),
                what: "it demands a higher cost than is allowed",
            }),
            Parameters::Argon2id { cost, salt } => self.key(*cost, salt),
            Parameters::KeyFile { .. } | Parameters::Pkcs11 { .. } => Err(stored.wrong_provider(file)),
        }
    }

    fn is_outdated(&self, stored: &Parameters) -> bool {
        match stored {
            Parameters::Argon2id { cost, .. } => cost.is_below(self.cost),
            Parameters::KeyFile { .. } | Parameters::Pkcs11 { .. } => false,
        }
    }

    fn unlock_error(&self, file: &Path) -> KeyError {
        KeyError::WrongPassphrase { path: file.to_owned() }
    }
}
