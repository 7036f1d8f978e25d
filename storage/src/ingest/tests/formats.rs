//! The same table in each format.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow::{
    array::{ArrayRef, StringArray, UInt64Array},
    compute::concat_batches,
    datatypes::{Field, Schema},
};
use arrow_json::{WriterBuilder, writer::LineDelimited};

use super::*;

/// A table with these columns.
pub(in crate::ingest) fn table(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.iter().map(|(_, array)| Arc::clone(array)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

pub(in crate::ingest) fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn ndjson(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, LineDelimited>(&mut bytes);
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    bytes
}

/// As CSV, every value in quotes.
fn csv(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ::csv::WriterBuilder::new()
        .quote_style(::csv::QuoteStyle::Always)
        .from_writer(Vec::new());
    let names = batch.schema();
    writer
        .write_record(names.fields().iter().map(|field| field.name().as_str()))
        .unwrap();
    for row in cells(std::slice::from_ref(batch)) {
        writer
            .write_record(row.iter().map(|cell| cell.as_deref().unwrap_or_default()))
            .unwrap();
    }
    writer.into_inner().unwrap()
}

/// What an import finds, without what differs between formats by nature.
fn found(inspection: &Inspection) -> (Vec<Column>, Subject, u64, arrow::datatypes::SchemaRef) {
    (
        inspection.columns().to_vec(),
        inspection.subject().clone(),
        inspection.rows(),
        inspection.schema(),
    )
}

fn whole(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&batches[0].schema(), batches).unwrap()
}

/// The refused rows, by their number in the table; `above` lines are above the first row.
fn refused(inspection: &Inspection, above: u64) -> Vec<(u64, Reason)> {
    let listed = inspection.rejects().listed().iter();
    listed.map(|reject| (reject.line - above, reject.reason)).collect()
}

fn any_cell() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => cell(),
        1 => "(19|20)[0-9]{2}-0[1-9]-[12][0-9]",
        1 => "20[0-9]{2}-0[1-9]-1[0-9][T ]1[0-9]:[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,4})?)?(Z|[+-]0[0-9]:30)?",
        1 => "-?[0-9]{1,17}\\.?[0-9]{0,17}(e-?[0-9]{1,3})?",
    ]
}

/// Columns of one kind of cell each, so that some are typed.
fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
    let alike = prop_oneof![
        Just("-?[0-9]{1,17}".to_owned()),
        Just("-?[0-9]{1,9}\\.[0-9]{1,9}".to_owned()),
        Just("true|false|NA".to_owned()),
        Just("(19|20)[0-9]{2}-0[1-9]-[12][0-9]|".to_owned()),
        Just("20[0-9]{2}-0[1-9]-1[0-9]T1[0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,3})?".to_owned()),
        Just("20[0-9]{2}-0[1-9]-1[0-9]T1[0-9]:[0-5][0-9]Z|\\?".to_owned()),
    ];
    (alike, 1..30_usize).prop_flat_map(|(pattern, count)| {
        let row = (pattern.prop_map_into(), any_cell(), any_cell());
        prop::collection::vec(row.prop_map(|(a, b, c)| vec![a, b, c]), count)
    })
}

/// A pattern as a strategy.
trait Pattern {
    fn prop_map_into(self) -> proptest::strategy::BoxedStrategy<String>;
}

impl Pattern for String {
    fn prop_map_into(self) -> proptest::strategy::BoxedStrategy<String> {
        proptest::string::string_regex(&self).unwrap().boxed()
    }
}

proptest! {
    #[test]
    fn same_table_in_each_format_is_imported_alike(rows in rows(), choice in 0..3_usize) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["alike", "b", "c"]).unwrap();
        // A row of markers alone is a row without values once they were stored as missing.
        let has_values = |row: &&Vec<String>| row.iter().any(|cell| !matches!(cell.trim(), "" | "?" | "NA"));
        rows.iter().filter(has_values).for_each(|row| writer.write_record(row).unwrap());
        writer.write_record(["", "last", ""]).unwrap();
        let text = writer.into_inner().unwrap();
        let missing = [Missing::Auto, Missing::Everywhere, Missing::BlankOnly][choice];
        let options = TableOptions { missing, ..TableOptions::default() };
        let of_csv = TableOptions { delimiter: Some(Delimiter::Byte(b',')), header: Header::Present, ..options.clone() };
        let (expected, batches) = import(&text, &of_csv).unwrap();
        let imported = whole(&batches);
        // The rows without the numbers of the subjects, as the other formats store them.
        let indices: Vec<usize> = (1..imported.num_columns()).collect();
        let stored = imported.project(&indices).unwrap();
        for (format, bytes) in [(Format::Parquet, parquet(&stored)), (Format::Ndjson, ndjson(&stored))] {
            let (inspection, batches) = import(&bytes, &options).unwrap();
            prop_assert_eq!(inspection.format(), format);
            prop_assert_eq!(found(&inspection), found(&expected), "{:?}", format);
            prop_assert_eq!(&whole(&batches), &imported, "{:?}", format);
        }
    }
}

