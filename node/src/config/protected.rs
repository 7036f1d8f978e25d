//! The protected settings: the node starts only if they have the values that an administrator has accepted.
//!
//! Not protected are settings without security impact (the format of the log and its level down to `info`, the announced addresses, the
//! number of retries of a store, the path of the credentials file of a store), loopback addresses, and `[keys]`: the node is proven to be
//! unlocked correctly by unlocking it, not by the contents of the file. A level below `info` is protected, because such a log may name people.

use std::collections::BTreeMap;

use super::{Config, LogLevel, StorageSection};
use concordat_network::{Multiaddr, address};

/// Values of the protected settings by key.
pub(crate) type ProtectedSettings = BTreeMap<String, String>;

/// The setting that names the institution; it never changes.
pub(crate) const INSTITUTION_SETTING: &str = "node.institution";

impl Config {
    /// The protected settings.
    pub(crate) fn protected_settings(&self) -> ProtectedSettings {
        let Self {
            node,
            keys: _,
            storage,
            log,
            limits,
            import,
        } = self;
        let mut settings = BTreeMap::new();
        let mut set = |key: &str, value: String| drop(settings.insert(key.to_owned(), value));
        set(INSTITUTION_SETTING, node.institution.to_string());
        set("node.name", node.name.to_string());
        set("node.jurisdiction", node.jurisdiction.to_string());
        let mut listen: Vec<String> = node
            .listen
            .iter()
            .filter(|at| !address::is_loopback(at))
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
        set("limits.memory_mib", limits.memory_mib.to_string());
        match log.level {
            LogLevel::Error | LogLevel::Warn | LogLevel::Info => {}
            LogLevel::Debug | LogLevel::Trace => set("log.level", log.level.to_string()),
        }
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
