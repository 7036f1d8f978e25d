//! The peer-to-peer network: who may connect, and streams of frames between those who may.
//!
//! Nodes use libp2p over TCP (Noise, Yamux) and QUIC. A connection passes four checks before it carries anything:
//!
//! 1. the transport's handshake proves the peer's Ed25519 node key, in time and within bounds by source ([`transport`]);
//! 2. the gate compares it with the members: the connection of a non-member is closed before any protocol runs, and
//!    that of a member as soon as it is no longer a member;
//! 3. [`hello`] binds the key to an institution; until then no other protocol is served, and a peer that takes too long is disconnected;
//! 4. every stream needs a permit, counted for its peer, its institution and in total, so that none can crowd out the others.
//!
//! One private task owns the swarm; the rest of the node uses it through [`NetworkHandle`]. Services open streams with
//! [`NetworkHandle::open`] and serve them with [`NetworkHandle::accept`]; both get a [`FramedStream`] that bounds the size
//! and the time of everything that arrives.
//!
//! What is sent is not decided here: the node exchanges the messages of `hello`, and its services check who may have what.

pub mod address;
mod behavior;
mod config;
mod dial;
mod error;
mod framed;
mod gate;
mod handle;
pub mod hello;
mod incoming;
mod members;
mod message;
mod port;
mod redial;
mod reset;
mod resolve;
mod session;
mod source;
mod start;
mod streams;
mod task;
mod transport;

// The node names this type of libp2p and depends on it only through this crate.
pub use libp2p::Multiaddr;

pub use self::{
    config::{Backoff, Deadlines, Limits, NetworkConfig, Timeouts},
    dial::{AllowedHost, DialRange, DialRefused, Dialing, InvalidDialRange},
    error::{NetworkError, Responsibility},
    framed::{FramedStream, MAX_CHUNK},
    handle::NetworkHandle,
    incoming::IncomingStreams,
    members::{Members, node_id, peer_id},
    session::{Connection, Role, Session, SessionMap},
    start::Network,
};

#[cfg(test)]
mod tests;
