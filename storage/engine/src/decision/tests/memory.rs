//! Memories whose records are kept in lists.

use concordat_disclosure::{Entropy, OwnersOf, Themselves};
use futures::future::BoxFuture;

use super::limits;
use crate::{
    QueryError,
    decision::{
        RowOwners,
        memory::{AnsweredVersion, LockedMemory, NewMemory, UnitMemory},
    },
};

/// Bytes of a hash of a seed.
pub(super) struct Seeded(blake3::OutputReader);

impl Seeded {
    pub(super) fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

/// Each unit is its own subject.
#[derive(Default)]
pub(super) struct Own {
    pub(super) error: Option<QueryError>,
}

impl OwnersOf for Own {
    fn owners_of(&mut self, units: &[u32]) -> Vec<Option<u32>> {
        units.iter().copied().map(Some).collect()
    }
}

impl RowOwners for Own {
    fn take_error(&mut self) -> Option<QueryError> {
        self.error.take()
    }
}

/// A memory of subjects, and what is stored of it.
pub(super) struct Stored {
    pub(super) subjects: UnitMemory,
    pub(super) log: NewMemory,
    /// How often storing still succeeds.
    pub(super) fails_after: Option<u32>,
    /// Whether what is stored is in the memory.
    pub(super) is_complete: bool,
}

impl Stored {
    pub(super) fn new() -> Self {
        Self::of(NewMemory::default())
    }

    fn of(log: NewMemory) -> Self {
        let records = log.subjects.iter().map(Vec::as_slice);
        Self {
            subjects: UnitMemory::restored(records, limits(), &mut Themselves, &mut Seeded::new(1)).unwrap(),
            log,
            fails_after: None,
            is_complete: true,
        }
    }

    /// The memory that its records lead to.
    pub(super) fn restarted(&self) -> Self {
        Self::of(self.log.clone())
    }

    /// A memory that knows the version, and no answer.
    pub(super) fn begun() -> Self {
        let mut memory = Self::new();
        let version = AnsweredVersion {
            version: super::VERSION,
            universe: super::SUBJECTS,
            changed: None,
        };
        let begun = memory.subjects.begin(&version, &mut Themselves, &mut Seeded::new(1));
        assert_eq!(begun.unwrap().len(), 2);
        memory
    }
}

impl LockedMemory for Stored {
    fn memories(&mut self) -> (&mut UnitMemory, Option<&mut UnitMemory>) {
        (&mut self.subjects, None)
    }

    fn restore_rows(&mut self, _: &mut dyn OwnersOf, _: &mut dyn Entropy) -> Result<(), QueryError> {
        Ok(())
    }

    fn changing(&mut self) {
        self.is_complete = false;
    }

    fn store(&mut self, records: NewMemory) -> BoxFuture<'_, Result<(), QueryError>> {
        self.is_complete = false;
        let is_stored = self.fails_after != Some(0);
        self.fails_after = self.fails_after.map(|left| left.saturating_sub(1));
        let result = if is_stored {
            self.log.subjects.extend(records.subjects);
            self.log.rows.extend(records.rows);
            Ok(())
        } else {
            Err(QueryError::Memory)
        };
        Box::pin(std::future::ready(result))
    }

    fn complete(&mut self) {
        self.is_complete = true;
    }
}
