//! Errors of sealed objects.

use concordat_keys::KeyError;
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::KeyId;
use object_store::path::Path;

use crate::objects::LocationError;

/// Why an object cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The bytes do not begin like a sealed object.
    #[error("not a sealed object")]
    NotSealed,
    /// A newer program wrote it.
    #[error("this program does not know format version `{0}` of sealed objects")]
    Version(u8),
    /// The header names an unknown cipher.
    #[error("this program does not know cipher suite `{0}`")]
    Suite(u8),
    /// It was sealed under the key of another dataset.
    #[error("the object is sealed under key `{found}`, which is not a key of this dataset")]
    ForeignKey {
        /// The key id in the header.
        found: KeyId,
    },
    /// No sealed object can have this length.
    #[error("a sealed object cannot be `{len}` bytes long: it was cut or extended")]
    Length {
        /// The length found, in bytes.
        len: u64,
    },
    /// One block is not what was sealed at this position.
    #[error("block `{number}` does not open: it was changed, moved or belongs to another object")]
    Block {
        /// Which block, from 0.
        number: u64,
    },
    /// A block was sealed after the last one, or a block before the last has a wrong length.
    #[error("blocks were sealed out of order")]
    Order,
    /// The object is intact, but it is not the one that the manifest names.
    #[error("the object is not the one that the manifest names")]
    Replaced,
    /// The manifest names an object that does not exist.
    #[error("the object that the manifest names is missing")]
    Missing,
    /// There are no random bytes for the header.
    #[error("cannot create the key of an object")]
    Key(#[source] KeyError),
}

impl Explain for SealError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotSealed
            | Self::Version(_)
            | Self::Suite(_)
            | Self::ForeignKey { .. }
            | Self::Length { .. }
            | Self::Block { .. }
            | Self::Replaced
            | Self::Missing => ErrorKind::Integrity,
            Self::Order => ErrorKind::Internal,
            Self::Key(source) => source.kind(),
        }
    }
}

impl SealError {
    /// Wraps the error for the object store interface, with the object's path.
    pub(crate) fn at(self, location: &Path) -> object_store::Error {
        let source = Box::new(AtPath {
            location: location.clone(),
            source: self,
        });
        object_store::Error::Generic {
            store: "sealed",
            source,
        }
    }
}

/// A [`SealError`] with the path of the object.
#[derive(Debug, thiserror::Error)]
#[error("cannot open `{location}`")]
struct AtPath {
    location: Path,
    #[source]
    source: SealError,
}

/// The kind of an error of an object store; determined by a [`SealError`] or [`LocationError`] in its chain.
#[must_use]
pub fn store_error_kind(error: &object_store::Error) -> ErrorKind {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(seal) = current.downcast_ref::<SealError>() {
            return seal.kind();
        }
        if let Some(location) = current.downcast_ref::<LocationError>() {
            return location.kind();
        }
        next = current.source();
    }
    if matches!(error, object_store::Error::NotFound { .. }) {
        ErrorKind::NotFound
    } else {
        ErrorKind::Internal
    }
}
