//! Logs of answers on a disk that fails, stops, and is changed by someone.

mod attack;
mod crash;
mod model;
mod recent;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use concordat_keys::{AnswersKey, Argon2Cost, MasterKey, Passphrase, PseudonymSecret, Secret, Wrapped};
use concordat_protocol::{
    error_kind::{ErrorKind, Explain},
    ids::{CreationId, DatasetName, InstitutionId, KeyId},
    time::Timestamp,
};
use tempfile::TempDir;

use super::{
    head::RecentLimits,
    log::{MAX_RECORDS, check_limits},
    record::{MAX_RECORD, frame},
    *,
};
use crate::meta::{Batch, MetaError, SealedDb};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const FOLDER: KeyId = KeyId::from_bytes([4; 16]);
const CREATED: CreationId = CreationId::from_bytes([1; 16]);

const OTHER: CreationId = CreationId::from_bytes([2; 16]);
const ALL_IN_LOGS: RecentLimits = RecentLimits { record: 0, total: 0 };

/// A folder with a state and logs.
pub(super) struct Fixture {
    dir: TempDir,
    master: MasterKey,
}

/// The same, opened.
pub(super) struct Node {
    meta: SealedDb,
    store: AnswerStore,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        Self { dir, master }
    }

    fn answers(&self) -> PathBuf {
        self.dir.path().join("answers")
    }

    fn meta(&self) -> PathBuf {
        self.dir.path().join("meta")
    }

    /// Opens it with all records in logs.
    fn open(&self) -> Node {
        self.open_with(ALL_IN_LOGS)
    }

    fn open_with(&self, limits: RecentLimits) -> Node {
        concordat_keys::fs::create_dir_private(&self.answers()).unwrap();
        let meta = SealedDb::open(&self.meta(), self.master.state()).unwrap();
        let store = AnswerStore::with_limits(&self.answers(), &meta, limits).unwrap();
        Node { meta, store }
    }

    /// Opens it for the first time: both datasets are known from then on.
    fn imported(&self, limits: RecentLimits) -> Node {
        let node = self.open_with(limits);
        for created in [CREATED, OTHER] {
            node.store.add_dataset(created).unwrap();
        }
        node
    }

    /// The only log.
    fn log(&self) -> PathBuf {
        let mut files = files_below(&self.answers());
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    /// A folder whose only log has these records.
    fn with(records: &[&[u8]]) -> Self {
        let fixture = Self::new();
        let node = fixture.imported(ALL_IN_LOGS);
        drop(node.answer(node.log(&space()).unwrap(), records));
        fixture
    }

    /// What the only space contains after a start.
    fn contents(&self) -> Result<Vec<Vec<u8>>, AnswersError> {
        self.open().contents(&space())
    }
}

impl Node {
    fn log(&self, space: &MemorySpace) -> Result<AnswerLog, AnswersError> {
        self.store.open_log(space, keys(), |_, _| {})
    }

    fn contents(&self, space: &MemorySpace) -> Result<Vec<Vec<u8>>, AnswersError> {
        let mut contents = Vec::new();
        let log = self.store.open_log(space, keys(), |record, plain| {
            assert_eq!(record.number(), contents.len() as u64);
            contents.push(plain.to_vec());
        })?;
        assert_eq!(log.records(), contents.len() as u64);
        Ok(contents)
    }

    /// Appends and commits.
    fn answer(&self, log: AnswerLog, records: &[&[u8]]) -> AnswerLog {
        let appended = log.append(records).unwrap();
        self.commit(&appended).unwrap();
        appended.into_log().unwrap()
    }

    fn commit(&self, appended: &Appended) -> Result<(), MetaError> {
        let mut batch = Batch::new();
        appended.stage(&mut batch)?;
        self.meta.commit(batch)
    }
}

pub(super) fn keys() -> LogKeys {
    LogKeys::new(PseudonymSecret::dangerous_of_vector([7; 32]).answers_key(), FOLDER)
}

pub(super) fn space() -> MemorySpace {
    space_of(CREATED, "cleveland")
}

