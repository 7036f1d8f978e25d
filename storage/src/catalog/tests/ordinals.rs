//! The ordinals of the subjects of a dataset alone, through its versions.

use std::collections::{BTreeMap, BTreeSet};

use arrow::{array::UInt32Array, datatypes::UInt32Type};
use concordat_protocol::{collection::DatasetKind, signed::Signed};
use proptest::prelude::*;

use super::*;
use crate::catalog::datasets::manifest_key;

/// A person, and a value of theirs.
pub(super) type Row = (u8, u8);

pub(super) fn csv(rows: &[Row]) -> String {
    let mut text = "who,value\n".to_owned();
    for (who, value) in rows {
        text.push_str(&format!("p{who},{value}\n"));
    }
    text
}

impl TestNode {
    pub(super) fn import_keyed(&self, contents: &str, mode: ImportMode) -> Imported {
        self.import(&self.keyed(contents, mode)).unwrap()
    }

    pub(super) fn keyed(&self, contents: &str, mode: ImportMode) -> ImportRequest {
        let mut request = self.request(contents, mode);
        request.options.subject = SubjectRule::Column("who".to_owned());
        request
    }

    /// The ordinals of the rows of the current version, in order.
    pub(super) fn ordinals(&self) -> Vec<Option<u32>> {
        let batches = self.read_stored(&self.current()).unwrap();
        let mut ordinals = Vec::new();
        for batch in batches {
            let last = batch.columns().last().unwrap();
            assert_eq!(batch.schema().fields().last().unwrap().name(), ORDINAL_COLUMN);
            ordinals.extend(last.as_primitive::<UInt32Type>().iter());
        }
        ordinals
    }

    pub(super) fn subjects(&self) -> SubjectTables {
        self.current().collection().manifest().subjects().clone()
    }

    /// The subjects whose rows changed, of `before` and those that were added.
    fn changed(&self, before: u32) -> Vec<u32> {
        let subjects = self.subjects();
        match &subjects.changed {
            ChangedTable::Added => (before..subjects.count).collect(),
            ChangedTable::All => (0..subjects.count).collect(),
            ChangedTable::Listed(object) => {
                let version = self.current();
                let object = version.collection().objects([object]).remove(0);
                let batches = self.read_object(version.collection().object_store().as_ref(), &object);
                let arrays: Vec<UInt32Array> = batches
                    .iter()
                    .map(|batch| batch.column(0).as_primitive().clone())
                    .collect();
                arrays.iter().flat_map(|array| array.values().to_vec()).collect()
            }
        }
    }

    pub(super) fn only(&self) -> DatasetManifest {
        self.current().collection().manifest().datasets()[0].clone()
    }

    /// Signs the current version again as that of a dataset was signed before there were collections.
    pub(super) fn sign_as_format_2(&self) {
        let manifest = self.current().manifest().clone();
        let signed = Signed::sign(&manifest, &key(1)).unwrap();
        let stored = Signed::from_bytes(signed.signed().as_bytes().to_vec()).unwrap();
        let name = manifest_key(&people(), manifest.version);
        self.catalog().datasets().manifests.put(&name, &stored).unwrap();
    }
}

#[test]
fn ordinals_are_in_a_column_that_no_reader_sees() {
    let node = TestNode::new();
    node.import_keyed("who,value\na,1\nb,2\na,3\n07,4\n", ImportMode::Create);
    assert_eq!(node.ordinals(), [Some(0), Some(1), Some(0), Some(2)]);
    let version = node.current();
    assert_eq!(version.schema().fields().len(), 2);
    assert_eq!(version.schema(), version.manifest().schema());
    assert_eq!(version.manifest().own_columns().count(), 2);
    let only = node.only();
    assert_eq!((only.unowned, only.ordinals, only.rows), (0, true, 4));
    assert_eq!(only.stored_schema().fields().len(), 3);
    assert!(matches!(only.kind, DatasetKind::Keyed { unique: false, .. }));
    assert_eq!(version.objects().len(), 1, "what is stored about subjects is not data");
    assert_eq!(node.verify().unwrap().objects, 3, "but it is verified");
}

