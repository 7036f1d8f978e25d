//! What can keep a data directory from being opened.

use std::path::{Path, PathBuf};

use crate::{
    catalog::CatalogError, fault::Fault, keys::KeyError, meta::MetaError, objects::PlaceError, seal::store_fault,
};

/// Why the data directory cannot be opened, or a private key not read or stored.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no data directory here.
    #[error("`{}` is no data directory; run `concordat init`", dir.display())]
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
    /// Others on this machine can get at files.
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
        /// What the system said.
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
        /// What its file `format` says.
        found: String,
        /// The newest format that is known.
        known: u32,
    },
    /// The catalogue cannot be opened or brought forward.
    #[error(transparent)]
    Catalog(Box<CatalogError>),
    /// A name that no private key can have.
    #[error("`{name}` cannot be the name of a private key: use `a-z`, `0-9` and `-`")]
    IdentityName {
        /// The name as given.
        name: String,
    },
    /// There is no private key of this name.
    #[error("there is no private key `{name}`; run `concordat init`")]
    NoIdentity {
        /// The name.
        name: String,
    },
    /// There is a private key of this name, which is not overwritten.
    #[error("there is a private key `{name}` already, and it is not overwritten")]
    IdentityExists {
        /// The name.
        name: String,
    },
    /// A private key opens but is none.
    #[error("the private key `{name}` is damaged; restore it from a backup")]
    IdentityDamaged {
        /// The name.
        name: String,
    },
    /// A key cannot be opened.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The state database cannot be opened.
    #[error(transparent)]
    Meta(#[from] MetaError),
    /// The folder of objects cannot be opened.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// The place where objects lie cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

impl StorageError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Missing { .. } | Self::NoIdentity { .. } => Fault::NotFound,
            Self::InUse { .. } => Fault::Locked,
            Self::Exposed { .. } | Self::IdentityName { .. } | Self::IdentityExists { .. } => Fault::Usage,
            Self::Io { .. } | Self::Format { .. } => Fault::Machine,
            Self::Catalog(source) => source.fault(),
            Self::IdentityDamaged { .. } => Fault::Integrity,
            Self::Key(source) => source.fault(),
            Self::Meta(source) => source.fault(),
            Self::Store(source) => store_fault(source),
            Self::Place(source) => source.fault(),
        }
    }

    pub(super) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl From<CatalogError> for StorageError {
    fn from(error: CatalogError) -> Self {
        Self::Catalog(Box::new(error))
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
