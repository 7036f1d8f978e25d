//! Locks on files.

use std::{
    fs::{File, TryLockError},
    time::Duration,
};

/// How often, and how many times, a lock that is taken is tried again: a quarter of a second in all.
const INTERVAL: Duration = Duration::from_millis(25);
const TRIES: u32 = 10;

/// Locks a file for this process until it is closed. A lock that is taken is tried again for a moment: a process that is being started has a
/// copy of every open file of its parent, and with it the lock, until it runs its own program.
///
/// # Errors
/// [`TryLockError::WouldBlock`] if another process has the lock.
pub fn lock_exclusive(file: &File) -> Result<(), TryLockError> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(INTERVAL),
            ended => return ended,
        }
    }
    file.try_lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_that_is_released_soon_is_waited_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = file.reopen().unwrap();
        held.try_lock().unwrap();
        assert!(matches!(
            lock_exclusive(&file.reopen().unwrap()),
            Err(TryLockError::WouldBlock)
        ));
        let released = std::thread::spawn(move || {
            std::thread::sleep(INTERVAL);
            drop(held);
        });
        lock_exclusive(&file.reopen().unwrap()).unwrap();
        released.join().unwrap();
    }
}
