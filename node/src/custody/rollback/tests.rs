//! A catalogue beside a ledger that tells of something else. Nothing ties the two but the comparison: the ledger is opened without the
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

use super::super::CustodyParts;
use super::*;
use crate::attribution::by_this_account;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::identity::Identity;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn heart() -> DatasetName {
    DatasetName::new("heart").unwrap()
}

struct Place {
    dir: tempfile::TempDir,
    storage: Storage,
    ledger: Ledger,
    identity: Arc<Identity>,
}

impl Place {
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

    fn told(&self, version: u64, manifest: Digest32) {
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

    async fn open(&self) -> Result<Custody, RollbackError> {
        Custody::open(CustodyParts {
            identity: Arc::clone(&self.identity),
            storage: self.storage.clone(),
            ledger: self.ledger.clone(),
            clock: Clock::still(NOW),
            epoch: Epoch::default(),
        })
        .await
    }

    /// What the catalogue has instead of what the ledger tells of.
    async fn found(&self) -> &'static str {
        match self.open().await {
            Err(RollbackError::OlderState { found, .. }) => found,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn catalogue_without_what_the_ledger_says_was_imported_stops_the_start() {
    let place = Place::new();
    place.told(1, Digest32::ZERO);
    assert_eq!(place.found().await, "has no such dataset");
    let manifest = place.import(ImportMode::Create).await;
    assert_eq!(place.found().await, "has another one of that number");
    place.told(1, manifest);
    place.open().await.unwrap();
    place.told(2, Digest32::ZERO);
    assert_eq!(place.found().await, "has older versions only");
}

#[tokio::test]
async fn catalogue_with_what_the_ledger_says_was_erased_is_erased_at_the_start() {
    let place = Place::new();
    let manifest = place.import(ImportMode::Create).await;
    place.told(1, manifest);
    place.open().await.unwrap();
    place.enter(EntryBody::DatasetErased {
        dataset: heart(),
        statement: Digest32::sha256("test", b"erased"),
    });
    place.open().await.unwrap();
    assert!(place.storage.catalog().datasets().list().unwrap().is_empty());
    assert_eq!(place.storage.catalog().erasures().all().unwrap().len(), 1);
}

#[tokio::test]
async fn version_that_a_stop_kept_out_of_the_ledger_is_entered_once() {
    let place = Place::new();
    let manifest = place.import(ImportMode::Create).await;
    place.open().await.unwrap();
    place.open().await.unwrap();
    let entries = place.ledger.range(0, place.ledger.size()).unwrap();
    let bodies: Vec<EntryBody> = entries.into_iter().map(|stored| stored.entry.body).collect();
    let entered = EntryBody::DatasetImported {
        dataset: heart(),
        version: 1,
        rows: 1,
        manifest,
    };
    assert_eq!(bodies, [entered]);
}
