//! The handle, with which the rest of the node uses the network.

use std::{sync::Arc, time::Duration};

use concordat_protocol::{
    ids::NodeId,
    wire::streams::{HELLO, StreamName},
};
use libp2p::{Multiaddr, StreamProtocol};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    config::Timeouts,
    dial::Dialing,
    error::NetworkError,
    framed::FramedStream,
    incoming::IncomingStreams,
    members::Members,
    message::Message,
    session::{Connection, Session, SessionMap, Sessions},
    streams::{Acceptors, StreamRequest},
};

/// Number of connections on which opening one stream is tried: a dead connection is replaced by a new one.
const OPEN_ATTEMPTS: u32 = 3;

/// How long to wait until connections are reported as closed after a reset: no peer is involved.
const RESET_TIMEOUT: Duration = Duration::from_secs(5);

/// A cloneable handle to the network.
#[derive(Debug, Clone)]
pub struct NetworkHandle {
    inner: Arc<Shared>,
}

/// What all handles to one network share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) local: NodeId,
    pub(crate) outbox: mpsc::Sender<Message>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) acceptors: Arc<Acceptors>,
    pub(crate) listening: watch::Receiver<Vec<Multiaddr>>,
    pub(crate) timeouts: Timeouts,
    pub(crate) dialing: Dialing,
}

impl NetworkHandle {
    /// A handle to a network that has started.
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            inner: Arc::new(shared),
        }
    }

    /// This node's id.
    pub fn local_id(&self) -> NodeId {
        self.inner.local
    }

    /// The addresses this node listens on, with the ports that were picked.
    pub fn listen_addrs(&self) -> Vec<Multiaddr> {
        self.inner.listening.borrow().clone()
    }

    /// Watches the addresses that this node listens on.
    pub fn watch_listening(&self) -> watch::Receiver<Vec<Multiaddr>> {
        self.inner.listening.clone()
    }

    /// Which addresses may be dialed.
    pub fn dialing(&self) -> &Dialing {
        &self.inner.dialing
    }

    /// The peers that are connected now.
    pub fn connected_peers(&self) -> Vec<NodeId> {
        self.sessions().borrow().keys().copied().collect()
    }

    /// Watches sessions start and end. A `borrow` of it must not be held for long: it blocks the connections.
    pub fn sessions(&self) -> watch::Receiver<Arc<SessionMap>> {
        self.inner.sessions.subscribe()
    }

    /// Replaces the members. When this returns, non-members are refused and the streams of removed members fail.
    ///
    /// # Errors
    /// [`NetworkError::Stopped`].
    pub async fn set_members(&self, members: Arc<Members>) -> Result<(), NetworkError> {
        self.inner.dialing.set_members(members.clone());
        self.request(|reply| Message::SetMembers { members, reply }).await
    }

    /// Cuts the session with `peer`. A member that is kept connected is dialed again.
    ///
    /// # Errors
    /// [`NetworkError::Stopped`].
    pub async fn disconnect(&self, peer: NodeId) -> Result<(), NetworkError> {
        self.send(Message::Disconnect { peer }).await
    }

    /// Closes one connection. The session goes on if the peer has others.
    ///
    /// # Errors
    /// [`NetworkError::NotReset`] if it is still open after a while; [`NetworkError::Stopped`].
    pub async fn close(&self, connection: Connection) -> Result<(), NetworkError> {
        self.close_those(connection, false).await
    }

    /// Closes all other connections with the peer of `connection`.
    ///
    /// # Errors
    /// As [`Self::close`].
    pub async fn close_others(&self, connection: Connection) -> Result<(), NetworkError> {
        self.close_those(connection, true).await
    }

    async fn close_those(&self, connection: Connection, others: bool) -> Result<(), NetworkError> {
        let peer = connection.peer;
        let close = self.request(|reply| Message::Close {
            connection,
            others,
            reply,
        });
        let done = tokio::time::timeout(RESET_TIMEOUT, close).await;
        done.unwrap_or(Err(NetworkError::NotReset { peer }))
    }

    /// Ends `session` and resets its connections. When this returns, nothing of what was sent on them and has not arrived is delivered.
    /// Does nothing if all of them are closed.
    ///
    /// # Errors
    /// [`NetworkError::NotReset`] if a connection is still open after a while; [`NetworkError::Stopped`].
    pub async fn reset(&self, session: &Session) -> Result<(), NetworkError> {
        let reset = self.request(|reply| Message::Reset {
            session: session.clone(),
            reply,
        });
        let peer = session.peer();
        let done = tokio::time::timeout(RESET_TIMEOUT, reset).await;
        done.unwrap_or(Err(NetworkError::NotReset { peer }))
    }

    /// Opens a stream of `protocol` to `peer`: connects if necessary, and waits for attestation unless it is `hello`. A
    /// connection that turns out to be dead is replaced; nothing has been sent on it, so nothing is sent twice.
    ///
    /// # Errors
    /// If the peer is not a member, cannot be reached, is not attested in time or does not support the protocol.
    pub async fn open(&self, peer: NodeId, protocol: StreamName) -> Result<FramedStream, NetworkError> {
        let after = self.inner.timeouts.open;
        let opening = async {
            for _ in 1..OPEN_ATTEMPTS {
                match self.open_once(peer, protocol).await {
                    Err(error @ (NetworkError::Cut { .. } | NetworkError::Io(_))) => {
                        tracing::debug!(peer = %peer.short(), %error, "the stream is opened over another connection");
                    }
                    opened => return opened,
                }
            }
            self.open_once(peer, protocol).await
        };
        let opened = tokio::time::timeout(after, opening).await;
        opened.unwrap_or(Err(NetworkError::OpenTimeout { peer, after }))
    }

    async fn open_once(&self, peer: NodeId, protocol: StreamName) -> Result<FramedStream, NetworkError> {
        let session = match self.inner.sessions.get(&peer) {
            Some(session) => session,
            None => {
                self.request(|reply| Message::Connect { peer, reply }).await??;
                self.inner.sessions.get(&peer).ok_or(NetworkError::Cut { peer })?
            }
        };
        if protocol != HELLO {
            session.until_attested().await?;
        }
        let (reply, answer) = oneshot::channel();
        self.send(Message::Open {
            peer,
            request: StreamRequest {
                protocol: StreamProtocol::new(protocol.as_str()),
                reply,
            },
        })
        .await?;
        let stream = answer.await.map_err(|_| session.ended())??;
        Ok(FramedStream::new(stream, session, self.inner.timeouts.stream, None))
    }

    /// Serves `protocol`: the streams that peers open, as long as the result is held.
    ///
    /// # Errors
    /// [`NetworkError::AlreadyServed`].
    pub fn accept(&self, protocol: StreamName) -> Result<IncomingStreams, NetworkError> {
        let before_attestation = protocol == HELLO;
        let queue = self.inner.acceptors.serve(protocol)?;
        Ok(IncomingStreams::new(
            queue,
            before_attestation,
            self.inner.timeouts.clone(),
        ))
    }

    async fn request<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.send(message(reply)).await?;
        answer.await.map_err(|_| NetworkError::Stopped)
    }

    async fn send(&self, message: Message) -> Result<(), NetworkError> {
        self.inner.outbox.send(message).await.map_err(|_| NetworkError::Stopped)
    }
}
