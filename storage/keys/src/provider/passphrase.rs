//! A passphrase that a person types.

use std::path::Path;

use super::cost::Argon2Cost;
use super::key_encrypting_key::{KeyEncryptingKey, KeyProvider, Parameters, salt};
use super::strength::{self, MIN_CHARS, MIN_FREE};
use crate::{KeyError, Secret, raw::RawKey};

/// A passphrase, made expensive to guess by Argon2id (RFC 9106). It has one form on every keyboard ([`Secret::normalized`]); a master key
/// file that was written for another form is opened too, and is rewritten when it is unlocked.
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

    /// A passphrase that a person chooses now.
    ///
    /// # Errors
    /// [`KeyError::WeakPassphrase`] if it is too easy to guess, or is not text.
    pub fn chosen(secret: Secret, cost: Argon2Cost) -> Result<Self, KeyError> {
        Self::check(&secret)?;
        Ok(Self::new(secret, cost))
    }

    /// What a passphrase that a person chooses has to be like.
    #[must_use]
    pub fn rule() -> String {
        format!(
            "at least {MIN_CHARS} characters, of which {MIN_FREE} do not repeat or continue the ones before; four or more words that do not \
             belong together are good"
        )
    }

    /// Checks a passphrase that a person chooses.
    ///
    /// # Errors
    /// [`KeyError::WeakPassphrase`] if it is too easy to guess, or is not text.
    pub fn check(secret: &Secret) -> Result<(), KeyError> {
        let form = secret.normalized();
        let text = std::str::from_utf8(form.as_ref().unwrap_or(secret).expose());
        if text.is_ok_and(strength::is_sufficient) {
            Ok(())
        } else {
            Err(KeyError::WeakPassphrase {
                min: MIN_CHARS,
                free: MIN_FREE,
            })
        }
    }

    /// The key that is derived from the form that new files are written for.
    fn key(&self, cost: Argon2Cost, salt: &[u8]) -> Result<KeyEncryptingKey, KeyError> {
        let form = self.secret.normalized();
        derive(form.as_ref().unwrap_or(&self.secret), cost, salt)
    }
}

/// The key that is derived from a secret as it is.
pub(super) fn derive(secret: &Secret, cost: Argon2Cost, salt: &[u8]) -> Result<KeyEncryptingKey, KeyError> {
    if secret.is_empty() {
        return Err(KeyError::Empty);
    }
    let hasher = cost.hasher()?;
    RawKey::filled(|out| hasher.hash_password_into(secret.expose(), salt, out))
        .map(KeyEncryptingKey)
        .map_err(KeyError::Cost)
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

    fn rederive_as_entered(&self, stored: &Parameters) -> Result<Option<KeyEncryptingKey>, KeyError> {
        match stored {
            Parameters::Argon2id { cost, salt } if cost.is_within_limit() && self.secret.normalized().is_some() => {
                derive(&self.secret, *cost, salt).map(Some)
            }
            Parameters::Argon2id { .. } | Parameters::KeyFile { .. } | Parameters::Pkcs11 { .. } => Ok(None),
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
