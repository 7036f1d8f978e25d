//! The same rows as plain Parquet, read by DataFusion with the settings of the product.

use std::{path::Path as FsPath, sync::Arc};

use concordat_storage::{catalog::Collection as _, objects::DurableStore};
use datafusion::{
    arrow::array::RecordBatch,
    datasource::{
        file_format::parquet::ParquetFormat,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
        physical_plan::parquet::transform_schema_to_view,
    },
    prelude::{SessionConfig, SessionContext},
};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use super::clinic::{Clinic, dataset};
use super::data::DATASETS;

/// Rows in a batch, and parts of a query that run at the same time, as in the product.
const BATCH_ROWS: usize = 32 * 1024;
const PARTITIONS: usize = 2;

/// DataFusion over copies of all datasets, which are in `DIR/plain/DATASET` afterwards.
pub(crate) async fn session(dir: &FsPath, clinic: &Clinic) -> SessionContext {
    let config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(PARTITIONS);
    let session = SessionContext::new_with_config(config);
    // One store: DataFusion keeps what it has read of a file by its path, whatever the store is.
    let store: Arc<dyn ObjectStore> = Arc::new(DurableStore::open(&dir.join("plain")).unwrap());
    let root = ListingTableUrl::parse("plain://objects/").unwrap();
    session.register_object_store(root.object_store().as_ref(), Arc::clone(&store));
    for (name, _) in DATASETS {
        let stored = clinic.version.dataset(&dataset(name)).unwrap();
        let from = clinic.version.object_store();
        for (number, object) in stored.objects.iter().enumerate() {
            let bytes = from.get(&object.meta.location).await.unwrap().bytes().await.unwrap();
            let to = Path::from(format!("{name}/{number}.parquet"));
            store.put(&to, bytes.into()).await.unwrap();
        }
        let url = ListingTableUrl::parse(format!("plain://objects/{name}/")).unwrap();
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
        let config = ListingTableConfig::new(url)
            .with_listing_options(options)
            .with_schema(Arc::new(transform_schema_to_view(&stored.stored_schema)));
        let table = ListingTable::try_new(config).unwrap();
        session.register_table(name, Arc::new(table)).unwrap();
    }
    session
}

/// The answer of DataFusion.
pub(crate) async fn answered(session: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    session.sql(sql).await.unwrap().collect().await.unwrap()
}
