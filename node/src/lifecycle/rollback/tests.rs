//! A catalog together with a ledger that disagrees with it. Only the comparison connects the two: the ledger is opened without the
//! sealed state.

use concordat_storage::catalog::ImportMode;

use super::super::tests::fixture::{Fixture, heart};
use super::*;

impl Fixture {
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
