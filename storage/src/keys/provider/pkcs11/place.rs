//! Where a key in a token lies.

use std::path::PathBuf;

/// Where a key lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPlace {
    /// The PKCS#11 module: the library with which the maker of the token drives it, by its path from the root. It is loaded only
    /// if nobody but root could have written it.
    pub module: PathBuf,
    /// The label of the token.
    pub token: String,
    /// The label of the key in it.
    pub key: String,
}
