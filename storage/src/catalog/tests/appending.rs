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

/// Kind and emptiness of a column of the current version.
fn described(node: &TestNode, name: &str) -> (ColumnKind, bool) {
    let version = node.current();
    let found = version.manifest().column(&column(name)).unwrap();
    (found.kind, found.empty)
}

#[test]
fn column_without_values_takes_the_type_of_the_first_ones() {
    for (values, kind) in [
        ("5", ColumnKind::Int),
        ("5.5", ColumnKind::Float),
        ("true", ColumnKind::Boolean),
        ("2020-01-31", ColumnKind::Date),
        ("2020-01-31 10:00", ColumnKind::Timestamp),
        ("2020-01-31T10:00Z", ColumnKind::TimestampUtc),
        ("low", ColumnKind::Text),
    ] {
        let node = TestNode::new();
        let first = node.import_text("pid,ldl\n1,NA\n2,\n", ImportMode::Create);
        let untyped = Note::NoValues {
            column: "ldl".to_owned(),
            typed: false,
        };
        assert_eq!(first.notes, std::slice::from_ref(&untyped));
        assert_eq!(described(&node, "ldl"), (ColumnKind::Text, true));
        // No value is no type.
        assert_eq!(node.import_text("pid,ldl\n3,\n", ImportMode::Append).notes, [untyped]);
        assert_eq!(described(&node, "ldl"), (ColumnKind::Text, true));

        let next = node.import_text(&format!("pid,ldl\n4,{values}\n"), ImportMode::Append);
        let typed = Note::FirstValues {
            column: "ldl".to_owned(),
            kind,
        };
        assert_eq!(next.notes, [typed]);
        assert_eq!(described(&node, "ldl"), (kind, false), "{values}");
        let latest = node.catalog().datasets().latest_import(&people()).unwrap().unwrap();
        assert!(latest.notes[0].contains(kind.label()), "{:?}", latest.notes);
        // The type stays, and a delivery without a value does not unset it.
        let blank = node.import_text("pid,ldl\n5,\n", ImportMode::Append);
        let typed = Note::NoValues {
            column: "ldl".to_owned(),
            typed: true,
        };
        assert_eq!(blank.notes, [typed]);
        assert_eq!(described(&node, "ldl"), (kind, false));
        let read = values_of(&node, "ldl");
        assert_eq!((read.len(), read[..3].concat()), (5, String::new()));
        assert!(!read[3].is_empty(), "{read:?}");
        // The first version is as it was.
        let old = node
            .catalog()
            .open_version(&people(), Some(VersionNumber::FIRST))
            .unwrap();
        assert_eq!(old.manifest().column(&column("ldl")).unwrap().kind, ColumnKind::Text);
    }
}

/// The values of a column in the current version, a missing one as empty text.
fn values_of(node: &TestNode, name: &str) -> Vec<String> {
    values(&node.read(&node.current()).unwrap(), name)
}

#[test]
fn column_whose_type_was_stated_keeps_it_without_values() {
    let node = TestNode::new();
    let mut request = node.request("pid,ldl\n1,\n", ImportMode::Create);
    request.options.kinds = vec![("ldl".to_owned(), ColumnKind::Float)];
    node.import(&request).unwrap();
    assert_eq!(described(&node, "ldl"), (ColumnKind::Float, true));
    assert_eq!(node.import_text("pid,ldl\n2,5\n", ImportMode::Append).notes, []);
    assert_eq!(described(&node, "ldl"), (ColumnKind::Float, false));
    assert_eq!(values_of(&node, "ldl"), ["", "5.0"]);

    // Text is stated with every delivery, as the options that are kept do.
    let mut request = node.request("pid,code\n1,\n", ImportMode::Replace);
    request.options.text_columns = vec!["code".to_owned()];
    node.import(&request).unwrap();
    let mut request = node.request("pid,code\n2,7\n", ImportMode::Append);
    request.options.text_columns = vec!["code".to_owned()];
    node.import(&request).unwrap();
    assert_eq!(described(&node, "code"), (ColumnKind::Text, false));
}

#[test]
fn column_of_a_file_without_rows_takes_the_type_of_the_first() {
    let node = TestNode::new();
    node.import_text("pid,ldl\n", ImportMode::Create);
    assert_eq!(described(&node, "pid"), (ColumnKind::Text, true));
    node.import_text("pid,ldl\n1,5.5\n", ImportMode::Append);
    assert_eq!(described(&node, "pid"), (ColumnKind::Int, false));
    assert_eq!(described(&node, "ldl"), (ColumnKind::Float, false));
    assert_eq!(values_of(&node, "ldl"), ["5.5"]);
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
fn what_a_replacement_lacks_is_noted() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let replace = |text: &str| {
        let notes = node.import_text(text, ImportMode::Replace).notes.into_iter();
        let is_loss = |note: &Note| matches!(note, Note::RemovedColumns { .. } | Note::FewerRows { .. });
        notes.filter(is_loss).collect::<Vec<_>>()
    };
    assert_eq!(replace(PEOPLE), []);
    let columns = Note::RemovedColumns {
        columns: vec!["name".to_owned()],
    };
    assert_eq!(replace("id,age\n1,41\n2,52\n3,60\n"), [columns]);
    let rows = replace("id,age\n9,41\n");
    assert_eq!(rows, [Note::FewerRows { before: 3, now: 1 }]);
    assert!(rows[0].to_string().contains("has 1 rows") && rows[0].needs_attention());
    assert_eq!(replace("id,age\n"), [Note::FewerRows { before: 1, now: 0 }]);
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
        (2, 1, "")
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
