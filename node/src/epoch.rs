//! The epoch: a number that counts every change on which a running answer depends.

use tokio::sync::watch;

/// Raised by any change to grants, policy, roster, people, training or posture. Whoever streams an answer compares it before
/// the next batch leaves and decides again when it has moved.
#[derive(Clone, Debug)]
pub struct Epoch(watch::Sender<u64>);

impl Default for Epoch {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Epoch {
    /// Something has changed.
    pub fn raise(&self) {
        self.0.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
    }

    /// The number now.
    pub fn current(&self) -> u64 {
        *self.0.borrow()
    }

    /// Watches it move.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}