fn space_of(created: CreationId, institution: &str) -> MemorySpace {
    let owner = MemoryOwner::Institution(InstitutionId::new(institution).unwrap());
    MemorySpace::new(created, owner, MemoryUnit::Subjects)
}

pub(super) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Copies a folder, as someone does who will set it back.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn answers_that_were_committed_are_there_after_a_start() {
    let fixture = Fixture::new();
    let node = fixture.imported(ALL_IN_LOGS);
    let log = node.log(&space()).unwrap();
    assert_eq!(log.records(), 0);
    assert!(
        files_below(&fixture.answers()).is_empty(),
        "a log is created by an append"
    );
    let log = node.answer(log, &[b"set", b"", b"answer"]);
    let log = node.answer(log, &[b"spent"]);
    assert_eq!(log.records(), 4);
    drop((log, node));
    assert_eq!(fixture.contents().unwrap(), [&b"set"[..], b"", b"answer", b"spent"]);
}

#[test]
fn answer_is_read_again_by_its_record() {
    let fixture = Fixture::with(&[b"one", b"two"]);
    let node = fixture.open();
    let mut stored = Vec::new();
    let log = node
        .store
        .open_log(&space(), keys(), |record, _| stored.push(record))
        .unwrap();
    let appended = log.append(&[b"three"]).unwrap();
    stored.extend(appended.records());
    node.commit(&appended).unwrap();
    let log = appended.into_log().unwrap();
    for (record, expected) in stored.iter().zip([&b"one"[..], b"two", b"three"]) {
        assert_eq!(*log.read(record).unwrap(), expected);
    }
    let other = node.log(&space_of(CREATED, "zurich")).unwrap();
    assert_eq!(other.read(&stored[0]).unwrap_err().kind(), ErrorKind::Integrity);
    let other = node.answer(other, &[b"one"]);
    assert_eq!(other.read(&stored[0]).unwrap_err().kind(), ErrorKind::Integrity);
}

