//! Users' passwords: stored as Argon2id hashes, and checked with the same amount of work whether or not the user exists.

use std::fmt;

use argon2::{
    Argon2,
    password_hash::{Error, PasswordHasher, PasswordVerifier},
};
use serde::{Deserialize, Serialize};

use super::{Argon2Cost, KeyError, Secret};

/// A password's hash as a PHC string, which contains its salt and cost.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a new password with a fresh salt; slow by design, so do not call it on async threads.
    ///
    /// # Errors
    /// [`KeyError::Empty`] for an empty password, [`KeyError::Cost`] for a cost that Argon2 does not accept.
    pub fn create(password: &Secret, cost: Argon2Cost) -> Result<Self, KeyError> {
        if password.is_empty() {
            return Err(KeyError::Empty);
        }
        let form = password.normalized();
        let hash = cost
            .hasher()?
            .hash_password(form.as_ref().unwrap_or(password).expose())
            .map_err(KeyError::PasswordHash)?;
        Ok(Self(hash.to_string()))
    }

    /// Whether this is the password; slow by design. A hash that was made of another form of it is accepted too.
    ///
    /// # Errors
    /// [`KeyError::PasswordHash`] if the stored hash is malformed.
    pub fn verify(&self, password: &Secret) -> Result<bool, KeyError> {
        match password.normalized() {
            Some(form) if self.is_of(&form)? => Ok(true),
            Some(_) | None => self.is_of(password),
        }
    }

    fn is_of(&self, password: &Secret) -> Result<bool, KeyError> {
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

/// Does the work of [`PasswordHash::verify`] for a user who does not exist, so that the answer takes as long.
///
/// # Errors
/// [`KeyError::Cost`] for a cost that Argon2 does not accept.
pub fn verify_absent(password: &Secret, cost: Argon2Cost) -> Result<(), KeyError> {
    const DUMMY_SALT: &[u8] = b"concordat absent";
    let form = password.normalized();
    for entered in form.iter().chain([password]) {
        let mut out = [0; 32];
        cost.hasher()?
            .hash_password_into(entered.expose(), DUMMY_SALT, &mut out)
            .map_err(KeyError::Cost)?;
    }
    Ok(())
}
