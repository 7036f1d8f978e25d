//! What the thread that appends shares with readers.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::Record;
use super::segments::Segments;
use super::tip::Tip;

/// Entries between two marks: some hundred microseconds to read.
pub(super) const MARK: u64 = 64;
/// Most marks that are kept. They reach back over 1024 entries, to the end of the newest segment.
pub(super) const MAX_MARKS: usize = 16;

/// What readers may see: only acknowledged entries.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The end of the acknowledged entries.
    pub(super) tip: Tip,
    /// Set permanently when a write failed.
    pub(super) refusing: bool,
    /// The ends of the segments.
    pub(super) segments: Segments,
    /// Earlier ends of the acknowledged entries, oldest first. Most reads are about the newest entries; they begin at one of these and not at the
    /// end of a segment.
    pub(super) marks: VecDeque<Tip>,
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
            marks: VecDeque::new(),
        }
    }

    /// The state of the ledger at a point before entry number `size` from which on it can be read.
    pub(super) fn before(&self, size: u64) -> Tip {
        let mark = self.marks.iter().rev().find(|mark| mark.tree.size() <= size);
        let segment = self.segments.before(size);
        match mark {
            Some(mark) if mark.tree.size() > segment.tree.size() => mark.clone(),
            Some(_) | None => segment,
        }
    }

    /// Adds acknowledged entries, up to `tip`.
    pub(super) fn advance(&mut self, tip: Tip) {
        self.tip = tip;
        self.mark();
    }

    fn mark(&mut self) {
        let marked = self.marks.back().map_or(0, |mark| mark.tree.size());
        if self.tip.tree.size() < marked.saturating_add(MARK) {
            return;
        }
        if self.marks.len() >= MAX_MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(self.tip.clone());
    }

    /// Adds an entry that was read from the log.
    pub(super) fn note(&mut self, record: &Record) {
        self.tip.push(record.leaf);
        self.tip.length = record.end;
        self.segments.note(&self.tip);
        self.mark();
    }
}

/// The data is consistent even after a panic in another thread: every change under these locks is a single assignment, but for a mark, which may
/// be missing.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
