//! Institutions for tests: they answer each query by computing it over their rows, or return a prepared answer.

mod holder;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use concordat_engine::{Casts, ShownColumn, TextParser, executable, home_state, meaning, shown_schema};
use concordat_protocol::ids::GrantId;
use concordat_protocol::schema::ColumnKind;
use concordat_protocol::scope::{Columns, Protection, Purpose, Tier, Transform};
use datafusion::arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::prelude::{DataFrame, SessionContext};
use futures::{StreamExt, TryStreamExt, stream};

use super::collect_answers::run_local;
use super::error::FederationError;
use super::plan::{Plan, Planner};
use super::remark::Remark;
use super::report::QueryReport;
use super::source::{Access, Answer, MemberQuery, QuerySource, Target};
use super::statement::ParsedQuery;
use super::tables::Tables;
use super::union_table::{MemberColumns, UnionTable};

/// Memory of the local engine in tests, in bytes.
const MEMORY: usize = 64 << 20;

/// A dataset of one institution: its rows, its tier, and how its columns are shown.
#[derive(Clone, Debug)]
pub(super) struct Dataset {
    name: &'static str,
    tier: Tier,
    rows: RecordBatch,
    shown: BTreeMap<&'static str, Transform>,
}

impl Dataset {
    pub(super) fn new(name: &'static str, tier: Tier, columns: Vec<(&str, ArrayRef)>) -> Self {
        Self {
            name,
            tier,
            rows: batch(columns),
            shown: BTreeMap::new(),
        }
    }

    /// The same dataset with this column transformed. Its rows contain the transformed values.
    pub(super) fn showing(mut self, column: &'static str, transform: Transform) -> Self {
        self.shown.insert(column, transform);
        self
    }

    pub(super) fn target(&self) -> Target {
        let columns = self.rows.schema();
        let columns = columns.fields().iter().map(|field| {
            let transform = self
                .shown
                .get(field.name().as_str())
                .copied()
                .unwrap_or(Transform::Clear);
            (field.name().parse().unwrap(), transform)
        });
        Target {
            dataset: self.name.parse().unwrap(),
            version: None,
            access: Access::Grant(GrantId::from_bytes([1; 16])),
            tier: self.tier,
            purpose: Purpose::HealthResearch,
            columns: Columns::new(columns).unwrap(),
            rules: None,
        }
    }

    /// The columns as a query that is counted is planned on them.
    fn stored_columns(&self) -> MemberColumns {
        MemberColumns {
            schema: self.stored(),
            ..self.columns()
        }
    }

    fn columns(&self) -> MemberColumns {
        let empty = self
            .rows
            .schema()
            .fields()
            .iter()
            .zip(self.rows.columns())
            .filter(|(_, column)| column.null_count() == column.len())
            .map(|(field, _)| field.name().clone())
            .collect();
        MemberColumns {
            schema: self.schema(),
            empty,
        }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        let columns: Vec<ShownColumn> = self
            .rows
            .schema()
            .fields()
            .iter()
            .map(|field| {
                let transform = self
                    .shown
                    .get(field.name().as_str())
                    .copied()
                    .unwrap_or(Transform::Clear);
                ShownColumn {
                    name: field.name().clone(),
                    kind: stored_kind(field.data_type(), transform),
                    transform,
                }
            })
            .collect();
        shown_schema(&format!("grant of {}", self.name), &columns).unwrap()
    }
}

/// What is stored behind a column that is shown with this type.
fn stored_kind(shown: &DataType, transform: Transform) -> ColumnKind {
    match (transform, shown) {
        (Transform::Generalized(concordat_protocol::scope::Generalization::AgeBand(_)), _) => ColumnKind::Int,
        (Transform::Generalized(concordat_protocol::scope::Generalization::Year), _) => ColumnKind::Date,
        (_, DataType::Int64) => ColumnKind::Int,
        (_, DataType::Float64) => ColumnKind::Float,
        (_, DataType::Boolean) => ColumnKind::Boolean,
        (_, DataType::Date32) => ColumnKind::Date,
        (_, DataType::Timestamp(TimeUnit::Millisecond, None)) => ColumnKind::Timestamp,
        (_, DataType::Timestamp(TimeUnit::Millisecond, Some(_))) => ColumnKind::TimestampUtc,
        _ => ColumnKind::Text,
    }
}

