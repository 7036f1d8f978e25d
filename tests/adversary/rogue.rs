//! A peer that can say anything.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use concordat_node::clock::Clock;
use concordat_node::network::{hello::HELLO, node_id, peer_id};
use concordat_protocol::audit::{LedgerHead, LedgerProof, TreeHead, merkle};
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{InstitutionId, Jurisdiction, NodeId, Nonce};
use concordat_protocol::membership::{Enrolment, MemberNode, NodeCertificate, to_armour};
use concordat_protocol::query::Receipt;
use concordat_protocol::signed::{CoSigned, Document, Signed};
use concordat_protocol::text::{Address, LegalName};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::codec::{self, Frame, HEADER_LEN};
use concordat_protocol::wire::messages::{Countersignature, Hello, HelloReply, HelloStatement};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, noise, ping, tcp, yamux};
use libp2p_stream::{Control, IncomingStreams, OpenStreamError};
use tokio::sync::{mpsc, oneshot, watch};

use super::honest::House;

/// No test waits longer than this for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody listens on the discard port, so honest nodes never get through to a rogue: it dials them.
pub(super) const NOWHERE: &str = "/ip4/127.0.0.1/tcp/9";

/// Waits for what has to happen.
pub(super) async fn soon<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, step)
        .await
        .expect("it should have happened by now")
}

/// Signs anything.
pub(super) fn sign<T: Document + Clone, K: PrivateKey>(document: &T, key: &K) -> Signed<T> {
    Signed::sign(document, key).unwrap().signed().clone()
}

/// Signs anything that takes several signatures.
pub(super) fn cosign<T: Document, K: PrivateKey>(document: &T, keys: &[&K]) -> CoSigned<T> {
    let proposed = CoSigned::propose(document).unwrap();
    keys.iter()
        .fold(proposed, |signed, key| signed.add_signature(*key).unwrap())
}

/// A node with an institution's keys and no manners.
pub(super) struct Rogue {
    pub(super) institution: InstitutionId,
    pub(super) house: InstitutionKey,
    pub(super) node: NodeKey,
    control: Control,
    dials: mpsc::Sender<Dial>,
    connected: watch::Receiver<usize>,
}

/// Streams, and answers to pings: who does not answer them is not kept.
#[derive(NetworkBehaviour)]
struct Behaviour {
    streams: libp2p_stream::Behaviour,
    ping: ping::Behaviour,
}

struct Dial {
    to: PeerId,
    at: Vec<Multiaddr>,
    reply: oneshot::Sender<Result<(), DialError>>,
}

impl Rogue {
    /// Starts one; `seed` makes its two keys.
    pub(super) fn start(institution: &str, seed: u8) -> Self {
        Self::with_seeds(institution, [seed; 32], [seed.wrapping_add(100); 32])
    }

    /// Starts another node of the same institution.
    pub(super) fn beside(&self, seed: u8) -> Self {
        Self::with_seeds(self.institution.as_str(), [seed; 32], *self.house.expose_seed())
    }

    /// What it says of itself and of another node of its institution.
    pub(super) fn enrolment_beside(&self, other: &Self) -> String {
        let own = self.statement(now()).peek_unverified().unwrap();
        let mut nodes = own.nodes.clone();
        nodes.extend(other.statement(now()).peek_unverified().unwrap().nodes);
        to_armour(&sign(&Enrolment { nodes, ..own }, &self.house))
    }

    /// Starts one of many, whose keys are made of its number.
    pub(super) fn numbered(institution: &str, number: u32) -> Self {
        let seed = |purpose: u8| {
            let mut seed = [purpose; 32];
            seed[..4].copy_from_slice(&number.to_le_bytes());
            seed
        };
        Self::with_seeds(institution, seed(1), seed(2))
    }

