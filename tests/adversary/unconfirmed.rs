//! Consumers that receive a part of an answer and do not confirm it: what was on its way counts as released, and nothing of it is
//! delivered after the grant was revoked.

use concordat_node::Question;
use concordat_protocol::wire::streams::{QUERY, RECEIPT};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use concordat_network::Session;
use concordat_protocol::audit::{EntryBody, Outcome};
use concordat_protocol::grant::GrantEvent;
use concordat_protocol::ids::GrantId;
use concordat_protocol::wire::codec::HEADER_LEN;
use concordat_protocol::wire::messages::{ChunkAccepted, QueryFrame, QueryOpening, ReceiptReply, ReceiptRequest};
use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};

use super::malicious_peer::{Wire, soon};
use super::negotiation_fixture::{change, grant_between_members, granted};
use super::queries::envelope;
use super::well_behaved::{InProcessNode, SUBJECTS, World};

/// Rows whose encoding fills more than one chunk, and more than a stream may buffer.
const MANY_ROWS: usize = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_whose_last_byte_is_not_read_counts_as_released() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    for missing in [1, 0] {
        let before = ends(&world.provider).len();
        let (mut stream, len) = first_chunk(&world, grant).await;
        stream.bytes(len - missing).await.unwrap();
        drop(stream);
        let (rows, bytes, outcome) = end(&world.provider, before).await;
        assert_eq!(
            (rows, bytes),
            (SUBJECTS as u64, len as u64),
            "{missing} bytes were not read"
        );
        let Outcome::Failed { reason } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(reason.to_string().contains("not confirmed"), "{reason}");
    }
    let mut stream = world.attacker.open(&world.provider, RECEIPT).await.unwrap();
    stream.send(&ReceiptRequest {}).await.unwrap();
    let ReceiptReply { receipts } = stream.recv().await.unwrap();
    let stated = receipts.iter().map(|receipt| receipt.peek_unverified().unwrap().rows);
    assert_eq!(stated.collect::<Vec<_>>(), [SUBJECTS as u64; 2]);
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_continues_only_after_each_chunk_is_confirmed() {
    let world = World::connected().await;
    let grant = granted(&world).await;
    let (mut stream, len) = first_chunk(&world, grant).await;
    stream.bytes(len).await.unwrap();
    let next = tokio::time::timeout(Duration::from_millis(500), stream.bytes(1)).await;
    assert!(next.is_err(), "the next chunk came without a confirmation");
    let wrong = ChunkAccepted { number: 2, more: true };
    stream.send(&wrong).await.unwrap();
    assert!(stream.is_dropped().await, "a wrong confirmation was accepted");
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_grant_delivers_nothing_to_a_reader_that_stops() {
    nothing_arrives_after_a_revocation(|_| ()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_grant_delivers_nothing_to_a_reader_that_left() {
    nothing_arrives_after_a_revocation(|stream| drop(stream.take())).await;
}

/// The connection of the attacker goes through a relay that stops reading from the provider, as the attacker's kernel could: what the
/// provider has sent and what has not arrived waits in the provider's buffers.
async fn nothing_arrives_after_a_revocation(before_it: impl FnOnce(&mut Option<Wire>)) {
    let world = World::new().await;
    let relay = Relay::start(&world.provider).await;
    world
        .attacker
        .meet_at(&world.provider, vec![relay.address.clone()])
        .await;
    let grant = granted(&world).await;
    world.provider.import_rows(MANY_ROWS).await;
    let mut stream = Some(world.attacker.open(&world.provider, QUERY).await.unwrap());
    relay.pause();
    let query = QueryFrame {
        envelope: envelope(&world, grant, |_| (), |_| ()),
    };
    stream.as_mut().unwrap().send(&query).await.unwrap();
    soon(relay.until_full()).await;
    before_it(&mut stream);
    soon(change(&world.provider, &grant, GrantEvent::Revoke)).await;

    let arrived = relay.arrived().await;
    let delivered = soon(relay.resume_until_the_end()).await;
    assert!(
        delivered <= arrived,
        "{delivered} bytes were delivered after the revocation; {arrived} had arrived before it"
    );
    let (rows, bytes, outcome) = end(&world.provider, 0).await;
    assert!(rows > 0 && bytes > 0, "{rows} rows, {bytes} bytes");
    let (Outcome::Cut { reason } | Outcome::Failed { reason }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(reason.to_string().contains("not confirmed"), "{reason}");
    world.assert_still_serving().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_its_reader_ends_early_is_confirmed_exactly() {
    let world = World::connected().await;
    let grant = grant_between_members(&world).await;
    world.provider.import_rows(5 * MANY_ROWS).await;
    let eva = world.member.researcher().await;
    let federation = world.member.node.federation();
    let mut answer = soon(federation.query(&eva, &Question::new("SELECT sex, chol FROM cleveland.heart")))
        .await
        .unwrap();
    soon(answer.next()).await.unwrap().unwrap();
    drop(answer);
    let (_, bytes, outcome) = end(&world.provider, 0).await;
    assert!(format!("{outcome:?}").contains("wants no more rows"), "{outcome:?}");
    let received = async {
        loop {
            let entries = world.member.node.ledger().range(0, u64::MAX).unwrap();
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a test names the variant that it looks for"
            )]
            let closed = entries.into_iter().find_map(|stored| match stored.entry.body {
                EntryBody::QueryClosed { bytes, .. } => Some(bytes),
                _ => None,
            });
            match closed {
                Some(bytes) => return bytes,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    assert_eq!(soon(received).await, bytes, "both sides state the same");

    // Nothing is in transit, so the revocation needs no reset.
    let session = || {
        let sessions = world.provider.node.network().sessions();
        sessions
            .borrow()
            .get(&world.member.node.network().local_id())
            .map(Session::number)
    };
    let before = session();
    soon(change(&world.provider, &grant, GrantEvent::Revoke)).await;
    assert!(before.is_some() && session() == before, "the session was reset");
    world.assert_still_serving().await;
}

/// Sends a query and returns the stream at the start of the first chunk, with the chunk's length.
async fn first_chunk(world: &World, grant: GrantId) -> (Wire, usize) {
    let mut stream = world.attacker.open(&world.provider, QUERY).await.unwrap();
    let envelope = envelope(world, grant, |_| (), |_| ());
    stream.send(&QueryFrame { envelope }).await.unwrap();
    assert!(matches!(stream.recv().await.unwrap(), QueryOpening::Accepted { .. }));
    let header: [u8; HEADER_LEN] = stream.bytes(HEADER_LEN).await.unwrap().try_into().unwrap();
    (stream, u32::from_be_bytes(header) as usize)
}

/// The outcomes of answers in the ledger of a provider.
fn ends(target: &InProcessNode) -> Vec<(u64, u64, Outcome)> {
    let entries = target.node.ledger().range(0, u64::MAX).unwrap();
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a test names the variant that it looks for"
    )]
    let ended = entries.into_iter().filter_map(|stored| match stored.entry.body {
        EntryBody::AnswerReleased {
            rows, bytes, outcome, ..
        } => Some((rows, bytes, outcome)),
        _ => None,
    });
    ended.collect()
}

/// The outcome that follows the first `before`.
async fn end(target: &InProcessNode, before: usize) -> (u64, u64, Outcome) {
    let next = async {
        loop {
            if let Some(end) = ends(target).into_iter().nth(before) {
                return end;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(next).await
}

/// Passes on the bytes of a connection with a node, and can stop to read what the node sends.
struct Relay {
    address: Multiaddr,
    paused: watch::Sender<bool>,
    node: watch::Receiver<Option<Arc<TcpStream>>>,
    ended: Mutex<Option<oneshot::Receiver<usize>>>,
}

impl Relay {
    async fn start(target: &InProcessNode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let node = socket_address(&target.node.network().listen_addrs()[0]);
        let (paused, is_paused) = watch::channel(false);
        let (connected, connection) = watch::channel(None);
        let (over, ended) = oneshot::channel();
        tokio::spawn(async move {
            let (near, _) = listener.accept().await.unwrap();
            let socket = TcpSocket::new_v4().unwrap();
            // Small, so that the node has to keep the rest.
            socket.set_recv_buffer_size(16 << 10).unwrap();
            let far = Arc::new(socket.connect(node).await.unwrap());
            connected.send_replace(Some(Arc::clone(&far)));
            relay(near, far, is_paused, over).await;
        });
        Self {
            address: format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap(),
            paused,
            node: connection,
            ended: Mutex::new(Some(ended)),
        }
    }

    fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Waits until the node can send no more.
    async fn until_full(&self) {
        let mut before = 0;
        let mut same = 0;
        while before < 4096 || same < 5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.arrived().await;
            same = if now == before { same + 1 } else { 0 };
            before = now;
        }
    }

    /// How many bytes have arrived from the node and were not passed on.
    async fn arrived(&self) -> usize {
        let node = self.node.borrow().clone().unwrap();
        let mut buffer = vec![0; 4 << 20];
        tokio::time::timeout(Duration::from_millis(50), node.peek(&mut buffer))
            .await
            .map_or(0, |peeked| peeked.unwrap_or(0))
    }

    /// Reads on, and returns how many bytes came until the connection was over.
    async fn resume_until_the_end(&self) -> usize {
        self.paused.send_replace(false);
        let ended = self.ended.lock().unwrap().take().unwrap();
        ended.await.unwrap()
    }
}

/// Reports at the end how many bytes came from the node since the last pause.
async fn relay(near: TcpStream, far: Arc<TcpStream>, mut paused: watch::Receiver<bool>, over: oneshot::Sender<usize>) {
    let (near_reader, mut near_writer) = near.into_split();
    let to_node = Arc::clone(&far);
    tokio::spawn(async move {
        while near_reader.readable().await.is_ok() {
            let mut buffer = [0; 16 << 10];
            let read = match near_reader.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => read,
                Err(_) => continue,
            };
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                to_node.writable().await.unwrap();
                rest = &rest[to_node.try_write(rest).unwrap_or(0)..];
            }
        }
    });
    let mut since_pause = 0;
    loop {
        if *paused.borrow_and_update() {
            since_pause = 0;
            paused.wait_for(|paused| !paused).await.unwrap();
        }
        tokio::select! {
            biased;
            changed = paused.changed() => {
                changed.unwrap();
                continue;
            }
            ready = far.readable() => drop(ready),
        }
        let mut buffer = [0; 16 << 10];
        match far.try_read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => break,
            Ok(read) => {
                since_pause += read;
                // The attacker may be gone.
                let _ = near_writer.write_all(&buffer[..read]).await;
            }
        }
    }
    let _ = over.send(since_pause);
}

fn socket_address(address: &Multiaddr) -> SocketAddr {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a test names the variant that it looks for"
    )]
    let port = address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    SocketAddr::from(([127, 0, 0, 1], port.unwrap()))
}
