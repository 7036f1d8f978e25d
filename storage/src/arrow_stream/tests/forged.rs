//! Batches that state what they do not hold.

use arrow::ipc::{
    BodyCompressionArgs, BodyCompressionMethod, CompressionType, FieldNode, MessageArgs, MessageHeader, RecordBatchArgs,
};
use flatbuffers::FlatBufferBuilder;

use super::*;

/// A batch of two rows with a number and a text, as it is sent, to be changed.
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
    fn sound() -> Self {
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

    /// The whole stream: the columns, this batch, the end mark.
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
    let mut batch = Batch::sound();
    change(&mut batch);
    violates(&batch.stream(&schema()), expected);
}

#[test]
fn a_forged_batch_is_read_if_nothing_is_wrong_with_it() {
    let (_, batches) = read(&Batch::sound().stream(&schema())).unwrap();
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
            // In front of compressed bytes stands their length without compression.
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
    let columns = Schema::new(vec![Field::new("nothing", DataType::Null, true)]);
    let nothing = |rows: i64| Batch {
        rows,
        nodes: vec![(rows, rows)],
        buffers: Vec::new(),
        stated: 0,
        body: Vec::new(),
        ..Batch::sound()
    };
    assert_eq!(read(&nothing(7).stream(&columns)).unwrap().1[0].num_rows(), 7);
    for rows in [0, -1, MAX_ROWS as i64 + 1, 1 << 45, i64::MAX, i64::MIN] {
        violates(&nothing(rows).stream(&columns), &StreamViolation::Rows { rows });
    }
    // Many columns without bytes have as many values as they have rows together.
    let wide = Schema::new(
        (0..100)
            .map(|n| Field::new(n.to_string(), DataType::Null, true))
            .collect::<Vec<_>>(),
    );
    let rows = MAX_ROWS as i64;
    let many = Batch {
        nodes: vec![(rows, rows); 100],
        ..nothing(rows)
    };
    violates(&many.stream(&wide), &StreamViolation::Rows { rows });
}

#[test]
fn buffers_lie_in_the_body_behind_each_other() {
    let outside = StreamViolation::Buffer { column: 1 };
    for buffer in [(0, 48), (0, i64::MAX), (-8, 16), (0, -1), (i64::MAX, i64::MAX), (8, 40)] {
        forged(|batch| batch.buffers[1] = buffer, &outside);
    }
    let over = StreamViolation::Buffer { column: 2 };
    forged(|batch| batch.buffers[3] = (8, 12), &over);
    forged(|batch| batch.buffers[3] = (12, 12), &over);
    let askew = StreamViolation::Unaligned { what: "a buffer" };
    forged(|batch| batch.buffers[3] = (20, 12), &askew);
}

#[test]
fn buffers_hold_what_their_rows_need() {
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
fn nodes_and_buffers_are_those_of_the_columns() {
    let (nodes, buffers) = (
        StreamViolation::Count { what: "nodes" },
        StreamViolation::Count { what: "buffers" },
    );
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
fn the_body_is_as_long_as_stated_and_no_longer_than_the_most() {
    for length in [-8, MAX_BODY as i64 + 8, 1 << 46, i64::MAX] {
        forged(|batch| batch.stated = length, &StreamViolation::Body { length });
    }
    forged(
        |batch| batch.stated = 39,
        &StreamViolation::Unaligned { what: "a body" },
    );
    // The rest of the body is taken for the next message.
    let mut longer = Batch::sound();
    longer.body.extend([0; 8]);
    violates(&longer.stream(&schema()), &StreamViolation::NoMark);
    let mut shorter = Batch::sound();
    shorter.body.truncate(8);
    violates(&shorter.stream(&schema()), &StreamViolation::CutOff);
    // No memory is taken for what is only stated.
    let large = Batch {
        stated: MAX_BODY as i64,
        ..Batch::sound()
    };
    let mut stream = CheckedStream::new();
    let mut bytes = Bytes::from(large.stream(&schema()));
    while stream.decode(&mut bytes).unwrap().is_some() {}
    assert!(stream.held() < 1 << 20, "{} bytes are held", stream.held());
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

/// Each number of a batch, one at a time, with every value that breaks readers: whatever is then read is within the limits.
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
    let sound = Batch::sound();
    let places: Vec<fn(&mut Batch) -> &mut i64> = vec![
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
    for place in &places {
        for other in &places {
            let (first, second) = (*place(&mut sound.clone()), *other(&mut sound.clone()));
            for value in extremes(first) {
                for another in extremes(second) {
                    let mut batch = sound.clone();
                    *place(&mut batch) = value;
                    *other(&mut batch) = another;
                    if let Ok((schema, batches)) = read(&batch.stream(&schema())) {
                        bounded(&schema, &batches);
                    }
                }
            }
        }
    }
}

/// Writes the streams with which the fuzzer and the attacks over the wire begin, when it is asked to.
#[test]
fn seeds_are_written_when_asked_for() {
    if std::env::var_os("CONCORDAT_WRITE_SEEDS").is_none() {
        return;
    }
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/streams");
    let put = |name: &str, bytes: Vec<u8>| std::fs::write(dir.join(name), bytes).unwrap();
    put("rows", encoded(&rows()));
    put("sound", Batch::sound().stream(&schema()));
    let mut compressed = Batch {
        compression: Some(CompressionType::ZSTD),
        ..Batch::sound()
    };
    compressed.body[..8].copy_from_slice(&(1_u64 << 46).to_le_bytes());
    put("compressed", compressed.stream(&schema()));
    let columns = Schema::new(vec![Field::new("nothing", DataType::Null, true)]);
    let nothing = Batch {
        rows: 1 << 45,
        nodes: vec![(1 << 45, 1 << 45)],
        buffers: Vec::new(),
        stated: 0,
        body: Vec::new(),
        ..Batch::sound()
    };
    put("nothing", nothing.stream(&columns));
    put(
        "large",
        Batch {
            stated: 1 << 46,
            ..Batch::sound()
        }
        .stream(&schema()),
    );
    put(
        "negative",
        Batch {
            rows: -1,
            ..Batch::sound()
        }
        .stream(&schema()),
    );
    let mut outside = Batch::sound();
    outside.buffers[1] = (0, i64::MAX);
    put("outside", outside.stream(&schema()));
    let mut offsets = Batch::sound();
    offsets.body[20..24].copy_from_slice(&i32::MAX.to_le_bytes());
    put("offsets", offsets.stream(&schema()));
    let words: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let batch = RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).unwrap();
    put("dictionary", written(&batch, IpcWriteOptions::default()));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    let batch = RecordBatch::try_from_iter([("list", Arc::new(list) as ArrayRef)]).unwrap();
    put("list", written(&batch, IpcWriteOptions::default()));
    let views = StringViewArray::from(vec!["a text that is too long to lie in its view"; 3]);
    let batch = RecordBatch::try_from_iter([("view", Arc::new(views) as ArrayRef)]).unwrap();
    put("views", written(&batch, IpcWriteOptions::default()));
}
