//! Incoming connections that have not finished their handshake, counted by source.
//!
//! Members and all others share this capacity until the handshake identifies them. A new connection is never refused for lack of
//! capacity: the oldest unfinished connection of its own host, then of its own block, then of all hosts that are not on the roster,
//! is closed. So a source that opens connections and does not finish them only ends its own connections, and one that finishes in
//! time does not affect others.
//!
//! The source of a TCP connection is verified by its handshake; the source of a QUIC packet can be forged. So the two are counted
//! separately: forged packets of a member's host can end handshakes over QUIC, but the member can still connect over TCP.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::{
    address::{Carrier, host},
    config::Limits,
    members::Members,
};

/// The first bits of an address, the rest zero. An address that is not IP shares one prefix with all others of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prefix(Option<IpAddr>);

impl Prefix {
    /// One host: an IPv4 address, or the /64 from which one IPv6 host chooses its addresses.
    fn host(ip: Option<IpAddr>) -> Self {
        Self::cut(ip, 32, 64)
    }

    /// The block that one customer of a provider commonly has: an IPv4 /24 or an IPv6 /48.
    fn block(ip: Option<IpAddr>) -> Self {
        Self::cut(ip, 24, 48)
    }

    fn cut(ip: Option<IpAddr>, bits4: u32, bits6: u32) -> Self {
        Self(ip.map(|ip| match ip {
            IpAddr::V4(ip) => {
                let rest = u32::MAX.checked_shr(bits4).unwrap_or(0);
                IpAddr::V4((ip.to_bits() & !rest).into())
            }
            IpAddr::V6(ip) => {
                let rest = u128::MAX.checked_shr(bits6).unwrap_or(0);
                IpAddr::V6((ip.to_bits() & !rest).into())
            }
        }))
    }
}

/// The register of unfinished incoming connections; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Unfinished(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    tcp: Mutex<Waiting>,
    quic: Mutex<Waiting>,
}

impl Unfinished {
    /// An empty register that enforces `limits`.
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            limits,
            tcp: Mutex::default(),
            quic: Mutex::default(),
        }))
    }

    /// Sets the hosts that the roster names.
    pub(crate) fn set_members(&self, members: &Members) {
        let addresses = members.ids().flat_map(|node| members.addresses(node));
        let named: BTreeSet<Prefix> = addresses.filter_map(host).map(|ip| Prefix::host(Some(ip))).collect();
        self.waiting(Carrier::Tcp).named = named.clone();
        self.waiting(Carrier::Quic).named = named;
    }

    /// Registers a connection from `ip`; the oldest ones are closed if a limit is exceeded.
    pub(crate) fn enter(&self, ip: Option<IpAddr>, carrier: Carrier) -> PendingConnection {
        let mut waiting = self.waiting(carrier);
        for evicted in waiting.evict_for(ip, &self.0.limits) {
            tracing::debug!("the oldest unfinished connection is closed in favor of a new one");
            evicted.cancel();
        }
        let number = waiting.last.wrapping_add(1);
        let cut = CancellationToken::new();
        waiting.last = number;
        waiting.from.insert(number, (ip, cut.clone()));
        PendingConnection {
            register: self.clone(),
            carrier,
            number,
            cut,
        }
    }

    fn waiting(&self, carrier: Carrier) -> MutexGuard<'_, Waiting> {
        let waiting = match carrier {
            Carrier::Tcp => &self.0.tcp,
            Carrier::Quic => &self.0.quic,
        };
        waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registration of one unfinished connection, released when dropped.
#[derive(Debug)]
pub(crate) struct PendingConnection {
    register: Unfinished,
    carrier: Carrier,
    number: u64,
    cut: CancellationToken,
}

impl PendingConnection {
    /// A token that is canceled when this connection has to be closed.
    pub(crate) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }
}

impl Drop for PendingConnection {
    fn drop(&mut self) {
        self.register.waiting(self.carrier).from.remove(&self.number);
    }
}

/// Unfinished connections in order of arrival. There are a few hundred at most, so they are counted by iterating
/// over all of them.
#[derive(Debug, Default)]
struct Waiting {
    from: BTreeMap<u64, (Option<IpAddr>, CancellationToken)>,
    named: BTreeSet<Prefix>,
    last: u64,
}

impl Waiting {
    /// Removes the connections that have to be closed for one more from `ip`.
    fn evict_for(&mut self, ip: Option<IpAddr>, limits: &Limits) -> Vec<CancellationToken> {
        let host = Prefix::host(ip);
        let block = Prefix::block(ip);
        let mut out = self.cut_oldest(limits.pending_per_host, |_, other| Prefix::host(other) == host);
        if !self.is_named(ip) {
            out.extend(self.cut_oldest(limits.pending_per_block, |waiting, other| {
                Prefix::block(other) == block && !waiting.is_named(other)
            }));
            out.extend(self.cut_oldest(limits.pending_unnamed, |waiting, other| !waiting.is_named(other)));
        }
        out.extend(self.cut_oldest(limits.pending, |_, _| true));
        out
    }

