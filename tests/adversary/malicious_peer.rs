//! A peer that can send any message.

use concordat_protocol::wire::streams::HELLO;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

use concordat_network::{node_id, peer_id};
use concordat_node::Clock;
use concordat_protocol::audit::{LedgerHead, LedgerProof, TreeHead, merkle};
use concordat_protocol::identity::{InstitutionKey, NodeKey, PrivateKey};
use concordat_protocol::ids::{InstitutionId, Jurisdiction, NodeId, Nonce, StartId};
use concordat_protocol::membership::{Enrollment, MemberNode, NodeCertificate, NodeStart, to_armor};
use concordat_protocol::query::Receipt;
use concordat_protocol::signed::{CoSigned, Document, Signed};
use concordat_protocol::text::{Address, LegalName};
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::codec::{self, Frame, HEADER_LEN};
use concordat_protocol::wire::messages::{
    ChunkAccepted, Countersignature, Hello, HelloClosing, HelloReply, HelloStatement, Refusal,
};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, noise, ping, tcp, yamux};
use libp2p_stream::{Control, IncomingStreams, OpenStreamError};
use tokio::sync::{mpsc, oneshot, watch};

use super::well_behaved::InProcessNode;

/// The time limit of one step of a test.
const STEP_TIMEOUT: Duration = Duration::from_secs(240);
/// Nothing listens on the discard port, so well-behaved nodes can never dial an attacker: it dials them.
pub(super) const NOWHERE: &str = "/ip4/127.0.0.1/tcp/9";

/// Waits for a step that must complete.
pub(super) async fn soon<T>(step: impl Future<Output = T>) -> T {
    tokio::time::timeout(STEP_TIMEOUT, step)
        .await
        .expect("the step did not complete in time")
}

/// Signs anything.
pub(super) fn sign<T: Document + Clone, K: PrivateKey>(document: &T, key: &K) -> Signed<T> {
    Signed::sign(document, key).unwrap().signed().clone()
}

/// Signs anything that carries several signatures.
pub(super) fn cosign<T: Document, K: PrivateKey>(document: &T, keys: &[&K]) -> CoSigned<T> {
    let proposed = CoSigned::propose(document).unwrap();
    keys.iter()
        .fold(proposed, |signed, key| signed.add_signature(*key).unwrap())
}

/// A node with an institution's keys that need not follow any rule.
pub(super) struct MaliciousPeer {
    pub(super) institution: InstitutionId,
    pub(super) institution_key: InstitutionKey,
    pub(super) node: NodeKey,
    control: Control,
    dials: mpsc::Sender<Dial>,
    connected: watch::Receiver<usize>,
}

/// Streams, and answers to pings: a peer that does not answer them is disconnected.
#[derive(NetworkBehaviour)]
struct Behavior {
    streams: libp2p_stream::Behaviour,
    ping: ping::Behaviour,
}

struct Dial {
    to: PeerId,
    at: Vec<Multiaddr>,
    reply: oneshot::Sender<Result<(), DialError>>,
}

impl MaliciousPeer {
    /// Starts a peer; its two keys are derived from `seed`.
    pub(super) fn start(institution: &str, seed: u8) -> Self {
        Self::with_seeds(institution, [seed; 32], [seed.wrapping_add(100); 32])
    }

    /// Starts another node of the same institution.
    pub(super) fn beside(&self, seed: u8) -> Self {
        Self::with_seeds(
            self.institution.as_str(),
            [seed; 32],
            *self.institution_key.expose_seed(),
        )
    }

    /// Its application with its own node and another node of its institution.
    pub(super) fn enrolment_beside(&self, other: &Self) -> String {
        let own = self.statement(now()).peek_unverified().unwrap();
        let mut nodes = own.nodes.clone();
        nodes.extend(other.statement(now()).peek_unverified().unwrap().nodes);
        to_armor(&sign(&Enrollment { nodes, ..own }, &self.institution_key))
    }

    /// Starts one of many peers, with keys derived from its number.
    pub(super) fn numbered(institution: &str, number: u32) -> Self {
        let seed = |purpose: u8| {
            let mut seed = [purpose; 32];
            seed[..4].copy_from_slice(&number.to_le_bytes());
            seed
        };
        Self::with_seeds(institution, seed(1), seed(2))
    }

