mod anchor;
mod forgery;
mod marks;
mod segments;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use concordat_keys::{Argon2Cost, LedgerKey, MasterKey, Passphrase, Secret};
use concordat_protocol::audit::{EntryBody, LedgerEntry, check_extension};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::identity::{InstitutionKey, PrivateKey};
use concordat_protocol::ids::{Digest32, InstitutionId, QueryId};
use concordat_protocol::time::Timestamp;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::medium::Medium;
use super::record::{BadRecord, Reader};
use super::shared::Shared;
use super::tip::Tip;
use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A folder with a master key and a ledger.
struct Fixture {
    dir: TempDir,
    master: MasterKey,
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let source = Passphrase::new(
            Secret::from("correct horse".to_owned()),
            Argon2Cost::dangerous_minimum(),
        );
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        Self { dir, master }
    }

    fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.ledger().join(name)
    }

    fn open(&self) -> Result<Ledger, LedgerError> {
        Ledger::open(&self.ledger(), self.master.ledger(), institution())
    }

    fn with_entries(count: u64) -> Self {
        let fixture = Self::new();
        let ledger = fixture.open().unwrap();
        (0..count).for_each(|n| drop(ledger.append(query_end(n), &Attribution::eva(), NOW).unwrap()));
        fixture
    }

    fn inspect(&self) -> AuditReport {
        Ledger::inspect(&self.ledger(), &self.master.ledger(), &[node().public()])
    }

    fn damage(&self) -> Option<u64> {
        match self.open() {
            Err(LedgerError::Damaged { first_bad_entry, .. }) => Some(first_bad_entry),
            Err(other) => panic!("{other}"),
            Ok(_) => None,
        }
    }
}

impl Ledger {
    fn root(&self) -> Digest32 {
        self.head().root
    }
}

fn institution() -> InstitutionId {
    InstitutionId::new("budapest").unwrap()
}

fn node() -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([5; 32]))
}

fn query_end(n: u64) -> EntryBody {
    EntryBody::AnswerLost {
        query: concordat_protocol::ids::QueryId::from_bytes(u128::from(n).to_be_bytes()),
    }
}

fn decision(permitted: bool) -> EntryBody {
    EntryBody::DecisionMade {
        request: QueryId::from_bytes([3; 16]),
        grant: None,
        permitted,
        reasons: Vec::new(),
        policy: Digest32::ZERO,
        sql: None,
    }
}

#[test]
fn acknowledged_entries_are_there_after_reopening() {
    let fixture = Fixture::new();
    let ledger = fixture.open().unwrap();
    let receipt = ledger.append(query_end(0), &Attribution::eva(), NOW).unwrap();
    let next = ledger.append(query_end(1), &Attribution::eva(), NOW).unwrap();
    assert_eq!((receipt.sequence(), next.sequence()), (0, 1));
    assert_eq!(ledger.entry(1).unwrap().entry.previous, receipt.leaf());
    let root = ledger.root();
    drop(ledger);
    let ledger = fixture.open().unwrap();
    assert_eq!((ledger.size(), ledger.root()), (2, root));
    assert_eq!(
        ledger.entry(1).unwrap(),
        StoredEntry {
            leaf: next.leaf(),
            entry: ledger.entry(1).unwrap().entry
        }
    );
    assert!(matches!(
        ledger.entry(2),
        Err(LedgerError::NoSuchEntry { sequence: 2, size: 2 })
    ));
    assert_eq!(
        ledger
            .append(query_end(2), &Attribution::eva(), NOW)
            .unwrap()
            .sequence(),
        2
    );
}

