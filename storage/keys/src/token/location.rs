//! The location of a key in a token.

use std::path::PathBuf;

/// The location of a key in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenLocation {
    /// The PKCS#11 module, that is the vendor's library for the token, as an absolute path. It is loaded only if no account
    /// other than root could have written it.
    pub module: PathBuf,
    /// The label of the token.
    pub token: String,
    /// The label of the key in it.
    pub key: String,
}
