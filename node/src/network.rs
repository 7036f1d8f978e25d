//! The peer-to-peer network: who may connect, and streams of frames between those who may.
//!
//! Nodes use libp2p over TCP (Noise, Yamux) and QUIC. A connection passes four checks before it carries anything:
//!
//! 1. the transport's handshake proves the peer's Ed25519 node key, in time and within bounds by source ([`transport`]);
//! 2. the gate compares it with the members: the connection of a non-member is closed before any protocol runs, and
//!    that of a member as soon as it is no longer a member;
//! 3. [`hello`] binds the key to an institution; until then no other protocol is served, and a peer that takes too long is disconnected;
//! 4. every stream needs a permit, counted for its peer, its institution and in total, so that none can crowd out the others.
//!
//! One private task owns the swarm; the rest of the node uses it through [`NetworkHandle`]. Services open streams with
//! [`NetworkHandle::open`] and serve them with [`NetworkHandle::accept`]; both get a [`FramedStream`] that bounds the size
//! and the time of everything that arrives.

mod behavior;
mod config;
mod dial;
mod error;
pub(crate) mod framed;
mod gate;
pub mod hello;
mod members;
mod redial;
mod reset;
mod resolve;
mod session;
mod source;
mod streams;
mod task;
mod transport;

use std::{sync::Arc, time::Duration};

use concordat_protocol::ids::NodeId;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use libp2p::{Multiaddr, StreamProtocol, swarm::SwarmEvent};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::{
    config::{Backoff, Deadlines, Limits, NetworkConfig, Timeouts},
    dial::{AllowedHost, DialRange, DialRefused, Dialing, InvalidDialRange},
    error::{NetworkError, Responsibility},
    framed::{FramedStream, MAX_CHUNK},
    members::{Members, node_id, peer_id},
    session::{Role, Session, SessionMap},
};
use self::{
    hello::HELLO,
    redial::Redial,
    reset::Resets,
    session::Sessions,
    streams::{Acceptors, Inbound, StreamRequest},
    task::{Message, Task},
};
use crate::shutdown::Stage;

/// Capacity of the message queue of the task. Every sender waits for an answer, so this is about the number of concurrent callers.
const QUEUE_CAPACITY: usize = 64;

/// Number of connections on which opening one stream is tried: a dead connection is replaced by a new one.
const OPEN_ATTEMPTS: u32 = 3;

/// How long to wait until connections are reported as closed after a reset: no peer is involved.
const RESET_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for listeners.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The network's starting point.
#[derive(Debug)]
pub struct Network;

impl Network {
    /// Binds the listeners and starts the network as part of `stage`. The gate is closed until members are set.
    ///
    /// # Errors
    /// If the key is unusable or an address cannot be listened on.
    pub async fn start(config: NetworkConfig, stage: &Stage) -> Result<NetworkHandle, NetworkError> {
        let sessions = Arc::new(Sessions::new(&config.limits));
        let acceptors = Arc::new(Acceptors::new(config.limits.streams));
        let dialing = Dialing::new(config.dial.clone());
        let resets = Resets::default();
        let mut swarm = behavior::swarm(&config, &dialing, sessions.clone(), acceptors.clone(), resets.clone())?;
        let bound = tokio::time::timeout(LISTEN_TIMEOUT, listen(&mut swarm, &config.listen)).await;
        let addresses = bound.map_err(|_| NetworkError::ListenTimeout { after: LISTEN_TIMEOUT })??;
        let local = node_id(swarm.local_peer_id()).ok_or(NetworkError::Stopped)?;

        let (listening, watched) = watch::channel(addresses);
        let (outbox, inbox) = mpsc::channel(QUEUE_CAPACITY);
        let task = Task {
            swarm,
            inbox,
            sessions: sessions.clone(),
            listening,
            keep_connected: config.keep_connected,
            redial: Redial::new(config.backoff),
            local,
            members: Arc::default(),
            lookups: FuturesUnordered::new(),
            waiting: Default::default(),
            spans: Default::default(),
            connections: Default::default(),
            resets,
            introduction: config.timeouts.introduction,
        };
        stage.spawn(task.run(stage.token().clone()));
        let timeouts = config.timeouts;
        Ok(NetworkHandle {
            inner: Arc::new(Shared {
                local,
                outbox,
                sessions,
                acceptors,
                listening: watched,
                timeouts,
                dialing,
            }),
        })
    }
}

