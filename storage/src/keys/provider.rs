//! What unlocks the master key: one small trait, and one file for each kind of secret.
//!
//! A provider makes the *key-encrypting key*, under which the master key lies wrapped in `master.key`. What it needs to make the
//! same key again, beside the secret, lies there too: the [`Parameters`].
//!
//! | provider | the key-encrypting key is | secret |
//! | --- | --- | --- |
//! | [`Passphrase`] | Argon2id over the passphrase | what a person types |
//! | [`KeyFile`] | HKDF over the contents | a file, or what the service manager hands over as one |
//! | [`TokenKey`] | HKDF over an HMAC that the token makes | a key that never leaves a PKCS#11 token, behind its PIN |
//!
//! The CBOR of [`Parameters`] is associated data of the wrapped master key: what is written once is never written otherwise.

mod cost;
mod key_encrypting_key;
mod key_file;
mod passphrase;
mod pkcs11;

pub use cost::Argon2Cost;
pub use key_encrypting_key::{KeyEncryptingKey, KeyProvider, Parameters};
pub use key_file::KeyFile;
pub use passphrase::Passphrase;
pub use pkcs11::{TokenError, TokenKey, TokenPlace};

#[cfg(test)]
mod tests;
