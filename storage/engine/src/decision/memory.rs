//! What was answered, while an answer is decided.
//!
//! One answer at a time is decided for an owner of memory ([`AnswerMemory::locked`]). Its records are durable before it leaves
//! ([`LockedMemory::store`]), and its sets are added to the spaces after that. If storing fails, the memory has to be restored from its records:
//! what was not stored was not released.

use concordat_disclosure::{
    CellBox, Entropy, Known, LossBudget, Offer, Offered, OwnersOf, Record, ReleasedSet, Replay, ReplayError, Reserved,
    Space, SpaceLimits, SpaceParameters, Spent, UnitSet, Verdict,
};
use concordat_protocol::{
    ids::DatasetName,
    schema::VersionNumber,
    scope::{Loss, MicroRho},
};
use futures::future::BoxFuture;

use super::grid::malformed;
use crate::QueryError;

/// The memories of a collection for one owner.
pub trait AnswerMemory: Send + Sync {
    /// Waits until no other answer is decided for this owner. `rows_of` is the dataset whose rows are counted.
    ///
    /// The future fails if the memory cannot be restored: nothing is answered then.
    fn locked<'a>(
        &'a self,
        rows_of: Option<&'a DatasetName>,
    ) -> BoxFuture<'a, Result<Box<dyn LockedMemory + 'a>, QueryError>>;
}

/// Memories while one answer is decided.
///
/// An answer can be dropped at any time, because its permission or its time ends. If it is dropped after [`Self::changing`] or
/// [`Self::store`] and before [`Self::complete`], memories and records may differ, and the memories are restored from their records.
pub trait LockedMemory: Send {
    /// That of sets of subjects, and that of sets of the rows that are counted, once it is restored.
    fn memories(&mut self) -> (&mut UnitMemory, Option<&mut UnitMemory>);

    /// Restores the memory of the rows that are counted, unless it is. Which sets of rows can be released depends on the subjects that the rows
    /// belong to, and only a process that reads them knows these. What `owners_of` cannot find out is an error of its own, which the caller
    /// looks for first.
    ///
    /// # Errors
    /// [`QueryError`] if the memory cannot be restored: nothing is answered then.
    fn restore_rows(&mut self, owners_of: &mut dyn OwnersOf, entropy: &mut dyn Entropy) -> Result<(), QueryError>;

    /// From here on memories may have what is not stored, until [`Self::complete`].
    fn changing(&mut self);

    /// Makes records durable, together with whatever else the release of the answer requires. If it fails, the memories are not used again.
    fn store(&mut self, records: NewMemory) -> BoxFuture<'_, Result<(), QueryError>>;

    /// What was stored is in the memories now.
    fn complete(&mut self);
}

/// Encoded records, in the order in which they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMemory {
    /// Of the memory of subjects.
    pub subjects: Vec<Vec<u8>>,
    /// Of the memory of rows.
    pub rows: Vec<Vec<u8>>,
}

/// The memory of one kind of units.
#[derive(Debug)]
pub struct UnitMemory {
    known: Known,
    space: Option<Space>,
    limits: SpaceLimits,
}

/// The version that an answer is about.
#[derive(Clone, Debug)]
pub struct AnsweredVersion {
    /// Its number.
    pub version: VersionNumber,
    /// How many units it has.
    pub universe: u32,
    /// The units that differ from the latest version that the memory knows, or are new. `None` if that is not known: then all are
    /// other ones.
    pub changed: Option<UnitSet>,
}

impl UnitMemory {
    /// The memory of these records.
    ///
    /// # Errors
    /// [`ReplayError`] if they are not those of a memory.
    pub fn restored<'r>(
        records: impl IntoIterator<Item = &'r [u8]>,
        limits: SpaceLimits,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, ReplayError> {
        let mut replay = Replay::default();
        for record in records {
            replay.add(record)?;
        }
        Self::replayed(replay, limits, owners_of, entropy)
    }

