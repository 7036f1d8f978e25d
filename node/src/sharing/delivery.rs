//! How a chunk reaches its reader.
//!
//! 1. A peer gets the next chunk after it has confirmed the one before, so that at most one is in transit. It may confirm one as the
//!    last that it wants.
//! 2. The guard of the grant is held until then. A change of the grant gives the peer [`LAST_CHUNK_TIMEOUT`] to confirm; after that
//!    the connections with it are reset, so that nothing that waits in a buffer is delivered later, and only then the change is made.
//! 3. A peer that goes away without a confirmation may still receive what is in buffers. The guard stays until its session is over,
//!    and a change of the grant resets the connections.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use concordat_protocol::ids::GrantId;
use concordat_protocol::wire::messages::{ChunkAccepted, Refusal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::case::Case;
use crate::negotiation::ChunkGuard;
use crate::shutdown::Stage;
use concordat_network::{Deadlines, FramedStream, MAX_CHUNK, NetworkError, NetworkHandle, Session};

/// Longest time that an answer may take, whatever deadline the requester sets.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// How long a reader that blocks a change of its grant may still take to confirm the chunk that it was given.
const LAST_CHUNK_TIMEOUT: Duration = Duration::from_secs(2);

/// Where an answer goes.
pub(super) trait AnswerReader: Send {
    /// Completes when the reader has gone away.
    fn reader_gone(&mut self) -> impl Future<Output = ()> + Send;
    /// Passes on one chunk and returns when the reader has it; an error states why it may not have it.
    fn accept(&mut self, chunk: Bytes) -> impl Future<Output = Result<Accepted, String>> + Send;
    /// How many changes of the grant wait for its guards; `None` if there is no grant.
    fn changes(&self) -> Option<watch::Receiver<usize>>;
    /// When this returns, nothing of a chunk that was not confirmed is delivered any more.
    fn cut_off(&mut self) -> impl Future<Output = ()> + Send;
    /// The reader went away without having confirmed a chunk: `guard` is held for as long as a part of it may be delivered.
    fn leave(&mut self, guard: Option<ChunkGuard>);
}

/// What a reader that has a chunk wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// The next chunk.
    More,
    /// Nothing.
    Enough,
}

/// Why a chunk was not confirmed.
#[derive(Debug)]
pub(super) enum SendError {
    /// The reader went away, or reads too slowly.
    ReaderGone(String),
    /// The reader did not confirm the chunk while a change of the grant waited.
    ReaderStalled,
}

/// Sends one chunk; gives up on a reader that blocks a change of the grant, or has not confirmed it by the deadline.
pub(super) async fn send_chunk(
    reader: &mut impl AnswerReader,
    chunk: Bytes,
    until: Instant,
) -> Result<Accepted, SendError> {
    let changes = reader.changes();
    tokio::select! {
        biased;
        accepted = tokio::time::timeout_at(until, reader.accept(chunk)) => match accepted {
            Ok(accepted) => accepted.map_err(SendError::ReaderGone),
            Err(_) => Err(SendError::ReaderGone("the time for the query was over".to_owned())),
        },
        () = blocks_a_change(changes) => Err(SendError::ReaderStalled),
    }
}

async fn blocks_a_change(changes: Option<watch::Receiver<usize>>) {
    if until_change(changes).await {
        tokio::time::sleep(LAST_CHUNK_TIMEOUT).await;
    } else {
        std::future::pending().await
    }
}

/// Completes when a change of the grant waits; false if none can come.
async fn until_change(changes: Option<watch::Receiver<usize>>) -> bool {
    match changes {
        Some(mut changes) => changes.wait_for(|waiting| *waiting > 0).await.is_ok(),
        None => false,
    }
}

/// A peer that reads from the network.
pub(super) struct PeerReader<'a> {
    stream: &'a mut FramedStream,
    grant: Option<GrantId>,
    changes: Option<watch::Receiver<usize>>,
    departed: &'a Departed,
    /// Chunks that were sent.
    sent: u64,
}

