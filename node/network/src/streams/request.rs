//! A request for an outgoing stream.

use libp2p::{Stream, StreamProtocol};
use tokio::sync::oneshot;

use crate::error::NetworkError;

/// A request for an outgoing stream, answered once.
#[derive(Debug)]
pub(crate) struct StreamRequest {
    /// The protocol to negotiate.
    pub(crate) protocol: StreamProtocol,
    /// Receives the stream.
    pub(crate) reply: oneshot::Sender<Result<Stream, NetworkError>>,
}
