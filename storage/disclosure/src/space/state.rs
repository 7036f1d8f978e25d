//! What was released, and how it grows.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use concordat_protocol::schema::VersionNumber;

use super::error::SpaceError;
use super::sets::Verdict;
use crate::bases::{Basis, Loads, Plan, Positions, Step};
use crate::boxes::{CellBox, Condition};
use crate::epochs::{Epochs, Parts};
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

/// An independent set with what is computed of it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) parts: Parts,
    pub(super) fingerprint: Fingerprint,
    pub(super) cell: CellBox,
    pub(super) version: VersionNumber,
}

/// What was released of one kind of units to one owner of memory.
pub struct Space {
    pub(super) parameters: SpaceParameters,
    pub(super) plan: Plan,
    pub(super) epochs: Epochs,
    pub(super) tokens: Tokens,
    pub(super) members: Vec<Arc<Member>>,
    pub(super) bases: Vec<Basis>,
    pub(super) positions: Positions,
    pub(super) loads: Loads,
    /// A number drawn for this space, by which its offers know it.
    pub(super) identity: [u8; 16],
}

impl Space {
    /// The space of no sets, with random bases.
    pub(super) fn empty(
        parameters: SpaceParameters,
        epochs: Epochs,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, SpaceError> {
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
            positions: Positions::default(),
            loads: Loads::default(),
            identity,
        })
    }

    /// A set of a version, by epoch.
    pub(super) fn split(&self, units: UnitSet, version: VersionNumber) -> Result<Parts, SpaceError> {
        let universe = self.parameters.universe;
        if units.largest().is_some_and(|largest| largest >= universe) {
            return Err(SpaceError::Beyond { universe });
        }
        Ok(self.epochs.split_owned(units, version)?)
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
        for (at, (basis, steps)) in self.bases.iter_mut().zip(&offer.steps).enumerate() {
            for step in steps {
                self.positions.add(step.unit, at, basis.len());
                basis.extend(step);
            }
        }
        self.members.extend(offer.added);
        self.loads = offer.loads;
        Ok(())
    }

    /// How many more independent sets may be released.
    #[must_use]
    pub fn distinctions_left(&self) -> u32 {
        if !self.is_extendable() {
            return 0;
        }
        u32::try_from(self.limit().saturating_sub(self.members.len())).unwrap_or(u32::MAX)
    }

    /// How many independent sets may be released in all.
    #[must_use]
    pub fn distinctions(&self) -> u32 {
        u32::try_from(self.limit()).unwrap_or(u32::MAX)
    }

    /// The independent sets that were released, the universe first.
    pub(crate) fn released(&self) -> Vec<(Cow<'_, UnitSet>, &CellBox)> {
        let members = self.members.iter();
        members.map(|member| (member.parts.units(), &member.cell)).collect()
    }

    /// The descriptions of the sets of a version that were released, in the form in which two are compared.
    pub(crate) fn descriptions(&self, version: VersionNumber) -> Vec<Condition> {
        let members = self.members.iter().filter(|member| member.version == version);
        members.map(|member| member.cell.normal()).collect()
    }

    /// How many subjects each figure is about at least.
    pub(crate) fn threshold(&self) -> u32 {
        self.parameters.k
    }

    /// Which units changed in which version.
    pub(crate) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// The probability, at most, that an offered set is called derivable and is not; about 10^-18 at 512 sets.
    #[must_use]
    pub fn false_derivation_bound(&self) -> f64 {
        tokens::false_derivation_bound(self.members.len())
    }

    /// How many independent sets fit: into the budget, into the memory, and into the bases, which have `cap` units of a subject.
    pub(super) fn limit(&self) -> usize {
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
    pub(super) fn is_extendable(&self) -> bool {
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
    pub(super) verdicts: Vec<Verdict>,
    pub(super) added: Vec<Arc<Member>>,
    /// What each basis is extended by.
    pub(super) steps: Vec<Vec<Step>>,
    pub(super) loads: Loads,
    pub(super) identity: [u8; 16],
    pub(super) after: usize,
    pub(super) latest: VersionNumber,
    /// What it took.
    #[cfg(test)]
    pub(crate) spent: super::search::Spent,
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
