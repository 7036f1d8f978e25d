use concordat_protocol::probe::ProbeStatement;

use super::*;
use crate::{ShownStatistics, foreseen_statistic};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Every statement is planned and counted over every canary, with one figure and at most one label.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn canary_statements_are_counted_as_queries_are() {
    for seed in 0..20 {
        let canary = CanaryCollection::of(CanarySeed::from_bytes([seed; 32])).await.unwrap();
        let institution = InstitutionId::new("budapest").unwrap();
        let scope = canary.scope(&institution, (10, Protection::Exact), NOW).unwrap();
        assert_eq!(scope.limits.min_cell, 10);
        let columns = canary.datasets().into_iter().map(|name| {
            let schema = canary.dataset(&name).unwrap().schema;
            (name, schema)
        });
        let shown = ShownStatistics {
            scope,
            rules: canary.rules().clone(),
            columns: columns.collect(),
        };
        for statement in ProbeStatement::ALL {
            let sql = statement.sql(&canary.canary().facts);
            let foreseen = foreseen_statistic(&sql, None, &shown).await.unwrap();
            assert!(matches!(foreseen.columns.fields().len(), 1 | 2), "{sql}");
        }
    }
}

/// The stored rows are those of the canary, each with its subject.
#[tokio::test]
async fn canary_is_stored_as_it_is_generated() {
    let canary = CanaryCollection::of(CanarySeed::from_bytes([3; 32])).await.unwrap();
    assert_eq!(canary.subjects(), 200);
    let rows = [canary.canary().people.len(), canary.canary().visits.len()];
    for (name, rows) in canary.datasets().into_iter().zip(rows) {
        let dataset = canary.dataset(&name).unwrap();
        assert_eq!(dataset.rows, rows as u64, "{name}");
        let object = &dataset.objects[0];
        let stored = canary.object_store().get(&object.meta.location).await.unwrap();
        let bytes = stored.bytes().await.unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        assert_eq!(reader.schema().fields(), dataset.stored_schema.fields());
        let batches = reader.build().unwrap().map(|batch| batch.unwrap().num_rows());
        assert_eq!(batches.sum::<usize>(), rows);
    }
}
