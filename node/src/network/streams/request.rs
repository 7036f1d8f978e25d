//! A request for an outgoing stream.

use libp2p::{Stream, StreamProtocol};
use tokio::sync::oneshot;

use crate::network::error::NetworkError;

/// A request for an outgoing stream, answered once.
#[derive(Debug)]
pub(in crate::network) struct StreamRequest {
    /// The protocol to negotiate.
    pub(in crate::network) protocol: StreamProtocol,
    /// Receives the stream.
    pub(in crate::network) reply: oneshot::Sender<Result<Stream, NetworkError>>,
}