/// Several institutions. The queries that they receive are recorded.
#[derive(Debug, Default)]
pub(super) struct Institutions {
    datasets: Vec<Dataset>,
    prepared: BTreeMap<&'static str, RecordBatch>,
    /// Datasets of members that cannot be asked for their columns.
    offline: BTreeSet<&'static str>,
    /// Datasets of members that are lost when they are queried.
    lost: BTreeSet<&'static str>,
    memory: usize,
    received: Mutex<Vec<String>>,
    /// The edges that an institution declares; others declare each whole number up to 120.
    edges: BTreeMap<&'static str, Vec<i64>>,
    /// The values that an institution lists of its texts; others list all that any has.
    lists: BTreeMap<&'static str, Vec<&'static str>>,
    /// How all of them protect figures.
    protection: Protection,
}

impl Institutions {
    pub(super) fn new(datasets: Vec<Dataset>) -> Self {
        Self {
            datasets,
            memory: MEMORY,
            ..Self::default()
        }
    }

    /// The member with the dataset `name` cannot be reached.
    pub(super) fn offline(mut self, name: &'static str) -> Self {
        self.offline.insert(name);
        self
    }

    /// The member with the dataset `name` states its columns, and is lost when it is queried.
    pub(super) fn lost(mut self, name: &'static str) -> Self {
        self.lost.insert(name);
        self
    }

    /// This institution declares these edges.
    pub(super) fn declaring(mut self, institution: &'static str, edges: Vec<i64>) -> Self {
        self.edges.insert(institution, edges);
        self
    }

    /// This institution lists these values of its texts.
    pub(super) fn listing(mut self, institution: &'static str, values: Vec<&'static str>) -> Self {
        self.lists.insert(institution, values);
        self
    }

    /// All institutions protect figures so.
    pub(super) fn protecting(mut self, protection: Protection) -> Self {
        self.protection = protection;
        self
    }

    /// The local engine has this much memory, in bytes.
    pub(super) fn with_memory(mut self, memory: usize) -> Self {
        self.memory = memory;
        self
    }

    /// The dataset `name` answers every query with these rows.
    pub(super) fn answering(mut self, name: &'static str, rows: RecordBatch) -> Self {
        self.prepared.insert(name, rows);
        self
    }

    pub(super) fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    /// The tables that a query names.
    pub(super) fn tables_of(&self, parsed: &ParsedQuery, report: &QueryReport) -> Tables {
        let mut tables = Tables::default();
        for name in &parsed.tables {
            let of_table = |dataset: &&Dataset| {
                let target = dataset.target();
                let collection = name.collection_name();
                target.dataset.dataset == name.dataset
                    && target.dataset.collection.as_str() == collection.as_str()
                    && name
                        .institution
                        .as_ref()
                        .is_none_or(|institution| *institution == target.dataset.institution)
            };
            let (offline, present): (Vec<&Dataset>, Vec<&Dataset>) = self
                .datasets
                .iter()
                .filter(of_table)
                .partition(|dataset| self.offline.contains(dataset.name));
            for dataset in offline {
                let dataset = dataset.target().dataset;
                report.leave_out(&dataset, Remark::missing_member(&dataset, "it cannot be reached"));
            }
            let is_counted = present.iter().any(|dataset| dataset.tier < Tier::Records);
            let mut members: Vec<_> = Vec::new();
            for dataset in present {
                let target = dataset.target();
                if is_counted {
                    tables.declare(&target, Arc::new(self.declared(&target)));
                    members.push((target, dataset.stored_columns()));
                } else {
                    members.push((target, dataset.columns()));
                }
            }
            let table = match name.institution {
                Some(_) => {
                    let (target, columns) = members.pop().unwrap();
                    UnionTable::single(target, columns.schema)
                }
                None => UnionTable::of_members(&name.dataset, members),
            };
            tables.insert(name.clone(), table);
        }
        tables
    }

    /// The table that a query names so.
    pub(super) fn union(&self, name: &str) -> UnionTable {
        let parsed = ParsedQuery::parse(&format!("SELECT 1 FROM {name}")).unwrap();
        let tables = self.tables_of(&parsed, &QueryReport::default());
        tables.get(parsed.tables.first().unwrap()).unwrap().clone()
    }

