//! Why a space cannot be used.

use crate::epochs::EpochsError;

/// Why a space cannot be used in this way.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// A threshold of 0 or 1 protects no subject.
    #[error("the smallest cell must have at least two subjects, not `{0}`")]
    Threshold(u32),
    /// The first set is the universe.
    #[error("a space begins with the set of all its units")]
    NoUniverse,
    /// Nothing about the universe may be released.
    #[error("there are fewer than {k} subjects")]
    TooFewSubjects {
        /// The threshold.
        k: u32,
    },
    /// A set contains an ordinal outside of the universe.
    #[error("a set goes beyond the {universe} units of its space")]
    Beyond {
        /// The number of units.
        universe: u32,
    },
    /// A unit of a released set has no subject.
    #[error("the subjects of a released set are not known")]
    NoOwners,
    /// The space has changed since the offer, or is another one.
    #[error("the offer was made for another state of the space")]
    Stale,
    /// The versions are unknown or in another order.
    #[error("the versions do not fit together")]
    Epochs(#[from] EpochsError),
}
