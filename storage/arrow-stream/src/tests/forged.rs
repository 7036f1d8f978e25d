//! Batches whose metadata does not match their contents.

use arrow::ipc::{
    BodyCompressionArgs, BodyCompressionMethod, CompressionType, FieldNode, MessageArgs, MessageHeader, RecordBatchArgs,
};
use flatbuffers::FlatBufferBuilder;

use super::*;

/// A batch of two rows with a number and a text, in the sent form, to be modified.
#[derive(Clone)]
struct Batch {
    version: MetadataVersion,
    rows: i64,
    nodes: Vec<(i64, i64)>,
    buffers: Vec<(i64, i64)>,
    compression: Option<CompressionType>,
    views: Vec<i64>,
    stated: i64,
    body: Vec<u8>,
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("t", DataType::Utf8, true),
    ])
}

impl Batch {
    fn valid() -> Self {
        let words: Vec<u8> = [1_u64, 2].iter().flat_map(|n| n.to_le_bytes()).collect();
        let offsets: Vec<u8> = [0_i32, 1, 2].iter().flat_map(|n| n.to_le_bytes()).collect();
        let mut body = [words, offsets, vec![0; 4], b"ab".to_vec()].concat();
        body.resize(40, 0);
        Self {
            version: MetadataVersion::V5,
            rows: 2,
            nodes: vec![(2, 0), (2, 0)],
            buffers: vec![(0, 0), (0, 16), (16, 0), (16, 12), (32, 2)],
            compression: None,
            views: Vec::new(),
            stated: 40,
            body,
        }
    }

    /// The whole stream: the columns, this batch, the end marker.
    fn stream(&self, columns: &Schema) -> Vec<u8> {
        let mut stream = StreamEncoder::new(columns).unwrap().take();
        stream.extend(self.message());
        stream.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        stream
    }

    fn message(&self) -> Vec<u8> {
        let mut built = FlatBufferBuilder::new();
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|(length, nulls)| FieldNode::new(*length, *nulls))
            .collect();
        let buffers: Vec<_> = self
            .buffers
            .iter()
            .map(|(at, len)| arrow::ipc::Buffer::new(*at, *len))
            .collect();
        let nodes = built.create_vector(&nodes);
        let buffers = built.create_vector(&buffers);
        let views = (!self.views.is_empty()).then(|| built.create_vector(&self.views));
        let compression = self.compression.map(|codec| {
            let method = BodyCompressionMethod::BUFFER;
            arrow::ipc::BodyCompression::create(&mut built, &BodyCompressionArgs { codec, method })
        });
        let batch = RecordBatchArgs {
            length: self.rows,
            nodes: Some(nodes),
            buffers: Some(buffers),
            compression,
            variadicBufferCounts: views,
        };
        let batch = arrow::ipc::RecordBatch::create(&mut built, &batch);
        let message = MessageArgs {
            version: self.version,
            header_type: MessageHeader::RecordBatch,
            header: Some(batch.as_union_value()),
            bodyLength: self.stated,
            custom_metadata: None,
        };
        let message = arrow::ipc::Message::create(&mut built, &message);
        built.finish(message, None);
        let mut metadata = built.finished_data().to_vec();
        metadata.resize(metadata.len().next_multiple_of(8), 0);
        let length = u32::try_from(metadata.len()).unwrap().to_le_bytes();
        [&CONTINUATION[..], &length, &metadata, &self.body].concat()
    }
}

#[track_caller]
fn forged(change: impl FnOnce(&mut Batch), expected: &StreamViolation) {
    let mut batch = Batch::valid();
    change(&mut batch);
    violates(&batch.stream(&schema()), expected);
}

#[test]
fn handmade_batch_is_read_if_it_is_valid() {
    let (_, batches) = read(&Batch::valid().stream(&schema())).unwrap();
    let columns: [(&str, ArrayRef); 2] = [
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(2)]))),
        ("t", Arc::new(StringArray::from(vec![Some("a"), Some("b")]))),
    ];
    let expected =
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    assert_eq!(batches, [expected]);
}

#[test]
fn compression_that_claims_64_tebibytes_is_refused_unread() {
    let compressed = |codec| {
        move |batch: &mut Batch| {
            batch.compression = Some(codec);
            // Compressed bytes are preceded by their uncompressed length.
            batch.body[..8].copy_from_slice(&(1_u64 << 46).to_le_bytes());
        }
    };
    let refused = StreamViolation::Extra { what: "compression" };
    forged(compressed(CompressionType::ZSTD), &refused);
    forged(compressed(CompressionType::LZ4_FRAME), &refused);
    forged(compressed(CompressionType(9)), &refused);
}