    fn with_seeds(institution: &str, node: [u8; 32], house: [u8; 32]) -> Self {
        let node = NodeKey::from_seed(&node.into());
        let swarm = swarm(&node);
        let control = swarm.behaviour().streams.new_control();
        let (dials, inbox) = mpsc::channel(16);
        let (seen, connected) = watch::channel(0);
        tokio::spawn(run(swarm, inbox, seen));
        Self {
            institution: InstitutionId::new(institution).unwrap(),
            house: InstitutionKey::from_seed(&house.into()),
            node,
            control,
            dials,
            connected,
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> NodeId {
        self.node.public()
    }

    /// A sound application to join, as text.
    pub(super) fn enrolment(&self) -> String {
        to_armour(&self.statement(now()))
    }

    /// An application that states these addresses.
    pub(super) fn enrolment_at(&self, addresses: &[&str]) -> String {
        to_armour(&self.statement_at(now(), addresses))
    }

    /// What it says of itself at `issued_at`.
    pub(super) fn statement(&self, issued_at: Timestamp) -> Signed<Enrolment> {
        self.statement_at(issued_at, &[NOWHERE])
    }

    fn statement_at(&self, issued_at: Timestamp, addresses: &[&str]) -> Signed<Enrolment> {
        let enrolment = Enrolment {
            institution: self.institution.clone(),
            name: LegalName::new("University Hospital Zurich").unwrap(),
            jurisdiction: Jurisdiction::new("CH").unwrap(),
            key: self.house.public(),
            nodes: vec![MemberNode {
                node: self.id(),
                addresses: addresses.iter().map(|at| Address::new(at).unwrap()).collect(),
            }],
            issued_at,
            succeeds: None,
        };
        sign(&enrolment, &self.house)
    }

    /// Makes a connection, which a node may close at once.
    pub(super) async fn dial(&self, house: &House) -> Result<(), DialError> {
        let (reply, answer) = oneshot::channel();
        let (to, at) = (peer(house), house.node.network().listen_addrs());
        self.dials.send(Dial { to, at, reply }).await.unwrap();
        soon(answer).await.unwrap()
    }

    /// Makes a connection and says a truthful hello; from then on the honest node serves it.
    pub(super) async fn meet(&self, house: &House) {
        self.dial(house).await.unwrap();
        let hello = self.hello(house, |_| (), |_| ());
        let proof = LedgerProof {
            head: empty_ledger(&self.institution, &self.node),
            paths: vec![Some(Vec::new())],
        };
        self.greet(house, &hello, &proof)
            .await
            .expect("an honest node answers a member's hello");
        // The node believes it once it has looked at the ledger that was shown last.
        for _ in 0..200 {
            let session = house.node.network().sessions().borrow().get(&self.id()).cloned();
            if session.is_none_or(|session| session.attested().is_some()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Says the hello on the connection that stands, shows a ledger, and returns what was answered.
    pub(super) async fn greet(&self, house: &House, hello: &Hello, proof: &LedgerProof) -> io::Result<HelloReply> {
        let stream = self.open(house, HELLO).await;
        let mut stream = stream.map_err(|error| io::Error::other(error.to_string()))?;
        stream.send(hello).await?;
        let reply = stream.recv().await?;
        stream.send(proof).await?;
        Ok(reply)
    }

    /// A countersignature with the head of the ledger that it shows in each hello.
    pub(super) fn countersignature(&self, receipt: CoSigned<Receipt>) -> Countersignature {
        Countersignature {
            receipt,
            ledger: empty_ledger(&self.institution, &self.node),
        }
    }

    /// A hello, truthful but for what the two functions change before it is signed.
    pub(super) fn hello(
        &self,
        house: &House,
        certificate: impl FnOnce(&mut NodeCertificate),
        statement: impl FnOnce(&mut HelloStatement),
    ) -> Hello {
        let mut certified = NodeCertificate {
            institution: self.institution.clone(),
            node: self.id(),
            institution_key: self.house.public(),
            issued_at: now(),
            not_after: now().plus_seconds(3600),
        };
        certificate(&mut certified);
        let mut stated = HelloStatement {
            from: self.id(),
            to: house.node.network().local_id(),
            nonce: Nonce::from_bytes([7; 16]),
            roster: 1,
            version: "0".to_owned(),
            sent_at: now(),
        };
        statement(&mut stated);
        Hello {
            next_certificate: None,
            certificate: sign(&certified, &self.house),
            statement: sign(&stated, &self.node),
            kept: Vec::new(),
        }
    }

    /// Opens a stream on the connection that stands.
    pub(super) async fn open(&self, house: &House, protocol: StreamProtocol) -> Result<Wire, OpenStreamError> {
        soon(self.control.clone().open_stream(peer(house), protocol))
            .await
            .map(Wire)
    }

    /// Opens a stream, sends one frame and reads one.
    pub(super) async fn ask<A: Frame>(
        &self,
        house: &House,
        protocol: StreamProtocol,
        message: &impl Frame,
    ) -> io::Result<A> {
        let mut stream = self
            .open(house, protocol)
            .await
            .map_err(|error| io::Error::other(error.to_string()))?;
        stream.send(message).await?;
        stream.recv().await
    }

    /// The streams that others open to it.
    pub(super) fn accept(&self, protocol: StreamProtocol) -> IncomingStreams {
        self.control.clone().accept(protocol).unwrap()
    }

    /// Waits until every connection has been closed.
    pub(super) async fn until_alone(&self) {
        soon(self.connected.clone().wait_for(|count| *count == 0))
            .await
            .unwrap();
    }
}

/// The head of a ledger without entries.
pub(super) fn empty_ledger(institution: &InstitutionId, node: &NodeKey) -> Signed<LedgerHead> {
    let tree = TreeHead {
        size: 0,
        root: merkle::empty_root(),
    };
    ledger_head(institution, node, tree)
}

/// Any head, signed by `node` about itself.
pub(super) fn ledger_head(institution: &InstitutionId, node: &NodeKey, tree: TreeHead) -> Signed<LedgerHead> {
    let head = LedgerHead {
        institution: institution.clone(),
        node: node.public(),
        generation: 0,
        tree,
        at: now(),
    };
    sign(&head, node)
}

/// The time, for messages.
pub(super) fn now() -> Timestamp {
    Clock::system().now()
}

fn peer(house: &House) -> PeerId {
    peer_id(&house.node.network().local_id()).unwrap()
}

fn swarm(node: &NodeKey) -> Swarm<Behaviour> {
    let keypair = Keypair::ed25519_from_bytes(&mut *node.expose_seed()).unwrap();
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::new().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|_| Behaviour {
            streams: libp2p_stream::Behaviour::new(),
            ping: ping::Behaviour::default(),
        })
        .unwrap();
    swarm
        .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
        .build()
}

async fn run(mut swarm: Swarm<Behaviour>, mut inbox: mpsc::Receiver<Dial>, seen: watch::Sender<usize>) {
    let mut waiting = Waiting::new();
    loop {
        tokio::select! {
            dial = inbox.recv() => {
                let Some(Dial { to, at, reply }) = dial else { return };
                let wish = DialOpts::peer_id(to).addresses(at).condition(PeerCondition::Always).build();
                let id = wish.connection_id();
                match swarm.dial(wish) {
                    Ok(()) => drop(waiting.insert(id, reply)),
                    Err(error) => drop(reply.send(Err(error))),
                }
            }
            event = swarm.select_next_some() => note(event, &mut waiting, &seen),
        }
    }
}

/// Who waits for which connection.
type Waiting = HashMap<ConnectionId, oneshot::Sender<Result<(), DialError>>>;

fn note(event: SwarmEvent<BehaviourEvent>, waiting: &mut Waiting, seen: &watch::Sender<usize>) {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "libp2p adds events; a rogue counts its connections"
    )]
    let (id, outcome) = match event {
        SwarmEvent::ConnectionEstablished { connection_id, .. } => {
            seen.send_modify(|count| *count += 1);
            (connection_id, Ok(()))
        }
        SwarmEvent::OutgoingConnectionError {
            connection_id, error, ..
        } => (connection_id, Err(error)),
        SwarmEvent::ConnectionClosed { .. } => return seen.send_modify(|count| *count -= 1),
        _ => return,
    };
    if let Some(reply) = waiting.remove(&id) {
        drop(reply.send(outcome));
    }
}

/// A stream on which any byte can be sent.
pub(super) struct Wire(Stream);

impl Wire {
    /// The next stream that somebody opens, and who did.
    pub(super) async fn next(incoming: &mut IncomingStreams) -> (NodeId, Self) {
        let (peer, stream) = soon(incoming.next()).await.expect("the rogue's swarm runs");
        (node_id(&peer).unwrap(), Self(stream))
    }

    /// Sends bytes as they are.
    pub(super) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        soon(async {
            self.0.write_all(bytes).await?;
            self.0.flush().await
        })
        .await
    }

    /// Sends a body behind its true length.
    pub(super) async fn body(&mut self, body: &[u8]) -> io::Result<()> {
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        self.raw(&[&len[..], body].concat()).await
    }

    /// Sends a frame as an honest node would.
    pub(super) async fn send(&mut self, message: &impl Frame) -> io::Result<()> {
        self.raw(&codec::encode(message).unwrap()).await
    }

    /// Reads a frame.
    pub(super) async fn recv<F: Frame>(&mut self) -> io::Result<F> {
        let body = self.block().await?;
        Ok(codec::decode(&body).expect("an honest node sends sound frames"))
    }

    /// Reads a length and that many bytes: a frame's body, or a chunk.
    pub(super) async fn block(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; HEADER_LEN];
        soon(self.0.read_exact(&mut header)).await?;
        let mut body = vec![0; u32::from_be_bytes(header) as usize];
        soon(self.0.read_exact(&mut body)).await?;
        Ok(body)
    }

    /// Whether the other side ends the stream without a word.
    pub(super) async fn is_dropped(&mut self) -> bool {
        let mut byte = [0];
        matches!(soon(self.0.read(&mut byte)).await, Ok(0) | Err(_))
    }
}
