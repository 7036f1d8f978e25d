//! Real files, if the shared data folder is available.

use super::*;

fn shared(file: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned();
    let folder = std::env::var("CONCORDAT_SHARED_DATA").unwrap_or(default);
    let path = FsPath::new(&folder).join(file);
    if !path.exists() {
        eprintln!("skipped: `{file}` is not in `{folder}`; set CONCORDAT_SHARED_DATA to the shared data folder");
        return None;
    }
    Some(path)
}

#[test]
fn hospitals_and_clinical_tables_arrive_whole() {
    for (file, subject, rows) in [
        ("uci-heart-4-hospitals/processed.cleveland.data", None, 303),
        ("uci-heart-4-hospitals/processed.hungarian.data", None, 294),
        ("omop-gibleed-5.3/person.csv.gz", Some("PERSON_ID"), 2694),
        ("omop-gibleed-5.3/drug_exposure.csv.gz", None, 67_707),
        ("omop-gibleed-5.3/care_site.csv.gz", None, 0),
    ] {
        let Some(path) = shared(file) else { return };
        let node = TestNode::new();
        let mut request = ImportRequest::new(people(), Source::at_path(path));
        request.options.subject = subject.map_or(SubjectRule::EachRow, |column| SubjectRule::Column(column.to_owned()));
        let imported = node.import(&request).unwrap();
        assert_eq!((imported.total_rows, imported.refused), (rows, 0), "{file}");
        let version = node.current();
        let batches = node.read(&version).unwrap();
        assert_eq!(
            batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64,
            rows,
            "{file}"
        );
        assert!(
            batches
                .iter()
                .all(|batch| batch.schema().fields() == version.schema().fields())
        );
        node.verify().unwrap();
    }
}
