//! What someone achieves who can write to the disk, and has copies of what was there before.

use std::os::unix::fs::symlink;

use concordat_protocol::{audit::EntryBody, text::Label};

use super::*;
use crate::answers::head::HEADS;
use crate::ledger::{AnchorError, Attribution, Ledger, LedgerError};

fn is_refused(fixture: &Fixture) -> String {
    let error = fixture.contents().expect_err("the log is not opened");
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    error.to_string()
}

#[test]
fn attack_on_any_byte_of_the_log_is_detected() {
    let fixture = Fixture::with(&[b"one", b"two"]);
    let log = fixture.log();
    let whole = fs::read(&log).unwrap();
    let node = fixture.open();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(&log, &changed).unwrap();
        let error = node.contents(&space()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "byte {at}: {error}");
    }
    fs::write(&log, &whole).unwrap();
    node.contents(&space()).unwrap();
}

#[test]
fn attack_with_a_shorter_log_is_detected() {
    let fixture = Fixture::with(&[b"one", b"two"]);
    let log = fixture.log();
    let whole = fs::read(&log).unwrap();
    let node = fixture.open();
    for length in 0..whole.len() {
        fs::write(&log, &whole[..length]).unwrap();
        let error = node.contents(&space()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{length} bytes: {error}");
    }
    fs::remove_file(&log).unwrap();
    let error = node.contents(&space()).unwrap_err().to_string();
    assert!(error.contains("the log is missing"), "{error}");
    // The log is not read through a link, and a pipe is not waited for.
    let elsewhere = fixture.dir.path().join("elsewhere");
    fs::write(&elsewhere, &whole).unwrap();
    symlink(&elsewhere, &log).unwrap();
    node.contents(&space()).unwrap_err();
    fs::remove_file(&log).unwrap();
    nix::unistd::mkfifo(&log, nix::sys::stat::Mode::S_IRWXU).unwrap();
    node.contents(&space()).unwrap_err();
    fs::remove_dir_all(fixture.answers()).unwrap();
    node.contents(&space()).unwrap_err();
}

#[test]
fn attack_that_cuts_an_open_log_stops_appends() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    let log = node.log(&space()).unwrap();
    fs::File::options()
        .write(true)
        .open(fixture.log())
        .unwrap()
        .set_len(20)
        .unwrap();
    let error = log.append(&[b"two"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
}

#[test]
fn attack_with_an_older_log_is_detected() {
    let fixture = Fixture::with(&[b"one"]);
    let log = fixture.log();
    let older = fs::read(&log).unwrap();
    let node = fixture.open();
    drop(node.answer(node.log(&space()).unwrap(), &[b"two"]));
    drop(node);
    fs::write(&log, older).unwrap();
    is_refused(&fixture);
}

/// A folder with a log that has a record "2nd" where another one, "two", was written that did not count. Returns what the log was then, too.
fn replaced() -> (Fixture, Vec<u8>) {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    let lost = node.log(&space()).unwrap().append(&[b"two"]).unwrap();
    let with_lost = fs::read(fixture.log()).unwrap();
    drop(node.answer(lost.into_log().unwrap(), &[b"2nd"]));
    assert_eq!(fs::read(fixture.log()).unwrap().len(), with_lost.len());
    drop(node);
    (fixture, with_lost)
}

/// A record that was written, but did not count, opens under its number as well as the one that counted.
#[test]
fn attack_with_a_record_that_did_not_count_is_detected() {
    let (fixture, with_lost) = replaced();
    fs::write(fixture.log(), &with_lost).unwrap();
    assert!(is_refused(&fixture).contains("others than those that were released"));
}

#[test]
fn attack_with_earlier_records_that_did_not_count_is_detected() {
    let (fixture, with_lost) = replaced();
    let node = fixture.open();
    drop(node.answer(node.log(&space()).unwrap(), &[b"three"]));
    drop(node);
    let whole = fs::read(fixture.log()).unwrap();
    fs::write(fixture.log(), [&with_lost, &whole[with_lost.len()..]].concat()).unwrap();
    is_refused(&fixture);
}

#[test]
fn attack_on_a_record_that_is_read_again_is_detected() {
    let (fixture, with_lost) = replaced();
    let node = fixture.open();
    let mut stored = Vec::new();
    let log = node
        .store
        .open_log(&space(), keys(), |record, _| stored.push(record))
        .unwrap();
    fs::write(fixture.log(), &with_lost).unwrap();
    assert_eq!(*log.read(&stored[0]).unwrap(), b"one");
    assert_eq!(log.read(&stored[1]).unwrap_err().kind(), ErrorKind::Integrity);
}

#[test]
fn attack_that_reorders_or_repeats_records_is_detected() {
    let fixture = Fixture::with(&[b"one", b"two", b"six"]);
    let log = fixture.log();
    let whole = fs::read(&log).unwrap();
    let (begin, records) = whole.split_at(8);
    let length = records.len() / 3;
    let record = |number: usize| &records[number * length..(number + 1) * length];
    for order in [[1, 0, 2], [0, 2, 1], [0, 0, 2], [0, 1, 1], [2, 1, 0]] {
        let mut changed = begin.to_vec();
        order.iter().for_each(|number| changed.extend(record(*number)));
        fs::write(&log, changed).unwrap();
        is_refused(&fixture);
    }
}

#[test]
fn attack_that_swaps_logs_or_records_of_spaces_is_detected() {
    let fixture = Fixture::new();
    let node = fixture.imported(ALL_IN_LOGS);
    let spaces = [space(), space_of(CREATED, "zurich")];
    let texts: [&[u8]; 2] = [b"one", b"two"];
    for (space, text) in spaces.iter().zip(texts) {
        drop(node.answer(node.log(space).unwrap(), &[text]));
    }
    let logs = files_below(&fixture.answers());
    let bytes: Vec<_> = logs.iter().map(|log| fs::read(log).unwrap()).collect();
    assert_eq!(bytes[0].len(), bytes[1].len());
    fs::write(&logs[0], &bytes[1]).unwrap();
    fs::write(&logs[1], &bytes[0]).unwrap();
    for space in &spaces {
        assert_eq!(node.contents(space).unwrap_err().kind(), ErrorKind::Integrity);
    }
}

#[test]
fn attack_with_the_key_of_another_dataset_opens_nothing() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    let other = PseudonymSecret::dangerous_of_vector([8; 32]).answers_key();
    let opened = node.store.open_log(&space(), LogKeys::new(other, FOLDER), |_, _| {});
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Integrity);
}

