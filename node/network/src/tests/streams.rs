//! Streams of attested peers: permits, servers, dead connections, and traffic in both directions.

use bytes::Bytes;
use concordat_protocol::wire::streams::{CATALOG, ESTIMATE, HELLO, QUERY};

use super::*;

#[tokio::test]
async fn streams_one_peer_cannot_use_all_permits() {
    let flood = Node::start(1, TCP).await;
    let other = Node::start(2, TCP).await;
    let node = Node::start(3, TCP).await;
    introduce(&[&flood, &other, &node]).await;
    attest(&flood, &node).await;
    attest(&other, &node).await;
    let mut incoming = node.net.accept(QUERY).unwrap();

    let mut held = Vec::new();
    for _ in 0..TEST_STREAMS_PER_PEER {
        held.push((flood.net.open(node.id(), QUERY).await.unwrap(), incoming.next().await));
    }
    let mut surplus = flood.net.open(node.id(), QUERY).await.unwrap();
    assert!(!matches!(surplus.recv::<Note>().await, Ok(Some(_))));

    let _served = other.net.open(node.id(), QUERY).await.unwrap();
    assert_eq!(incoming.next().await.session().peer(), other.id());

    held.pop();
    let _again = flood.net.open(node.id(), QUERY).await.unwrap();
    assert_eq!(incoming.next().await.session().peer(), flood.id());
}

#[tokio::test]
async fn streams_for_catalogs_leave_half_for_queries() {
    let one = Node::start(1, TCP).await;
    let two = Node::start(2, TCP).await;
    introduce(&[&one, &two]).await;
    attest(&one, &two).await;
    let mut catalogs = two.net.accept(CATALOG).unwrap();
    let mut queries = two.net.accept(QUERY).unwrap();
    let mut held = Vec::new();
    for _ in 0..TEST_STREAMS_PER_PEER / 2 {
        held.push((one.net.open(two.id(), CATALOG).await.unwrap(), catalogs.next().await));
    }
    let mut surplus = one.net.open(two.id(), CATALOG).await.unwrap();
    assert!(!matches!(surplus.recv::<Note>().await, Ok(Some(_))));
    for _ in 0..TEST_STREAMS_PER_PEER / 2 {
        held.push((one.net.open(two.id(), QUERY).await.unwrap(), queries.next().await));
    }
    held.remove(0);
    let _again = one.net.open(two.id(), QUERY).await.unwrap();
    tokio::time::timeout(TEST_TIMEOUT, queries.next()).await.unwrap();
}

#[tokio::test]
async fn streams_for_estimates_and_catalogs_have_one_half() {
    let one = Node::start(1, TCP).await;
    let two = Node::start(2, TCP).await;
    introduce(&[&one, &two]).await;
    attest(&one, &two).await;
    let mut catalogs = two.net.accept(CATALOG).unwrap();
    let mut estimates = two.net.accept(ESTIMATE).unwrap();
    let mut queries = two.net.accept(QUERY).unwrap();
    let mut held = vec![(one.net.open(two.id(), CATALOG).await.unwrap(), catalogs.next().await)];
    for _ in 1..TEST_STREAMS_PER_PEER / 2 {
        held.push((one.net.open(two.id(), ESTIMATE).await.unwrap(), estimates.next().await));
    }
    for surplus in [CATALOG, ESTIMATE] {
        let mut stream = one.net.open(two.id(), surplus).await.unwrap();
        assert!(!matches!(stream.recv::<Note>().await, Ok(Some(_))), "{surplus}");
    }
    let _served = one.net.open(two.id(), QUERY).await.unwrap();
    tokio::time::timeout(TEST_TIMEOUT, queries.next()).await.unwrap();
}

#[tokio::test]
async fn streams_opened_at_once_are_all_accepted() {
    let one = Node::start(1, TCP).await;
    let two = Node::start(2, TCP).await;
    introduce(&[&one, &two]).await;
    attest(&one, &two).await;
    let mut incoming = two.net.accept(QUERY).unwrap();
    let opening = futures::future::join_all((0..TEST_STREAMS_PER_PEER).map(|_| one.net.open(two.id(), QUERY)));
    let opened: Vec<_> = opening.await.into_iter().map(Result::unwrap).collect();
    for _ in &opened {
        tokio::time::timeout(TEST_TIMEOUT, incoming.next()).await.unwrap();
    }
}

