//! A cache of recently opened objects.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use object_store::path::Path;

use super::read::OpenObject;

/// Cached so that a header is read and a key derived once per object and not once per range.
#[derive(Debug, Default)]
pub(super) struct Openers(Mutex<HashMap<Path, Arc<OpenObject>>>);

impl Openers {
    /// More objects than one scan has open; an entry takes less than 2 KiB.
    const MAX: usize = 256;

    pub(super) fn get(&self, location: &Path) -> Option<Arc<OpenObject>> {
        self.entries().get(location).cloned()
    }

    pub(super) fn put(&self, object: &Arc<OpenObject>) {
        let mut entries = self.entries();
        if entries.len() >= Self::MAX {
            entries.clear();
        }
        entries.insert(object.sealed.location.clone(), Arc::clone(object));
    }

    pub(super) fn forget(&self, location: &Path) {
        self.entries().remove(location);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Path, Arc<OpenObject>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
