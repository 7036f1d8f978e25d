//! What can be wrong with a sealed object.

use concordat_protocol::ids::KeyId;
use object_store::path::Path;

use crate::{
    error_kind::{ErrorKind, Reported},
    keys::KeyError,
    objects::PlaceError,
};

/// Why an object cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The bytes do not begin like a sealed object.
    #[error("not a sealed object")]
    NotSealed,
    /// A newer program wrote it.
    #[error("format version `{0}` of sealed objects is not known to this program")]
    Version(u8),
    /// The header names no known cipher.
    #[error("cipher suite `{0}` is not known to this program")]
    Suite(u8),
    /// It was sealed under the key of another dataset.
    #[error("the object is sealed under key `{found}`, which is none of this dataset")]
    ForeignKey {
        /// The key id in the header.
        found: KeyId,
    },
    /// Its length is none that a sealed object can have.
    #[error("a sealed object cannot be `{len}` bytes long: it was cut or extended")]
    Length {
        /// The length found, in bytes.
        len: u64,
    },
    /// One block is not what was sealed there.
    #[error("block `{number}` does not open: it was changed, moved or belongs to another object")]
    Block {
        /// Which block, from 0.
        number: u64,
    },
    /// A block was sealed after the last, or one of a wrong length before it.
    #[error("blocks were sealed out of order")]
    Order,
    /// An intact object, but another one than the manifest names.
    #[error("the object is not the one that the manifest names")]
    Replaced,
    /// The manifest names an object that is not there.
    #[error("the object that the manifest names is gone")]
    Missing,
    /// No random bytes for the header.
    #[error("cannot make the key of an object")]
    Key(#[source] KeyError),
}

impl SealError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotSealed
            | Self::Version(_)
            | Self::Suite(_)
            | Self::ForeignKey { .. }
            | Self::Length { .. }
            | Self::Block { .. }
            | Self::Replaced
            | Self::Missing => ErrorKind::Integrity,
            Self::Order => ErrorKind::Machine,
            Self::Key(source) => source.kind(),
        }
    }

    /// As the object store interface reports it, with the object's path.
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

/// A [`SealError`] with the object it happened to.
#[derive(Debug, thiserror::Error)]
#[error("cannot open `{location}`")]
struct AtPath {
    location: Path,
    #[source]
    source: SealError,
}

/// What kind of error an error of an object store is; a [`SealError`] or [`PlaceError`] within it decides.
#[must_use]
pub fn store_error_kind(error: &object_store::Error) -> ErrorKind {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(seal) = current.downcast_ref::<SealError>() {
            return seal.kind();
        }
        if let Some(place) = current.downcast_ref::<PlaceError>() {
            return place.kind();
        }
        if let Some(Reported(kind)) = current.downcast_ref::<Reported>() {
            return *kind;
        }
        next = current.source();
    }
    if matches!(error, object_store::Error::NotFound { .. }) {
        ErrorKind::NotFound
    } else {
        ErrorKind::Machine
    }
}
