//! What can go wrong with a backup.

use std::path::{Path, PathBuf};

use concordat_protocol::{
    ids::{InstitutionId, Nonce},
    signed::SignatureError,
};

use crate::{
    catalog::CatalogError,
    data_dir::StorageError,
    error_kind::ErrorKind,
    keys::{IdentityError, KeyError},
    ledger::LedgerError,
    meta::MetaError,
    objects::PlaceError,
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
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The folder is something else, or of a newer format.
    #[error("`{}` is not a repository of backups that this program knows", path.display())]
    NoRepository {
        /// The folder.
        path: PathBuf,
    },
    /// The repository may not lie within what it is to save.
    #[error("`{}` lies in the data directory; a backup belongs on another disk", path.display())]
    Inside {
        /// The folder.
        path: PathBuf,
    },
    /// There is no such snapshot.
    #[error("`{}` holds no snapshot{}", path.display(), id.map(|id| format!(" {id}")).unwrap_or_default())]
    NoSnapshot {
        /// The repository.
        path: PathBuf,
        /// The one that was asked for; none if any would have done.
        id: Option<Nonce>,
    },
    /// Some of a snapshot is not what was written.
    #[error("snapshot {id} is damaged: `{path}` {what}; `backup list` shows which are whole, `--snapshot` names one")]
    Damaged {
        /// The snapshot.
        id: Nonce,
        /// The file.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The contents are not signed by the institution.
    #[error("snapshot {id} is not signed by the key that lies beside it")]
    Signature {
        /// The snapshot.
        id: Nonce,
        /// What does not hold.
        #[source]
        source: SignatureError,
    },
    /// The snapshot is signed with another key than the one that was named.
    #[error(
        "snapshot {id} is not of the institution whose key has the fingerprint {wanted}: it says that it is one of `{institution}`, and it is signed with the key of fingerprint {fingerprint}"
    )]
    Foreign {
        /// The snapshot.
        id: Nonce,
        /// Whose it says that it is.
        institution: InstitutionId,
        /// The fingerprint of the key that signed it.
        fingerprint: String,
        /// The fingerprint of the key that was named.
        wanted: String,
    },
    /// A snapshot cannot be signed: it has too many files.
    #[error("the contents of the snapshot cannot be signed")]
    Sign(#[source] SignatureError),
    /// A statement of an erasure in the repository does not hold.
    #[error(
        "the statement of an erasure `{}` is not signed by a key that the institution had when the snapshot was taken; restore a snapshot from after its key was replaced, or put the right statement back",
        path.display()
    )]
    Statement {
        /// The file.
        path: PathBuf,
    },
    /// An object went away while it was copied.
    #[error("an object of the snapshot is gone; a dataset may have been erased meanwhile: take the snapshot again")]
    ObjectMissing,
    /// The work needs a runtime.
    #[error("this work needs a thread of a tokio runtime")]
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
    /// The catalogue cannot be read or changed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// An object cannot be read or written.
    #[error(transparent)]
    Store(object_store::Error),
    /// The place where objects lie cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

impl BackupError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } | Self::NoRuntime | Self::Sign(_) | Self::ObjectMissing => ErrorKind::Machine,
            Self::NoRepository { .. } | Self::Inside { .. } => ErrorKind::Usage,
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
            Self::Place(source) => source.kind(),
        }
    }

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
        PlaceError::within(error).map_or_else(Self::Store, Self::Place)
    }
}