#[test]
fn subject_with_one_row_is_known_to_have_one() {
    let node = TestNode::new();
    let unique = |node: &TestNode| matches!(node.only().kind, DatasetKind::Keyed { unique: true, .. });
    node.import_keyed("who,value\na,1\nb,2\n", ImportMode::Create);
    assert!(unique(&node));
    node.import_keyed("who,value\nc,1\n", ImportMode::Append);
    assert!(unique(&node));
    node.import_keyed("who,value\nb,1\n", ImportMode::Append);
    assert!(!unique(&node), "b has two rows now");
    node.import_keyed("who,value\nd,1\n", ImportMode::Append);
    assert!(!unique(&node), "b still has");
    node.import_keyed("who,value\nb,1\n", ImportMode::Replace);
    assert!(unique(&node));
}

#[test]
fn rows_that_are_subjects_are_numbered_on() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.import_text("id,name,age\n4,Dora,33\n", ImportMode::Append);
    assert_eq!(node.ordinals(), [Some(0), Some(1), Some(2), Some(3)]);
    assert_eq!(node.changed(3), [3]);
    node.import_text("id,name,age\n4,Dora,33\n", ImportMode::Replace);
    assert_eq!(node.ordinals(), [Some(0)]);
    assert_eq!(
        node.subjects().changed,
        ChangedTable::All,
        "it is not known who it was before"
    );
}

#[test]
fn changed_subjects_are_those_of_all_versions_since() {
    let node = TestNode::new();
    node.import_keyed("who,value\na,x\nb,y\n", ImportMode::Create);
    node.import_keyed("who,value\nb,z\nc,w\n", ImportMode::Append);
    node.import_keyed("who,value\nd,v\n", ImportMode::Append);
    let since = |version: u64| {
        let _within = node.runtime.enter();
        let current = node.current();
        let since = VersionNumber::new(version);
        node.catalog().changed_since(current.collection(), since).unwrap()
    };
    assert_eq!(since(3), Some(BTreeSet::new()));
    assert_eq!(since(2), Some(BTreeSet::from([3])));
    assert_eq!(since(1), Some(BTreeSet::from([1, 2, 3])));
    node.retain(1);
    assert_eq!(since(1), None, "the versions in between are not kept");
}

#[test]
fn other_subjects_get_other_numbers_and_are_changed() {
    let node = TestNode::new();
    node.import_keyed("who,value\na,x\nb,y\n", ImportMode::Create);
    let mut request = node.keyed("who,value\na,x\nb,x\n", ImportMode::Replace);
    request.options.subject = SubjectRule::Column("value".to_owned());
    node.import(&request).unwrap();
    assert_eq!(node.ordinals(), [Some(0), Some(0)]);
    assert_eq!(node.subjects().changed, ChangedTable::All);
    assert_eq!(node.subjects().count, 1);
}

#[test]
fn version_of_format_2_is_read_and_gets_ordinals_when_replaced() {
    let mut node = TestNode::new();
    node.import_keyed("who,value\na,1\nb,2\n", ImportMode::Create);
    node.sign_as_format_2();
    let format = node.dir.path().join("format");
    fs::write(&format, "2\n").unwrap();
    node.reopen(|objects| objects);
    assert_eq!(fs::read_to_string(&format).unwrap(), "3\n");
    assert!(!node.only().ordinals);
    assert_eq!(values(&node.read(&node.current()).unwrap(), "who"), ["a", "b"]);
    assert_eq!(
        node.catalog().datasets().show(&people()).unwrap().subject,
        column("who")
    );
    node.verify().unwrap();

    node.import_keyed("who,value\nc,1\n", ImportMode::Append);
    assert!(!node.only().ordinals, "the rows that stay have none");
    assert_eq!(node.subjects(), SubjectTables::none());
    assert_eq!(values(&node.read(&node.current()).unwrap(), "who"), ["a", "b", "c"]);

    node.import_keyed("who,value\nb,1\nc,1\n", ImportMode::Replace);
    assert_eq!(node.ordinals(), [Some(0), Some(1)]);
    assert_eq!(node.subjects().changed, ChangedTable::All);
}

#[test]
fn ordinals_stay_when_keys_are_rotated() {
    let node = TestNode::new();
    node.import_keyed("who,value\na,1\nb,2\n", ImportMode::Create);
    node.catalog().keys().rotate_dataset(&people(), true).unwrap();
    {
        let _within = node.runtime.enter();
        let reencryption = node.catalog().reencryption();
        assert_eq!(reencryption.run(&people(), None, &mut |_| true).unwrap().objects, 3);
    }
    node.import_keyed("who,value\nc,1\nb,2\n", ImportMode::Append);
    assert_eq!(node.ordinals(), [Some(0), Some(1), Some(2), Some(1)]);
    assert_eq!(node.collect_orphans(), 0);
    node.verify().unwrap();
}