#[test]
fn same_rows_are_refused_in_each_format() {
    let long = "x".repeat(MAX_FIELD_BYTES + 1);
    let wide: Vec<String> = (0..17).map(|_| "y".repeat(MAX_FIELD_BYTES - 10)).collect();
    let columns: Vec<(String, ArrayRef)> = (0..17)
        .map(|column| {
            let mut cells = vec!["a".to_owned(); 7];
            cells[3].clone_from(&wide[column]);
            if column == 4 {
                cells[1].clone_from(&long);
                cells[5] = "b\0c".to_owned();
            }
            (format!("c{column}"), Arc::new(StringArray::from(cells)) as ArrayRef)
        })
        .collect();
    let columns: Vec<(&str, ArrayRef)> = columns
        .iter()
        .map(|(name, array)| (name.as_str(), Arc::clone(array)))
        .collect();
    let batch = table(&columns);
    let expected = [
        (2, Reason::FieldTooLong { field: 5 }),
        (4, Reason::RowTooLong),
        (6, Reason::ZeroByte),
    ];
    for (bytes, above) in [(csv(&batch), 1), (parquet(&batch), 0), (ndjson(&batch), 0)] {
        let (inspection, batches) = import(&bytes, &skipping()).unwrap();
        let format = inspection.format();
        assert_eq!(refused(&inspection, above), expected, "{format:?}");
        assert_eq!((inspection.rows(), cells(&batches).len()), (4, 4), "{format:?}");
        let stopped = import(&bytes, &TableOptions::default()).unwrap_err();
        assert!(!stopped.to_string().contains("xxx"), "{stopped}");
        let first = if format == Format::Parquet {
            "the first on row 2: field 5"
        } else {
            "field 5"
        };
        assert!(stopped.to_string().contains(first), "{stopped}");
    }
}

#[test]
fn rules_for_columns_are_those_of_each_format() {
    let text = |cells: &[&str]| Arc::new(StringArray::from(cells.to_vec())) as ArrayRef;
    let formats: [fn(&RecordBatch) -> Vec<u8>; 3] = [csv, parquet, ndjson];
    let people = table(&[
        ("Patient Id", text(&["p1", "p2", "p2"])),
        ("code", text(&["250.00", "250.0", "410.1"])),
    ]);
    let by = |name: &str| TableOptions {
        subject: SubjectRule::Column(name.to_owned()),
        text_columns: vec!["code".to_owned()],
        ..TableOptions::default()
    };
    for write in formats {
        let (inspection, batches) = import(write(&people), &by("patient_id")).unwrap();
        assert_eq!(names(&inspection), ["patient_id", "code"]);
        assert_eq!(kinds(&inspection), [ColumnKind::Text, ColumnKind::Text]);
        assert_eq!(cells(&batches)[0][1].as_deref(), Some("250.00"));
        let missing = table(&[("pid", text(&["p1", "NA"])), ("x", text(&["1", "2"]))]);
        let error = inspect(write(&missing), &by("pid")).unwrap_err();
        assert!(matches!(error, IngestError::NoSuchColumn { .. }), "{error}");
        let rule = TableOptions {
            text_columns: Vec::new(),
            ..by("pid")
        };
        let error = inspect(write(&missing), &rule).unwrap_err();
        assert!(matches!(error, IngestError::SubjectMissing { count: 1, .. }), "{error}");
        let twice = table(&[("age", text(&["1"])), ("Age", text(&["2"]))]);
        let error = inspect(write(&twice), &TableOptions::default()).unwrap_err();
        assert!(matches!(error, IngestError::DuplicateNames { .. }), "{error}");
        let reserved = table(&[("__concordat_x", text(&["1"])), ("y", text(&["2"]))]);
        let error = inspect(write(&reserved), &TableOptions::default()).unwrap_err();
        assert!(matches!(error, IngestError::ReservedNames { .. }), "{error}");
    }
}

