//! The same queries over the same Parquet, plain and sealed, by the same engine with the same settings: those of the product, and for
//! plain Parquet also the defaults of DataFusion.

use std::collections::BTreeMap;
use std::path::Path as FsPath;
use std::sync::Arc;
use std::time::{Duration, Instant};

use concordat_engine::{Bounds, Holder, Permit, answer};
use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret, Suite};
use concordat_protocol::audit::{Cause, EntryBody, NodeTask};
use concordat_protocol::ids::{Digest32, InstitutionId, QueryId};
use concordat_protocol::scope::{
    Columns, Datasets, Limits, People, Places, Protection, Purpose, Purposes, Rows, Scope, Subjects, Tier, Transform,
    Window,
};
use concordat_protocol::time::Timestamp;
use concordat_storage::ledger::{Attribution, Ledger};
use concordat_storage::objects::DurableStore;
use concordat_storage::seal::SealedStore;
use concordat_storage::{catalog::OpenVersion, data_dir::Storage};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::physical_plan::parquet::transform_schema_to_view;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

use super::data_dirs::{VISITS, name, opened};

/// How often each query is run over each store, in turns; the median counts.
const ROUNDS: usize = 11;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

const GROUPED: &str =
    "SELECT site, sex, count(*), avg(chol), max(systolic) FROM visits WHERE age >= 40 GROUP BY site, sex";
/// The same, as tier `aggregate` allows it: a maximum reveals one person's value.
const COUNTED: &str =
    "SELECT site, sex, count(*), avg(chol), avg(systolic) FROM visits WHERE age >= 40 GROUP BY site, sex";
const POINT: &str = "SELECT * FROM visits WHERE patient_id = 123456";

const KINDS: [(&str, Option<Suite>); 3] = [
    ("plain", None),
    ("aes", Some(Suite::Aes256Gcm)),
    ("chacha", Some(Suite::ChaCha20Poly1305)),
];
/// Rows in a batch, as in the product.
const BATCH_ROWS: usize = 32 * 1024;

/// One query over one store.
struct PreparedQuery {
    name: String,
    session: SessionContext,
    sql: &'static str,
}

/// The objects of the dataset three times: as plain Parquet in `DIR/plain`, and sealed with either suite.
async fn prepare(dir: &FsPath, version: &OpenVersion) -> Vec<PreparedQuery> {
    let keys = tempfile::tempdir().unwrap();
    let source = Passphrase::new(Secret::from("benchmark".to_owned()), Argon2Cost::dangerous_minimum());
    let master = MasterKey::create(&keys.path().join("master.key"), &source).unwrap();
    let (segment, _) = master.create_segment("main").unwrap();
    let mut prepared = Vec::new();
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
        let mut settings = vec![(kind, true)];
        if suite.is_none() {
            settings.push(("default", false));
        }
        for (kind, product_settings) in settings {
            for (query, sql) in [("grouped", GROUPED), ("point", POINT)] {
                let config = if product_settings {
                    product_config(sql)
                } else {
                    SessionConfig::new()
                };
                prepared.push(PreparedQuery {
                    name: format!("{query}_{kind}"),
                    session: session(version, Arc::clone(&store), config, product_settings),
                    sql,
                });
            }
        }
    }
    prepared
}

/// The product's settings; it evaluates an equality first and reads the other columns only where it matches.
fn product_config(sql: &str) -> SessionConfig {
    let mut config = SessionConfig::new().with_batch_size(BATCH_ROWS);
    config.options_mut().execution.parquet.pushdown_filters = sql == POINT;
    config
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

/// Runs every query over every store in turns, and prints the medians in milliseconds.
pub(crate) fn query(dir: &FsPath) {
    let storage = opened(&dir.join("node"));
    let version = storage.catalog().open_version(&name(VISITS), None).unwrap();
    let spans = Runtime::new().unwrap().block_on(async {
        let queries = prepare(dir, &version).await;
        let mut spans: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            for PreparedQuery { name, session, sql } in &queries {
                let began = Instant::now();
                let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
                spans.entry(name.clone()).or_default().push(began.elapsed());
                assert!(batches.iter().any(|batch| batch.num_rows() > 0), "{name}");
            }
            for (name, tier, sql) in [
                ("permit_records", Tier::Records, GROUPED),
                ("permit_aggregate", Tier::Records, COUNTED),
                ("permit_point", Tier::Records, POINT),
            ] {
                let began = Instant::now();
                assert!(through_a_permit(&storage, &version, tier, sql).await > 0, "{name}");
                spans.entry(name.to_owned()).or_default().push(began.elapsed());
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

/// DataFusion over all Parquet files of a store, in two parts.
fn session(
    version: &OpenVersion,
    store: Arc<dyn ObjectStore>,
    config: SessionConfig,
    text_as_views: bool,
) -> SessionContext {
    let session = SessionContext::new_with_config(config.with_target_partitions(2));
    let url = ListingTableUrl::parse("bench://objects/").unwrap();
    session.register_object_store(url.object_store().as_ref(), store);
    let schema = version.schema();
    let schema = if text_as_views {
        Arc::new(transform_schema_to_view(&schema))
    } else {
        schema
    };
    let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
    let config = ListingTableConfig::new(url)
        .with_listing_options(options)
        .with_schema(schema);
    session
        .register_table(VISITS, Arc::new(ListingTable::try_new(config).unwrap()))
        .unwrap();
    session
}

fn start() -> Attribution {
    Attribution::vouch(Cause::Node { task: NodeTask::Start })
}

/// A query as a member's query runs: a decision in the ledger, a permit, the guarded engine, released batches. Returns the rows.
async fn through_a_permit(storage: &Storage, version: &OpenVersion, tier: Tier, sql: &str) -> usize {
    let query = QueryId::from_bytes([3; 16]);
    let node = InstitutionId::new("budapest").unwrap();
    let ledger = Ledger::open(&storage.ledger_dir(), storage.ledger_key(), node).unwrap();
    let permitted = EntryBody::DecisionMade {
        request: query,
        grant: None,
        permitted: true,
        reasons: Vec::new(),
        policy: Digest32::ZERO,
        sql: None,
    };
    let receipt = ledger.append(permitted, &start(), NOW).unwrap();
    let permit = Permit::new(Holder::Local, query, scope(version, tier), receipt).unwrap();
    let answering = answer(permit, version, sql, Arc::new(|| Ok(())), Bounds::default());
    let mut answer = answering.await.unwrap();
    let mut rows = 0;
    while let Some(batch) = answer.next_batch().await.unwrap() {
        rows += batch.records().num_rows();
    }
    rows
}

/// Every column in clear.
fn scope(version: &OpenVersion, tier: Tier) -> Scope {
    let columns = version
        .manifest()
        .own_columns()
        .map(|column| (column.name.clone(), Transform::Clear));
    Scope {
        collection: "budapest.visits".parse().unwrap(),
        tier,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: Datasets::one("visits".parse().unwrap(), Columns::new(columns).unwrap(), Rows::all()),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(NOW, NOW.plus_seconds(3600)).unwrap(),
    }
}