/// Listens on `addresses` and waits until each has a socket.
async fn listen(
    swarm: &mut libp2p::Swarm<behavior::Behavior>,
    addresses: &[Multiaddr],
) -> Result<Vec<Multiaddr>, NetworkError> {
    let mut pending = std::collections::HashSet::new();
    for address in addresses {
        let listener = swarm.listen_on(address.clone());
        pending.insert(listener.map_err(|source| NetworkError::Listen {
            address: address.clone(),
            source,
        })?);
    }
    let mut bound = Vec::new();
    while !pending.is_empty() {
        if let SwarmEvent::NewListenAddr { listener_id, address } = swarm.select_next_some().await {
            pending.remove(&listener_id);
            bound.push(address);
        }
    }
    Ok(bound)
}

/// A cloneable handle to the network.
#[derive(Debug, Clone)]
pub struct NetworkHandle {
    inner: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    local: NodeId,
    outbox: mpsc::Sender<Message>,
    sessions: Arc<Sessions>,
    acceptors: Arc<Acceptors>,
    listening: watch::Receiver<Vec<Multiaddr>>,
    timeouts: Timeouts,
    dialing: Dialing,
}

impl NetworkHandle {
    /// This node's id.
    pub fn local_id(&self) -> NodeId {
        self.inner.local
    }

    /// The addresses this node listens on, with the ports that were picked.
    pub fn listen_addrs(&self) -> Vec<Multiaddr> {
        self.inner.listening.borrow().clone()
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
    pub async fn open(&self, peer: NodeId, protocol: StreamProtocol) -> Result<FramedStream, NetworkError> {
        let after = self.inner.timeouts.open;
        let opening = async {
            for _ in 1..OPEN_ATTEMPTS {
                match self.open_once(peer, protocol.clone()).await {
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

    async fn open_once(&self, peer: NodeId, protocol: StreamProtocol) -> Result<FramedStream, NetworkError> {
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
            request: StreamRequest { protocol, reply },
        })
        .await?;
        let stream = answer.await.map_err(|_| session.ended())??;
        Ok(FramedStream::new(stream, session, self.inner.timeouts.stream, None))
    }

    /// Serves `protocol`: the streams that peers open, as long as the result is held.
    ///
    /// # Errors
    /// [`NetworkError::AlreadyServed`].
    pub fn accept(&self, protocol: StreamProtocol) -> Result<IncomingStreams, NetworkError> {
        Ok(IncomingStreams {
            before_attestation: protocol == HELLO,
            queue: self.inner.acceptors.serve(protocol)?,
            waiting: FuturesUnordered::new(),
            timeouts: self.inner.timeouts.clone(),
        })
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

/// The streams of one protocol that peers open.
pub struct IncomingStreams {
    before_attestation: bool,
    queue: mpsc::Receiver<Inbound>,
    waiting: FuturesUnordered<BoxFuture<'static, Option<Inbound>>>,
    timeouts: Timeouts,
}

impl IncomingStreams {
    /// The next stream of an attested peer (of any peer, for `hello`); dropping it resets it. Cancel safe.
    pub async fn next(&mut self) -> FramedStream {
        loop {
            let inbound = tokio::select! {
                Some(inbound) = self.queue.recv() => self.admit(inbound),
                Some(inbound) = self.waiting.next() => inbound,
                else => std::future::pending().await,
            };
            if let Some(Inbound {
                session,
                stream,
                permit,
            }) = inbound
            {
                return FramedStream::new(stream, session, self.timeouts.stream, Some(permit));
            }
        }
    }

    fn admit(&mut self, inbound: Inbound) -> Option<Inbound> {
        if self.before_attestation || inbound.session.attested().is_some() {
            return Some(inbound);
        }
        let limit = self.timeouts.attest;
        let attested = async move {
            let attested = tokio::time::timeout(limit, inbound.session.until_attested()).await;
            matches!(attested, Ok(Ok(_))).then_some(inbound)
        };
        self.waiting.push(attested.boxed());
        None
    }
}

impl std::fmt::Debug for IncomingStreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingStreams")
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
