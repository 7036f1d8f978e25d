//! Datasets whose rows were imported before subjects had ordinals, and get them.

use proptest::prelude::*;

use super::{
    ordinals::{Row, csv},
    *,
};
use crate::ledger::Ending;

const FIRST: &str = "who,value\na,1\nb,2\n";
/// Without a value in one column, and with a column that the first rows do not have.
const SECOND: &str = "who,value,more\na,,x\n";

impl TestNode {
    pub(super) fn index(&self) -> Result<Imported, ImportError> {
        self.index_watched(&mut |_| {})
    }

    fn index_watched(&self, watch: &mut dyn FnMut(Progress)) -> Result<Imported, ImportError> {
        let _within = self.runtime.enter();
        self.catalog().index(&people(), None, (&key(1), NOW), watch)
    }

    /// A version of format 2, to which rows were added.
    fn without_ordinals() -> Self {
        let node = Self::new();
        node.import_keyed(FIRST, ImportMode::Create);
        node.sign_as_format_2();
        node.import_keyed(SECOND, ImportMode::Append);
        assert!(!node.current().has_ordinals());
        node
    }
}

#[test]
fn index_numbers_the_subjects_of_the_same_rows() {
    let node = TestNode::without_ordinals();
    let before = node.current();
    let latest = node.catalog().datasets().latest_import(&people()).unwrap().unwrap();
    let done = node.index().unwrap();
    assert_eq!((done.version.get(), done.rows, done.total_rows), (3, 3, 3));
    assert_eq!((done.refused, done.is_withdrawn()), (0, false));
    let after = node.current();
    assert_eq!(done.manifest, after.manifest_digest());
    assert!(after.has_ordinals());
    assert_eq!(node.ordinals(), [Some(0), Some(1), Some(0)]);
    let rows = node.read(&after).unwrap();
    assert_eq!(values(&rows, "who"), ["a", "b", "a"]);
    assert_eq!(values(&rows, "value"), ["1", "2", ""]);
    assert_eq!(values(&rows, "more"), ["", "", "x"]);
    assert_eq!(after.schema(), before.schema());
    assert_eq!(after.manifest().provenance, before.manifest().provenance);
    assert_eq!((node.subjects().count, node.subjects().changed), (2, ChangedTable::All));
    let kept = node.catalog().datasets().latest_import(&people()).unwrap().unwrap();
    assert_eq!((&kept.notes, &kept.options), (&latest.notes, &latest.options));
    node.verify().unwrap();

    node.import_keyed("who,value,more\nc,3,y\nb,4,y\n", ImportMode::Append);
    assert_eq!(node.ordinals(), [Some(0), Some(1), Some(0), Some(2), Some(1)]);
}

#[test]
fn index_keeps_what_was_decided_about_the_dataset() {
    let node = TestNode::without_ordinals();
    let datasets = node.catalog().datasets();
    let classes = ["who", "value", "more"].map(|name| (column(name), ColumnClass::Ordinary));
    datasets.classify(&people(), &classes.into_iter().collect()).unwrap();
    datasets.publish(&people()).unwrap();
    node.retain(5);
    let before = datasets.show(&people()).unwrap();
    node.index().unwrap();
    let after = datasets.show(&people()).unwrap();
    let expected = DatasetRecord {
        current: VersionNumber::new(3),
        ..before
    };
    assert_eq!(after, expected);
}

#[test]
fn rows_that_are_subjects_are_numbered_as_they_were() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.sign_as_format_2();
    node.import_text("id,name,age\n4,Dora,33\n", ImportMode::Append);
    node.index().unwrap();
    assert_eq!(node.ordinals(), [Some(0), Some(1), Some(2), Some(3)]);
    let rows = node.read(&node.current()).unwrap();
    assert_eq!(values(&rows, SUBJECT_COLUMN), ["1", "2", "3", "4"]);
    assert_eq!(node.subjects().registry, None);
    node.import_text("id,name,age\n5,Ede,34\n", ImportMode::Append);
    assert_eq!(node.ordinals().last(), Some(&Some(4)));
}