#[test]
fn append_for_a_cause_that_may_act_no_longer_is_refused() {
    let fixture = Fixture::new();
    let ledger = fixture.open().unwrap();
    let person = Arc::new(Ending::default());
    let by = person.person();
    drop(ledger.append(query_end(0), &by, NOW).unwrap());
    person.end();
    let refused = ledger.append(query_end(1), &by, NOW).unwrap_err();
    assert!(matches!(refused, LedgerError::Authority(_)), "{refused}");
    assert_eq!((refused.kind(), ledger.size()), (ErrorKind::Locked, 1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(ledger.append_async(query_end(1), &by, NOW));
    assert!(matches!(refused, Err(LedgerError::Authority(_))));
    // What was done already is recorded, for the same person.
    drop(ledger.append(query_end(1), &by.for_outcome(), NOW).unwrap());
    assert_eq!(ledger.entry(1).unwrap().entry.cause.actor(), by.actor());
}

#[test]
fn only_a_permitting_decision_permits() {
    let fixture = Fixture::new();
    let ledger = fixture.open().unwrap();
    assert_eq!(
        ledger
            .append(decision(true), &Attribution::eva(), NOW)
            .unwrap()
            .permits(),
        Some(QueryId::from_bytes([3; 16]))
    );
    assert_eq!(
        ledger
            .append(decision(false), &Attribution::eva(), NOW)
            .unwrap()
            .permits(),
        None
    );
    assert_eq!(
        ledger.append(query_end(0), &Attribution::eva(), NOW).unwrap().permits(),
        None
    );
}

#[test]
fn names_are_not_readable_on_disk_and_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::with_entries(3);
    for file in fs::read_dir(fixture.ledger()).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(3).any(|part| part == b"eva"), "{}", path.display());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            path.display()
        );
    }
    assert_eq!(
        fs::metadata(fixture.ledger()).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn any_changed_byte_in_any_ledger_file_is_detected() {
    let fixture = Fixture::with_entries(3);
    fixture.open().unwrap().checkpoint(&node(), NOW).unwrap();
    assert!(fixture.inspect().ok, "{:?}", fixture.inspect());
    for name in ["entries.log", "head", "checkpoint.cose"] {
        let whole = fs::read(fixture.file(name)).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            fs::write(fixture.file(name), &changed).unwrap();
            assert!(!fixture.inspect().ok, "{name} byte {at}");
            match name {
                "entries.log" => assert!(fixture.damage().is_some(), "{name} byte {at}"),
                // One of the two heads is left, and the entries after it are found.
                "head" => assert_eq!(fixture.open().unwrap().size(), 3, "{name} byte {at}"),
                _ => {}
            }
        }
        fs::write(fixture.file(name), &whole).unwrap();
    }
    assert!(fixture.inspect().ok);
}

#[test]
fn the_first_bad_entry_is_named() {
    let fixture = Fixture::with_entries(5);
    let whole = fs::read(fixture.file("entries.log")).unwrap();
    let record = (whole.len() - 8) / 5;
    let mut changed = whole.clone();
    changed[8 + 3 * record + 20] ^= 1;
    fs::write(fixture.file("entries.log"), &changed).unwrap();
    let report = fixture.inspect();
    assert_eq!((report.ok, report.first_bad_entry, report.entries), (false, Some(3), 5));
    let mut swapped = whole.clone();
    swapped[8..8 + record].copy_from_slice(&whole[8 + record..8 + 2 * record]);
    fs::write(fixture.file("entries.log"), &swapped).unwrap();
    assert_eq!(fixture.damage(), Some(0));
}

#[test]
fn torn_append_is_cut_off_at_any_byte() {
    let fixture = Fixture::with_entries(2);
    let before = fs::read(fixture.file("entries.log")).unwrap();
    let head = fs::read(fixture.file("head")).unwrap();
    drop(
        fixture
            .open()
            .unwrap()
            .append(query_end(2), &Attribution::eva(), NOW)
            .unwrap(),
    );
    let after = fs::read(fixture.file("entries.log")).unwrap();
    for length in before.len()..=after.len() {
        fs::write(fixture.file("entries.log"), &after[..length]).unwrap();
        fs::write(fixture.file("head"), &head).unwrap();
        let ledger = fixture.open().unwrap();
        let expected = if length == after.len() { 3 } else { 2 };
        assert_eq!(ledger.size(), expected, "{length}");
        assert_eq!(
            ledger
                .append(query_end(9), &Attribution::eva(), NOW)
                .unwrap()
                .sequence(),
            expected
        );
        drop(ledger);
        assert!(fixture.inspect().ok, "{length}");
    }
}

#[test]
fn an_acknowledged_entry_cannot_be_cut_off() {
    let fixture = Fixture::with_entries(3);
    let log = fs::read(fixture.file("entries.log")).unwrap();
    let record = (log.len() - 8) / 3;
    for length in 0..log.len() {
        fs::write(fixture.file("entries.log"), &log[..length]).unwrap();
        let first = if length < 8 { 0 } else { (length - 8) / record };
        assert_eq!(fixture.damage(), Some(first as u64), "{length}");
    }
}

