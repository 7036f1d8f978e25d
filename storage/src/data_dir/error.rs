//! Errors of a data directory.

use std::path::{Path, PathBuf};

use concordat_keys::{IdentityError, KeyError};

use crate::{catalog::CatalogError, meta::MetaError, objects::LocationError, seal::store_error_kind};
use concordat_protocol::error_kind::{ErrorKind, Explain};

/// Why the data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no data directory here.
    #[error("`{}` is not a data directory; run `concordat init`", dir.display())]
    Missing {
        /// Where it was looked for.
        dir: PathBuf,
    },
    /// Another process has the directory open.
    #[error("another process uses `{}`", dir.display())]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// Other accounts on this machine can access files.
    #[error(
        "{count} files or folders can be used by others: {}; run `chmod -R go-rwx {}`",
        list(paths, *count),
        dir.display()
    )]
    Exposed {
        /// The data directory.
        dir: PathBuf,
        /// The first of them.
        paths: Vec<PathBuf>,
        /// How many there are.
        count: usize,
    },
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
    /// The directory has a format that this program does not know.
    #[error(
        "`{}` has format `{found}`, and this program knows formats up to {known}; use the program that wrote it, or a newer one",
        dir.display()
    )]
    Format {
        /// The data directory.
        dir: PathBuf,
        /// The contents of its file `format`.
        found: String,
        /// The newest format that is known.
        known: u32,
    },
    /// The directory has a format that is too old.
    #[error(
        "`{}` has format {found}, and this program opens none before {oldest}; start it with the program that wrote it, or create a new \
         node with `concordat init` and import its datasets there",
        dir.display()
    )]
    OutdatedFormat {
        /// The data directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The oldest format that is opened.
        oldest: u32,
    },
    /// The master key file is not the one that the state knows.
    #[error(
        "`{}` was replaced by an older copy, or the folder `meta` was: the sealed state knows another file as the current one, and a \
         crash cannot cause this; restore the newest copy of that file and of `meta`. If it is lost, set a new unlock secret with the \
         keys of a backup (`concordat key recover`), or restore a backup into an empty directory",
        path.display()
    )]
    MasterKeyReplaced {
        /// The file.
        path: PathBuf,
    },
    /// The catalog cannot be opened.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A private key cannot be read or stored.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A key cannot be opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The state database cannot be opened.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The folder of objects cannot be opened.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// The location of the objects cannot be used.
    #[error(transparent)]
    Location(#[from] LocationError),
}

impl Explain for StorageError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::InUse { .. } | Self::Meta(MetaError::InUse { .. }) => ErrorKind::InUse,
            Self::Exposed { .. } => ErrorKind::Usage,
            Self::MasterKeyReplaced { .. } => ErrorKind::Integrity,
            Self::Io { .. } | Self::Format { .. } | Self::OutdatedFormat { .. } => ErrorKind::Internal,
            Self::Catalog(source) => source.kind(),
            Self::Identity(source) => source.kind(),
            Self::Key(source) => source.kind(),
            Self::Meta(source) => source.kind(),
            Self::Store(source) => store_error_kind(source),
            Self::Location(source) => source.kind(),
        }
    }

    fn help(&self) -> Option<String> {
        matches!(self, Self::InUse { .. } | Self::Meta(MetaError::InUse { .. })).then(|| {
            "`concordat status` shows the node that runs here: stop it first, or give another directory with `--dir`"
                .to_owned()
        })
    }
}

impl StorageError {
    pub(super) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

fn list(paths: &[PathBuf], count: usize) -> String {
    let shown: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    let more = count.saturating_sub(paths.len());
    let end = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    shown.join(", ") + &end
}
