//! The audit: which sets may be released, given those that were released before.
//!
//! A space is about the subjects of a collection or the rows of a dataset, for one owner of memory. Sets are 0/1 vectors over its units, and
//! figures are nonzero rational combinations of released sets. [`Space`] keeps this INVARIANT: each figure is nonzero at units of at least
//! `k` different subjects. It counts as released what [`Space::commit`] was called for, and the universe, which is the first set: how many
//! subjects there are is public, so that a set that all but few subjects are in isolates these few.
//!
//! 1. [`Space::offer`] computes the residual of each set in each of the bases ([`Plan`](crate::bases::Plan)).
//! 2. A residual that vanishes, which its fingerprint shows, adds no figure. The set is free, unless the cells' descriptions alone do not
//!    imply that it vanishes ([`CellBox`]): then the numbers would reveal that a region is empty.
//! 3. A residual about fewer than `k` subjects is a figure about them. The set isolates.
//! 4. Otherwise the set is certified, if each basis can be extended by a unit of a subject that is not in too many bases already. If not,
//!    there are too many figures about the same subjects.
//!
//! The proof is with [`Plan`](crate::bases::Plan). It does not depend on the attacker's ignorance. What does is that step 2 is right: the
//! tokens and primes are random and secret, and [`Space::false_derivation_bound`] bounds the error.

mod examine;
mod search;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use concordat_protocol::schema::VersionNumber;

use crate::bases::{Basis, Loads, Plan, Step};
use crate::boxes::CellBox;
use crate::epochs::{Epochs, EpochsError, Parts};
use crate::tokens::{self, Fingerprint, Tokens};
use crate::{Entropy, UnitSet};

/// The bounds of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceParameters {
    /// Each figure is about at least so many subjects; at least 2.
    pub k: u32,
    /// Ordinals of units are below it.
    pub universe: u32,
    /// How many linearly independent sets may be released, with the universe.
    pub distinctions: u32,
    /// How many bytes the bases may have.
    pub bytes: usize,
}

/// A set that was released, as it is stored.
#[derive(Clone, Debug)]
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
    /// That a region is empty.
    RevealsEmpty,
    /// Too many figures about the same subjects to exclude one about fewer than `k`.
    Dense,
    /// More independent sets than the space may have.
    NoBudget,
}

/// Which subject a unit belongs to.
pub trait OwnersOf {
    /// The subject of each of `units`, in their order; `None` for a unit without one. It must be the same at each call.
    fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>>;
}

/// The owners in a space of subjects: each unit is one.
#[derive(Clone, Copy, Debug)]
pub struct Themselves;

impl OwnersOf for Themselves {
    fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>> {
        units.iter().copied().map(Some).collect()
    }
}

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

/// An independent set with what is computed of it.
#[derive(Debug)]
struct Member {
    parts: Parts,
    fingerprint: Fingerprint,
    cell: CellBox,
}

/// What was released of one kind of units to one owner of memory.
pub struct Space {
    parameters: SpaceParameters,
    plan: Plan,
    epochs: Epochs,
    tokens: Tokens,
    members: Vec<Arc<Member>>,
    bases: Vec<Basis>,
    loads: Loads,
    /// A number drawn for this space, by which its offers know it.
    identity: [u8; 16],
}

