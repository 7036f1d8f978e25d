use std::sync::Mutex;

use async_trait::async_trait;
use concordat_protocol::ids::GrantId;
use concordat_protocol::scope::{Purpose, Tier};
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Field;

use super::*;
use crate::federation::local::LocalEngine;
use crate::federation::source::{Access, Answer};
use crate::federation::statement::ParsedQuery;

/// Members that answer from memory, whatever the query is. The queries they received are recorded.
#[derive(Debug)]
pub(in crate::federation) struct Script {
    pub(in crate::federation) received: Mutex<Vec<String>>,
    pub(in crate::federation) answers: Vec<(&'static str, RecordBatch)>,
}

impl Script {
    pub(in crate::federation) fn new(answers: Vec<(&'static str, RecordBatch)>) -> Arc<Self> {
        Arc::new(Self {
            received: Mutex::default(),
            answers,
        })
    }

    fn answer(&self, institution: &str) -> RecordBatch {
        self.answers
            .iter()
            .find(|(name, _)| *name == institution)
            .unwrap()
            .1
            .clone()
    }
}

#[async_trait]
impl QuerySource for Script {
    async fn query(&self, target: &Target, sql: String) -> std::result::Result<Answer, FederationError> {
        let institution = target.dataset.institution.as_str();
        self.received.lock().unwrap().push(format!("{institution}: {sql}"));
        let batch = self.answer(institution);
        Ok(Answer {
            schema: batch.schema(),
            batches: futures::stream::iter([Ok(batch)]).boxed(),
        })
    }

    async fn schema(&self, target: &Target) -> std::result::Result<SchemaRef, FederationError> {
        Ok(self.answer(target.dataset.institution.as_str()).schema())
    }

    fn forget_schema(&self, _: &Target) {}
}

pub(in crate::federation) fn target(dataset: &str, tier: Tier, columns: &[&str]) -> Target {
    Target {
        dataset: dataset.parse().unwrap(),
        version: None,
        access: Access::Grant(GrantId::from_bytes([1; 16])),
        tier,
        purpose: Purpose::HealthResearch,
        columns: columns.iter().map(ToString::to_string).collect(),
    }
}

pub(in crate::federation) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(in crate::federation) fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

async fn rows(
    script: &Arc<Script>,
    members: Vec<(&str, SchemaRef)>,
    sql: &str,
) -> std::result::Result<usize, FederationError> {
    let members = members
        .into_iter()
        .map(|(dataset, schema)| Member {
            target: target(dataset, Tier::Records, &[]),
            schema,
        })
        .collect();
    let table = RemoteTable::new(script.clone(), members)?;
    let parsed = ParsedQuery::parse(sql)?;
    let engine = LocalEngine::new(64 << 20)?;
    engine.add(parsed.tables.first().unwrap(), Arc::new(table))?;
    let batches: Vec<RecordBatch> = engine.run(&parsed.query).await?.try_collect().await?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

#[tokio::test]
async fn table_columns_and_conditions_are_pushed_down() {
    let whole = Arc::new(Schema::new(vec![
        Field::new("Age", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("chol", DataType::Int64, true),
    ]));
    let script = Script::new(vec![("basel", batch(vec![("Age", ints(&[41, 50]))]))]);
    let sql = "SELECT Age FROM basel.heart WHERE chol > 200 AND name IS NOT NULL LIMIT 2";
    // The engine leaves a filtered column out of the projection if the provider checks the condition.
    assert_eq!(rows(&script, vec![("basel.heart", whole)], sql).await.unwrap(), 2);
    let received = script.received.lock().unwrap().clone();
    assert_eq!(
        received,
        ["basel: SELECT \"Age\" FROM \"heart\" WHERE \"chol\" > 200 AND \"name\" IS NOT NULL LIMIT 2"]
    );
}

#[tokio::test]
async fn table_answer_with_other_columns_is_rejected() {
    let expected = Arc::new(Schema::new(vec![Field::new("age", DataType::Int64, true)]));
    let script = Script::new(vec![("basel", batch(vec![("age", texts(&["41"]))]))]);
    let error = rows(&script, vec![("basel.heart", expected)], "SELECT age FROM basel.heart")
        .await
        .unwrap_err();
    assert!(
        matches!(&error, FederationError::Misbehaved { provider, .. } if provider.as_str() == "basel"),
        "{error}"
    );
}

#[tokio::test]
async fn table_count_transfers_one_column() {
    let script = Script::new(vec![
        ("aachen", batch(vec![("id", ints(&[1, 2]))])),
        ("basel", batch(vec![("id", ints(&[3]))])),
    ]);
    let schema = script.answer("aachen").schema();
    let members = vec![("aachen.heart", schema.clone()), ("basel.heart", schema)];
    assert_eq!(
        rows(&script, members, "SELECT id FROM consortium.heart WHERE id + 1 > 2")
            .await
            .unwrap(),
        2
    );
    let received = script.received.lock().unwrap().clone();
    assert!(
        received
            .iter()
            .all(|text| text.ends_with("SELECT \"id\" FROM \"heart\"")),
        "{received:?}"
    );
}
