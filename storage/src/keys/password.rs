//! People's passwords: stored as Argon2id hashes, checked in the same work whether the person exists or not.

use std::fmt;

use argon2::{
    Argon2,
    password_hash::{Error, PasswordHasher, PasswordVerifier},
};
use serde::{Deserialize, Serialize};

use super::{Argon2Cost, KeyError, Secret};

/// A password's hash as a PHC string, which carries its own salt and cost.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a new password with a fresh salt; slow by design, so call it off the async threads.
    ///
    /// # Errors
    /// [`KeyError::Empty`] for an empty password, [`KeyError::Cost`] for a cost Argon2 does not take.
    pub fn create(password: &Secret, cost: Argon2Cost) -> Result<Self, KeyError> {
        if password.is_empty() {
            return Err(KeyError::Empty);
        }
        let hash = cost
            .hasher()?
            .hash_password(password.expose())
            .map_err(KeyError::PasswordHash)?;
        Ok(Self(hash.to_string()))
    }

    /// Whether this is the password; slow by design.
    ///
    /// # Errors
    /// [`KeyError::PasswordHash`] if the stored hash is not one.
    pub fn verify(&self, password: &Secret) -> Result<bool, KeyError> {
        match Argon2::default().verify_password(password.expose(), self.0.as_str()) {
            Ok(()) => Ok(true),
            Err(Error::PasswordInvalid) => Ok(false),
            Err(other) => Err(KeyError::PasswordHash(other)),
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Does the work of [`PasswordHash::verify`] for a person who does not exist, so that the answer takes as long.
///
/// # Errors
/// [`KeyError::Cost`] for a cost Argon2 does not take.
pub fn verify_absent(password: &Secret, cost: Argon2Cost) -> Result<(), KeyError> {
    const NOBODYS_SALT: &[u8] = b"concordat nobody";
    let mut out = [0; 32];
    cost.hasher()?
        .hash_password_into(password.expose(), NOBODYS_SALT, &mut out)
        .map_err(KeyError::Cost)
}
