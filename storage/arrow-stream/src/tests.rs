use std::collections::HashMap;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array,
    Int64Array, ListArray, NullArray, RecordBatch, StringArray, StringViewArray, TimestampMillisecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::ipc::{MetadataVersion, root_as_message};
use bytes::Bytes;
use std::sync::Arc;

use super::*;

mod forged;
mod received;

/// Five rows of every kind of column that a dataset has.
fn rows() -> RecordBatch {
    let columns: [(&str, ArrayRef); 8] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]))),
        (
            "x",
            Arc::new(Float64Array::from(vec![Some(0.5), None, None, Some(1.0), None])),
        ),
        (
            "b",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                None,
                Some(false),
                None,
                Some(true),
            ])),
        ),
        ("d", Arc::new(Date32Array::from(vec![1, 2, 3, 4, 5]))),
        (
            "t",
            Arc::new(StringArray::from(vec![
                Some("Änne"),
                None,
                Some(""),
                Some("Ben"),
                Some("x"),
            ])),
        ),
        ("n", Arc::new(NullArray::new(5))),
        (
            "at",
            Arc::new(TimestampMillisecondArray::from(vec![1, 2, 3, 4, 5]).with_timezone("UTC")),
        ),
        (
            "sum",
            Arc::new(
                Decimal128Array::from(vec![1, 2, 3, 4, 5])
                    .with_precision_and_scale(20, 2)
                    .unwrap(),
            ),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn encoded(batch: &RecordBatch) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(&batch.schema()).unwrap();
    encoder.encode(batch).unwrap();
    encoder.finish().unwrap();
    encoder.take()
}

/// A stream as the library writes it, with any options.
fn written(batch: &RecordBatch, options: IpcWriteOptions) -> Vec<u8> {
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    std::mem::take(writer.get_mut())
}

/// Reads a stream that arrives in chunks of `step` bytes.
fn read_in(bytes: &[u8], step: usize) -> Result<(SchemaRef, Vec<RecordBatch>), StreamViolation> {
    let mut stream = CheckedStream::new();
    let mut batches = Vec::new();
    for chunk in bytes.chunks(step) {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(item) = stream.decode(&mut chunk)? {
            match item {
                Item::Schema(schema) => assert_eq!(stream.schema(), Some(schema)),
                Item::Batch(batch) => batches.push(batch),
            }
        }
    }
    stream.finish()?;
    Ok((stream.schema().ok_or(StreamViolation::CutOff)?, batches))
}

fn read(bytes: &[u8]) -> Result<(SchemaRef, Vec<RecordBatch>), StreamViolation> {
    read_in(bytes, usize::MAX)
}

#[track_caller]
fn violates(bytes: &[u8], expected: &StreamViolation) {
    assert_eq!(read(bytes).unwrap_err(), *expected);
}

/// The start and length of each message's metadata.
fn messages(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut at = 0;
    let mut found = Vec::new();
    loop {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        if length == 0 {
            return found;
        }
        found.push((at + 8, length));
        let message = root_as_message(&bytes[at + 8..at + 8 + length]).unwrap();
        at += 8 + length + usize::try_from(message.bodyLength()).unwrap();
    }
}

#[test]
fn stream_is_read_in_chunks_of_any_size() {
    let batch = rows();
    let bytes = encoded(&batch);
    for step in [1, 2, 3, 7, 8, 9, 64, 1000, usize::MAX] {
        let (schema, batches) = read_in(&bytes, step).unwrap();
        assert_eq!(schema.fields(), batch.schema().fields());
        assert_eq!(batches, std::slice::from_ref(&batch), "chunks of {step}");
    }
}

#[test]
fn interrupted_stream_is_complete_only_at_its_end() {
    let bytes = encoded(&rows());
    let ends: Vec<_> = (0..=bytes.len())
        .filter(|end| {
            let mut stream = CheckedStream::new();
            let mut chunk = Bytes::copy_from_slice(&bytes[..*end]);
            while stream.decode(&mut chunk).unwrap().is_some() {}
            assert_eq!(stream.is_complete(), *end == bytes.len());
            stream.finish().is_ok()
        })
        .collect();
    // The start, and the ends of the columns, the rows and the end marker.
    assert_eq!(ends.len(), 4);
    let mut longer = bytes.clone();
    longer.push(0);
    violates(&longer, &StreamViolation::AfterEnd);
    violates(&[bytes.clone(), bytes].concat(), &StreamViolation::AfterEnd);
}

