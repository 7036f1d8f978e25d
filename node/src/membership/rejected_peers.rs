//! The members whose last hello was rejected.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use concordat_protocol::ids::NodeId;

/// The members whose last hello was rejected, each with the reason.
#[derive(Debug, Default)]
pub(super) struct RejectedPeers(Mutex<BTreeMap<NodeId, String>>);

impl RejectedPeers {
    /// Notes why the last hello of `peer` was rejected.
    pub(super) fn note(&self, peer: NodeId, reason: String) {
        self.with(|peers| peers.insert(peer, reason));
    }

    /// Forgets `peer`: its last hello was accepted.
    pub(super) fn forget(&self, peer: &NodeId) {
        self.with(|peers| peers.remove(peer));
    }

    /// All of them, as of now.
    pub(super) fn all(&self) -> BTreeMap<NodeId, String> {
        self.with(|peers| peers.clone())
    }

    fn with<T>(&self, use_peers: impl FnOnce(&mut BTreeMap<NodeId, String>) -> T) -> T {
        use_peers(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