    /// The memory of records that were added one by one, as they were read.
    ///
    /// # Errors
    /// As [`Self::restored`].
    pub fn replayed(
        replay: Replay,
        limits: SpaceLimits,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, ReplayError> {
        let (known, space) = replay.finish(limits, owners_of, entropy)?;
        Ok(Self { known, space, limits })
    }

    /// What is known besides the sets.
    #[must_use]
    pub const fn known(&self) -> &Known {
        &self.known
    }

    /// How many more independent sets may be released; `None` before the first answer.
    #[must_use]
    pub fn distinctions_left(&self) -> Option<u32> {
        self.space.as_ref().map(Space::distinctions_left)
    }

    /// Reserves loss of privacy within `limits`, of which everything counts that was reserved before. Returns the record, which is stored before
    /// anything is drawn with what is reserved; until then memory and records differ.
    ///
    /// # Errors
    /// [`Spent`] if that is more than is left: nothing is reserved then.
    pub fn reserve(&mut self, limits: Loss, rho: MicroRho) -> Result<(Reserved, Vec<u8>), Spent> {
        let mut budget = LossBudget::resumed(limits, self.known.spent());
        let reserved = budget.spend(rho)?;
        let record = Record::Spent(rho.get());
        let bytes = record.to_bytes();
        // What is spent is at most the limit, so the sum is a number.
        let beyond = Spent::Total {
            left: 0,
            total: limits.total().get(),
            asked: rho.get(),
        };
        self.known.add(record).map_err(|_| beyond)?;
        Ok((reserved, bytes))
    }

    /// Makes the memory one of this version too. Returns what has to be stored before an answer about it.
    ///
    /// The units of a later version are offered like any set. If they differ from those before in few, they isolate these: then the ones before
    /// do their work.
    pub(super) fn begin(
        &mut self,
        of: &AnsweredVersion,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Record>, QueryError> {
        if self.known.latest().is_some_and(|latest| of.version <= latest) {
            // An answer about an older version that the memory knows; one that it does not know is refused by the space.
            return Ok(Vec::new());
        }
        let all = ReleasedSet {
            units: UnitSet::all(of.universe),
            version: of.version,
            cell: CellBox::everyone(),
        };
        let is_first = self.space.is_none();
        let changed = match &of.changed {
            _ if is_first => UnitSet::new(),
            Some(changed) => changed.clone(),
            None => all.units.clone(),
        };
        let version = Record::Version {
            version: of.version,
            universe: of.universe,
            changed: changed.clone(),
        };
        let mut records = vec![version];
        if is_first {
            self.space = Some(self.first(&all, owners_of, entropy)?);
            records.push(Record::Set(all));
        } else if let Some(space) = &mut self.space {
            let added = space.add_version(of.version, changed, of.universe);
            added.map_err(|_| malformed())?;
            let offered = Offered {
                units: &all.units,
                version: all.version,
                cell: &all.cell,
                neighbors: &[],
                is_withheld: false,
            };
            let offer = space.offer(&[offered], owners_of, entropy);
            let offer = offer.map_err(|_| malformed())?;
            if offer.verdicts() == [Verdict::Certified] {
                space.commit(offer).map_err(|_| malformed())?;
                records.push(Record::Set(all));
            }
        }
        for record in &records {
            self.known.add(record.clone()).map_err(|_| malformed())?;
        }
        Ok(records)
    }

    fn first(
        &self,
        all: &ReleasedSet,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<Space, QueryError> {
        let parameters = SpaceParameters {
            k: self.limits.k,
            universe: u32::try_from(all.units.len()).map_err(|_| malformed())?,
            distinctions: self.limits.distinctions,
            bytes: self.limits.bytes,
        };
        let epochs = concordat_disclosure::Epochs::new(all.version);
        let space = Space::rebuild(parameters, std::slice::from_ref(all), epochs, owners_of, entropy);
        space.map_err(|_| too_few())
    }

    /// The space; `None` before [`Self::begin`].
    pub(super) const fn space(&self) -> Option<&Space> {
        self.space.as_ref()
    }

    /// Adds what was stored: the sets of an offer, and records.
    pub(super) fn commit(&mut self, offer: Option<Offer>, records: Vec<Record>) -> Result<(), QueryError> {
        if let (Some(space), Some(offer)) = (&mut self.space, offer) {
            space.commit(offer).map_err(|_| malformed())?;
        }
        for record in records {
            self.known.add(record).map_err(|_| malformed())?;
        }
        Ok(())
    }
}

/// Nothing about a collection with so few subjects may be released, and that there are so few is known.
fn too_few() -> QueryError {
    QueryError::Reported {
        kind: concordat_protocol::error_kind::ErrorKind::Denied,
        text: "the collection has fewer subjects than the smallest cell".to_owned(),
    }
}
