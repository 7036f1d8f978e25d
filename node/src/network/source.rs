//! Unfinished incoming connections, counted by where they come from, so that neither one host nor one block of addresses
//! takes all the room that strangers and members share before the handshake tells them apart.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    net::IpAddr,
};

use libp2p::{Multiaddr, multiaddr::Protocol};

use super::{config::Limits, members::Members};

/// The host that an address begins with; `None` if it begins with a name or something else.
pub(super) fn host(address: &Multiaddr) -> Option<IpAddr> {
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

/// The first bits of an address, the rest zero. An address that is not IP shares one prefix with all others of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Prefix(Option<IpAddr>);

impl Prefix {
    /// One host: an IPv4 address, or the /64 that one IPv6 host chooses its addresses from.
    fn host(ip: Option<IpAddr>) -> Self {
        Self::cut(ip, 32, 64)
    }

    /// What one customer of a provider commonly holds: an IPv4 /24 or an IPv6 /48.
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

/// The unfinished incoming connections.
#[derive(Debug)]
pub(super) struct Unfinished<K> {
    from: HashMap<K, Option<IpAddr>>,
    hosts: HashMap<Prefix, usize>,
    blocks: HashMap<Prefix, usize>,
    /// How many are not from a host that the roster names.
    unnamed: usize,
    named: BTreeSet<Prefix>,
}

impl<K> Default for Unfinished<K> {
    fn default() -> Self {
        Self {
            from: HashMap::new(),
            hosts: HashMap::new(),
            blocks: HashMap::new(),
            unnamed: 0,
            named: BTreeSet::new(),
        }
    }
}

impl<K: Eq + Hash> Unfinished<K> {
    /// Takes up the hosts that the roster names; those already here are counted anew.
    pub(super) fn set_members(&mut self, members: &Members) {
        let addresses = members.ids().flat_map(|node| members.addresses(node));
        self.named = addresses.filter_map(host).map(|ip| Prefix::host(Some(ip))).collect();
        self.unnamed = self.from.values().filter(|ip| !self.is_named(**ip)).count();
    }

    /// Counts one more from `ip` and says whether there was room for it.
    pub(super) fn enter(&mut self, key: K, ip: Option<IpAddr>, limits: &Limits) -> bool {
        let (host, block) = (Prefix::host(ip), Prefix::block(ip));
        let named = self.is_named(ip);
        let count = |counts: &HashMap<Prefix, usize>, prefix| counts.get(prefix).copied().unwrap_or(0);
        let room = self.from.len() < limits.pending
            && count(&self.hosts, &host) < limits.pending_per_host
            && (named
                || count(&self.blocks, &block) < limits.pending_per_block && self.unnamed < limits.pending_unnamed);
        if room && self.from.insert(key, ip).is_none() {
            *self.hosts.entry(host).or_default() += 1;
            *self.blocks.entry(block).or_default() += 1;
            self.unnamed += usize::from(!named);
        }
        room
    }

    /// Forgets one that has finished or failed; nothing happens if it is not here.
    pub(super) fn leave(&mut self, key: &K) {
        let Some(ip) = self.from.remove(key) else { return };
        take(&mut self.hosts, Prefix::host(ip));
        take(&mut self.blocks, Prefix::block(ip));
        self.unnamed -= usize::from(!self.is_named(ip));
    }

    fn is_named(&self, ip: Option<IpAddr>) -> bool {
        ip.is_some() && self.named.contains(&Prefix::host(ip))
    }
}

fn take(counts: &mut HashMap<Prefix, usize>, prefix: Prefix) {
    if let Some(count) = counts.get_mut(&prefix) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use concordat_protocol::ids::NodeId;

    const LIMITS: fn() -> Limits = || Limits {
        pending: 12,
        pending_per_host: 3,
        pending_per_block: 5,
        pending_unnamed: 8,
        ..Limits::default()
    };

    #[test]
    fn one_host_and_one_block_take_only_their_share() {
        for [host, neighbour, elsewhere] in [
            ["192.0.2.1", "192.0.2.2", "198.51.100.1"],
            ["2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:2:1::1"],
        ] {
            let mut unfinished = Unfinished::default();
            assert_eq!(fill(&mut unfinished, 0, host), 3);
            assert_eq!(fill(&mut unfinished, 100, neighbour), 2);
            assert_eq!(fill(&mut unfinished, 200, elsewhere), 3);
            unfinished.leave(&0);
            assert_eq!(fill(&mut unfinished, 150, neighbour), 1);
        }
    }

    #[test]
    fn an_ipv6_host_cannot_count_as_many() {
        let mut unfinished = Unfinished::default();
        assert_eq!(fill(&mut unfinished, 0, "2001:db8::1"), 3);
        assert_eq!(fill(&mut unfinished, 100, "2001:db8::2"), 0);
    }

    #[test]
    fn strangers_from_everywhere_leave_room_for_the_hosts_of_the_roster() {
        let mut unfinished = Unfinished::default();
        unfinished.set_members(&members("192.0.2.9"));
        let strangers = (0..100).filter(|n| unfinished.enter(*n, Some([10, 0, *n, 1].into()), &LIMITS()));
        assert_eq!(strangers.count(), 8);
        assert_eq!(fill(&mut unfinished, 200, "192.0.2.9"), 3);
    }

    #[test]
    fn the_neighbours_of_a_member_do_not_keep_it_out() {
        let mut unfinished = Unfinished::default();
        unfinished.set_members(&members("192.0.2.9"));
        assert_eq!(
            fill(&mut unfinished, 0, "192.0.2.1") + fill(&mut unfinished, 100, "192.0.2.2"),
            5
        );
        assert_eq!(fill(&mut unfinished, 200, "192.0.2.9"), 3);
    }

    #[test]
    fn nothing_stays_counted_whatever_the_order() {
        let mut unfinished = Unfinished::default();
        let mut state = 1u32;
        for _ in 0..10_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [what, key, block, last] = state.to_be_bytes();
            match what % 5 {
                0 => unfinished.set_members(&members(&format!("10.0.{}.{}", block % 3, last % 3))),
                1 | 2 => unfinished.leave(&(key % 32)),
                _ => {
                    let ip = IpAddr::from([10, 0, block % 3, last % 3]);
                    // Keys are never used twice at one time, as connection ids are not.
                    if !unfinished.from.contains_key(&(key % 32)) {
                        unfinished.enter(key % 32, Some(ip), &LIMITS());
                    }
                }
            }
            let within = |counts: &HashMap<Prefix, usize>| counts.values().sum::<usize>() == unfinished.from.len();
            assert!(unfinished.from.len() <= 12 && within(&unfinished.hosts) && within(&unfinished.blocks));
            assert!(unfinished.hosts.values().all(|count| *count <= 3));
        }
        for key in 0..32 {
            unfinished.leave(&key);
        }
        assert!(unfinished.hosts.is_empty() && unfinished.blocks.is_empty() && unfinished.unnamed == 0);
    }

    fn fill(unfinished: &mut Unfinished<u8>, first: u8, ip: &str) -> usize {
        let ip = ip.parse().ok();
        (first..first + 50)
            .filter(|key| unfinished.enter(*key, ip, &LIMITS()))
            .count()
    }

    fn members(ip: &str) -> Members {
        let address = format!("/ip4/{ip}/tcp/7400").parse().unwrap();
        Members::from_iter([(NodeId::from_bytes([1; 32]), vec![address])])
    }
}
