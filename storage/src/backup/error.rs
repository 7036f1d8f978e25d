//! Errors of backups.

use std::path::{Path, PathBuf};

use concordat_keys::{IdentityError, KeyError};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    ids::{InstitutionId, Nonce},
    signed::SignatureError,
};

use crate::{
    catalog::CatalogError, data_dir::StorageError, ledger::LedgerError, meta::MetaError, objects::LocationError,
    seal::store_error_kind,
};

/// Why a snapshot was not taken, checked or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or folder cannot be read or written.
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
    /// The folder is something else, or has a newer format.
    #[error("`{}` is not a backup repository that this program knows", path.display())]
    NoRepository {
        /// The folder.
        path: PathBuf,
    },
    /// The repository may not be inside a data directory, nor the other way round.
    #[error("`{}` is in the data directory, or around it; a backup belongs on another disk", path.display())]
    Inside {
        /// The folder.
        path: PathBuf,
    },
    /// The path of a repository or of a data directory does not lead to a folder.
    #[error("the path `{}` cannot be used; give the path of a folder that exists, or of a new one in it", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: std::io::Error,
    },
    /// There is no such snapshot.
    #[error("`{}` has no snapshot{}", path.display(), id.map(|id| format!(" {id}")).unwrap_or_default())]
    NoSnapshot {
        /// The repository.
        path: PathBuf,
        /// The requested one; `None` if any snapshot would do.
        id: Option<Nonce>,
    },
    /// Part of a snapshot is not what was written.
    #[error("snapshot {id} is damaged: `{path}` {what}; `backup list` shows the intact ones, `--snapshot` selects one")]
    Damaged {
        /// The snapshot.
        id: Nonce,
        /// The file.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The contents are not signed by the institution.
    #[error("snapshot {id} is not signed by the key stored with it")]
    Signature {
        /// The snapshot.
        id: Nonce,
        /// Why the signature is invalid.
        #[source]
        source: SignatureError,
    },
    /// The snapshot is signed with another key than the one that was named.
    #[error(
        "snapshot {id} does not belong to the institution whose key has the fingerprint {wanted}: it claims to be of `{institution}`, and it is signed with the key of fingerprint {fingerprint}"
    )]
    Foreign {
        /// The snapshot.
        id: Nonce,
        /// The institution that it claims to be of.
        institution: InstitutionId,
        /// The fingerprint of the key that signed it.
        fingerprint: String,
        /// The fingerprint of the key that was named.
        wanted: String,
    },
    /// A snapshot cannot be signed: it has too many files.
    #[error("the contents of the snapshot cannot be signed")]
    Sign(#[source] SignatureError),
    /// An erasure statement in the repository is invalid.
    #[error(
        "the erasure statement `{}` is not signed by a key that the institution had when the snapshot was taken; restore a snapshot from after its key was replaced, or restore the right statement",
        path.display()
    )]
    Statement {
        /// The file.
        path: PathBuf,
    },
    /// An object, or a log of answers, was removed while it was copied.
    #[error(
        "an object or a log of answers of the snapshot is missing; a dataset may have been erased in the meantime: take the snapshot again"
    )]
    ObjectMissing,
    /// The call needs a runtime.
    #[error("this call needs a thread of a tokio runtime")]
    NoRuntime,
    /// A key cannot be opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// State cannot be read or written.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// A private key cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The data directory cannot be opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The catalog cannot be read or changed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An object cannot be read or written.
    #[error(transparent)]
    Store(object_store::Error),
    /// The location of the objects cannot be used.
    #[error(transparent)]
    Location(#[from] LocationError),
}

impl Explain for BackupError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::NoRuntime | Self::Sign(_) | Self::ObjectMissing => ErrorKind::Internal,
            Self::NoRepository { .. } | Self::Inside { .. } | Self::Path { .. } => ErrorKind::Usage,
            Self::NoSnapshot { .. } => ErrorKind::NotFound,
            Self::Damaged { .. } | Self::Signature { .. } | Self::Foreign { .. } | Self::Statement { .. } => {
                ErrorKind::Integrity
            }
            Self::Key(source) => source.kind(),
            Self::Meta(source) => source.kind(),
            Self::Identity(source) => source.kind(),
            Self::Storage(source) => source.kind(),
            Self::Catalog(source) => source.kind(),
            Self::Ledger(source) => source.kind(),
            Self::Store(source) => store_error_kind(source),
            Self::Location(source) => source.kind(),
        }
    }
}

impl BackupError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl From<object_store::Error> for BackupError {
    fn from(error: object_store::Error) -> Self {
        LocationError::within(error).map_or_else(Self::Store, Self::Location)
    }
}