    /// Removes the oldest of those in `group`, until one more fits within `most`.
    fn cut_oldest(&mut self, most: usize, group: impl Fn(&Self, Option<IpAddr>) -> bool) -> Vec<CancellationToken> {
        let within = self.from.iter().filter(|(_, (ip, _))| group(self, *ip));
        let within: Vec<u64> = within.map(|(number, _)| *number).collect();
        let surplus = within.len().saturating_add(1).saturating_sub(most.max(1));
        let oldest = within.iter().take(surplus);
        oldest
            .filter_map(|number| self.from.remove(number).map(|(_, cut)| cut))
            .collect()
    }

    fn is_named(&self, ip: Option<IpAddr>) -> bool {
        ip.is_some() && self.named.contains(&Prefix::host(ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::carrier;
    use concordat_protocol::ids::NodeId;

    fn register() -> Unfinished {
        Unfinished::new(Limits {
            pending: 12,
            pending_per_host: 3,
            pending_per_block: 5,
            pending_unnamed: 8,
            ..Limits::default()
        })
    }

    #[test]
    fn pending_limits_evict_within_own_host_and_block() {
        for [host, neighbor, elsewhere] in [
            ["192.0.2.1", "192.0.2.2", "198.51.100.1"],
            ["2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:2:1::1"],
        ] {
            let register = register();
            let bystander = fill(&register, elsewhere, 1);
            let flood = fill(&register, host, 50);
            assert_eq!(open(&flood), [47, 48, 49]);
            let second = fill(&register, neighbor, 50);
            assert_eq!((open(&flood).len(), open(&second).len()), (2, 3));
            assert_eq!(open(&bystander), [0]);
        }
    }

    #[test]
    fn an_ipv6_host_cannot_count_as_many() {
        let register = register();
        let one = fill(&register, "2001:db8::1", 3);
        let other = fill(&register, "2001:db8::2", 3);
        assert_eq!((open(&one).len(), open(&other).len()), (0, 3));
    }

    #[test]
    fn pending_roster_hosts_are_not_evicted_by_others() {
        let register = register();
        register.set_members(&members("192.0.2.9"));
        let member = fill(&register, "192.0.2.9", 3);
        let others: Vec<PendingConnection> = (0..100)
            .map(|n| register.enter(Some([10, 0, n, 1].into()), Carrier::Tcp))
            .collect();
        let neighbors = fill(&register, "192.0.2.1", 50);
        assert_eq!(open(&others).len() + open(&neighbors).len(), 8);
        assert_eq!(open(&member).len(), 3);
    }

    #[test]
    fn forged_quic_sources_do_not_end_tcp_connections() {
        let register = register();
        register.set_members(&members("192.0.2.9"));
        let member = fill(&register, "192.0.2.9", 3);
        let ip = "192.0.2.9".parse().ok();
        let forged: Vec<PendingConnection> = (0..50).map(|_| register.enter(ip, Carrier::Quic)).collect();
        assert_eq!((open(&member).len(), open(&forged).len()), (3, 3));
        let [tcp, quic] =
            ["/ip4/192.0.2.9/tcp/1", "/ip4/192.0.2.9/udp/1/quic-v1"].map(|at| carrier(&at.parse().unwrap()));
        assert_eq!((tcp, quic), (Carrier::Tcp, Carrier::Quic));
    }

    #[test]
    fn pending_finished_connections_free_capacity() {
        let register = register();
        let first = fill(&register, "192.0.2.1", 3);
        drop(first);
        let second = fill(&register, "192.0.2.1", 3);
        assert_eq!(open(&second), [0, 1, 2]);
        drop(second);
        assert!(register.waiting(Carrier::Tcp).from.is_empty());
    }

    #[test]
    fn pending_limits_hold_in_any_order() {
        let register = register();
        let mut state = 1u32;
        let mut connections = Vec::new();
        for _ in 0..5_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [what, key, block, last] = state.to_be_bytes();
            match what % 5 {
                0 => register.set_members(&members(&format!("10.0.{}.{}", block % 3, last % 3))),
                1 if !connections.is_empty() => drop(connections.swap_remove(usize::from(key) % connections.len())),
                _ => connections.push(register.enter(Some([10, 0, block % 3, last % 3].into()), Carrier::Tcp)),
            }
            let waiting = register.waiting(Carrier::Tcp);
            let mut hosts = BTreeMap::<_, usize>::new();
            for (ip, _) in waiting.from.values() {
                *hosts.entry(Prefix::host(*ip)).or_default() += 1;
            }
            assert!(waiting.from.len() <= 12 && hosts.values().all(|count| *count <= 3));
        }
        drop(connections);
        assert!(register.waiting(Carrier::Tcp).from.is_empty());
    }

    fn fill(register: &Unfinished, ip: &str, count: usize) -> Vec<PendingConnection> {
        let ip = ip.parse().ok();
        (0..count).map(|_| register.enter(ip, Carrier::Tcp)).collect()
    }

    /// The indexes of those that are still open.
    fn open(connections: &[PendingConnection]) -> Vec<usize> {
        let is_open = |index: &usize| !connections[*index].cut.is_cancelled();
        (0..connections.len()).filter(is_open).collect()
    }

    fn members(ip: &str) -> Members {
        let address = format!("/ip4/{ip}/tcp/7400").parse().unwrap();
        Members::from_iter([(NodeId::from_bytes([1; 32]), "budapest".parse().unwrap(), vec![address])])
    }
}
