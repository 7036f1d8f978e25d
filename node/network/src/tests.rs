//! Networks in one process, over real sockets on the loopback interface.

mod ports;
mod streams;
mod unknown;

use concordat_protocol::wire::streams::{CATALOG, HELLO, QUERY};
use std::{sync::Arc, time::Duration};

use concordat_protocol::{
    identity::{InstitutionKey, NodeKey, PrivateKey},
    ids::{InstitutionId, NodeId, StartId},
    membership::NodeStart,
    signed::Signed,
    time::Timestamp,
    wire::codec::Frame,
};
use libp2p::multiaddr::Protocol;
use serde::{Deserialize, Serialize};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{hello::Attested, session::Sessions};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Maximum time that a test waits for an expected event.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
}

impl Frame for Note {
    const MAX: usize = 1024;
}

#[tokio::test]
async fn members_exchange_frames_over_either_transport() {
    for transport in [TCP, QUIC] {
        let one = Node::start(1, transport).await;
        let two = Node::start(2, transport).await;
        introduce(&[&one, &two]).await;
        attest(&one, &two).await;
        let mut incoming = two.net.accept(CATALOG).unwrap();

        let mut outgoing = one.net.open(two.id(), CATALOG).await.unwrap();
        outgoing.send(&note("request")).await.unwrap();
        let mut received = incoming.next().await;
        assert_eq!(received.session().peer(), one.id());
        assert_eq!(received.expect::<Note>().await.unwrap(), note("request"));
        received.send(&note("reply")).await.unwrap();
        assert_eq!(outgoing.expect::<Note>().await.unwrap(), note("reply"));
    }
}

#[tokio::test]
async fn gate_incoming_dial_of_non_member_refused() {
    for transport in [TCP, QUIC] {
        let node = Node::start(1, transport).await;
        let non_member = Node::start(2, transport).await;
        node.set_members(&[]).await;
        let sessions = node.net.sessions();
        let _hello = node.net.accept(HELLO).unwrap();
        non_member.set_members(&[&node]).await;

        assert!(
            exchange(&non_member, &node).await.is_err(),
            "a non-member was served over {transport}"
        );
        assert!(
            !sessions.has_changed().unwrap(),
            "a non-member had a session over {transport}"
        );
    }
}

#[tokio::test]
async fn gate_outgoing_dial_to_non_member_refused() {
    let node = Node::start(1, TCP).await;
    let non_member = Node::start(2, TCP).await;
    non_member.set_members(&[&node]).await;
    let refused = node.net.open(non_member.id(), HELLO).await.unwrap_err();
    assert!(matches!(refused, NetworkError::NotMember { peer } if peer == non_member.id()));
    assert_eq!(refused.responsibility(), Responsibility::Operator);
}

#[tokio::test]
async fn an_address_of_another_node_is_not_taken_for_the_member() {
    let node = Node::start(1, TCP).await;
    let imposter = Node::start(2, TCP).await;
    let absent = Node::start(3, TCP).await;
    imposter.set_members(&[&node]).await;
    let wrong = [(absent.id(), institution_of(&absent), imposter.net.listen_addrs())];
    node.net
        .set_members(Arc::new(wrong.into_iter().collect()))
        .await
        .unwrap();
    let refused = node.net.open(absent.id(), HELLO).await.unwrap_err();
    assert!(matches!(refused, NetworkError::Unreachable { .. }), "{refused}");
}

#[tokio::test]
async fn a_removed_member_is_cut_off_at_once() {
    for transport in [TCP, QUIC] {
        let one = Node::start(1, transport).await;
        let two = Node::start(2, transport).await;
        introduce(&[&one, &two]).await;
        attest(&one, &two).await;
        let mut incoming = two.net.accept(QUERY).unwrap();
        let mut outgoing = one.net.open(two.id(), QUERY).await.unwrap();
        outgoing.send(&note("hello")).await.unwrap();
        let mut received = incoming.next().await;
        received.expect::<Note>().await.unwrap();

        two.set_members(&[]).await;
        assert!(two.net.connected_peers().is_empty());
        assert!(matches!(
            received.send(&note("too late")).await,
            Err(NetworkError::Cut { .. })
        ));
        let late = tokio::time::timeout(TEST_TIMEOUT, outgoing.recv::<Note>())
            .await
            .unwrap();
        assert!(!matches!(late, Ok(Some(_))), "a removed member received {late:?}");
        assert!(exchange(&one, &two).await.is_err());
    }
}

