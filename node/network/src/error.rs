//! Errors between two nodes, and who is responsible for them.

use std::{io, sync::Arc, time::Duration};

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::{
    ids::NodeId,
    wire::{codec::WireError, streams::StreamName},
};
use libp2p::{Multiaddr, StreamProtocol, TransportError, swarm::DialError};

/// Who is responsible for an error, which determines what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Responsibility {
    /// The peer violated the protocol or requested something that it may not have; trying again will not help.
    Peer,
    /// The peer or the network path to it is unavailable; trying again later may help.
    Outside,
    /// The configuration or the machine does not allow it; the operator can fix it.
    Operator,
    /// This program used the network incorrectly.
    Bug,
}

/// Why a network operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The seed is not an Ed25519 secret key.
    #[error("the node key is unusable")]
    Key(#[source] libp2p::identity::DecodingError),
    /// A transport could not be set up.
    #[error("the transport cannot be set up")]
    Transport(#[source] libp2p::noise::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address as configured.
        address: Multiaddr,
        /// The error of the transport.
        #[source]
        source: TransportError<io::Error>,
    },
    /// Another program uses the port.
    #[error("cannot listen on `{address}`: another program uses the port")]
    PortInUse {
        /// The address as configured.
        address: Multiaddr,
    },
    /// An address was accepted, but no socket was bound in time.
    #[error("no listener came up within {after:?}")]
    ListenTimeout {
        /// The timeout that passed.
        after: Duration,
    },
    /// The node id is not an active member of the roster.
    #[error("node `{peer}` is not an active member")]
    NotMember {
        /// The node in question.
        peer: NodeId,
    },
    /// No connection could be made to a member.
    #[error("the node does not answer at any of its addresses")]
    Unreachable {
        /// The node in question.
        peer: NodeId,
        /// What happened at its addresses. It is logged where it happens, and is not a source: addresses and the words of the transport
        /// mean nothing to the person who reads the error.
        r#source: Arc<DialError>,
    },
    /// Opening a stream, from dialing to negotiation, took too long.
    #[error("the node did not open a stream within {after:?}")]
    OpenTimeout {
        /// The node in question.
        peer: NodeId,
        /// The timeout that passed.
        after: Duration,
    },
    /// The peer refuses the protocol.
    #[error("node `{peer}` does not support `{protocol}`")]
    Unsupported {
        /// The node in question.
        peer: NodeId,
        /// The requested protocol.
        protocol: StreamProtocol,
    },
    /// The connection to the peer is closed: it was lost, or the peer was removed from the roster or disconnected.
    #[error("the connection to the node is closed")]
    Cut {
        /// The node in question.
        peer: NodeId,
    },
    /// A connection that was reset is still open.
    #[error("a connection to node `{peer}` is still open after it was reset")]
    NotReset {
        /// The node in question.
        peer: NodeId,
    },
    /// The peer did not send or receive anything for too long.
    #[error("the peer stalled for {after:?}")]
    Stalled {
        /// The deadline that passed.
        after: Duration,
    },
    /// The stream ended where more data was expected.
    #[error("the stream ended early")]
    Closed,
    /// The peer sent bytes that are not the expected frame.
    #[error("the peer sent an unacceptable frame")]
    Malformed(#[source] WireError),
    /// Our message does not fit into its frame.
    #[error("a message cannot be framed")]
    Unsendable(#[source] WireError),
    /// Reading from or writing to the stream failed.
    #[error("the stream failed")]
    Io(#[source] io::Error),
    /// An earlier operation on the stream failed or was canceled halfway, so the next byte cannot be interpreted.
    #[error("the stream is out of sync after an unfinished operation")]
    OutOfSync,
    /// Streams of this protocol are already being accepted.
    #[error("`{protocol}` is already being served")]
    AlreadyServed {
        /// The protocol in question.
        protocol: StreamName,
    },
    /// The network has stopped.
    #[error("the network has stopped")]
    Stopped,
}

impl NetworkError {
    /// Who is responsible for this error.
    pub fn responsibility(&self) -> Responsibility {
        match self {
            Self::Unsupported { .. } | Self::Stalled { .. } | Self::Closed | Self::Malformed(_) => Responsibility::Peer,
            Self::Unreachable { .. } | Self::OpenTimeout { .. } | Self::Cut { .. } | Self::Io(_) | Self::Stopped => {
                Responsibility::Outside
            }
            Self::Key(_) | Self::Listen { .. } | Self::PortInUse { .. } => Responsibility::Operator,
            Self::ListenTimeout { .. } | Self::NotMember { .. } => Responsibility::Operator,
            Self::Transport(_) | Self::Unsendable(_) | Self::OutOfSync => Responsibility::Bug,
            Self::AlreadyServed { .. } | Self::NotReset { .. } => Responsibility::Bug,
        }
    }
}

impl From<io::Error> for NetworkError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Closed
        } else {
            Self::Io(error)
        }
    }
}

impl Explain for NetworkError {
    fn kind(&self) -> ErrorKind {
        match self.responsibility() {
            Responsibility::Peer => ErrorKind::Unreachable,
            Responsibility::Outside => ErrorKind::Unreachable,
            Responsibility::Operator => ErrorKind::Usage,
            Responsibility::Bug => ErrorKind::Internal,
        }
    }

    fn help(&self) -> Option<String> {
        matches!(self, Self::PortInUse { .. }).then(|| {
            "stop the other program, or set another port under `node.listen` and tell the other members of it"
                .to_owned()
        })
    }
}
