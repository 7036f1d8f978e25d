//! What can go wrong with a token.

use std::path::PathBuf;

use cryptoki::error::{Error, RvError};

use super::place::TokenPlace;
use crate::error_kind::ErrorKind;

/// Why a key in a PKCS#11 token could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no such file.
    #[error(
        "there is no PKCS#11 module at `{}`; install the software of the token, or set `keys.module` to the path of its library",
        module.display()
    )]
    NoModule {
        /// Where the module should be.
        module: PathBuf,
    },
    /// Somebody other than root could have written the file.
    #[error(
        "`{}` is not loaded as a PKCS#11 module: `{}` {what}; a module must be installed by root, where nobody else can write, and outside of data and backups",
        module.display(),
        path.display()
    )]
    UntrustedModule {
        /// The file.
        module: PathBuf,
        /// The file or the folder above it that is in doubt.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The file is not a module, or the module does not start.
    #[error("`{}` does not work as a PKCS#11 module; set `keys.module` to the library of the token", module.display())]
    UnusableModule {
        /// The file.
        module: PathBuf,
        /// What the system or the module said.
        #[source]
        source: Error,
    },
    /// No token of this label is there.
    #[error(
        "there is no token `{token}` at `{}`{}; connect it, or set `keys.token` to its label",
        module.display(),
        those(others)
    )]
    NoToken {
        /// The label that was looked for.
        token: String,
        /// The module that was asked.
        module: PathBuf,
        /// The labels of the tokens that are there.
        others: Vec<String>,
    },
    /// More than one token has the label.
    #[error("several tokens have the label `{token}`; leave one connected, or give them labels of their own")]
    SeveralTokens {
        /// The label.
        token: String,
    },
    /// Not the PIN of the token.
    #[error(
        "wrong PIN for the token `{token}`; {}",
        if *last { "one more wrong PIN locks it: find the right one first" } else { "a token locks itself after a few of them" }
    )]
    WrongPin {
        /// The token.
        token: String,
        /// Whether the next wrong one locks it.
        last: bool,
    },
    /// There were too many wrong PINs.
    #[error("the PIN of the token `{token}` is locked; whoever holds its security officer's PIN can set a new one")]
    PinLocked {
        /// The token.
        token: String,
    },
    /// The token wants another PIN before it does anything.
    #[error("the PIN of the token `{token}` has expired or was never set; set one with the software of the token")]
    PinUnset {
        /// The token.
        token: String,
    },
    /// The token has no such key.
    #[error(
        "the token `{token}` holds no secret key `{key}`: connect the token that does, or unlock with an escrow of the keys (`concordat key recover`)"
    )]
    NoKey {
        /// The token.
        token: String,
        /// The label of the key.
        key: String,
    },
    /// More than one key has the label.
    #[error("the token `{token}` holds several secret keys `{key}`; give them labels of their own")]
    SeveralKeys {
        /// The token.
        token: String,
        /// The label.
        key: String,
    },
    /// The token would give the key away.
    #[error(
        "the token `{token}` may give the key `{key}` away: it is not sensitive, or it is extractable; name another key, and the token makes one"
    )]
    KeyCanLeave {
        /// The token.
        token: String,
        /// The label of the key.
        key: String,
    },
    /// The token made something else than was asked for.
    #[error("the token `{token}` made {bytes} bytes where HMAC-SHA256 has 32")]
    WrongLength {
        /// The token.
        token: String,
        /// How many.
        bytes: usize,
    },
    /// The token refused something.
    #[error("the token `{token}` does not let us {action}")]
    Failed {
        /// The token.
        token: String,
        /// What was tried.
        action: &'static str,
        /// What the module said.
        #[source]
        source: Error,
    },
}

impl TokenError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoModule { .. }
            | Self::UnusableModule { .. }
            | Self::UntrustedModule { .. }
            | Self::SeveralTokens { .. }
            | Self::SeveralKeys { .. }
            | Self::KeyCanLeave { .. } => ErrorKind::Usage,
            Self::NoToken { .. }
            | Self::WrongPin { .. }
            | Self::PinLocked { .. }
            | Self::PinUnset { .. }
            | Self::NoKey { .. } => ErrorKind::Locked,
            Self::WrongLength { .. } | Self::Failed { .. } => ErrorKind::Machine,
        }
    }

    pub(super) fn failed(place: &TokenPlace, action: &'static str) -> impl Fn(Error) -> Self {
        let token = place.token.clone();
        move |source| Self::Failed {
            token: token.clone(),
            action,
            source,
        }
    }

    /// Why a log-in was refused (PKCS #11 v3.0, section 5.6: `C_Login`).
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "codes beyond those of a PIN are all the same here"
    )]
    pub(super) fn of_login(place: &TokenPlace, error: Error, last: bool) -> Self {
        let token = place.token.clone();
        match error {
            Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
                Self::WrongPin { token, last }
            }
            Error::Pkcs11(RvError::PinLocked, _) => Self::PinLocked { token },
            Error::Pkcs11(RvError::PinExpired | RvError::UserPinNotInitialized, _) => Self::PinUnset { token },
            source => Self::failed(place, "log in")(source),
        }
    }
}

fn those(others: &[String]) -> String {
    match others {
        [] => String::new(),
        [_, ..] => format!(", which has `{}`", others.join("`, `")),
    }
}
