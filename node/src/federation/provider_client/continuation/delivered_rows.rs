//! The rows that a reader has, as a number and a digest.
//!
//! Each row is encoded by its values alone, so it does not matter how rows were divided into batches, or how a batch lays out its bytes.
//! The encoding is Arrow's row format: a value, an empty text and a missing value differ, and each column ends by itself, so that no two
//! rows of the same columns have the same bytes. A length goes before each row.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::row::{RowConverter, Rows, SortField};

use crate::federation::error::FederationError;

/// Rows that are encoded at a time, so that the memory for it does not grow with the batches of a provider.
const ENCODED_ROWS: usize = 1024;

/// Rows that were delivered one after the other. None of them is kept.
pub(super) struct DeliveredRows {
    converter: RowConverter,
    encoded: Rows,
    /// The encoded rows, one after the other.
    bytes: Vec<u8>,
    /// It is compared here and goes nowhere.
    digest: blake3::Hasher,
    number: u64,
}

impl DeliveredRows {
    /// No rows yet, of these columns.
    ///
    /// # Errors
    /// [`FederationError::Machine`] if a type cannot be encoded; every type of an answer can.
    pub(super) fn none(schema: &Schema) -> Result<Self, FederationError> {
        let columns = schema.fields().iter();
        let columns = columns.map(|field| SortField::new(field.data_type().clone()));
        let converter = RowConverter::new(columns.collect()).map_err(unencodable)?;
        Ok(Self {
            encoded: converter.empty_rows(0, 0),
            converter,
            bytes: Vec::new(),
            digest: blake3::Hasher::new(),
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
        let rows = batch.num_rows();
        for start in (0..rows).step_by(ENCODED_ROWS) {
            let part = batch.slice(start, rows.saturating_sub(start).min(ENCODED_ROWS));
            self.encoded.clear();
            let encoded = self.converter.append(&mut self.encoded, part.columns());
            encoded.map_err(unencodable)?;
            self.bytes.clear();
            for row in &self.encoded {
                let length = u64::try_from(row.data().len()).unwrap_or(u64::MAX);
                self.bytes.extend(length.to_le_bytes());
                self.bytes.extend_from_slice(row.data());
            }
            self.digest.update(&self.bytes);
        }
        self.number = self.number.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Whether both are the same rows in the same order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.number == other.number && self.digest.finalize() == other.digest.finalize()
    }
}

fn unencodable(error: ArrowError) -> FederationError {
    FederationError::machine("the rows of an answer cannot be compared", error)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

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
        rows.digest.finalize().into()
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
        let rows = 2 * ENCODED_ROWS + 17;
        let numbers: Int64Array = (0_i64..).take(rows).map(|n| (n % 5 != 0).then_some(n)).collect();
        let texts: StringArray = (0..rows).map(|n| (n % 7 != 0).then(|| "x".repeat(n % 70))).collect();
        let (numbers, texts): (ArrayRef, ArrayRef) = (Arc::new(numbers), Arc::new(texts));
        let all = batch(vec![("number", numbers), ("text", texts)]);
        let whole = digest(std::slice::from_ref(&all));
        for size in [1, 7, 1000, ENCODED_ROWS, ENCODED_ROWS + 1] {
            let parts: Vec<_> = (0..rows)
                .step_by(size)
                .map(|start| all.slice(start, size.min(rows - start)))
                .collect();
            assert_eq!(digest(&parts), whole, "batches of {size}");
        }
        assert_ne!(digest(&[all.slice(0, rows - 1)]), whole);
    }
}
