//! The task that owns the swarm: handles requests of the handles, keeps members connected, and disconnects others.
//!
//! On stop it performs four steps:
//!
//! 1. it cuts every session, so that all streams fail,
//! 2. it fails the pending dials,
//! 3. it closes all connections, and gives peers a moment to notice,
//! 4. it drops the swarm, and with it the listeners.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use concordat_protocol::ids::NodeId;
use futures::{StreamExt, stream::FuturesUnordered};
use libp2p::{
    Multiaddr, PeerId, Swarm,
    core::ConnectedPoint,
    ping,
    swarm::{ConnectionId, DialError, SwarmEvent, dial_opts::DialOpts},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::{
    behavior::{Behavior, BehaviorEvent},
    error::NetworkError,
    members::{Members, node_id, peer_id},
    message::Message,
    redial::Redial,
    reset::{Connections, OpenConnection, Resets},
    resolve::resolve,
    session::{Connection, Session, Sessions},
};

/// How long to wait on stop for connections to close cleanly.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often to check for peers that have not completed `hello`.
const INTRODUCTION_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A dial whose host names are being resolved.
type Lookup = futures::future::BoxFuture<'static, (NodeId, PeerId, Vec<Multiaddr>)>;

/// The state of the network, owned by one task.
pub(crate) struct Task {
    pub(crate) swarm: Swarm<Behavior>,
    pub(crate) inbox: mpsc::Receiver<Message>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) listening: watch::Sender<Vec<Multiaddr>>,
    pub(crate) keep_connected: bool,
    pub(crate) redial: Redial,
    pub(crate) local: NodeId,
    pub(crate) members: Arc<Members>,
    pub(crate) lookups: FuturesUnordered<Lookup>,
    pub(crate) waiting: BTreeMap<NodeId, Vec<oneshot::Sender<Result<(), NetworkError>>>>,
    pub(crate) spans: HashMap<ConnectionId, Span>,
    pub(crate) connections: Connections,
    pub(crate) resets: Resets,
    pub(crate) introduction: Duration,
}

impl Task {
    /// Runs until `stop` is canceled or the last handle is dropped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(INTRODUCTION_CHECK_INTERVAL);
        loop {
            let due = self.redial.next_due();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                message = self.inbox.recv() => match message {
                    Some(message) => self.on_message(message),
                    None => break,
                },
                () = until(due) => self.redial_due(),
                _ = tick.tick() => self.cut_unintroduced(),
                Some((node, peer, addresses)) = self.lookups.next() => self.dial(node, peer, addresses),
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
        self.say_goodbye().await;
    }

    fn on_message(&mut self, message: Message) {
        match message {
            Message::Connect { peer, reply } => self.connect(peer, reply),
            Message::Open { peer, request } => {
                if let Some(peer) = peer_id(&peer) {
                    self.swarm.behaviour_mut().streams.open(peer, request);
                }
            }
            Message::SetMembers { members, reply } => {
                self.set_members(&members);
                // The caller may not be waiting for the answer.
                let _ = reply.send(());
            }
            Message::Disconnect { peer } => self.disconnect(peer),
            Message::Close {
                connection,
                others,
                reply,
            } => self.close(connection, others, reply),
            Message::Reset { session, reply } => self.reset(&session, reply),
        }
    }

    fn connect(&mut self, peer: NodeId, reply: oneshot::Sender<Result<(), NetworkError>>) {
        let answer = if !self.members.contains(&peer) {
            Err(NetworkError::NotMember { peer })
        } else if self.sessions.get(&peer).is_some() {
            Ok(())
        } else {
            self.waiting.entry(peer).or_default().push(reply);
            return self.look_up(peer);
        };
        // The caller may have given up in the meantime.
        let _ = reply.send(answer);
    }

    fn set_members(&mut self, members: &Arc<Members>) {
        let before = std::mem::replace(&mut self.members, members.clone());
        for removed in self.swarm.behaviour_mut().gate.set_members(members.clone()) {
            if let Some(node) = node_id(&removed) {
                tracing::info!(peer = %node.short(), "no longer a member; its connections are closed");
                self.sessions.cut(node);
            }
        }
        self.sessions.set_members(members.clone());
        self.redial.retain(|node| members.contains(node));
        if self.keep_connected {
            let now = Instant::now();
            for node in members.ids() {
                self.want(*node, now);
                if before.contains(node) && before.addresses(node) != members.addresses(node) {
                    self.redial.dial_at_once(node, now);
                }
            }
        }
    }

    /// Requests a connection with a member. Of two members the one with the lower id dials at once and the other one a little later, so
    /// that they rarely end up with two connections.
    fn want(&mut self, node: NodeId, now: Instant) {
        if node == self.local || self.sessions.get(&node).is_some() {
            return;
        }
        let dial_tiebreak = if self.local < node {
            Duration::ZERO
        } else {
            Duration::from_millis(300)
        };
        self.redial.want(node, now, dial_tiebreak);
    }

    /// Ends the sessions of peers that have proved a member's key but have not completed `hello` in time.
    fn cut_unintroduced(&mut self) {
        let sessions = self.sessions.subscribe().borrow().clone();
        let late = sessions.values().filter(|session| session.attested().is_none());
        let late = late.filter(|session| session.began().elapsed() >= self.introduction);
        for node in late.map(Session::peer).collect::<Vec<_>>() {
            tracing::info!(peer = %node.short(), "the peer has not completed hello in time; its connections are closed");
            self.disconnect(node);
        }
    }

