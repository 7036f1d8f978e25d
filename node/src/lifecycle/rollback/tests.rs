//! A catalog together with a ledger that disagrees with it. Only the comparison connects the two: the ledger is opened without the
//! sealed state.

use std::sync::Mutex;

use concordat_protocol::identity::InstitutionKey;
use concordat_storage::catalog::{DATASETS, DatasetRecord, ErasureOrder, ImportMode};
use concordat_storage::ingest::SubjectRule;
use concordat_storage::meta::SealedTree;

use super::super::tests::fixture::{Fixture, NOW, heart};
use super::*;

impl Fixture {
    fn datasets(&self) -> SealedTree<DatasetRecord> {
        self.storage.meta().tree(DATASETS).unwrap()
    }

    /// Erases the dataset as the start does when only the ledger records it.
    async fn erase(&self) {
        self.enter(EntryBody::DatasetErased {
            dataset: heart(),
            statement: Digest32::sha256("test", b"erased"),
        });
        self.open().await.unwrap();
        assert!(self.storage.catalog().datasets().list().unwrap().is_empty());
    }

    /// The statement that the dataset, as it is now, is erased.
    async fn statement(&self) -> ErasureStatement {
        let catalog = self.storage.catalog().clone();
        let signed = move || {
            let order = ErasureOrder {
                institution: "budapest".parse().unwrap(),
                by: None,
                reason: Reason::sanitized("test"),
                at: NOW,
            };
            let key = InstitutionKey::from_seed(&[1; 32].into());
            catalog.erasures().sign_statement(&heart(), order, &key).unwrap()
        };
        tokio::task::spawn_blocking(signed).await.unwrap()
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
        declared: Some(fixture.declared("heart")),
    };
    assert_eq!(bodies, [entered]);
}

#[tokio::test]
async fn rollback_compares_collections_like_datasets() {
    let fixture = Fixture::new();
    let manifest = fixture.import_clinic().await;
    fixture.open().await.unwrap();
    fixture.open().await.unwrap();
    let entered = |version: u64, manifest: Digest32| EntryBody::CollectionImported {
        collection: "clinic".parse().unwrap(),
        version,
        datasets: 2,
        rows: 3,
        manifest,
        declared: Some(fixture.declared("clinic")),
    };
    let entries = fixture.ledger.range(0, fixture.ledger.size()).unwrap();
    let bodies: Vec<EntryBody> = entries.into_iter().map(|stored| stored.entry.body).collect();
    assert_eq!(bodies, [entered(1, manifest)]);
    fixture.enter(entered(2, Digest32::ZERO));
    assert_eq!(fixture.found().await, "contains only older versions");
}

#[tokio::test]
async fn rollback_erased_collection_is_erased_at_the_start() {
    let fixture = Fixture::new();
    fixture.import_clinic().await;
    fixture.enter(EntryBody::DatasetErased {
        dataset: "clinic".parse().unwrap(),
        statement: Digest32::sha256("test", b"erased"),
    });
    fixture.open().await.unwrap();
    assert!(fixture.storage.catalog().datasets().collections().unwrap().is_empty());
}

#[tokio::test]
async fn rollback_erased_dataset_that_is_there_again_is_refused() {
    let fixture = Fixture::new();
    let manifest = fixture.import(ImportMode::Create).await;
    fixture.enter_import(1, manifest);
    fixture.open().await.unwrap();
    let copy = fixture.datasets().get(heart().as_str()).unwrap().unwrap();
    fixture.erase().await;
    fixture.datasets().put(heart().as_str(), &copy).unwrap();
    let entries = fixture.ledger.size();
    assert_eq!(
        fixture.found().await,
        "contains it again, under keys that were destroyed"
    );
    assert_eq!(fixture.ledger.size(), entries, "it is not entered as imported");
}

/// The keys above those of the dataset were set back as well, so that its own can be opened.
#[tokio::test]
async fn rollback_dataset_with_a_destroyed_key_is_refused() {
    let fixture = Fixture::new();
    let manifest = fixture.import(ImportMode::Create).await;
    let copy = fixture.datasets().get(heart().as_str()).unwrap().unwrap();
    let statement = fixture.statement().await;
    fixture.datasets().remove(heart().as_str()).unwrap();
    fixture.enter(EntryBody::DatasetErased {
        dataset: heart(),
        statement: statement.digest(),
    });
    let catalog = fixture.storage.catalog().clone();
    let stored = move || catalog.erasures().erase(&statement).unwrap();
    assert!(!tokio::task::spawn_blocking(stored).await.unwrap());
    fixture.open().await.unwrap();
    fixture.datasets().put(heart().as_str(), &copy).unwrap();
    let expected = "contains it again, with a key that the erasure destroyed";
    assert_eq!(fixture.found().await, expected);
    // An import that the ledger records later changes nothing about the key.
    fixture.enter_import(1, manifest);
    assert_eq!(fixture.found().await, expected);
}

