//! A small clinic: persons, their events and visits, and concepts, as plain rows and as a stored collection.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMillisecondArray, UInt32Array,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use concordat_protocol::{
    collection::{
        CodeNames, CollectionRules, ColumnRole, Contents, DatasetKind, Datum, KnownColumns, Listed, RawCollectionRules,
        RawColumnRules, RawDatasetRules, RawLevels, RawRange, ValueLabel,
    },
    ids::{CollectionName, ColumnName, DatasetName},
    schema::{ColumnKind, VersionNumber},
    scope::{
        Columns, Constraint, DatasetScope, Datasets, Finite, Limits, People, Places, Protection, Purpose, Purposes,
        Rows, Scope, SubjectFilter, Subjects, Tier, Transform, Value, Values, Window,
    },
    time::Timestamp,
};
use concordat_storage::catalog::{Collection, ORDINAL_COLUMN, StoredDataset, StoredObject};
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path};
use parquet::arrow::ArrowWriter;

use super::wait;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Null,
    Truth(bool),
    Int(i64),
    Float(f64),
    Date(i32),
    Millis(i64),
    Text(String),
}

impl Item {
    pub(crate) fn datum(&self) -> Datum<'_> {
        match self {
            Self::Null => Datum::Null,
            Self::Truth(truth) => Datum::Truth(*truth),
            Self::Int(number) => Datum::Int(*number),
            Self::Float(number) => Datum::Float(*number),
            Self::Date(day) => Datum::Date(*day),
            Self::Millis(time) => Datum::Millis(*time),
            Self::Text(text) => Datum::Text(text),
        }
    }
}

/// A row with its owner.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) owner: Option<u32>,
    pub(crate) items: Vec<Item>,
}

/// The rows of each dataset, in the order of [`DATASETS`].
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) subjects: u32,
    pub(crate) rows: [Vec<Record>; 4],
}

pub(crate) const PERSON: usize = 0;
pub(crate) const EVENT: usize = 1;
pub(crate) const VISIT: usize = 2;
pub(crate) const CONCEPT: usize = 3;

pub(crate) const DATASETS: [(&str, &[(&str, ColumnKind)]); 4] = [
    (
        "person",
        &[
            ("person_id", ColumnKind::Int),
            ("born", ColumnKind::Int),
            ("sex", ColumnKind::Text),
            ("weight", ColumnKind::Float),
            ("birth", ColumnKind::Date),
        ],
    ),
    (
        "event",
        &[
            ("person_id", ColumnKind::Int),
            ("code", ColumnKind::Int),
            ("day", ColumnKind::Date),
            ("value", ColumnKind::Float),
            ("visit_id", ColumnKind::Int),
            ("flag", ColumnKind::Boolean),
            ("time", ColumnKind::Timestamp),
            ("count", ColumnKind::Int),
            ("until", ColumnKind::Timestamp),
            ("note", ColumnKind::Text),
        ],
    ),
    (
        "visit",
        &[
            ("visit_id", ColumnKind::Int),
            ("person_id", ColumnKind::Int),
            ("start", ColumnKind::Date),
            ("kind", ColumnKind::Int),
        ],
    ),
    (
        "concept",
        &[("concept_id", ColumnKind::Int), ("concept_name", ColumnKind::Text)],
    ),
];

pub(crate) fn dataset(name: &str) -> DatasetName {
    DatasetName::new(name).unwrap()
}

pub(crate) fn column(name: &str) -> ColumnName {
    ColumnName::new(name).unwrap()
}

/// The position of a column.
pub(crate) fn at(of: usize, name: &str) -> usize {
    DATASETS[of].1.iter().position(|(known, _)| *known == name).unwrap()
}

/// The position of a dataset.
pub(crate) fn position(name: &DatasetName) -> usize {
    DATASETS.iter().position(|(known, _)| *known == name.as_str()).unwrap()
}

fn kind(of: usize) -> DatasetKind {
    match of {
        CONCEPT => DatasetKind::Reference,
        _ => DatasetKind::Keyed {
            subject: column("person_id"),
            unique: of == PERSON,
        },
    }
}

fn edges(edges: impl IntoIterator<Item = Value>) -> RawLevels {
    RawLevels::Edges {
        edges: edges.into_iter().collect(),
        levels: BTreeMap::new(),
    }
}

fn float(number: f64) -> Value {
    Value::Float(Finite::new(number).unwrap())
}

/// The day of 2000-01-01.
pub(crate) const DAY: i32 = 10_957;

