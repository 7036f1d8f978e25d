use std::fs::{self, File};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::ipc::reader::FileReader;
use concordat_documents::query::{AnswerRemark, RemarkKind};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn batch() -> RecordBatch {
    let columns: [(&str, ArrayRef); 2] = [
        ("ward", Arc::new(StringArray::from(vec![Some("onc"), None, Some("")]))),
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(2), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    // What the node knew when the answer began.
    let metadata = [(REMARKS_KEY.to_owned(), "[]".to_owned())].into();
    let schema = Schema::new_with_metadata(batch.schema().fields().clone(), metadata);
    batch.with_schema(Arc::new(schema)).unwrap()
}

fn summary() -> AnswerSummary {
    let remark = AnswerRemark {
        kind: RemarkKind::MissingCells,
        institution: Some("beta".parse().unwrap()),
        dataset: Some("wards".parse().unwrap()),
        column: None,
        cells: vec![[("ward".to_owned(), "onc".to_owned())].into()],
        text: "no part of `beta.wards` is in: ward = onc".to_owned(),
    };
    AnswerSummary {
        receipts: Vec::new(),
        notes: vec![remark.text.clone()],
        remarks: vec![remark],
    }
}

fn written(path: &Path, batches: &[RecordBatch]) -> Written {
    let mut sink = Sink::file(path, false).unwrap();
    for batch in batches {
        sink.write(batch).unwrap();
    }
    sink.finish(Some(batch().schema()), &summary()).unwrap()
}

#[test]
fn remarks_are_in_the_metadata_of_an_arrow_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.arrow");
    for batches in [&[][..], &[batch()]] {
        let written = written(&path, batches);
        let reader = FileReader::try_new(File::open(&path).unwrap(), None).unwrap();
        let remarks: Vec<AnswerRemark> = serde_json::from_str(&reader.custom_metadata()[REMARKS_KEY]).unwrap();
        assert_eq!(remarks, summary().remarks);
        assert!(!reader.schema().metadata().contains_key(REMARKS_KEY));
        let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows as u64, written.rows);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn remarks_are_in_the_metadata_of_a_parquet_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.PARQUET");
    for batches in [&[][..], &[batch()]] {
        let written = written(&path, batches);
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap();
        let found: Vec<_> = pairs.iter().filter(|pair| pair.key == REMARKS_KEY).collect();
        let [pair] = found[..] else { panic!("{pairs:?}") };
        let remarks: Vec<AnswerRemark> = serde_json::from_str(pair.value.as_ref().unwrap()).unwrap();
        assert_eq!(remarks, summary().remarks);
        let rows: usize = reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows as u64, written.rows);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn files_of_text_have_their_rows_and_a_file_of_remarks() {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("a.csv");
    let notes = written(&csv, &[batch()]).notes;
    assert_eq!(fs::read_to_string(&csv).unwrap(), "ward,n\nonc,1\n,2\n\"\",\n");
    assert!(notes[0].contains("a.csv.remarks.json"), "{notes:?}");
    let lines = dir.path().join("a.ndjson");
    written(&lines, &[batch()]);
    let text = fs::read_to_string(&lines).unwrap();
    let second: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second, serde_json::json!({ "ward": null, "n": 2 }));
    for file in ["a.csv.remarks.json", "a.ndjson.remarks.json"] {
        let text = fs::read_to_string(dir.path().join(file)).unwrap();
        let remarks: Vec<AnswerRemark> = serde_json::from_str(&text).unwrap();
        assert_eq!(remarks, summary().remarks);
    }
}

#[test]
fn answer_that_ends_early_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    for ending in ["csv", "ndjson", "arrow", "parquet"] {
        let path = dir.path().join(format!("a.{ending}"));
        let mut sink = Sink::file(&path, false).unwrap();
        sink.write(&batch()).unwrap();
        sink.abandon().unwrap();
        let mut sink = Sink::file(&path, false).unwrap();
        sink.write(&batch()).unwrap();
        drop(sink);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{ending}");
    }
}

#[test]
fn target_that_cannot_be_written_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("folder.csv")).unwrap();
    fs::create_dir(dir.path().join("a.csv.remarks.json")).unwrap();
    let long = format!("{}.csv", "a".repeat(300));
    for (name, expected) in [
        ("a.csv.gz", "would be a compressed file"),
        ("a.json", "format of"),
        ("a", "format of"),
        (".csv", "format of"),
        ("none/a.csv", "there is no folder"),
        ("folder.csv", "not a regular file"),
        ("new.csv/", "is not a file name"),
        ("a.csv", "not a regular file"),
        (&long, "cannot write"),
        ("/proc/a.csv", "cannot write into"),
    ] {
        let problem = Sink::file(&dir.path().join(name), false).unwrap_err();
        assert_eq!(problem.exit_code(), 2, "{name}");
        assert!(problem.detail.contains(expected), "{name}: {problem:?}");
    }
    for name in ["a.parquet", "a.arrow", "a.ndjson"] {
        assert_eq!(Sink::file(&dir.path().join(name), true).unwrap_err(), only_csv());
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}
