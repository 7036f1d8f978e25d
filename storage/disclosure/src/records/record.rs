//! The records.

use std::num::NonZeroU16;

use concordat_protocol::ids::{Digest32, GrantId};
use concordat_protocol::schema::VersionNumber;

use crate::UnitSet;
use crate::answer::Released;
use crate::cells::{FigureName, SetName};
use crate::space::ReleasedSet;
use crate::time_class::TimeClass;

/// One record of a memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A version that answers are about from now on.
    Version {
        /// Its number.
        version: VersionNumber,
        /// How many units it has: their ordinals are below this.
        universe: u32,
        /// Which of them differ from the version before in this memory, or are new; none in the first one.
        changed: UnitSet,
    },
    /// A set that counts as released.
    Set(ReleasedSet),
    /// Sums that were released over a set.
    Sums {
        /// The set.
        set: SetName,
        /// The sums.
        figures: Vec<FigureName>,
    },
    /// An answer.
    Answer(StoredAnswer),
    /// Loss of privacy that was reserved, in millionths of `rho`.
    Spent(u64),
}

/// An answer as it was released.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAnswer {
    /// What identifies the query, with the version, the permission and the protection under which it was answered.
    pub query: Digest32,
    /// The values.
    pub released: Released,
    /// The variance of the noise of perturbed values, also if it is the default one, which can change; `None` of others, and in records from
    /// before records had it, whose noise was the shipped one of that time.
    pub variance: Option<NonZeroU16>,
    /// To whom, as the ledger names people; at most 1,024 bytes.
    pub person: String,
    /// Under which grant; `None` for the institution's own people.
    pub grant: Option<GrantId>,
    /// When it leaves at the earliest, each time.
    pub class: TimeClass,
}