fn declared(of: usize, name: &str) -> RawColumnRules {
    let mut rules = RawColumnRules::default();
    let range = |low, high| Some(RawRange { low, high, step: None });
    let link = |to: &str, key: &str| ColumnRole::Link {
        to: dataset(to),
        key: column(key),
    };
    match (of, name) {
        (VISIT, "visit_id") | (CONCEPT, "concept_id") => rules.role = ColumnRole::Key,
        (EVENT, "visit_id") => rules.role = link("visit", "visit_id"),
        (_, "born") => {
            rules.levels = edges([1_900, 1_940, 1_960, 2_000].map(Value::Int));
            rules.measure = range(1_900.0, 2_020.0);
        }
        (_, "weight" | "value") => {
            rules.levels = edges([-2.5, 10.0, 40.0, 75.25].map(float));
            rules.measure = range(-20.0, 100.0);
        }
        (_, "count") => rules.measure = range(-3.0, 9e15),
        // Of a text the number that it is.
        (_, "note") => {
            rules.levels = edges([10.0, 40.0].map(float));
            rules.measure = range(-20.0, 100.0);
        }
        (_, "birth" | "day" | "start" | "time" | "until") => {
            rules.levels = edges([DAY - 10_000, DAY, DAY + 31, DAY + 366].map(Value::Date));
        }
        (_, "flag") => rules.levels = RawLevels::Truth,
        (_, "kind") => rules.levels = RawLevels::Values([1, 2].map(|n| listed(Value::Int(n))).to_vec()),
        (_, "sex") => {
            rules.levels = RawLevels::Values(["f", "m"].map(|sex| listed(Value::Text(sex.to_owned()))).to_vec());
        }
        (_, "code") => {
            rules.role = link("concept", "concept_id");
            rules.levels = RawLevels::Codes {
                hierarchy: None,
                names: Some(CodeNames {
                    dataset: dataset("concept"),
                    code: column("concept_id"),
                    name: column("concept_name"),
                }),
                levels: BTreeMap::new(),
            };
        }
        _ => {}
    }
    rules
}

fn listed(value: Value) -> Listed {
    let label = value.to_string().replace('\'', "");
    Listed {
        value,
        label: ValueLabel::new(&label).unwrap(),
    }
}

impl World {
    /// The declarations of the collection, whatever its rows are.
    pub(crate) fn rules(&self) -> CollectionRules {
        let mut raw = RawCollectionRules::default();
        let mut known = BTreeMap::new();
        for (of, (name, columns)) in DATASETS.iter().enumerate() {
            let declared = columns.iter().map(|(name, _)| (column(name), declared(of, name)));
            let rules = RawDatasetRules {
                kind: kind(of),
                columns: declared.collect(),
                ..RawDatasetRules::default()
            };
            raw.datasets.insert(dataset(name), rules);
            let contents = columns.iter().map(|(name, kind)| (column(name), Contents::Of(*kind)));
            known.insert(dataset(name), contents.collect::<BTreeMap<_, _>>());
        }
        CollectionRules::check(raw, &KnownColumns::new(known)).unwrap()
    }

    /// The stored collection, with this many rows in each object.
    pub(crate) fn stored(&self, rows_per_object: usize) -> Stored {
        let store = Arc::new(InMemory::new());
        let mut datasets = BTreeMap::new();
        for (of, rows) in self.rows.iter().enumerate() {
            let stored = stored(of, rows, rows_per_object, &store);
            datasets.insert(stored.name.clone(), stored);
        }
        Stored {
            name: CollectionName::new("clinic").unwrap(),
            subjects: self.subjects,
            datasets,
            store,
        }
    }
}

/// A collection in memory.
#[derive(Debug)]
pub(crate) struct Stored {
    name: CollectionName,
    subjects: u32,
    pub(crate) datasets: BTreeMap<DatasetName, StoredDataset>,
    pub(crate) store: Arc<dyn ObjectStore>,
}

impl Collection for Stored {
    fn name(&self) -> &CollectionName {
        &self.name
    }
    fn version(&self) -> VersionNumber {
        VersionNumber::FIRST
    }
    fn subjects(&self) -> u32 {
        self.subjects
    }
    fn datasets(&self) -> Vec<DatasetName> {
        self.datasets.keys().cloned().collect()
    }
    fn dataset(&self, name: &DatasetName) -> Option<StoredDataset> {
        self.datasets.get(name).cloned()
    }
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }
}

pub(super) fn arrow_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Int => DataType::Int64,
        ColumnKind::Float => DataType::Float64,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Date => DataType::Date32,
        ColumnKind::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
        ColumnKind::TimestampUtc => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        ColumnKind::Text => DataType::Utf8,
    }
}

