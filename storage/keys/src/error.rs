//! Errors of keys.

use std::path::{Path, PathBuf};

use crate::{fs::PrivateFileError, token::TokenError};
use concordat_protocol::error_kind::{ErrorKind, Explain};

/// Why a key could not be created, stored or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system returned no random bytes.
    #[error("the operating system returned no random bytes")]
    Random(#[source] getrandom::Error),
    /// A file could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
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
    #[error("`{}` already exists; creating a new master key would make all sealed data unreadable", path.display())]
    Exists {
        /// The existing file.
        path: PathBuf,
    },
    /// Other accounts on this machine can read the file.
    #[error("`{}` can be read by others; run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// The exposed file.
        path: PathBuf,
    },
    /// There is no key file at the configured path.
    #[error("there is no key file `{}`; restore it, or mount the medium that contains it", path.display())]
    KeyFileMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The key file is too short.
    #[error("the key file `{}` has {bytes} bytes of key; at least 32 are needed", path.display())]
    KeyFileTooShort {
        /// The key file.
        path: PathBuf,
        /// How many bytes it has after decoding.
        bytes: usize,
    },
    /// An empty passphrase, password or PIN.
    #[error("the secret is empty")]
    Empty,
    /// A new passphrase is too easy to guess.
    #[error(
        "the passphrase is too weak: it needs at least {min} characters, of which {free} do not repeat or continue the ones before; \
         take four or more words that do not belong together"
    )]
    WeakPassphrase {
        /// Fewest characters.
        min: usize,
        /// Fewest characters that do not follow from the ones before.
        free: usize,
    },
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
        "the key `{key}` of the token `{token}` does not open `{}`: it is another key with the same name",
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
    /// A PKCS#11 token cannot be used.
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
    /// The text is not the public half of a recovery key.
    #[error("`{text}` is not a recovery key: `age-keygen` creates one, which begins with `age1`")]
    Recipient {
        /// The text as given.
        text: String,
    },
    /// No recovery key could open it.
    #[error("the keys cannot be encrypted without a recipient")]
    NoRecipient,
    /// The file does not contain the private half of a recovery key.
    #[error("there is no line that begins with `AGE-SECRET-KEY-1`")]
    NoRecoveryKey,
    /// The escrow was not encrypted to this recovery key, or is not an escrow of keys.
    #[error("this recovery key does not open the escrow of keys, or the escrow is damaged")]
    WrongRecoveryKey,
    /// The escrow does not match the data directory.
    #[error(
        "the escrow of keys is older than the last rotation of the key of segment `{segment}`, or belongs to another node"
    )]
    OutdatedEscrow {
        /// The segment whose key is missing in it.
        segment: String,
    },
    /// The master key file is not what was written.
    #[error("`{}` is damaged: {what}; restore it from a backup", path.display())]
    Damaged {
        /// The master key file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A newer program wrote this.
    #[error("this program does not know format version `{version}` of the {what}")]
    Version {
        /// What was read.
        what: &'static str,
        /// The version found.
        version: u8,
    },
    /// Sealed bytes do not open: they were changed, moved, or sealed under another key.
    #[error("the {what} does not open: it was changed, moved or sealed under another key")]
    Unopenable {
        /// What was sealed.
        what: &'static str,
    },
    /// Argon2 does not accept this cost.
    #[error("the Argon2 cost is out of bounds")]
    Cost(#[source] argon2::Error),
    /// A stored password hash is malformed.
    #[error("the stored password hash cannot be read")]
    PasswordHash(#[source] argon2::password_hash::Error),
}

impl Explain for KeyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Random(_) | Self::Io { .. } => ErrorKind::Internal,
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::Exists { .. }
            | Self::Exposed { .. }
            | Self::KeyFileTooShort { .. }
            | Self::Empty
            | Self::WeakPassphrase { .. }
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
            Self::Version { .. } => ErrorKind::Internal,
            Self::Token(source) => source.kind(),
        }
    }
}

impl KeyError {
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
