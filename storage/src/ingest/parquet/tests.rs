//! Files of many writers, and files that are not what they state.

use std::{io::Write, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
        Float32Array, Float64Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
        Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
        UInt64Array,
    },
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Fields, Int32Type},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, Int96, Int96Type},
    file::{
        properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion},
        writer::SerializedFileWriter,
    },
    schema::parser::parse_message_type,
};
use proptest::prelude::*;

use super::footer;
use crate::ingest::{
    IngestError, Reason, Refused, Source, TableOptions, batches, infer_schema,
    tests::{
        cells,
        formats::{parquet, table},
    },
};

/// The kinds and the cells of a file, and its refused rows.
#[derive(Debug)]
struct Read {
    kinds: Vec<&'static str>,
    cells: Vec<Vec<Option<String>>>,
    refused: Vec<(u64, Reason)>,
}

fn read(bytes: &[u8]) -> Result<Read, IngestError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all(bytes).unwrap();
    let source = Source::at_path(file.path());
    let options = TableOptions {
        refused: Refused::Skip,
        ..TableOptions::default()
    };
    let inspection = infer_schema(&source, &options)?;
    let batches = batches(&source, &inspection)?.collect::<Result<Vec<_>, _>>()?;
    let rejects = inspection.rejects().listed().iter();
    Ok(Read {
        kinds: inspection.columns().iter().map(|column| column.kind.label()).collect(),
        cells: cells(&batches),
        refused: rejects.map(|reject| (reject.line, reject.reason)).collect(),
    })
}

fn written(batch: &RecordBatch, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build())).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// A column with a missing value in the middle.
fn column(array: ArrayRef) -> RecordBatch {
    let first: ArrayRef = Arc::new(Int32Array::from_iter_values(0..i32::try_from(array.len()).unwrap()));
    table(&[("n", first), ("x", array)])
}

fn values(array: ArrayRef) -> (&'static str, Vec<Option<String>>) {
    let found = read(&parquet(&column(array))).unwrap();
    (
        found.kinds[1],
        found.cells.into_iter().map(|mut row| row.remove(1)).collect(),
    )
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    let cell = |value: &&str| (!value.is_empty()).then(|| (*value).to_owned());
    values.iter().map(cell).collect()
}

#[test]
fn parquet_types_are_read_as_csv_would_have_them() {
    let instants = vec![Some(1_500_000_000_250), None, Some(-1000)];
    let cases: Vec<(ArrayRef, &str, &[&str])> = vec![
        (
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            "true or false",
            &["true", "", "false"],
        ),
        (
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)])),
            "whole numbers",
            &["-9223372036854775808", "", "9223372036854775807"],
        ),
        (
            Arc::new(UInt64Array::from(vec![Some(1), None, Some(u64::MAX)])),
            "text",
            &["1", "", "18446744073709551615"],
        ),
        (
            Arc::new(Float32Array::from(vec![Some(0.1), None, Some(-2.0)])),
            "numbers",
            &["0.1", "", "-2.0"],
        ),
        (
            Arc::new(Float64Array::from(vec![Some(1e300), Some(f64::NAN), Some(-0.5)])),
            "numbers",
            &["1e300", "", "-0.5"],
        ),
        (
            Arc::new(Float64Array::from(vec![Some(1.0), None, Some(f64::INFINITY)])),
            "text",
            &["1.0", "", "inf"],
        ),
        (
            Arc::new(Date32Array::from(vec![Some(0), None, Some(-1)])),
            "dates",
            &["1970-01-01", "", "1969-12-31"],
        ),
        (
            Arc::new(TimestampMillisecondArray::from(instants.clone())),
            "date-times",
            &["2017-07-14T02:40:00.250", "", "1969-12-31T23:59:59"],
        ),
        (
            Arc::new(TimestampMillisecondArray::from(instants).with_timezone("UTC")),
            "date-times with a zone",
            &["2017-07-14T02:40:00.250Z", "", "1969-12-31T23:59:59Z"],
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![Some(250_000), None, Some(1)])),
            "text",
            &["1970-01-01T00:00:00.250", "", "1970-01-01T00:00:00.000001"],
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![Some(2_000_000_000), None])),
            "date-times",
            &["1970-01-01T00:00:02", ""],
        ),
        (
            Arc::new(Time64MicrosecondArray::from(vec![Some(45_000_000_000), None])),
            "text",
            &["12:30:00", ""],
        ),
        (
            Arc::new(
                Decimal128Array::from(vec![Some(250), None, Some(-5)])
                    .with_precision_and_scale(15, 2)
                    .unwrap(),
            ),
            "numbers",
            &["2.5", "", "-0.05"],
        ),
        (
            Arc::new(
                Decimal128Array::from(vec![Some(999_999_999_999_999_999), None, Some(-5)])
                    .with_precision_and_scale(18, 0)
                    .unwrap(),
            ),
            "whole numbers",
            &["999999999999999999", "", "-5"],
        ),
        (
            Arc::new(
                vec![Some("a"), None, Some("b"), Some("a")]
                    .into_iter()
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
            "text",
            &["a", "", "b", "a"],
        ),
        (Arc::new(StringArray::from(vec![None::<&str>, None])), "text", &["", ""]),
    ];
    for (array, kind, expected) in cases {
        let label = format!("{:?}", array.data_type());
        assert_eq!(values(array), (kind, some(expected)), "{label}");
    }
}

