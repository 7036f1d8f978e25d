//! What can go wrong with keys.

use std::path::{Path, PathBuf};

use super::TokenError;
use crate::{error_kind::ErrorKind, fs::PrivateFileError};

/// Why a key could not be made, stored or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is no such key or master key file.
    #[error("there is no key at `{}`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A master key exists already and is not overwritten.
    #[error("`{}` exists already; creating a new master key would make all sealed data unreadable", path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// Others on this machine can read the file.
    #[error("`{}` can be read by others; run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// The exposed file.
        path: PathBuf,
    },
    /// The key file is not where the configuration says.
    #[error("the key file `{}` is not there; put it back, or mount the medium that holds it", path.display())]
    KeyFileMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The key file holds too little.
    #[error("the key file `{}` holds {bytes} bytes of key; at least 32 are needed", path.display())]
    KeyFileTooShort {
        /// The key file.
        path: PathBuf,
        /// How many bytes it holds after decoding.
        bytes: usize,
    },
    /// An empty passphrase, password or PIN.
    #[error("the secret is empty")]
    Empty,
    /// The passphrase does not open the master key.
    #[error("wrong passphrase for `{}`", path.display())]
    WrongPassphrase {
        /// The master key file.
        path: PathBuf,
    },
    /// The key file does not open the master key.
    #[error("this key file does not open `{}`", path.display())]
    WrongKeyFile {
        /// The master key file.
        path: PathBuf,
    },
    /// The key in the token does not open the master key.
    #[error(
        "the key `{key}` of the token `{token}` does not open `{}`: it is another key of the same name",
        path.display()
    )]
    WrongTokenKey {
        /// The master key file.
        path: PathBuf,
        /// The token.
        token: String,
        /// The label of the key.
        key: String,
    },
    /// A PKCS#11 token does not do its part.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The master key is protected by another kind of secret.
    #[error("`{}` is opened with a {needs}", path.display())]
    WrongProvider {
        /// The master key file.
        path: PathBuf,
        /// What opens it.
        needs: &'static str,
    },
    /// Not the public half of a recovery key.
    #[error("`{text}` is not a recovery key: it is made by `age-keygen` and begins with `age1`")]
    Recipient {
        /// The text as given.
        text: String,
    },
    /// Nobody could open it.
    #[error("the keys cannot be encrypted to nobody")]
    NoRecipient,
    /// A file without the private half of a recovery key.
    #[error("there is no line that begins with `AGE-SECRET-KEY-1`")]
    NoRecoveryKey,
    /// Not made for this recovery key, or no escrow of keys.
    #[error("this recovery key does not open the escrow of keys, or it is damaged")]
    WrongRecoveryKey,
    /// The escrow does not fit the data directory.
    #[error("the escrow of keys is older than the last rotation of the key of segment `{segment}`, or of another node")]
    OutdatedEscrow {
        /// The segment whose key it lacks.
        segment: String,
    },
    /// The master key file is not what was written.
    #[error("`{}` is damaged: {what}; restore it from a backup", path.display())]
    Damaged {
        /// The master key file.
        path: PathBuf,
        /// What does not hold.
        what: &'static str,
    },
    /// A newer program wrote this.
    #[error("format version `{version}` of the {what} is not known to this program")]
    Version {
        /// What was read.
        what: &'static str,
        /// The version found.
        version: u8,
    },
    /// Sealed bytes do not open here: changed, moved, or sealed under another key.
    #[error("the {what} does not open: it was changed, moved or sealed under another key")]
    Unopenable {
        /// What was sealed.
        what: &'static str,
    },
    /// Argon2 does not take these costs.
    #[error("the Argon2 cost is out of bounds")]
    Cost(#[source] argon2::Error),
    /// A stored password hash is not one.
    #[error("the stored password hash cannot be read")]
    PasswordHash(#[source] argon2::password_hash::Error),
}

impl KeyError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Random(_) | Self::Io { .. } => ErrorKind::Machine,
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Exists { .. }
            | Self::Exposed { .. }
            | Self::KeyFileTooShort { .. }
            | Self::Empty
            | Self::WrongProvider { .. }
            | Self::Recipient { .. }
            | Self::NoRecipient
            | Self::NoRecoveryKey
            | Self::Cost(_) => ErrorKind::Usage,
            Self::WrongPassphrase { .. }
            | Self::WrongKeyFile { .. }
            | Self::WrongTokenKey { .. }
            | Self::KeyFileMissing { .. }
            | Self::WrongRecoveryKey
            | Self::OutdatedEscrow { .. } => ErrorKind::Locked,
            Self::Damaged { .. } | Self::Unopenable { .. } | Self::PasswordHash(_) => ErrorKind::Integrity,
            Self::Version { .. } => ErrorKind::Machine,
            Self::Token(source) => source.kind(),
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::NotFound {
            return Self::Missing { path: path.to_owned() };
        }
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl From<PrivateFileError> for KeyError {
    fn from(error: PrivateFileError) -> Self {
        match error {
            PrivateFileError::Exposed { path } => Self::Exposed { path },
            PrivateFileError::Io { action, path, source } => Self::io(action, &path, source),
        }
    }
}
