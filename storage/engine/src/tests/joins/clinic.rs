//! A collection in memory: persons, their events, notes about events, bills of which it is not known whose they are, and concepts.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt32Array},
    compute::take,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use concordat_keys::{Argon2Cost, MasterKey, OrderKey, Passphrase, PseudonymKey, PseudonymSecret, Secret};
use concordat_protocol::{
    collection::{DatasetKind, KeyLink, OwnerLinks},
    ids::{CollectionName, DatasetName},
    schema::VersionNumber,
    scope::{
        Columns, Constraint, DatasetScope, Datasets, Limits, People, Places, Protection, Purpose, Purposes, Rows,
        Scope, SubjectFilter, Subjects, Tier, Transform, Value, Values, Window,
    },
};
use concordat_storage::{
    catalog::{Collection, CollectionSource, ORDINAL_COLUMN, StoredDataset, StoredObject},
    ledger::Ledger,
};
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use crate::{
    Bounds, Holder, Permit, QueryError, ReleasedAnswer, answer_collection,
    tests::{NOW, decision, eva, institution, name, query, texts},
};

/// Persons; each third one is a man, the others are women.
pub(super) const PERSONS: i64 = 60;
/// Events; the person of event `n` is `n` modulo 90, so a third of them have no owner.
pub(super) const EVENTS: i64 = 900;
/// Events have this many codes.
pub(super) const CODES: i64 = 7;

/// The key of a person, which no other column contains.
pub(super) fn person_key(person: i64) -> i64 {
    1_000_000 + person
}

pub(super) fn is_woman(person: i64) -> bool {
    person % 3 != 0
}

/// The person of an event; none has that number for a third of the events.
pub(super) fn person_of(event: i64) -> i64 {
    event % 90
}

#[derive(Debug)]
pub(super) struct Clinic {
    dir: TempDir,
    master: MasterKey,
    pseudonyms: PseudonymSecret,
    name: CollectionName,
    store: Arc<InMemory>,
    datasets: BTreeMap<DatasetName, StoredDataset>,
}

impl Collection for Clinic {
    fn name(&self) -> &CollectionName {
        &self.name
    }
    fn version(&self) -> VersionNumber {
        VersionNumber::FIRST
    }
    fn subjects(&self) -> u32 {
        u32::try_from(PERSONS).unwrap()
    }
    fn datasets(&self) -> Vec<DatasetName> {
        self.datasets.keys().cloned().collect()
    }
    fn dataset(&self, name: &DatasetName) -> Option<StoredDataset> {
        self.datasets.get(name).cloned()
    }
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }
}

impl CollectionSource for Clinic {
    fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey {
        self.pseudonyms.key(grant)
    }
    fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey {
        self.pseudonyms.order_key(grant, &[7; 32])
    }
}

impl Clinic {
    /// With rows in the order of their numbers.
    pub(super) async fn new() -> Self {
        Self::stored_as(&|row, _| row).await
    }

    /// With the row at each position of a dataset that `row_at` a position returns, given the number of its rows.
    pub(super) async fn stored_as(row_at: &dyn Fn(i64, i64) -> i64) -> Self {
        Self::of([persons(), events(), notes(), bills(), concepts()], row_at).await
    }

    /// With these datasets.
    pub(super) async fn of(datasets: impl IntoIterator<Item = NewDataset>, row_at: &dyn Fn(i64, i64) -> i64) -> Self {
        let dir = TempDir::new().unwrap();
        let source = Passphrase::new(
            Secret::from("correct horse".to_owned()),
            Argon2Cost::dangerous_minimum(),
        );
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let mut clinic = Self {
            dir,
            master,
            pseudonyms: PseudonymSecret::dangerous_of_vector([11; 32]),
            name: CollectionName::new("clinic").unwrap(),
            store: Arc::new(InMemory::new()),
            datasets: BTreeMap::new(),
        };
        for dataset in datasets {
            clinic.add(dataset, row_at).await;
        }
        clinic
    }

