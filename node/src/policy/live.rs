//! The policy set in force, for those who decide.

use std::sync::{Arc, PoisonError, RwLock};

use super::Policy;

/// A handle to the policy set in force; clones see a change at once. Whoever decides takes the set once, and records the
/// digest of that one.
#[derive(Clone, Debug)]
pub struct LivePolicy(Arc<RwLock<Policy>>);

impl LivePolicy {
    /// With this set in force.
    pub fn new(policy: Policy) -> Self {
        Self(Arc::new(RwLock::new(policy)))
    }

    /// The set in force now.
    pub fn current(&self) -> Policy {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another one in force. Only the store does, after the change is durable.
    pub(super) fn replace(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }
}
