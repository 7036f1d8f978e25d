//! The active policy set, for code that decides.

use std::sync::{Arc, PoisonError, RwLock};

use concordat_policy::Policy;

/// A handle to the active policy set; clones see a change immediately. Code that decides takes the set once, and records the digest
/// of that set.
#[derive(Clone, Debug)]
pub struct LivePolicy(Arc<RwLock<Policy>>);

impl LivePolicy {
    /// Creates the handle with this set as the active one.
    pub fn new(policy: Policy) -> Self {
        Self(Arc::new(RwLock::new(policy)))
    }

    /// The active set.
    pub fn current(&self) -> Policy {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Activates another set. Only the store calls this, after the change is durable.
    pub(super) fn replace(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }
}