#[test]
fn only_the_expected_columns_are_accepted() {
    let batch = rows();
    let bytes = encoded(&batch);
    let begin = |expected: SchemaRef| CheckedStream::expecting(expected).decode(&mut Bytes::copy_from_slice(&bytes));
    assert!(begin(batch.schema()).is_ok());
    let fields = |change: &dyn Fn(&mut Vec<Field>)| {
        let mut fields: Vec<_> = batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.as_ref().clone())
            .collect();
        change(&mut fields);
        begin(Arc::new(Schema::new(fields)))
    };
    let unexpected = |column| Err(StreamViolation::Unexpected { column });
    assert_eq!(
        fields(&|f| f[1] = Field::new("y", DataType::Float64, true)),
        unexpected(2)
    );
    assert_eq!(fields(&|f| f[2] = Field::new("b", DataType::Int8, true)), unexpected(3));
    assert_eq!(fields(&|f| f.truncate(7)), unexpected(8));
    assert_eq!(
        fields(&|f| f.push(Field::new("z", DataType::Int8, true))),
        unexpected(9)
    );
}

#[test]
fn compression_dictionaries_and_old_versions_are_refused() {
    let batch = rows();
    let zstd = || IpcWriteOptions::default().try_with_compression(Some(arrow::ipc::CompressionType::ZSTD));
    // The codec may be missing from this build; a reader only sees its name.
    if let Ok(options) = zstd() {
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        if writer.write(&batch).is_ok() {
            writer.finish().unwrap();
            violates(writer.get_ref(), &StreamViolation::Extra { what: "compression" });
        }
    }
    let old = IpcWriteOptions::try_new(64, false, MetadataVersion::V4).unwrap();
    violates(&written(&batch, old), &StreamViolation::Version);
    let words: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let batch = RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).unwrap();
    violates(
        &written(&batch, IpcWriteOptions::default()),
        &StreamViolation::Type { column: 1 },
    );
}

#[test]
fn types_that_are_not_sent_are_refused_by_both_sides() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    let columns: [ArrayRef; 3] = [
        Arc::new(list),
        Arc::new(BinaryArray::from(vec![b"x".as_slice()])),
        Arc::new(TimestampMillisecondArray::from(vec![1]).with_timezone("Europe/Berlin")),
    ];
    for column in columns {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        violates(
            &written(&batch, IpcWriteOptions::default()),
            &StreamViolation::Type { column: 1 },
        );
        assert!(matches!(
            StreamEncoder::new(&batch.schema()),
            Err(EncodeError::Type { .. })
        ));
    }
    let views = StringViewArray::from(vec!["a text that is too long to be stored in its view"]);
    let batch = RecordBatch::try_from_iter([("c", Arc::new(views) as ArrayRef)]).unwrap();
    violates(
        &written(&batch, IpcWriteOptions::default()),
        &StreamViolation::Type { column: 1 },
    );
    let (schema, _) = read(&encoded(&batch)).unwrap();
    assert_eq!(schema.field(0).data_type(), &DataType::Utf8);
}

#[test]
fn custom_metadata_is_neither_sent_nor_accepted() {
    let field =
        Field::new("id", DataType::Int64, false).with_metadata(HashMap::from([("a".to_owned(), "b".to_owned())]));
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1]))]).unwrap();
    let refused = StreamViolation::Extra {
        what: "custom metadata",
    };
    violates(&written(&batch, IpcWriteOptions::default()), &refused);
    assert!(read(&encoded(&batch)).unwrap().0.field(0).metadata().is_empty());
}

#[test]
fn what_is_too_large_for_one_message_is_sent_in_several() {
    let narrow = RecordBatch::try_from_iter([("n", Arc::new(NullArray::new(3 * MAX_ROWS)) as ArrayRef)]).unwrap();
    let text = "x".repeat(1 << 20);
    let wide = StringArray::from(vec![text.as_str(); 50]);
    let wide = RecordBatch::try_from_iter([("t", Arc::new(wide) as ArrayRef)]).unwrap();
    for batch in [narrow, wide] {
        let (schema, batches) = read(&encoded(&batch)).unwrap();
        assert!(batches.len() > 2);
        assert_eq!(concat_batches(&schema, &batches).unwrap(), batch);
    }
}