#[tokio::test]
async fn a_protocol_has_one_server_and_may_have_none() {
    let one = Node::start(1, TCP).await;
    let two = Node::start(2, TCP).await;
    introduce(&[&one, &two]).await;
    attest(&one, &two).await;
    let refused = one.net.open(two.id(), QUERY).await.unwrap_err();
    assert!(matches!(refused, NetworkError::Unsupported { protocol, .. } if protocol.as_ref() == QUERY.as_str()));

    let serving = two.net.accept(QUERY).unwrap();
    assert!(matches!(two.net.accept(QUERY), Err(NetworkError::AlreadyServed { .. })));
    drop(serving);
    assert!(two.net.accept(QUERY).is_ok());
}

/// A process that is killed does not close its connections: over QUIC its peers notice only after seconds without packets.
#[tokio::test]
async fn stream_to_restarted_member_uses_new_connection() {
    for transport in [TCP, QUIC] {
        let one = Node::start(1, transport).await;
        let doomed = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let two = doomed
            .spawn(async move { Node::start(2, transport).await })
            .await
            .unwrap();
        introduce(&[&one, &two]).await;
        one.session(&two).await;
        let address = two.net.listen_addrs()[0].to_string();
        doomed.shutdown_background();

        let two = Node::restart(2, &address).await;
        two.set_members(&[&one]).await;
        let mut incoming = two.net.accept(HELLO).unwrap();
        two.session(&one).await;
        tokio::spawn(async move {
            let mut received = incoming.next().await;
            let request = received.expect::<Note>().await.unwrap();
            received.send(&request).await.unwrap();
        });
        let answer = exchange(&one, &two).await;
        assert_eq!(answer.unwrap(), note("hello"), "over {transport}");
    }
}

/// rust-libp2p #5410: multiplexers that stop reading while they wait to write deadlock when both sides stream at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_stream_at_once_without_deadlock() {
    const STREAMS: usize = 4;
    const EACH: usize = 16 << 20;
    for transport in [TCP, QUIC] {
        let one = Node::start(1, transport).await;
        let two = Node::start(2, transport).await;
        introduce(&[&one, &two]).await;
        attest(&one, &two).await;
        let traffic = async {
            tokio::join!(
                stream_all(&one, &two, STREAMS, EACH),
                stream_all(&two, &one, STREAMS, EACH)
            )
        };
        let received = tokio::time::timeout(TEST_TIMEOUT, traffic).await;
        assert_eq!(received, Ok((STREAMS * EACH, STREAMS * EACH)), "over {transport}");
    }
}

async fn stream_all(from: &Node, to: &Node, streams: usize, each: usize) -> usize {
    let mut incoming = to.net.accept(QUERY).unwrap();
    let receiving = async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..streams {
            let mut stream = incoming.next().await;
            tasks.spawn(async move {
                let mut received = 0;
                while let Some(chunk) = stream.recv_chunk().await.unwrap() {
                    received += chunk.len();
                }
                received
            });
        }
        tasks.join_all().await.into_iter().sum()
    };
    let mut sending = tokio::task::JoinSet::new();
    let bulk = Bytes::from(vec![0x5a; each]);
    for _ in 0..streams {
        let net = from.net.clone();
        let peer = to.id();
        let bulk = bulk.clone();
        sending.spawn(async move {
            let mut stream = open_when_served(&net, peer).await;
            stream.send_chunk(bulk).await.unwrap();
            stream.end_chunks().await.unwrap();
            stream.close().await.unwrap();
        });
    }
    let (received, _) = tokio::join!(receiving, sending.join_all());
    received
}

async fn open_when_served(net: &NetworkHandle, peer: NodeId) -> FramedStream {
    loop {
        match net.open(peer, QUERY).await {
            Ok(stream) => return stream,
            Err(NetworkError::Unsupported { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}
