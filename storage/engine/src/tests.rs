mod chunks;
mod documented;
mod foreseen;
mod functions;
pub(crate) mod home;
mod hostile;
mod injected_faults;
mod joins;
mod known_plans;
mod lost_columns;
mod messages;
mod nesting;
mod order;
mod records;
mod scopes;
mod sizes;
mod sums;
mod values;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arrow::{
    array::{ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    util::display::array_value_to_string,
};
use concordat_keys::{Argon2Cost, MasterKey, OrderKey, Passphrase, PseudonymKey, PseudonymSecret, Secret};
use concordat_protocol::{
    audit::{Cause, EntryBody},
    ids::{ActorId, ColumnName, Digest32, GrantId, InstitutionId, QueryId},
    scope::{
        BandWidth, Columns, Constraint, Datasets, Generalization, Limits, People, Places, Protection, Purpose,
        Purposes, Rows, Scope, Tier, Transform, Values, Window,
    },
    time::Timestamp,
};
use concordat_storage::ledger::{Attribution, Ledger};
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt,
    memory::InMemory,
    path::Path,
    throttle::{ThrottleConfig, ThrottledStore},
};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use tempfile::TempDir;

use super::{Bounds, QueryError, Source, Table, answer};
use crate::{Cut, Holder, Permit, ReleasedAnswer, StillPermitted};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A dataset in memory, with a real ledger and real keys.
#[derive(Debug)]
struct Fixture {
    dir: TempDir,
    master: MasterKey,
    pseudonyms: PseudonymSecret,
    schema: SchemaRef,
    store: Arc<InMemory>,
    objects: Vec<ObjectMeta>,
    stall: Duration,
}

impl Table for Fixture {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn subject_column(&self) -> &str {
        "mrn"
    }
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        let wait = ThrottleConfig {
            wait_get_per_call: self.stall,
            ..ThrottleConfig::default()
        };
        Arc::new(ThrottledStore::new(Arc::clone(&self.store), wait))
    }
    fn objects(&self) -> Vec<ObjectMeta> {
        self.objects.clone()
    }
}

impl Source for Fixture {
    fn pseudonym_key(&self, grant: Option<&[u8; 16]>) -> PseudonymKey {
        self.pseudonyms.key(grant)
    }
    fn order_key(&self, grant: Option<&[u8; 16]>) -> OrderKey {
        self.pseudonyms.order_key(grant, &[7; 32])
    }
}

impl Fixture {
    async fn of(batches: &[RecordBatch]) -> Self {
        Self::of_groups(batches, None).await
    }

    /// The same with this many rows in a row group.
    async fn of_groups(batches: &[RecordBatch], rows: Option<usize>) -> Self {
        let dir = TempDir::new().unwrap();
        let source = Passphrase::new(
            Secret::from("correct horse".to_owned()),
            Argon2Cost::dangerous_minimum(),
        );
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        let store = Arc::new(InMemory::new());
        let mut objects = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            let groups = WriterProperties::builder().set_max_row_group_row_count(rows).build();
            let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), rows.map(|_| groups)).unwrap();
            writer.write(batch).unwrap();
            let path = Path::from(format!("{number}.parquet"));
            store.put(&path, writer.into_inner().unwrap().into()).await.unwrap();
            objects.push(store.head(&path).await.unwrap());
        }
        Self {
            dir,
            master,
            pseudonyms: PseudonymSecret::dangerous_of_vector([11; 32]),
            schema: schema(),
            store,
            objects,
            stall: Duration::ZERO,
        }
    }

    /// 200 patients in two files: odd ones are of sex 0; age is 20..=119 twice; `chol` is missing for every tenth
    /// patient.
    async fn new() -> Self {
        Self::of(&[patients(0..100), patients(100..200)]).await
    }

    fn permit(&self, holder: Holder, scope: Scope) -> Permit {
        let ledger = Ledger::open(&self.dir.path().join("ledger"), self.master.ledger(), institution()).unwrap();
        let receipt = ledger.append(decision(true), &eva(), NOW).unwrap();
        Permit::new(holder, query(), scope, receipt).unwrap()
    }

    async fn query_while(
        &self,
        scope: Scope,
        sql: &str,
        watch: Arc<dyn StillPermitted>,
    ) -> Result<ReleasedAnswer, QueryError> {
        answer(self.permit(grant(1), scope), self, sql, watch, Bounds::default()).await
    }

    async fn query(&self, scope: Scope, sql: &str) -> Result<ReleasedAnswer, QueryError> {
        self.query_while(scope, sql, Arc::new(|| Ok(()))).await
    }

    /// The answer as text, row by row.
    async fn rows(&self, scope: Scope, sql: &str) -> Result<Vec<Vec<String>>, QueryError> {
        texts(self.query(scope, sql).await?).await
    }

    async fn refused(&self, scope: Scope, sql: &str) -> QueryError {
        match self.rows(scope, sql).await {
            Err(error) => error,
            Ok(rows) => panic!("`{sql}` was answered: {rows:?}"),
        }
    }
}

