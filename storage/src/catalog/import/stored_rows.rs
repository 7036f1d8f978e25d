//! The rows of a version, read again from its objects: a row group at a time, so the memory does not depend on the size of an object.

use std::{ops::Range, sync::Arc};

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::{
    arrow::{ParquetRecordBatchStreamBuilder, arrow_reader::ArrowReaderOptions, async_reader::AsyncFileReader},
    errors::ParquetError,
    file::metadata::{ParquetMetaData, ParquetMetaDataReader},
};
use tokio::runtime::Handle;

use super::{
    super::{DatasetManifest, OpenCollection},
    ImportError,
};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// Passes on the rows of a dataset as they are stored, in their order. An older object may have other columns than the version.
pub(super) fn for_each_stored(
    runtime: &Handle,
    version: &OpenCollection,
    dataset: &DatasetManifest,
    each: &mut dyn FnMut(&RecordBatch) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let store = version.object_store();
    for meta in version.objects(&dataset.objects) {
        let file = StoredFile {
            store: Arc::clone(&store),
            meta,
        };
        let opened = runtime.block_on(ParquetRecordBatchStreamBuilder::new(file));
        let opened = opened.and_then(|opened| opened.with_batch_size(BATCH_ROWS).build());
        let mut batches = opened.map_err(ImportError::stored)?;
        while let Some(batch) = runtime.block_on(batches.next()) {
            each(&batch.map_err(ImportError::stored)?)?;
        }
    }
    Ok(())
}

/// A Parquet file of a version.
struct StoredFile {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        Box::pin(async move {
            let read = self.store.get_range(&self.meta.location, range).await;
            read.map_err(of_store)
        })
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        Box::pin(async move {
            let read = self.store.get_ranges(&self.meta.location, &ranges).await;
            read.map_err(of_store)
        })
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let size = self.meta.size;
        let reader = ParquetMetaDataReader::new().with_arrow_reader_options(options);
        Box::pin(async move { Ok(Arc::new(reader.load_and_finish(self, size).await?)) })
    }
}

/// [`ImportError::stored`] finds it again.
fn of_store(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
