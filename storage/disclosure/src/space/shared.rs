//! The neighbors of the sets of one offer.

use std::collections::HashMap;

use super::error::SpaceError;
use super::sets::{Neighbor, Offered};
use super::state::Space;
use crate::UnitSet;
use crate::epochs::Parts;
use crate::tokens::Fingerprint;

/// The neighbors of all offered sets, each of them once: the cells of a table have those without one of its groups in common.
pub(super) struct Shared {
    /// By where the units are, which are borrowed as long as the offer is made.
    by_units: HashMap<*const UnitSet, usize>,
    sets: Vec<SharedSet>,
}

/// A neighbor.
pub(super) struct SharedSet {
    pub(super) parts: Parts,
    pub(super) fingerprint: Fingerprint,
    /// Whether it was found to isolate.
    pub(super) isolates: bool,
}

impl Shared {
    /// Those of these sets, without fingerprints.
    pub(super) fn of(space: &Space, offered: &[Offered<'_>]) -> Result<Self, SpaceError> {
        let mut shared = Self {
            by_units: HashMap::new(),
            sets: Vec::new(),
        };
        for set in offered {
            for neighbor in set.neighbors.iter().filter(|neighbor| neighbor.is_examined) {
                let at = std::ptr::from_ref(neighbor.units);
                if shared.by_units.contains_key(&at) {
                    continue;
                }
                shared.by_units.insert(at, shared.sets.len());
                shared.sets.push(SharedSet {
                    parts: space.split(neighbor.units.clone(), set.version)?,
                    fingerprint: Fingerprint::default(),
                    isolates: false,
                });
            }
        }
        Ok(shared)
    }

    /// The units, in the order in which [`Self::with`] takes their fingerprints.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Parts> {
        self.sets.iter().map(|set| &set.parts)
    }

    pub(super) fn with(mut self, fingerprints: Vec<Fingerprint>) -> Self {
        for (set, fingerprint) in self.sets.iter_mut().zip(fingerprints) {
            set.fingerprint = fingerprint;
        }
        self
    }

    pub(super) fn get(&mut self, neighbor: &Neighbor<'_>) -> Option<&mut SharedSet> {
        let at = self.by_units.get(&std::ptr::from_ref(neighbor.units))?;
        self.sets.get_mut(*at)
    }
}
