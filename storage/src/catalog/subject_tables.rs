//! What a version stores about its subjects.

use arrow::error::ArrowError;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use tokio::runtime::Handle;

use super::{CatalogError, ObjectEntry, OpenCollection};
use crate::subjects::SubjectError;

/// The record batches of an object that stores something about subjects. Blocks.
pub(super) fn stored(
    runtime: &Handle,
    version: &OpenCollection,
    table: &ObjectEntry,
) -> Result<ParquetRecordBatchReader, CatalogError> {
    let read = async {
        let mut bytes = bytes::Bytes::new();
        for object in version.objects([table]) {
            bytes = version.object_store().get(&object.location).await?.bytes().await?;
        }
        Ok::<_, object_store::Error>(bytes)
    };
    let bytes = runtime.block_on(read)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(ParquetRecordBatchReaderBuilder::build);
    Ok(reader.map_err(|error| SubjectError::Read(ArrowError::from(error)))?)
}
