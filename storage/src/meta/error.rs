//! Errors of the state database.

use std::path::PathBuf;

use concordat_keys::KeyError;
use concordat_protocol::error_kind::{ErrorKind, Explain};

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// Another process has the directory open.
    #[error("`{}` is in use by another process", path.display())]
    InUse {
        /// The state directory.
        path: PathBuf,
    },
    /// A file next to the database could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The database failed because of the machine.
    #[error("the state database failed")]
    Database(#[source] sled::Error),
    /// The database found its own files damaged.
    #[error("the state database is damaged; restore it from a backup")]
    Damaged,
    /// A value does not open: it was changed, moved, or sealed under another key.
    #[error("a value in `{tree}` does not open: it was changed, moved or sealed under another key")]
    Value {
        /// The tree.
        tree: &'static str,
    },
    /// A value opens but does not have the tree's type.
    #[error("a value in `{tree}` has the wrong type")]
    Kind {
        /// The tree.
        tree: &'static str,
    },
    /// The database is older than its own last commit.
    #[error("the state database has `{found}` commits where `{expected}` were acknowledged; restore it from a backup")]
    RolledBack {
        /// Commits in the database.
        found: u64,
        /// Commits that were acknowledged.
        expected: u64,
    },
    /// The values are not those of the last commit.
    #[error(
        "the state database has other values than those of its last commit: some were set back, removed or added while it was closed; \
         restore it from a backup, and find out who could write to its folder"
    )]
    OtherValues,
    /// The last commit does not state which values there are.
    #[error(
        "the last commit of the state database does not state which values there are: it is of a version of this program that this one does not \
         continue from, or its record was replaced while it was closed; restore it from a backup of this version, and find out who could write to \
         its folder"
    )]
    ValuesNotStated,
    /// The database could not be exported.
    #[error("the state database cannot be exported")]
    Export(#[source] std::io::Error),
    /// A value could not be encoded.
    #[error("a value for `{tree}` cannot be encoded")]
    Encode {
        /// The tree.
        tree: &'static str,
    },
    /// A batch expected another value; nothing was changed.
    #[error("a value in `{tree}` was changed in the meantime")]
    Conflict {
        /// The tree.
        tree: &'static str,
    },
    /// Sealing failed.
    #[error("cannot seal state")]
    Key(#[source] KeyError),
}

impl Explain for MetaError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::InUse { .. } => ErrorKind::Locked,
            Self::Damaged
            | Self::Value { .. }
            | Self::Kind { .. }
            | Self::RolledBack { .. }
            | Self::OtherValues
            | Self::ValuesNotStated => ErrorKind::Integrity,
            Self::Io { .. } | Self::Export(_) | Self::Database(_) | Self::Encode { .. } | Self::Conflict { .. } => {
                ErrorKind::Internal
            }
            Self::Key(source) => source.kind(),
        }
    }
}

impl From<sled::Error> for MetaError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) | sled::Error::CollectionNotFound(_) => {
                Self::Damaged
            }
            sled::Error::Io(_) | sled::Error::Unsupported(_) => Self::Database(error),
        }
    }
}
