//! Names, options and notes of an import.

use super::*;

#[test]
fn template_is_a_name_or_a_file() {
    assert_eq!(
        template("omop-5.3").unwrap(),
        TemplateChoice::Shipped("omop-5.3".to_owned())
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    std::fs::write(&path, "template = 1\n").unwrap();
    let found = template(path.to_str().unwrap()).unwrap();
    assert_eq!(found, TemplateChoice::Text("template = 1\n".to_owned()));
    for missing in ["mine.toml", "./mine"] {
        assert!(template(missing).is_err(), "{missing}");
    }
}

#[test]
fn options_are_those_of_datasets() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("options.toml");
    std::fs::write(&path, "[person]\ndelimiter = \";\"\n\n[visit]\ndecimal = \"comma\"\n").unwrap();
    let found = options(&path).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(
        found[&DatasetName::new("person").unwrap()].delimiter.as_deref(),
        Some(";")
    );
    for wrong in ["delimiter = \";\"\n", "[person]\ndelimeter = \";\"\n", "[Person]\n"] {
        std::fs::write(&path, wrong).unwrap();
        assert_eq!(options(&path).unwrap_err().code, ErrorKind::Usage, "{wrong}");
    }
}

#[test]
fn written_options_are_read_below_their_dataset() {
    let written: ReadingOptions = serde_json::from_str(
        r#"{"delimiter":";","types":{"age":"text"},"rename":{"Pat. Nr":"patient"},"columns":{"a b":{"decimal":"comma"}}}"#,
    )
    .unwrap();
    let text = toml::to_string(&written).unwrap();
    assert!(text.contains("[rename]"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("options.toml");
    std::fs::write(&path, format!("[person]\n{text}\n[visit] # the same\n{text}")).unwrap();
    let found = options(&path).unwrap();
    for dataset in ["person", "visit"] {
        assert_eq!(found[&DatasetName::new(dataset).unwrap()], written, "{dataset}");
    }
    // A dataset may have such a name.
    std::fs::write(&path, "[person]\ndelimiter = \";\"\n[types]\ndelimiter = \",\"\n").unwrap();
    let found = options(&path).unwrap();
    assert_eq!(
        found[&DatasetName::new("types").unwrap()].delimiter.as_deref(),
        Some(",")
    );
    std::fs::write(&path, format!("[person]\n{text}\n[visit]\ndelimeter = \";\"\n")).unwrap();
    assert!(options(&path).unwrap_err().detail.contains("delimeter"));
}

#[test]
fn notes_are_named_by_their_datasets() {
    let dataset = |name: &str, notes: &[&str]| concordat_documents::collection::ImportedDataset {
        dataset: DatasetName::new(name).unwrap(),
        rows: 1,
        total_rows: 1,
        refused: 0,
        unowned: 0,
        notes: notes.iter().map(ToString::to_string).collect(),
    };
    let imported = CollectionImported {
        collection: CollectionName::new("omop").unwrap(),
        version: concordat_protocol::schema::VersionNumber::FIRST,
        rows: 2,
        refused: 0,
        subjects: 1,
        datasets: vec![dataset("person", &["no row has an owner"]), dataset("visit", &[])],
        removed: vec![RemovedDataset {
            dataset: DatasetName::new("note").unwrap(),
            rows: 7,
        }],
        left_out: Vec::new(),
        more_left_out: 0,
        unclassified: 0,
        withheld: Vec::new(),
        withdrawn: false,
    };
    assert_eq!(notes(&imported), ["person: no row has an owner"]);
    let removed = removed_note(&imported.removed[0]);
    assert!(removed.contains("`note`") && removed.contains("7 rows"), "{removed}");
    assert!(withdrawn_note(&imported).contains("concordat collection publish omop"));
    let unclassified = CollectionImported {
        unclassified: 1,
        ..imported
    };
    assert!(withdrawn_note(&unclassified).contains("classify its new columns"));
}