#[test]
fn import_after_damage_of_the_registry_is_refused() {
    let node = TestNode::new();
    node.import_keyed("who,value\na,1\nb,2\n", ImportMode::Create);
    let registry = node.subjects().registry.unwrap();
    let path = node.dir.path().join("objects").join(&registry.path);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(node.verify().unwrap_err().kind(), ErrorKind::Integrity);
    let error = node
        .import(&node.keyed("who,value\nc,1\n", ImportMode::Append))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert_eq!(values(&node.read(&node.current()).unwrap(), "who"), ["a", "b"]);
}

#[test]
fn opened_version_is_a_collection_with_numbered_rows() {
    let node = TestNode::new();
    let rows: Vec<Row> = (0..9_000_u32).map(|row| (u8::try_from(row % 7).unwrap(), 1)).collect();
    let mut request = node.keyed(&csv(&rows), ImportMode::Create);
    request.rows_per_object = 8192;
    node.import(&request).unwrap();
    node.import_keyed("who,value,more\np9,1,x\n", ImportMode::Append);
    let version = node.current();
    let collection: &dyn CollectionSource = version.collection();
    assert_eq!((collection.name().as_str(), collection.version().get()), ("people", 2));
    assert_eq!(collection.subjects(), 8);
    assert_eq!(collection.datasets(), [people()]);
    let dataset = collection.dataset(&people()).unwrap();
    let ranges: Vec<(u64, u64)> = dataset
        .objects
        .iter()
        .map(|object| (object.first_row, object.rows))
        .collect();
    assert_eq!(ranges, [(0, 8192), (8192, 808), (9000, 1)]);
    assert_eq!(dataset.rows, 9001);
    assert_eq!(dataset.schema, version.schema());
    assert_eq!(dataset.stored_schema.fields().len(), dataset.schema.fields().len() + 1);
    let paths: Vec<ObjectMeta> = dataset.objects.iter().map(|object| object.meta.clone()).collect();
    assert_eq!(paths, version.objects());
    assert!(collection.dataset(&DatasetName::new("other").unwrap()).is_none());
    let grant = [7; 16];
    let own = collection.pseudonym_key(None).column_hasher("who").finalize();
    assert_ne!(
        own,
        collection.pseudonym_key(Some(&grant)).column_hasher("who").finalize()
    );
}

/// The rows of each person.
fn rows_of(rows: &[Row]) -> BTreeMap<u8, Vec<u8>> {
    let mut of: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    for (who, value) in rows {
        of.entry(*who).or_default().push(*value);
    }
    for values in of.values_mut() {
        values.sort_unstable();
    }
    of
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Ordinals are those of a list in the order of first appearance, and the changed subjects those with other rows than before.
    #[test]
    fn ordinals_and_changes_are_those_of_a_list(
        versions in prop::collection::vec((any::<bool>(), prop::collection::vec((0_u8..6, 0_u8..3), 1..12)), 1..5),
    ) {
        let node = TestNode::new();
        let mut known: Vec<u8> = Vec::new();
        let mut rows: Vec<Row> = Vec::new();
        for (number, (append, added)) in versions.iter().enumerate() {
            let before = rows.clone();
            let count = known.len();
            let mode = match (number, append) {
                (0, _) => ImportMode::Create,
                (_, true) => ImportMode::Append,
                (_, false) => ImportMode::Replace,
            };
            if mode != ImportMode::Append {
                rows.clear();
            }
            rows.extend(added);
            for who in added.iter().map(|(who, _)| *who) {
                if !known.contains(&who) {
                    known.push(who);
                }
            }
            node.import_keyed(&csv(added), mode);
            let ordinal = |who: u8| known.iter().position(|other| *other == who).map(|at| u32::try_from(at).unwrap());
            let expected: Vec<Option<u32>> = rows.iter().map(|(who, _)| ordinal(*who)).collect();
            prop_assert_eq!(node.ordinals(), expected);
            prop_assert_eq!(node.subjects().count as usize, known.len());
            let (was, is) = (rows_of(&before), rows_of(&rows));
            let mut changed: Vec<u32> = known.iter().filter(|who| was.get(who) != is.get(who)).map(|who| ordinal(*who).unwrap()).collect();
            changed.sort_unstable();
            prop_assert_eq!(node.changed(u32::try_from(count).unwrap()), changed);
            prop_assert_eq!(node.only().unowned, 0);
        }
        node.verify().unwrap();
    }
}
