//! Memories of a collection in a data directory, without an engine: records are those of a test.

use std::time::Duration;

use concordat_disclosure::{CellBox, Record, ReleasedSet, SpaceLimits, Spent, Themselves, UnitSet};
use concordat_engine::{AnswerMemory as _, LockedMemory, NewMemory, QueryError};
use concordat_keys::KeyFile;
use concordat_protocol::error_kind::{ErrorKind, Explain as _};
use concordat_protocol::identity::InstitutionKey;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::{DeltaExponent, Loss, MicroRho};
use concordat_protocol::time::Timestamp;
use concordat_storage::answers::{MemoryOwner, note_older_copy};
use concordat_storage::catalog::ImportRequest;
use concordat_storage::data_dir::Storage;
use concordat_storage::ingest::{Source, SubjectRule};
use concordat_storage::ledger::Ledger;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const SUBJECTS: u32 = 40;
const LIMITS: SpaceLimits = SpaceLimits {
    k: 5,
    distinctions: 512,
    bytes: 1 << 22,
};

fn heart() -> DatasetName {
    DatasetName::new("heart").unwrap()
}

struct Fixture {
    _dir: tempfile::TempDir,
    storage: Storage,
    ledger: Ledger,
    memories: AnswerMemories,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        concordat_keys::fs::write_private(&key, &[b'k'; 64]).unwrap();
        let storage = Storage::init(&dir.path().join("node"), &KeyFile::new(key)).unwrap();
        let signer = InstitutionKey::from_seed(&[1; 32].into());
        storage.identities().put_institution(&signer).unwrap();
        let ledger = storage.open_ledger("budapest".parse().unwrap()).unwrap();
        let path = dir.path().join("heart.csv");
        std::fs::write(&path, "record,chol\n1,233\n").unwrap();
        let mut request = ImportRequest::new(heart(), Source::at_path(path));
        request.options.subject = SubjectRule::EachRow;
        let catalog = storage.catalog().clone();
        let import = move || catalog.import(&request, &signer, NOW, &mut |_| ()).map(drop);
        tokio::task::spawn_blocking(import).await.unwrap().unwrap();
        Self {
            memories: AnswerMemories::new(storage.clone(), ledger.clone()),
            _dir: dir,
            storage,
            ledger,
        }
    }

    /// What another start opens. The memories before it must not be in use.
    fn restart(&mut self) {
        self.memories = AnswerMemories::new(self.storage.clone(), self.ledger.clone());
    }

    fn key(&self, owner: MemoryOwner) -> MemoryKey {
        let record = self.storage.catalog().datasets().show(&heart()).unwrap();
        MemoryKey {
            name: heart(),
            created: record.created.unwrap(),
            owner,
        }
    }

    fn memory(&self) -> CollectionMemory {
        self.memory_of(VersionNumber::FIRST)
    }

    fn memory_of(&self, version: VersionNumber) -> CollectionMemory {
        self.memories.of(self.key(MemoryOwner::Everyone), version, LIMITS)
    }
}

/// The records of a version, and of the set of all its units.
fn begun(version: VersionNumber) -> Vec<Vec<u8>> {
    let first = Record::Version {
        version,
        universe: SUBJECTS,
        changed: UnitSet::new(),
    };
    let all = Record::Set(ReleasedSet {
        units: UnitSet::all(SUBJECTS),
        version,
        cell: CellBox::everyone(),
    });
    vec![first.to_bytes(), all.to_bytes()]
}

fn of_subjects() -> NewMemory {
    NewMemory {
        subjects: begun(VersionNumber::FIRST),
        rows: Vec::new(),
    }
}

async fn locked(memory: &CollectionMemory) -> Box<dyn LockedMemory + '_> {
    memory.locked(None).await.unwrap()
}

async fn latest(memory: &CollectionMemory) -> Option<VersionNumber> {
    locked(memory).await.memories().0.known().latest()
}

fn rho(millionths: u64) -> MicroRho {
    MicroRho::new(millionths).unwrap()
}

fn loss(query: u64, total: u64) -> Loss {
    Loss::new(rho(query), rho(total), DeltaExponent::new(6).unwrap()).unwrap()
}

#[tokio::test]
async fn memory_after_a_restart_has_what_was_stored() {
    let mut node = Fixture::new().await;
    let memory = node.memory();
    assert_eq!(latest(&memory).await, None);
    let mut open = locked(&memory).await;
    open.store(of_subjects()).await.unwrap();
    drop(open);
    drop(memory);
    node.restart();
    let memory = node.memory();
    assert_eq!(latest(&memory).await, Some(VersionNumber::FIRST));
    let other = node.memories.of(
        node.key(MemoryOwner::Institution("zurich".parse().unwrap())),
        VersionNumber::FIRST,
        LIMITS,
    );
    assert_eq!(latest(&other).await, None);
}

#[tokio::test]
async fn memory_that_is_not_complete_is_restored() {
    let node = Fixture::new().await;
    let memory = node.memory();
    let mut open = locked(&memory).await;
    open.store(of_subjects()).await.unwrap();
    // The answer ended before its sets were in the memory.
    drop(open);
    assert_eq!(latest(&memory).await, Some(VersionNumber::FIRST));
    let mut open = locked(&memory).await;
    open.changing();
    open.memories().0.reserve(loss(1, 1), rho(1)).map(drop).unwrap();
    drop(open);
    assert_eq!(locked(&memory).await.memories().0.known().spent(), 0);
}

