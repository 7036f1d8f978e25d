//! A disk on which one read fails, at each possible operation of a query over stored data: the first read, the second, and so on until
//! nothing fails.

use concordat_protocol::{
    error_kind::{ErrorKind, Explain},
    identity::InstitutionKey,
    ids::DatasetName,
};
use concordat_storage::{
    catalog::{ImportMode, ImportRequest},
    data_dir::Storage,
    ingest::{self, SubjectRule},
    objects::ObjectLocation,
};
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use super::*;
use crate::fault_injection::{FaultyStore, InjectedFaults, Outcome};

const PEOPLE: &str = "id,name,age\n1,Zsofia Sentinel,41\n2,Bela Sentinel,52\n3,Carl Sentinel,\n";
const MANY_ROWS: u64 = 9_000;
/// More reads than a query makes; if this is reached, something never ends.
const MAX_OPERATIONS: u64 = 200;

#[test]
fn failing_read_ends_query_and_never_changes_answer() {
    let dataset = StoredDataset::new();
    let expected_rows = dataset.rows(0).unwrap();
    assert_eq!(expected_rows.len() as u64, MANY_ROWS + 3);
    for (outcome, expected) in [
        (Outcome::NotDone, ErrorKind::Internal),
        (Outcome::Short, ErrorKind::Integrity),
    ] {
        let mut failed = 0;
        for number in 1..MAX_OPERATIONS {
            dataset.faults.at_read(number, outcome);
            let result = dataset.rows(number);
            let triggered = dataset.faults.end();
            match result {
                Ok(rows) => assert_eq!(rows, expected_rows, "read {number} {outcome:?}"),
                Err(error) => {
                    failed += 1;
                    assert!(
                        matches!(error, QueryError::Stored { .. }),
                        "read {number} {outcome:?}: {error}"
                    );
                    assert!(
                        [expected, ErrorKind::Internal].contains(&error.kind()),
                        "read {number} {outcome:?}: {error}"
                    );
                }
            }
            if !triggered {
                break;
            }
        }
        assert!(failed >= 3, "{failed} reads failed");
    }
}

/// Two versions of a dataset, the second one in three objects, over a store with fault injection. Queries take the same path as every
/// answer.
struct StoredDataset {
    storage: Storage,
    ledger: Ledger,
    faults: Arc<InjectedFaults>,
    runtime: Runtime,
    _dir: TempDir,
}

impl StoredDataset {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let secret = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let storage = Storage::init(dir.path(), &secret).unwrap();
        storage.identities().put_institution(&institution_key()).unwrap();
        drop(storage);
        let faults = Arc::<InjectedFaults>::default();
        let layer = Arc::clone(&faults);
        let over = move |inner| Arc::new(FaultyStore::new(inner, layer)) as Arc<dyn ObjectStore>;
        let storage = Storage::open_over(dir.path(), &secret, &ObjectLocation::Local, over).unwrap();
        let ledger = Ledger::open(&storage.ledger_dir(), storage.ledger_key(), institution()).unwrap();
        let created = Self {
            storage,
            ledger,
            faults,
            runtime: Runtime::new().unwrap(),
            _dir: dir,
        };
        let rows: String = (0..MANY_ROWS).map(|row| format!("{row},name {row},40\n")).collect();
        created.import(PEOPLE, ImportMode::Create);
        created.import(&format!("id,name,age\n{rows}"), ImportMode::Append);
        created
    }

    fn import(&self, contents: &str, mode: ImportMode) {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("people.csv");
        std::fs::write(&path, contents).unwrap();
        let mut request = ImportRequest::new(people(), ingest::Source::at_path(path));
        request.mode = mode;
        request.rows_per_object = 8192;
        if mode == ImportMode::Create {
            request.options.subject = SubjectRule::EachRow;
        }
        let _within = self.runtime.enter();
        let catalog = self.storage.catalog();
        catalog.import(&request, &institution_key(), NOW, &mut |_| {}).unwrap();
    }

    fn rows(&self, number: u64) -> Result<Vec<String>, QueryError> {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        let query = QueryId::from_bytes(id);
        let receipt = self.ledger.append(decision_on(query, true), &eva(), NOW).unwrap();
        let mut scope = clear(Tier::Records, &["id", "name"]);
        let (_, only) = scope.datasets.single().unwrap();
        scope.datasets = Datasets::one("people".parse().unwrap(), only.columns.clone(), Rows::all());
        scope.collection = "budapest.people".parse().unwrap();
        let permit = Permit::new(grant(1), query, scope, receipt).unwrap();
        let version = self.storage.catalog().open_version(&people(), None).unwrap();
        let sql = "SELECT id, name FROM budapest.people";
        self.runtime.block_on(async {
            let answer = answer(permit, &version, sql, Arc::new(|| Ok(())), Bounds::default()).await?;
            let mut rows: Vec<String> = texts(answer).await?.iter().map(|row| row.join(" ")).collect();
            rows.sort();
            Ok(rows)
        })
    }
}

fn people() -> DatasetName {
    DatasetName::new("people").unwrap()
}

fn institution_key() -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([1; 32]))
}
