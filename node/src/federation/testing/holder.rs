//! Holders below tier `records` in tests: what they declare, and their answers with all cells of the grid. A cell without rows is missing,
//! and one with fewer rows than the holder shows is too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use concordat_engine::{
    CellAggregate, CellColumn, CellTables, Grouping, ShownStatistics, TextParser, above_cells, countable, executable,
    home_state, reading, with_totals,
};
use concordat_protocol::collection::{
    CollectionRules, Contents, DatasetKind, KnownColumns, Listed, RawCollectionRules, RawColumnRules, RawDatasetRules,
    RawLevels, RawRange, ValueLabel,
};
use concordat_protocol::ids::{ColumnName, DatasetName};
use concordat_protocol::schema::ColumnKind;
use concordat_protocol::scope::{
    DatasetScope, Datasets, Finite, Limits, People, Places, Purpose, Purposes, Rows, Scope, Subjects, Tier, Value,
    Window,
};
use concordat_protocol::time::Timestamp;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Float64Type, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::sqlparser::ast::Statement;

use super::{Dataset, Institutions, MEMORY};
use crate::federation::declared::Declared;
use crate::federation::source::Target;

/// The column of the subject in a collection of several datasets; each person has one row of this one.
const SUBJECT: &str = "id";
const UNIQUE: &str = "person";

