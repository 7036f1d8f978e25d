//! The import from the perspective of a caller.

use std::{fs, io::Write, path::PathBuf};

use arrow::{array::RecordBatch, util::display::array_value_to_string};
use concordat_protocol::error_kind::Explain;
use concordat_protocol::schema::ColumnKind;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{block::BLOCK_ROWS, *};

mod compressed;
mod digits;
pub(super) mod formats;
mod layouts;
mod meaning;
mod people;
mod real;
mod subjects;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join("x.csv");
        fs::write(&path, bytes).unwrap();
        path
    }
}

fn inspect(bytes: impl AsRef<[u8]>, options: &TableOptions) -> Result<Inspection, IngestError> {
    infer_schema(&Source::at_path(Folder::new().file(bytes)), options)
}

fn kinds(inspection: &Inspection) -> Vec<ColumnKind> {
    inspection.columns().iter().map(|column| column.kind).collect()
}

fn names(inspection: &Inspection) -> Vec<&str> {
    inspection.columns().iter().map(|column| column.name.as_str()).collect()
}

/// All cells by row, without the assigned subject; a null is `None`.
pub(super) fn cells(batches: &[RecordBatch]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for batch in batches {
        let from = usize::from(batch.schema().field(0).name() == SUBJECT_COLUMN);
        for row in 0..batch.num_rows() {
            let cell = |column: &arrow::array::ArrayRef| {
                (!column.is_null(row)).then(|| array_value_to_string(column, row).unwrap())
            };
            rows.push(batch.columns()[from..].iter().map(cell).collect());
        }
    }
    rows
}

fn import(bytes: impl AsRef<[u8]>, options: &TableOptions) -> Result<(Inspection, Vec<RecordBatch>), IngestError> {
    let folder = Folder::new();
    let path = Source::at_path(folder.file(bytes));
    let inspection = infer_schema(&path, options)?;
    let batches = batches(&path, &inspection)?.collect::<Result<Vec<_>, _>>()?;
    Ok((inspection, batches))
}

fn skipping() -> TableOptions {
    TableOptions {
        refused: Refused::Skip,
        ..TableOptions::default()
    }
}

#[test]
fn each_kind_of_column() {
    let text = "i,f,b,d,t,z,s\n1,1,true,2020-01-01,2020-01-01T10:00,2020-01-01T10:00+01:00,001\n\
                ?,2.5,NA,.,null,N/A,x\n";
    let (inspection, batches) = import(text, &TableOptions::default()).unwrap();
    use ColumnKind::{Boolean, Date, Float, Int, Text, Timestamp, TimestampUtc};
    assert_eq!(
        kinds(&inspection),
        [Int, Float, Boolean, Date, Timestamp, TimestampUtc, Text]
    );
    let rows = cells(&batches);
    assert_eq!(
        rows[0][..4],
        ["1", "1.0", "true", "2020-01-01"].map(|cell| Some(cell.to_owned()))
    );
    assert_eq!(rows[0][5].as_deref(), Some("2020-01-01T09:00:00Z"));
    assert_eq!(rows[1].iter().filter(|cell| cell.is_none()).count(), 5);
    assert_eq!(
        batches[0].column(0).as_ref(),
        &arrow::array::Int64Array::from(vec![1, 2])
    );
}

#[test]
fn column_with_text_at_row_50000_is_text_from_the_start() {
    let mut text = String::from("id,dose\n");
    for row in 1..50_000 {
        text.push_str(&format!("{row},{row}\n"));
    }
    text.push_str("50000,Smith\n");
    let (inspection, batches) = import(&text, &TableOptions::default()).unwrap();
    assert_eq!(kinds(&inspection), [ColumnKind::Int, ColumnKind::Text]);
    let note = Note::BecameText {
        column: "dose".to_owned(),
        from: ColumnKind::Int,
        line: 50_001,
        numbering: Numbering::Lines,
    };
    assert_eq!(inspection.notes(), std::slice::from_ref(&note));
    assert!(!note.to_string().contains("Smith"));
    assert!(batches.iter().all(|batch| batch.num_rows() <= BLOCK_ROWS));
    let rows = cells(&batches);
    assert_eq!(
        (rows.len(), rows[0][1].as_deref(), rows[49_999][1].as_deref()),
        (50_000, Some("1"), Some("Smith"))
    );
}

