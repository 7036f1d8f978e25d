//! The stream behavior: opens outgoing streams and delivers incoming ones to the server of their protocol.
//!
//! `libp2p-stream` does the same with a queue of one: the second stream that arrives before the first has been fetched is
//! reset, so some of a peer's concurrent requests are refused at random. Here permits are counted instead. A
//! stream is accepted if there are permits for its peer and in total, and holds them until it is dropped; the queues
//! are as long as the total number of permits, so an accepted stream is never lost.

mod handler;

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{
    error::NetworkError,
    gate::Refused,
    members::node_id,
    session::{Role, Session, Sessions},
};
use handler::Handler;

/// A request for an outgoing stream, answered once.
#[derive(Debug)]
pub(super) struct StreamRequest {
    /// The protocol to negotiate.
    pub(super) protocol: StreamProtocol,
    /// Receives the stream.
    pub(super) reply: oneshot::Sender<Result<Stream, NetworkError>>,
}

/// A stream that a peer has opened.
#[derive(Debug)]
pub(super) struct Inbound {
    /// The session it belongs to.
    pub(super) session: Session,
    /// The negotiated stream.
    pub(super) stream: Stream,
    /// The permit it holds.
    pub(super) permit: StreamPermit,
}

/// The permits held by one incoming stream, released when dropped.
#[derive(Debug)]
pub(super) struct StreamPermit {
    _peer_and_institution: [OwnedSemaphorePermit; 2],
    _total: OwnedSemaphorePermit,
}

/// The servers of incoming streams, by protocol.
#[derive(Debug)]
pub(super) struct Acceptors {
    queues: Mutex<HashMap<StreamProtocol, mpsc::Sender<Inbound>>>,
    permits: Arc<Semaphore>,
    streams: usize,
}

impl Acceptors {
    /// No servers yet, with permits for `streams` streams in total.
    pub(super) fn new(streams: usize) -> Self {
        Self {
            queues: Mutex::default(),
            permits: Arc::new(Semaphore::new(streams)),
            streams,
        }
    }

    /// Starts to accept streams of `protocol` until the receiver is dropped.
    pub(super) fn serve(&self, protocol: StreamProtocol) -> Result<mpsc::Receiver<Inbound>, NetworkError> {
        let mut queues = self.queues();
        queues.retain(|_, queue| !queue.is_closed());
        if queues.contains_key(&protocol) {
            return Err(NetworkError::AlreadyServed { protocol });
        }
        let (queue, streams) = mpsc::channel(self.streams.max(1));
        queues.insert(protocol, queue);
        Ok(streams)
    }

    fn protocols(&self) -> Vec<StreamProtocol> {
        self.queues()
            .iter()
            .filter(|(_, queue)| !queue.is_closed())
            .map(|(protocol, _)| protocol.clone())
            .collect()
    }

    /// Delivers a stream, or resets it by dropping it.
    fn deliver(&self, session: &Session, stream: Stream, protocol: &StreamProtocol) {
        let Some(permit) = self.stream_permit(session) else {
            tracing::debug!(%protocol, "the limit of incoming streams is reached; a stream is reset");
            return;
        };
        let inbound = Inbound {
            session: session.clone(),
            stream,
            permit,
        };
        let delivered = self
            .queues()
            .get(protocol)
            .is_some_and(|queue| queue.try_send(inbound).is_ok());
        if !delivered {
            tracing::debug!(%protocol, "the protocol is no longer served; a stream is reset");
        }
    }

    fn stream_permit(&self, session: &Session) -> Option<StreamPermit> {
        let peer_and_institution = session.inbound().acquire()?;
        let total = self.permits.clone().try_acquire_owned().ok()?;
        Some(StreamPermit {
            _peer_and_institution: peer_and_institution,
            _total: total,
        })
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<StreamProtocol, mpsc::Sender<Inbound>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens and accepts streams; keeps the register of sessions.
///
/// The last part of the network behavior: once it has created a handler, no other part can refuse the connection.
#[derive(Debug)]
pub(super) struct Streams {
    sessions: Arc<Sessions>,
    acceptors: Arc<Acceptors>,
    keep_alive: bool,
    outbox: VecDeque<ToSwarm<Infallible, StreamRequest>>,
}

impl Streams {
    /// A behavior that shares the two registers with the handles.
    pub(super) fn new(sessions: Arc<Sessions>, acceptors: Arc<Acceptors>, keep_alive: bool) -> Self {
        Self {
            sessions,
            acceptors,
            keep_alive,
            outbox: VecDeque::new(),
        }
    }

    /// Opens a stream over the newest connection with a peer; the request is dropped if there is none.
    pub(super) fn open(&mut self, peer_id: PeerId, event: StreamRequest) {
        let newest = node_id(&peer_id).and_then(|node| self.sessions.newest(&node));
        if let Some(connection) = newest {
            self.outbox.push_back(ToSwarm::NotifyHandler {
                peer_id,
                handler: NotifyHandler::One(connection),
                event,
            });
        }
    }

    fn handler(&self, connection: ConnectionId, peer: &PeerId, role: Role) -> Result<Handler, ConnectionDenied> {
        let node = node_id(peer).ok_or_else(|| ConnectionDenied::new(Refused::NotMember))?;
        let session = self.sessions.connected(node, connection, role);
        Ok(Handler::new(session, self.acceptors.clone(), self.keep_alive))
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(connection, &peer, Role::Listener)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(connection, &peer, Role::Dialer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(event) = event
            && let Some(node) = node_id(&event.peer_id)
        {
            self.sessions.closed(node, event.connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, peer_id: PeerId, connection: ConnectionId, _: THandlerOutEvent<Self>) {
        tracing::debug!(%connection, "the connection no longer opens streams and is closed");
        self.outbox.push_back(ToSwarm::CloseConnection {
            peer_id,
            connection: CloseConnection::One(connection),
        });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.outbox.pop_front() {
            Some(event) => Poll::Ready(event),
            // The queue is filled by the owner of the swarm, which polls it next, so no waker is stored.
            None => Poll::Pending,
        }
    }
}
