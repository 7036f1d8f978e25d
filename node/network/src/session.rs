//! Sessions: one for as long as there is at least one connection with a peer.
//!
//! Two members that dial each other at the same moment end up with two connections; they are one session, because both are
//! bound to the same node key. Attestation, the limit on incoming streams and the cut belong to the session:
//!
//! * an attestation ends with its session,
//! * when the session is cut, each of its streams fails at its next operation, regardless of who owns it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use concordat_protocol::ids::{InstitutionId, NodeId};
use libp2p::{Multiaddr, swarm::ConnectionId};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{config::Limits, error::NetworkError, hello::Attested, members::Members};

/// One connection with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    pub(crate) peer: NodeId,
    pub(crate) id: ConnectionId,
}

/// Which side made the first connection of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This node; it opens `hello`.
    Dialer,
    /// The peer; this node waits for its `hello`.
    Listener,
}

/// The time during which this node and one peer are connected; clones are the same session.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    peer: NodeId,
    number: u64,
    role: Role,
    /// The address that was dialed; `None` if the peer has dialed.
    dialed: Option<Multiaddr>,
    cut: CancellationToken,
    attested: watch::Sender<Option<Arc<Attested>>>,
    inbound: InboundStreams,
    began: Instant,
}

impl Session {
    fn new(peer: NodeId, number: u64, (role, dialed): (Role, Option<Multiaddr>), inbound: InboundStreams) -> Self {
        Self(Arc::new(Inner {
            peer,
            number,
            role,
            dialed,
            cut: CancellationToken::new(),
            attested: watch::Sender::new(None),
            inbound,
            began: Instant::now(),
        }))
    }

    /// The peer's node id, proved by the transport's handshake.
    pub fn peer(&self) -> NodeId {
        self.0.peer
    }

    /// A number that is unique among the sessions of this process.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Which side made the first connection.
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// The address at which this node has made the first connection; `None` if the peer has made it.
    pub fn dialed(&self) -> Option<Multiaddr> {
        self.0.dialed.clone()
    }

    /// Records that the peer has proved its identity. The accepting side of `hello` does this before it answers.
    pub fn attest(&self, attested: Attested) {
        self.0.attested.send_replace(Some(Arc::new(attested)));
    }

    /// What the peer has proved; `None` before `hello` is complete.
    pub fn attested(&self) -> Option<Arc<Attested>> {
        self.0.attested.borrow().clone()
    }

    /// Waits for the peer to be attested.
    ///
    /// # Errors
    /// [`NetworkError::Cut`] if the session ends first.
    pub async fn until_attested(&self) -> Result<Arc<Attested>, NetworkError> {
        let mut attested = self.0.attested.subscribe();
        let found = self.0.cut.run_until_cancelled(attested.wait_for(Option::is_some)).await;
        let found = found.and_then(|found| found.ok().and_then(|attested| attested.clone()));
        found.ok_or_else(|| self.ended())
    }

    /// Waits for the end of the session.
    pub async fn until_cut(&self) {
        self.0.cut.cancelled().await;
    }

    /// Whether the session is over.
    pub fn is_cut(&self) -> bool {
        self.0.cut.is_cancelled()
    }

    /// The error of every operation after the end.
    pub(crate) fn ended(&self) -> NetworkError {
        NetworkError::Cut { peer: self.0.peer }
    }

    /// When the session began.
    pub(crate) fn began(&self) -> Instant {
        self.0.began
    }

    /// Permits for the streams that the peer opens here.
    pub(crate) fn inbound(&self) -> &InboundStreams {
        &self.0.inbound
    }

    fn cut(&self) {
        self.0.cut.cancel();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("peer", &self.0.peer)
            .field("number", &self.0.number)
            .field("role", &self.0.role)
            .field("attested", &self.attested().is_some())
            .field("cut", &self.is_cut())
            .finish()
    }
}

/// Permits for the streams that a peer opens: its own, and those that it shares with the other nodes of its institution.
#[derive(Debug, Clone)]
pub(crate) struct InboundStreams {
    peer: Arc<Semaphore>,
    institution: Arc<Semaphore>,
    /// Permits of each that catalogs and estimates leave to everything else.
    reserved: [usize; 2],
}

impl InboundStreams {
    /// Acquires the permits for one stream, if both kinds are available.
    pub(crate) fn acquire(&self) -> Option<[OwnedSemaphorePermit; 2]> {
        let peer = self.peer.clone().try_acquire_owned().ok()?;
        let institution = self.institution.clone().try_acquire_owned().ok()?;
        Some([peer, institution])
    }

