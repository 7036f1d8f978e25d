//! Failed imports leave nothing behind.

use std::io::Write;

use concordat_protocol::error_kind::Explain;
use concordat_protocol::schema::VersionNumber;

use super::super::datasets::manifest_key;
use super::*;
use crate::ledger::Ending;

#[test]
fn file_changed_during_import_makes_no_version() {
    let node = TestNode::new();
    // More than is prefetched.
    let rows: String = (0..200_000).map(|row| format!("{row},x,40\n")).collect();
    let mut request = node.request(&format!("id,name,age\n{rows}"), ImportMode::Create);
    request.rows_per_object = 8192;
    let path = request.source.name().to_owned();
    let mut grow = |progress| {
        if matches!(progress, Progress::Writing { rows: 8192, .. }) {
            fs::OpenOptions::new()
                .append(true)
                .open(&path)
                .unwrap()
                .write_all(b"1,y,2\n")
                .unwrap();
        }
    };
    let error = node.import_watched(&request, &mut grow).unwrap_err();
    assert!(
        matches!(error, ImportError::Ingest(IngestError::Changed { .. })),
        "{error}"
    );
    assert_eq!(node.catalog().datasets().list().unwrap(), []);
    assert_eq!(node.object_files(), Vec::<PathBuf>::new());
}

#[test]
fn import_of_an_account_that_ends_meanwhile_makes_no_version() {
    let node = TestNode::new();
    let importer = Arc::new(Ending::default());
    let mut request = node.request("id,name\n1,Anna\n", ImportMode::Create);
    request.by = Some(importer.person());
    let mut watch = |progress| {
        if progress == Progress::Committing {
            importer.end();
        }
    };
    let error = node.import_watched(&request, &mut watch).unwrap_err();
    assert!(matches!(error, ImportError::Authority(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert_eq!(node.catalog().datasets().list().unwrap(), []);
    assert_eq!(node.object_files(), Vec::<PathBuf>::new());
    request.by = Some(Arc::new(Ending::default()).person());
    node.import(&request).unwrap();
}

#[test]
fn refused_rows_stop_an_import_unless_they_may_be_left_out() {
    let node = TestNode::new();
    let mut request = node.request("id,name\n1,Anna\n2\n3,Carl\n", ImportMode::Create);
    let mut refused = Vec::new();
    let mut watch = |progress| {
        if let Progress::Refused(reject) = progress {
            refused.push(reject.line);
        }
    };
    let error = node.import_watched(&request, &mut watch).unwrap_err();
    assert!(
        matches!(error, ImportError::Ingest(IngestError::RowsRefused { count: 1, .. })),
        "{error}"
    );
    assert_eq!(refused, [3]);
    assert_eq!(
        node.catalog().datasets().show(&people()).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    request.options.refused = Refused::Skip;
    let imported = node.import(&request).unwrap();
    assert_eq!((imported.rows, imported.refused), (2, 1));
}

#[test]
fn name_is_used_once_and_must_exist_to_be_replaced() {
    let node = TestNode::new();
    let replace = node.import(&node.request(PEOPLE, ImportMode::Replace)).unwrap_err();
    assert_eq!(replace.kind(), ErrorKind::NotFound);
    node.import_text(PEOPLE, ImportMode::Create);
    let again = node.import(&node.request(PEOPLE, ImportMode::Create)).unwrap_err();
    assert!(matches!(again, ImportError::Exists { .. }), "{again}");
    let mut moved = node.request(PEOPLE, ImportMode::Replace);
    moved.segment = Some("other".parse().unwrap());
    assert!(matches!(node.import(&moved), Err(ImportError::OtherSegment { .. })));
}

#[test]
fn only_the_institution_signs() {
    let node = TestNode::new();
    let request = node.request(PEOPLE, ImportMode::Create);
    let _within = node.runtime.enter();
    let error = node.catalog().import(&request, &key(2), NOW, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ImportError::WrongSigner), "{error}");
}

#[test]
fn of_two_imports_at_once_one_wins_and_the_other_leaves_nothing() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let request = node.request(PEOPLE, ImportMode::Replace);
    let mut concurrent = |progress| {
        if progress == Progress::Committing {
            node.import(&request).unwrap();
        }
    };
    let error = node.import_watched(&request, &mut concurrent).unwrap_err();
    assert!(matches!(error, ImportError::ConcurrentChange { .. }), "{error}");
    assert_eq!(node.current().manifest().version.get(), 2);
    assert_eq!(node.object_files().len(), 2);
}

#[test]
fn orphans_are_removed_and_nothing_else() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    node.import_text(PEOPLE, ImportMode::Append);
    let live = node.object_files();
    let orphan = live[0].with_file_name("ffff.parquet");
    fs::copy(&live[0], &orphan).unwrap();
    assert_eq!(node.collect_orphans(), 1);
    assert_eq!(node.object_files(), live);

    fs::copy(&live[0], &orphan).unwrap();
    let catalog = node.catalog();
    catalog
        .0
        .datasets
        .manifests
        .remove(&manifest_key(&people(), VersionNumber::FIRST))
        .unwrap();
    let _within = node.runtime.enter();
    assert_eq!(
        catalog.maintenance().collect_orphans().unwrap_err().kind(),
        ErrorKind::Integrity
    );
    assert_eq!(node.object_files().len(), live.len() + 1);
}
