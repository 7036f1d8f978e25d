//! A disk that fails once, at each possible operation: the first write, the second, and so on until nothing fails.

use concordat_protocol::error_kind::Explain;
use concordat_protocol::{ids::InstitutionId, schema::VersionNumber, text::Reason};

use super::*;
use crate::fault_injection::{FaultyStore, InjectedFaults, Outcome};

const MANY_ROWS: u64 = 9_000;
/// More reads or writes than any of these operations makes; if this is reached, something never ends.
const MAX_OPERATIONS: u64 = 200;

/// A node with one version of three rows, over a store with fault injection.
fn node() -> (TestNode, Arc<InjectedFaults>) {
    let mut node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let faults = Arc::<InjectedFaults>::default();
    let layer = Arc::clone(&faults);
    node.reopen(move |inner| Arc::new(FaultyStore::new(inner, layer)));
    (node, faults)
}

/// A file that is stored as two objects.
fn large(node: &TestNode, mode: ImportMode) -> ImportRequest {
    let rows: String = (0..MANY_ROWS).map(|row| format!("{row},name {row},40\n")).collect();
    ImportRequest {
        rows_per_object: 8192,
        ..node.request(&format!("id,name,age\n{rows}"), mode)
    }
}

/// Does `work` in a new node for each write that can fail, either not done or done and not reported. Then `check` gets
/// each node, without further failures, and whether the work succeeded.
fn at_every_write<E: std::fmt::Display>(
    prepare: impl Fn(&TestNode),
    work: impl Fn(&TestNode) -> Result<(), E>,
    kind: impl Fn(&E) -> ErrorKind,
    check: impl Fn(&TestNode, bool),
) -> u64 {
    let mut failed = 0;
    for outcome in [Outcome::NotDone, Outcome::Unreported] {
        let mut ended = false;
        for number in 1..MAX_OPERATIONS {
            let (node, faults) = node();
            prepare(&node);
            faults.at_write(number, outcome);
            let done = work(&node);
            ended = !faults.end();
            if let Err(error) = &done {
                assert_eq!(kind(error), ErrorKind::Internal, "write {number} {outcome:?}: {error}");
                failed += 1;
            }
            assert_eq!(
                faults.open_uploads(),
                0,
                "write {number} {outcome:?}: an upload was left open"
            );
            check(&node, done.is_ok());
            node.check_no_orphans();
            if ended {
                assert!(done.is_ok(), "no write failed, but the work did");
                break;
            }
        }
        assert!(ended, "the work never ended");
    }
    failed
}

impl TestNode {
    fn current_ids(&self) -> Vec<String> {
        values(&self.read(&self.current()).unwrap(), "id")
    }

    /// Removes orphans, and checks that the remaining objects are those that the catalog names, and intact.
    fn check_no_orphans(&self) {
        self.collect_orphans();
        let live = self.catalog().0.objects.live_paths().unwrap();
        let files = self.object_files();
        assert_eq!(files.len(), live.len(), "{files:?} for {live:?}");
        if self.catalog().datasets().show(&people()).is_ok() {
            self.verify().unwrap();
        }
    }
}

#[test]
fn import_failing_at_any_write_keeps_the_old_version() {
    for (mode, rows) in [(ImportMode::Append, MANY_ROWS + 3), (ImportMode::Replace, MANY_ROWS)] {
        let failed = at_every_write(
            |_| {},
            |node| node.import(&large(node, mode)).map(drop),
            ImportError::kind,
            |node, done| {
                if !done {
                    assert_eq!(node.current().manifest().version, VersionNumber::FIRST);
                    assert_eq!(node.current_ids(), ["1", "2", "3"]);
                    assert_eq!(node.object_files().len(), 1, "no object of it remained");
                    node.import(&large(node, mode)).unwrap();
                }
                assert_eq!(node.current().manifest().version.get(), 2);
                assert_eq!(node.current_ids().len() as u64, rows);
            },
        );
        assert!(failed >= 12, "{failed} writes failed");
    }
}

#[test]
fn keyed_import_failing_at_any_write_keeps_its_subjects() {
    let keyed = |node: &TestNode, contents: &str, mode: ImportMode| {
        let mut request = node.request(contents, mode);
        request.options.subject = SubjectRule::Column("name".to_owned());
        node.import(&request)
    };
    let subjects = |node: &TestNode| node.current().collection().manifest().subjects().clone();
    let append = |node: &TestNode| keyed(node, "id,name,age\n7,Anna,4\n8,Carl,5\n", ImportMode::Append).map(drop);
    let failed = at_every_write(
        |node| drop(keyed(node, "id,name,age\n1,Anna,3\n2,Bela,3\n", ImportMode::Replace).unwrap()),
        append,
        ImportError::kind,
        |node, done| {
            if !done {
                assert_eq!(node.current().manifest().version.get(), 2);
                assert_eq!(subjects(node).count, 2);
                append(node).unwrap();
            }
            let version = node.current();
            assert_eq!(version.manifest().version.get(), 3);
            let batches = node.read_stored(&version).unwrap();
            assert_eq!(values(&batches, ORDINAL_COLUMN), ["0", "1", "0", "2"]);
            assert!(matches!(subjects(node).changed, ChangedTable::Listed(object) if object.rows == 2));
        },
    );
    assert!(failed >= 16, "{failed} writes failed");
}

