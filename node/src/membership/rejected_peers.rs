//! The members whose last hello was rejected.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use concordat_protocol::ids::NodeId;

/// Why a hello was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The reason, for people.
    pub(crate) reason: String,
    /// Whether a wrong clock, here or at the peer, is the likely cause.
    pub(crate) clock: bool,
}

/// The members whose last hello was rejected, each with the reason.
#[derive(Debug, Default)]
pub(super) struct RejectedPeers(Mutex<BTreeMap<NodeId, Rejection>>);

impl RejectedPeers {
    /// Notes why the last hello of `peer` was rejected.
    pub(super) fn note(&self, peer: NodeId, rejection: Rejection) {
        self.with(|peers| peers.insert(peer, rejection));
    }

    /// Forgets `peer`: its last hello was accepted.
    pub(super) fn forget(&self, peer: &NodeId) {
        self.with(|peers| peers.remove(peer));
    }

    /// All of them, as of now.
    pub(super) fn all(&self) -> BTreeMap<NodeId, Rejection> {
        self.with(|peers| peers.clone())
    }

    fn with<T>(&self, use_peers: impl FnOnce(&mut BTreeMap<NodeId, Rejection>) -> T) -> T {
        use_peers(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
