//! What unlocks a node that is being created.

use std::path::PathBuf;

use concordat_documents::problem::Problem;
use concordat_keys::{Argon2Cost, KeyFile, KeyProvider, Passphrase, Secret, TokenKey, TokenLocation};

use crate::config::{self, KeysFrom, PinFrom};

/// What unlocks the new node.
#[derive(Debug)]
pub enum Unlock {
    /// A passphrase that a person types at every start.
    Passphrase(Secret),
    /// A key file that exists.
    KeyFile(PathBuf),
    /// A key file that the service manager provides under this name.
    Credential(String),
    /// A key in a PKCS#11 token, which is created there if necessary.
    Token {
        /// Which key.
        location: TokenLocation,
        /// Where the PIN comes from at the next start.
        pin_from: PinFrom,
        /// The PIN.
        pin: Secret,
    },
    /// A key file to be created in the data directory.
    MakeKeyFile,
}

/// The key provider for what is to unlock a node from now on, and the matching `[keys]` section.
///
/// # Errors
/// [`KeyError::WeakPassphrase`](concordat_keys::KeyError::WeakPassphrase) as a `usage` problem, and as [`provider_from_secret`].
pub fn new_provider(unlock: Unlock, cost: Argon2Cost) -> Result<(Box<dyn KeyProvider>, KeysFrom), Problem> {
    match unlock {
        Unlock::Passphrase(secret) => Ok((Box::new(Passphrase::chosen(secret, cost)?), KeysFrom::Passphrase)),
        Unlock::KeyFile(_) | Unlock::Credential(_) | Unlock::Token { .. } | Unlock::MakeKeyFile => {
            provider_from_secret(unlock, cost)
        }
    }
}

/// The key provider for a given secret, and the matching `[keys]` section. A passphrase uses `cost` if it is stored again.
///
/// # Errors
/// If the service manager does not provide the credential, or no secret was given.
pub fn provider_from_secret(unlock: Unlock, cost: Argon2Cost) -> Result<(Box<dyn KeyProvider>, KeysFrom), Problem> {
    match unlock {
        Unlock::Passphrase(secret) => Ok((Box::new(Passphrase::new(secret, cost)), KeysFrom::Passphrase)),
        Unlock::KeyFile(path) => {
            let path = std::path::absolute(&path).unwrap_or(path);
            Ok((Box::new(KeyFile::new(path.clone())), KeysFrom::File(path)))
        }
        Unlock::Credential(name) => Ok((
            Box::new(KeyFile::new(config::credential(&name)?)),
            KeysFrom::Credential(name),
        )),
        Unlock::Token {
            location,
            pin_from,
            pin,
        } => {
            let keys = KeysFrom::Token {
                location: location.clone(),
                pin: pin_from,
            };
            Ok((Box::new(TokenKey::new(location, pin)), keys))
        }
        Unlock::MakeKeyFile => Err(Problem::usage("an existing key file is required")),
    }
}
