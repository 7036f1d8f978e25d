//! A catalog and a ledger that only the code under test connects: the ledger is opened without the sealed state.

use std::sync::Arc;

use concordat_keys::KeyFile;
use concordat_protocol::audit::EntryBody;
use concordat_protocol::identity::{InstitutionKey, NodeKey};
use concordat_protocol::ids::{DatasetName, Digest32, Jurisdiction};
use concordat_protocol::text::LegalName;
use concordat_protocol::time::Timestamp;
use concordat_storage::catalog::{ImportMode, ImportRequest};
use concordat_storage::data_dir::Storage;
use concordat_storage::ingest::{Source, SubjectRule};
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
        let path = self.dir.path().join("heart.csv");
        std::fs::write(&path, "record,chol\n1,233\n").unwrap();
        let mut request = ImportRequest {
            mode,
            again: true,
            ..ImportRequest::new(heart(), Source::at_path(path))
        };
        request.options.subject = SubjectRule::EachRow;
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

    pub(in crate::lifecycle) fn enter_import(&self, version: u64, manifest: Digest32) {
        self.enter(EntryBody::DatasetImported {
            dataset: heart(),
            version,
            rows: 1,
            manifest,
        });
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
        })
        .await
    }
}
