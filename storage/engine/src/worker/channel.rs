//! The child's end of a computation for the people of this institution.

use std::{fmt, io};

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use tokio::sync::mpsc;

use super::{
    frames::{self, Kind},
    objects::Writer,
};
use crate::text_parser::TextParser;

/// Reads, plans and computes queries of the institution's own people in an engine process.
pub trait LocalEngine: Send + 'static {
    /// Computes what `begin` requests, and exchanges messages with the node through `channel`. It runs on a thread with a large stack.
    ///
    /// The node ends the process as soon as it does not need the result.
    fn compute(&self, begin: Bytes, channel: Channel) -> LocalBoxFuture<'_, ()>;
}

/// The messages of one computation.
#[derive(Debug)]
pub struct Channel {
    sender: ChannelSender,
    messages: mpsc::UnboundedReceiver<Bytes>,
}

impl Channel {
    pub(super) const fn new(writer: Writer, messages: mpsc::UnboundedReceiver<Bytes>) -> Self {
        Self {
            sender: ChannelSender(writer),
            messages,
        }
    }

    /// The parser of texts: what a text does to it ends at most this process.
    #[must_use]
    pub const fn parser(&self) -> TextParser {
        TextParser::of_process()
    }

    /// What sends messages to the node.
    #[must_use]
    pub fn sender(&self) -> ChannelSender {
        self.sender.clone()
    }

    /// The next message of the node; `None` if there are no more.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.messages.recv().await
    }
}

/// Sends messages to the node; a cloneable handle.
#[derive(Clone)]
pub struct ChannelSender(Writer);

impl ChannelSender {
    /// Sends one message, made of `head` and `rest`. It waits for as long as the node reads nothing.
    ///
    /// # Errors
    /// Errors of the socket, and a message that is longer than a frame.
    pub async fn send(&self, head: &[u8], rest: &[u8]) -> io::Result<()> {
        frames::send(&mut *self.0.lock().await, Kind::Message, head, rest).await
    }
}

impl fmt::Debug for ChannelSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelSender").finish_non_exhaustive()
    }
}