#[test]
fn parquet_types_that_cannot_be_imported_are_named() {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let item = Arc::new(Field::new("item", DataType::Int32, true));
    let fields: Fields = vec![Arc::new(Field::new("a", DataType::Int32, true))].into();
    let entries: Fields = vec![
        Arc::new(Field::new("key", DataType::Int32, false)),
        Arc::new(Field::new("value", DataType::Int32, true)),
    ]
    .into();
    let list = ListArray::new(item, OffsetBuffer::from_lengths([1, 1]), Arc::clone(&numbers), None);
    let structure = StructArray::new(fields, vec![Arc::clone(&numbers)], None);
    let map = MapArray::new(
        Arc::new(Field::new("entries", DataType::Struct(entries.clone()), false)),
        OffsetBuffer::from_lengths([1, 1]),
        StructArray::new(entries, vec![Arc::clone(&numbers), Arc::clone(&numbers)], None),
        None,
        false,
    );
    let decimal = Decimal128Array::from(vec![1, 2]);
    let batch = table(&[
        ("id", numbers),
        ("codes", Arc::new(list)),
        ("address", Arc::new(structure)),
        ("attributes", Arc::new(map)),
        (
            "cost",
            Arc::new(decimal.clone().with_precision_and_scale(38, 10).unwrap()),
        ),
        ("count", Arc::new(decimal.with_precision_and_scale(19, 0).unwrap())),
        ("image", Arc::new(BinaryArray::from_vec(vec![b"a", b"b"]))),
        (
            "hash",
            Arc::new(FixedSizeBinaryArray::try_from_iter([[1_u8; 4], [2; 4]].iter()).unwrap()),
        ),
    ]);
    let error = read(&parquet(&batch)).unwrap_err();
    let decimals = "decimal numbers with more digits than a number keeps";
    let expected = [
        ("codes", "lists"),
        ("address", "structures"),
        ("attributes", "maps"),
        ("cost", decimals),
        ("count", decimals),
        ("image", "bytes"),
        ("hash", "bytes"),
    ];
    let IngestError::Unsupported { columns } = &error else {
        panic!("{error}")
    };
    let found: Vec<_> = columns.iter().map(|(name, what)| (name.as_str(), *what)).collect();
    assert_eq!(found, expected);
}

