//! Messages that are passed on as they were received.

use super::*;

/// The columns of `batch`, and the message of its rows.
fn sent(batch: &RecordBatch) -> (Bytes, Bytes) {
    let mut encoder = StreamEncoder::new(&batch.schema()).unwrap();
    let columns = encoder.take().into();
    encoder.encode(batch).unwrap();
    (columns, encoder.take().into())
}

/// The rows of a message, if it is valid.
fn decoded(columns: &Bytes, message: &Bytes) -> Option<RecordBatch> {
    let mut stream = CheckedStream::new();
    stream.decode(&mut columns.clone()).unwrap();
    match stream.decode(&mut message.clone()) {
        Ok(Some(Item::Batch(batch))) => Some(batch),
        Ok(_) | Err(_) => None,
    }
}

/// What is sent for rows that were received as `message`.
fn passed_on(batch: &RecordBatch, message: &Bytes) -> Bytes {
    let mut encoder = StreamEncoder::new(&batch.schema()).unwrap();
    let _columns = encoder.take();
    encoder.encode_received(batch, message).unwrap()
}

#[test]
fn received_message_is_passed_on_without_a_copy() {
    for batch in [rows(), rows().slice(1, 3), rows().slice(4, 1)] {
        let (columns, message) = sent(&batch);
        let found = decoded(&columns, &message).unwrap();
        assert_eq!(found, batch);
        let passed = passed_on(&found, &message);
        assert_eq!(passed, message);
        assert_eq!(passed.as_ptr(), message.as_ptr());
    }
}

#[test]
fn first_message_is_passed_on_after_the_columns() {
    let batch = rows();
    let (columns, message) = sent(&batch);
    let mut encoder = StreamEncoder::new(&batch.schema()).unwrap();
    let first = encoder.encode_received(&batch, &message).unwrap();
    assert_eq!(first, [&columns[..], &message[..]].concat());
    let second = encoder.encode_received(&batch, &message).unwrap();
    assert_eq!(second.as_ptr(), message.as_ptr());
}

/// Each byte changed in turn: what is passed on states the decoded rows, as they are written here, and nothing else.
#[test]
fn received_message_is_passed_on_only_as_it_would_be_written() {
    let (columns, message) = sent(&rows());
    let mut differing = 0_usize;
    for at in 0..message.len() {
        let mut changed = message.to_vec();
        changed[at] ^= 1;
        let changed = Bytes::from(changed);
        let Some(batch) = decoded(&columns, &changed) else {
            continue;
        };
        let expected = sent(&batch).1;
        assert_eq!(passed_on(&batch, &changed), expected, "byte {at}");
        differing += usize::from(expected != changed);
    }
    assert!(differing > 100, "{differing}");
}

#[test]
fn received_message_of_other_rows_is_not_passed_on() {
    let other = rows().slice(1, 3);
    let (_, message) = sent(&rows());
    assert_eq!(passed_on(&other, &message), sent(&other).1);
    let longer = Bytes::from([&message[..], b"more"].concat());
    assert_eq!(passed_on(&rows(), &longer), message);
    let shorter = message.slice(..message.len() - 1);
    assert_eq!(passed_on(&rows(), &shorter), message);
}

#[test]
fn parts_of_rows_are_what_is_written_for_them() {
    let text = "x".repeat(1 << 20);
    let large = RecordBatch::try_from_iter([("t", Arc::new(StringArray::from(vec![text.as_str(); 50])) as ArrayRef)]);
    for batch in [rows(), rows().slice(2, 2), rows().slice(0, 0), large.unwrap()] {
        let mut encoder = StreamEncoder::new(&batch.schema()).unwrap();
        let _columns = encoder.take();
        let parts = encoder.parts(&batch).unwrap();
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
        assert!(parts.concat() == sent(&batch).1);
    }
}
