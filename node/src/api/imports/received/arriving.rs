//! A body that arrives: fast enough, and from a person who may still act.

use std::time::Duration;

use axum::body::BodyDataStream;
use bytes::Bytes;
use concordat_documents::problem::Problem;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, sleep, timeout_at};

use crate::clock::Clock;
use crate::iam::{Actor, IamError, Sessions};
use crate::node::Node;
use crate::services::transfers::{ACCOUNT_CHECK_INTERVAL, PACE_INTERVAL};

/// The bytes that have to arrive in each interval of [`PACE_INTERVAL`]. A client reads its file from the same machine; one that is
/// decompressed or copied over a network on the way needs seconds.
const MIN_BYTES: usize = 64 * 1024;

/// A body that arrives from a person.
pub(in crate::api) struct Arriving<'a, S = BodyDataStream> {
    chunks: S,
    pace: Pace,
    sessions: &'a Sessions,
    clock: &'a Clock,
    caller: &'a Actor,
    /// The uptime at the last check of the caller.
    checked: Duration,
}

impl<'a> Arriving<'a> {
    pub(in crate::api) fn new(node: &'a Node, caller: &'a Actor, chunks: BodyDataStream) -> Self {
        Self::of(chunks, caller, (node.sessions(), node.clock()))
    }
}

impl<'a, E, S> Arriving<'a, S>
where
    E: std::error::Error,
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    fn of(chunks: S, caller: &'a Actor, (sessions, clock): (&'a Sessions, &'a Clock)) -> Self {
        Self {
            chunks,
            pace: Pace::start(PACE_INTERVAL),
            sessions,
            clock,
            caller,
            checked: clock.uptime(),
        }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// If the body is cut off, does not arrive fast enough, or the caller may act no longer.
    pub(in crate::api) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let next = timeout_at(self.pace.until, self.chunks.next()).await;
        self.check_caller()?;
        let Some(chunk) = next.map_err(|_| too_slow(self.pace.interval))? else {
            return Ok(None);
        };
        // An incomplete file is not imported.
        let chunk = chunk.map_err(|error| Problem::usage(format!("the file was not received completely: {error}")))?;
        self.pace.count(chunk.len());
        Ok(Some(chunk))
    }

    /// Begins a new interval: the time until now was spent on this side.
    pub(in crate::api) fn restart(&mut self) {
        self.pace = Pace::start(self.pace.interval);
    }

    /// It counts as use of the session, which an upload of hours needs.
    fn check_caller(&mut self) -> Result<(), IamError> {
        let uptime = self.clock.uptime();
        if uptime.saturating_sub(self.checked) >= ACCOUNT_CHECK_INTERVAL {
            self.sessions.note_use(self.caller, self.clock.now())?;
            self.checked = uptime;
        }
        Ok(())
    }
}

/// How fast bytes arrive.
struct Pace {
    interval: Duration,
    until: Instant,
    /// Bytes of this interval that are still to arrive.
    missing: usize,
}

impl Pace {
    fn start(interval: Duration) -> Self {
        Self {
            interval,
            until: sleep(interval).deadline(),
            missing: MIN_BYTES,
        }
    }

    fn count(&mut self, bytes: usize) {
        self.missing = self.missing.saturating_sub(bytes);
        if self.missing == 0 {
            *self = Self::start(self.interval);
        }
    }
}

fn too_slow(interval: Duration) -> Problem {
    Problem::usage(format!(
        "the file arrives too slowly: {MIN_BYTES} bytes are needed in {} seconds",
        interval.as_secs()
    ))
}

#[cfg(test)]
mod tests;