async fn texts(mut answer: ReleasedAnswer) -> Result<Vec<Vec<String>>, QueryError> {
    let mut rows = Vec::new();
    while let Some(batch) = answer.next_batch().await? {
        let batch = batch.records();
        for row in 0..batch.num_rows() {
            rows.push(
                batch
                    .columns()
                    .iter()
                    .map(|column| array_value_to_string(column, row).unwrap())
                    .collect(),
            );
        }
    }
    Ok(rows)
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("mrn", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("born", DataType::Date32, true),
        Field::new("age", DataType::Int64, true),
        Field::new("sex", DataType::Int64, true),
        Field::new("chol", DataType::Float64, true),
        Field::new("PERSON_ID", DataType::Int64, true),
    ]))
}

fn patients(numbers: std::ops::Range<i64>) -> RecordBatch {
    let all = || numbers.clone();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(all())),
        Arc::new(StringArray::from_iter_values(all().map(|n| format!("Sentinel-{n}")))),
        Arc::new(Date32Array::from_iter_values(
            all().map(|n| i32::try_from(n).unwrap() * 100),
        )),
        Arc::new(Int64Array::from_iter_values(all().map(|n| 20 + n % 100))),
        Arc::new(Int64Array::from_iter_values(all().map(|n| (n + 1) % 2))),
        Arc::new(
            all()
                .map(|n| (n % 10 != 0).then(|| 200.0 + f64::from(i32::try_from(n).unwrap())))
                .collect::<Float64Array>(),
        ),
        Arc::new(Int64Array::from_iter_values(all().map(|n| 1000 + n))),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn institution() -> InstitutionId {
    InstitutionId::new("budapest").unwrap()
}

fn eva() -> Attribution {
    Attribution::vouch(Cause::Person {
        actor: ActorId::new("eva@budapest").unwrap(),
    })
}

fn query() -> QueryId {
    QueryId::from_bytes([3; 16])
}

fn grant(number: u8) -> Holder {
    Holder::Grant(GrantId::from_bytes([number; 16]))
}

fn decision(permitted: bool) -> EntryBody {
    decision_on(query(), permitted)
}

fn decision_on(request: QueryId, permitted: bool) -> EntryBody {
    EntryBody::DecisionMade {
        request,
        grant: None,
        permitted,
        reasons: Vec::new(),
        policy: Digest32::ZERO,
        sql: None,
    }
}

fn name(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn scope(tier: Tier, columns: &[(&str, Transform)]) -> Scope {
    Scope {
        collection: "budapest.heart".parse().unwrap(),
        tier,
        protection: Protection::Exact,
        subjects: concordat_protocol::scope::Subjects::Any,
        datasets: Datasets::one(
            "heart".parse().unwrap(),
            Columns::new(columns.iter().map(|(column, transform)| (name(column), *transform))).unwrap(),
            Rows::all(),
        ),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(NOW, NOW.plus_seconds(3600)).unwrap(),
    }
}

fn clear(tier: Tier, columns: &[&str]) -> Scope {
    let columns: Vec<_> = columns.iter().map(|column| (*column, Transform::Clear)).collect();
    scope(tier, &columns)
}

fn with_rows(mut scope: Scope, column: &str, values: Values) -> Scope {
    let constraint = Constraint::new(values, false).unwrap();
    only_rows(
        &mut scope,
        Rows::new(BTreeMap::from([(name(column), constraint)])).unwrap(),
    );
    scope
}

fn only_rows(scope: &mut Scope, rows: Rows) {
    let (name, only) = scope.datasets.single().unwrap();
    scope.datasets = Datasets::one(name.clone(), only.columns.clone(), rows);
}

const BANDS: Transform = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));
const YEAR: Transform = Transform::Generalized(Generalization::Year);

#[tokio::test]
async fn entry_that_denies_makes_no_permit() {
    let fixture = Fixture::new().await;
    let ledger = Ledger::open(
        &fixture.dir.path().join("ledger"),
        fixture.master.ledger(),
        institution(),
    )
    .unwrap();
    let scope = || clear(Tier::Records, &["age"]);
    let denied = ledger.append(decision(false), &eva(), NOW).unwrap();
    assert!(Permit::new(grant(1), query(), scope(), denied).is_err());
    let other = ledger.append(decision(true), &eva(), NOW).unwrap();
    assert!(Permit::new(grant(1), QueryId::from_bytes([4; 16]), scope(), other).is_err());
}