#[test]
fn files_of_an_older_ledger_copy_are_detected() {
    let fixture = Fixture::with_entries(2);
    let old = (
        fs::read(fixture.file("entries.log")).unwrap(),
        fs::read(fixture.file("head")).unwrap(),
    );
    let ledger = fixture.open().unwrap();
    drop(ledger.append(query_end(2), &Attribution::eva(), NOW).unwrap());
    ledger.checkpoint(&node(), NOW).unwrap();
    drop(ledger);
    fs::write(fixture.file("entries.log"), &old.0).unwrap();
    assert_eq!(fixture.damage(), Some(2));
    fs::write(fixture.file("head"), &old.1).unwrap();
    assert_eq!(fixture.damage(), Some(2));
    assert!(!fixture.inspect().ok);
    fs::remove_file(fixture.file("head")).unwrap();
    assert_eq!(fixture.damage(), Some(0));
    fs::remove_file(fixture.file("entries.log")).unwrap();
    assert_eq!(fixture.damage(), Some(0));
}

#[test]
fn a_ledger_opens_only_with_its_key() {
    let fixture = Fixture::with_entries(1);
    let other = Fixture::new();
    let error = Ledger::open(&fixture.ledger(), other.master.ledger(), institution()).unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_concurrent_appends_make_one_chain() {
    let fixture = Fixture::new();
    let ledger = fixture.open().unwrap();
    let tasks = (0..3000).map(|n| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            ledger
                .append_async(query_end(n), &Attribution::eva(), NOW)
                .await
                .unwrap()
        })
    });
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let ledger = ledger.clone();
            std::thread::spawn(move || {
                (0..25).for_each(|_| drop(ledger.append(query_end(n), &Attribution::eva(), NOW).unwrap()))
            })
        })
        .collect();
    let receipts = futures::future::join_all(tasks.collect::<Vec<_>>()).await;
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let sequences: HashSet<u64> = receipts
        .into_iter()
        .map(|receipt| receipt.unwrap().sequence())
        .collect();
    assert_eq!((sequences.len(), ledger.size()), (3000, 3100));
    assert!(ledger.verify(&[node().public()]).ok);
    let tail: Vec<u64> = ledger
        .tail(70)
        .unwrap()
        .iter()
        .map(|stored| stored.entry.sequence)
        .collect();
    assert_eq!(tail, (3030..3100).collect::<Vec<u64>>());
    drop(ledger);
    assert_eq!(fixture.open().unwrap().size(), 3100);
}

/// A disk that is full after some appends.
struct FullDisk {
    appends: usize,
    heads: usize,
}

impl Medium for FullDisk {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        self.appends = self.appends.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(())
    }

    fn put_head(&mut self, _: &[u8]) -> io::Result<()> {
        self.heads = self.heads.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(())
    }

    fn put_segment(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn no_append_is_acknowledged_after_a_failed_write() {
    for (appends, heads) in [(1, 9), (9, 1)] {
        let fixture = Fixture::new();
        let disk = FullDisk { appends, heads };
        let ledger = Ledger::start(
            &fixture.ledger(),
            fixture.master.ledger(),
            institution(),
            Shared::default(),
            disk,
            None,
            None,
        )
        .unwrap();
        drop(ledger.append(query_end(0), &Attribution::eva(), NOW).unwrap());
        assert!(ledger.ready().is_ok());
        assert!(matches!(
            ledger.append(query_end(1), &Attribution::eva(), NOW),
            Err(LedgerError::Write(_))
        ));
        assert!(matches!(
            ledger.append(query_end(2), &Attribution::eva(), NOW),
            Err(LedgerError::Refusing)
        ));
        assert!(matches!(ledger.ready(), Err(LedgerError::Refusing)));
        assert_eq!(ledger.size(), 1);
    }
}

/// A machine that loses power after some steps, each of which writes the entries or the head.
struct PowerCut {
    files: durable_files::Files,
    steps: usize,
}

impl PowerCut {
    fn step(&mut self) -> io::Result<()> {
        self.steps = self.steps.checked_sub(1).ok_or(io::ErrorKind::Interrupted)?;
        Ok(())
    }
}

impl Medium for PowerCut {
    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.step()?;
        self.files.append(records)
    }

    fn put_head(&mut self, sealed: &[u8]) -> io::Result<()> {
        self.step()?;
        self.files.put_head(sealed)
    }

    fn put_segment(&mut self, record: &[u8]) -> io::Result<()> {
        self.step()?;
        self.files.put_segment(record)
    }
}

