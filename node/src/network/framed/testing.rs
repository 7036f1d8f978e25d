//! Both ends of a stream in memory.

use concordat_protocol::ids::NodeId;
use libp2p::swarm::ConnectionId;
use tokio::io::DuplexStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use super::FramedStream;
use crate::network::config::{Deadlines, Limits};
use crate::network::session::{Role, Sessions};

/// A stream in memory.
pub(crate) type Wire = FramedStream<Compat<DuplexStream>>;

/// Two ends of one stream; each sees a peer of the given id.
pub(crate) fn ends(peer: NodeId, deadlines: Deadlines) -> (Wire, Wire) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let end = |io: DuplexStream| {
        let session = Sessions::new(&Limits::default()).connected(peer, ConnectionId::new_unchecked(0), Role::Dialer);
        FramedStream::new(io.compat(), session, deadlines, None)
    };
    (end(near), end(far))
}