#[test]
fn markers_in_text_columns_stay_unless_configured() {
    let text = "country,n\nNA,NA\nCH,1\n,2\n";
    let (inspection, batches) = import(text, &TableOptions::default()).unwrap();
    assert_eq!(
        inspection.notes(),
        [Note::MarkersAsText {
            column: "country".to_owned(),
            count: 1
        }]
    );
    assert_eq!(cells(&batches)[0], [Some("NA".to_owned()), None]);
    assert_eq!(cells(&batches)[2][0], None);
    let everywhere = TableOptions {
        missing: Missing::Everywhere,
        ..TableOptions::default()
    };
    // The first row has no value then.
    let found = cells(&import(text, &everywhere).unwrap().1);
    assert_eq!(
        found,
        [
            [Some("CH".to_owned()), Some("1".to_owned())],
            [None, Some("2".to_owned())]
        ]
    );
    let blank_only = TableOptions {
        missing: Missing::BlankOnly,
        ..TableOptions::default()
    };
    assert_eq!(inspect(text, &blank_only).unwrap().columns()[1].kind, ColumnKind::Text);
}

#[test]
fn delimiters_and_headers_are_found() {
    for delimiter in [",", ";", "\t", "|"] {
        let text = ["name,age", "a,1", "b,2"].join("\n").replace(',', delimiter);
        let inspection = inspect(text, &TableOptions::default()).unwrap();
        assert_eq!(
            (inspection.delimiter(), inspection.has_header(), inspection.rows()),
            (Some(Delimiter::Byte(delimiter.as_bytes()[0])), Some(true), 2)
        );
    }
    let inspection = inspect("dose;x\n1,5;2,25\n2,5;3,25\n", &TableOptions::default()).unwrap();
    assert_eq!(inspection.delimiter(), Some(Delimiter::Byte(b';')));
    let inspection = inspect("Smith,1\nJones,2\n", &TableOptions::default()).unwrap();
    assert_eq!(
        (inspection.has_header(), inspection.rows(), names(&inspection)),
        (Some(false), 2, vec!["column_1", "column_2"])
    );
    assert_eq!(inspection.notes(), [Note::NoHeader]);
    let unclear = inspect("a,\nb,c\n", &TableOptions::default());
    let numbering = Numbering::Lines;
    assert!(matches!(unclear, Err(IngestError::HeaderUnclear { numbering: found }) if found == numbering));
    let absent = |names: &[&str]| TableOptions {
        header: Header::Absent {
            names: names.iter().map(ToString::to_string).collect(),
        },
        ..TableOptions::default()
    };
    assert_eq!(names(&inspect("a,b\n", &absent(&["x", "y"])).unwrap()), ["x", "y"]);
    assert!(matches!(
        inspect("a,b\n", &absent(&["x"])),
        Err(IngestError::NameCount { given: 1, found: 2 })
    ));
}