impl Dataset {
    /// The columns as they are stored.
    pub(in crate::federation) fn stored(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn column_names(&self) -> Vec<ColumnName> {
        let schema = self.rows.schema();
        schema
            .fields()
            .iter()
            .map(|field| field.name().parse().unwrap())
            .collect()
    }

    fn rules(&self, listed: &BTreeMap<String, BTreeSet<String>>, edges: &[i64]) -> (RawDatasetRules, Columns) {
        let is_alone = self.target().dataset.is_only();
        let kind = if is_alone {
            DatasetKind::EachRow
        } else {
            DatasetKind::Keyed {
                subject: SUBJECT.parse().unwrap(),
                unique: self.target().dataset.dataset.as_str() == UNIQUE,
            }
        };
        let mut contents = Columns::new();
        let mut columns = BTreeMap::new();
        let range = Some(RawRange {
            low: -1e6,
            high: 1e6,
            step: None,
        });
        for (field, name) in self.rows.schema().fields().iter().zip(self.column_names()) {
            let mut rules = RawColumnRules::default();
            let (kind, levels) = if *field.data_type() == DataType::Int64 {
                let edges = edges.iter().copied().map(Value::Int).collect();
                (ColumnKind::Int, edged(edges))
            } else if *field.data_type() == DataType::Float64 {
                let edges = edges.iter().map(|edge| f64::from(i32::try_from(*edge).unwrap()));
                let edges = edges.map(|edge| Value::Float(Finite::new(edge).unwrap())).collect();
                (ColumnKind::Float, edged(edges))
            } else if *field.data_type() == DataType::Date32 {
                (ColumnKind::Date, edged(months()))
            } else {
                let values = listed.get(field.name()).into_iter().flatten();
                let values = values.map(|text| Listed {
                    value: Value::Text(text.clone()),
                    label: ValueLabel::new(text).unwrap(),
                });
                (ColumnKind::Text, RawLevels::Values(values.collect()))
            };
            if is_alone || field.name() != SUBJECT {
                rules.levels = levels;
                rules.measure = range.filter(|_| !matches!(kind, ColumnKind::Text | ColumnKind::Date));
            }
            columns.insert(name.clone(), rules);
            contents.insert(name, Contents::Of(kind));
        }
        let rules = RawDatasetRules {
            kind,
            columns,
            ..RawDatasetRules::default()
        };
        (rules, contents)
    }
}

type Columns = BTreeMap<ColumnName, Contents>;

/// The months of two years.
fn months() -> Vec<Value> {
    let begins = [2000, 2001]
        .into_iter()
        .flat_map(|year| (1..=12).map(move |month| (year, month)));
    let days = begins
        .chain([(2002, 1)])
        .map(|(year, month)| NaiveDate::from_ymd_opt(year, month, 1).unwrap());
    days.map(|day| Value::Date(day.to_epoch_days())).collect()
}

fn edged(edges: Vec<Value>) -> RawLevels {
    let levels = BTreeMap::new();
    RawLevels::Edges { edges, levels }
}

impl Institutions {
    /// The datasets of one collection.
    fn collection<'a>(&'a self, target: &Target) -> impl Iterator<Item = &'a Dataset> {
        let collection = target.dataset.collection();
        self.datasets
            .iter()
            .filter(move |dataset| dataset.target().dataset.collection() == collection)
    }

    /// The values that texts of each column have at any institution.
    fn listed(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut listed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for dataset in &self.datasets {
            for (field, column) in dataset.rows.schema().fields().iter().zip(dataset.rows.columns()) {
                if let Some(texts) = column.as_string_opt::<i32>() {
                    let values = texts.iter().flatten().map(str::to_owned);
                    listed.entry(field.name().clone()).or_default().extend(values);
                }
            }
        }
        listed
    }

    /// What the holder of `target` shows of its collection.
    pub(in crate::federation) fn declared(&self, target: &Target) -> Declared {
        let institution = target.dataset.institution.as_str();
        let whole: Vec<i64> = (1..=120).collect();
        let edges = self.edges.get(institution).unwrap_or(&whole);
        let mut raw = RawCollectionRules::default();
        let mut known = Vec::new();
        let mut scoped = Vec::new();
        let mut columns = BTreeMap::new();
        let mut shown = BTreeMap::new();
        let mut listed = self.listed();
        if let Some(own) = self.lists.get(institution) {
            for values in listed.values_mut() {
                values.retain(|value| own.contains(&value.as_str()));
            }
        }
        for dataset in self.collection(target) {
            let of = dataset.target();
            let name: DatasetName = of.dataset.dataset.clone();
            let (rules, contents) = dataset.rules(&listed, edges);
            raw.datasets.insert(name.clone(), rules);
            known.push((name.clone(), contents));
            let rows = Rows::all();
            let covered = DatasetScope {
                columns: of.columns.clone(),
                rows,
            };
            scoped.push((name.clone(), covered));
            columns.insert(name.clone(), dataset.stored());
            shown.insert(name, dataset.schema());
        }
        let now = Timestamp::from_millis(1_800_000_000_000);
        let scope = Scope {
            collection: target.dataset.collection(),
            tier: target.tier,
            protection: self.protection,
            subjects: Subjects::Any,
            datasets: Datasets::new(scoped).unwrap(),
            purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
            people: People::Any,
            places: Places::Any,
            limits: Limits::default(),
            window: Window::new(now, now.plus_seconds(3600)).unwrap(),
        };
        let rules =
            CollectionRules::check(raw, &KnownColumns::new(known)).unwrap_or_else(|errors| panic!("{errors:?}"));
        Declared {
            statistics: ShownStatistics { scope, rules, columns },
            shown,
        }
    }

    /// The answer to a text below tier `records`.
    pub(super) async fn counted(&self, target: &Target, sql: &str) -> RecordBatch {
        let declared = self.declared(target);
        let statistics = &declared.statistics;
        let (state, plan) = self.planned(target, sql).await;
        let mut groupings: Vec<Grouping> = Vec::new();
        let cut = with_totals(plan, &|_| true).transform_down_with_subqueries(|node| {
            if !matches!(node, LogicalPlan::Aggregate(_)) {
                return Ok(Transformed::no(node));
            }
            let grouping = Grouping::lowered(&node, &statistics.rules, &statistics.scope).unwrap();
            let name = format!("cells_{}", groupings.len());
            let schema = grouping.cells().schema();
            let empty = MemTable::try_new(schema.clone(), vec![Vec::new()])?;
            let scan = LogicalPlanBuilder::scan(name.as_str(), provider_as_source(Arc::new(empty)), None)?;
            let columns = node
                .schema()
                .iter()
                .zip(schema.fields())
                .map(|((qualifier, field), column)| {
                    let column = Expr::Column(Column::new_unqualified(column.name()));
                    column.alias_qualified(qualifier.cloned(), field.name())
                });
            let cells = scan.project(columns.collect::<Vec<_>>())?.build()?;
            groupings.push(grouping);
            Ok(Transformed::new(cells, true, TreeNodeRecursion::Jump))
        });
        let typed = cut.unwrap().data.transform_up_with_subqueries(|node| {
            if matches!(node, LogicalPlan::TableScan(_)) {
                return Ok(Transformed::no(node));
            }
            node.recompute_schema().map(Transformed::yes)
        });
        let kinds = groupings.iter().enumerate().map(|(number, grouping)| {
            let is_figure = |column: &CellColumn| !matches!(column, CellColumn::Group(_));
            let figures = grouping.columns().iter().map(is_figure);
            (format!("cells_{number}"), figures.collect::<Vec<bool>>())
        });
        let figures = CellTables::new(kinds);
        let (plan, _) = above_cells(typed.unwrap().data, &figures, &target.dataset).unwrap();
        let mut tables: BTreeMap<String, Arc<dyn TableProvider>> = BTreeMap::new();
        for (number, grouping) in groupings.iter().enumerate() {
            let cells = self.cells(target, grouping).await;
            let table = MemTable::try_new(cells.schema(), vec![vec![cells]]).unwrap();
            tables.insert(format!("cells_{number}"), Arc::new(table));
        }
        let plan = executable(&state, plan, concordat_engine::Casts::Strict, &target.dataset).unwrap();
        let plan = reading(plan, &|name: &TableReference| tables.get(name.table()).cloned()).unwrap();
        collected(state, plan).await
    }

    /// A text over the rows of the collection, by the bare names of its datasets.
    async fn planned(&self, target: &Target, sql: &str) -> (SessionState, LogicalPlan) {
        let context = SessionContext::new_with_state(home_state(MEMORY, "test").unwrap());
        for dataset in self.collection(target) {
            let table = MemTable::try_new(dataset.stored(), vec![vec![dataset.rows.clone()]]).unwrap();
            let name = dataset.target().dataset.dataset;
            context.register_table(name.as_str(), Arc::new(table)).unwrap();
        }
        let bare = sql.replace(&format!("\"{}\".", target.dataset.collection), "");
        let statements = TextParser::in_tests(|parser| parser.parse(&bare, 64)).unwrap();
        let statement: Statement = statements.unwrap().pop().unwrap();
        let state = context.state();
        let plan = countable(&state, &statement, &target.dataset).await;
        (state, plan.unwrap_or_else(|error| panic!("{sql}: {error}")))
    }

    /// The cells of a grouping: computed from the rows with the labels of the grid as groups.
    async fn cells(&self, target: &Target, grouping: &Grouping) -> RecordBatch {
        let aggregates = grouping.statistic().cells();
        let text = grouping.text(aggregates, true, None).unwrap();
        let (state, plan) = self.planned(target, &text.sql).await;
        let plan = executable(&state, plan, concordat_engine::Casts::Strict, &target.dataset).unwrap();
        let rows = collected(state, plan).await;
        let groups = grouping.statistic().groups().len();
        let texts: Vec<ArrayRef> = (0..groups).map(|at| grouping.label_texts(at).unwrap()).collect();
        let found: Vec<ArrayRef> = (0..groups)
            .map(|at| cast(rows.column_by_name(&format!("g{at}")).unwrap(), &DataType::Utf8).unwrap())
            .collect();
        let key = |of: &[ArrayRef], row: usize| -> Vec<Option<String>> {
            let texts = of.iter().map(|column| column.as_string::<i32>());
            texts
                .map(|texts| texts.is_valid(row).then(|| texts.value(row).to_owned()))
                .collect()
        };
        let positions: BTreeMap<Vec<Option<String>>, usize> =
            (0..rows.num_rows()).map(|row| (key(&found, row), row)).collect();
        let cells = grouping.cells();
        let value = |aggregate: usize, cell: usize| -> Option<f64> {
            let row = *positions.get(&key(&texts, cell))?;
            let column = rows.column_by_name(&format!("a{}", text.columns[aggregate])).unwrap();
            let column = cast(column, &DataType::Float64).unwrap();
            let column = column.as_primitive::<Float64Type>();
            let value = column.is_valid(row).then(|| column.value(row))?;
            let is_count = matches!(
                aggregates[aggregate],
                CellAggregate::Subjects { .. } | CellAggregate::Rows { .. }
            );
            (!is_count || value > 0.0).then_some(value)
        };
        let columns = grouping.columns().iter().enumerate().map(|(at, column)| {
            let all = 0..cells.num_rows();
            let values: Float64Array = match column {
                CellColumn::Group(_) => return Arc::clone(cells.column(at)),
                CellColumn::Cell(of) => all.map(|cell| value(*of, cell)).collect(),
                CellColumn::Scaled { of, by, plus } => all
                    .map(|cell| Some(value(*of, cell)? * by.get() + plus.get()))
                    .collect(),
                CellColumn::Quotient { of, by } => {
                    all.map(|cell| Some(value(*of, cell)? / value(*by, cell)?)).collect()
                }
            };
            cast(&values, cells.schema().field(at).data_type()).unwrap()
        });
        RecordBatch::try_new(cells.schema(), columns.collect()).unwrap()
    }
}

async fn collected(state: SessionState, plan: LogicalPlan) -> RecordBatch {
    let frame = DataFrame::new(state, plan);
    let schema: Arc<Schema> = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await.unwrap();
    concat_batches(&schema, &batches).unwrap()
}

/// Whether a holder answers with cells.
pub(super) fn is_counted(target: &Target) -> bool {
    target.tier < Tier::Records
}