#[tokio::test]
async fn memory_stores_on_after_its_answer_is_dropped() {
    let node = Fixture::new().await;
    let memory = node.memory();
    let mut open = locked(&memory).await;
    let mut store = open.store(of_subjects());
    // Another thread writes now. It is rarely done so soon, and then there is nothing to interrupt.
    drop(futures::poll!(&mut store));
    drop(store);
    drop(open);
    assert_eq!(latest(&memory).await, Some(VersionNumber::FIRST));
}

#[tokio::test]
async fn memory_is_used_by_one_answer_at_a_time() {
    let node = Fixture::new().await;
    let memory = node.memory();
    let again = node.memory();
    let open = locked(&memory).await;
    let wait = Duration::from_millis(100);
    assert!(tokio::time::timeout(wait, again.locked(None)).await.is_err());
    let other = node.memories.of(
        node.key(MemoryOwner::Institution("zurich".parse().unwrap())),
        VersionNumber::FIRST,
        LIMITS,
    );
    drop(locked(&other).await);
    drop(open);
    drop(locked(&again).await);
}

#[tokio::test]
async fn memory_of_rows_is_that_of_a_version() {
    let node = Fixture::new().await;
    let second = VersionNumber::new(2);
    for version in [VersionNumber::FIRST, second] {
        let memory = node.memory_of(version);
        let dataset = heart();
        let mut open = memory.locked(Some(&dataset)).await.unwrap();
        assert!(open.memories().1.is_none(), "subjects of rows are not known yet");
        open.restore_rows(&mut Themselves, &mut OsEntropy::new().unwrap())
            .unwrap();
        assert_eq!(open.memories().1.unwrap().known().latest(), None);
        let records = NewMemory {
            subjects: Vec::new(),
            rows: begun(version),
        };
        open.store(records).await.unwrap();
    }
    let memory = node.memory_of(VersionNumber::FIRST);
    let dataset = heart();
    let mut open = memory.locked(Some(&dataset)).await.unwrap();
    open.restore_rows(&mut Themselves, &mut OsEntropy::new().unwrap())
        .unwrap();
    assert_eq!(open.memories().1.unwrap().known().latest(), Some(VersionNumber::FIRST));
}

#[tokio::test]
async fn loss_reserved_at_the_same_time_is_spent_once() {
    let mut node = Fixture::new().await;
    let memories = [node.memory(), node.memory()];
    let [first, second] = &memories;
    let limits = loss(3, 5);
    let (first, second) = tokio::join!(first.reserve(limits, rho(3)), second.reserve(limits, rho(3)));
    assert_eq!(
        [first.is_ok(), second.is_ok()].iter().filter(|is_ok| **is_ok).count(),
        1
    );
    drop(memories);
    node.restart();
    let refused = node.memory().reserve(limits, rho(3)).await.unwrap_err();
    assert!(
        matches!(refused, MemoryError::Spent(Spent::Total { left: 2, .. })),
        "{refused}"
    );
    assert!(node.memory().reserve(limits, rho(2)).await.is_ok());
}

#[tokio::test]
async fn memory_of_an_older_copy_needs_an_acknowledgment() {
    let node = Fixture::new().await;
    let memory = node.memory();
    let mut open = locked(&memory).await;
    open.store(of_subjects()).await.unwrap();
    open.complete();
    drop(open);
    note_older_copy(node.storage.meta(), NOW).unwrap();
    let Err(refused) = memory.locked(None).await else {
        panic!("it was restored before");
    };
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(matches!(&refused, QueryError::Reported { text, .. } if text.contains("acknowledge")));
    node.storage.catalog().answers().acknowledge(&heart()).unwrap();
    assert_eq!(latest(&memory).await, Some(VersionNumber::FIRST));
}

#[tokio::test]
async fn memories_that_no_answer_uses_are_closed() {
    let node = Fixture::new().await;
    let owners: Vec<MemoryOwner> = (0..40)
        .map(|number| MemoryOwner::Institution(format!("member-{number}").parse().unwrap()))
        .collect();
    let of = |owner: &MemoryOwner| node.memories.of(node.key(owner.clone()), VersionNumber::FIRST, LIMITS);
    let used = of(&owners[0]);
    let in_use = locked(&used).await;
    for owner in &owners[1..] {
        drop(locked(&of(owner)).await);
    }
    assert!(node.memories.restored() <= 17);
    drop(in_use);
    for owner in &owners {
        drop(locked(&of(owner)).await);
    }
}

#[tokio::test]
async fn memory_within_other_limits_is_restored_again() {
    let node = Fixture::new().await;
    let memory = node.memory();
    let mut open = locked(&memory).await;
    open.store(of_subjects()).await.unwrap();
    drop(open);
    let stricter = SpaceLimits { k: 41, ..LIMITS };
    let key = node.key(MemoryOwner::Everyone);
    let memory = node.memories.of(key, VersionNumber::FIRST, stricter);
    let Err(refused) = memory.locked(None).await else {
        panic!("there are 40 subjects");
    };
    assert_eq!(
        refused.to_string(),
        "the collection has fewer subjects than the smallest cell"
    );
    assert_eq!(latest(&node.memory()).await, Some(VersionNumber::FIRST));
}