#[test]
fn rows_without_bytes_are_bounded() {
    let columns = Schema::new(vec![Field::new("empty", DataType::Null, true)]);
    let empty = |rows: i64| Batch {
        rows,
        nodes: vec![(rows, rows)],
        buffers: Vec::new(),
        stated: 0,
        body: Vec::new(),
        ..Batch::valid()
    };
    assert_eq!(read(&empty(7).stream(&columns)).unwrap().1[0].num_rows(), 7);
    for rows in [0, -1, MAX_ROWS as i64 + 1, 1 << 45, i64::MAX, i64::MIN] {
        violates(&empty(rows).stream(&columns), &StreamViolation::Rows { rows });
    }
    // Many columns without bytes have as many values as all of their rows together.
    let wide = Schema::new(
        (0..100)
            .map(|n| Field::new(n.to_string(), DataType::Null, true))
            .collect::<Vec<_>>(),
    );
    let rows = MAX_ROWS as i64;
    let many = Batch {
        nodes: vec![(rows, rows); 100],
        ..empty(rows)
    };
    violates(&many.stream(&wide), &StreamViolation::Rows { rows });
}

#[test]
fn buffers_are_in_the_body_without_overlap() {
    let outside = StreamViolation::Buffer { column: 1 };
    for buffer in [(0, 48), (0, i64::MAX), (-8, 16), (0, -1), (i64::MAX, i64::MAX), (8, 40)] {
        forged(|batch| batch.buffers[1] = buffer, &outside);
    }
    let overlapping = StreamViolation::Buffer { column: 2 };
    forged(|batch| batch.buffers[3] = (8, 12), &overlapping);
    forged(|batch| batch.buffers[3] = (12, 12), &overlapping);
    let unaligned = StreamViolation::Unaligned { what: "a buffer" };
    forged(|batch| batch.buffers[3] = (20, 12), &unaligned);
}

#[test]
fn buffers_are_large_enough_for_their_rows() {
    let short = |column, what| StreamViolation::Column { column, what };
    forged(|batch| batch.buffers[1] = (0, 15), &short(1, "values"));
    forged(|batch| batch.buffers[3] = (16, 11), &short(2, "offsets"));
    forged(|batch| batch.nodes[1].1 = 1, &short(2, "validity"));
    forged(
        |batch| {
            batch.rows = 3;
            batch.nodes = vec![(3, 0), (3, 0)];
        },
        &short(1, "values"),
    );
}

#[test]
fn nodes_and_buffers_match_the_columns() {
    let nodes = StreamViolation::Count { what: "nodes" };
    let buffers = StreamViolation::Count { what: "buffers" };
    forged(|batch| batch.nodes.truncate(1), &nodes);
    forged(|batch| batch.nodes.push((2, 0)), &nodes);
    forged(|batch| batch.buffers.truncate(4), &buffers);
    forged(|batch| batch.buffers.push((40, 0)), &buffers);
    let length = StreamViolation::Column {
        column: 2,
        what: "a length",
    };
    for wrong in [0, 1, 3, -2, i64::MAX] {
        forged(|batch| batch.nodes[1].0 = wrong, &length);
    }
    let missing = StreamViolation::Column {
        column: 1,
        what: "a number of missing values",
    };
    for wrong in [3, -1, i64::MAX] {
        forged(|batch| batch.nodes[0].1 = wrong, &missing);
    }
    forged(
        |batch| batch.views = vec![1 << 40],
        &StreamViolation::Extra {
            what: "buffers of views",
        },
    );
}

#[test]
fn body_has_the_stated_length_within_the_limit() {
    for length in [-8, MAX_BODY as i64 + 8, 1 << 46, i64::MAX] {
        forged(|batch| batch.stated = length, &StreamViolation::Body { length });
    }
    forged(
        |batch| batch.stated = 39,
        &StreamViolation::Unaligned { what: "a body" },
    );
    // The rest of the body is read as the next message.
    let mut longer = Batch::valid();
    longer.body.extend([0; 8]);
    violates(&longer.stream(&schema()), &StreamViolation::MissingContinuation);
    let mut shorter = Batch::valid();
    shorter.body.truncate(8);
    violates(&shorter.stream(&schema()), &StreamViolation::CutOff);
    // No memory is allocated for a length that is only stated.
    let large = Batch {
        stated: MAX_BODY as i64,
        ..Batch::valid()
    };
    let mut stream = CheckedStream::new();
    let mut bytes = Bytes::from(large.stream(&schema()));
    while stream.decode(&mut bytes).unwrap().is_some() {}
    assert!(stream.held() < 1 << 20, "{} bytes are allocated", stream.held());
}

