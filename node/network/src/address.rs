//! What the parts of an address state.

use std::net::{IpAddr, Ipv4Addr};

use libp2p::{Multiaddr, multiaddr::Protocol};

/// Addresses to listen on at `port`, over TCP and QUIC, on all interfaces.
pub fn on_all_interfaces(port: u16) -> Vec<Multiaddr> {
    let any = || Multiaddr::empty().with(Protocol::Ip4(Ipv4Addr::UNSPECIFIED));
    vec![
        any().with(Protocol::Tcp(port)),
        any().with(Protocol::Udp(port)).with(Protocol::QuicV1),
    ]
}

/// Whether an address begins with a loopback address.
pub fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

/// Whether the connections of an address are over TCP.
pub fn is_tcp(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::Tcp(_)))
}

/// The host that an address begins with; `None` if it begins with a name or something else.
pub(crate) fn host(address: &Multiaddr) -> Option<IpAddr> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "multiaddr adds protocols; only IP addresses have a host"
    )]
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip).to_canonical()),
        _ => None,
    }
}

/// The transport protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// TCP: the source address has answered.
    Tcp,
    /// QUIC: the source address is only claimed by a packet.
    Quic,
}

/// The transport protocol of a connection from `address`.
pub(crate) fn carrier(address: &Multiaddr) -> Carrier {
    if is_tcp(address) { Carrier::Tcp } else { Carrier::Quic }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_interfaces_are_tcp_then_quic() {
        let addresses = on_all_interfaces(7400);
        let texts: Vec<String> = addresses.iter().map(Multiaddr::to_string).collect();
        assert_eq!(texts, ["/ip4/0.0.0.0/tcp/7400", "/ip4/0.0.0.0/udp/7400/quic-v1"]);
        assert_eq!(addresses.iter().map(is_tcp).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn loopback_address_is_one_by_its_first_part() {
        for (text, expected) in [
            ("/ip4/127.0.0.1/tcp/7400", true),
            ("/ip6/::1/udp/7400/quic-v1", true),
            ("/ip4/192.0.2.1/tcp/7400", false),
            ("/dns4/localhost/tcp/7400", false),
        ] {
            assert_eq!(is_loopback(&text.parse().unwrap()), expected, "{text}");
        }
    }
}