    fn disconnect(&mut self, node: NodeId) {
        self.sessions.cut(node);
        if let Some(peer) = peer_id(&node) {
            self.swarm.behaviour_mut().gate.close(peer);
        }
    }

    /// Closes one connection, or all others with its peer. The session ends with its last connection.
    fn close(&mut self, connection: Connection, others: bool, reply: oneshot::Sender<()>) {
        let with_peer = self.connections.with(connection.peer);
        let closed: BTreeSet<ConnectionId> = with_peer.filter(|id| (*id != connection.id) == others).collect();
        for id in &closed {
            self.swarm.close_connection(*id);
        }
        self.connections.wait(closed, reply);
    }

    fn reset(&mut self, session: &Session, reply: oneshot::Sender<()>) {
        let peer = session.peer();
        let open = self.connections.of(peer, session.number());
        if self
            .sessions
            .get(&peer)
            .is_some_and(|current| current.number() == session.number())
        {
            self.sessions.cut(peer);
        }
        for (connection, remote) in &open {
            self.resets.reset(remote);
            self.swarm.close_connection(*connection);
        }
        self.connections
            .wait(open.into_iter().map(|(connection, _)| connection).collect(), reply);
    }

    fn redial_due(&mut self) {
        for node in self.redial.take_due(Instant::now()) {
            self.look_up(node);
        }
    }

    fn look_up(&mut self, node: NodeId) {
        let Some(peer) = peer_id(&node) else {
            return self.unreachable(node, DialError::NoAddresses);
        };
        let addresses = self.members.addresses(&node).to_vec();
        self.lookups
            .push(Box::pin(async move { (node, peer, resolve(&addresses).await) }));
    }

    fn dial(&mut self, node: NodeId, peer: PeerId, addresses: Vec<Multiaddr>) {
        match self.swarm.dial(DialOpts::peer_id(peer).addresses(addresses).build()) {
            Ok(()) => {}
            // Already dialing or connected: the outcome of that attempt counts.
            Err(DialError::DialPeerConditionFalse(_)) => self.finish_if_connected(node),
            Err(error) => self.unreachable(node, error),
        }
    }

    fn finish_if_connected(&mut self, node: NodeId) {
        if self.sessions.get(&node).is_some() {
            self.connected(node);
        }
    }

    fn connected(&mut self, node: NodeId) {
        self.redial.mark_connected(&node, Instant::now());
        for reply in self.waiting.remove(&node).unwrap_or_default() {
            // The caller may have given up in the meantime.
            let _ = reply.send(Ok(()));
        }
    }

    fn unreachable(&mut self, node: NodeId, error: DialError) {
        if self.sessions.get(&node).is_some() {
            return self.connected(node);
        }
        let source = Arc::new(error);
        tracing::debug!(peer = %node.short(), error = %source, "the member cannot be reached");
        for reply in self.waiting.remove(&node).unwrap_or_default() {
            // The caller may have given up in the meantime.
            let _ = reply.send(Err(NetworkError::Unreachable {
                peer: node,
                source: source.clone(),
            }));
        }
        // Without randomness the maximum wait is used; only the distribution among members is worse.
        let random = getrandom::u32().unwrap_or(u32::MAX);
        self.redial.failed(&node, Instant::now(), random);
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviorEvent>) {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "libp2p adds events; the others need no action"
        )]
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                self.listening.send_modify(|listening| listening.push(address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listening
                    .send_modify(|listening| listening.retain(|known| *known != address));
            }
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => {
                self.on_established(&peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                cause,
                ..
            } => {
                self.connections.closed(connection_id);
                let _entered = self.spans.remove(&connection_id).map(Span::entered);
                tracing::info!(cause = cause.map(tracing::field::display), "connection closed");
                if num_established == 0 {
                    self.on_disconnected(&peer_id);
                }
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                if let Some(node) = node_id(&peer) {
                    self.unreachable(node, error);
                }
            }
            SwarmEvent::IncomingConnectionError { peer_id, error, .. } => {
                let peer = peer_id
                    .as_ref()
                    .and_then(node_id)
                    .map(|node| tracing::field::display(node.short()));
                tracing::debug!(
                    peer,
                    error = &error as &dyn std::error::Error,
                    "incoming connection refused"
                );
            }
            SwarmEvent::Behaviour(BehaviorEvent::Ping(ping::Event {
                connection,
                result: Err(error),
                ..
            })) => {
                tracing::debug!(%connection, %error, "the peer does not answer pings");
                self.swarm.close_connection(connection);
            }
            _ => {}
        }
    }

    fn on_established(&mut self, peer: &PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let Some(node) = node_id(peer) else { return };
        let span = tracing::info_span!("connection", peer = %node.short(), id = %connection);
        span.in_scope(|| tracing::info!(dialed = endpoint.is_dialer(), "connection established"));
        self.spans.insert(connection, span);
        let opened = OpenConnection {
            peer: node,
            session: self.sessions.get(&node).map(|session| session.number()),
            remote: endpoint.get_remote_address().clone(),
        };
        self.connections.opened(connection, opened);
        self.connected(node);
    }

    fn on_disconnected(&mut self, peer: &PeerId) {
        if let Some(node) = node_id(peer)
            && self.keep_connected
            && self.members.contains(&node)
        {
            self.want(node, Instant::now());
        }
    }

    async fn say_goodbye(mut self) {
        let sessions = self.sessions.subscribe().borrow().clone();
        for node in sessions.keys() {
            self.disconnect(*node);
        }
        self.inbox.close();
        self.waiting.clear();
        let all_closed = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        // A peer that does not confirm the close notices when the sockets are dropped.
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, all_closed).await;
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