    /// Stores a dataset in two objects, or in fewer if it has fewer rows.
    async fn add(&mut self, rows: NewDataset, row_at: &dyn Fn(i64, i64) -> i64) {
        let count = i64::try_from(rows.columns[0].1.len()).unwrap();
        let order = Int64Array::from_iter_values((0..count).map(|row| row_at(row, count)));
        let mut fields: Vec<Field> = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (name, values) in &rows.columns {
            fields.push(Field::new(*name, values.data_type().clone(), true));
            columns.push(take(values, &order, None).unwrap());
        }
        let schema: SchemaRef = Arc::new(Schema::new(fields.clone()));
        if let Some(owners) = &rows.owners {
            fields.push(Field::new(ORDINAL_COLUMN, DataType::UInt32, true));
            let owners: ArrayRef = Arc::new(UInt32Array::from(owners.clone()));
            columns.push(take(&owners, &order, None).unwrap());
        }
        let stored_schema: SchemaRef = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&stored_schema), columns).unwrap();
        let half = batch.num_rows() / 2;
        let mut objects = Vec::new();
        for (number, part) in [batch.slice(0, half), batch.slice(half, batch.num_rows() - half)]
            .into_iter()
            .enumerate()
            .filter(|(_, part)| part.num_rows() > 0)
        {
            let mut writer = ArrowWriter::try_new(Vec::new(), part.schema(), None).unwrap();
            writer.write(&part).unwrap();
            let path = Path::from(format!("{}-{number}.parquet", rows.name));
            let bytes = writer.into_inner().unwrap();
            self.store.put(&path, bytes.into()).await.unwrap();
            objects.push(StoredObject {
                meta: self.store.head(&path).await.unwrap(),
                first_row: (number * half) as u64,
                rows: part.num_rows() as u64,
            });
        }
        let name: DatasetName = rows.name.parse().unwrap();
        let dataset = StoredDataset {
            name: name.clone(),
            kind: rows.kind,
            schema,
            stored_schema,
            ordinals: rows.owners.is_some(),
            rows: batch.num_rows() as u64,
            objects,
        };
        self.datasets.insert(name, dataset);
    }

    pub(super) async fn query_within(
        &self,
        holder: Holder,
        scope: Scope,
        sql: &str,
        bounds: Bounds,
    ) -> Result<ReleasedAnswer, QueryError> {
        let ledger = Ledger::open(&self.dir.path().join("ledger"), self.master.ledger(), institution()).unwrap();
        let receipt = ledger.append(decision(true), &eva(), NOW).unwrap();
        let permit = Permit::new(holder, query(), scope, receipt).unwrap();
        answer_collection(permit, self, sql, Arc::new(|| Ok(())), bounds).await
    }

    /// The answer as text, row by row.
    pub(super) async fn rows(&self, holder: Holder, scope: Scope, sql: &str) -> Result<Vec<Vec<String>>, QueryError> {
        let answer = self.query_within(holder, scope, sql, Bounds::default()).await?;
        texts(answer).await
    }

    /// The rows in the order of their texts.
    pub(super) async fn sorted(&self, holder: Holder, scope: Scope, sql: &str) -> Vec<Vec<String>> {
        let mut rows = self
            .rows(holder, scope, sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.sort();
        rows
    }
}

/// A dataset to be stored.
pub(super) struct NewDataset {
    name: &'static str,
    kind: DatasetKind,
    columns: Vec<(&'static str, ArrayRef)>,
    owners: Option<Vec<Option<u32>>>,
}

/// Persons with these keys, each with whether she is a woman. A key is the ordinal of its subject.
pub(super) fn persons_with(rows: &[(Option<u32>, bool)]) -> NewDataset {
    let sex = |is_woman: &bool| if *is_woman { "f" } else { "m" };
    NewDataset {
        name: "person",
        kind: keyed(false),
        columns: vec![
            ("person_id", keys(rows.iter().map(|(key, _)| *key))),
            ("number", whole((0..).take(rows.len()))),
            ("sex", text(rows.iter().map(|(_, woman)| sex(woman).to_owned()))),
        ],
        owners: Some(rows.iter().map(|(key, _)| *key).collect()),
    }
}

/// Events of persons with these keys.
pub(super) fn events_of(rows: &[Option<u32>]) -> NewDataset {
    NewDataset {
        name: "event",
        kind: keyed(false),
        columns: vec![
            ("event_id", whole((0..).take(rows.len()))),
            ("number", whole((0..).take(rows.len()))),
            ("person_id", keys(rows.iter().copied())),
            ("code", whole((0..).take(rows.len()))),
        ],
        owners: Some(rows.to_vec()),
    }
}

fn keys(keys: impl Iterator<Item = Option<u32>>) -> ArrayRef {
    Arc::new(keys.map(|key| key.map(i64::from)).collect::<Int64Array>())
}

fn whole(numbers: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(numbers))
}

fn text(texts: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(texts))
}

fn keyed(unique: bool) -> DatasetKind {
    DatasetKind::Keyed {
        subject: name("person_id"),
        unique,
    }
}

fn owner(person: i64) -> Option<u32> {
    (person < PERSONS).then(|| u32::try_from(person).unwrap())
}

fn persons() -> NewDataset {
    let all = || 0..PERSONS;
    let sex = |person| if is_woman(person) { "f" } else { "m" };
    NewDataset {
        name: "person",
        kind: keyed(true),
        columns: vec![
            ("person_id", whole(all().map(person_key))),
            ("number", whole(all())),
            ("sex", text(all().map(|person| sex(person).to_owned()))),
        ],
        owners: Some(all().map(owner).collect()),
    }
}

