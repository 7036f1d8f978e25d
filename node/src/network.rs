//! The peer-to-peer network: who may connect, and streams of frames between those who may.
//!
//! Nodes speak libp2p over TCP (Noise, Yamux) and QUIC. A connection goes through four doors before it carries anything:
//!
//! 1. the transport's handshake proves the peer's Ed25519 node key, in time and within bounds by source ([`transport`]);
//! 2. the gate compares it with the members: a stranger's connection is closed before any protocol runs, and
//!    a member's as soon as it stops being one;
//! 3. [`hello`] ties the key to an institution; until then no other protocol is served, and whoever takes too long is cut off;
//! 4. every stream takes up room, counted for its peer, its institution and in all, so that none can crowd out the others.
//!
//! One private task owns the swarm; [`NetworkHandle`] is how the rest of the node talks to it. Services open streams with
//! [`NetworkHandle::open`] and serve them with [`NetworkHandle::accept`]; both get a [`FramedStream`] that bounds the size
//! and the time of everything that arrives.

mod behaviour;
mod config;
mod dial;
mod error;
pub(crate) mod framed;
mod gate;
pub mod hello;
mod members;
mod redial;
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
    dial::{DialRange, DialRefused, Dialing, InvalidDialRange},
    error::{Fault, NetworkError},
    framed::{FramedStream, MAX_CHUNK},
    members::{Members, node_id, peer_id},
    session::{Role, Session, SessionMap},
};
use self::{
    hello::HELLO,
    redial::Redial,
    session::Sessions,
    streams::{Acceptors, Inbound, Wish},
    task::{Message, Task},
};
use crate::shutdown::Stage;

/// Messages waiting for the task. Every sender waits for an answer, so this is about as many as there are callers.
const INBOX: usize = 64;

/// Over how many connections one stream is tried: each that is found dead gives way to a new one.
const OPEN_ATTEMPTS: u32 = 3;

/// How long listeners get to come up.
const LISTEN: Duration = Duration::from_secs(5);

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
        let mut swarm = behaviour::swarm(&config, &dialing, sessions.clone(), acceptors.clone())?;
        let bound = tokio::time::timeout(LISTEN, listen(&mut swarm, &config.listen)).await;
        let addresses = bound.map_err(|_| NetworkError::ListenTimeout { after: LISTEN })??;
        let local = node_id(swarm.local_peer_id()).ok_or(NetworkError::Stopped)?;

        let (listening, watched) = watch::channel(addresses);
        let (outbox, inbox) = mpsc::channel(INBOX);
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
    swarm: &mut libp2p::Swarm<behaviour::Behaviour>,
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

    /// Watches sessions come and go. A `borrow` of it must not be held for long: the connections wait for it.
    pub fn sessions(&self) -> watch::Receiver<Arc<SessionMap>> {
        self.inner.sessions.subscribe()
    }

    /// Replaces the members. When this returns, strangers are refused and the streams of removed members fail.
    ///
    /// # Errors
    /// [`NetworkError::Stopped`].
    pub async fn set_members(&self, members: Arc<Members>) -> Result<(), NetworkError> {
        self.ask(|reply| Message::SetMembers { members, reply }).await
    }

    /// Cuts the session with `peer`. A member that is kept connected is dialled again.
    ///
    /// # Errors
    /// [`NetworkError::Stopped`].
    pub async fn disconnect(&self, peer: NodeId) -> Result<(), NetworkError> {
        self.tell(Message::Disconnect { peer }).await
    }

    /// Opens a stream of `protocol` to `peer`: connects if need be, and waits for attestation unless it is `hello`. A
    /// connection that turns out to be dead is replaced; nothing has been said on it, so nothing is said twice.
    ///
    /// # Errors
    /// If the peer is no member, cannot be reached, is not attested in time or does not speak the protocol.
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
                self.ask(|reply| Message::Connect { peer, reply }).await??;
                self.inner.sessions.get(&peer).ok_or(NetworkError::Cut { peer })?
            }
        };
        if protocol != HELLO {
            session.until_attested().await?;
        }
        let (reply, answer) = oneshot::channel();
        self.tell(Message::Open {
            peer,
            wish: Wish { protocol, reply },
        })
        .await?;
        let stream = answer.await.map_err(|_| session.over())??;
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

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, NetworkError> {
        let (reply, answer) = oneshot::channel();
        self.tell(message(reply)).await?;
        answer.await.map_err(|_| NetworkError::Stopped)
    }

    async fn tell(&self, message: Message) -> Result<(), NetworkError> {
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
    /// The next stream of an attested peer (of any peer, for `hello`); dropping it resets it. Can be given up and retried.
    pub async fn next(&mut self) -> FramedStream {
        loop {
            let inbound = tokio::select! {
                Some(inbound) = self.queue.recv() => self.admit(inbound),
                Some(inbound) = self.waiting.next() => inbound,
                else => std::future::pending().await,
            };
            if let Some(Inbound { session, stream, room }) = inbound {
                return FramedStream::new(stream, session, self.timeouts.stream, Some(room));
            }
        }
    }

    fn admit(&mut self, inbound: Inbound) -> Option<Inbound> {
        if self.before_attestation || inbound.session.attested().is_some() {
            return Some(inbound);
        }
        let patience = self.timeouts.attest;
        let attested = async move {
            let attested = tokio::time::timeout(patience, inbound.session.until_attested()).await;
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