#[test]
fn text_and_offsets_are_validated() {
    let offsets = |values: [i32; 3]| {
        move |batch: &mut Batch| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            batch.body[16..28].copy_from_slice(&bytes);
        }
    };
    for wrong in [[0, 2, 1], [0, 1, 3], [-1, 0, 1], [0, i32::MAX, 2], [i32::MIN, 0, 0]] {
        forged(offsets(wrong), &StreamViolation::Values);
    }
    forged(|batch| batch.body[32] = 0xff, &StreamViolation::Values);
    // Half of a character in each value.
    forged(
        |batch| batch.body[32..34].copy_from_slice("ä".as_bytes()),
        &StreamViolation::Values,
    );
}

/// Each number of a batch, one at a time, replaced by values that break readers: what is read then is within the
/// limits.
#[test]
fn no_number_of_a_batch_breaks_the_reader() {
    let extremes = |found: i64| {
        [
            0,
            1,
            -1,
            found + 1,
            found - 1,
            i64::MAX,
            i64::MIN,
            1 << 31,
            1 << 45,
            1 << 62,
        ]
    };
    let valid = Batch::valid();
    let fields: Vec<fn(&mut Batch) -> &mut i64> = vec![
        |b| &mut b.rows,
        |b| &mut b.stated,
        |b| &mut b.nodes[0].0,
        |b| &mut b.nodes[0].1,
        |b| &mut b.nodes[1].0,
        |b| &mut b.nodes[1].1,
        |b| &mut b.buffers[0].0,
        |b| &mut b.buffers[0].1,
        |b| &mut b.buffers[1].0,
        |b| &mut b.buffers[1].1,
        |b| &mut b.buffers[2].0,
        |b| &mut b.buffers[2].1,
        |b| &mut b.buffers[3].0,
        |b| &mut b.buffers[3].1,
        |b| &mut b.buffers[4].0,
        |b| &mut b.buffers[4].1,
    ];
    for field in &fields {
        for other in &fields {
            let first = *field(&mut valid.clone());
            let second = *other(&mut valid.clone());
            for value in extremes(first) {
                for another in extremes(second) {
                    let mut batch = valid.clone();
                    *field(&mut batch) = value;
                    *other(&mut batch) = another;
                    if let Ok((schema, batches)) = read(&batch.stream(&schema())) {
                        bounded(&schema, &batches);
                    }
                }
            }
        }
    }
}

/// Writes the seed streams of the fuzzer and of the attacks over the wire, if an environment variable requests it.
#[test]
fn seeds_are_written_on_request() {
    if std::env::var_os("CONCORDAT_WRITE_SEEDS").is_none() {
        return;
    }
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/streams");
    let put = |name: &str, bytes: Vec<u8>| std::fs::write(dir.join(name), bytes).unwrap();
    put("rows", encoded(&rows()));
    put("valid", Batch::valid().stream(&schema()));
    let mut compressed = Batch {
        compression: Some(CompressionType::ZSTD),
        ..Batch::valid()
    };
    compressed.body[..8].copy_from_slice(&(1_u64 << 46).to_le_bytes());
    put("compressed", compressed.stream(&schema()));
    let columns = Schema::new(vec![Field::new("empty", DataType::Null, true)]);
    let empty = Batch {
        rows: 1 << 45,
        nodes: vec![(1 << 45, 1 << 45)],
        buffers: Vec::new(),
        stated: 0,
        body: Vec::new(),
        ..Batch::valid()
    };
    put("empty", empty.stream(&columns));
    put(
        "large",
        Batch {
            stated: 1 << 46,
            ..Batch::valid()
        }
        .stream(&schema()),
    );
    put(
        "negative",
        Batch {
            rows: -1,
            ..Batch::valid()
        }
        .stream(&schema()),
    );
    let mut outside = Batch::valid();
    outside.buffers[1] = (0, i64::MAX);
    put("outside", outside.stream(&schema()));
    let mut offsets = Batch::valid();
    offsets.body[20..24].copy_from_slice(&i32::MAX.to_le_bytes());
    put("offsets", offsets.stream(&schema()));
    let words: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let batch = RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).unwrap();
    put("dictionary", written(&batch, IpcWriteOptions::default()));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    let batch = RecordBatch::try_from_iter([("list", Arc::new(list) as ArrayRef)]).unwrap();
    put("list", written(&batch, IpcWriteOptions::default()));
    let views = StringViewArray::from(vec!["a text that is too long to be stored in its view"; 3]);
    let batch = RecordBatch::try_from_iter([("view", Arc::new(views) as ArrayRef)]).unwrap();
    put("views", written(&batch, IpcWriteOptions::default()));
}
