//! The span of a session with a peer.
//!
//! `peer` is the peer: the end of its node id here, the institution in the spans of queries and negotiations. Spans contain the beginnings
//! or ends of ids and names that the institutions themselves have given, never data and never the text of a query.

use concordat_protocol::ids::NodeId;
use tracing::Span;

/// The span of everything that is done in a session with `peer`. Its level is that of errors, so that it is there for each event that is
/// logged.
pub(crate) fn session_span(peer: NodeId) -> Span {
    tracing::error_span!("session", peer = %peer.short())
}
