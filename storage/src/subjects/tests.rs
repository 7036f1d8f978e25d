//! Tests of several parts of the module together, against simple models.

mod digests;
mod memory;
mod owners;
mod proposals;
mod registry;
mod repeated_keys;
mod skewed;

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    error::ArrowError,
};
use concordat_keys::{PseudonymSecret, SubjectsKey};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::StoredBatches;

fn key() -> Arc<SubjectsKey> {
    key_of(1)
}

fn key_of(byte: u8) -> Arc<SubjectsKey> {
    Arc::new(PseudonymSecret::dangerous_of_vector([byte; 32]).subjects_key())
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn wholes(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// What was stored, written to Parquet and read again.
fn stored(batches: StoredBatches) -> Vec<Result<RecordBatch, ArrowError>> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batches.schema(), None).unwrap();
    for batch in batches {
        writer.write(&batch.unwrap()).unwrap();
    }
    let bytes = bytes::Bytes::from(writer.into_inner().unwrap());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    reader.with_batch_size(1_000).build().unwrap().collect()
}
