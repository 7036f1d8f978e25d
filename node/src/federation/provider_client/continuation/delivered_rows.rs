//! The rows that a reader has, as a number and a digest.
//!
//! Each column is digested by its values alone, so it does not matter how rows were divided into batches, or how a batch lays out its bytes:
//! what lies behind a missing value is left out. The values of a column follow one another, and a second digest determines where each begins and
//! which are missing, so that other rows of the same columns have other digests.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::error::ArrowError;

use crate::federation::error::FederationError;

/// Stands for the length of a text that is missing; no text is as long.
const MISSING: i32 = -1;

/// Rows that were delivered one after the other. None of them is kept.
pub(super) struct DeliveredRows {
    columns: Vec<ColumnDigest>,
    number: u64,
}

/// What is digested of a column. It is compared here and goes nowhere.
struct ColumnDigest {
    kind: Kind,
    /// The values that are not missing, one after the other.
    values: blake3::Hasher,
    /// The lengths of texts; of other values, the numbers of the rows in which one is missing.
    structure: blake3::Hasher,
}

/// How values are digested.
#[derive(Clone, Copy)]
enum Kind {
    /// All are missing.
    Empty,
    Bits,
    /// Values of this many bytes.
    Fixed(usize),
    Text,
}

impl DeliveredRows {
    /// No rows yet, of these columns.
    ///
    /// # Errors
    /// [`FederationError::Machine`] if a type cannot be digested; every type of an answer can.
    pub(super) fn none(schema: &Schema) -> Result<Self, FederationError> {
        let columns = schema.fields().iter();
        let columns: Result<Vec<_>, _> = columns.map(|field| ColumnDigest::none(field.data_type())).collect();
        Ok(Self {
            columns: columns?,
            number: 0,
        })
    }

    /// How many they are.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Adds the next rows.
    ///
    /// # Errors
    /// [`FederationError::Machine`] if they have other columns.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), FederationError> {
        if batch.num_columns() != self.columns.len() {
            return Err(incomparable("another number of columns"));
        }
        for (digest, column) in self.columns.iter_mut().zip(batch.columns()) {
            digest.add(column, self.number)?;
        }
        let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        self.number = self.number.saturating_add(rows);
        Ok(())
    }

    /// Whether both are the same rows in the same order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.number == other.number && self.digest() == other.digest()
    }

    fn digest(&self) -> blake3::Hash {
        let mut all = blake3::Hasher::new();
        for column in &self.columns {
            all.update(column.values.finalize().as_bytes());
            all.update(column.structure.finalize().as_bytes());
        }
        all.finalize()
    }
}

impl ColumnDigest {
    fn none(kind: &DataType) -> Result<Self, FederationError> {
        Ok(Self {
            kind: Kind::of(kind)?,
            values: blake3::Hasher::new(),
            structure: blake3::Hasher::new(),
        })
    }

    /// Adds the values of `column`, the first of which is in the row of the number `first`.
    fn add(&mut self, column: &ArrayRef, first: u64) -> Result<(), FederationError> {
        match self.kind {
            Kind::Empty => return Ok(()),
            Kind::Bits => self.add_bits(column)?,
            Kind::Fixed(width) => self.add_fixed(column, width)?,
            Kind::Text => return self.add_texts(column),
        }
        if let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) {
            let missing = (first..).zip(nulls).filter(|(_, is_valid)| !is_valid);
            for (row, _) in missing {
                self.structure.update(&row.to_le_bytes());
            }
        }
        Ok(())
    }

    fn add_bits(&mut self, column: &ArrayRef) -> Result<(), FederationError> {
        let column = column.as_boolean_opt().ok_or_else(other_type)?;
        let values: Vec<u8> = column.iter().flatten().map(u8::from).collect();
        self.values.update(&values);
        Ok(())
    }

    fn add_fixed(&mut self, column: &ArrayRef, width: usize) -> Result<(), FederationError> {
        let data = column.to_data();
        let values = data.buffers().first().ok_or_else(other_type)?;
        let end = data.offset().saturating_add(data.len());
        let bytes = data.offset().saturating_mul(width)..end.saturating_mul(width);
        let values = values.get(bytes).ok_or_else(other_type)?;
        for (start, end) in present(column) {
            let part = start.saturating_mul(width)..end.saturating_mul(width);
            self.values.update(values.get(part).ok_or_else(other_type)?);
        }
        Ok(())
    }

    fn add_texts(&mut self, column: &ArrayRef) -> Result<(), FederationError> {
        let texts = column.as_string_opt::<i32>().ok_or_else(other_type)?;
        let offsets = texts.value_offsets();
        let lengths = offsets.iter().zip(offsets.iter().skip(1));
        let lengths = lengths.map(|(start, end)| end.saturating_sub(*start));
        let lengths: Vec<[u8; 4]> = match texts.nulls() {
            None => lengths.map(i32::to_le_bytes).collect(),
            Some(nulls) => {
                let stated = lengths.zip(nulls);
                let stated = stated.map(|(length, is_valid)| if is_valid { length } else { MISSING });
                stated.map(i32::to_le_bytes).collect()
            }
        };
        self.structure.update(lengths.as_flattened());
        let offset = |row: usize| offsets.get(row).and_then(|offset| usize::try_from(*offset).ok());
        for (start, end) in present(column) {
            let part = offset(start).zip(offset(end)).map(|(start, end)| start..end);
            let part = part.and_then(|part| texts.value_data().get(part));
            self.values.update(part.ok_or_else(other_type)?);
        }
        Ok(())
    }
}