pub(super) fn array(kind: ColumnKind, items: &[&Item]) -> ArrayRef {
    macro_rules! of {
        ($array:ty, $variant:ident) => {
            Arc::new(<$array>::from_iter(items.iter().map(|item| {
                if let Item::$variant(value) = item {
                    Some(value.to_owned())
                } else {
                    None
                }
            })))
        };
    }
    match kind {
        ColumnKind::Int => of!(Int64Array, Int),
        ColumnKind::Float => of!(Float64Array, Float),
        ColumnKind::Boolean => of!(BooleanArray, Truth),
        ColumnKind::Date => of!(Date32Array, Date),
        ColumnKind::Timestamp | ColumnKind::TimestampUtc => of!(TimestampMillisecondArray, Millis),
        ColumnKind::Text => of!(StringArray, Text),
    }
}

fn stored(of: usize, rows: &[Record], rows_per_object: usize, store: &InMemory) -> StoredDataset {
    let (name, columns) = DATASETS[of];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, kind)| Field::new(*name, arrow_type(*kind), true))
        .collect();
    let ordinals = of != CONCEPT;
    let hidden = ordinals.then(|| Field::new(ORDINAL_COLUMN, DataType::UInt32, true));
    let stored_fields: Vec<Field> = fields.iter().cloned().chain(hidden).collect();
    let stored_schema: SchemaRef = Arc::new(Schema::new(stored_fields));
    let mut objects = Vec::new();
    for (number, rows) in rows.chunks(rows_per_object).enumerate() {
        let mut arrays: Vec<ArrayRef> = columns
            .iter()
            .enumerate()
            .map(|(at, (_, kind))| array(*kind, &rows.iter().map(|row| &row.items[at]).collect::<Vec<_>>()))
            .collect();
        if ordinals {
            arrays.push(Arc::new(UInt32Array::from_iter(rows.iter().map(|row| row.owner))));
        }
        let batch = RecordBatch::try_new(Arc::clone(&stored_schema), arrays).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let path = Path::from(format!("{name}-{number}.parquet"));
        let bytes = writer.into_inner().unwrap();
        let meta = wait(async {
            store.put(&path, bytes.into()).await.unwrap();
            store.head(&path).await.unwrap()
        });
        objects.push(StoredObject {
            meta,
            first_row: (number * rows_per_object) as u64,
            rows: rows.len() as u64,
        });
    }
    StoredDataset {
        name: dataset(name),
        kind: kind(of),
        schema: Arc::new(Schema::new(fields)),
        stored_schema,
        ordinals,
        rows: rows.len() as u64,
        objects,
    }
}

/// Everything of the collection.
pub(crate) fn everything() -> Scope {
    let datasets = DATASETS.iter().map(|(name, columns)| {
        let columns = columns.iter().map(|(name, _)| (column(name), Transform::Clear));
        let scope = DatasetScope {
            columns: Columns::new(columns).unwrap(),
            rows: Rows::all(),
        };
        (dataset(name), scope)
    });
    let now = Timestamp::from_millis(1_800_000_000_000);
    Scope {
        collection: "budapest.clinic".parse().unwrap(),
        tier: Tier::Aggregate,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: Datasets::new(datasets).unwrap(),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(now, now.plus_seconds(3600)).unwrap(),
    }
}

/// Rows in which a column has one of these values, or is missing if `null`.
pub(crate) fn rows_with(name: &str, values: impl IntoIterator<Item = Value>, null: bool) -> Rows {
    let values = Values::Set(values.into_iter().collect::<BTreeSet<_>>());
    let constraint = Constraint::new(values, null).unwrap();
    Rows::new(BTreeMap::from([(column(name), constraint)])).unwrap()
}

/// The scope with other rows of a dataset.
pub(crate) fn with_rows(mut scope: Scope, name: &str, rows: &Rows) -> Scope {
    let datasets = scope.datasets.iter().map(|(known, of)| {
        let mut of = of.clone();
        if known.as_str() == name {
            of.rows = rows.clone();
        }
        (known.clone(), of)
    });
    scope.datasets = Datasets::new(datasets.collect::<Vec<_>>()).unwrap();
    scope
}

/// The scope with other columns of a dataset.
pub(crate) fn with_column(mut scope: Scope, (of, name): (&str, &str), transform: Option<Transform>) -> Scope {
    let datasets = scope.datasets.iter().map(|(known, covered)| {
        let mut covered = covered.clone();
        if known.as_str() == of {
            let columns = covered.columns.iter().filter_map(|(column, before)| {
                let after = if column.as_str() == name {
                    transform
                } else {
                    Some(before)
                };
                Some((column.clone(), after?))
            });
            covered.columns = Columns::new(columns.collect::<Vec<_>>()).unwrap();
        }
        (known.clone(), covered)
    });
    scope.datasets = Datasets::new(datasets.collect::<Vec<_>>()).unwrap();
    scope
}

/// The scope with subjects that have a row of a dataset.
pub(crate) fn of_subjects(scope: Scope, name: &str, rows: Rows) -> Scope {
    Scope {
        subjects: Subjects::Only(SubjectFilter::new(dataset(name), rows).unwrap()),
        ..scope
    }
}