#[test]
fn answers_are_not_readable_on_disk_and_files_are_private() {
    let fixture = Fixture::with(&[b"a value that was released"]);
    let log = fixture.log();
    let bytes = fs::read(&log).unwrap();
    assert!(bytes.starts_with(b"CCANSWR\x01"));
    assert!(!bytes.windows(5).any(|part| part == b"value"));
    assert!(!log.to_string_lossy().contains("cleveland"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&log), mode(log.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn answers_of_spaces_are_separate() {
    let fixture = Fixture::new();
    let node = fixture.imported(ALL_IN_LOGS);
    let rows = MemoryUnit::Rows(DatasetName::new("heart").unwrap());
    let spaces = [
        space(),
        space_of(CREATED, "zurich"),
        space_of(OTHER, "cleveland"),
        MemorySpace::new(CREATED, MemoryOwner::Everyone, MemoryUnit::Subjects),
        MemorySpace::new(CREATED, MemoryOwner::Everyone, rows),
    ];
    for (number, space) in spaces.iter().enumerate() {
        drop(node.answer(node.log(space).unwrap(), &[number.to_string().as_bytes()]));
    }
    for (number, space) in spaces.iter().enumerate() {
        assert_eq!(node.contents(space).unwrap(), [number.to_string().into_bytes()]);
    }
    assert_eq!(node.store.extents().unwrap().len(), spaces.len());
}

#[test]
fn answers_log_is_open_once() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    let log = node.log(&space()).unwrap();
    assert_eq!(node.log(&space()).unwrap_err().kind(), ErrorKind::Locked);
    let appended = log.append(&[b"two"]).unwrap();
    assert_eq!(node.log(&space()).unwrap_err().kind(), ErrorKind::Locked);
    drop(appended);
    node.log(&space()).unwrap();
}

/// They are used on threads that may block.
#[test]
fn answers_log_can_be_moved_to_another_thread() {
    const fn movable<T: Send + 'static>() {}
    const {
        movable::<AnswerLog>();
        movable::<Appended>();
        movable::<LogKeys>();
    }
}

#[test]
fn answers_of_a_second_writer_are_refused() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    // A second store over the same folder, which the lock of the data directory prevents.
    let second = AnswerStore::with_limits(&fixture.answers(), &node.meta, ALL_IN_LOGS).unwrap();
    let log = second.open_log(&space(), keys(), |_, _| {}).unwrap();
    let late = second
        .open_log(&space_of(CREATED, "zurich"), keys(), |_, _| {})
        .unwrap();
    drop(node.answer(node.log(&space()).unwrap(), &[b"two"]));
    assert!(matches!(log.append(&[b"three"]), Err(AnswersError::Changed)));
    let late = late.append(&[b"late"]).unwrap();
    drop(node.answer(node.log(&space_of(CREATED, "zurich")).unwrap(), &[b"first"]));
    assert!(matches!(node.commit(&late), Err(MetaError::Conflict { .. })));
    assert!(matches!(late.into_log(), Err(AnswersError::Changed)));
    assert_eq!(node.contents(&space()).unwrap(), [b"one", b"two"]);
    assert_eq!(node.contents(&space_of(CREATED, "zurich")).unwrap(), [b"first"]);
}

#[test]
fn answer_longer_than_the_limit_is_refused() {
    let longest = vec![0; MAX_RECORD];
    check_limits(0, &[&longest, &longest]).unwrap();
    let sealed = vec![0; MAX_RECORD + AnswersKey::OVERHEAD];
    let framed = |sealed: &[u8]| frame(&Wrapped::from_bytes(sealed.to_vec()));
    assert_eq!(framed(&sealed).unwrap().len(), sealed.len() + 4);
    assert!(framed(&[&sealed[..], &[0]].concat()).is_none());

    let fixture = Fixture::new();
    let node = fixture.imported(ALL_IN_LOGS);
    let long = vec![3; 1_000_000];
    let log = node.answer(node.log(&space()).unwrap(), &[&long]);
    let longer = vec![3; MAX_RECORD + 1];
    let refused = log.append(&[b"short", &longer]);
    assert!(matches!(refused, Err(AnswersError::TooLong { bytes }) if bytes == MAX_RECORD + 1));
    let found = node.contents(&space()).unwrap();
    assert!(found == [long], "the long record only");
}

#[test]
fn answers_log_has_a_greatest_number_of_records() {
    check_limits(MAX_RECORDS - 2, &[b"", b""]).unwrap();
    let full = check_limits(MAX_RECORDS - 1, &[b"", b""]).unwrap_err();
    assert_eq!(
        full.to_string(),
        "the log of answers has 1000000 records, which is the limit"
    );
}

#[test]
fn older_copy_lacks_answers_until_it_is_acknowledged() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    assert_eq!(node.store.known_until(CREATED).unwrap(), None);
    note_older_copy(&node.meta, NOW).unwrap();
    let error = node.log(&space()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("known until 2027-01-15T08:00:00"), "{error}");
    node.log(&space_of(CREATED, "zurich"))
        .expect_err("an owner without a log may have been answered too");
    node.store.acknowledge(CREATED).unwrap();
    assert_eq!(node.contents(&space()).unwrap(), [b"one"]);
    node.log(&space_of(OTHER, "cleveland"))
        .expect_err("another dataset is not acknowledged by that");

    let mut batch = Batch::new();
    let new = CreationId::from_bytes([3; 16]);
    let unknown = node.log(&space_of(new, "cleveland"));
    assert!(matches!(unknown, Err(AnswersError::Changed)));
    node.store.stage_new(&mut batch, new).unwrap();
    node.meta.commit(batch).unwrap();
    node.log(&space_of(new, "cleveland")).unwrap();

    // Answers are missing since the first copy that was not acknowledged.
    note_older_copy(&node.meta, NOW.plus_seconds(9)).unwrap();
    let known_until = |created| node.store.known_until(created).unwrap();
    assert_eq!(known_until(CREATED), Some(NOW.plus_seconds(9)));
    assert_eq!(known_until(new), Some(NOW.plus_seconds(9)));
    assert_eq!(known_until(OTHER), Some(NOW));
    node.store.acknowledge(OTHER).unwrap();
    assert_eq!(known_until(OTHER), None);
}
