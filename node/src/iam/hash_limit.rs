//! How many passwords are hashed at once.
//!
//! A hash needs 64 MiB, and a login needs no session: without a limit, any process on the machine could use up its memory.

use std::sync::{Condvar, Mutex, PoisonError};

use super::IamError;
use super::locked::lock;

/// Most hashes at once: 128 MiB at the usual cost.
const MAX_RUNNING: usize = 2;
/// Most callers that wait for another hash to end. Each occupies a thread, and the last of them waits for about a second.
const MAX_WAITING: usize = 16;

/// The hashes that are computed now, and who waits.
#[derive(Debug, Default)]
pub(super) struct HashLimit {
    load: Mutex<Load>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Load {
    running: usize,
    waiting: usize,
}

impl HashLimit {
    /// Waits until a password may be hashed. Blocks.
    ///
    /// # Errors
    /// [`IamError::TooManyLogins`] if [`MAX_WAITING`] callers wait already.
    pub(super) fn begin(&self) -> Result<HashSlot<'_>, IamError> {
        let mut load = lock(&self.load);
        if load.running >= MAX_RUNNING {
            if load.waiting >= MAX_WAITING {
                return Err(IamError::TooManyLogins);
            }
            load.waiting = load.waiting.saturating_add(1);
            load = self
                .ended
                .wait_while(load, |load| load.running >= MAX_RUNNING)
                .unwrap_or_else(PoisonError::into_inner);
            load.waiting = load.waiting.saturating_sub(1);
        }
        load.running = load.running.saturating_add(1);
        Ok(HashSlot(self))
    }

    /// How many wait now.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.load).waiting
    }
}

/// One of the hashes at a time; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct HashSlot<'a>(&'a HashLimit);

impl Drop for HashSlot<'_> {
    fn drop(&mut self) {
        let mut load = lock(&self.0.load);
        load.running = load.running.saturating_sub(1);
        self.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn password_hashes_are_computed_two_at_a_time() {
        let limit = HashLimit::default();
        let running = AtomicUsize::new(0);
        let peak = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let _slot = limit.begin().unwrap();
                    let now = running.fetch_add(1, SeqCst) + 1;
                    peak.fetch_max(now, SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    running.fetch_sub(1, SeqCst);
                });
            }
        });
        assert!(peak.load(SeqCst) <= 2, "{}", peak.load(SeqCst));
        assert_eq!(lock(&limit.load).running, 0);
    }

    #[test]
    fn password_hash_is_refused_when_too_many_wait() {
        let limit = HashLimit::default();
        let slots: Vec<HashSlot<'_>> = (0..MAX_RUNNING).map(|_| limit.begin().unwrap()).collect();
        let refused = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..=MAX_WAITING {
                scope.spawn(|| {
                    if limit.begin().is_err() {
                        refused.fetch_add(1, SeqCst);
                    }
                });
            }
            while limit.waiting() + refused.load(SeqCst) <= MAX_WAITING {
                thread::yield_now();
            }
            drop(slots);
        });
        assert_eq!(refused.load(SeqCst), 1);
        assert!(limit.begin().is_ok(), "the slots are free again");
    }
}