impl<'a> PeerReader<'a> {
    /// The reader at the other end of `stream`, which may take as long as the answer to confirm a chunk: its own reader may be slow.
    pub(super) fn new(stream: &'a mut FramedStream, case: &Case, departed: &'a Departed) -> Self {
        stream.set_deadlines(Deadlines {
            quiet: ANSWER_TIMEOUT,
            ..Deadlines::default()
        });
        Self {
            stream,
            grant: case.grant(),
            changes: case.changes(),
            departed,
            sent: 0,
        }
    }

    async fn send_part(&mut self, part: Bytes) -> Result<ChunkAccepted, NetworkError> {
        self.stream.send_chunk(part).await?;
        self.stream.flush().await?;
        self.stream.expect().await
    }
}

impl AnswerReader for PeerReader<'_> {
    async fn reader_gone(&mut self) {
        self.stream.session().until_cut().await;
    }

    async fn accept(&mut self, mut chunk: Bytes) -> Result<Accepted, String> {
        while !chunk.is_empty() {
            let part = chunk.split_to(chunk.len().min(MAX_CHUNK));
            self.sent = self.sent.saturating_add(1);
            let confirmed = self.send_part(part).await.map_err(|error| error.to_string())?;
            if confirmed.number != self.sent {
                return Err("the reader confirmed another chunk than the one that was sent".to_owned());
            }
            if !confirmed.more {
                return Ok(Accepted::Enough);
            }
        }
        Ok(Accepted::More)
    }

    fn changes(&self) -> Option<watch::Receiver<usize>> {
        self.changes.clone()
    }

    async fn cut_off(&mut self) {
        self.departed.reset(self.stream.session()).await;
    }

    fn leave(&mut self, guard: Option<ChunkGuard>) {
        self.departed
            .watch(self.stream.session(), self.grant, self.changes(), guard);
    }
}

/// The number of a session and a grant.
type Watched = (u64, Option<GrantId>);

/// Peers that went away without having confirmed a chunk.
#[derive(Debug)]
pub(super) struct Departed {
    network: NetworkHandle,
    stage: Stage,
    /// The grants under which a guard is held, by the number of the session: one guard is enough for all chunks of a session.
    watched: Arc<Mutex<BTreeSet<Watched>>>,
}

impl Departed {
    pub(super) fn new(network: NetworkHandle, stage: Stage) -> Self {
        Self {
            network,
            stage,
            watched: Arc::default(),
        }
    }

    /// Holds `guard` until the session is over, or resets the connections if a change waits for it.
    fn watch(
        &self,
        session: &Session,
        grant: Option<GrantId>,
        changes: Option<watch::Receiver<usize>>,
        guard: Option<ChunkGuard>,
    ) {
        let key = (session.number(), grant);
        if !locked(&self.watched).insert(key) {
            return;
        }
        let network = self.network.clone();
        let session = session.clone();
        let watched = Arc::clone(&self.watched);
        let stop = self.stage.token().clone();
        let held = async move {
            tokio::select! {
                biased;
                // No grant is changed any more.
                () = stop.cancelled() => return,
                _ = until_change(changes) => {}
                () = session.until_cut() => {}
            }
            reset(&network, &session).await;
            locked(&watched).remove(&key);
            drop(guard);
        };
        self.stage.spawn(held.in_current_span());
    }

    async fn reset(&self, session: &Session) {
        reset(&self.network, session).await;
    }
}

/// Resets what is left of the session; does nothing once all its connections are closed.
async fn reset(network: &NetworkHandle, session: &Session) {
    if let Err(error) = network.reset(session).await {
        tracing::error!(peer = %session.peer().short(), %error, "the connections with a peer are not reset");
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reader in this process.
pub(super) struct LocalReader(pub(super) mpsc::Sender<Result<Bytes, Refusal>>);

impl AnswerReader for LocalReader {
    async fn reader_gone(&mut self) {
        self.0.closed().await;
    }

    async fn accept(&mut self, chunk: Bytes) -> Result<Accepted, String> {
        let sent = self.0.send(Ok(chunk)).await;
        sent.map(|()| Accepted::More)
            .map_err(|_| "the reader went away".to_owned())
    }

    fn changes(&self) -> Option<watch::Receiver<usize>> {
        None
    }

    async fn cut_off(&mut self) {}

    fn leave(&mut self, _: Option<ChunkGuard>) {}
}
