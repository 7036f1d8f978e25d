//! What unlocks the master key: one small trait, and one file per kind of secret.
//!
//! A provider derives the *key-encrypting key*, under which the master key is wrapped in `master.key`. What it needs besides the
//! secret to derive the same key again is stored there too: the [`Parameters`].
//!
//! | provider | the key-encrypting key is | secret |
//! | --- | --- | --- |
//! | [`Passphrase`] | Argon2id over the passphrase | a passphrase that a person types |
//! | [`KeyFile`] | HKDF over the contents | a file, or a credential that the service manager provides as one |
//! | [`TokenKey`] | HKDF over an HMAC that the token computes | a key that never leaves a PKCS#11 token, protected by its PIN |
//!
//! The CBOR of [`Parameters`] is associated data of the wrapped master key, so its encoding must never change.

mod cost;
mod key_encrypting_key;
mod key_file;
mod passphrase;
mod pkcs11;
mod strength;

pub use cost::Argon2Cost;
pub use key_encrypting_key::{KeyEncryptingKey, KeyProvider, Parameters};
pub use key_file::KeyFile;
pub use passphrase::Passphrase;
pub use pkcs11::TokenKey;

#[cfg(test)]
mod tests;