#[test]
fn index_failing_at_any_write_keeps_the_version() {
    let prepare = |node: &TestNode| {
        let mut request = node.request("id,name,age\n1,Anna,3\n2,Bela,3\n3,Anna,4\n", ImportMode::Replace);
        request.options.subject = SubjectRule::Column("name".to_owned());
        node.import(&request).unwrap();
        node.sign_as_format_2();
        node.collect_orphans();
    };
    let failed = at_every_write(
        prepare,
        |node| node.index().map(drop),
        ImportError::kind,
        |node, done| {
            if !done {
                assert_eq!(node.current().manifest().version.get(), 2);
                assert!(!node.current().has_ordinals());
                assert_eq!(node.object_files().len(), 2, "no object of it remained");
                node.index().unwrap();
            }
            assert_eq!(node.current().manifest().version.get(), 3);
            assert_eq!(node.ordinals(), [Some(0), Some(1), Some(0)]);
            assert_eq!(node.current_ids(), ["1", "2", "3"]);
        },
    );
    assert!(failed >= 10, "{failed} writes failed");
}

#[test]
fn collection_failing_at_any_write_keeps_all_of_its_datasets() {
    let name = |text: &str| DatasetName::new(text).unwrap();
    for mode in [ImportMode::Append, ImportMode::Replace] {
        let versions = |node: &TestNode| {
            let opened = node.clinic();
            let rows = |text: &str| opened.dataset(&name(text)).map(|dataset| dataset.rows);
            (opened.manifest().version().get(), rows("person"), rows("visit"))
        };
        let work = |node: &TestNode| node.import_parts(node.two_parts(), mode).map(drop);
        let failed = at_every_write(
            |node| drop(node.import_parts(node.two_parts(), ImportMode::Create).unwrap()),
            work,
            ImportError::kind,
            |node, done| {
                if !done {
                    assert_eq!(versions(node), (1, Some(2), Some(1)));
                    assert_eq!(node.owners_of("visit"), [Some(1)]);
                    work(node).unwrap();
                }
                let times = if mode == ImportMode::Append { 2 } else { 1 };
                assert_eq!(versions(node), (2, Some(2 * times), Some(times)));
            },
        );
        assert!(failed >= 20, "{failed} writes failed");
    }
}

#[test]
fn new_version_stands_if_the_old_one_cannot_be_removed() {
    at_every_write(
        |node| {
            node.retain(1);
        },
        |node| {
            let imported = node.import(&node.request("id,name,age\n9,Ida,20\n", ImportMode::Replace));
            imported.map(|_| drop(node.trim()))
        },
        ImportError::kind,
        |node, done| {
            let expected: &[&str] = if done { &["9"] } else { &["1", "2", "3"] };
            assert_eq!(node.current_ids(), expected);
        },
    );
}

#[test]
fn reencryption_failing_at_any_write_can_be_repeated() {
    let reencrypt = |node: &TestNode| {
        let _within = node.runtime.enter();
        node.catalog()
            .reencryption()
            .run(&people(), None, &mut |_| true)
            .map(drop)
    };
    let failed = at_every_write(
        |node| {
            node.import_text("id,name,age\n4,Dora,33\n", ImportMode::Append);
            node.catalog().keys().rotate_dataset(&people(), true).unwrap();
        },
        reencrypt,
        CatalogError::kind,
        |node, done| {
            assert_eq!(node.current_ids(), ["1", "2", "3", "4"]);
            assert_eq!(node.catalog().reencryption().pending().unwrap().is_empty(), done);
            reencrypt(node).unwrap();
            assert_eq!(node.catalog().reencryption().pending().unwrap(), []);
            assert_eq!(node.current_ids(), ["1", "2", "3", "4"]);
        },
    );
    assert!(failed >= 6, "{failed} writes failed");
}

#[test]
fn erasure_is_done_even_if_objects_cannot_be_removed() {
    let order = || ErasureOrder {
        institution: InstitutionId::new("budapest").unwrap(),
        by: None,
        reason: Reason::new("the study ended").unwrap(),
        at: NOW,
    };
    at_every_write(
        |node| drop(node.import_text("id,name,age\n4,Dora,33\n", ImportMode::Append)),
        |node| {
            let _within = node.runtime.enter();
            let statement = node.catalog().erasures().sign_statement(&people(), order(), &key(1))?;
            assert!(node.catalog().erasures().erase(&statement)?);
            Ok(())
        },
        CatalogError::kind,
        |node, done| {
            assert!(done, "its keys are destroyed, so it is erased");
            assert_eq!(
                node.catalog().datasets().show(&people()).unwrap_err().kind(),
                ErrorKind::NotFound
            );
            node.collect_orphans();
            assert_eq!(node.object_files(), Vec::<PathBuf>::new());
        },
    );
}

#[test]
fn failing_read_ends_check_or_is_repeated() {
    let (node, faults) = node();
    node.import(&large(&node, ImportMode::Append)).unwrap();
    for (outcome, expected) in [
        (Outcome::NotDone, ErrorKind::Internal),
        (Outcome::Short, ErrorKind::Integrity),
    ] {
        for number in 1..MAX_OPERATIONS {
            faults.at_read(number, outcome);
            let checked = node.verify();
            match (faults.end(), checked) {
                (true, Err(error)) => assert!([expected, ErrorKind::Internal].contains(&error.kind()), "{error}"),
                // The failed read was repeated, and the object is intact.
                (true, Ok(checked)) => assert_eq!(checked.objects, 4, "read {number} {outcome:?}"),
                (false, checked) => {
                    assert_eq!(checked.unwrap().objects, 4);
                    break;
                }
            }
        }
    }
}
