//! What can go wrong between two nodes, and whose fault it is.

use std::{io, sync::Arc, time::Duration};

use concordat_protocol::{ids::NodeId, wire::codec::WireError};
use libp2p::{Multiaddr, StreamProtocol, TransportError, swarm::DialError};

use crate::fault::{Code, Explain};

/// Whose fault an error is, and with that what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The peer broke the protocol or asked for what it may not have; trying again will not help.
    Peer,
    /// The peer or the way to it is not there; trying again later may help.
    Outside,
    /// The configuration or the machine does not allow it; the operator can mend it.
    Operator,
    /// This program used the network wrongly.
    Bug,
}

/// Why the network could not do what it was asked.
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
        /// What the transport said.
        #[source]
        source: TransportError<io::Error>,
    },
    /// An address was accepted, but no socket was bound in time.
    #[error("no listener came up within {after:?}")]
    ListenTimeout {
        /// How long was waited.
        after: Duration,
    },
    /// The node id is not an active member of the roster.
    #[error("node `{peer}` is not an active member")]
    NotMember {
        /// The node in question.
        peer: NodeId,
    },
    /// No connection could be made to a member.
    #[error("node `{peer}` cannot be reached")]
    Unreachable {
        /// The node in question.
        peer: NodeId,
        /// What happened at its addresses.
        #[source]
        source: Arc<DialError>,
    },
    /// Opening a stream, from dialling to negotiation, took too long.
    #[error("node `{peer}` did not open a stream within {after:?}")]
    OpenTimeout {
        /// The node in question.
        peer: NodeId,
        /// How long was waited.
        after: Duration,
    },
    /// The peer refuses the protocol.
    #[error("node `{peer}` does not speak `{protocol}`")]
    Unsupported {
        /// The node in question.
        peer: NodeId,
        /// The protocol that was asked for.
        protocol: StreamProtocol,
    },
    /// The connection to the peer is over: it went away, was removed from the roster or was disconnected.
    #[error("the connection to node `{peer}` is over")]
    Cut {
        /// The node in question.
        peer: NodeId,
    },
    /// The peer sent or took nothing for too long.
    #[error("the peer stalled for {after:?}")]
    Stalled {
        /// The deadline that passed.
        after: Duration,
    },
    /// The stream ended where more had to come.
    #[error("the stream ended early")]
    Closed,
    /// The peer sent bytes that are not the expected frame.
    #[error("the peer sent an unacceptable frame")]
    Malformed(#[source] WireError),
    /// A message of ours does not fit its own frame.
    #[error("a message cannot be framed")]
    Unsendable(#[source] WireError),
    /// Reading from or writing to the stream failed.
    #[error("the stream failed")]
    Io(#[source] io::Error),
    /// An earlier operation on the stream failed or was given up half way, so the next byte means nothing.
    #[error("the stream is out of step after an unfinished operation")]
    OutOfStep,
    /// Somebody already accepts streams of this protocol.
    #[error("`{protocol}` is already being served")]
    AlreadyServed {
        /// The protocol in question.
        protocol: StreamProtocol,
    },
    /// The network has stopped.
    #[error("the network has stopped")]
    Stopped,
}

impl NetworkError {
    /// Whose fault this is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unsupported { .. } | Self::Stalled { .. } | Self::Closed | Self::Malformed(_) => Fault::Peer,
            Self::Unreachable { .. } | Self::OpenTimeout { .. } | Self::Cut { .. } | Self::Io(_) | Self::Stopped => {
                Fault::Outside
            }
            Self::Key(_) | Self::Listen { .. } | Self::ListenTimeout { .. } | Self::NotMember { .. } => Fault::Operator,
            Self::Transport(_) | Self::Unsendable(_) | Self::OutOfStep | Self::AlreadyServed { .. } => Fault::Bug,
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
    fn code(&self) -> Code {
        match self.fault() {
            Fault::Peer => Code::Unreachable,
            Fault::Outside => Code::Unreachable,
            Fault::Operator => Code::Usage,
            Fault::Bug => Code::Fault,
        }
    }
}