#[tokio::test]
async fn nothing_but_hello_is_served_before_attestation() {
    let one = Node::start(1, TCP).await;
    let two = Node::start(2, TCP).await;
    introduce(&[&one, &two]).await;
    let mut queries = two.net.accept(QUERY).unwrap();
    let mut hellos = two.net.accept(HELLO).unwrap();
    one.session(&two).await.attest(attested());

    let mut early = one.net.open(two.id(), QUERY).await.unwrap();
    tokio::select! {
        _ = queries.next() => panic!("an unattested peer was served"),
        received = early.recv::<Note>() => assert!(!matches!(received, Ok(Some(_)))),
    }

    let mut hello = one.net.open(two.id(), HELLO).await.unwrap();
    hello.send(&note("certificate")).await.unwrap();
    assert_eq!(hellos.next().await.expect::<Note>().await.unwrap(), note("certificate"));

    two.session(&one).await.attest(attested());
    one.net
        .open(two.id(), QUERY)
        .await
        .unwrap()
        .send(&note("rows"))
        .await
        .unwrap();
    assert_eq!(queries.next().await.expect::<Note>().await.unwrap(), note("rows"));
}

#[tokio::test]
async fn stream_arriving_before_attestation_waits_for_it() {
    let one = Node::start(1, TCP).await;
    let two = Node::start(2, TCP).await;
    introduce(&[&one, &two]).await;
    let mut queries = two.net.accept(QUERY).unwrap();
    one.session(&two).await.attest(attested());
    let _early = one.net.open(two.id(), QUERY).await.unwrap();
    let attesting = async { two.session(&one).await.attest(attested()) };
    let (stream, ()) = tokio::join!(queries.next(), attesting);
    assert_eq!(stream.session().peer(), one.id());
}

#[tokio::test]
async fn session_of_returning_member_is_new_and_unattested() {
    let one = Node::start(1, TCP).await;
    let two = Node::start(2, TCP).await;
    introduce(&[&one, &two]).await;
    attest(&one, &two).await;
    let before = one.session(&two).await;
    one.net.disconnect(two.id()).await.unwrap();
    before.until_cut().await;
    let after = one.session(&two).await;
    assert!(after.number() > before.number());
    assert!(after.attested().is_none());
}

#[test]
fn newest_open_connection_is_used() {
    let sessions = Sessions::new(&Limits::default());
    let peer = NodeId::from_bytes([1; 32]);
    let [old, new] = [1, 2].map(libp2p::swarm::ConnectionId::new_unchecked);
    assert_eq!(sessions.newest(&peer), None);
    sessions.connected(peer, old, Role::Dialer, None);
    sessions.connected(peer, new, Role::Listener, None);
    assert_eq!(sessions.newest(&peer), Some(new));
    sessions.closed(peer, new);
    assert_eq!(sessions.newest(&peer), Some(old));
}

#[tokio::test]
async fn a_stopped_network_leaves_nothing_behind() {
    let one = Node::start(1, TCP).await;
    let two = Node::start(2, TCP).await;
    introduce(&[&one, &two]).await;
    let seen = two.session(&one).await;
    let net = one.net.clone();
    one.stop().await;
    tokio::time::timeout(TEST_TIMEOUT, seen.until_cut()).await.unwrap();
    assert!(net.connected_peers().is_empty());
    assert!(matches!(net.open(two.id(), HELLO).await, Err(NetworkError::Stopped)));
}

const TEST_STREAMS_PER_PEER: usize = 16;
const TEST_ATTEST_TIMEOUT: Duration = Duration::from_millis(100);
const TEST_INTRODUCTION_TIMEOUT: Duration = Duration::from_secs(3);
const TEST_STOP_TIMEOUT: Duration = Duration::from_secs(10);

struct Node {
    net: NetworkHandle,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    async fn start(seed: u8, listen: &str) -> Self {
        Self::try_start(seed, listen).await.unwrap()
    }

