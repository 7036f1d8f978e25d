//! The configuration of the network.

use std::time::Duration;

use concordat_protocol::identity::NodeKey;
use libp2p::Multiaddr;

use crate::dial::{DialRange, Dialing};

/// The configuration of the network at its start.
#[derive(Debug)]
pub struct NetworkConfig {
    /// The node's own key, with which it proves its id.
    pub key: NodeKey,
    /// Addresses to listen on, TCP (`/ip4/…/tcp/…`) and QUIC (`/ip4/…/udp/…/quic-v1`); port 0 picks a free one.
    pub listen: Vec<Multiaddr>,
    /// Which addresses may be dialed.
    pub dial: Vec<DialRange>,
    /// Whether to maintain a connection to every member, rather than connect when needed.
    pub keep_connected: bool,
    /// Upper bounds on what peers can occupy.
    pub limits: Limits,
    /// Timeouts.
    pub timeouts: Timeouts,
    /// Delays between attempts to reach a member that is not connected.
    pub backoff: Backoff,
}

impl NetworkConfig {
    /// A configuration with the usual limits that listens on `listen` and keeps members connected.
    pub fn new(key: NodeKey, listen: Vec<Multiaddr>) -> Self {
        Self {
            key,
            listen,
            dial: Dialing::default_ranges(),
            keep_connected: true,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            backoff: Backoff::default(),
        }
    }
}

/// Upper bounds on what peers can occupy at one time.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that have not finished their handshake, in each direction. Any host can get this far; the oldest is closed for the newest.
    /// The limit applies to TCP and QUIC separately.
    pub pending: usize,
    /// Of the incoming ones, those from one host: one IPv4 address or one IPv6 /64.
    pub pending_per_host: usize,
    /// Of the incoming ones, those from one IPv4 /24 or one IPv6 /48, unless the roster names the host.
    pub pending_per_block: usize,
    /// Of the incoming ones, those from hosts that the roster does not name. The rest of the capacity is reserved for members.
    pub pending_unnamed: usize,
    /// Established connections in total. An institution without a connection is admitted beyond this limit.
    pub connections: usize,
    /// Established connections with all nodes of one institution.
    pub connections_per_institution: usize,
    /// Established connections with one peer: two when both dial at once, two more while old ones close.
    pub connections_per_peer: usize,
    /// Streams that one peer has opened here. Far below `streams`, so that one peer cannot stop the others from being
    /// served.
    pub streams_per_peer: usize,
    /// Streams that all nodes of one institution have opened here, so that more nodes do not get more streams.
    pub streams_per_institution: usize,
    /// Streams that all peers together have opened here.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending: 256,
            pending_per_host: 64,
            pending_per_block: 128,
            pending_unnamed: 192,
            connections: 256,
            connections_per_institution: 32,
            connections_per_peer: 4,
            streams_per_peer: 32,
            streams_per_institution: 64,
            streams: 512,
        }
    }
}

/// Timeouts of the network.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// Handshake of one outgoing or incoming connection.
    pub connect: Duration,
    /// Until an incoming TCP connection has sent its first byte.
    pub first_byte: Duration,
    /// From a connection to a successful `hello`: a peer that has not proved its identity by then is disconnected. Shorter than the time
    /// after which a connection counts as stable, so that such a member is dialed less and less often.
    pub introduction: Duration,
    /// Opening a stream, including dialing, waiting for attestation, and negotiation.
    pub open: Duration,
    /// An incoming stream waits this long for its peer to be attested and is then refused.
    pub attest: Duration,
    /// A connection without streams is closed after this, unless members are kept connected.
    pub idle: Duration,
    /// Deadlines that every stream starts with.
    pub stream: Deadlines,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(2),
            introduction: Duration::from_secs(8),
            open: Duration::from_secs(20),
            attest: Duration::from_secs(5),
            idle: Duration::from_secs(300),
            stream: Deadlines::default(),
        }
    }
}

/// Deadlines of one stream.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From waiting for a frame to its first byte: how long the peer may be silent.
    pub quiet: Duration,
    /// From the first byte of a frame to its last, in either direction: how long a frame may take.
    pub frame: Duration,
}

impl Deadlines {
    /// How long a peer may be silent on a stream that states nothing else, in particular the provider of a query before its first
    /// message: longer than a provider lets a query wait, so that a query that waits is answered or refused and never given up before.
    pub const QUIET: Duration = Duration::from_secs(60);
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            quiet: Self::QUIET,
            frame: Duration::from_secs(30),
        }
    }
}

/// Exponential back-off with jitter, so that members that lost their connection do not redial at the same time.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Maximum wait after the first failure.
    pub first: Duration,
    /// Maximum wait after any number of failures.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row, between half of the maximum and the maximum, depending on `random`.
    pub fn delay(&self, failures: u32, random: u32) -> Duration {
        let longest = self
            .first
            .saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)))
            .min(self.cap);
        let half = longest / 2;
        half.saturating_add(half.mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_vary_by_half() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            cap: Duration::from_secs(10),
        };
        let longest: Vec<_> = (1..=6)
            .map(|failures| backoff.delay(failures, u32::MAX).as_secs())
            .collect();
        assert_eq!(longest, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.delay(3, 0), Duration::from_secs(2));
        assert_eq!(backoff.delay(u32::MAX, u32::MAX), Duration::from_secs(10));
    }
}
