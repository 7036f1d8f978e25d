//! Which settings decide something: only with those that an administrator has accepted does the node start.
//!
//! Left out are settings that decide nothing (what is logged, the addresses that others are told, how often a store is tried
//! again, the file with the key of a store, which opens nothing), addresses on loopback, and `[keys]`: what unlocks the node is
//! proven by unlocking it, and by nothing that the file says.

use std::collections::BTreeMap;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use super::{Config, StorageSection};

/// Settings by their keys.
pub type Deciding = BTreeMap<String, String>;

/// The setting that says whose node it is; it never changes.
pub const DECIDES_WHO: &str = "node.institution";

impl Config {
    /// The settings that decide something.
    pub fn deciding(&self) -> Deciding {
        let Self {
            node,
            keys: _,
            storage,
            log: _,
            limits,
            import,
        } = self;
        let mut settings = BTreeMap::new();
        let mut set = |key: &str, value: String| drop(settings.insert(key.to_owned(), value));
        set(DECIDES_WHO, node.institution.to_string());
        set("node.name", node.name.to_string());
        set("node.jurisdiction", node.jurisdiction.to_string());
        let mut listen: Vec<String> = node
            .listen
            .iter()
            .filter(|at| !is_loopback(at))
            .map(Multiaddr::to_string)
            .collect();
        listen.sort();
        set("node.listen", listen.join(" "));
        let mut dial: Vec<String> = node.dial.iter().map(ToString::to_string).collect();
        dial.sort();
        set("node.dial", dial.join(" "));
        set("limits.connections", limits.connections.to_string());
        set("limits.streams", limits.streams.to_string());
        set("limits.streams_per_peer", limits.streams_per_peer.to_string());
        let mut inboxes: Vec<String> = import.inboxes.iter().map(ToString::to_string).collect();
        inboxes.sort();
        set("import.inboxes", inboxes.join(" "));
        match storage {
            StorageSection::Local => set("storage.objects", "local".to_owned()),
            StorageSection::S3(store) => {
                set("storage.objects", store.url.to_string());
                let endpoint = store.endpoint.as_ref().map(ToString::to_string);
                set("storage.endpoint", endpoint.unwrap_or_default());
                set("storage.plain_http", store.plain_http.to_string());
                set("storage.region", store.region.to_string());
            }
        }
        settings
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}
