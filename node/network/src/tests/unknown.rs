//! Before a peer is identified: its sockets, its handshake, its introduction, and the addresses that it announces.

use super::*;
use concordat_protocol::wire::streams::HELLO;

#[test]
fn streams_nodes_of_one_institution_share_limit() {
    let limits = Limits {
        streams_per_peer: 4,
        streams_per_institution: 6,
        ..Limits::default()
    };
    let sessions = Sessions::new(&limits);
    let listed = |n: u8| {
        let institution = if n < 16 { "zurich" } else { "budapest" };
        (NodeId::from_bytes([n; 32]), institution.parse().unwrap(), Vec::new())
    };
    sessions.set_members(Arc::new((0..17).map(listed).collect()));
    let mut permits = Vec::new();
    let mut acquire_all = |n: u8| {
        let connection = libp2p::swarm::ConnectionId::new_unchecked(n.into());
        let session = sessions.connected(NodeId::from_bytes([n; 32]), connection, Role::Listener, None);
        let before = permits.len();
        permits.extend(std::iter::from_fn(|| session.inbound().acquire()));
        permits.len() - before
    };
    assert_eq!((0..16).map(&mut acquire_all).sum::<usize>(), 6);
    assert_eq!(acquire_all(16), 4);
    // A node that is not on the roster gets no permits.
    assert_eq!(acquire_all(17), 0);
}

#[tokio::test]
async fn session_without_hello_is_cut() {
    for transport in [TCP, QUIC] {
        let one = Node::start(1, transport).await;
        let silent = Node::start(2, transport).await;
        introduce(&[&one, &silent]).await;
        let session = one.session(&silent).await;
        let attested_node = Node::start(3, transport).await;
        introduce(&[&one, &silent, &attested_node]).await;
        attest(&one, &attested_node).await;
        let stays = one.session(&attested_node).await;
        tokio::time::timeout(TEST_TIMEOUT, session.until_cut()).await.unwrap();
        assert!(!stays.is_cut(), "over {transport}");
    }
}

#[tokio::test]
async fn dial_address_outside_ranges_refused_in_any_form() {
    for transport in [TCP, QUIC] {
        // It does not dial, so that every connection is one that was dialed to it.
        let node = Node::start_dialing(1, transport, Vec::new()).await.unwrap();
        let restricted = Node::start_dialing(2, transport, Dialing::default_ranges())
            .await
            .unwrap();
        let permissive = Node::start(3, transport).await;
        node.set_members(&[&restricted, &permissive]).await;
        let plain = node.net.listen_addrs().remove(0);
        let rest: Multiaddr = plain.iter().skip(1).collect();
        let named: Multiaddr = format!("/dns4/localhost{rest}").parse().unwrap();
        let mapped: Multiaddr = format!("/ip6/::ffff:127.0.0.1{rest}").parse().unwrap();
        let zero: Multiaddr = format!("/ip4/0.0.0.0{rest}").parse().unwrap();
        for (address, is_dialed) in [(plain, true), (named, true), (mapped, false), (zero, false)] {
            let listed = [(node.id(), institution_of(&node), vec![address.clone()])];
            let members = Arc::new(Members::from_iter(listed));
            restricted.net.set_members(members.clone()).await.unwrap();
            assert!(
                matches!(
                    restricted.net.open(node.id(), HELLO).await,
                    Err(NetworkError::Unreachable { .. })
                ),
                "{address}"
            );
            if is_dialed {
                permissive.net.set_members(members).await.unwrap();
                let session = tokio::time::timeout(TEST_TIMEOUT, permissive.session(&node)).await;
                assert!(session.is_ok(), "{address}");
                permissive.net.set_members(Arc::default()).await.unwrap();
            }
        }
        assert!(restricted.net.connected_peers().is_empty());
    }
}

#[tokio::test]
async fn socket_without_data_is_closed_soon() {
    use tokio::io::AsyncReadExt;
    let node = Node::start(1, TCP).await;
    let mut socket = tokio::net::TcpStream::connect(node.socket()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let mut byte = [0];
    let read = tokio::time::timeout(TEST_TIMEOUT, socket.read(&mut byte))
        .await
        .unwrap();
    assert!(!matches!(read, Ok(1..)), "the node sent data first");
    assert!(begun.elapsed() < Duration::from_secs(4), "after {:?}", begun.elapsed());
}

#[tokio::test]
async fn the_oldest_sockets_of_a_host_are_closed_for_new_ones() {
    use tokio::io::AsyncReadExt;
    let node = Node::start(1, TCP).await;
    let most = Limits::default().pending_per_host;
    let mut sockets = Vec::new();
    for _ in 0..most + 6 {
        sockets.push(tokio::net::TcpStream::connect(node.socket()).await.unwrap());
    }
    // Those for the new ones are closed at once, and the others stay until the first-byte timeout, so there is no fixed wait.
    let (oldest, others) = sockets.split_at_mut(6);
    for socket in oldest {
        let read = tokio::time::timeout(TEST_TIMEOUT, socket.read(&mut [0])).await;
        assert!(!matches!(read.unwrap(), Ok(1..)), "the node sent data first");
    }
    let mut closed = Vec::new();
    for (number, socket) in others.iter_mut().enumerate() {
        let read = tokio::time::timeout(Duration::from_millis(1), socket.read(&mut [0])).await;
        closed.extend(read.is_ok().then_some(number));
    }
    assert_eq!(closed, Vec::<usize>::new(), "the others are open");
}

#[tokio::test]
async fn a_handshake_byte_by_byte_ends_in_time() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let node = Node::start(1, TCP).await;
    let (mut read, mut write) = tokio::net::TcpStream::connect(node.socket())
        .await
        .unwrap()
        .into_split();
    let begun = tokio::time::Instant::now();
    let drip = tokio::spawn(async move {
        // The header of multistream-select, sent so slowly that it exceeds the handshake timeout.
        for byte in b"\x13/multistream/1.0.0\n\x07/noise\n" {
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let mut rest = Vec::new();
    // Any result is fine, as long as the socket is closed.
    let _ = tokio::time::timeout(TEST_TIMEOUT, read.read_to_end(&mut rest))
        .await
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "after {:?}", begun.elapsed());
    drip.abort();
}