fn events() -> NewDataset {
    let all = || 0..EVENTS;
    NewDataset {
        name: "event",
        kind: keyed(false),
        columns: vec![
            ("event_id", whole(all().map(|event| 5_000_000 + event))),
            ("number", whole(all())),
            ("person_id", whole(all().map(|event| person_key(person_of(event))))),
            ("code", whole(all().map(|event| event % CODES))),
        ],
        owners: Some(all().map(|event| owner(person_of(event))).collect()),
    }
}

fn notes() -> NewDataset {
    let all = || 0..EVENTS / 3;
    let link = KeyLink {
        column: name("about"),
        to: "event".parse().unwrap(),
        key: name("event_id"),
    };
    NewDataset {
        name: "note",
        kind: DatasetKind::Owned {
            through: OwnerLinks::new(vec![link]).unwrap(),
        },
        columns: vec![
            ("number", whole(all())),
            ("about", whole(all().map(|note| 5_000_000 + note * 3))),
        ],
        owners: Some(all().map(|note| owner(person_of(note * 3))).collect()),
    }
}

fn bills() -> NewDataset {
    NewDataset {
        name: "bill",
        kind: DatasetKind::Unowned,
        columns: vec![("number", whole(0..50))],
        owners: None,
    }
}

fn concepts() -> NewDataset {
    NewDataset {
        name: "concept",
        kind: DatasetKind::Reference,
        columns: vec![
            ("concept_id", whole(0..CODES)),
            ("label", text((0..CODES).map(|code| format!("concept {code}")))),
        ],
        owners: None,
    }
}

/// All columns of a dataset.
pub(super) fn columns_of(dataset: &str) -> &'static [&'static str] {
    match dataset {
        "person" => &["person_id", "number", "sex"],
        "event" => &["event_id", "number", "person_id", "code"],
        "note" => &["number", "about"],
        "bill" => &["number"],
        "concept" => &["concept_id", "label"],
        other => panic!("`{other}`"),
    }
}

/// The columns of these datasets, keys as pseudonyms if `hidden`.
pub(super) fn scope(datasets: &[&str], hidden: bool) -> Scope {
    let shown = |column: &str| match column {
        "person_id" | "event_id" | "about" if hidden => Transform::Pseudonym,
        _ => Transform::Clear,
    };
    let datasets = datasets.iter().map(|dataset| {
        let columns = columns_of(dataset).iter().map(|column| (name(column), shown(column)));
        let scope = DatasetScope {
            columns: Columns::new(columns).unwrap(),
            rows: Rows::all(),
        };
        (dataset.parse().unwrap(), scope)
    });
    Scope {
        collection: "budapest.clinic".parse().unwrap(),
        tier: Tier::Records,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: Datasets::new(datasets).unwrap(),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(NOW, NOW.plus_seconds(3600)).unwrap(),
    }
}

/// The datasets of the collection.
pub(super) const ALL: [&str; 5] = ["person", "event", "note", "bill", "concept"];

fn rows_with(column: &str, value: Value) -> Rows {
    let constraint = Constraint::new(Values::Set([value].into()), false).unwrap();
    Rows::new(BTreeMap::from([(name(column), constraint)])).unwrap()
}

/// The scope about women only.
pub(super) fn about_women(scope: Scope) -> Scope {
    let women = SubjectFilter::new("person".parse().unwrap(), rows_with("sex", Value::Text("f".to_owned())));
    Scope {
        subjects: Subjects::Only(women.unwrap()),
        ..scope
    }
}

/// The scope with only those rows of a dataset.
pub(super) fn with_rows(mut scope: Scope, dataset: &str, column: &str, value: i64) -> Scope {
    let datasets = scope.datasets.iter().map(|(known, covered)| {
        let mut covered = covered.clone();
        if known.as_str() == dataset {
            covered.rows = rows_with(column, Value::Int(value));
        }
        (known.clone(), covered)
    });
    scope.datasets = Datasets::new(datasets.collect::<Vec<_>>()).unwrap();
    scope
}

/// The scope with only these columns of a dataset.
pub(super) fn with_columns(mut scope: Scope, dataset: &str, columns: &[&str]) -> Scope {
    let datasets = scope.datasets.iter().map(|(known, covered)| {
        let mut covered = covered.clone();
        if known.as_str() == dataset {
            let kept = covered
                .columns
                .iter()
                .filter(|(name, _)| columns.contains(&name.as_str()));
            let kept: Vec<_> = kept.map(|(name, transform)| (name.clone(), transform)).collect();
            covered.columns = Columns::new(kept).unwrap();
        }
        (known.clone(), covered)
    });
    scope.datasets = Datasets::new(datasets.collect::<Vec<_>>()).unwrap();
    scope
}
