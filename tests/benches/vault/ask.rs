//! The same questions over the same Parquet, plain and sealed, by the same engine with the same settings.

use std::collections::BTreeMap;
use std::path::Path as FsPath;
use std::sync::Arc;
use std::time::{Duration, Instant};

use concordat_protocol::audit::EntryBody;
use concordat_protocol::ids::{Digest32, InstitutionId, QueryId};
use concordat_protocol::scope::{
    Columns, Limits, People, Places, Purpose, Purposes, Rows, Scope, Tier, Transform, Window,
};
use concordat_protocol::time::Timestamp;
use concordat_storage::catalog::OpenVersion;
use concordat_storage::keys::{Argon2Cost, MasterKey, Passphrase, Secret};
use concordat_storage::ledger::Ledger;
use concordat_storage::permit::{Holder, Permit};
use concordat_storage::query::{Bounds, QueryError, answer};
use concordat_storage::seal::{DurableStore, SealedStore, Suite};
use concordat_storage::storage::Storage;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

use super::house::{VISITS, name, opened};

/// How often each question is asked of each store, in turns; the median counts.
const ROUNDS: usize = 11;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

const GROUPED: &str =
    "SELECT site, sex, count(*), avg(chol), max(systolic) FROM visits WHERE age >= 40 GROUP BY site, sex";
/// The same as tier `aggregate` allows it: a maximum shows one person's value.
const COUNTED: &str =
    "SELECT site, sex, count(*), avg(chol), avg(systolic) FROM visits WHERE age >= 40 GROUP BY site, sex";
const POINT: &str = "SELECT * FROM visits WHERE patient_id = 123456";

const KINDS: [(&str, Option<Suite>); 3] = [
    ("plain", None),
    ("aes", Some(Suite::Aes256Gcm)),
    ("chacha", Some(Suite::ChaCha20Poly1305)),
];

/// The objects of the dataset three times: as plain Parquet in `DIR/plain`, and sealed with either suite.
async fn sessions(dir: &FsPath, version: &OpenVersion) -> Vec<(&'static str, SessionContext)> {
    let keys = tempfile::tempdir().unwrap();
    let source = Passphrase::new(Secret::from("benchmark".to_owned()), Argon2Cost::dangerous_minimum());
    let master = MasterKey::create(&keys.path().join("master.key"), &source).unwrap();
    let (segment, _) = master.create_segment("main").unwrap();
    let mut sessions = Vec::new();
    for (kind, suite) in KINDS {
        let files: Arc<dyn ObjectStore> = Arc::new(DurableStore::open(&dir.join(kind)).unwrap());
        let store = match suite {
            Some(suite) => Arc::new(SealedStore::new(
                files,
                segment.create_dataset(VISITS).unwrap().0,
                suite,
            )),
            None => files,
        };
        copy(version, store.as_ref()).await;
        sessions.push((kind, session(version, store)));
    }
    sessions
}

async fn copy(version: &OpenVersion, to: &dyn ObjectStore) {
    let from = version.object_store();
    for (number, object) in version.objects().iter().enumerate() {
        let bytes = from.get(&object.location).await.unwrap().bytes().await.unwrap();
        to.put(&Path::from(format!("{number}.parquet")), bytes.into())
            .await
            .unwrap();
    }
}

/// Asks every question of every store in turns, and prints the medians in milliseconds.
pub(crate) fn ask(dir: &FsPath) {
    let storage = opened(&dir.join("house"));
    let version = storage.catalog().open_version(&name(VISITS), None).unwrap();
    let spans = Runtime::new().unwrap().block_on(async {
        let stores = sessions(dir, &version).await;
        let mut spans: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            for (kind, session) in &stores {
                for (question, sql) in [("grouped", GROUPED), ("point", POINT)] {
                    let began = Instant::now();
                    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
                    spans
                        .entry(format!("{question}_{kind}"))
                        .or_default()
                        .push(began.elapsed());
                    assert!(batches.iter().any(|batch| batch.num_rows() > 0), "{question} of {kind}");
                }
            }
            for (tier, name) in [(Tier::Records, "records"), (Tier::Aggregate, "aggregate")] {
                let began = Instant::now();
                let Some(rows) = through_a_permit(&storage, &version, tier).await else {
                    continue;
                };
                assert!(rows > 0);
                spans.entry(format!("permit_{name}")).or_default().push(began.elapsed());
            }
        }
        spans
    });
    let median = |mut spans: Vec<Duration>| {
        spans.sort();
        spans[spans.len() / 2].as_secs_f64() * 1000.0
    };
    let figures = spans
        .into_iter()
        .map(|(what, spans)| format!(r#""{what}": {:.1}"#, median(spans)));
    println!("{{{}}}", figures.collect::<Vec<_>>().join(", "));
}

/// DataFusion as it comes, with as many partitions as the product uses, over all Parquet files of a store.
fn session(version: &OpenVersion, store: Arc<dyn ObjectStore>) -> SessionContext {
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    let url = ListingTableUrl::parse("bench://objects/").unwrap();
    session.register_object_store(url.object_store().as_ref(), store);
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new(url)
        .with_listing_options(options)
        .with_schema(version.schema());
    session
        .register_table(VISITS, Arc::new(ListingTable::try_new(config).unwrap()))
        .unwrap();
    session
}

/// The grouped question the way a member asks it: a decision in the ledger, a permit, the guarded engine, released batches. Nothing
/// if it needs more memory than one query may take.
async fn through_a_permit(storage: &Storage, version: &OpenVersion, tier: Tier) -> Option<usize> {
    let query = QueryId::from_bytes([3; 16]);
    let house = InstitutionId::new("budapest").unwrap();
    let ledger = Ledger::open(&storage.ledger_dir(), storage.ledger_key(), house).unwrap();
    let permitted = EntryBody::DecisionMade {
        request: query,
        grant: None,
        actor: None,
        peer: None,
        permitted: true,
        reasons: Vec::new(),
        policy: Digest32::ZERO,
        sql: None,
    };
    let receipt = ledger.append(permitted, NOW).unwrap();
    let permit = Permit::new(Holder::Local, query, scope(version, tier), receipt).unwrap();
    let sql = if tier == Tier::Records { GROUPED } else { COUNTED };
    let asked = answer(permit, version, sql, Arc::new(|| Ok(())), Bounds::default());
    let mut answer = match asked.await {
        Err(QueryError::Memory) => return None,
        asked => asked.unwrap(),
    };
    let mut rows = 0;
    while let Some(batch) = answer.next_batch().await.unwrap() {
        rows += batch.records().num_rows();
    }
    Some(rows)
}

/// Every column in clear.
fn scope(version: &OpenVersion, tier: Tier) -> Scope {
    let columns = version
        .manifest()
        .own_columns()
        .map(|column| (column.name.clone(), Transform::Clear));
    Scope {
        dataset: "budapest.visits".parse().unwrap(),
        tier,
        columns: Columns::new(columns).unwrap(),
        rows: Rows::all(),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(NOW, NOW.plus_seconds(3600)).unwrap(),
    }
}
