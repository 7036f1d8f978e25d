//! The epoch: a number that counts every change on which a running answer depends.

use tokio::sync::watch;

/// Raised by any change to grants, policy, roster, people, training or posture. The sender of an answer compares it before
/// each batch and evaluates the decision again when it has changed.
#[derive(Clone, Debug)]
pub struct Epoch(watch::Sender<u64>);

impl Default for Epoch {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Epoch {
    /// Records that something has changed.
    pub fn raise(&self) {
        self.0.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
    }

    /// The present number.
    pub fn current(&self) -> u64 {
        *self.0.borrow()
    }

    /// Watches for changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
