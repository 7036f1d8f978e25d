//! The servers of incoming streams, and the permits that a stream holds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use concordat_protocol::wire::streams::{CATALOG, ESTIMATE, StreamName};
use libp2p::{Stream, StreamProtocol, swarm::ConnectionId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::{
    error::NetworkError,
    session::{Connection, Session},
};

/// The protocols that any account of a peer can have its node use at any time.
const OF_ANY_ACCOUNT: [StreamName; 2] = [CATALOG, ESTIMATE];

/// A stream that a peer has opened.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// The session it belongs to.
    pub(crate) session: Session,
    /// The connection that the peer has opened it on.
    pub(crate) connection: Connection,
    /// The negotiated stream.
    pub(crate) stream: Stream,
    /// The permit it holds.
    pub(crate) permit: StreamPermit,
}

/// The permits held by one incoming stream, released when dropped.
#[derive(Debug)]
pub(crate) struct StreamPermit {
    _peer_and_institution: [OwnedSemaphorePermit; 2],
    _total: OwnedSemaphorePermit,
}

/// The servers of incoming streams, by protocol.
#[derive(Debug)]
pub(crate) struct Acceptors {
    queues: Mutex<HashMap<StreamName, mpsc::Sender<Inbound>>>,
    permits: Arc<Semaphore>,
    streams: usize,
}

impl Acceptors {
    /// No servers yet, with permits for `streams` streams in total.
    pub(crate) fn new(streams: usize) -> Self {
        Self {
            queues: Mutex::default(),
            permits: Arc::new(Semaphore::new(streams)),
            streams,
        }
    }

    /// Starts to accept streams of `protocol` until the receiver is dropped.
    pub(crate) fn serve(&self, protocol: StreamName) -> Result<mpsc::Receiver<Inbound>, NetworkError> {
        let mut queues = self.queues();
        queues.retain(|_, queue| !queue.is_closed());
        if queues.contains_key(&protocol) {
            return Err(NetworkError::AlreadyServed { protocol });
        }
        let (queue, streams) = mpsc::channel(self.streams.max(1));
        queues.insert(protocol, queue);
        Ok(streams)
    }

    /// The protocols that are served.
    pub(super) fn protocols(&self) -> Vec<StreamProtocol> {
        self.queues()
            .iter()
            .filter(|(_, queue)| !queue.is_closed())
            .map(|(protocol, _)| StreamProtocol::new(protocol.as_str()))
            .collect()
    }

    /// Delivers a stream, or resets it by dropping it.
    pub(super) fn deliver(&self, (session, over): (&Session, ConnectionId), stream: Stream, protocol: &StreamProtocol) {
        let Some(permit) = self.stream_permit(session, protocol) else {
            tracing::debug!(%protocol, "the limit of incoming streams is reached; a stream is reset");
            return;
        };
        let inbound = Inbound {
            session: session.clone(),
            connection: Connection {
                peer: session.peer(),
                id: over,
            },
            stream,
            permit,
        };
        let delivered = self
            .queues()
            .get(protocol.as_ref())
            .is_some_and(|queue| queue.try_send(inbound).is_ok());
        if !delivered {
            tracing::debug!(%protocol, "the protocol is no longer served; a stream is reset");
        }
    }

    fn stream_permit(&self, session: &Session, protocol: &StreamProtocol) -> Option<StreamPermit> {
        let inbound = session.inbound();
        let peer_and_institution = if OF_ANY_ACCOUNT.iter().any(|name| name.as_str() == protocol.as_ref()) {
            inbound.acquire_half()?
        } else {
            inbound.acquire()?
        };
        let total = self.permits.clone().try_acquire_owned().ok()?;
        Some(StreamPermit {
            _peer_and_institution: peer_and_institution,
            _total: total,
        })
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<StreamName, mpsc::Sender<Inbound>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
