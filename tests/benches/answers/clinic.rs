//! The clinic as a collection: its data directory, its declarations, and permits for all of it.

use std::{collections::BTreeMap, path::Path, time::Instant};

use concordat_engine::{Disclosure, Holder, Permit};
use concordat_keys::{Argon2Cost, Passphrase, Secret};
use concordat_protocol::{
    audit::{Cause, EntryBody, NodeTask},
    collection::{
        CollectionRules, DatasetKind, KnownColumns, Listed, RawCollectionRules, RawColumnRules, RawDatasetRules,
        RawLevels, RawRange, ValueLabel,
    },
    identity::InstitutionKey,
    ids::{CollectionName, ColumnName, DatasetName, Digest32, InstitutionId, QueryId},
    scope::{
        Columns, DatasetScope, Datasets, Limits, People, Places, Protection, Purpose, Purposes, Rows, Scope, Subjects,
        Tier, Transform, Value, Window,
    },
    time::Timestamp,
};
use concordat_storage::{
    catalog::{Collection as _, CollectionImport, DatasetImport, Declared, OpenCollection, OpenColumns},
    data_dir::Storage,
    ingest::{Source, TableOptions},
    ledger::{Attribution, Ledger},
};
use tokio::runtime::Runtime;

use super::{
    data::{BORN, DATASETS, REGIONS, YEARS},
    processes::own_peak,
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// 2015-01-01, as days since 1970-01-01.
const FIRST_DAY: i32 = 16_436;
/// The first days of the years of events, as days since [`FIRST_DAY`].
const DAYS_OF_YEARS: [i32; 10] = [0, 365, 731, 1096, 1461, 1826, 2192, 2557, 2922, 3287];

/// The collection, opened with its ledger.
pub(crate) struct Clinic {
    pub(crate) storage: Storage,
    pub(crate) ledger: Ledger,
    pub(crate) version: OpenCollection,
    pub(crate) rules: CollectionRules,
}

/// Passphrases are as cheap as possible: their cost is not what is measured.
fn source() -> Passphrase {
    Passphrase::new(Secret::from("benchmark".to_owned()), Argon2Cost::dangerous_minimum())
}

fn key() -> InstitutionKey {
    InstitutionKey::from_seed(&[7; 32].into())
}

fn institution() -> InstitutionId {
    InstitutionId::new("budapest").unwrap()
}

pub(crate) fn name() -> CollectionName {
    CollectionName::new("clinic").unwrap()
}

pub(crate) fn dataset(name: &str) -> DatasetName {
    DatasetName::new(name).unwrap()
}

fn column(name: &str) -> ColumnName {
    ColumnName::new(name).unwrap()
}

/// Imports the files of a clinic into a new directory.
pub(crate) fn import(dir: &Path, files: &Path) {
    let storage = Storage::init(&dir.join("node"), &source()).unwrap();
    storage.identities().put_institution(&key()).unwrap();
    let imports = DATASETS.map(|(name, _)| DatasetImport {
        name: dataset(name),
        source: Source::at_path(files.join(format!("{name}.csv"))),
        options: TableOptions::default(),
        kept_options: String::new(),
    });
    let request = CollectionImport::new(name(), imports.into());
    let runtime = Runtime::new().unwrap();
    let began = Instant::now();
    let done = runtime.block_on(async {
        let work = move || {
            let declare =
                |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(rules(known), OpenColumns::new()));
            storage
                .catalog()
                .import_collection(&request, &declare, (&key(), NOW), &mut |_| ())
        };
        tokio::task::spawn_blocking(work).await.unwrap().unwrap()
    });
    println!(
        r#"{{"seconds": {:.3}, "subjects": {}, "rows": {}, "peak_mib": {:.1}}}"#,
        began.elapsed().as_secs_f64(),
        done.subjects,
        done.datasets.iter().map(|dataset| dataset.rows).sum::<u64>(),
        own_peak()
    );
}