#[test]
fn row_too_large_for_a_message_is_a_clear_error() {
    let text = "x".repeat(MAX_BODY + 1);
    let batch = RecordBatch::try_from_iter([("t", Arc::new(StringArray::from(vec![text])) as ArrayRef)]).unwrap();
    let mut encoder = StreamEncoder::new(&batch.schema()).unwrap();
    let error = encoder.encode(&batch).unwrap_err();
    assert!(matches!(error, EncodeError::Row) && error.to_string().contains("select fewer columns"));
}

#[test]
fn an_import_of_the_most_columns_can_be_sent() {
    let name = |n: usize| format!("{n:060}");
    let columns = (0..MAX_COLUMNS).map(|n| (name(n), Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    assert_eq!(read(&encoded(&batch)).unwrap().1, [batch]);
}

#[test]
fn time_zones_are_utc_or_a_fixed_offset() {
    let is_supported =
        |zone: &str| schema::layout(&DataType::Timestamp(TimeUnit::Millisecond, Some(zone.into()))).is_some();
    assert!(["UTC", "+00:00", "-05:30", "+23:59"].into_iter().all(is_supported));
    assert!(
        !["", "Z", "Europe/Berlin", "+24:00", "+1:00", "+01:60", "+0a:00"]
            .into_iter()
            .any(is_supported)
    );
}

/// Every number in the metadata of a stream, as 1, 2, 4 and 8 bytes at every offset, replaced by values that break
/// readers. What is accepted then has no more rows, columns and bytes than the limits allow.
#[test]
fn no_number_in_the_metadata_breaks_the_reader() {
    let bytes = encoded(&rows());
    let mut refused = 0_usize;
    let mut accepted = 0_usize;
    for (start, length) in messages(&bytes) {
        for at in start - 8..start + length {
            for width in [1, 2, 4, 8].into_iter().filter(|width| at + width <= bytes.len()) {
                for value in values(&bytes[at..at + width]) {
                    let mut changed = bytes.clone();
                    changed[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
                    match read(&changed) {
                        Ok((schema, batches)) => {
                            accepted += 1;
                            bounded(&schema, &batches);
                        }
                        Err(_) => refused += 1,
                    }
                }
            }
        }
    }
    assert!(
        refused > 10_000 && accepted > 100,
        "{refused} refused, {accepted} accepted"
    );
}

fn values(found: &[u8]) -> [u64; 7] {
    let mut whole = [0; 8];
    whole[..found.len()].copy_from_slice(found);
    let value = u64::from_le_bytes(whole);
    [
        0,
        1,
        u64::MAX,
        u64::MAX >> 1,
        1 << 45,
        value.wrapping_add(1),
        value.wrapping_sub(1),
    ]
}

fn bounded(schema: &Schema, batches: &[RecordBatch]) {
    assert!(schema.fields().len() <= MAX_COLUMNS);
    for batch in batches {
        assert!((1..=MAX_ROWS).contains(&batch.num_rows()));
        assert!(batch.num_rows() * batch.num_columns() <= MAX_CELLS);
        // Alignment may cost a copy of each buffer.
        assert!(
            batch
                .columns()
                .iter()
                .map(|column| column.get_buffer_memory_size())
                .max()
                <= Some(2 * MAX_BODY)
        );
    }
}

#[test]
fn decimal_has_no_more_digits_than_its_type() {
    let decimals = |values: Vec<i128>, precision: u8, scale: i8| {
        let kind = DataType::Decimal128(precision, scale);
        let values: ArrayRef = Arc::new(Decimal128Array::from(values).with_data_type(kind));
        RecordBatch::try_from_iter([("sum", values)]).unwrap()
    };
    let most = 10_i128.pow(29) - 1;
    for (precision, scale) in [(29, 0), (29, 29), (38, 10)] {
        let batch = decimals(vec![most, -most], precision, scale);
        assert_eq!(read(&encoded(&batch)).unwrap().1, [batch]);
    }
    for (values, precision) in [(vec![0, most + 1], 29), (vec![-most - 1], 29), (vec![i128::MAX], 38)] {
        let batch = decimals(values, precision, 0);
        let mut encoder = StreamEncoder::new(&batch.schema()).unwrap();
        assert!(matches!(encoder.encode(&batch), Err(EncodeError::Digits { column: 1 })));
        violates(&written(&batch, IpcWriteOptions::default()), &StreamViolation::Values);
    }
    let negative = decimals(vec![1], 10, -2);
    assert!(matches!(
        StreamEncoder::new(&negative.schema()),
        Err(EncodeError::Type { .. })
    ));
    violates(
        &written(&negative, IpcWriteOptions::default()),
        &StreamViolation::Type { column: 1 },
    );
}