    /// Starts a node at the address of one that has just died, as soon as the system has released the address.
    async fn restart(seed: u8, listen: &str) -> Self {
        let started = async {
            loop {
                match Self::try_start(seed, listen).await {
                    Ok(node) => return node,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, started).await.unwrap()
    }

    async fn try_start(seed: u8, listen: &str) -> Result<Self, NetworkError> {
        Self::start_dialing(seed, listen, vec![DialRange::Loopback]).await
    }

    async fn start_dialing(seed: u8, listen: &str, dial: Vec<DialRange>) -> Result<Self, NetworkError> {
        Self::start_at(seed, &[listen], dial).await
    }

    async fn start_at(seed: u8, listen: &[&str], dial: Vec<DialRange>) -> Result<Self, NetworkError> {
        let listen = listen.iter().map(|address| address.parse().unwrap()).collect();
        let mut config = NetworkConfig::new(NodeKey::from_seed(&[seed; 32].into()), listen);
        config.dial = dial;
        config.limits.streams_per_peer = TEST_STREAMS_PER_PEER;
        config.timeouts.attest = TEST_ATTEST_TIMEOUT;
        config.timeouts.introduction = TEST_INTRODUCTION_TIMEOUT;
        config.backoff = Backoff {
            first: Duration::from_millis(20),
            cap: Duration::from_millis(100),
        };
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let net = Network::start(config, stop.clone(), &tasks).await?;
        Ok(Self { net, stop, tasks })
    }

    /// Stops the network and waits until its task has ended.
    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(TEST_STOP_TIMEOUT, self.tasks.wait())
            .await
            .unwrap();
    }

    fn socket(&self) -> std::net::SocketAddr {
        let address = self.net.listen_addrs().remove(0);
        let mut parts = address.iter();
        let (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) = (parts.next(), parts.next()) else {
            panic!("{address}")
        };
        (ip, port).into()
    }

    fn id(&self) -> NodeId {
        self.net.local_id()
    }

    async fn set_members(&self, others: &[&Self]) {
        let listed = |node: &&Self| (node.id(), institution_of(node), node.net.listen_addrs());
        let members = others.iter().map(listed).collect();
        self.net.set_members(Arc::new(members)).await.unwrap();
    }

    /// Waits for the session with `other`.
    async fn session(&self, other: &Self) -> Session {
        let mut sessions = self.net.sessions();
        let open_sessions = sessions.wait_for(|sessions| sessions.contains_key(&other.id()));
        let open_sessions = tokio::time::timeout(TEST_TIMEOUT, open_sessions)
            .await
            .unwrap()
            .unwrap();
        open_sessions[&other.id()].clone()
    }
}

/// Each node of these tests is a separate institution.
fn institution_of(node: &Node) -> InstitutionId {
    let [first, second, ..] = *node.id().as_bytes();
    format!("node-{first}-{second}").parse().unwrap()
}

async fn introduce(nodes: &[&Node]) {
    for node in nodes {
        node.set_members(nodes).await;
    }
}

async fn attest(one: &Node, two: &Node) {
    one.session(two).await.attest(attested());
    two.session(one).await.attest(attested());
}

/// Sends one frame on a stream from `from` to `to` and receives the reply.
async fn exchange(from: &Node, to: &Node) -> Result<Note, NetworkError> {
    let mut stream = from.net.open(to.id(), HELLO).await?;
    stream.send(&note("hello")).await?;
    stream.expect().await
}

fn attested() -> Attested {
    Attested {
        institution: "cleveland".parse::<InstitutionId>().unwrap(),
        institution_key: InstitutionKey::from_seed(&[1; 32].into()).public(),
        earlier_keys: Vec::new(),
        member_since: 1,
        start: NodeStart {
            generation: 0,
            number: 1,
            id: StartId::from_bytes([1; 16]),
        },
        roster_number: 1,
        attested_at: Timestamp::from_millis(0),
        not_after: Timestamp::from_millis(0),
        certificate: Signed::from_bytes(Vec::new()).unwrap(),
    }
}

fn note(text: &str) -> Note {
    Note { text: text.into() }
}
