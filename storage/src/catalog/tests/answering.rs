//! What was answered about a dataset, while its keys change and when it is erased.

use concordat_keys::fs::write_private;
use concordat_protocol::ids::SegmentName;

use super::*;
use crate::{
    answers::{AnswerLog, MemoryOwner, MemorySpace, MemoryUnit, note_older_copy},
    meta::{Batch, TreeId},
};

/// A record that is not in the state.
fn long() -> Vec<u8> {
    vec![1; 17 * 1024]
}

impl TestNode {
    fn answering() -> Self {
        let node = Self::new();
        node.import_text(PEOPLE, ImportMode::Create);
        node.answer(&long());
        node
    }

    fn space(&self) -> MemorySpace {
        let record = self.catalog().datasets().show(&people()).unwrap();
        MemorySpace::new(record.created.unwrap(), MemoryOwner::Everyone, MemoryUnit::Subjects)
    }

    fn log(&self) -> Result<AnswerLog, CatalogError> {
        self.catalog().answers().open(&people(), &self.space(), |_, _| {})
    }

    fn answers(&self) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        let each = |_, plain: &[u8]| answers.push(plain.to_vec());
        self.catalog().answers().open(&people(), &self.space(), each).unwrap();
        answers
    }

    fn answer(&self, text: &[u8]) {
        let appended = self.log().unwrap().append(&[text]).unwrap();
        let mut batch = Batch::new();
        appended.stage(&mut batch).unwrap();
        self.storage.as_ref().unwrap().meta().commit(batch).unwrap();
    }

    fn answer_files(&self) -> Vec<PathBuf> {
        files_below(&self.dir.path().join("answers"))
    }
}

#[test]
fn answers_stay_when_keys_are_rotated_and_data_is_replaced() {
    let mut node = TestNode::answering();
    let folder = node.catalog().keys().status().unwrap().datasets[0].current.to_string();
    assert!(node.answer_files()[0].to_string_lossy().contains(&folder));
    {
        let _within = node.runtime.enter();
        let catalog = node.catalog();
        catalog.keys().rotate_dataset(&people(), true).unwrap();
        catalog.reencryption().run(&people(), None, &mut |_| true).unwrap();
        catalog
            .keys()
            .rotate_segment(&SegmentName::new(MAIN_SEGMENT).unwrap())
            .unwrap();
        catalog.keys().rotate_master().unwrap();
    }
    node.import_text(PEOPLE, ImportMode::Replace);
    node.answer(b"two");
    node.reopen(|objects| objects);
    assert_eq!(node.answers(), [long(), b"two".to_vec()]);
    assert!(node.erase(&node.signed_statement()));
    assert!(
        node.answer_files().is_empty(),
        "the folder has the name of a discarded key"
    );
}

#[test]
fn answers_are_erased_with_their_dataset() {
    let mut node = TestNode::answering();
    let space = node.space();
    let log = node.answer_files().remove(0);
    let bytes = fs::read(&log).unwrap();
    let held = node.log().unwrap();
    assert!(node.erase(&node.signed_statement()));
    assert!(node.answer_files().is_empty());
    held.append(&[b"two"]).unwrap_err();
    let erased = node.catalog().answers().open(&people(), &space, |_, _| {});
    assert_eq!(erased.unwrap_err().kind(), ErrorKind::NotFound);

    // A dataset with the same name does not continue it, and nothing opens what was copied.
    node.import_text(PEOPLE, ImportMode::Create);
    let other = node.catalog().answers().open(&people(), &space, |_, _| {});
    assert_eq!(other.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(node.answers().is_empty());
    write_private(&log, &bytes).unwrap();
    node.reopen(|objects| objects);
    assert!(node.answers().is_empty());
    assert_eq!(node.collect_orphans(), 1);
    assert!(node.answer_files().is_empty());
}

#[test]
fn erasure_killed_before_its_files_leaves_orphans() {
    let node = TestNode::answering();
    node.answer(b"two");
    let log = node.answer_files().remove(0);
    let bytes = fs::read(&log).unwrap();
    node.erase(&node.signed_statement());
    write_private(&log, &bytes).unwrap();
    assert!(node.catalog().answers().extents().unwrap().is_empty());
    assert_eq!(node.collect_orphans(), 1);
}

#[test]
fn dataset_imported_after_a_restore_lacks_no_answers() {
    let node = TestNode::answering();
    let meta = node.storage.as_ref().unwrap().meta();
    note_older_copy(meta, NOW).unwrap();
    node.log().unwrap_err();
    let other = ImportRequest {
        name: DatasetName::new("others").unwrap(),
        ..node.request(PEOPLE, ImportMode::Create)
    };
    node.import(&other).unwrap();
    let known_until = |name| node.catalog().answers().known_until(name).unwrap();
    assert_eq!(known_until(&other.name), None);
    node.import_text(PEOPLE, ImportMode::Replace);
    assert_eq!(known_until(&people()), Some(NOW), "a new version is not a new dataset");
    node.catalog().answers().acknowledge(&people()).unwrap();
    assert_eq!(node.answers(), [long()]);
}

/// A dataset of an earlier version has no acknowledgment: it lacks answers if the node was restored since.
#[test]
fn dataset_of_an_earlier_version_is_answered_about() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let meta = node.storage.as_ref().unwrap().meta();
    let acknowledgments = meta.tree::<u64>(TreeId::new("answer-acknowledgments")).unwrap();
    let created = node.space().created().to_string();
    acknowledgments.remove(&created).unwrap();
    node.answer(b"one");
    assert_eq!(acknowledgments.get(&created).unwrap(), Some(0));
    acknowledgments.remove(&created).unwrap();
    note_older_copy(meta, NOW).unwrap();
    node.log().unwrap_err();
    node.catalog().answers().acknowledge(&people()).unwrap();
    assert_eq!(node.answers(), [b"one"]);
}