#[test]
fn numbered_subjects_are_not_numbered_again() {
    let node = TestNode::new();
    assert_eq!(node.index().unwrap_err().kind(), ErrorKind::NotFound);
    node.import_keyed(FIRST, ImportMode::Create);
    let error = node.index().unwrap_err();
    assert!(matches!(error, ImportError::Indexed { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Usage);

    node.import_parts(node.two_parts(), ImportMode::Create).unwrap();
    let _within = node.runtime.enter();
    let clinic = DatasetName::new("clinic").unwrap();
    let error = node.catalog().index(&clinic, None, (&key(1), NOW), &mut |_| {});
    assert!(matches!(error, Err(ImportError::Indexed { .. })), "{error:?}");
}

#[test]
fn file_is_recognized_after_an_index() {
    let node = TestNode::without_ordinals();
    node.index().unwrap();
    let request = ImportRequest {
        again: false,
        ..node.keyed(SECOND, ImportMode::Append)
    };
    let refused = node.import(&request).unwrap_err();
    assert!(
        matches!(&refused, ImportError::Repeated { version, .. } if version.get() == 2),
        "{refused}"
    );
    let replaced = ImportRequest {
        mode: ImportMode::Replace,
        ..request.clone()
    };
    node.import(&replaced).unwrap();
    assert_eq!(
        node.import_keyed("who,value,more\nd,1,z\n", ImportMode::Append).repeats,
        None
    );
}

#[test]
fn index_of_damaged_rows_is_refused() {
    let node = TestNode::without_ordinals();
    for object in node.only().objects {
        let path = node.dir.path().join("objects").join(&object.path);
        let intact = fs::read(&path).unwrap();
        let mut bytes = intact.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = node.index().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
        fs::write(&path, intact).unwrap();
    }
    assert_eq!(node.current().manifest().version.get(), 2);
    node.index().unwrap();
}

#[test]
fn dataset_changed_during_its_index_is_kept() {
    let node = TestNode::without_ordinals();
    let mut meanwhile = |progress| {
        if progress == Progress::Committing {
            node.import_keyed("who,value,more\nc,3,z\n", ImportMode::Append);
        }
    };
    let result = node.index_watched(&mut meanwhile);
    assert!(
        matches!(result, Err(ImportError::ConcurrentChange { .. })),
        "{result:?}"
    );
    assert_eq!(
        values(&node.read(&node.current()).unwrap(), "who"),
        ["a", "b", "a", "c"]
    );
    node.collect_orphans();
    node.index().unwrap();
    assert_eq!(node.ordinals(), [Some(0), Some(1), Some(0), Some(2)]);
}

#[test]
fn index_of_an_account_that_ends_meanwhile_makes_no_version() {
    let node = TestNode::without_ordinals();
    let files = node.object_files();
    let importer = Arc::new(Ending::default());
    let mut watch = |progress| {
        if progress == Progress::Committing {
            importer.end();
        }
    };
    let within = node.runtime.enter();
    let by = importer.person();
    let result = node.catalog().index(&people(), Some(&by), (&key(1), NOW), &mut watch);
    drop(within);
    assert!(matches!(result, Err(ImportError::Authority(_))), "{result:?}");
    assert!(!node.current().has_ordinals());
    assert_eq!(node.object_files(), files);
    node.index().unwrap();
}

#[test]
fn erased_dataset_leaves_nothing_of_its_index() {
    let node = TestNode::without_ordinals();
    node.index().unwrap();
    let statement = node.signed_statement();
    assert!(node.erase(&statement));
    assert_eq!(node.object_files(), Vec::<PathBuf>::new());
    let datasets = node.catalog().datasets();
    assert_eq!(datasets.manifests.iter().unwrap().len(), 0);
    assert_eq!(datasets.imports.iter().unwrap().len(), 0);
    assert_eq!(node.index().unwrap_err().kind(), ErrorKind::NotFound);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The numbers are those that the same imports give now.
    #[test]
    fn index_numbers_as_imports_do(
        files in prop::collection::vec(prop::collection::vec((0_u8..6, 0_u8..3), 1..12), 1..4),
        rows_per_object in 1_u64..5,
    ) {
        let import = |node: &TestNode, number: usize, rows: &[Row]| {
            let mode = if number == 0 { ImportMode::Create } else { ImportMode::Append };
            let request = ImportRequest { rows_per_object, ..node.keyed(&csv(rows), mode) };
            node.import(&request).unwrap();
        };
        let (older, newer) = (TestNode::new(), TestNode::new());
        for (number, rows) in files.iter().enumerate() {
            import(&older, number, rows);
            older.sign_as_format_2();
            import(&newer, number, rows);
        }
        older.index().unwrap();
        prop_assert_eq!(older.ordinals(), newer.ordinals());
        prop_assert_eq!(older.subjects().count, newer.subjects().count);
        prop_assert_eq!(older.only().kind, newer.only().kind);
        prop_assert_eq!(older.only().rows, newer.only().rows);
        older.verify().unwrap();
    }
}
