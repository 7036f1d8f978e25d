use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use tokio::{
    net::{UnixStream, unix::OwnedReadHalf},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{super::frames::Frames, *};
use crate::disclosure::RawBatch;

const MIB: usize = 1 << 20;
/// Longer than anything here takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(30);
/// How long nothing happens before it counts as not happening.
const QUIET: Duration = Duration::from_millis(300);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, true)]))
}

/// One row with a text of `bytes` bytes that begins with `number`.
fn row(number: usize, bytes: usize) -> RecordBatch {
    let text = format!("{number:08}{}", "x".repeat(bytes.saturating_sub(8)));
    let column: ArrayRef = Arc::new(StringArray::from(vec![text]));
    RecordBatch::try_new(schema(), vec![column]).unwrap()
}

/// An answer that is being sent, and the end of its node.
struct Sending {
    node: Frames<OwnedReadHalf>,
    computed: Arc<AtomicUsize>,
    sent: JoinHandle<Result<(), QueryError>>,
}

impl Sending {
    /// Sends `batches`, each of which is counted when it is computed.
    fn start(batches: impl Iterator<Item = Result<RecordBatch, QueryError>> + Send + 'static) -> Self {
        let (child, node) = UnixStream::pair().unwrap();
        let (_, writer) = child.into_split();
        let writer: Writer = Arc::new(tokio::sync::Mutex::new(writer));
        let (node, _) = node.into_split();
        let computed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&computed);
        let batches = batches.inspect(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let raw = RawAnswer {
            schema: schema(),
            batches: futures::stream::iter(batches.map(|batch| batch.map(RawBatch::from))).boxed(),
        };
        Self {
            node: Frames::new(node),
            computed,
            sent: tokio::spawn(async move { send_answer(raw, &writer).await }),
        }
    }

    fn computed(&self) -> usize {
        self.computed.load(Ordering::SeqCst)
    }

    /// Waits until so many batches are computed.
    async fn until_computed(&self, batches: usize) {
        let reached = async {
            while self.computed() < batches {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, reached).await.unwrap();
    }

    async fn frame(&mut self) -> Option<(Kind, bytes::Bytes)> {
        timeout(LONG, self.node.next()).await.unwrap().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_computed_while_earlier_ones_wait_in_bounded_number() {
    let sending = Sending::start((0..64).map(|number| Ok(row(number, MIB))));
    sending.until_computed(8).await;
    sleep(QUIET).await;
    // The last one waits for memory, and the socket may have some.
    let most = PREPARED_BYTES / MIB + 4;
    assert!(sending.computed() <= most, "{}", sending.computed());
    drop(sending.node);
    let ended = timeout(LONG, sending.sent).await.unwrap().unwrap();
    assert!(matches!(ended, Err(QueryError::Memory)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_batch_is_sent_before_the_next_is_computed() {
    let mut sending = Sending::start((0..2).map(|number| Ok(row(number, PREPARED_BYTES + MIB))));
    sending.until_computed(1).await;
    sleep(QUIET).await;
    assert_eq!(sending.computed(), 1);
    assert_eq!(sending.frame().await.unwrap().0, Kind::Columns);
    assert_eq!(sending.frame().await.unwrap().0, Kind::Rows);
    sending.until_computed(2).await;
    assert_eq!(sending.frame().await.unwrap().0, Kind::Rows);
    sending.sent.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_sent_in_their_order_and_before_the_error_after_them() {
    for bytes in [[100, 200], [SMALL_BYTES, 2 * SMALL_BYTES], [2 * SMALL_BYTES, 100]] {
        let rows = move || (0..10).map(move |number| row(number, bytes[number / 5]));
        let failed = std::iter::once_with(|| Err(QueryError::Deadline));
        let mut sending = Sending::start(rows().map(Ok).chain(failed));
        let mut expected = StreamEncoder::new(&schema()).unwrap();
        let (kind, columns) = sending.frame().await.unwrap();
        assert_eq!((kind, columns.to_vec()), (Kind::Columns, expected.take()));
        for row in rows() {
            expected.encode(&row).unwrap();
            let (kind, body) = sending.frame().await.unwrap();
            assert_eq!(kind, Kind::Rows);
            assert!(body.to_vec() == expected.take(), "{bytes:?}");
        }
        let ended = timeout(LONG, sending.sent).await.unwrap().unwrap();
        assert!(matches!(ended, Err(QueryError::Deadline)), "{ended:?}");
        assert!(timeout(LONG, sending.node.next()).await.unwrap().unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batch_without_rows_is_not_sent() {
    let empty = RecordBatch::new_empty(schema());
    let mut sending = Sending::start([Ok(empty.clone()), Ok(row(1, 2 * SMALL_BYTES)), Ok(empty)].into_iter());
    assert_eq!(sending.frame().await.unwrap().0, Kind::Columns);
    assert_eq!(sending.frame().await.unwrap().0, Kind::Rows);
    sending.sent.await.unwrap().unwrap();
    assert!(timeout(LONG, sending.node.next()).await.unwrap().unwrap().is_none());
}
