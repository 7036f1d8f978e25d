//! Resolves host names in addresses with the system's resolver before dialing.

use std::net::{IpAddr, SocketAddr};

use libp2p::{Multiaddr, multiaddr::Protocol};

/// Replaces every host name in `addresses` by its present IP addresses, in the same order; unknown names are dropped.
pub(crate) async fn resolve(addresses: &[Multiaddr]) -> Vec<Multiaddr> {
    let mut resolved = Vec::with_capacity(addresses.len());
    for address in addresses {
        match host(address) {
            None => resolved.push(address.clone()),
            Some(host) => resolved.extend(lookup(&host).await.filter_map(|ip| with_ip(address, ip))),
        }
    }
    resolved
}

fn host(address: &Multiaddr) -> Option<String> {
    let (Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)) = address.iter().next()? else {
        return None;
    };
    Some(name.into_owned())
}

async fn lookup(host: &str) -> impl Iterator<Item = IpAddr> + use<> {
    let found: Vec<SocketAddr> = match tokio::net::lookup_host((host, 0)).await {
        Ok(found) => found.collect(),
        Err(error) => {
            tracing::debug!(%error, host, "the host name cannot be resolved");
            Vec::new()
        }
    };
    found.into_iter().map(|socket| socket.ip())
}

/// `address` with its leading name replaced by `ip`, if the protocol of the name permits that address family.
fn with_ip(address: &Multiaddr, ip: IpAddr) -> Option<Multiaddr> {
    let mut parts = address.iter();
    let other_family = match ip {
        IpAddr::V4(_) => matches!(parts.next()?, Protocol::Dns6(_)),
        IpAddr::V6(_) => matches!(parts.next()?, Protocol::Dns4(_)),
    };
    (!other_family).then(|| parts.fold(Multiaddr::from(ip), |whole, part| whole.with(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_become_addresses_and_the_rest_stays() {
        let plain: Multiaddr = "/ip4/192.0.2.1/udp/7400/quic-v1".parse().unwrap();
        let named: Multiaddr = "/dns4/localhost/tcp/7400".parse().unwrap();
        let resolved = resolve(&[plain.clone(), named]).await;
        assert_eq!(resolved[0], plain);
        assert!(
            resolved.contains(&"/ip4/127.0.0.1/tcp/7400".parse().unwrap()),
            "{resolved:?}"
        );
    }

    #[test]
    fn the_family_of_a_name_is_kept() {
        let named: Multiaddr = "/dns6/node.example/tcp/7400".parse().unwrap();
        assert_eq!(with_ip(&named, IpAddr::from([192, 0, 2, 1])), None);
    }
}