    fn with_seeds(institution: &str, node: [u8; 32], institution_key: [u8; 32]) -> Self {
        let node = NodeKey::from_seed(&node.into());
        let swarm = swarm(&node);
        let control = swarm.behaviour().streams.new_control();
        let (dials, inbox) = mpsc::channel(16);
        let (seen, connected) = watch::channel(0);
        tokio::spawn(run(swarm, inbox, seen));
        Self {
            institution: InstitutionId::new(institution).unwrap(),
            institution_key: InstitutionKey::from_seed(&institution_key.into()),
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

    /// A valid application to join, as text.
    pub(super) fn enrollment(&self) -> String {
        to_armor(&self.statement(now()))
    }

    /// An application with these addresses.
    pub(super) fn enrolment_at(&self, addresses: &[&str]) -> String {
        to_armor(&self.statement_at(now(), addresses))
    }

    /// Its application, issued at `issued_at`.
    pub(super) fn statement(&self, issued_at: Timestamp) -> Signed<Enrollment> {
        self.statement_at(issued_at, &[NOWHERE])
    }

    fn statement_at(&self, issued_at: Timestamp, addresses: &[&str]) -> Signed<Enrollment> {
        let enrollment = Enrollment {
            institution: self.institution.clone(),
            name: LegalName::new("University Hospital Zurich").unwrap(),
            jurisdiction: Jurisdiction::new("CH").unwrap(),
            key: self.institution_key.public(),
            nodes: vec![MemberNode {
                node: self.id(),
                addresses: addresses.iter().map(|at| Address::new(at).unwrap()).collect(),
            }],
            issued_at,
            succeeds: None,
        };
        sign(&enrollment, &self.institution_key)
    }

    /// Opens a connection, which the node may close at once.
    pub(super) async fn dial(&self, target: &InProcessNode) -> Result<(), DialError> {
        self.dial_at(target, target.node.network().listen_addrs()).await
    }

    async fn dial_at(&self, target: &InProcessNode, at: Vec<Multiaddr>) -> Result<(), DialError> {
        let (reply, answer) = oneshot::channel();
        let to = peer(target);
        self.dials.send(Dial { to, at, reply }).await.unwrap();
        soon(answer).await.unwrap()
    }

    /// Opens a connection and sends a truthful hello; from then on the well-behaved node serves it.
    pub(super) async fn meet(&self, target: &InProcessNode) {
        self.meet_at(target, target.node.network().listen_addrs()).await;
    }

    /// Like [`Self::meet`], at another address than that of the node.
    pub(super) async fn meet_at(&self, target: &InProcessNode, at: Vec<Multiaddr>) {
        self.dial_at(target, at).await.unwrap();
        let hello = self.hello(target, |_| (), |_| ());
        let proof = LedgerProof {
            head: empty_ledger(&self.institution, &self.node),
            paths: vec![Some(Vec::new())],
        };
        self.send_hello(target, &hello, &proof)
            .await
            .expect("a well-behaved node answers a member's hello");
        // The session is attested once the node has checked the ledger that was shown last.
        for _ in 0..200 {
            let session = target.node.network().sessions().borrow().get(&self.id()).cloned();
            if session.is_none_or(|session| session.attested().is_some()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sends the hello on the open connection, shows a ledger, and returns the answer.
    pub(super) async fn send_hello(
        &self,
        target: &InProcessNode,
        hello: &Hello,
        proof: &LedgerProof,
    ) -> io::Result<HelloReply> {
        let stream = self.open(target, HELLO).await;
        let mut stream = stream.map_err(|error| io::Error::other(error.to_string()))?;
        stream.send(hello).await?;
        let reply = stream.recv().await?;
        if let HelloReply::Answered { .. } = reply {
            stream.send(&HelloClosing::Proven(proof.clone())).await?;
        }
        Ok(reply)
    }

    /// A countersignature with the head of the ledger that it shows in each hello.
    pub(super) fn countersignature(&self, receipt: CoSigned<Receipt>) -> Countersignature {
        Countersignature {
            receipt,
            ledger: empty_ledger(&self.institution, &self.node),
        }
    }

    /// A hello, truthful except for what the two functions change before it is signed.
    pub(super) fn hello(
        &self,
        target: &InProcessNode,
        certificate: impl FnOnce(&mut NodeCertificate),
        statement: impl FnOnce(&mut HelloStatement),
    ) -> Hello {
        let mut certified = NodeCertificate {
            institution: self.institution.clone(),
            node: self.id(),
            institution_key: self.institution_key.public(),
            issued_at: now(),
            not_after: now().plus_seconds(3600),
        };
        certificate(&mut certified);
        let mut stated = HelloStatement {
            from: self.id(),
            to: target.node.network().local_id(),
            nonce: Nonce::from_bytes([7; 16]),
            start: NodeStart {
                generation: 0,
                number: 1,
                id: StartId::from_bytes([7; 16]),
            },
            roster: 1,
            version: "0".to_owned(),
            sent_at: now(),
        };
        statement(&mut stated);
        Hello {
            next_certificate: None,
            certificate: sign(&certified, &self.institution_key),
            statement: sign(&stated, &self.node),
            known_heads: Vec::new(),
            refused_start: None,
        }
    }

    /// Opens a stream on the open connection.
    pub(super) async fn open(
        &self,
        target: &InProcessNode,
        protocol: impl Borrow<str>,
    ) -> Result<Wire, OpenStreamError> {
        soon(
            self.control
                .clone()
                .open_stream(peer(target), stream_protocol(&protocol)),
        )
        .await
        .map(Wire)
    }

    /// Opens a stream, sends one frame and reads one.
    pub(super) async fn request<A: Frame>(
        &self,
        target: &InProcessNode,
        protocol: impl Borrow<str>,
        message: &impl Frame,
    ) -> io::Result<A> {
        let mut stream = self
            .open(target, protocol)
            .await
            .map_err(|error| io::Error::other(error.to_string()))?;
        stream.send(message).await?;
        stream.recv().await
    }

    /// The streams that others open to it.
    pub(super) fn accept(&self, protocol: impl Borrow<str>) -> IncomingStreams {
        self.control.clone().accept(stream_protocol(&protocol)).unwrap()
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
/// The name of the rule behind a refusal.
pub(super) fn rule(refusal: &Refusal) -> Option<&str> {
    refusal.reasons.first()?.rule.as_deref()
}

pub(super) fn now() -> Timestamp {
    Clock::system().now()
}

fn peer(target: &InProcessNode) -> PeerId {
    peer_id(&target.node.network().local_id()).unwrap()
}

fn swarm(node: &NodeKey) -> Swarm<Behavior> {
    let keypair = Keypair::ed25519_from_bytes(&mut *node.expose_seed()).unwrap();
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::new().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .unwrap()
        .with_behaviour(|_| Behavior {
            streams: libp2p_stream::Behaviour::new(),
            ping: ping::Behaviour::default(),
        })
        .unwrap();
    swarm
        .with_swarm_config(|config| config.with_idle_connection_timeout(STEP_TIMEOUT))
        .build()
}

async fn run(mut swarm: Swarm<Behavior>, mut inbox: mpsc::Receiver<Dial>, seen: watch::Sender<usize>) {
    let mut waiting = Waiting::new();
    loop {
        tokio::select! {
            dial = inbox.recv() => {
                let Some(Dial { to, at, reply }) = dial else { return };
                let options = DialOpts::peer_id(to).addresses(at).condition(PeerCondition::Always).build();
                let id = options.connection_id();
                match swarm.dial(options) {
                    Ok(()) => drop(waiting.insert(id, reply)),
                    Err(error) => drop(reply.send(Err(error))),
                }
            }
            event = swarm.select_next_some() => note(event, &mut waiting, &seen),
        }
    }
}

/// The pending dials by connection.
type Waiting = HashMap<ConnectionId, oneshot::Sender<Result<(), DialError>>>;

fn note(event: SwarmEvent<BehaviorEvent>, waiting: &mut Waiting, seen: &watch::Sender<usize>) {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "libp2p adds events; an attacker only counts its connections"
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
    /// The next stream that a peer opens, and the peer's id.
    pub(super) async fn next(incoming: &mut IncomingStreams) -> (NodeId, Self) {
        let (peer, stream) = soon(incoming.next()).await.expect("the attacker's swarm runs");
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

    /// Sends a body after its true length.
    pub(super) async fn body(&mut self, body: &[u8]) -> io::Result<()> {
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        self.raw(&[&len[..], body].concat()).await
    }

    /// Sends a frame as a well-behaved node would.
    pub(super) async fn send(&mut self, message: &impl Frame) -> io::Result<()> {
        self.raw(&codec::encode(message).unwrap()).await
    }

    /// Reads a frame.
    pub(super) async fn recv<F: Frame>(&mut self) -> io::Result<F> {
        let body = self.block().await?;
        Ok(codec::decode(&body).expect("a well-behaved node sends valid frames"))
    }

    /// Reads a length and that many bytes: a frame's body, or a chunk.
    pub(super) async fn block(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; HEADER_LEN];
        soon(self.0.read_exact(&mut header)).await?;
        let mut body = vec![0; u32::from_be_bytes(header) as usize];
        soon(self.0.read_exact(&mut body)).await?;
        Ok(body)
    }

    /// Reads the chunks of an answer to their end and confirms each.
    pub(super) async fn chunks(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut chunks = Vec::new();
        loop {
            let chunk = self.block().await?;
            if chunk.is_empty() {
                return Ok(chunks);
            }
            chunks.push(chunk);
            let number = chunks.len() as u64;
            self.send(&ChunkAccepted { number, more: true }).await?;
        }
    }

    /// Sends one chunk of an answer and reads its confirmation, if one comes.
    pub(super) async fn chunk(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.body(chunk).await?;
        // A well-behaved consumer confirms what it has received before it looks at it.
        self.recv::<ChunkAccepted>().await.map(drop)
    }

    /// Reads exactly this many bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        soon(self.0.read_exact(&mut bytes)).await?;
        Ok(bytes)
    }

    /// Whether the other side ends the stream without sending anything.
    pub(super) async fn is_dropped(&mut self) -> bool {
        let mut byte = [0];
        matches!(soon(self.0.read(&mut byte)).await, Ok(0) | Err(_))
    }
}

fn stream_protocol(name: &impl Borrow<str>) -> StreamProtocol {
    StreamProtocol::try_from_owned(name.borrow().to_owned()).unwrap()
}
