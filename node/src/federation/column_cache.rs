//! What holders have stated about the columns of their grants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use concordat_protocol::ids::GrantId;
use concordat_protocol::wire::messages::GrantedDatasets;

use super::source::{Access, Target};

/// The datasets of current versions with their columns and declarations, by grant.
#[derive(Debug, Default)]
pub(super) struct GrantColumns(Mutex<BTreeMap<GrantId, Arc<GrantedDatasets>>>);

impl GrantColumns {
    /// Discards what is known of the grant of `target`.
    pub(super) fn forget(&self, target: &Target) {
        if let Access::Grant(grant) = target.access {
            self.with(|columns| columns.remove(&grant));
        }
    }

    /// Discards what is known of all grants.
    pub(super) fn forget_all(&self) {
        self.with(BTreeMap::clear);
    }

    /// Gives access to the columns; the lock is held for that only.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<GrantId, Arc<GrantedDatasets>>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
