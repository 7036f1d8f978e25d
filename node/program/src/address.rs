//! Addresses as people state them.

use std::net::{IpAddr, SocketAddr};

use concordat_network::Multiaddr;
use concordat_node::config::DEFAULT_PORT;

/// Reads an address of libp2p. An address in another form is refused with the one that it has to have.
///
/// # Errors
/// What to write instead.
pub(crate) fn multiaddr(text: &str) -> Result<Multiaddr, String> {
    text.parse().map_err(|_| {
        let (kind, host, port) = parts(text).unwrap_or(("ip4", "127.0.0.1".to_owned(), DEFAULT_PORT));
        format!(
            "write it as `/{kind}/{host}/tcp/{port}`, and a second time as `/{kind}/{host}/udp/{port}/quic-v1` for QUIC"
        )
    })
}

/// The kind of host, the host and the port of an address as it is usually written.
fn parts(text: &str) -> Option<(&'static str, String, u16)> {
    let kind = |ip: IpAddr| if ip.is_ipv4() { "ip4" } else { "ip6" };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((kind(ip), ip.to_string(), DEFAULT_PORT));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((kind(address.ip()), address.ip().to_string(), address.port()));
    }
    let (host, port) = text
        .split_once(':')
        .map_or((text, None), |(host, port)| (host, Some(port)));
    let port = port.map_or(Ok(DEFAULT_PORT), str::parse).ok()?;
    let is_name = !host.is_empty()
        && host
            .chars()
            .all(|part| part.is_ascii_alphanumeric() || matches!(part, '.' | '-'));
    is_name.then(|| ("dns", host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_other_forms_are_refused_with_theirs() {
        for (text, form) in [
            ("127.0.0.1", "/ip4/127.0.0.1/tcp/7400`"),
            ("10.1.2.3:7500", "/ip4/10.1.2.3/tcp/7500`"),
            ("::1", "/ip6/::1/tcp/7400`"),
            ("[::1]:7500", "/ip6/::1/udp/7500/quic-v1`"),
            ("node.example.org:7500", "/dns/node.example.org/tcp/7500`"),
            ("http://x/", "/ip4/127.0.0.1/tcp/7400`"),
        ] {
            let refused = multiaddr(text).unwrap_err();
            assert!(refused.contains(form), "{text}: {refused}");
        }
        for text in ["/ip4/127.0.0.1/tcp/7400", "/dns/node.example.org/udp/7400/quic-v1"] {
            assert_eq!(multiaddr(text).unwrap().to_string(), text);
        }
    }
}
