//! A catalog and a ledger that only the code under test connects: the ledger is opened without the sealed state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use concordat_keys::KeyFile;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::collection::{DatasetKind, KnownColumns};
use concordat_protocol::identity::{InstitutionKey, NodeKey};
use concordat_protocol::ids::{CollectionName, ColumnName, DatasetName, Digest32, Jurisdiction};
use concordat_protocol::schema::ColumnClass;
use concordat_protocol::text::LegalName;
use concordat_protocol::time::Timestamp;
use concordat_storage::catalog::{CollectionImport, DatasetImport, Declared, ImportMode, ImportRequest, PlannedChange};
use concordat_storage::data_dir::Storage;
use concordat_storage::ingest::{Source, SubjectRule, TableOptions};
use concordat_storage::ledger::Ledger;

use super::super::rollback::RollbackError;
use super::super::{Lifecycle, LifecycleParts};
use crate::attribution::by_this_account;
use crate::changes::Changes;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::identity::Identity;

pub(in crate::lifecycle) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(in crate::lifecycle) fn heart() -> DatasetName {
    DatasetName::new("heart").unwrap()
}

pub(in crate::lifecycle) struct Fixture {
    pub(in crate::lifecycle) dir: tempfile::TempDir,
    pub(in crate::lifecycle) storage: Storage,
    pub(in crate::lifecycle) ledger: Ledger,
    identity: Arc<Identity>,
}

impl Fixture {
    pub(in crate::lifecycle) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        concordat_keys::fs::write_private(&key, &[b'k'; 64]).unwrap();
        let storage = Storage::init(&dir.path().join("node"), &KeyFile::new(key)).unwrap();
        let identity = Identity::new(
            (
                "budapest".parse().unwrap(),
                LegalName::new("B").unwrap(),
                Jurisdiction::new("HU").unwrap(),
            ),
            InstitutionKey::from_seed(&[1; 32].into()),
            NodeKey::from_seed(&[2; 32].into()),
        );
        storage
            .identities()
            .put_institution(&identity.institution_key())
            .unwrap();
        let ledger = Ledger::open(
            &storage.ledger_dir(),
            storage.ledger_key(),
            identity.institution.clone(),
        );
        Self {
            dir,
            storage,
            ledger: ledger.unwrap(),
            identity: Arc::new(identity),
        }
    }

    pub(in crate::lifecycle) async fn import(&self, mode: ImportMode) -> Digest32 {
        self.import_of(mode, SubjectRule::EachRow).await
    }

    /// The same with these subjects.
    pub(in crate::lifecycle) async fn import_of(&self, mode: ImportMode, subject: SubjectRule) -> Digest32 {
        let path = self.dir.path().join("heart.csv");
        std::fs::write(&path, "record,chol\n1,233\n").unwrap();
        let mut request = ImportRequest {
            mode,
            again: true,
            ..ImportRequest::new(heart(), Source::at_path(path))
        };
        request.options.subject = subject;
        let catalog = self.storage.catalog().clone();
        let identity = Arc::clone(&self.identity);
        let imported = move || {
            catalog
                .import(&request, &identity.institution_key(), NOW, &mut |_| ())
                .unwrap();
            catalog.open_version(&heart(), None).unwrap().manifest_digest()
        };
        tokio::task::spawn_blocking(imported).await.unwrap()
    }

    /// Imports a collection of two datasets with three rows.
    pub(in crate::lifecycle) async fn import_clinic(&self) -> Digest32 {
        let kinds = ["person", "visit"].map(|name| {
            let subject = "person_id".parse().unwrap();
            let unique = name == "person";
            (name.parse().unwrap(), DatasetKind::Keyed { subject, unique })
        });
        let dataset = |name: &str, text: &str| {
            let path = self.dir.path().join(format!("{name}.csv"));
            std::fs::write(&path, text).unwrap();
            DatasetImport {
                name: name.parse().unwrap(),
                source: Source::at_path(path),
                options: TableOptions::default(),
                kept_options: String::new(),
            }
        };
        let datasets = vec![
            dataset("person", "person_id,sex\n1,f\n2,m\n"),
            dataset("visit", "visit_id,person_id\n10,2\n"),
        ];
        let request = CollectionImport::new("clinic".parse().unwrap(), datasets);
        let catalog = self.storage.catalog().clone();
        let identity = Arc::clone(&self.identity);
        let imported = move || {
            let declare = |_: &KnownColumns| Ok::<_, Vec<String>>(Declared::Kinds(BTreeMap::from(kinds.clone())));
            let signer = identity.institution_key();
            let done = catalog.import_collection(&request, &declare, (&signer, NOW), &mut |_| ());
            done.unwrap().manifest
        };
        tokio::task::spawn_blocking(imported).await.unwrap()
    }

    pub(in crate::lifecycle) fn enter_import(&self, version: u64, manifest: Digest32) {
        self.enter(EntryBody::DatasetImported {
            dataset: heart(),
            version,
            rows: 1,
            manifest,
            declared: None,
        });
    }

    /// The digest of what is declared about a collection now.
    pub(in crate::lifecycle) fn declared(&self, name: &str) -> Digest32 {
        let datasets = self.storage.catalog().datasets();
        datasets.collection(&name.parse().unwrap()).unwrap().declared_digest()
    }

    /// Classifies both columns of the dataset as ordinary, and publishes it.
    pub(in crate::lifecycle) fn publish(&self) {
        let datasets = self.storage.catalog().datasets();
        let classes = ["record", "chol"].map(|name| (name.parse::<ColumnName>().unwrap(), ColumnClass::Ordinary));
        let make = |planned: PlannedChange| {
            let entry = planned.entry().clone();
            let receipt = self.ledger.append(entry, &by_this_account(), NOW).unwrap();
            datasets.make_change(planned, &receipt).unwrap();
        };
        make(datasets.plan_classes(&heart(), &classes.into_iter().collect()).unwrap());
        make(datasets.plan_publication(&CollectionName::from(&heart())).unwrap());
    }

    pub(in crate::lifecycle) fn enter(&self, body: EntryBody) {
        drop(self.ledger.append(body, &by_this_account(), NOW).unwrap());
    }

    pub(in crate::lifecycle) async fn open(&self) -> Result<Lifecycle, RollbackError> {
        Lifecycle::open(LifecycleParts {
            identity: Arc::clone(&self.identity),
            storage: self.storage.clone(),
            ledger: self.ledger.clone(),
            changes: Changes::open(self.storage.meta(), self.ledger.clone()).unwrap(),
            clock: Clock::still(NOW),
            epoch: Epoch::default(),
            erasing: Mutex::default(),
        })
        .await
    }
}