    /// The plan of `sql`, and the report with what is missing.
    pub(super) async fn plan(self: &Arc<Self>, sql: &str) -> (Result<Plan, FederationError>, QueryReport) {
        let report = QueryReport::default();
        let parsed = match ParsedQuery::parse(sql) {
            Ok(parsed) => parsed,
            Err(error) => return (Err(error), report),
        };
        let planner = Planner {
            tables: self.tables_of(&parsed, &report),
            source: Arc::clone(self) as Arc<dyn QuerySource>,
            memory: self.memory,
            // 2026-11-30
            day: 20_787,
            report: report.clone(),
            foreseen: Arc::default(),
        };
        (planner.plan(parsed).await, report)
    }

    /// The answer to `sql` as one batch, and the report.
    pub(super) async fn answer(self: &Arc<Self>, sql: &str) -> Result<(RecordBatch, QueryReport), FederationError> {
        let (plan, report) = self.plan(sql).await;
        let source = Arc::clone(self) as Arc<dyn QuerySource>;
        let answer = match plan? {
            Plan::Whole { target, query } => source.query(&target, query).await?,
            Plan::Local(local) => run_local(*local, source, report.clone()).await?,
        };
        let schema = answer.schema;
        let batches: Vec<RecordBatch> = answer.batches.try_collect().await?;
        let rows = datafusion::arrow::compute::concat_batches(&schema, &batches).unwrap();
        Ok((rows, report))
    }

    /// The rows of the answer as text.
    pub(super) async fn rows(self: &Arc<Self>, sql: &str) -> Vec<String> {
        let (rows, _) = self.answer(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        lines(&rows)
    }
}

/// Each row as text, its values separated by `|`.
pub(super) fn lines(rows: &RecordBatch) -> Vec<String> {
    use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::default().with_null("-");
    let columns: Vec<_> = rows
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    let line = |row: usize| {
        columns
            .iter()
            .map(|column| column.value(row).to_string())
            .collect::<Vec<_>>()
            .join("|")
    };
    (0..rows.num_rows()).map(line).collect()
}

#[async_trait]
impl QuerySource for Institutions {
    async fn query(&self, target: &Target, query: MemberQuery) -> Result<Answer, FederationError> {
        let name = target.dataset.to_string();
        self.received
            .lock()
            .unwrap()
            .push(format!("{}: {}", target.dataset.institution, query.sql));
        if self.lost.contains(name.as_str()) {
            return Err(FederationError::unreadable(&target.dataset.institution));
        }
        let rows = match self.prepared.get(name.as_str()) {
            Some(rows) => rows.clone(),
            None if holder::is_counted(target) => self.counted(target, &query.sql).await,
            None => self.computed(target, &query.sql).await,
        };
        let columns = rows.columns().iter().zip(query.schema.fields());
        let columns = columns
            .map(|(column, field)| cast(column, field.data_type()).unwrap())
            .collect();
        let rows = RecordBatch::try_new(query.schema.clone(), columns).unwrap();
        Ok(Answer {
            schema: query.schema,
            batches: stream::iter([Ok(rows)]).boxed(),
        })
    }
}

impl Institutions {
    async fn computed(&self, target: &Target, sql: &str) -> RecordBatch {
        let dataset = self
            .datasets
            .iter()
            .find(|dataset| dataset.target().dataset == target.dataset)
            .unwrap();
        let context = SessionContext::new_with_state(home_state(MEMORY, "test").unwrap());
        let rows = RecordBatch::try_new(dataset.schema(), dataset.rows.columns().to_vec()).unwrap();
        let table = MemTable::try_new(dataset.schema(), vec![vec![rows]]).unwrap();
        context
            .register_table(target.dataset.dataset.as_str(), Arc::new(table))
            .unwrap();
        let statements = TextParser::in_tests(|parser| parser.parse(sql, 64)).unwrap();
        let statement = statements.unwrap().pop().unwrap();
        let state = context.state();
        let plan = meaning(&state, statement, &target.dataset).await.unwrap();
        let plan = executable(&state, plan, Casts::Strict, &target.dataset).unwrap();
        let frame = DataFrame::new(state, plan);
        let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await.unwrap();
        datafusion::arrow::compute::concat_batches(&schema, &batches).unwrap()
    }
}

pub(super) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(super) fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

pub(super) fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}