#[test]
fn text_that_is_read_as_numbers_is_noted() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["250.50", "410.10"]));
    let number: ArrayRef = Arc::new(UInt64Array::from(vec![1, 2]));
    let batch = table(&[("code", text), ("n", number)]);
    let note = Note::FixedDecimals {
        column: "code".to_owned(),
        decimals: 2,
    };
    for bytes in [parquet(&batch), ndjson(&batch)] {
        let inspection = inspect(bytes, &TableOptions::default()).unwrap();
        assert_eq!(inspection.notes(), std::slice::from_ref(&note));
    }
    assert!(note.to_string().contains("--type code=text"), "{note}");
    assert_eq!(inspect(csv(&batch), &TableOptions::default()).unwrap().notes(), [note]);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["250.5", "410"]));
    let number: ArrayRef = Arc::new(UInt64Array::from(vec![1, 2]));
    let batch = table(&[("code", text), ("n", number)]);
    let note = Note::ReadFromText {
        column: "code".to_owned(),
        kind: ColumnKind::Float,
    };
    for bytes in [parquet(&batch), ndjson(&batch)] {
        let inspection = inspect(bytes, &TableOptions::default()).unwrap();
        assert_eq!(inspection.notes(), std::slice::from_ref(&note));
    }
}

#[test]
fn format_is_recognized_or_must_be_the_stated_one() {
    let number: ArrayRef = Arc::new(UInt64Array::from(vec![1, 2]));
    let batch = table(&[("a", Arc::clone(&number)), ("b", number)]);
    let stated = |format| TableOptions {
        format: Some(format),
        ..TableOptions::default()
    };
    let files = [
        (Format::Csv, csv(&batch)),
        (Format::Parquet, parquet(&batch)),
        (Format::Ndjson, ndjson(&batch)),
    ];
    for (format, bytes) in &files {
        assert_eq!(inspect(bytes, &TableOptions::default()).unwrap().format(), *format);
        assert_eq!(inspect(bytes, &stated(*format)).unwrap().format(), *format);
        for other in Format::ALL.into_iter().filter(|other| other != format) {
            let error = inspect(bytes, &stated(other)).unwrap_err();
            assert_eq!(
                error.kind(),
                concordat_protocol::error_kind::ErrorKind::Usage,
                "{format:?} as {other:?}: {error}"
            );
        }
    }
    for (format, bytes) in &files[1..] {
        let error = inspect(bytes, &stated(Format::Csv)).unwrap_err();
        assert!(
            matches!(&error, IngestError::OtherFormat { format: found, .. } if found == format),
            "{error}"
        );
    }
    for (bytes, format) in [
        ("PAR1,PAR2\n1,2\n", Format::Csv),
        ("\n \t{ \"a\": 1, \"b\": 2}\n", Format::Ndjson),
    ] {
        assert_eq!(
            inspect(bytes, &TableOptions::default()).unwrap().format(),
            format,
            "{bytes}"
        );
    }
    let braces = "{id},x\n1,2\n";
    assert_eq!(inspect(braces, &stated(Format::Csv)).unwrap().columns().len(), 2);
    assert!(matches!(
        inspect(braces, &TableOptions::default()),
        Err(IngestError::NoObjects { .. })
    ));
}

#[test]
fn options_of_another_format_are_refused() {
    let number: ArrayRef = Arc::new(UInt64Array::from(vec![1, 2]));
    let batch = table(&[("a", Arc::clone(&number)), ("b", number)]);
    let header = TableOptions {
        header: Header::Present,
        ..TableOptions::default()
    };
    let encoding = TableOptions {
        encoding: Some(TextEncoding::from_label("utf-8").unwrap()),
        ..TableOptions::default()
    };
    for (bytes, options) in [
        (parquet(&batch), &header),
        (ndjson(&batch), &header),
        (parquet(&batch), &encoding),
    ] {
        let error = inspect(bytes, options).unwrap_err();
        assert!(matches!(error, IngestError::OptionOfAnotherFormat { .. }), "{error}");
    }
    assert!(inspect(ndjson(&batch), &encoding).is_ok());
}

