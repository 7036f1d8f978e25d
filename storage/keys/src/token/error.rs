//! Errors of a token.

use std::path::PathBuf;

use cryptoki::error::{Error, RvError};

use super::location::TokenLocation;
use concordat_protocol::error_kind::{ErrorKind, Explain};

/// Why a key in a PKCS#11 token could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no module at the configured path.
    #[error(
        "there is no PKCS#11 module at `{}`; install the token's software, or set `keys.module` to the path of its library",
        module.display()
    )]
    NoModule {
        /// Where the module should be.
        module: PathBuf,
    },
    /// An account other than root could have written the file.
    #[error(
        "`{}` is not loaded as a PKCS#11 module: `{}` {what}; a module must be installed by root, where no other account can write, and outside of data directories and backups",
        module.display(),
        path.display()
    )]
    UntrustedModule {
        /// The file.
        module: PathBuf,
        /// The file, or the folder above it, that is not trusted.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file is not a module, or the module does not start.
    #[error("`{}` does not work as a PKCS#11 module; set `keys.module` to the token's library", module.display())]
    UnusableModule {
        /// The file.
        module: PathBuf,
        /// The error of the system or the module.
        #[source]
        source: Error,
    },
    /// There is no token with this label.
    #[error(
        "there is no token `{token}` at `{}`{}; connect it, or set `keys.token` to its label",
        module.display(),
        other_tokens(others)
    )]
    NoToken {
        /// The requested label.
        token: String,
        /// The module.
        module: PathBuf,
        /// The labels of the tokens that exist.
        others: Vec<String>,
    },
    /// More than one token has the label.
    #[error("several tokens have the label `{token}`; leave one connected, or give them different labels")]
    SeveralTokens {
        /// The label.
        token: String,
    },
    /// The PIN is wrong.
    #[error(
        "wrong PIN for the token `{token}`; {}",
        if *last { "one more wrong PIN locks it: find the right one first" } else { "a token locks itself after a few wrong PINs" }
    )]
    WrongPin {
        /// The token.
        token: String,
        /// Whether the next wrong PIN locks it.
        last: bool,
    },
    /// There were too many wrong PINs.
    #[error("the PIN of the token `{token}` is locked; its security officer can set a new one")]
    PinLocked {
        /// The token.
        token: String,
    },
    /// The token needs a new PIN before it can be used.
    #[error("the PIN of the token `{token}` has expired or was never set; set one with the token's software")]
    PinUnset {
        /// The token.
        token: String,
    },
    /// The token has no such key.
    #[error(
        "the token `{token}` has no secret key `{key}`: connect the token that does, or unlock with an escrow of the keys (`concordat key recover`)"
    )]
    NoKey {
        /// The token.
        token: String,
        /// The label of the key.
        key: String,
    },
    /// More than one key has the label.
    #[error("the token `{token}` has several secret keys `{key}`; give them different labels")]
    SeveralKeys {
        /// The token.
        token: String,
        /// The label.
        key: String,
    },
    /// The key can be exported from the token.
    #[error(
        "the key `{key}` can be exported from the token `{token}`: it is not sensitive, or it is extractable; configure another key label, and the token generates a key for it"
    )]
    ExportableKey {
        /// The token.
        token: String,
        /// The label of the key.
        key: String,
    },
    /// The token returned something other than an HMAC-SHA256.
    #[error("the token `{token}` returned {bytes} bytes, but HMAC-SHA256 has 32")]
    WrongLength {
        /// The token.
        token: String,
        /// How many.
        bytes: usize,
    },
    /// The token rejected an operation.
    #[error("token `{token}`: cannot {action}")]
    Failed {
        /// The token.
        token: String,
        /// What was tried.
        action: &'static str,
        /// The error of the module.
        #[source]
        source: Error,
    },
}

impl Explain for TokenError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoModule { .. }
            | Self::UnusableModule { .. }
            | Self::UntrustedModule { .. }
            | Self::SeveralTokens { .. }
            | Self::SeveralKeys { .. }
            | Self::ExportableKey { .. } => ErrorKind::Usage,
            Self::NoToken { .. }
            | Self::WrongPin { .. }
            | Self::PinLocked { .. }
            | Self::PinUnset { .. }
            | Self::NoKey { .. } => ErrorKind::Locked,
            Self::WrongLength { .. } | Self::Failed { .. } => ErrorKind::Internal,
        }
    }
}

impl TokenError {
    pub(crate) fn failed(location: &TokenLocation, action: &'static str) -> impl Fn(Error) -> Self {
        let token = location.token.clone();
        move |source| Self::Failed {
            token: token.clone(),
            action,
            source,
        }
    }

    /// Why a login failed (PKCS #11 v3.0, section 5.6: `C_Login`).
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "codes beyond those of a PIN are all the same here"
    )]
    pub(crate) fn of_login(location: &TokenLocation, error: Error, last: bool) -> Self {
        let token = location.token.clone();
        match error {
            Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
                Self::WrongPin { token, last }
            }
            Error::Pkcs11(RvError::PinLocked, _) => Self::PinLocked { token },
            Error::Pkcs11(RvError::PinExpired | RvError::UserPinNotInitialized, _) => Self::PinUnset { token },
            source => Self::failed(location, "log in")(source),
        }
    }
}

fn other_tokens(others: &[String]) -> String {
    match others {
        [] => String::new(),
        [_, ..] => format!(", which has `{}`", others.join("`, `")),
    }
}