    /// The same for a catalog or an estimate, which any account of the peer can request at any time: half of the permits are left for queries,
    /// receipts and notices.
    pub(crate) fn acquire_half(&self) -> Option<[OwnedSemaphorePermit; 2]> {
        let permits = self.acquire()?;
        let left = [&self.peer, &self.institution].map(|kind| kind.available_permits());
        let is_left = left.iter().zip(self.reserved).all(|(left, reserved)| *left >= reserved);
        is_left.then_some(permits)
    }
}

/// The open sessions by peer, as watched through [`crate::NetworkHandle::sessions`].
pub type SessionMap = BTreeMap<NodeId, Session>;

/// The register of sessions, written by the connections and read by the handles.
#[derive(Debug)]
pub(crate) struct Sessions {
    entries: Mutex<Entries>,
    open: watch::Sender<Arc<SessionMap>>,
    streams_per_peer: usize,
    streams_per_institution: usize,
}

#[derive(Debug, Default)]
struct Entries {
    last_number: u64,
    connections: BTreeMap<NodeId, BTreeSet<ConnectionId>>,
    /// Preserved between sessions, so that a peer does not get new permits by reconnecting.
    inbound: BTreeMap<NodeId, Arc<Semaphore>>,
    institutions: BTreeMap<InstitutionId, Arc<Semaphore>>,
    members: Arc<Members>,
}

impl Entries {
    fn inbound_streams(&mut self, peer: NodeId, per_peer: usize, per_institution: usize) -> InboundStreams {
        let new = |permits| move || Arc::new(Semaphore::new(permits));
        let institution = match self.members.institution(&peer) {
            Some(institution) => self
                .institutions
                .entry(institution.clone())
                .or_insert_with(new(per_institution)),
            // The gate refuses nodes that are not on the roster.
            None => &mut Arc::new(Semaphore::new(0)),
        };
        InboundStreams {
            peer: self.inbound.entry(peer).or_insert_with(new(per_peer)).clone(),
            institution: institution.clone(),
            reserved: [per_peer / 2, per_institution / 2],
        }
    }
}

impl Sessions {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            entries: Mutex::default(),
            open: watch::Sender::default(),
            streams_per_peer: limits.streams_per_peer,
            streams_per_institution: limits.streams_per_institution,
        }
    }

    /// Watches sessions start and end.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<SessionMap>> {
        self.open.subscribe()
    }

    /// The open session with `peer`.
    pub(crate) fn get(&self, peer: &NodeId) -> Option<Session> {
        self.open.borrow().get(peer).cloned()
    }

    /// Adds a connection, made by `role` at the address `dialed`, and returns its session, a new one if this is the first connection or the old one was cut.
    pub(crate) fn connected(
        &self,
        peer: NodeId,
        connection: ConnectionId,
        role: Role,
        dialed: Option<Multiaddr>,
    ) -> Session {
        let mut entries = self.entries();
        if let Some(session) = self.get(&peer) {
            entries.connections.entry(peer).or_default().insert(connection);
            return session;
        }
        entries.last_number = entries.last_number.saturating_add(1);
        entries.connections.insert(peer, BTreeSet::from([connection]));
        let number = entries.last_number;
        let inbound = entries.inbound_streams(peer, self.streams_per_peer, self.streams_per_institution);
        let session = Session::new(peer, number, (role, dialed), inbound);
        self.open.send_modify(|open| {
            Arc::make_mut(open).insert(peer, session.clone());
        });
        session
    }

    /// The newest connection with `peer`. A peer that was killed and restarted uses this one; the older ones are
    /// dead, even if that has not been detected yet.
    pub(crate) fn newest(&self, peer: &NodeId) -> Option<ConnectionId> {
        self.entries().connections.get(peer)?.last().copied()
    }

    /// Removes a connection; the session ends with its last connection.
    pub(crate) fn closed(&self, peer: NodeId, connection: ConnectionId) {
        let mut entries = self.entries();
        let Some(connections) = entries.connections.get_mut(&peer) else {
            return;
        };
        if connections.remove(&connection) && connections.is_empty() {
            self.end(&mut entries, peer);
        }
    }

    /// Ends the session with `peer` at once, even if its connections are still open.
    pub(crate) fn cut(&self, peer: NodeId) {
        self.end(&mut self.entries(), peer);
    }

    /// Sets the members, and drops the state of all other nodes.
    pub(crate) fn set_members(&self, members: Arc<Members>) {
        let mut entries = self.entries();
        entries.inbound.retain(|peer, _| members.contains(peer));
        entries.institutions.retain(|institution, _| members.has(institution));
        entries.members = members;
    }

    fn end(&self, entries: &mut Entries, peer: NodeId) {
        entries.connections.remove(&peer);
        self.open
            .send_if_modified(|open| match Arc::make_mut(open).remove(&peer) {
                Some(session) => {
                    session.cut();
                    true
                }
                None => false,
            });
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
