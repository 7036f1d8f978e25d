//! The values that change now.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::subject::Subject;

/// A value that changes: no other change of it begins meanwhile, so that entries about one value are in the order of its changes.
#[derive(Debug)]
pub(super) struct InProgress {
    subject: Subject,
    all: Arc<AllInProgress>,
}

/// The values that change now.
#[derive(Debug, Default)]
pub(super) struct AllInProgress {
    subjects: Mutex<BTreeSet<Subject>>,
    ended: Condvar,
}

impl InProgress {
    /// Waits until no other change of `subject` is under way. Blocks.
    pub(super) fn begin(all: &Arc<AllInProgress>, subject: Subject) -> Self {
        let mut subjects = all.subjects();
        while subjects.contains(&subject) {
            subjects = all.ended.wait(subjects).unwrap_or_else(PoisonError::into_inner);
        }
        subjects.insert(subject.clone());
        drop(subjects);
        Self {
            subject,
            all: Arc::clone(all),
        }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.all.subjects().remove(&self.subject);
        self.all.ended.notify_all();
    }
}

impl AllInProgress {
    /// Ignores poisoning: the set is changed by single calls, which leave it whole.
    fn subjects(&self) -> MutexGuard<'_, BTreeSet<Subject>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