/// What a steward would declare: levels for conditions and groups, and ranges of what is measured.
fn rules(known: &KnownColumns) -> CollectionRules {
    let datasets = DATASETS.map(|(name, _)| {
        let is_person = name == "person";
        let columns: &[&str] = if is_person {
            &["sex", "born", "region"]
        } else {
            &["code", "day", "value"]
        };
        let columns = columns.iter().map(|name| (column(name), column_rules(name)));
        let rules = RawDatasetRules {
            kind: DatasetKind::Keyed {
                subject: column("person_id"),
                unique: is_person,
            },
            columns: columns.collect(),
            event_date: (!is_person).then(|| column("day")),
            ..RawDatasetRules::default()
        };
        (dataset(name), rules)
    });
    let raw = RawCollectionRules {
        datasets: datasets.into(),
        ..RawCollectionRules::default()
    };
    CollectionRules::check(raw, known).unwrap()
}

fn column_rules(name: &str) -> RawColumnRules {
    let mut rules = RawColumnRules::default();
    match name {
        "sex" => rules.levels = RawLevels::Values(["f", "m"].map(listed).to_vec()),
        "region" => rules.levels = RawLevels::Values(REGIONS.map(listed).to_vec()),
        "born" => {
            let years = (BORN.0..BORN.0 + BORN.1).step_by(10).skip(1);
            rules.levels = edges(years.map(|year| Value::Int(i64::try_from(year).unwrap())));
        }
        "day" => {
            assert_eq!(YEARS.1, DAYS_OF_YEARS.len() as u64);
            rules.levels = edges(DAYS_OF_YEARS.map(|days| Value::Date(FIRST_DAY + days)));
        }
        "value" => {
            rules.measure = Some(RawRange {
                low: 0.0,
                high: 100.0,
                step: None,
            });
        }
        _ => {
            rules.levels = RawLevels::Codes {
                hierarchy: None,
                names: None,
                levels: BTreeMap::new(),
            };
        }
    }
    rules
}

fn listed(text: &str) -> Listed {
    Listed {
        value: Value::Text(text.to_owned()),
        label: ValueLabel::new(text).unwrap(),
    }
}

fn edges(edges: impl IntoIterator<Item = Value>) -> RawLevels {
    RawLevels::Edges {
        edges: edges.into_iter().collect(),
        levels: BTreeMap::new(),
    }
}

impl Clinic {
    /// Opens the directory of an import.
    pub(crate) fn open(dir: &Path) -> Self {
        let storage = Storage::open(&dir.join("node"), &source()).unwrap();
        let ledger = storage.open_ledger(institution()).unwrap();
        let version = storage.catalog().open_collection(&name(), None).unwrap();
        let record = storage.catalog().datasets().collection(&name()).unwrap();
        let rules = storage.catalog().datasets().rules(&record).unwrap();
        Self {
            storage,
            ledger,
            version,
            rules,
        }
    }

    /// By what cells are decided.
    pub(crate) fn disclosure(&self, protection: Protection) -> Disclosure {
        Disclosure::new(Limits::default().min_cell, &protection, self.version.cell_secret()).unwrap()
    }

    /// A permit as a member's query gets it: after the decision is durable in the ledger.
    pub(crate) fn permit(&self, protection: Protection) -> Permit {
        let query = QueryId::from_bytes([3; 16]);
        let permitted = EntryBody::DecisionMade {
            request: query,
            grant: None,
            permitted: true,
            reasons: Vec::new(),
            policy: Digest32::ZERO,
            sql: None,
        };
        let by = Attribution::vouch(Cause::Node { task: NodeTask::Start });
        let receipt = self.ledger.append(permitted, &by, NOW).unwrap();
        Permit::new(Holder::Local, query, self.scope(protection), receipt).unwrap()
    }

    /// Every column in clear, at tier `aggregate`.
    fn scope(&self, protection: Protection) -> Scope {
        let datasets = self.version.datasets().into_iter().map(|name| {
            let stored = self.version.dataset(&name).unwrap();
            let fields = stored.schema.fields().iter();
            let columns = fields.map(|field| (column(field.name()), Transform::Clear));
            let scope = DatasetScope {
                columns: Columns::new(columns).unwrap(),
                rows: Rows::all(),
            };
            (name, scope)
        });
        Scope {
            collection: "budapest.clinic".parse().unwrap(),
            tier: Tier::Aggregate,
            protection,
            subjects: Subjects::Any,
            datasets: Datasets::new(datasets).unwrap(),
            purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
            people: People::Any,
            places: Places::Any,
            limits: Limits::default(),
            window: Window::new(NOW, NOW.plus_seconds(3600)).unwrap(),
        }
    }
}