#[test]
fn files_of_other_kinds_are_named() {
    for (bytes, what) in [
        ("[{\"a\": 1}]\n", "a list of JSON objects"),
        ("[\n {\"a\": 1}\n]\n", "a list of JSON objects"),
        (
            "{\n \"resourceType\": \"Bundle\",\n \"entry\": []\n}\n",
            "a FHIR bundle",
        ),
        ("{\n \"a\": 1\n}\n", "JSON that spans lines"),
        ("<?xml version=\"1.0\"?>\n", "an XML document"),
        ("<!DOCTYPE html>\n", "an HTML document"),
        ("##fileformat=VCFv4.2\n", "a VCF file"),
        ("ARROW1\0\0", "an Arrow file"),
        ("$FL2@(#) SPSS", "an SPSS file"),
        ("LZIP\x01", "an lzip file"),
    ] {
        let error = inspect(bytes, &TableOptions::default()).unwrap_err();
        assert!(
            matches!(&error, IngestError::NotText { what: found, .. } if found.starts_with(what)),
            "{error}"
        );
    }
}

#[test]
fn other_formats_are_named_after_decompression() {
    for (text, what) in [
        (&b"-----BEGIN PRIVATE KEY-----\nx,y\n1,2\n"[..], "a key"),
        (b"X\n\0\0\0\x03\0\x04", "an R object"),
        (b"##fileformat=VCFv4.2\n", "a VCF file"),
    ] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text).unwrap();
        let error = inspect(gzip.finish().unwrap(), &TableOptions::default()).unwrap_err();
        assert!(
            matches!(&error, IngestError::NotText { what: found, .. } if found.starts_with(what)),
            "{error}"
        );
    }
}

#[test]
fn other_formats_that_change_between_the_passes_are_detected() {
    let batch = |values: Vec<u64>| {
        let number: ArrayRef = Arc::new(UInt64Array::from(values));
        table(&[("a", Arc::clone(&number)), ("b", number)])
    };
    for write in [parquet, ndjson] {
        let before = write(&batch(vec![1, 2]));
        let mut files = vec![
            write(&batch(vec![1, 3])),
            write(&batch(vec![1, 2, 3])),
            write(&batch(vec![1])),
            before[..before.len() - 3].to_vec(),
        ];
        files.push(b"{\"a\":1,\"z\":2}\n".to_vec());
        for changed in files {
            let folder = Folder::new();
            let path = Source::at_path(folder.file(&before));
            let inspection = infer_schema(&path, &TableOptions::default()).unwrap();
            folder.file(changed);
            let result = batches(&path, &inspection).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            assert!(matches!(result, Err(IngestError::Changed { .. })), "{result:?}");
        }
    }
}

#[test]
fn parquet_that_shrinks_while_it_is_read_is_detected() {
    let number: ArrayRef = Arc::new(UInt64Array::from_iter_values((0..400_000).map(|n| n * 7919)));
    let bytes = parquet(&table(&[("a", Arc::clone(&number)), ("b", number)]));
    let folder = Folder::new();
    let path = Source::at_path(folder.file(&bytes));
    let inspection = infer_schema(&path, &TableOptions::default()).unwrap();
    let mut batches = batches(&path, &inspection).unwrap();
    batches.next().unwrap().unwrap();
    let file = fs::OpenOptions::new().write(true).open(path.name()).unwrap();
    file.set_len(1000).unwrap();
    let last = batches.by_ref().last().unwrap();
    assert!(matches!(last, Err(IngestError::Changed { .. })), "{last:?}");
    assert!(batches.next().is_none());
}

#[test]
fn uploaded_files_of_each_format_are_read() {
    let number: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..100_000));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..100_000).map(|n| format!("p{n}"))));
    let batch = table(&[("n", number), ("p", text)]);
    for bytes in [csv(&batch), parquet(&batch), ndjson(&batch)] {
        let folder = Folder::new();
        let mut upload = Upload::begin(folder.0.path()).unwrap();
        upload.write(&bytes).unwrap();
        let source = Source::sent("x", upload.finish().unwrap());
        let inspection = infer_schema(&source, &TableOptions::default()).unwrap();
        assert_eq!(inspection.fingerprint().blake3, *blake3::hash(&bytes).as_bytes());
        let batches = batches(&source, &inspection)
            .unwrap()
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        let rows = cells(&batches);
        assert_eq!(rows.len(), 100_000);
        assert_eq!(rows[99_999], [Some("99999".to_owned()), Some("p99999".to_owned())]);
    }
}
