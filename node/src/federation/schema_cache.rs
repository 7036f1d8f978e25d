//! The columns that each grant exposes, as last reported by the provider.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use concordat_protocol::ids::GrantId;
use datafusion::arrow::datatypes::SchemaRef;

use super::source::{Access, Target};

/// The schemas of current versions, by grant.
#[derive(Debug, Default)]
pub(super) struct SchemaCache(Mutex<BTreeMap<GrantId, SchemaRef>>);

impl SchemaCache {
    /// The schema of the current version, if `target` is that and its provider has reported it.
    pub(super) fn get(&self, target: &Target) -> Option<SchemaRef> {
        let grant = grant_of_current(target)?;
        self.with(|schemas| schemas.get(&grant).cloned())
    }

    /// Stores what the provider of `target` has reported, if that is the current version.
    pub(super) fn put(&self, target: &Target, schema: &SchemaRef) {
        if let Some(grant) = grant_of_current(target) {
            self.with(|schemas| schemas.insert(grant, schema.clone()));
        }
    }

    /// Discards what is stored for the grant of `target`.
    pub(super) fn forget(&self, target: &Target) {
        if let Access::Grant(grant) = target.access {
            self.with(|schemas| schemas.remove(&grant));
        }
    }

    fn with<T>(&self, use_schemas: impl FnOnce(&mut BTreeMap<GrantId, SchemaRef>) -> T) -> T {
        use_schemas(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The grant under which `target` is queried, unless it is an older version or our own dataset.
fn grant_of_current(target: &Target) -> Option<GrantId> {
    match (target.version, target.access) {
        (None, Access::Grant(grant)) => Some(grant),
        (Some(_), Access::Grant(_)) => None,
        (_, Access::Own) => None,
    }
}