impl Space {
    /// The space in which `released` were released in this order, with new random bases. The first set is the universe.
    ///
    /// All sets are kept, also if `k` is larger than at their release. If the bases then have no space left for further sets, only derivable
    /// ones are accepted.
    ///
    /// # Errors
    /// If the threshold, a set or a version is invalid, or there are fewer than `k` subjects.
    pub fn rebuild(
        parameters: SpaceParameters,
        released: &[ReleasedSet],
        epochs: Epochs,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, SpaceError> {
        let mut space = Self::empty(parameters, epochs, entropy)?;
        if released.is_empty() {
            return Err(SpaceError::NoUniverse);
        }
        examine::replay(&mut space, released, owners_of, entropy)?;
        Ok(space)
    }

    fn empty(parameters: SpaceParameters, epochs: Epochs, entropy: &mut dyn Entropy) -> Result<Self, SpaceError> {
        if parameters.k < 2 {
            return Err(SpaceError::Threshold(parameters.k));
        }
        let plan = Plan::of(parameters.k);
        let mut identity = [0; 16];
        entropy.fill(&mut identity);
        Ok(Self {
            parameters,
            plan,
            epochs,
            tokens: Tokens::draw(entropy),
            members: Vec::new(),
            bases: (0..plan.bases).map(|_| Basis::draw(entropy)).collect(),
            loads: Loads::default(),
            identity,
        })
    }

    /// Adds the next version of the data, in which `changed` units differ from the version before or are new; `universe` units exist now.
    ///
    /// # Errors
    /// If the version is not later than all others.
    pub fn add_version(&mut self, version: VersionNumber, changed: UnitSet, universe: u32) -> Result<(), SpaceError> {
        self.epochs.add(version, changed)?;
        self.parameters.universe = self.parameters.universe.max(universe);
        Ok(())
    }

    /// Verdicts in the given order; each certified set counts as released for the later ones. Nothing is changed: the result is committed
    /// or dropped. The same entropy leads to the same result.
    ///
    /// # Errors
    /// If a set goes beyond the universe or is of an unknown version.
    pub fn offer(
        &self,
        offered: &[Offered<'_>],
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<Offer, SpaceError> {
        examine::examine(self, offered, owners_of, entropy)
    }

    /// Counts the certified sets of an offer as released. To be called before the figures are shown and after the sets are durable.
    ///
    /// It computes for up to a second, and is to be run where blocking is allowed.
    ///
    /// # Errors
    /// If another offer was committed, or a version added, since this one was made. Nothing is changed then.
    pub fn commit(&mut self, offer: Offer) -> Result<(), SpaceError> {
        let latest = self.epochs.latest();
        if offer.identity != self.identity || offer.after != self.members.len() || offer.latest != latest {
            return Err(SpaceError::Stale);
        }
        for (basis, steps) in self.bases.iter_mut().zip(&offer.steps) {
            steps.iter().for_each(|step| basis.extend(step));
        }
        self.members.extend(offer.added);
        self.loads = offer.loads;
        Ok(())
    }

    /// How many more independent sets may be released.
    #[must_use]
    pub fn distinctions_left(&self) -> u32 {
        u32::try_from(self.limit().saturating_sub(self.members.len())).unwrap_or(u32::MAX)
    }

    /// The probability, at most, that an offered set is called derivable and is not; about 10^-18 at 512 sets.
    #[must_use]
    pub fn false_derivation_bound(&self) -> f64 {
        tokens::false_derivation_bound(self.members.len())
    }

    /// How many independent sets fit: into the budget, into the memory, and into the bases, which have `cap` units of a subject.
    fn limit(&self) -> usize {
        let SpaceParameters {
            distinctions,
            bytes,
            universe,
            ..
        } = self.parameters;
        let bases = self.plan.bases as u64;
        let by_memory = (bytes as u64 / 4 / bases).isqrt();
        let by_units = u64::from(universe) * u64::from(self.plan.cap) / bases;
        let least = u64::from(distinctions).min(by_memory).min(by_units);
        usize::try_from(least).unwrap_or(usize::MAX)
    }

    /// Whether the proof of [`Plan`] applies to the bases.
    fn is_extendable(&self) -> bool {
        self.loads.largest() <= self.plan.cap
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Space");
        shown.field("parameters", &self.parameters);
        shown.field("sets", &self.members.len()).finish_non_exhaustive()
    }
}

/// Verdicts that can be committed.
pub struct Offer {
    verdicts: Vec<Verdict>,
    added: Vec<Arc<Member>>,
    /// What each basis is extended by.
    steps: Vec<Vec<Step>>,
    loads: Loads,
    identity: [u8; 16],
    after: usize,
    latest: VersionNumber,
}

impl Offer {
    /// One verdict for each offered set, in their order.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Offer");
        shown.field("verdicts", &self.verdicts).finish_non_exhaustive()
    }
}