#[test]
fn encodings() {
    let text = "név,n\nGyőr,1\n";
    let utf16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = format!("\u{feff}{text}").into_bytes();
    for bytes in [text.as_bytes().to_vec(), marked, utf16.clone()] {
        let (_, batches) = import(bytes, &TableOptions::default()).unwrap();
        assert_eq!(cells(&batches), [[Some("Győr".to_owned()), Some("1".to_owned())]]);
    }
    let cut = inspect(&utf16[..utf16.len() - 1], &TableOptions::default());
    assert!(matches!(cut, Err(IngestError::Encoding { line: 2, .. })));

    let western = b"name,n\nAnn,1\nJos\xe9,2\n";
    let error = inspect(western, &TableOptions::default()).unwrap_err();
    assert!(
        matches!(
            error,
            IngestError::Encoding {
                line: 3,
                offset: 16,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("--encoding windows-1252"));
    let encoding = Some(TextEncoding::from_label("windows-1252").unwrap());
    let (_, batches) = import(
        western,
        &TableOptions {
            encoding,
            ..TableOptions::default()
        },
    )
    .unwrap();
    assert_eq!(cells(&batches)[1][0].as_deref(), Some("José"));
    assert_eq!(inspect(western, &skipping()).unwrap().rejects().count(), 1);
    assert!(TextEncoding::from_label("klingon").is_err());
}

#[test]
fn refused_rows_stop_the_import_unless_they_may_be_left_out() {
    let text = "a,b\n1,2\n3\n4,5,6\n7,\"Smith\n8,9\n";
    let inspection = inspect(text, &TableOptions::default()).unwrap();
    assert_eq!((inspection.rows(), inspection.rejects().count()), (2, 3));
    assert_eq!(
        inspection
            .rejects()
            .listed()
            .iter()
            .map(|reject| reject.line)
            .collect::<Vec<_>>(),
        [3, 4, 5]
    );
    let stopped = import(text, &TableOptions::default());
    assert!(matches!(
        stopped,
        Err(IngestError::RowsRefused {
            count: 3,
            rows: 2,
            first: Reject { line: 3, .. },
            numbering: Numbering::Lines,
        })
    ));
    let (inspection, batches) = import(text, &skipping()).unwrap();
    assert_eq!((inspection.rows(), cells(&batches).len()), (2, 2));

    let folder = Folder::new();
    let mut list = Vec::new();
    infer_schema_into(
        &Source::at_path(folder.file(text)),
        &skipping(),
        &mut RejectFile::new(&mut list),
    )
    .unwrap();
    let list = String::from_utf8(list).unwrap();
    assert!(list.starts_with("line,reason\n3,\"1 fields where 2 are expected\"\n") && list.lines().count() == 4);
    assert!(!list.contains("Smith"), "{list}");
}

#[test]
fn subjects() {
    let by = |name: &str| TableOptions {
        subject: SubjectRule::Column(name.to_owned()),
        ..TableOptions::default()
    };
    let text = "Patient Id,x\np1,1\nNA,2\n ,3\np2,4\n";
    let error = inspect(text, &by("patient_id")).unwrap_err();
    assert!(
        matches!(&error, IngestError::SubjectMissing { count: 2, first, .. } if first == &[3, 4]),
        "{error}"
    );
    assert!(matches!(
        inspect(text, &by("unknown")),
        Err(IngestError::NoSuchColumn { .. })
    ));
    let (inspection, batches) = import("Patient Id,x\np1,1\np1,2\n", &by("Patient Id")).unwrap();
    assert_eq!(inspection.subject(), &Subject::Column("patient_id".to_owned()));
    assert_eq!(batches[0].num_columns(), 2);
    assert!(!batches[0].schema().field(0).is_nullable());
}

#[test]
fn a_persons_number_that_repeats_is_noted() {
    let visits = |subject: SubjectRule| {
        let mut text = "visit_id,patient_id,site_id,chol\n".to_owned();
        for row in 0..3000 {
            text.push_str(&format!("{row},p{},{},{}\n", row / 3, row % 2, row % 90));
        }
        let options = TableOptions {
            subject,
            ..TableOptions::default()
        };
        inspect(&text, &options).unwrap().notes().to_vec()
    };
    let column = "patient_id".to_owned();
    assert_eq!(visits(SubjectRule::EachRow), [Note::Repeats { column: column.clone() }]);
    let subject = "visit_id".to_owned();
    assert_eq!(
        visits(SubjectRule::Column(subject.clone())),
        [Note::SubjectHardlyRepeats {
            subject,
            column: column.clone()
        }]
    );
    assert_eq!(visits(SubjectRule::Column(column)), []);
}

#[test]
fn names_that_cannot_be_used() {
    assert!(matches!(
        inspect("age,Age\n1,2\n", &TableOptions::default()),
        Err(IngestError::DuplicateNames { .. })
    ));
    let reserved = inspect("__concordat_x,y\n1,2\n", &TableOptions::default());
    assert!(matches!(reserved, Err(IngestError::ReservedNames { .. })));
    let wide = format!(
        "{}\n",
        (0..=MAX_COLUMNS).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",")
    );
    assert!(matches!(
        inspect(wide, &TableOptions::default()),
        Err(IngestError::TooManyColumns { found: 4097 })
    ));
}

#[test]
fn empty_and_minimal_files() {
    for empty in ["", "\n\n", "\u{feff}"] {
        assert!(
            matches!(inspect(empty, &TableOptions::default()), Err(IngestError::Empty { .. })),
            "{empty:?}"
        );
    }
    let (inspection, batches) = import("a,b\n", &TableOptions::default()).unwrap();
    assert_eq!(
        (inspection.rows(), inspection.columns().len(), batches.len()),
        (0, 2, 0)
    );
    let folder = Folder::new();
    let missing = super::infer_schema(&Source::at_path(folder.0.path().join("none")), &TableOptions::default());
    assert!(matches!(missing, Err(IngestError::NotFound { .. })));
    let not_a_file = super::infer_schema(&Source::at_path(folder.0.path()), &TableOptions::default());
    assert!(matches!(not_a_file, Err(IngestError::NotAFile { .. })));
    assert!(matches!(
        inspect(b"PK\x03\x04", &TableOptions::default()),
        Err(IngestError::Archive { .. })
    ));
}

#[test]
fn a_file_that_changes_between_the_passes_is_detected() {
    let text = "a,b\n1,2\n3,4\n";
    for changed in [
        "a,b\n1,2\n",
        "a,b\n1,2\n3,4\n5,6\n",
        "a,b\n1,2\n3,5\n",
        "a,b\n1,x\n3,4\n",
        "a\n1\n",
        "a,b\n1,2\n3,4\n\n",
    ] {
        let folder = Folder::new();
        let path = Source::at_path(folder.file(text));
        let inspection = infer_schema(&path, &TableOptions::default()).unwrap();
        folder.file(changed);
        let result = batches(&path, &inspection).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        assert!(matches!(result, Err(IngestError::Changed { .. })), "{changed:?}");
    }
}

#[test]
fn file_that_shrinks_while_it_is_read_is_detected() {
    let folder = Folder::new();
    let path = Source::at_path(folder.file(format!("a,b\n{}", "1,2\n".repeat(200_000))));
    let inspection = infer_schema(&path, &TableOptions::default()).unwrap();
    let mut batches = batches(&path, &inspection).unwrap();
    batches.next().unwrap().unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(path.name())
        .unwrap()
        .set_len(200_000)
        .unwrap();
    let last = batches.by_ref().last().unwrap();
    assert!(matches!(last, Err(IngestError::Changed { .. })));
    assert!(batches.next().is_none());
}

#[test]
fn gzip_complete_and_truncated() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"a,b\n1,2\n").unwrap();
    let bytes = gzip.finish().unwrap();
    let (inspection, batches) = import(&bytes, &TableOptions::default()).unwrap();
    assert_eq!(inspection.compression(), Some(super::Compression::Gzip));
    assert_eq!(inspection.fingerprint().blake3, *blake3::hash(&bytes).as_bytes());
    assert_eq!(cells(&batches).len(), 1);
    let cut = inspect(&bytes[..bytes.len() - 6], &TableOptions::default());
    assert!(matches!(cut, Err(IngestError::Damaged { .. })));
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{1,20}",
        "[0-9]{1,3}\\.[0-9]{1,3}",
        "true|false",
        "[a-zé,\"\n ;]{0,8}",
        "\\?|NA|"
    ]
}

