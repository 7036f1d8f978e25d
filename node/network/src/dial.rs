//! Which addresses may be dialed.
//!
//! Every member dials the addresses that an institution states for its nodes. So that no institution can direct the members to hosts
//! behind their own firewalls, an address is dialed only if it is in a configured range; by default,
//! only public addresses are dialed. A steward who admits an applicant may also allow single hosts ([`Dialing::allow_only`]): for the
//! nodes of this institution, at the ports that it states for them. Another institution that names the same host is not dialed there.
//!
//! 1. Only two forms are dialed: `/ip4|ip6/…/tcp/…` and `/ip4|ip6/…/udp/…/quic-v1`. Names are resolved before; all other forms,
//!    including relays, are refused.
//! 2. An IPv6 address that embeds an IPv4 address (mapped, NAT64) is classified by that; tunnels (6to4, Teredo) are refused.
//! 3. Addresses that are not of a single host, and those at which clouds serve credentials to their machines, are never dialed,
//!    even if a configured block contains them.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
};

use concordat_protocol::ids::InstitutionId;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

use crate::members::{Members, node_id};

/// The kind of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Reachable over the Internet.
    Public,
    /// This machine.
    Loopback,
    /// Private networks: RFC 1918, unique local, and the address space that providers share among customers.
    Private,
    /// This link only.
    LinkLocal,
    /// Not the address of a possible member.
    Never,
}

impl Kind {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    /// RFC 6890 and the registries that follow it.
    fn of_v4(ip: Ipv4Addr) -> Self {
        match ip.octets() {
            // Where clouds serve credentials: nearly all at the first; Amazon's containers, Rancher, Tencent and Scaleway at nearby addresses;
            // Azure, Alibaba and Volcengine at addresses of other kinds.
            [169, 254, 169, 250 | 254]
            | [169, 254, 170, 2 | 23]
            | [169, 254, 0, 23]
            | [169, 254, 42, 42]
            | [168, 63, 129, 16]
            | [100, 100, 100, 200]
            | [100, 96, 0, 96] => Self::Never,
            [127, ..] => Self::Loopback,
            [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Self::Private,
            [169, 254, ..] => Self::LinkLocal,
            // This network, protocol assignments, documentation, 6to4 relays, benchmarks, multicast, reserved, broadcast.
            [0, ..]
            | [192, 0, 0 | 2, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [224..=255, ..] => Self::Never,
            _ => Self::Public,
        }
    }

    /// Only global unicast is public, except blocks with a special meaning.
    fn of_v6(ip: Ipv6Addr) -> Self {
        let embedded = |high: u16, low: u16| Self::of_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
        match ip.segments() {
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            // Mapped, and NAT64 by its well-known prefix.
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
            // Metadata services of clouds: Amazon, Google, Oracle, Linode, Scaleway, and OpenStack on the link.
            [0xfd00, 0x0ec2, ..]
            | [0xfd20, 0x00ce, ..]
            | [0xfd00, 0x00c1, ..]
            | [0xfd00, 0xa9fe, 0xa9fe, ..]
            | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042]
            | [0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe] => Self::Never,
            [0xfc00..=0xfdff, ..] => Self::Private,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            // Protocol assignments with Teredo and ORCHID, documentation, 6to4.
            [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] | [0x2002, ..] => Self::Never,
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Never,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "this machine",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Never => "never dialed",
        }
    }
}

/// A range of addresses that may be dialed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DialRange {
    /// `public`: reachable over the Internet.
    Public,
    /// `private`: RFC 1918, 100.64.0.0/10 and unique local addresses.
    Private,
    /// `loopback`: this machine.
    Loopback,
    /// `link-local`: hosts of this link.
    LinkLocal,
    /// A block such as `10.20.0.0/16` or `fd12:3456::/32`.
    Block(IpAddr, u8),
}

/// Text that does not name a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `public`, `private`, `loopback`, `link-local` or a block such as `10.20.0.0/16`")]
pub struct InvalidDialRange;

impl FromStr for DialRange {
    type Err = InvalidDialRange;

    fn from_str(text: &str) -> Result<Self, InvalidDialRange> {
        match text {
            "public" => Ok(Self::Public),
            "private" => Ok(Self::Private),
            "loopback" => Ok(Self::Loopback),
            "link-local" => Ok(Self::LinkLocal),
            block => Self::block(block).ok_or(InvalidDialRange),
        }
    }
}

impl fmt::Display for DialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Private => f.write_str("private"),
            Self::Loopback => f.write_str("loopback"),
            Self::LinkLocal => f.write_str("link-local"),
            Self::Block(ip, bits) => write!(f, "{ip}/{bits}"),
        }
    }
}

impl DialRange {
    /// A block whose address has no bits set beyond its prefix length, so that it is not misread.
    fn block(text: &str) -> Option<Self> {
        let (ip, bits) = text.split_once('/')?;
        let ip: IpAddr = ip.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        let longest = if ip.is_ipv4() { 32 } else { 128 };
        (bits <= longest && ip == prefix(ip, bits) && ip == ip.to_canonical()).then_some(Self::Block(ip, bits))
    }

    fn contains(self, ip: IpAddr) -> bool {
        let kind = Kind::of(ip);
        match self {
            Self::Public => kind == Kind::Public,
            Self::Private => kind == Kind::Private,
            Self::Loopback => kind == Kind::Loopback,
            Self::LinkLocal => kind == Kind::LinkLocal,
            Self::Block(block, bits) => {
                let ip = ip.to_canonical();
                kind != Kind::Never && block.is_ipv4() == ip.is_ipv4() && prefix(ip, bits) == block
            }
        }
    }
}

