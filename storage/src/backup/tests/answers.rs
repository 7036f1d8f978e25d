//! Logs of answers in snapshots.

use super::*;
use crate::{
    answers::{AnswerLog, AnswersError, MemoryOwner, MemorySpace, MemoryUnit},
    meta::Batch,
};

/// A record that is not in the state.
fn long(text: &[u8]) -> Vec<u8> {
    [text, &[0; 16 * 1024]].concat()
}

impl TestNode {
    fn answer(&self, text: &[u8]) {
        let catalog = self.storage.catalog();
        let log = catalog
            .answers()
            .open(&people(), &space(&self.storage), |_, _| {})
            .unwrap();
        drop(commit(&self.storage, log, text));
    }
}

fn commit(storage: &Storage, log: AnswerLog, text: &[u8]) -> AnswerLog {
    let appended = log.append(&[text]).unwrap();
    let mut batch = Batch::new();
    appended.stage(&mut batch).unwrap();
    storage.meta().commit(batch).unwrap();
    appended.into_log().unwrap()
}

fn space(storage: &Storage) -> MemorySpace {
    let record = storage.catalog().datasets().show(&people()).unwrap();
    MemorySpace::new(record.created.unwrap(), MemoryOwner::Everyone, MemoryUnit::Subjects)
}

fn contents(storage: &Storage) -> Result<Vec<Vec<u8>>, CatalogError> {
    let mut contents = Vec::new();
    let each = |_, plain: &[u8]| contents.push(plain.to_vec());
    storage.catalog().answers().open(&people(), &space(storage), each)?;
    Ok(contents)
}

#[test]
fn restored_answers_count_after_the_acknowledgment() {
    let node = TestNode::new();
    node.answer(&long(b"one"));
    node.answer(b"two");
    let taken = node.back_up().contents.document().at;
    node.answer(b"after the snapshot");
    let (restored, _dir) = node.restore(&secret("p")).unwrap();
    let storage = &restored.storage;
    let refused = contents(storage).unwrap_err();
    assert!(
        matches!(refused, CatalogError::Answers(AnswersError::OlderCopy { known_until }) if known_until == taken),
        "{refused}"
    );
    assert_eq!(storage.catalog().answers().known_until(&people()).unwrap(), Some(taken));
    storage.catalog().answers().acknowledge(&people()).unwrap();
    assert_eq!(contents(storage).unwrap(), [long(b"one"), b"two".to_vec()]);
    assert_eq!(contents(&node.storage).unwrap().len(), 3, "the node itself misses none");
}

#[test]
fn restore_lacks_answers_to_owners_without_a_log() {
    let node = TestNode::new();
    node.back_up();
    node.answer(b"the first answer is after the snapshot");
    let (restored, dir) = node.restore(&secret("p")).unwrap();
    contents(&restored.storage).unwrap_err();
    drop(restored);
    let reopened = Storage::open(&dir.path().join("node"), &secret("p")).unwrap();
    contents(&reopened).unwrap_err();
}

#[test]
fn erased_answers_are_removed_from_repositories() {
    let node = TestNode::new();
    node.answer(&long(b"one"));
    node.back_up();
    let in_snapshot = || {
        let files = files_below(&node.repository().join("snapshots")).into_iter();
        let mut logs = files.filter(|path| path.extension().is_some_and(|end| end == "log"));
        logs.find(|path| !path.ends_with("entries.log"))
    };
    let log = in_snapshot().unwrap();
    let bytes = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert_eq!(node.verify().unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(node.restore(&secret("p")).unwrap_err().kind(), ErrorKind::Integrity);
    fs::write(&log, &bytes).unwrap();

    let statement = node.erase();
    assert!(files_below(&node.storage.dir().join("answers")).is_empty());
    let repository = Repository::open(&node.repository()).unwrap();
    repository.note_erasure(&statement).unwrap();
    assert_eq!(in_snapshot(), None);
    assert_eq!(node.verify().unwrap().erased, 2, "an object and a log");

    node.restore(&secret("p")).unwrap();

    // The log is copied back from another copy of the repository.
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    fs::write(&log, &bytes).unwrap();
    let (restored, _dir) = node.restore(&secret("p")).unwrap();
    assert!(files_below(&restored.storage.dir().join("answers")).is_empty());
    assert!(restored.storage.catalog().answers().extents().unwrap().is_empty());
}

#[test]
fn erasure_removes_nothing_through_a_link_in_a_repository() {
    let node = TestNode::new();
    node.answer(&long(b"one"));
    let id = node.back_up().contents.document().id;
    let answers = node.repository().join(format!("snapshots/{id}/dir/answers"));
    let elsewhere = node.workspace.path().join("elsewhere");
    fs::rename(&answers, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &answers).unwrap();
    let repository = Repository::open(&node.repository()).unwrap();
    repository.note_erasure(&node.erase()).unwrap();
    assert_eq!(files_below(&elsewhere).len(), 1);
}

#[test]
fn snapshot_without_a_whole_log_of_answers_is_not_taken() {
    let node = TestNode::new();
    node.answer(&long(b"one"));
    let log = files_below(&node.storage.dir().join("answers")).remove(0);
    let bytes = fs::read(&log).unwrap();
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    for damaged in [&bytes[..bytes.len() - 1], &changed] {
        fs::write(&log, damaged).unwrap();
        let error = node.try_back_up(&node.repository()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    }
    fs::remove_file(&log).unwrap();
    let error = node.try_back_up(&node.repository()).unwrap_err();
    assert!(matches!(error, BackupError::ObjectMissing), "{error}");
    assert_eq!(
        node.verify().unwrap_err().kind(),
        ErrorKind::NotFound,
        "there is no snapshot"
    );
    fs::write(&log, [&bytes[..], b"an answer that does not count yet"].concat()).unwrap();
    node.back_up();
    let (restored, _dir) = node.restore(&secret("p")).unwrap();
    let copy = files_below(&restored.storage.dir().join("answers")).remove(0);
    assert_eq!(fs::read(copy).unwrap(), bytes);
}

#[test]
fn snapshot_can_be_taken_during_answers() {
    let node = TestNode::new();
    node.answer(&[0; 8_000]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let answers = node.storage.catalog().answers();
            let mut log = answers.open(&people(), &space(&node.storage), |_, _| {}).unwrap();
            for number in 1..200_u8 {
                log = commit(&node.storage, log, &vec![number; 8_000]);
            }
        });
        let mut snapshots = 0;
        while !writer.is_finished() || snapshots == 0 {
            node.back_up();
            let (restored, _dir) = node.restore(&secret("p")).unwrap();
            let storage = &restored.storage;
            storage.catalog().answers().acknowledge(&people()).unwrap();
            for (found, number) in contents(storage).unwrap().into_iter().zip(0..) {
                assert!(found == [number; 8_000], "{number}");
            }
            snapshots += 1;
        }
    });
}
