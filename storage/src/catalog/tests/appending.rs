//! Rows that are added to a dataset, and what is kept of an import for the next one.

use super::*;

const MONTH: &str = "id,x,seen,note\n1,5.5,2020-01-01 10:00,a\n";

#[test]
fn narrower_values_are_appended_without_loss() {
    let node = TestNode::new();
    node.import_text(MONTH, ImportMode::Create);
    node.import_text("id,x,seen,note\n3,7,2020-02-01,0012\n4,1.50,,1.0\n", ImportMode::Append);
    let batches = node.read(&node.current()).unwrap();
    assert_eq!(values(&batches, "x"), ["5.5", "7.0", "1.5"]);
    assert_eq!(
        values(&batches, "seen"),
        ["2020-01-01T10:00:00", "2020-02-01T00:00:00", ""]
    );
    assert_eq!(values(&batches, "note"), ["a", "0012", "1.0"]);
    for (row, column) in [
        ("5.5,7,2020-02-01,b", "id"),
        ("5,7,2020-02-01T10:00Z,b", "seen"),
        ("5,9007199254740993,2020-02-01,b", "x"),
    ] {
        let request = node.request(&format!("id,x,seen,note\n{row}\n"), ImportMode::Append);
        let error = node.import(&request).unwrap_err();
        assert!(
            matches!(&error, ImportError::Columns { differences, .. } if differences.len() == 1 && differences[0].contains(column)),
            "{row}: {error}"
        );
    }
}

#[test]
fn rows_of_the_same_file_are_appended_only_on_request() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let mut request = node.request(PEOPLE, ImportMode::Append);
    request.again = false;
    let error = node.import(&request).unwrap_err();
    assert!(
        matches!(error, ImportError::Repeated { version, .. } if version == VersionNumber::FIRST),
        "{error}"
    );
    request.again = true;
    assert_eq!(node.import(&request).unwrap().repeats, Some(VersionNumber::FIRST));
    // A file that was replaced is no longer there, and replacing is not repeating.
    assert_eq!(
        node.import_text("id,name,age\n9,Dora,30\n", ImportMode::Replace)
            .repeats,
        None
    );
    let mut request = node.request(PEOPLE, ImportMode::Append);
    request.again = false;
    assert_eq!(node.import(&request).unwrap().repeats, None);
}

#[test]
fn notes_and_options_of_the_latest_import_are_kept() {
    let mut node = TestNode::new();
    let mut request = node.request("Person Id,name\n1,Zsofia Sentinel\n", ImportMode::Create);
    request.kept_options = "{\"zone\":\"UTC\"}".to_owned();
    node.import(&request).unwrap();
    node.reopen(|objects| objects);
    let latest = node.catalog().datasets().latest_import(&people()).unwrap().unwrap();
    assert_eq!(
        (latest.version, latest.options.as_str()),
        (VersionNumber::FIRST, "{\"zone\":\"UTC\"}")
    );
    assert_eq!(latest.notes, ["column `Person Id` was renamed to `person_id`"]);
    node.import_text("id\n1\n", ImportMode::Replace);
    let latest = node.catalog().datasets().latest_import(&people()).unwrap().unwrap();
    assert_eq!(
        (latest.version.get(), latest.notes.len(), latest.options.as_str()),
        (2, 0, "")
    );
    // It is erased with the dataset.
    let statement = node.signed_statement();
    assert!(node.erase(&statement));
    assert_eq!(node.catalog().datasets().imports.get("people").unwrap(), None);
    // A dataset that was imported before this was kept has none.
    node.import_text(PEOPLE, ImportMode::Create);
    node.catalog().datasets().imports.remove("people").unwrap();
    assert_eq!(node.catalog().datasets().latest_import(&people()).unwrap(), None);
}
