//! The streams of one protocol as a server receives them: those of peers that are not yet attested wait here.

use std::fmt;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::mpsc;

use crate::{config::Timeouts, framed::FramedStream, streams::Inbound};

/// The streams of one protocol that peers open.
pub struct IncomingStreams {
    before_attestation: bool,
    queue: mpsc::Receiver<Inbound>,
    waiting: FuturesUnordered<BoxFuture<'static, Option<Inbound>>>,
    timeouts: Timeouts,
}

impl IncomingStreams {
    /// The streams that arrive in `queue`; those of peers without attestation wait for it, unless `before_attestation` is set.
    pub(crate) fn new(queue: mpsc::Receiver<Inbound>, before_attestation: bool, timeouts: Timeouts) -> Self {
        Self {
            before_attestation,
            queue,
            waiting: FuturesUnordered::new(),
            timeouts,
        }
    }

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
                connection,
                stream,
                permit,
            }) = inbound
            {
                let framed = FramedStream::new(stream, session, self.timeouts.stream, Some(permit));
                return framed.over(connection);
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

impl fmt::Debug for IncomingStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingStreams")
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}
