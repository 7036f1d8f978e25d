//! Records in the state, and their way into the log.

use super::*;
use crate::answers::head::HEADS;

/// Three records of one byte.
const THREE: RecentLimits = RecentLimits {
    record: 2 + AnswersKey::OVERHEAD,
    total: 3 * (1 + AnswersKey::OVERHEAD),
};

fn files(fixture: &Fixture) -> usize {
    files_below(&fixture.answers()).len()
}

#[test]
fn short_answers_are_in_the_state_until_they_are_many() {
    let fixture = Fixture::new();
    let node = fixture.imported(THREE);
    let mut log = node.log(&space()).unwrap();
    let mut stored = Vec::new();
    for number in 0..9_u8 {
        let appended = log.append(&[&[number]]).unwrap();
        stored.extend(appended.records());
        node.commit(&appended).unwrap();
        log = appended.into_log().unwrap();
        assert_eq!(files(&fixture), usize::from(number >= 3), "after {number}");
        for (record, expected) in stored.iter().zip(0_u8..) {
            assert_eq!(*log.read(record).unwrap(), [expected], "after {number}");
        }
    }
    drop((log, node));
    let expected: Vec<Vec<u8>> = (0..9).map(|number| vec![number]).collect();
    // However many may be in the state from now on, they are found.
    for limits in [THREE, ALL_IN_LOGS, RecentLimits::DEFAULT] {
        assert_eq!(fixture.open_with(limits).contents(&space()).unwrap(), expected);
    }
    let node = fixture.open_with(THREE);
    let log = node.answer(node.log(&space()).unwrap(), &[b"long"]);
    drop(node.answer(log, &[b"x"]));
    let contents = node.contents(&space()).unwrap();
    assert_eq!(contents[8..], [&[8][..], b"long", b"x"]);
}

#[test]
fn answer_with_a_long_record_is_in_the_log() {
    let fixture = Fixture::new();
    let node = fixture.imported(THREE);
    let log = node.answer(node.log(&space()).unwrap(), &[b"1"]);
    assert_eq!((files(&fixture), node.store.extents().unwrap().len()), (0, 0));
    drop(node.answer(log, &[b"2", b"long"]));
    assert_eq!((files(&fixture), node.store.extents().unwrap().len()), (1, 1));
    assert_eq!(node.contents(&space()).unwrap(), [&b"1"[..], b"2", b"long"]);
}

/// Until the commit they are still in the state, and what is in the log may be anything.
#[test]
fn answers_torn_on_their_way_into_the_log_are_in_the_state() {
    let fixture = Fixture::new();
    let node = fixture.imported(THREE);
    drop(node.answer(node.log(&space()).unwrap(), &[b"1", b"2", b"3"]));
    drop(node.log(&space()).unwrap().append(&[b"4"]).unwrap());
    let log = fixture.log();
    let whole = fs::read(&log).unwrap();
    for end in 0..=whole.len() {
        fs::write(&log, &whole[..end]).unwrap();
        assert_eq!(node.contents(&space()).unwrap(), [b"1", b"2", b"3"], "{end}");
    }
    fs::write(&log, vec![0xFF; 2 * whole.len()]).unwrap();
    drop(node);
    let node = fixture.open_with(THREE);
    let collected = node.store.collect_orphans();
    assert_eq!(collected.unwrap(), 0, "the log has the name that is in the state");
    drop(node.answer(node.log(&space()).unwrap(), &[b"5"]));
    drop(node);
    let node = fixture.open_with(THREE);
    assert_eq!(node.contents(&space()).unwrap(), [b"1", b"2", b"3", b"5"]);
    assert_eq!(fs::read(fixture.log()).unwrap().len(), whole.len());
}

/// What old pages of the state may still contain opens with the dataset's key only.
#[test]
fn answers_in_the_state_need_the_key_of_the_dataset() {
    let fixture = Fixture::new();
    let node = fixture.imported(THREE);
    drop(node.answer(node.log(&space()).unwrap(), &[b"1"]));
    let other = PseudonymSecret::dangerous_of_vector([8; 32]).answers_key();
    let opened = node.store.open_log(&space(), LogKeys::new(other, FOLDER), |_, _| {});
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Integrity);

    let heads = node.meta.tree::<head::SpaceHead>(HEADS).unwrap();
    let key = space().to_string();
    let mut head = heads.get(&key).unwrap().unwrap();
    head.recent.push(head.recent[0].clone());
    heads.put(&key, &head).unwrap();
    let error = node.contents(&space()).unwrap_err();
    assert!(error.to_string().contains("record 1: it does not open"), "{error}");
}

#[test]
fn answers_in_the_state_are_erased() {
    let fixture = Fixture::new();
    let node = fixture.imported(THREE);
    let log = node.answer(node.log(&space()).unwrap(), &[b"1"]);
    let mut batch = Batch::new();
    node.store.stage_erasure(&mut batch, CREATED).unwrap();
    node.meta.commit(batch).unwrap();
    assert!(matches!(log.append(&[b"2"]), Err(AnswersError::Changed)));
    assert!(matches!(node.contents(&space()), Err(AnswersError::Changed)));
    node.store.add_dataset(CREATED).unwrap();
    assert!(node.contents(&space()).unwrap().is_empty());
}