fn mixed(rows: i64) -> RecordBatch {
    let text = |row: i64| (row % 7 != 0).then(|| format!("text {}", row % 50));
    table(&[
        ("id", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef),
        ("few", Arc::new((0..rows).map(text).collect::<StringArray>())),
        (
            "many",
            Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("p{row}")))),
        ),
        (
            "flag",
            Arc::new(
                (0..rows)
                    .map(|row| (row % 3 != 0).then_some(row % 2 == 0))
                    .collect::<BooleanArray>(),
            ),
        ),
        (
            "dose",
            Arc::new(Float64Array::from_iter_values(
                (0..rows).map(|row| f64::from(i32::try_from(row).unwrap()) / 4.0),
            )),
        ),
    ])
}

#[test]
fn parquet_files_of_many_writers_contain_the_same() {
    let batch = mixed(30_000);
    let expected = read(&parquet(&batch)).unwrap();
    assert_eq!(
        expected.kinds,
        ["whole numbers", "text", "text", "true or false", "numbers"]
    );
    assert_eq!(
        expected.cells[29_999],
        some(&["29999", "text 49", "p29999", "false", "7499.75"])
    );
    let builder = WriterProperties::builder;
    for (label, properties) in [
        ("Snappy", builder().set_compression(Compression::SNAPPY)),
        (
            "Zstandard",
            builder().set_compression(Compression::ZSTD(ZstdLevel::default())),
        ),
        ("LZ4_RAW", builder().set_compression(Compression::LZ4_RAW)),
        ("row groups", builder().set_max_row_group_row_count(Some(1000))),
        (
            "small pages",
            builder().set_data_page_row_count_limit(17).set_write_batch_size(16),
        ),
        ("without dictionaries", builder().set_dictionary_enabled(false)),
        ("small dictionaries", builder().set_dictionary_page_size_limit(100)),
        (
            "version 2",
            builder()
                .set_writer_version(WriterVersion::PARQUET_2_0)
                .set_compression(Compression::SNAPPY)
                .set_column_encoding("many".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
                .set_column_encoding("dose".into(), Encoding::BYTE_STREAM_SPLIT),
        ),
    ] {
        let found = read(&written(&batch, properties)).unwrap_or_else(|error| panic!("{label}: {error}"));
        assert_eq!(found.kinds, expected.kinds, "{label}");
        assert!(found.cells == expected.cells, "{label}");
    }
}

#[test]
fn parquet_files_that_could_expand_are_refused_with_what_to_do() {
    let builder = WriterProperties::builder;
    let differences = builder()
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BYTE_ARRAY);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["abc", "abd"]));
    let error = read(&written(&table(&[("a", Arc::clone(&text)), ("b", text)]), differences)).unwrap_err();
    assert!(error.to_string().contains("write it with the plain"), "{error}");
    for compression in [
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
    ] {
        let error = read(&written(&mixed(10), builder().set_compression(compression))).unwrap_err();
        assert!(error.to_string().contains("write it with Snappy"), "{error}");
    }
}

#[test]
fn parquet_text_that_is_not_utf8_is_a_refused_row() {
    let schema = Arc::new(parse_message_type("message m { required binary a (UTF8); optional int96 t; }").unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let texts: Vec<ByteArray> = ["a".as_bytes(), b"\xff", b""].map(ByteArray::from).to_vec();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // A second after 1970-01-02, and a time that no day has.
    let time = |nanos: u64, day: u32| {
        let mut value = Int96::new();
        let low = u32::try_from(nanos & u64::from(u32::MAX)).unwrap();
        value.set_data(low, u32::try_from(nanos >> 32).unwrap(), day);
        value
    };
    let times = [time(1_000_000_000, 2_440_589), time(86_400_000_000_000, 2_440_588)];
    column
        .typed::<Int96Type>()
        .write_batch(&times, Some(&[1, 0, 1]), None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    let found = read(&bytes).unwrap();
    assert_eq!(found.cells, [some(&["a", "1970-01-02T00:00:01"])]);
    let expected = [
        (2, Reason::InvalidText { field: 1 }),
        (3, Reason::InvalidText { field: 2 }),
    ];
    assert_eq!(found.refused, expected);
}

/// Values that stand for very many rows in few bytes.
#[test]
fn parquet_rows_without_bytes_are_limited() {
    let rows = 20_000_000;
    let nothing: ArrayRef = Arc::new(Int32Array::from(vec![None; rows]));
    let batch = table(&[("a", Arc::clone(&nothing)), ("b", nothing)]);
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows))
        .set_data_page_row_count_limit(rows)
        .set_write_batch_size(rows);
    let bytes = written(&batch, properties);
    let error = read(&bytes).unwrap_err();
    assert!(error.to_string().contains("more values than"), "{error}");
}

