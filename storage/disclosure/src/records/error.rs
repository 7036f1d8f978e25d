//! Why a memory is not restored.

use concordat_protocol::schema::VersionNumber;

use crate::encoding::Malformed;
use crate::epochs::EpochsError;
use crate::space::SpaceError;

/// Why bytes are not the next record of a memory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are not the encoding of a record.
    #[error("a record of answers is malformed")]
    Malformed,
    /// A record is about units that the memory has not been about so far.
    #[error("a record of answers is about a version or about units that are not known before it")]
    Unknown,
    /// The first set has to be that of all units.
    #[error("the records of answers do not begin with the set of all units")]
    NoUniverse,
    /// Versions are out of order.
    #[error("version {0} is recorded after a later one")]
    Order(VersionNumber),
    /// The loss of privacy is more than can be counted.
    #[error("the records of answers state more loss of privacy than there can be")]
    Loss,
}

impl From<Malformed> for RecordError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// Why the records of a memory do not lead to one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The records are incomplete.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// They do not fit together.
    #[error("the records of answers do not fit together")]
    Space(#[from] SpaceError),
    /// The versions do not fit together.
    #[error("the versions in the records of answers do not fit together")]
    Epochs(#[from] EpochsError),
}
