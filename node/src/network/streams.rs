//! The stream behaviour: opens outgoing streams and hands incoming ones to whoever serves their protocol.
//!
//! `libp2p-stream` does the same with a queue of one: the second stream that arrives before the first has been fetched is
//! reset, so a peer with several questions at once is refused some of them at random. Here room is counted instead. A
//! stream is accepted if there is room for its peer and room in all, and keeps that room until it is dropped; the queues
//! are as long as all the room there is, so an accepted stream is never lost.

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

/// A wish for an outgoing stream, answered once.
#[derive(Debug)]
pub(super) struct Wish {
    /// The protocol to negotiate.
    pub(super) protocol: StreamProtocol,
    /// Where the stream goes.
    pub(super) reply: oneshot::Sender<Result<Stream, NetworkError>>,
}

/// A stream that a peer has opened.
#[derive(Debug)]
pub(super) struct Inbound {
    /// The session it belongs to.
    pub(super) session: Session,
    /// The negotiated stream.
    pub(super) stream: Stream,
    /// The room it takes up.
    pub(super) room: Room,
}

/// Room taken up by one incoming stream, given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    _peer_and_institution: [OwnedSemaphorePermit; 2],
    _all: OwnedSemaphorePermit,
}

/// Who serves which protocol.
#[derive(Debug)]
pub(super) struct Acceptors {
    queues: Mutex<HashMap<StreamProtocol, mpsc::Sender<Inbound>>>,
    room: Arc<Semaphore>,
    streams: usize,
}

impl Acceptors {
    /// Nobody yet, with room for `streams` streams in all.
    pub(super) fn new(streams: usize) -> Self {
        Self {
            queues: Mutex::default(),
            room: Arc::new(Semaphore::new(streams)),
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

    /// Hands a stream over, or resets it by dropping it.
    fn deliver(&self, session: &Session, stream: Stream, protocol: &StreamProtocol) {
        let Some(room) = self.room_for(session) else {
            tracing::debug!(%protocol, "no room for another stream of this peer");
            return;
        };
        let inbound = Inbound {
            session: session.clone(),
            stream,
            room,
        };
        let taken = self
            .queues()
            .get(protocol)
            .is_some_and(|queue| queue.try_send(inbound).is_ok());
        if !taken {
            tracing::debug!(%protocol, "nobody serves this stream any more");
        }
    }

    fn room_for(&self, session: &Session) -> Option<Room> {
        let peer_and_institution = session.inbound().take()?;
        let all = self.room.clone().try_acquire_owned().ok()?;
        Some(Room {
            _peer_and_institution: peer_and_institution,
            _all: all,
        })
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<StreamProtocol, mpsc::Sender<Inbound>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens and accepts streams; keeps the register of sessions.
///
/// Stands last in the behaviour: once it has been asked for a handler, nothing else can refuse the connection any more.
#[derive(Debug)]
pub(super) struct Streams {
    sessions: Arc<Sessions>,
    acceptors: Arc<Acceptors>,
    keep_alive: bool,
    outbox: VecDeque<ToSwarm<Infallible, Wish>>,
}

impl Streams {
    /// A behaviour that shares the two registers with the handles.
    pub(super) fn new(sessions: Arc<Sessions>, acceptors: Arc<Acceptors>, keep_alive: bool) -> Self {
        Self {
            sessions,
            acceptors,
            keep_alive,
            outbox: VecDeque::new(),
        }
    }

    /// Opens a stream over the newest connection with a peer; the wish is dropped if there is none.
    pub(super) fn open(&mut self, peer_id: PeerId, event: Wish) {
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
        tracing::debug!(%connection, "the connection opens no streams any more and is closed");
        self.outbox.push_back(ToSwarm::CloseConnection {
            peer_id,
            connection: CloseConnection::One(connection),
        });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.outbox.pop_front() {
            Some(event) => Poll::Ready(event),
            // Whoever fills the queue owns the swarm and polls it next, so no waker is kept.
            None => Poll::Pending,
        }
    }
}