fn entry() -> EntryBody {
    EntryBody::NodeStarted {
        version: Label::sanitized("1"),
        start: None,
    }
}

/// State and logs that are set back together fit. The head is committed with the head of the ledger, so the ledger notices it; a disk that is
/// set back as a whole is noticed by peers.
#[test]
fn attack_with_older_state_and_logs_is_detected_by_the_ledger() {
    let fixture = Fixture::new();
    let folder = fixture.dir.path().join("ledger");
    let institution = InstitutionId::new("budapest").unwrap();
    let open_ledger =
        |node: &Node| Ledger::open_anchored(&folder, fixture.master.ledger(), institution.clone(), &node.meta);
    let node = fixture.imported(ALL_IN_LOGS);
    let ledger = open_ledger(&node).unwrap();
    let older = fixture.dir.path().join("older");
    let mut log = Some(node.log(&space()).unwrap());
    for text in [b"one", b"two"] {
        drop(ledger.append(entry(), &Attribution::eva(), NOW).unwrap());
        let appended = log.take().unwrap().append(&[text]).unwrap();
        let applied = ledger.apply(&node.meta, |_, batch| appended.stage(batch));
        ledger.until_durable(&node.meta, applied.unwrap().1).unwrap();
        log = Some(appended.into_log().unwrap());
        if text == b"one" {
            copy(&fixture.meta(), &older.join("meta"));
            copy(&fixture.answers(), &older.join("answers"));
        }
    }
    drop((log, ledger, node));
    for part in ["meta", "answers"] {
        let part = Path::new(part);
        fs::remove_dir_all(fixture.dir.path().join(part)).unwrap();
        copy(&older.join(part), &fixture.dir.path().join(part));
    }
    let node = fixture.open();
    assert_eq!(node.contents(&space()).unwrap(), [b"one"]);
    let error = open_ledger(&node).err().unwrap();
    assert!(
        matches!(error, LedgerError::Anchor(AnchorError::StateOlder { .. })),
        "{error}"
    );
}

#[test]
fn erased_answers_are_not_continued() {
    let fixture = Fixture::with(&[b"one"]);
    let node = fixture.open();
    let log = node.log(&space()).unwrap();
    let appended = node.log(&space_of(CREATED, "zurich")).unwrap().append(&[b"1"]).unwrap();
    node.commit(&appended).unwrap();
    let appended = appended.into_log().unwrap().append(&[b"2"]).unwrap();
    // The first answer to an owner has no head that could be missing.
    let first = node.log(&space_of(CREATED, "geneva")).unwrap().append(&[b"3"]).unwrap();
    let other = space_of(OTHER, "cleveland");
    drop(node.answer(node.log(&other).unwrap(), &[b"other"]));

    let mut batch = Batch::new();
    node.store.stage_erasure(&mut batch, CREATED).unwrap();
    node.meta.commit(batch).unwrap();
    assert!(matches!(log.append(&[b"two"]), Err(AnswersError::Changed)));
    for appended in [&appended, &first] {
        assert!(matches!(node.commit(appended), Err(MetaError::Conflict { .. })));
    }
    assert!(matches!(appended.into_log(), Err(AnswersError::Changed)));
    let again = first.into_log().unwrap().append(&[b"3"]).unwrap();
    assert!(matches!(node.commit(&again), Err(MetaError::Conflict { .. })));
    assert!(matches!(node.log(&space()), Err(AnswersError::Changed)));
    drop(again);
    assert_eq!(node.store.extents().unwrap().len(), 1);
    assert_eq!(node.store.collect_orphans().unwrap(), 4);
    assert_eq!(node.contents(&other).unwrap(), [b"other"]);
    node.store
        .remove_folders(&[FOLDER, KeyId::from_bytes([9; 16])])
        .unwrap();
    assert!(files_below(&fixture.answers()).is_empty());
}

/// The heads that an erasure removes are listed before it is committed.
#[test]
fn first_answer_during_an_erasure_does_not_count() {
    let fixture = Fixture::new();
    let node = fixture.imported(ALL_IN_LOGS);
    let other = space_of(OTHER, "cleveland");
    drop(node.answer(node.log(&other).unwrap(), &[b"other"]));
    let mut erasure = Batch::new();
    node.store.stage_erasure(&mut erasure, CREATED).unwrap();
    drop(node.answer(node.log(&space()).unwrap(), &[b"one"]));
    node.meta.commit(erasure).unwrap();
    assert!(matches!(node.log(&space()), Err(AnswersError::Changed)));
    let extents = node.store.extents().unwrap();
    assert_eq!(extents.len(), 1, "a backup does not need it");
    assert_eq!(node.store.collect_orphans().unwrap(), 1);
    let heads = node.meta.tree::<head::SpaceHead>(HEADS).unwrap();
    assert_eq!(heads.iter().unwrap().len(), 1);
    assert_eq!(node.contents(&other).unwrap(), [b"other"]);
}
