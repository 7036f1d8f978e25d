//! Groups the row groups of a version into bags whose rows are shuffled together, from the footers of its objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use datafusion::{
    catalog::Session,
    datasource::{
        listing::PartitionedFile,
        object_store::ObjectStoreUrl,
        physical_plan::{
            FileGroup,
            parquet::{CachedParquetFileReaderFactory, ParquetAccessPlan, metadata::DFParquetMetadata},
        },
    },
    error::{DataFusionError, Result},
};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectMeta, ObjectStore};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};

use super::shuffle::{BAG_BYTES, BAG_ROWS, Bag, Part};
use crate::{order::Order, source::OBJECTS_URL};

/// Footers that are read concurrently; a remote store needs a round trip for each.
const CONCURRENT_FOOTERS: usize = 8;
/// Minimum memory of a value, in bytes.
const VALUE_BYTES: u64 = 16;

/// A version's row groups in bags, and the file groups that read each part of them.
pub(super) struct Plan {
    pub(super) bags: Vec<Bag>,
    pub(super) files: Vec<FileGroup>,
}

struct Group {
    object: usize,
    group: usize,
    rows: u64,
    bytes: u64,
}

/// Groups the row groups of `objects` into bags. `columns` are the stored columns of the permit, whichever of them the
/// query reads.
pub(super) async fn plan(
    session: &dyn Session,
    objects: &[ObjectMeta],
    columns: &BTreeSet<&str>,
    order: &Order,
) -> Result<Plan> {
    let footers = footers(session, objects).await?;
    let mut groups: Vec<Group> = footers
        .iter()
        .enumerate()
        .flat_map(|(object, footer)| groups(object, footer, columns))
        .collect();
    groups.sort_by_cached_key(|group| (order.group(group.object, group.group), group.object, group.group));
    let mut files = Vec::new();
    let mut bags = Vec::new();
    for bag in filled(groups) {
        let mut parts: BTreeMap<usize, ParquetAccessPlan> = BTreeMap::new();
        for group in &bag {
            let footer = footers.get(group.object).map_or(0, |footer| footer.num_row_groups());
            let plan = parts
                .entry(group.object)
                .or_insert_with(|| ParquetAccessPlan::new_none(footer));
            plan.scan(group.group);
        }
        let mut read = Vec::new();
        for (object, plan) in parts {
            let meta = objects.get(object).cloned().ok_or_else(object_missing)?;
            read.push(Part {
                partition: files.len(),
                object,
            });
            files.push(FileGroup::new(vec![
                PartitionedFile::new_from_meta(meta).with_extension(plan),
            ]));
        }
        bags.push(Bag {
            parts: read,
            bytes: bag.iter().map(|group| group.bytes).sum(),
        });
    }
    Ok(Plan { bags, files })
}

/// Reads objects with the footers that were already read.
pub(super) fn reader(session: &dyn Session) -> Result<CachedParquetFileReaderFactory> {
    let runtime = session.runtime_env();
    let known = runtime.cache_manager.get_file_metadata_cache();
    Ok(CachedParquetFileReaderFactory::new(store(session)?, known))
}

fn store(session: &dyn Session) -> Result<Arc<dyn ObjectStore>> {
    session.runtime_env().object_store(ObjectStoreUrl::parse(OBJECTS_URL)?)
}

async fn footers(session: &dyn Session, objects: &[ObjectMeta]) -> Result<Vec<Arc<ParquetMetaData>>> {
    let known = session.runtime_env().cache_manager.get_file_metadata_cache();
    let store = store(session)?;
    let footer = |object: ObjectMeta| {
        let store = Arc::clone(&store);
        let known = Arc::clone(&known);
        async move {
            DFParquetMetadata::new(store.as_ref(), &object)
                .with_file_metadata_cache(Some(known))
                .with_page_index_policy(Some(PageIndexPolicy::Skip))
                .fetch_metadata()
                .await
        }
    };
    stream::iter(objects.to_vec())
        .map(footer)
        .buffered(CONCURRENT_FOOTERS)
        .try_collect()
        .await
}

fn groups<'a>(
    object: usize,
    footer: &'a ParquetMetaData,
    columns: &'a BTreeSet<&str>,
) -> impl Iterator<Item = Group> + 'a {
    let groups = footer.row_groups().iter().enumerate();
    groups.map(move |(group, meta)| Group {
        object,
        group,
        rows: meta.num_rows().try_into().unwrap_or(0),
        bytes: bytes(meta, columns),
    })
}

/// The memory of the columns of a row group, as estimated from its footer.
fn bytes(group: &RowGroupMetaData, columns: &BTreeSet<&str>) -> u64 {
    let rows = u64::try_from(group.num_rows()).unwrap_or(0);
    let held = group
        .columns()
        .iter()
        .filter(|column| columns.contains(column.column_descr().name()));
    let one = |size: i64| u64::try_from(size).unwrap_or(0).max(rows.saturating_mul(VALUE_BYTES));
    held.map(|column| one(column.uncompressed_size()))
        .fold(rows.saturating_mul(VALUE_BYTES), u64::saturating_add)
}

/// Fills each bag with as many groups as fit, at least one.
fn filled(groups: Vec<Group>) -> Vec<Vec<Group>> {
    let mut bags: Vec<Vec<Group>> = Vec::new();
    let mut rows = 0u64;
    let mut bytes = 0u64;
    for group in groups {
        let fits = rows.saturating_add(group.rows) <= BAG_ROWS && bytes.saturating_add(group.bytes) <= BAG_BYTES;
        match bags.last_mut().filter(|_| fits) {
            Some(bag) => {
                rows = rows.saturating_add(group.rows);
                bytes = bytes.saturating_add(group.bytes);
                bag.push(group);
            }
            None => {
                (rows, bytes) = (group.rows, group.bytes);
                bags.push(vec![group]);
            }
        }
    }
    bags
}

fn object_missing() -> DataFusionError {
    DataFusionError::Internal("an object is missing".to_owned())
}