#[test]
fn parquet_footer_lengths_are_checked_before_allocation() {
    let bytes = parquet(&mixed(10));
    let tail = bytes.len() - 8;
    for length in [0, 1, u32::try_from(tail - 3).unwrap(), 8 * 1024 * 1024 + 1, u32::MAX] {
        let mut changed = bytes.clone();
        changed[tail..tail + 4].copy_from_slice(&length.to_le_bytes());
        let error = read(&changed).unwrap_err();
        assert!(matches!(error, IngestError::Parquet { .. }), "{length}: {error}");
    }
    let encrypted = [&bytes[..bytes.len() - 1], b"E"].concat();
    assert!(read(&encrypted).unwrap_err().to_string().contains("encrypted"));

    // Lists of row groups, of elements of the schema, of children: as long as a number can state.
    let schema = |children: &[u8]| [&[0x15, 2, 0x19, 0x1c, 0x48, 1, b'm', 0x15], children, &[0]].concat();
    let rest = |groups: &[u8]| [&[0x16, 0, 0x19][..], groups, &[0]].concat();
    let structure = |schema: Vec<u8>, rest: Vec<u8>| footer::check_structure(&[schema, rest].concat());
    assert_eq!(structure(schema(&[0]), rest(&[0x0c])), Ok(()));
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(structure(schema(&huge), rest(&[0x0c])).is_err());
    assert!(structure(schema(&[2]), rest(&[0x0c])).is_err(), "a child is missing");
    assert!(structure(schema(&[0]), rest(&[&[0xfc][..], &huge].concat())).is_err());
    assert!(structure(schema(&[0]), rest(&[0xfc, 0xff, 0xff, 0x03])).is_err());
    let many = [&[0x15, 2, 0x19, 0xfc][..], &huge, &[0]].concat();
    assert!(footer::check_structure(&many).is_err());
    // A group in a group in a group.
    let nested = |depth: usize| {
        let element = [0x48, 1, b'g', 0x15, 2, 0].repeat(depth);
        let leaf = [0x48, 1, b'l', 0];
        let mut count = vec![0x15, 2, 0x19, 0xfc];
        let elements = depth + 1;
        count.extend([
            u8::try_from(elements & 0x7f).unwrap() | 0x80,
            u8::try_from(elements >> 7).unwrap(),
        ]);
        structure([count, element, leaf.to_vec()].concat(), rest(&[0x0c]))
    };
    assert_eq!(nested(20), Ok(()));
    assert!(nested(10_000).is_err());
}

/// Every cut, and every changed byte, of a small file: an error, or a table, but nothing else.
#[test]
fn damaged_parquet_is_an_error_and_never_more() {
    let bytes = written(
        &mixed(20),
        WriterProperties::builder().set_compression(Compression::SNAPPY),
    );
    for length in (0..bytes.len()).step_by(7) {
        read(&bytes[..length]).unwrap_err();
    }
    for at in (0..bytes.len()).step_by(3) {
        for flip in [0x01, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let found = read(&changed);
            assert!(
                !matches!(
                    found,
                    Err(IngestError::Interrupted { .. } | IngestError::Changed { .. })
                ),
                "byte {at}: {found:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn parquet_footer_of_any_bytes_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = footer::check_structure(&bytes);
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        // The first page begins with a byte that no text has there: without it, the footer could make the file one of text.
        let file = [b"PAR1\x15", &bytes[..], &length, b"PAR1"].concat();
        prop_assert!(read(&file).is_err());
    }
}