#[tokio::test]
async fn rollback_dataset_of_the_same_name_has_other_keys() {
    let fixture = Fixture::new();
    let manifest = fixture.import(ImportMode::Create).await;
    fixture.enter_import(1, manifest);
    fixture.open().await.unwrap();
    fixture.erase().await;
    // The stop came before its entry.
    let manifest = fixture.import(ImportMode::Create).await;
    fixture.open().await.unwrap();
    let last = fixture.ledger.tail(1).unwrap().pop().unwrap().entry.body;
    let entered = EntryBody::DatasetImported {
        dataset: heart(),
        version: 1,
        rows: 1,
        manifest,
        declared: Some(fixture.declared("heart")),
    };
    assert_eq!(last, entered);
}

#[tokio::test]
async fn rollback_enters_that_a_version_was_withdrawn() {
    let fixture = Fixture::new();
    let manifest = fixture.import(ImportMode::Create).await;
    fixture.enter_import(1, manifest);
    fixture.publish();
    fixture.open().await.unwrap();
    // Its rows have other subjects, and the stop came before its entries.
    let subject = SubjectRule::Column("record".to_owned());
    let manifest = fixture.import_of(ImportMode::Replace, subject).await;
    fixture.open().await.unwrap();
    let last = fixture.ledger.tail(2).unwrap();
    let bodies: Vec<EntryBody> = last.into_iter().map(|stored| stored.entry.body).collect();
    let imported = EntryBody::DatasetImported {
        dataset: heart(),
        version: 2,
        rows: 1,
        manifest,
        declared: Some(fixture.declared("heart")),
    };
    let withdrawn = EntryBody::DatasetWithdrawn { dataset: heart() };
    assert!(bodies.contains(&imported) && bodies.contains(&withdrawn), "{bodies:?}");
    let entries = fixture.ledger.size();
    fixture.open().await.unwrap();
    assert_eq!(fixture.ledger.size(), entries, "they are entered once");
}

#[tokio::test]
async fn rollback_summary_covers_what_was_entered() {
    let fixture = Fixture::new();
    let manifest = fixture.import(ImportMode::Create).await;
    fixture.open().await.unwrap();
    let summary = || -> LedgerSummary {
        let tree = fixture.storage.meta().tree(TREE).unwrap();
        tree.get(KEY).unwrap().unwrap()
    };
    let imported = |version, manifest| BTreeMap::from([(heart(), Last::Imported { version, manifest })]);
    assert_eq!(summary().entries, fixture.ledger.size());
    assert_eq!(summary().datasets, imported(1, manifest));
    let mut summary = summary();
    let other = |entry, version| Entered {
        entry,
        dataset: heart(),
        last: Last::Imported { version, manifest },
    };
    summary.extend(vec![other(1, 2), other(3, 3), other(2, 4)]);
    assert_eq!(summary.entries, 2, "an entry is between them");
    assert_eq!(summary.datasets, imported(2, manifest));
}

/// A summary has all datasets, so a start that found nothing new about them stores none, until there is much to read again.
#[tokio::test]
async fn rollback_summary_is_stored_again_after_many_entries() {
    let fixture = Fixture::new();
    fixture.import(ImportMode::Create).await;
    fixture.open().await.unwrap();
    let summarized = || {
        let tree = fixture.storage.meta().tree::<LedgerSummary>(TREE).unwrap();
        tree.get(KEY).unwrap().unwrap().entries
    };
    let first = summarized();
    assert_eq!(first, fixture.ledger.size());
    let login = || EntryBody::LoginSucceeded { one_time: false };
    fixture.enter(login());
    fixture.open().await.unwrap();
    assert_eq!(summarized(), first);
    (1..MAX_UNSUMMARIZED).for_each(|_| fixture.enter(login()));
    fixture.open().await.unwrap();
    assert_eq!(summarized(), fixture.ledger.size());
    assert_eq!(summarized(), first + MAX_UNSUMMARIZED);
}

#[test]
fn rollback_checks_every_dataset_and_returns_the_first_error() {
    let items: Vec<usize> = (0..MIN_TOGETHER * 5).collect();
    let seen = Mutex::new(BTreeSet::new());
    let noted = check_all(&items, |item| {
        seen.lock().unwrap().insert(*item);
        Ok::<_, usize>(())
    });
    assert_eq!(noted, Ok(()));
    assert_eq!(seen.into_inner().unwrap().len(), items.len());
    let last = items.len() - 1;
    for wrong in [vec![3], vec![last], vec![last, 7], vec![last, MIN_TOGETHER * 4]] {
        let found = check_all(&items, |item| if wrong.contains(item) { Err(*item) } else { Ok(()) });
        assert_eq!(found, Err(*wrong.iter().min().unwrap()));
    }
    assert_eq!(check_all(&[0_usize; 0], |item| Err(*item)), Ok(()));
}
