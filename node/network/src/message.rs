//! What the handles request of the task that owns the swarm.

use std::sync::Arc;

use concordat_protocol::ids::NodeId;
use tokio::sync::oneshot;

use crate::{
    error::NetworkError,
    members::Members,
    session::{Connection, Session},
    streams::StreamRequest,
};

/// The requests of the handles to the task.
#[derive(Debug)]
pub(crate) enum Message {
    /// Connect to a member, unless it is connected already.
    Connect {
        peer: NodeId,
        reply: oneshot::Sender<Result<(), NetworkError>>,
    },
    /// Open a stream to a connected peer.
    Open { peer: NodeId, request: StreamRequest },
    /// Replace the members; answered when the gate has them.
    SetMembers {
        members: Arc<Members>,
        reply: oneshot::Sender<()>,
    },
    /// Close all connections with a peer.
    Disconnect { peer: NodeId },
    /// Close one connection, or all others with its peer; answered when they are closed.
    Close {
        connection: Connection,
        others: bool,
        reply: oneshot::Sender<()>,
    },
    /// Reset the connections of a session; answered when they are closed.
    Reset {
        session: Session,
        reply: oneshot::Sender<()>,
    },
}
