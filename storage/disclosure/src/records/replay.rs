//! A memory restored from its records.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use concordat_protocol::ids::Digest32;
use concordat_protocol::schema::VersionNumber;

use super::error::{RecordError, ReplayError};
use super::record::{Record, StoredAnswer};
use crate::answer::{Mode, Released};
use crate::boxes::CellBox;
use crate::cells::{AnsweredFigures, ReleasedSums};
use crate::space::{OwnersOf, ReleasedSet, Space, SpaceParameters};
use crate::time_class::TimeClass;
use crate::{Entropy, Epochs, UnitSet};

/// The variance of the noise of answers whose records do not state one: that of 32 answers, which was the shipped one when records began to. It
/// does not follow the default, which can change.
const UNSTATED_VARIANCE: u16 = 544;

/// The bounds of a memory, as they are now: those of its past answers may have been others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceLimits {
    /// See [`SpaceParameters::k`].
    pub k: u32,
    /// See [`SpaceParameters::distinctions`].
    pub distinctions: u32,
    /// See [`SpaceParameters::bytes`].
    pub bytes: usize,
}

/// What is known of an answer.
#[derive(Clone, Debug, PartialEq)]
struct KnownAnswer {
    released: Released,
    class: TimeClass,
    /// See [`StoredAnswer::variance`].
    variance: Option<NonZeroU16>,
}

/// What is known of past answers besides the sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    sums: ReleasedSums,
    answers: BTreeMap<Digest32, KnownAnswer>,
    spent: u64,
    latest: Option<VersionNumber>,
    universe: u32,
}

impl Known {
    /// Which sums were released over which sets.
    #[must_use]
    pub const fn sums(&self) -> &ReleasedSums {
        &self.sums
    }

    /// What was shown for a query.
    #[must_use]
    pub fn answer(&self, query: &Digest32) -> Option<&Released> {
        self.answers.get(query).map(|answer| &answer.released)
    }

    /// When the answer to a query leaves at the earliest.
    #[must_use]
    pub fn class(&self, query: &Digest32) -> Option<TimeClass> {
        self.answers.get(query).map(|answer| answer.class)
    }

    /// What was released with noise of each subject: the figures of all perturbed answers, one for each column.
    #[must_use]
    pub fn answered(&self) -> AnsweredFigures {
        let mut answered = AnsweredFigures::default();
        let perturbed = |answer: &&KnownAnswer| answer.released.mode() == Mode::Perturbed;
        for answer in self.answers.values().filter(perturbed) {
            let variance = answer.variance.map_or(UNSTATED_VARIANCE, NonZeroU16::get);
            answered.add(answer.released.columns().len() as u64, variance);
        }
        answered
    }

    /// The loss of privacy so far, in millionths of `rho`.
    #[must_use]
    pub const fn spent(&self) -> u64 {
        self.spent
    }

    /// The latest version that was answered about; `None` if there is no record yet.
    #[must_use]
    pub const fn latest(&self) -> Option<VersionNumber> {
        self.latest
    }

    /// How many units there are: ordinals are below this.
    #[must_use]
    pub const fn universe(&self) -> u32 {
        self.universe
    }

    /// Adds a record that is durable now. Sets and versions are also added to the space.
    ///
    /// # Errors
    /// [`RecordError`] if it does not follow the ones before.
    pub fn add(&mut self, record: Record) -> Result<(), RecordError> {
        match record {
            Record::Version { version, universe, .. } => {
                if self.latest.is_some_and(|latest| version <= latest) {
                    return Err(RecordError::Order(version));
                }
                self.latest = Some(version);
                self.universe = self.universe.max(universe);
            }
            Record::Set(_) => {}
            Record::Sums { set, figures } => self.sums.add(set, figures),
            Record::Answer(StoredAnswer {
                query,
                released,
                class,
                variance,
                ..
            }) => {
                // An answer is stored once; if it were stored again, the first one is what was shown first.
                self.answers.entry(query).or_insert(KnownAnswer {
                    released,
                    class,
                    variance,
                });
            }
            Record::Spent(rho) => self.spent = self.spent.checked_add(rho).ok_or(RecordError::Loss)?,
        }
        Ok(())
    }
}

/// Records of a memory, added in their order.
#[derive(Debug, Default)]
pub struct Replay {
    known: Known,
    epochs: Option<Epochs>,
    sets: Vec<ReleasedSet>,
    failed: Option<RecordError>,
}

impl Replay {
    /// The next record, for a caller that cannot stop between records: an error is returned by [`Self::finish`].
    pub fn read(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.add(bytes).err();
        }
    }

    /// The next record.
    ///
    /// # Errors
    /// [`RecordError`]: the memory is not restored then.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        let record = Record::from_untrusted(bytes, self.known.universe)?;
        match record {
            Record::Version {
                version, ref changed, ..
            } => self.add_version(version, changed)?,
            Record::Set(set) => return self.add_set(set),
            Record::Sums { .. } | Record::Answer(_) | Record::Spent(_) => {}
        }
        self.known.add(record)
    }

    fn add_version(&mut self, version: VersionNumber, changed: &UnitSet) -> Result<(), RecordError> {
        match &mut self.epochs {
            None if changed.is_empty() => self.epochs = Some(Epochs::new(version)),
            None => return Err(RecordError::Unknown),
            Some(epochs) => {
                let added = epochs.add(version, changed.clone());
                added.map_err(|_| RecordError::Order(version))?;
            }
        }
        Ok(())
    }

    fn add_set(&mut self, set: ReleasedSet) -> Result<(), RecordError> {
        let is_known = self.epochs.as_ref().is_some_and(|epochs| epochs.has(set.version));
        if !is_known {
            return Err(RecordError::Unknown);
        }
        let is_universe = set.cell == CellBox::everyone() && set.units == UnitSet::all(self.known.universe);
        if self.sets.is_empty() && !is_universe {
            return Err(RecordError::NoUniverse);
        }
        self.sets.push(set);
        Ok(())
    }

    /// The memory of the records, and its space; `None` if nothing was released, as in a memory without a record.
    ///
    /// # Errors
    /// [`ReplayError`] if the records do not lead to a space: nothing may be answered from the memory then.
    pub fn finish(
        self,
        limits: SpaceLimits,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<(Known, Option<Space>), ReplayError> {
        if let Some(error) = self.failed {
            return Err(error.into());
        }
        let Some(epochs) = self.epochs else {
            return Ok((self.known, None));
        };
        if self.sets.is_empty() {
            return Err(RecordError::NoUniverse.into());
        }
        let parameters = SpaceParameters {
            k: limits.k,
            universe: self.known.universe,
            distinctions: limits.distinctions,
            bytes: limits.bytes,
        };
        let space = Space::restored(parameters, self.sets, epochs, owners_of, entropy)?;
        Ok((self.known, Some(space)))
    }
}
