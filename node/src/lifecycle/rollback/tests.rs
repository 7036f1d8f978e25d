//! A catalog together with a ledger that disagrees with it. Only the comparison connects the two: the ledger is opened without the
//! sealed state.

use std::sync::Arc;

use concordat_protocol::identity::{InstitutionKey, NodeKey};
use concordat_protocol::ids::Jurisdiction;
use concordat_protocol::text::LegalName;
use concordat_protocol::time::Timestamp;
use concordat_storage::ingest::{Source, SubjectRule};
use concordat_storage::keys::KeyFile;
use concordat_storage::ledger::Ledger;
use concordat_storage::{
    catalog::{ImportMode, ImportRequest},
    data_dir::Storage,
};

use super::super::Lifecycle;
use super::*;
use crate::attribution::by_this_account;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::identity::Identity;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn heart() -> DatasetName {
    DatasetName::new("heart").unwrap()
}

struct Fixture {
    dir: tempfile::TempDir,
    storage: Storage,
    ledger: Ledger,
    identity: Arc<Identity>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        concordat_storage::fs::write_private(&key, &[b'k'; 64]).unwrap();
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

    async fn import(&self, mode: ImportMode) -> Digest32 {
        let path = self.dir.path().join("heart.csv");
        std::fs::write(&path, "record,chol\n1,233\n").unwrap();
        let mut request = ImportRequest {
            mode,
            ..ImportRequest::new(heart(), Source::at_path(path))
        };
        request.options.subject = SubjectRule::EachRow;
        let (catalog, identity) = (self.storage.catalog().clone(), Arc::clone(&self.identity));
        let imported = move || {
            catalog
                .import(&request, &identity.institution_key(), NOW, &mut |_| ())
                .unwrap();
            catalog.open_version(&heart(), None).unwrap().manifest_digest()
        };
        tokio::task::spawn_blocking(imported).await.unwrap()
    }

    fn enter_import(&self, version: u64, manifest: Digest32) {
        self.enter(EntryBody::DatasetImported {
            dataset: heart(),
            version,
            rows: 1,
            manifest,
        });
    }

    fn enter(&self, body: EntryBody) {
        drop(self.ledger.append(body, &by_this_account(), NOW).unwrap());
    }

    async fn open(&self) -> Result<Lifecycle, RollbackError> {
        Lifecycle::open(LifecycleParts {
            identity: Arc::clone(&self.identity),
            storage: self.storage.clone(),
            ledger: self.ledger.clone(),
            clock: Clock::still(NOW),
            epoch: Epoch::default(),
        })
        .await
    }

    /// What the catalog contains instead of what the ledger has recorded.
    async fn found(&self) -> &'static str {
        match self.open().await {
            Err(RollbackError::OlderState { found, .. }) => found,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn rollback_missing_imported_version_stops_the_start() {
    let fixture = Fixture::new();
    fixture.enter_import(1, Digest32::ZERO);
    assert_eq!(fixture.found().await, "does not contain that dataset");
    let manifest = fixture.import(ImportMode::Create).await;
    assert_eq!(fixture.found().await, "contains a different version with that number");
    fixture.enter_import(1, manifest);
    fixture.open().await.unwrap();
    fixture.enter_import(2, Digest32::ZERO);
    assert_eq!(fixture.found().await, "contains only older versions");
}

#[tokio::test]
async fn rollback_erased_dataset_is_erased_at_the_start() {
    let fixture = Fixture::new();
    let manifest = fixture.import(ImportMode::Create).await;
    fixture.enter_import(1, manifest);
    fixture.open().await.unwrap();
    fixture.enter(EntryBody::DatasetErased {
        dataset: heart(),
        statement: Digest32::sha256("test", b"erased"),
    });
    fixture.open().await.unwrap();
    assert!(fixture.storage.catalog().datasets().list().unwrap().is_empty());
    assert_eq!(fixture.storage.catalog().erasures().all().unwrap().len(), 1);
}

#[tokio::test]
async fn rollback_version_missing_in_ledger_is_entered_once() {
    let fixture = Fixture::new();
    let manifest = fixture.import(ImportMode::Create).await;
    fixture.open().await.unwrap();
    fixture.open().await.unwrap();
    let entries = fixture.ledger.range(0, fixture.ledger.size()).unwrap();
    let bodies: Vec<EntryBody> = entries.into_iter().map(|stored| stored.entry.body).collect();
    let entered = EntryBody::DatasetImported {
        dataset: heart(),
        version: 1,
        rows: 1,
        manifest,
    };
    assert_eq!(bodies, [entered]);
}