proptest! {
    /// The `csv` crate reads the same fields from a file that it wrote.
    #[test]
    fn batches_match_a_plain_csv_reader(rows in prop::collection::vec([cell(), cell(), cell()], 1..40)) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        rows.iter().for_each(|row| writer.write_record(row).unwrap());
        let text = writer.into_inner().unwrap();
        let options = TableOptions { delimiter: Some(Delimiter::Byte(b',')), header: Header::Present, quotes_are_stated: true, ..TableOptions::default() };
        let (inspection, batches) = import(&text, &options).unwrap();
        let found = cells(&batches);
        let has_values = |record: &::csv::StringRecord| {
            record.iter().any(|cell| !cell.trim_matches(' ').is_empty())
        };
        let plain: Vec<::csv::StringRecord> =
            ::csv::Reader::from_reader(&text[..]).records().map(Result::unwrap).filter(has_values).collect();
        prop_assert_eq!(inspection.rows(), plain.len() as u64);
        for (row, plain) in found.iter().zip(&plain) {
            for ((cell, plain), column) in row.iter().zip(plain).zip(inspection.columns()) {
                match cell {
                    None => prop_assert!(plain.trim_matches(' ').is_empty() || plain == "?" || plain == "NA"),
                    Some(cell) if column.kind == ColumnKind::Float => {
                        prop_assert_eq!(cell.parse::<f64>().unwrap(), plain.parse::<f64>().unwrap());
                    }
                    Some(cell) => prop_assert_eq!(cell, plain),
                }
            }
        }
    }
}

#[test]
fn files_that_are_not_tables_are_refused_unquoted() {
    const SECRET: &str = "kJ8sQm2Vx9TzLw4Rb7Ny1Cf6Hd3Gp5Ea0UiOoSsDd";
    let mut options = [
        TableOptions::default(),
        TableOptions::default(),
        TableOptions::default(),
    ];
    options[1].header = Header::Present;
    options[2].subject = SubjectRule::Column("record".to_owned());
    let files = [
        format!("{SECRET}\n"),
        SECRET.to_owned(),
        format!("{SECRET}=\n"),
        format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"),
        format!("AGE-SECRET-KEY-{SECRET}\n"),
        format!("# created: 2026-11-28\n{SECRET}\n"),
        format!("ssh-ed25519 {SECRET} me\n"),
        format!("SQLite format 3\0{SECRET}"),
        format!("\x7fELF{SECRET}"),
    ];
    for file in files {
        for options in &options {
            let error = inspect(&file, options).unwrap_err();
            assert_eq!(
                error.kind(),
                concordat_protocol::error_kind::ErrorKind::Usage,
                "{error}"
            );
            assert!(!format!("{error} {error:?}").contains("kJ8s"), "{file:?}: {error:?}");
        }
    }
    // For a table, the error lists the columns, to help with a mistyped name.
    let error = inspect(
        "record,chol\n1,2\n",
        &TableOptions {
            subject: SubjectRule::Column("id".to_owned()),
            ..TableOptions::default()
        },
    );
    assert!(error.unwrap_err().to_string().contains("`chol`"));
}
