//! Of the records of a memory of rows, those of one version.
//!
//! The log of a dataset's rows has the records of all versions, in the order in which they were answered about. Rows are numbered within a
//! version, so sets of two versions are not compared. Sums are counted over all versions, as those of subjects are.

use concordat_disclosure::{Record, Replay};
use concordat_protocol::schema::VersionNumber;

/// Reads the records of one version.
#[derive(Debug)]
pub(super) struct RowRecords {
    version: VersionNumber,
    /// How many rows any version has had so far: no set has others.
    universe: u32,
    is_begun: bool,
    replay: Replay,
}

impl RowRecords {
    /// Those of `version`.
    pub(super) fn of(version: VersionNumber) -> Self {
        Self {
            version,
            universe: 0,
            is_begun: false,
            replay: Replay::default(),
        }
    }

    /// The next record. What is not a record makes the result invalid.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        match Record::from_untrusted(bytes, self.universe) {
            Ok(Record::Version { version, universe, .. }) => {
                self.universe = self.universe.max(universe);
                if version == self.version && !self.is_begun {
                    self.is_begun = true;
                    self.replay.read(bytes);
                }
            }
            Ok(Record::Set(set)) if set.version != self.version => {}
            Ok(Record::Set(_) | Record::Sums { .. } | Record::Answer(_) | Record::Spent(_)) | Err(_) => {
                self.replay.read(bytes);
            }
        }
    }

    /// What was read.
    pub(super) fn into_replay(self) -> Replay {
        self.replay
    }
}

#[cfg(test)]
mod tests {
    use concordat_disclosure::{CellBox, ReleasedSet, ReplayError, Space, SpaceLimits, Themselves, UnitSet};

    use super::super::entropy::OsEntropy;
    use super::*;

    const LIMITS: SpaceLimits = SpaceLimits {
        k: 5,
        distinctions: 512,
        bytes: 1 << 22,
    };

    fn begun(version: u64, universe: u32) -> [Vec<u8>; 2] {
        let version = VersionNumber::new(version);
        let first = Record::Version {
            version,
            universe,
            changed: UnitSet::new(),
        };
        [first, set(version, 0..universe)].map(|record| record.to_bytes())
    }

    fn set(version: VersionNumber, units: std::ops::Range<u32>) -> Record {
        Record::Set(ReleasedSet {
            units: units.collect(),
            version,
            cell: CellBox::everyone(),
        })
    }

    /// How many sets are left in the memory of a version; `None` if nothing was released of it.
    fn left(records: &[Vec<u8>], version: u64) -> Result<Option<u32>, ReplayError> {
        let mut read = RowRecords::of(VersionNumber::new(version));
        records.iter().for_each(|record| read.read(record));
        let replayed = read
            .into_replay()
            .finish(LIMITS, &mut Themselves, &mut OsEntropy::new().unwrap());
        replayed.map(|(_, space)| space.as_ref().map(Space::distinctions_left))
    }

    #[test]
    fn row_records_of_other_versions_do_not_count() {
        let mut records = begun(1, 40).to_vec();
        records.push(set(VersionNumber::new(1), 0..20).to_bytes());
        records.extend(begun(2, 60));
        let alone = |version, universe| left(&begun(version, universe), version).unwrap().unwrap();
        assert_eq!(left(&records, 1).unwrap(), Some(alone(1, 40) - 1));
        assert_eq!(left(&records, 2).unwrap(), Some(alone(2, 60)));
        assert_eq!(left(&records, 3).unwrap(), None);
    }

    #[test]
    fn row_records_after_another_version_count() {
        let mut records = begun(1, 40).to_vec();
        records.extend(begun(2, 60));
        let before = left(&records, 1).unwrap().unwrap();
        records.push(set(VersionNumber::new(1), 0..20).to_bytes());
        assert_eq!(left(&records, 1).unwrap(), Some(before - 1));
    }

    #[test]
    fn row_records_of_another_form_are_invalid() {
        let mut records = begun(1, 40).to_vec();
        records.push(b"not a record".to_vec());
        assert!(left(&records, 1).is_err());
        // A row that no version had.
        let mut records = begun(1, 40).to_vec();
        records.push(set(VersionNumber::new(1), 0..41).to_bytes());
        assert!(left(&records, 1).is_err());
    }
}
