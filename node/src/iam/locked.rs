//! Locks of the accounts and sessions.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ignores poisoning, because no guarded value can be left half changed: every change is one commit.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
