//! Sets that were released or would be, and what follows.

use concordat_protocol::schema::VersionNumber;

use crate::{CellBox, UnitSet};

/// A set that was released, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleasedSet {
    /// The units of the set.
    pub units: UnitSet,
    /// The version of the data that they are of.
    pub version: VersionNumber,
    /// What the units have in common.
    pub cell: CellBox,
}

/// A set that would be released.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// The units of the set.
    pub units: &'a UnitSet,
    /// The version of the data that they are of.
    pub version: VersionNumber,
    /// What the units have in common.
    pub cell: &'a CellBox,
    /// The sets on which the verdict depends, of the same version.
    pub neighbors: &'a [Neighbor<'a>],
    /// Whether it is released only if it follows, because of what is known of its neighbors already.
    pub is_withheld: bool,
}

/// A set on which the verdict about another one depends: also for what changed since an earlier version.
#[derive(Clone, Copy, Debug)]
pub struct Neighbor<'a> {
    /// Whether it may neither isolate nor reveal that a region is empty.
    pub is_examined: bool,
    /// Whether it is a wider set, without a clause that is not one of alternatives. If it isolates, the set has to be about enough others.
    pub is_plain: bool,
    /// The units of the set.
    pub units: &'a UnitSet,
    /// What the units have in common.
    pub cell: &'a CellBox,
}

/// What follows from the release of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New figures, each about at least `k` subjects.
    Certified,
    /// No figure that does not follow from the released ones.
    Derivable,
    /// A figure about fewer than `k` subjects, or none was excluded within the bounds of the computation.
    Isolates,
    /// What depends on a neighbor, or on what changed: the set is withheld so that its verdict shows nothing.
    Neighbor,
    /// That a region is empty.
    RevealsEmpty,
    /// Too many figures about the same subjects to exclude one about fewer than `k`.
    Dense,
    /// More independent sets than the space may have.
    NoBudget,
}
