//! Real files, if the shared data folder is available.

use std::path::Path;

use concordat_protocol::schema::ColumnKind;

use super::*;

fn shared(file: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned();
    let folder = std::env::var("CONCORDAT_SHARED_DATA").unwrap_or(default);
    let path = Path::new(&folder).join(file);
    if !path.exists() {
        eprintln!("skipped: `{file}` is not in `{folder}`; set CONCORDAT_SHARED_DATA to the shared data folder");
        return None;
    }
    Some(path)
}

fn import_file(path: &Path) -> (Inspection, Vec<RecordBatch>) {
    let source = Source::at_path(path);
    let inspection = infer_schema(&source, &TableOptions::default()).unwrap();
    let batches = batches(&source, &inspection)
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    assert_eq!(
        batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64,
        inspection.rows()
    );
    (inspection, batches)
}

#[test]
fn two_hospitals_of_the_heart_study() {
    for (hospital, rows, missing_ca) in [("cleveland", 303, 0), ("hungarian", 294, 291)] {
        let Some(path) = shared(&format!("uci-heart-4-hospitals/processed.{hospital}.data")) else {
            return;
        };
        let (inspection, _) = import_file(&path);
        assert_eq!(
            (
                inspection.rows(),
                inspection.columns().len(),
                inspection.rejects().count()
            ),
            (rows, 14, 0)
        );
        assert_eq!(
            (names(&inspection)[0], inspection.subject()),
            ("age", &Subject::Assigned)
        );
        assert!(
            kinds(&inspection)
                .iter()
                .all(|kind| matches!(kind, ColumnKind::Int | ColumnKind::Float))
        );
        let ca = inspection.columns().iter().find(|column| column.name == "ca").unwrap();
        assert_eq!(ca.missing, missing_ca, "{hospital}");
    }
}

#[test]
fn tables_of_a_clinical_data_model() {
    for (table, rows) in [
        ("person", 2694),
        ("drug_exposure", 67_707),
        ("concept", 444),
        ("care_site", 0),
    ] {
        let Some(path) = shared(&format!("omop-gibleed-5.3/{table}.csv.gz")) else {
            return;
        };
        let (inspection, _) = import_file(&path);
        assert_eq!(
            (inspection.rows(), inspection.has_header(), inspection.rejects().count()),
            (rows, Some(true), 0),
            "{table}"
        );
    }
}

#[test]
fn persons_of_a_clinical_data_model_are_proposed() {
    for table in ["measurement", "condition_occurrence", "drug_exposure"] {
        let Some(path) = shared(&format!("omop-gibleed-5.3/{table}.csv.gz")) else {
            return;
        };
        let (inspection, _) = import_file(&path);
        let proposed = inspection.notes().iter().find_map(|note| {
            let Note::Repeats { column } = note else { return None };
            Some(column.to_lowercase())
        });
        assert_eq!(proposed.as_deref(), Some("person_id"), "{table}");
    }
}

#[test]
fn every_table_of_the_shared_folder_is_read() {
    let Some(folder) = shared("omop-gibleed-5.3") else {
        return;
    };
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "gz") {
            let (inspection, _) = import_file(&path);
            assert_eq!(inspection.rejects().count(), 0, "{}", path.display());
        }
    }
}