#[test]
fn ledger_opens_after_a_power_cut_between_entries_and_head() {
    for steps in 0..5 {
        let fixture = Fixture::new();
        let key = fixture.master.ledger();
        let durable_files::Opened { files, shared, .. } =
            durable_files::open(&fixture.ledger(), &key, durable_files::Extent::Everything).unwrap();
        let medium = PowerCut { files, steps };
        let ledger = Ledger::start(&fixture.ledger(), key, institution(), shared, medium, None, None).unwrap();
        let acknowledged = (0..9)
            .take_while(|n| ledger.append(query_end(*n), &Attribution::eva(), NOW).is_ok())
            .count();
        drop(ledger);
        let reopened = fixture
            .open()
            .unwrap_or_else(|error| panic!("after {steps} steps: {error}"));
        assert!(reopened.size() >= acknowledged as u64, "after {steps} steps");
    }
}

#[test]
fn entry_that_cannot_be_encoded_does_not_affect_others() {
    let fixture = Fixture::new();
    let ledger = fixture.open().unwrap();
    let EntryBody::DecisionMade { request, policy, .. } = decision(true) else {
        unreachable!()
    };
    let reasons = vec![concordat_protocol::text::Reason::sanitized("because"); 99];
    let body = EntryBody::DecisionMade {
        request,
        policy,
        reasons,
        grant: None,
        permitted: true,
        sql: None,
    };
    assert!(matches!(
        ledger.append(body, &Attribution::eva(), NOW),
        Err(LedgerError::Entry(_))
    ));
    assert_eq!(
        ledger
            .append(query_end(0), &Attribution::eva(), NOW)
            .unwrap()
            .sequence(),
        0
    );
}

#[test]
fn ledger_proofs_are_valid_against_the_signed_checkpoint() {
    let fixture = Fixture::with_entries(200);
    let ledger = fixture.open().unwrap();
    assert!(matches!(ledger.prove(3), Err(LedgerError::NotCheckpointed { .. })));
    let first = ledger
        .checkpoint(&node(), NOW)
        .unwrap()
        .verify(node().public())
        .unwrap();
    drop(ledger.append(query_end(200), &Attribution::eva(), NOW).unwrap());
    assert!(matches!(
        ledger.prove(200),
        Err(LedgerError::NotCheckpointed {
            sequence: 200,
            size: 200
        })
    ));
    let proven = ledger.prove(130).unwrap().check(node().public()).unwrap();
    assert_eq!(proven.entry(), &ledger.entry(130).unwrap().entry);
    let second = ledger
        .checkpoint(&node(), NOW)
        .unwrap()
        .verify(node().public())
        .unwrap();
    let path = ledger.consistency(200, 201).unwrap();
    check_extension(first.document(), second.document(), &path).unwrap();
    let report = ledger.verify(&[node().public()]);
    assert_eq!(report.checkpoint.unwrap().size, 201);
}

#[test]
fn a_checkpoint_by_another_key_does_not_count() {
    let fixture = Fixture::with_entries(1);
    fixture
        .open()
        .unwrap()
        .checkpoint(&InstitutionKey::from_seed(&Zeroizing::new([6; 32])), NOW)
        .unwrap();
    let report = fixture.inspect();
    assert!(!report.ok && report.checkpoint.is_none());
}

#[test]
fn ledger_reader_distinguishes_a_cut_from_the_end() {
    let fixture = Fixture::with_entries(1);
    let key = fixture.master.ledger();
    let log = fs::read(fixture.file("entries.log")).unwrap();
    let records = &log[8..];
    let mut reader = Reader::new(records, &key, &Tip::default());
    assert_eq!(reader.next().unwrap().unwrap().entry.sequence, 0);
    assert!(reader.next().unwrap().is_none());
    let mut reader = Reader::new(&records[..records.len() - 1], &key, &Tip::default());
    assert!(matches!(reader.next(), Err(BadRecord::Broken(_))));
    let mut reader = Reader::new(&[0xff; 9][..], &key, &Tip::default());
    assert!(matches!(
        reader.next(),
        Err(BadRecord::Broken("its length is impossible"))
    ));
}