impl Kind {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other types of answers have a width")]
    fn of(kind: &DataType) -> Result<Self, FederationError> {
        match kind {
            DataType::Null => Ok(Self::Empty),
            DataType::Boolean => Ok(Self::Bits),
            DataType::Utf8 => Ok(Self::Text),
            other => other.primitive_width().map(Self::Fixed).ok_or_else(other_type),
        }
    }
}

/// The runs of rows in which no value is missing, as the first and the one after the last.
fn present(column: &ArrayRef) -> Vec<(usize, usize)> {
    match column.nulls() {
        Some(nulls) => nulls.valid_slices().collect(),
        None => vec![(0, column.len())],
    }
}

fn other_type() -> FederationError {
    incomparable("another type")
}

fn incomparable(found: &str) -> FederationError {
    let error = ArrowError::SchemaError(found.to_owned());
    FederationError::machine("the rows of an answer cannot be compared", error)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
    use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};

    use super::*;
    use crate::federation::testing::batch;

    /// Texts that look alike once they are joined, with whatever separator.
    const TEXTS: [Option<&str>; 7] = [
        None,
        Some(""),
        Some("a"),
        Some("aa"),
        Some(","),
        Some("\0"),
        Some("a longer text that takes more than one block of the encoding"),
    ];

    fn digest(batches: &[RecordBatch]) -> [u8; 32] {
        let mut rows = DeliveredRows::none(&batches[0].schema()).unwrap();
        for batch in batches {
            rows.add(batch).unwrap();
        }
        rows.digest().into()
    }

    #[test]
    fn delivered_rows_of_other_values_have_another_digest() {
        let mut seen = BTreeMap::new();
        let mut tables = 0;
        for rows in 0..=2_u32 {
            for number in 0..TEXTS.len().pow(2 * rows) {
                let cell = |at: u32| TEXTS[number / TEXTS.len().pow(at) % TEXTS.len()];
                let column = |from: u32| -> ArrayRef {
                    let cells: Vec<_> = (0..rows).map(|row| cell(2 * row + from)).collect();
                    Arc::new(StringArray::from(cells))
                };
                let table = batch(vec![("one", column(0)), ("two", column(1))]);
                let before = seen.insert(digest(&[table]), (rows, number));
                assert_eq!(before, None, "{rows} rows, table {number}");
                tables += 1;
            }
        }
        assert_eq!(tables, 1 + 49 + 2401);
    }

    #[test]
    fn delivered_rows_of_other_numbers_have_another_digest() {
        let numbers = [
            None,
            Some(0.0),
            Some(-0.0),
            Some(f64::NAN),
            Some(-f64::NAN),
            Some(f64::INFINITY),
        ];
        let digests = numbers.map(|number| {
            let column: ArrayRef = Arc::new(Float64Array::from(vec![number]));
            digest(&[batch(vec![("number", column)])])
        });
        assert_eq!(BTreeSet::from(digests).len(), numbers.len());
    }

    #[test]
    fn delivered_rows_have_one_digest_in_batches_of_any_size() {
        let rows = 2065;
        let numbers: Int64Array = (0_i64..).take(rows).map(|n| (n % 5 != 0).then_some(n)).collect();
        let texts: StringArray = (0..rows).map(|n| (n % 7 != 0).then(|| "x".repeat(n % 70))).collect();
        let flags: BooleanArray = (0..rows).map(|n| (n % 3 != 0).then_some(n % 2 == 0)).collect();
        let full: Int64Array = (0_i64..).take(rows).map(Some).collect();
        let all = batch(vec![
            ("number", Arc::new(numbers) as ArrayRef),
            ("text", Arc::new(texts)),
            ("flag", Arc::new(flags)),
            ("full", Arc::new(full)),
        ]);
        let whole = digest(std::slice::from_ref(&all));
        for size in [1, 7, 64, 1000, 1024, 1025] {
            let parts: Vec<_> = (0..rows)
                .step_by(size)
                .map(|start| all.slice(start, size.min(rows - start)))
                .collect();
            assert_eq!(digest(&parts), whole, "batches of {size}");
        }
        assert_ne!(digest(&[all.slice(0, rows - 1)]), whole);
    }

    #[test]
    fn delivered_rows_of_other_flags_have_another_digest() {
        let flags = [None, Some(false), Some(true)];
        let mut digests = BTreeSet::new();
        for one in flags {
            for two in flags {
                let column: ArrayRef = Arc::new(BooleanArray::from(vec![one, two]));
                digests.insert(digest(&[batch(vec![("flag", column)])]));
            }
        }
        assert_eq!(digests.len(), 9);
    }

    #[test]
    fn delivered_rows_ignore_what_lies_behind_missing_values() {
        let missing = || Some(NullBuffer::from(vec![true, false, true]));
        let numbers = |hidden: i64| -> ArrayRef { Arc::new(Int64Array::new(vec![1, hidden, 3].into(), missing())) };
        let texts = |text: &'static str, offsets: [i32; 4]| -> ArrayRef {
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets.to_vec()));
            Arc::new(StringArray::new(offsets, text.as_bytes().into(), missing()))
        };
        let one = batch(vec![("number", numbers(0)), ("text", texts("ac", [0, 1, 1, 2]))]);
        let other = batch(vec![("number", numbers(7)), ("text", texts("abbc", [0, 1, 3, 4]))]);
        assert_eq!(digest(&[one]), digest(&[other]));
    }
}
