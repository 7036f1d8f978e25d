//! Which data directory a location belongs to: a random number, stored in the sealed state and at the location.

use std::{collections::BTreeSet, fmt};

use concordat_protocol::ids::Nonce;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use concordat_protocol::error_kind::ErrorKind;

/// The ownership marker of a location: 32 hexadecimal digits there, and known only to one data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct OwnershipMarker(Nonce);

impl OwnershipMarker {
    /// Its length at the location, in bytes.
    pub(super) const LEN: u64 = 32;

    /// A new random marker.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(Nonce::from_bytes(bytes)))
    }

    /// Parses it as it is stored at the location.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok().map(Self)
    }
}

impl fmt::Display for OwnershipMarker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which objects must be at a location that is new to this data directory. Blocks.
pub(crate) type RequiredObjects = Box<dyn Fn() -> Result<BTreeSet<Path>, UnknownObjects> + Send + Sync>;

/// The list of the objects of a data directory could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the list of this node's objects cannot be read")]
pub struct UnknownObjects {
    pub(super) kind: ErrorKind,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl UnknownObjects {
    /// From the error of the catalog that has the list, and the kind of that error.
    pub(crate) fn new(kind: ErrorKind, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            kind,
            source: Box::new(source),
        }
    }
}
