//! Erased datasets stay erased; only what the retention rule excludes is removed.

use concordat_protocol::error_kind::Explain;
use concordat_protocol::{ids::InstitutionId, schema::VersionNumber, text::Reason};

use super::super::datasets::manifest_key;
use super::*;

impl TestNode {
    pub(super) fn signed_statement(&self) -> ErasureStatement {
        let order = ErasureOrder {
            institution: InstitutionId::new("budapest").unwrap(),
            by: None,
            reason: Reason::new("the study ended").unwrap(),
            at: NOW,
        };
        let _within = self.runtime.enter();
        self.catalog()
            .erasures()
            .sign_statement(&people(), order, &key(1))
            .unwrap()
    }

    pub(super) fn erase(&self, statement: &ErasureStatement) -> bool {
        let _within = self.runtime.enter();
        self.catalog().erasures().erase(statement).unwrap()
    }
}

#[test]
fn erasure_during_a_read_is_not_reported_as_damage() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let datasets = &node.catalog().0.datasets;
    let record = datasets.collection(&CollectionName::from(&people())).unwrap();
    assert!(node.erase(&node.signed_statement()));
    let erased = datasets.manifest(&record, record.current).unwrap_err();
    assert_eq!(erased.kind(), ErrorKind::NotFound);
    // Another dataset with its name is not the one that was read.
    node.import_text(PEOPLE, ImportMode::Create);
    let other = datasets.collection(&CollectionName::from(&people())).unwrap();
    datasets
        .manifests
        .remove(&manifest_key(&people(), other.current))
        .unwrap();
    assert_eq!(
        datasets.manifest(&record, record.current).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let damaged = datasets.manifest(&other, other.current).unwrap_err();
    assert!(matches!(damaged, CatalogError::ManifestMissing { .. }), "{damaged}");
}

#[test]
fn erasure_destroys_dataset_and_keys_and_keeps_statement() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.import_text("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Append);
    let other = ImportRequest {
        name: DatasetName::new("others").unwrap(),
        ..node.request(PEOPLE, ImportMode::Create)
    };
    node.import(&other).unwrap();
    let record = node.catalog().datasets().show(&people()).unwrap();
    let segment = node.catalog().0.keys.segments.get(MAIN_SEGMENT).unwrap().unwrap();
    let statement = node.signed_statement();
    assert_eq!((statement.document().versions, statement.document().objects), (2, 2));

    assert!(node.erase(&statement));
    assert_eq!(
        node.catalog().datasets().show(&people()).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(node.object_files().len(), 1, "the other dataset keeps its object");
    // What old pages of the state database may still contain opens nothing.
    node.catalog()
        .0
        .keys
        .master
        .open_segment(MAIN_SEGMENT, &segment)
        .unwrap_err();
    node.catalog().keys().open_keys(&record.clone().into()).err().unwrap();
    assert!(!node.erase(&statement), "there is nothing to erase the second time");
    node.reopen(|objects| objects);
    assert_eq!(node.catalog().erasures().all().unwrap().len(), 1);
    node.catalog().open_version(&other.name, None).unwrap();

    node.import_text(PEOPLE, ImportMode::Create);
    assert!(
        !node.erase(&statement),
        "a new dataset with the same name is not erased"
    );
    assert_eq!(values(&node.read(&node.current()).unwrap(), "id"), ["1", "2", "3"]);
}

#[test]
fn a_damaged_dataset_can_be_erased_too() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.catalog().0.datasets.manifests.remove("people/1").unwrap();
    node.verify().unwrap_err();
    assert!(node.erase(&node.signed_statement()));
    assert!(node.object_files().is_empty());
    assert_eq!(
        node.catalog().datasets().show(&people()).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn interrupted_erasure_destroys_the_keys_at_the_next_start() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let segment = node.catalog().0.keys.segments.get(MAIN_SEGMENT).unwrap().unwrap();
    let name = concordat_protocol::ids::SegmentName::new(MAIN_SEGMENT).unwrap();
    node.catalog().0.erasures.in_progress.put("a statement", &name).unwrap();
    node.reopen(|objects| objects);
    assert!(!node.catalog().0.erasures.in_progress.contains("a statement").unwrap());
    node.catalog()
        .0
        .keys
        .master
        .open_segment(MAIN_SEGMENT, &segment)
        .unwrap_err();
    assert_eq!(values(&node.read(&node.current()).unwrap(), "id"), ["1", "2", "3"]);
}

#[test]
fn retention_removes_versions_with_unshared_objects() {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let reader = node.current();
    node.import_text("id,name,age\n9,Ida Sentinel,20\n", ImportMode::Replace);
    node.import_text("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Append);
    assert_eq!(node.object_files().len(), 3);
    assert_eq!(node.retain(2), 1);
    assert_eq!(
        values(&node.read(&reader).unwrap(), "id"),
        ["1", "2", "3"],
        "a reader can still read its objects"
    );
    drop(reader);
    assert_eq!(node.collect_orphans(), 1);
    let error = node
        .catalog()
        .open_version(&people(), Some(VersionNumber::FIRST))
        .unwrap_err();
    assert_eq!(error.to_string(), "dataset `people` has no version 1; it has 2 to 3");

    assert_eq!(node.retain(1), 1);
    assert_eq!(
        node.object_files().len(),
        2,
        "the newest version names the object of the one before"
    );
    node.import_text("id,name,age\n5,Emil Sentinel,61\n", ImportMode::Replace);
    assert_eq!(
        node.catalog().datasets().versions(&people()).unwrap().len(),
        2,
        "an import removes nothing by itself"
    );
    assert_eq!(node.trim().unwrap(), 1);
    assert_eq!(node.object_files().len(), 1, "the rule applies to each import");
    node.reopen(|objects| objects);
    assert_eq!(node.catalog().datasets().versions(&people()).unwrap().len(), 1);
    assert_eq!(values(&node.read(&node.current()).unwrap(), "id"), ["5"]);
    assert_eq!(node.verify().unwrap().versions, 1);
}

#[test]
fn retention_removes_only_what_was_recorded_and_is_excluded() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let retention = node.catalog().retention();
    retention.set_rule(&people(), NonZeroU32::new(2)).unwrap();
    assert_eq!(retention.excluded(&people()).unwrap(), None);
    for id in 4..7 {
        node.import_text(&format!("id,name,age\n{id},Dora Sentinel,33\n"), ImportMode::Append);
    }
    assert_eq!(retention.excluded(&people()).unwrap(), Some(VersionNumber::new(3)));
    let _within = node.runtime.enter();
    let trim = |oldest| retention.trim(&people(), VersionNumber::new(oldest)).unwrap();
    // More than the rule excludes; less, as another import may exclude more after it was recorded; again.
    assert_eq!((trim(4), trim(2), trim(2)), (0, 1, 0));
    retention.set_rule(&people(), None).unwrap();
    assert_eq!(trim(3), 0, "the rule was changed after it was recorded");
    assert_eq!(node.catalog().datasets().versions(&people()).unwrap().len(), 3);
}
