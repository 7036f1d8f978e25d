//! The keys by which cells are decided.

use std::fmt;

use concordat_protocol::schema::VersionNumber;

use crate::perturbation::{CellKey, CellSecret};
use crate::tokens::RecordKeys;
use crate::{Epochs, EpochsError, UnitSet};

/// Secret of a collection to the secret of the record keys of its subjects. It never changes.
const SUBJECTS: &[u8] = b"concordat/1 record keys of subjects";
/// Secret of a collection to the secret of the record keys of the rows of one of its datasets. It never changes.
const ROWS: &[u8] = b"concordat/1 record keys of rows";

/// The keys of the cells of a collection, one for all consumers: with different ones two institutions could compare their noise.
pub struct CellKeys {
    secret: CellSecret,
    subjects: RecordKeys,
    rows: RecordKeys,
}

impl CellKeys {
    /// Those of a collection's secret. `rows_of` is the dataset whose rows are counted: a set of rows of another one with the same numbers
    /// has another key.
    #[must_use]
    pub fn new(secret: CellSecret, rows_of: &str) -> Self {
        let subjects = RecordKeys::new(&secret.derive(SUBJECTS, b""));
        let rows = RecordKeys::new(&secret.derive(ROWS, rows_of.as_bytes()));
        Self { secret, subjects, rows }
    }

    /// The keys of sets of subjects.
    pub(super) fn of_subjects(
        &self,
        sets: &[&UnitSet],
        version: VersionNumber,
        epochs: &Epochs,
    ) -> Result<Vec<CellKey>, EpochsError> {
        let sums = self.subjects.sums(sets, version, epochs)?;
        Ok(sums.into_iter().map(|sum| self.secret.cell_key(sum)).collect())
    }

    /// The keys of sets of rows.
    pub(super) fn of_rows(
        &self,
        sets: &[&UnitSet],
        version: VersionNumber,
        epochs: &Epochs,
    ) -> Result<Vec<CellKey>, EpochsError> {
        let sums = self.rows.sums(sets, version, epochs)?;
        Ok(sums.into_iter().map(|sum| self.secret.cell_key(sum)).collect())
    }
}

impl fmt::Debug for CellKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CellKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_keys_of_subjects_and_rows_are_unrelated() {
        let of = |secret: u8, dataset: &str| CellKeys::new(CellSecret::new([secret; 32]), dataset);
        let (epochs, version) = (Epochs::new(VersionNumber::FIRST), VersionNumber::FIRST);
        let units = UnitSet::from_iter([1, 2, 3]);
        let subjects = |keys: &CellKeys| keys.of_subjects(&[&units], version, &epochs).unwrap();
        let rows = |keys: &CellKeys| keys.of_rows(&[&units], version, &epochs).unwrap();
        let (drugs, conditions) = (of(1, "drugs"), of(1, "conditions"));
        assert!(
            subjects(&drugs) == subjects(&conditions),
            "subjects are those of the collection"
        );
        assert!(rows(&drugs) != rows(&conditions));
        assert!(rows(&drugs) != subjects(&drugs));
        assert!(subjects(&drugs) != subjects(&of(2, "drugs")));
        assert_eq!(format!("{drugs:?}"), "CellKeys(..)");
    }
}