fn prefix(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let rest = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & !rest).into()
        }
        IpAddr::V6(ip) => {
            let rest = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & !rest).into()
        }
    }
}

/// Why an address is not dialed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DialRefused {
    /// Addresses of this form are not dialed.
    #[error("addresses of this form are not dialed; use TCP or QUIC with an IP address or a host name")]
    Form,
    /// It begins with a host name; the resolved address is checked when it is dialed.
    #[error("it is a host name; the resolved address is checked when it is dialed")]
    Name,
    /// It is not in a range that may be dialed.
    #[error("{ip} is {}, and `dial` in `[node]` of concordat.toml does not include it", Kind::of(*.ip).label())]
    Range {
        /// The address.
        ip: IpAddr,
        /// The port.
        port: u16,
    },
    /// No setting permits dialing it.
    #[error("{ip} is of a kind that is never dialed")]
    Never {
        /// The address.
        ip: IpAddr,
    },
}

/// The addresses that may be dialed; clones share the hosts that are allowed in addition to the configuration.
#[derive(Debug, Clone)]
pub struct Dialing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ranges: Vec<DialRange>,
    hosts: RwLock<BTreeSet<AllowedHost>>,
    members: RwLock<Arc<Members>>,
}

/// A host and port that may be dialed for the nodes of one institution.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedHost {
    /// The institution whose nodes listen there.
    pub institution: InstitutionId,
    /// Host and port.
    pub socket: SocketAddr,
}

impl Dialing {
    /// The default ranges.
    pub fn default_ranges() -> Vec<DialRange> {
        vec![DialRange::Public]
    }

    /// Allows only `ranges`.
    pub fn new(ranges: Vec<DialRange>) -> Self {
        Self(Arc::new(Shared {
            ranges,
            hosts: RwLock::default(),
            members: RwLock::default(),
        }))
    }

    /// Allows exactly these hosts in addition to the ranges. Addresses that are never dialed remain refused.
    pub fn allow_only(&self, hosts: impl IntoIterator<Item = AllowedHost>) {
        let mut allowed = self.0.hosts.write().unwrap_or_else(PoisonError::into_inner);
        *allowed = hosts.into_iter().collect();
    }

    /// Sets the members whose nodes are dialed.
    pub(crate) fn set_members(&self, members: Arc<Members>) {
        *self.0.members.write().unwrap_or_else(PoisonError::into_inner) = members;
    }

    /// Checks that `address` may be dialed to reach a node of `institution`.
    ///
    /// # Errors
    /// [`DialRefused`] with the reason.
    pub fn check(&self, address: &Multiaddr, institution: &InstitutionId) -> Result<(), DialRefused> {
        self.check_of(address, Some(institution))
    }

    /// Checks that `address`, which ends with the id of the peer, may be dialed to reach that peer.
    pub(crate) fn check_dial(&self, address: &Multiaddr) -> Result<(), DialRefused> {
        let members = self.0.members.read().unwrap_or_else(PoisonError::into_inner).clone();
        let node = peer_of(address).as_ref().and_then(node_id);
        self.check_of(address, node.and_then(|node| members.institution(&node)))
    }

    fn check_of(&self, address: &Multiaddr, institution: Option<&InstitutionId>) -> Result<(), DialRefused> {
        let (ip, port) = match destination(address).ok_or(DialRefused::Form)? {
            (Host::Ip(ip), port) => (ip, port),
            (Host::Name, _) => return Err(DialRefused::Name),
        };
        if Kind::of(ip) == Kind::Never {
            Err(DialRefused::Never { ip })
        } else if self.allows(institution, (ip, port).into()) || self.0.ranges.iter().any(|range| range.contains(ip)) {
            Ok(())
        } else {
            Err(DialRefused::Range { ip, port })
        }
    }

    fn allows(&self, institution: Option<&InstitutionId>, socket: SocketAddr) -> bool {
        let Some(institution) = institution.cloned() else {
            return false;
        };
        let hosts = self.0.hosts.read().unwrap_or_else(PoisonError::into_inner);
        hosts.contains(&AllowedHost { institution, socket })
    }
}

fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    let Protocol::P2p(peer) = address.iter().last()? else {
        return None;
    };
    Some(peer)
}

enum Host {
    Ip(IpAddr),
    Name,
}

/// The destination of an address, with its port; `None` unless the whole address has a form that is dialed.
fn destination(address: &Multiaddr) -> Option<(Host, u16)> {
    let mut parts = address.iter();
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "multiaddr adds protocols; those that are not named here are not dialed"
    )]
    let to = match parts.next()? {
        Protocol::Ip4(ip) => Host::Ip(ip.into()),
        Protocol::Ip6(ip) => Host::Ip(ip.into()),
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => Host::Name,
        _ => return None,
    };
    let (port, last) = match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), last) => (port, last),
        (Protocol::Udp(port), Some(Protocol::QuicV1)) => (port, parts.next()),
        _ => return None,
    };
    let known = last.is_none_or(|last| matches!(last, Protocol::P2p(_))) && parts.next().is_none();
    known.then_some((to, port))
}

#[cfg(test)]
mod tests;
