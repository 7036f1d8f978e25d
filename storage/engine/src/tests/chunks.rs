//! Chunks of an answer: their bytes, and what is counted with them.

use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use concordat_arrow_stream::StreamEncoder;
use concordat_protocol::wire::messages::AnswerDigest;
use futures::{FutureExt, StreamExt, stream};

use super::*;
use crate::{
    IpcAnswer, ReleasedChunk,
    disclosure::{RawAnswer, RawBatch},
};

/// Rows with a long text each, some 4 KiB.
fn wide(rows: usize) -> RecordBatch {
    let texts = (0..rows).map(|n| format!("{n}{}", "x".repeat(4096)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let schema = Schema::new(vec![Field::new("text", DataType::Utf8, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![texts]).unwrap()
}

/// The released answer of a process that computed `batches`.
async fn released(batches: Vec<RawBatch>) -> IpcAnswer {
    let fixture = Fixture::new().await;
    let (_, _, receipt) = fixture.permit(grant(1), clear(Tier::Records, &["name"])).open();
    let raw = RawAnswer {
        schema: wide(1).schema(),
        batches: stream::iter(batches.into_iter().map(Ok)).boxed(),
    };
    let deadline = Box::pin(tokio::time::sleep(Duration::from_secs(600)));
    let answer = ReleasedAnswer::new(raw, None, receipt, Arc::new(|| Ok(())), deadline);
    answer.into_ipc().unwrap()
}

/// The message of `rows`, as a process sends it.
fn message(rows: &RecordBatch) -> Bytes {
    let mut encoder = StreamEncoder::new(&rows.schema()).unwrap();
    let _columns = encoder.take();
    encoder.encode(rows).unwrap();
    encoder.take().into()
}

async fn chunks(mut ipc: IpcAnswer) -> Vec<ReleasedChunk> {
    let mut chunks = Vec::new();
    while let Some(chunk) = ipc.next_chunk().await.unwrap() {
        chunks.push(chunk);
    }
    chunks
}

fn rows_in(chunks: &[ReleasedChunk]) -> Vec<RecordBatch> {
    let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
    let rows = StreamReader::try_new(bytes.as_slice(), None).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn chunk_whose_hashing_is_canceled_is_released_whole() {
    let batches = || (1..4).map(|n| RawBatch::from(wide(100 * n))).collect();
    let expected = chunks(released(batches()).await).await;
    let mut ipc = released(batches()).await;
    let mut canceled = 0;
    let mut found = Vec::new();
    loop {
        // One step of the hash each time.
        match ipc.next_chunk().now_or_never() {
            Some(Ok(Some(chunk))) => found.push(chunk),
            Some(end) => {
                assert!(end.unwrap().is_none());
                break;
            }
            None => {
                canceled += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    assert!(canceled > 30, "{canceled}");
    assert_eq!(found.len(), expected.len());
    let mut before = Vec::new();
    for (found, expected) in found.iter().zip(&expected) {
        before.extend_from_slice(&found.bytes);
        assert!(found.bytes == expected.bytes);
        assert_eq!(found.totals, expected.totals);
        assert_eq!(found.totals.answer, AnswerDigest::of(&before));
        assert_eq!(found.totals.bytes, before.len() as u64);
    }
}

#[tokio::test]
async fn message_of_a_process_is_a_chunk_as_it_came() {
    let rows = [wide(3), wide(100), wide(200)];
    let messages = rows.each_ref().map(message);
    let batches = rows.iter().zip(&messages).map(|(rows, message)| RawBatch {
        rows: rows.clone(),
        message: Some(message.clone()),
    });
    let chunks = chunks(released(batches.collect()).await).await;
    assert_eq!(chunks.len(), 4);
    assert!(chunks[0].bytes.ends_with(&messages[0]), "after the columns");
    for at in [1, 2] {
        assert_eq!(chunks[at].bytes.as_ptr(), messages[at].as_ptr(), "without a copy");
        assert_eq!(chunks[at].bytes.len(), messages[at].len());
    }
    assert_eq!(rows_in(&chunks), rows);
}

#[tokio::test]
async fn message_of_a_process_longer_than_a_chunk_is_divided() {
    let rows = wide(1000);
    let batch = RawBatch {
        message: Some(message(&rows)),
        rows: rows.clone(),
    };
    let chunks = chunks(released(vec![batch]).await).await;
    assert!(chunks.len() > 4);
    assert!(chunks.iter().all(|chunk| chunk.bytes.len() <= 1 << 20));
    let found = rows_in(&chunks);
    assert_eq!(arrow::compute::concat_batches(&rows.schema(), &found).unwrap(), rows);
}

#[tokio::test]
async fn message_of_a_process_with_other_rows_is_not_released() {
    let batch = RawBatch {
        message: Some(message(&wide(5))),
        rows: wide(4),
    };
    let chunks = chunks(released(vec![RawBatch::from(wide(1)), batch]).await).await;
    assert_eq!(rows_in(&chunks), [wide(1), wide(4)]);
}
