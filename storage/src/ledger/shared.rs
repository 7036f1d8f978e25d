//! What the thread that appends shares with readers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::Record;
use super::segments::Segments;
use super::tip::Tip;

/// What readers may see: only acknowledged entries.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The end of the acknowledged entries.
    pub(super) tip: Tip,
    /// Set permanently when a write failed.
    pub(super) refusing: bool,
    /// The ends of the segments.
    pub(super) segments: Segments,
}

impl Shared {
    /// Starts at the end of the newest segment before entry number `size`; the entries after it are still to be read.
    pub(super) fn from_segments(segments: Segments, size: u64) -> Self {
        let tip = segments.before(size);
        let segments = segments.cut(size);
        Self {
            tip,
            refusing: false,
            segments,
        }
    }

    /// Adds an entry that was read from the log.
    pub(super) fn note(&mut self, record: &Record) {
        self.tip.push(record.leaf);
        self.tip.length = record.end;
        self.segments.note(&self.tip);
    }
}

/// The data is consistent even after a panic in another thread: every change under these locks is a single assignment.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
