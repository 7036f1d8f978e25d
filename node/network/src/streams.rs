//! The stream behavior: opens outgoing streams and delivers incoming ones to the server of their protocol.
//!
//! `libp2p-stream` does the same with a queue of one: the second stream that arrives before the first has been fetched is
//! reset, so some of a peer's concurrent requests are refused at random. Here permits are counted instead. A
//! stream is accepted if there are permits for its peer and in total, and holds them until it is dropped; the queues
//! are as long as the total number of permits, so an accepted stream is never lost.

mod acceptors;
mod handler;
mod request;

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
    },
};

use self::handler::Handler;
pub(crate) use self::{
    acceptors::{Acceptors, Inbound, StreamPermit},
    request::StreamRequest,
};
use crate::{
    gate::Refused,
    members::node_id,
    session::{Role, Sessions},
};

/// Opens and accepts streams; keeps the register of sessions.
///
/// The last part of the network behavior: once it has created a handler, no other part can refuse the connection.
#[derive(Debug)]
pub(crate) struct Streams {
    sessions: Arc<Sessions>,
    acceptors: Arc<Acceptors>,
    keep_alive: bool,
    outbox: VecDeque<ToSwarm<Infallible, StreamRequest>>,
}

impl Streams {
    /// A behavior that shares the two registers with the handles.
    pub(crate) fn new(sessions: Arc<Sessions>, acceptors: Arc<Acceptors>, keep_alive: bool) -> Self {
        Self {
            sessions,
            acceptors,
            keep_alive,
            outbox: VecDeque::new(),
        }
    }

    /// Opens a stream over the newest connection with a peer; the request is dropped if there is none.
    pub(crate) fn open(&mut self, peer_id: PeerId, event: StreamRequest) {
        let newest = node_id(&peer_id).and_then(|node| self.sessions.newest(&node));
        if let Some(connection) = newest {
            self.outbox.push_back(ToSwarm::NotifyHandler {
                peer_id,
                handler: NotifyHandler::One(connection),
                event,
            });
        }
    }

    fn handler(
        &self,
        connection: ConnectionId,
        peer: &PeerId,
        (role, dialed): (Role, Option<Multiaddr>),
    ) -> Result<Handler, ConnectionDenied> {
        let node = node_id(peer).ok_or_else(|| ConnectionDenied::new(Refused::NotMember))?;
        let session = self.sessions.connected(node, connection, role, dialed);
        Ok(Handler::new(
            (session, connection),
            self.acceptors.clone(),
            self.keep_alive,
        ))
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
        self.handler(connection, &peer, (Role::Listener, None))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(connection, &peer, (Role::Dialer, Some(address.clone())))
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
