use chrono::DateTime;
use tokio::{
    net::{UnixStream, unix::OwnedReadHalf},
    task::JoinHandle,
};

use super::{
    super::{frames::Frames, messages::decode},
    *,
};

/// The node's end: it sees what is requested.
struct Node {
    frames: Frames<OwnedReadHalf>,
    pending: PendingReads,
    writer: Writer,
    _unused: (OwnedReadHalf, OwnedWriteHalf),
}

impl Node {
    fn new() -> Self {
        let (child, node) = UnixStream::pair().unwrap();
        let (child_reads, child_writes) = child.into_split();
        let (node_reads, node_writes) = node.into_split();
        Self {
            frames: Frames::new(node_reads),
            pending: PendingReads::default(),
            writer: Arc::new(tokio::sync::Mutex::new(child_writes)),
            _unused: (child_reads, node_writes),
        }
    }

    /// The store of a query over objects of these sizes, named by their positions.
    async fn store(&self, sizes: &[u64]) -> NodeStore {
        let objects = sizes.iter().enumerate().map(|(at, size)| ObjectMeta {
            location: name(at),
            last_modified: DateTime::UNIX_EPOCH,
            size: *size,
            e_tag: None,
            version: None,
        });
        let store = NodeStore::open(objects.collect(), Arc::clone(&self.writer), self.pending.clone());
        store.await.unwrap()
    }

    /// What was requested and not returned here before.
    async fn requested(&mut self) -> Vec<ReadRequest> {
        let mut requests = Vec::new();
        while let Ok(frame) = tokio::time::timeout(std::time::Duration::from_millis(50), self.frames.next()).await {
            let (kind, body) = frame.unwrap().unwrap();
            assert_eq!(kind, Kind::ReadRequest);
            requests.push(decode::<ReadRequest>(&body).unwrap());
        }
        requests
    }
}

fn name(at: usize) -> Path {
    Path::from(at.to_string())
}

fn bytes(length: u8) -> Bytes {
    (0..length).collect::<Vec<u8>>().into()
}

fn kind_of(error: &object_store::Error) -> ErrorKind {
    crate::store_error::store_error_kind(error)
}

async fn read(store: &NodeStore, at: usize, range: Range<u64>) -> Result<Vec<Bytes>> {
    store.get_ranges(&name(at), std::slice::from_ref(&range)).await
}

/// Reads the first byte of an object in a task.
fn reading(store: &Arc<NodeStore>, at: usize) -> JoinHandle<Result<Vec<Bytes>>> {
    let store = Arc::clone(store);
    tokio::spawn(async move { read(&store, at, 0..1).await })
}

#[tokio::test]
async fn engine_requests_a_small_version_before_it_reads() {
    let mut node = Node::new();
    let store = node.store(&[10, 20]).await;
    let requested = node.requested().await;
    let of: Vec<_> = requested.iter().map(|one| (one.object, one.ranges.clone())).collect();
    assert_eq!(of, [(0, vec![(0, 10)]), (1, vec![(0, 20)])]);
    for request in requested {
        let length = if request.object == 0 { 10 } else { 20 };
        node.pending.resolve(request.number, Ok(bytes(length)));
    }
    let parts = store.get_ranges(&name(1), &[18..20, 0..3, 5..5, 0..20]).await.unwrap();
    let whole = bytes(20);
    assert_eq!(
        parts,
        [whole.slice(18..), whole.slice(..3), Bytes::new(), whole.clone()]
    );
    assert_eq!(read(&store, 0, 1..10).await.unwrap(), [bytes(10).slice(1..)]);
    assert!(read(&store, 0, 9..11).await.is_err());
    assert!(read(&store, 2, 0..1).await.is_err());
    assert!(node.requested().await.is_empty(), "everything was there");
}

#[tokio::test]
async fn engine_refuses_a_whole_object_of_another_length() {
    let mut node = Node::new();
    let store = node.store(&[10]).await;
    let number = node.requested().await.first().unwrap().number;
    node.pending.resolve(number, Ok(bytes(9)));
    assert!(read(&store, 0, 0..9).await.is_err());
}

#[tokio::test]
async fn engine_reports_why_a_whole_object_is_unreadable() {
    let mut node = Node::new();
    let store = node.store(&[10]).await;
    let number = node.requested().await.first().unwrap().number;
    node.pending.resolve(number, Err(ErrorKind::Integrity));
    for _ in 0..2 {
        let error = read(&store, 0, 0..1).await.unwrap_err();
        assert_eq!(kind_of(&error), ErrorKind::Integrity);
    }
}

#[tokio::test]
async fn engine_requests_no_large_version_before_it_reads() {
    let mut node = Node::new();
    let _large = node.store(&[WHOLE_BYTES, 1]).await;
    let _many = node.store(&[1; MAX_READS + 1]).await;
    let _empty = node.store(&[]).await;
    assert!(node.requested().await.is_empty());
}

/// The node ends a process with more requests than it accepts.
#[tokio::test]
async fn engine_reads_no_more_at_once_than_the_node_accepts() {
    let mut node = Node::new();
    let store = Arc::new(node.store(&[WHOLE_BYTES; MAX_READS + 2]).await);
    let reads: Vec<_> = (0..MAX_READS + 2).map(|at| reading(&store, at)).collect();
    for awaited in [MAX_READS, 2] {
        let requested = node.requested().await;
        assert_eq!(requested.len(), awaited);
        for request in requested {
            node.pending.resolve(request.number, Ok(bytes(1)));
        }
    }
    for read in reads {
        assert_eq!(read.await.unwrap().unwrap(), [bytes(1)]);
    }
}

/// A read that is not awaited any more counts until the node has answered it.
#[tokio::test]
async fn engine_counts_reads_that_it_has_given_up() {
    let mut node = Node::new();
    let store = Arc::new(node.store(&[WHOLE_BYTES + 1]).await);
    let given_up: Vec<_> = (0..MAX_READS).map(|_| reading(&store, 0)).collect();
    let requested = node.requested().await;
    assert_eq!(requested.len(), MAX_READS);
    for read in given_up {
        read.abort();
        assert!(read.await.is_err());
    }
    let _next = reading(&store, 0);
    assert!(node.requested().await.is_empty());
    node.pending.resolve(requested.first().unwrap().number, Ok(bytes(1)));
    assert_eq!(node.requested().await.len(), 1);
}

/// What a query requested and did not need is not answered after its end.
#[tokio::test]
async fn engine_forgets_the_reads_of_the_query_before() {
    let mut node = Node::new();
    drop(node.store(&[10]).await);
    let before = node.requested().await;
    let store = Arc::new(node.store(&[10]).await);
    assert_eq!(node.pending.requests().open.len(), 1);
    node.pending.resolve(before.first().unwrap().number, Ok(bytes(10)));
    let read = reading(&store, 0);
    assert_eq!(node.requested().await.len(), 1, "that of the query itself");
    assert!(!read.is_finished());
}
