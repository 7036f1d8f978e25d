//! What conditions and groups may distinguish in each column, proposed from the rows.
//!
//! What is proposed depends on the values of at least k subjects on each side of it, and each subject counts once: one with a million rows
//! has no more effect than one with a single row.
//!
//! 1. Only rows of a sample of subjects are observed: those with the smallest keyed hashes of their ordinals. At least k of the sample are
//!    at least k of all.
//! 2. Of the numbers and days of a subject in a column, one is chosen by a keyed hash. Edges are round numbers with at least k of these
//!    between them: at equal steps, or near the quantiles where most numbers would be between two of them, so that outliers are beyond the
//!    last. If a few whole numbers are those of most subjects, each is distinguished from those beside it, too. A range is that of all but
//!    the k smallest and the k largest, rounded outward to one digit: it depends on the value of no single subject.
//! 3. Of texts and whole numbers, the different values are kept, or those with the smallest keyed hashes if there are many, each with up to
//!    k of its subjects. Values with k subjects are listed; if they are too many, the ones that most subjects have are.
//! 4. Nothing is proposed for a column of texts in which a value has fewer than two subjects on average, or of whole numbers that are
//!    hardly ever those of two subjects: these are names and numbers of persons, visits or samples. A column that is declared to have codes
//!    is none of these.
//!
//! The result is a function of the rows and their owners: neither the order of the rows nor the batches matter. There is one exception: a
//! column with more values than are kept, in a dataset with more subjects than the sample, may have them in one order and not in another.

mod decide;
mod edges;
mod frequent;
mod kept;
mod levels;
mod numbers;
mod observed;
mod quantiles;
mod round_numbers;
mod sample;
mod values;
mod whole_bands;

use arrow::{array::UInt32Array, datatypes::Schema, record_batch::RecordBatch};
use concordat_keys::SubjectsKey;

use super::{SubjectError, column::Column, row_hash::SipHash};
use crate::ingest::SUBJECT_COLUMN;
use decide::proposal;
pub use levels::{ColumnProposal, ProposedLevels, ProposedRange};
use observed::{Context, Observed, ObservedColumn};
use sample::{Sample, SampleLimits};

/// Observes the rows of one dataset.
pub struct Proposals {
    hash: SipHash,
    /// Subjects on each side of what is proposed.
    least: usize,
    subjects: Sample,
    columns: Vec<ObservedColumn>,
}

impl std::fmt::Debug for Proposals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proposals")
            .field("columns", &self.columns.len())
            .finish_non_exhaustive()
    }
}

impl Proposals {
    /// For a dataset with these columns, and at least `least` subjects on each side of what is proposed; fewer than 2 are taken as 2.
    #[must_use]
    pub fn new(key: &SubjectsKey, schema: &Schema, least: u32) -> Self {
        let named = schema.fields().iter().enumerate();
        let columns: Vec<ObservedColumn> = named
            .filter(|(_, field)| field.name() != SUBJECT_COLUMN)
            .map(|(index, field)| ObservedColumn {
                index,
                name: field.name().clone(),
                is_coded: false,
                observed: Observed::Empty,
            })
            .collect();
        Self {
            hash: SipHash::new(key.row_hash_key(b"sample of subjects and values")),
            least: usize::try_from(least.max(2)).unwrap_or(usize::MAX),
            subjects: Sample::new(SampleLimits::of(columns.len())),
            columns,
        }
    }

    /// For columns with codes of an open list, by their positions: of these only the list of codes is proposed.
    #[must_use]
    pub fn with_codes(mut self, coded: &[usize]) -> Self {
        for column in &mut self.columns {
            column.is_coded = coded.contains(&column.index);
        }
        self
    }

    /// Observes rows, with the owners that [`OwnerResolver`](super::OwnerResolver) found. Rows without an owner have no effect.
    ///
    /// # Errors
    /// [`SubjectError::Lengths`], [`SubjectError::NoColumn`] and [`SubjectError::Type`].
    pub fn observe(&mut self, batch: &RecordBatch, owners: &UInt32Array) -> Result<(), SubjectError> {
        if batch.num_rows() != owners.len() {
            return Err(SubjectError::Lengths {
                rows: batch.num_rows(),
                others: owners.len(),
            });
        }
        let rows = self.subjects.rows(owners, self.hash);
        let columns = self.columns.len();
        for column in &mut self.columns {
            let array = batch.columns().get(column.index);
            let array = array.ok_or(SubjectError::NoColumn { column: column.index })?;
            let values = Column::of(&column.name, array)?;
            column.observe(&values, &rows, Context::new(self.hash, self.least, columns));
        }
        Ok(())
    }

    /// What is proposed, for each column in their order.
    #[must_use]
    pub fn finish(self) -> Vec<ColumnProposal> {
        let columns = self.columns.into_iter();
        columns
            .map(|column| proposal(column, &self.subjects, self.least))
            .collect()
    }
}
