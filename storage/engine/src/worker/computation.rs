//! The node's end of a computation for the people of this institution.

use bytes::Bytes;

use super::{
    frames::{self, Kind},
    messages::failed,
    process::{Process, steps_of},
};
use crate::QueryError;

/// A computation in a process of its own, which is killed when this is dropped.
#[derive(Debug)]
pub struct Computation {
    process: Process,
    person: String,
}

impl Computation {
    /// Begins a computation in `process`.
    ///
    /// # Errors
    /// [`QueryError::Ended`] if the process has ended.
    pub(super) async fn begin(
        mut process: Process,
        person: String,
        (head, rest): (&[u8], &[u8]),
    ) -> Result<Self, QueryError> {
        if frames::send(&mut process.writer, Kind::Begin, head, rest)
            .await
            .is_err()
        {
            return Err(process.exit_error().await);
        }
        Ok(Self { process, person })
    }

    /// The next message of the process. Cancel-safe: no message is lost if the future is dropped.
    ///
    /// # Errors
    /// [`QueryError::Ended`] if the process has ended: it crashed, or reached a limit that the kernel enforces.
    pub async fn next(&mut self) -> Result<Bytes, QueryError> {
        match self.process.frames.next().await {
            Ok(Some((Kind::Message, body))) => Ok(body),
            Ok(Some(_)) => Err(failed()),
            Ok(None) | Err(_) => Err(self.process.exit_error().await),
        }
    }

    /// Sends one message, made of `head` and `rest`.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn send(&mut self, head: &[u8], rest: &[u8]) -> Result<(), QueryError> {
        if frames::send(&mut self.process.writer, Kind::Message, head, rest)
            .await
            .is_err()
        {
            return Err(self.process.exit_error().await);
        }
        Ok(())
    }

    /// Lowers the priority of the process, the more the more queries of the same person are `running`.
    pub fn lower_priority(&mut self, running: usize) {
        self.process.lower_priority(steps_of(running));
    }

    /// The process, and whose computation it was.
    pub(super) fn into_parts(self) -> (Process, String) {
        (self.process, self.person)
    }
}
