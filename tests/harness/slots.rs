//! Limits the daemons that run at the same time on this machine. A slot is a locked file, so it counts across test processes and
//! is free again however its holder exits.

use std::fs::File;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

/// The maximum number of daemons that run at the same time. A daemon of an idle node takes about 60 MB.
pub const DAEMONS: usize = 6;
/// How often a waiting test looks for a free slot.
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// Slots for running daemons; dropping them frees them.
#[derive(Debug)]
pub struct Slots {
    _held: Vec<File>,
}

impl Slots {
    /// Waits until `count` daemons may run.
    ///
    /// A waiting test holds the queue lock, so that two tests that each have half of their slots cannot deadlock.
    pub fn take(count: usize) -> Self {
        assert!(count <= DAEMONS, "{count} daemons at once are more than {DAEMONS}");
        let queue = open("queue");
        queue.lock().expect("the queue can be locked");
        let mut free: Vec<File> = (0..DAEMONS).map(|slot| open(&slot.to_string())).collect();
        let mut held = Vec::with_capacity(count);
        while held.len() < count {
            match free.iter().position(|slot| slot.try_lock().is_ok()) {
                Some(found) => held.push(free.swap_remove(found)),
                None => sleep(POLL_INTERVAL),
            }
        }
        Self { _held: held }
    }
}

fn open(name: &str) -> File {
    let folder = folder();
    std::fs::create_dir_all(&folder).expect("a folder for slots");
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(name))
        .expect("a file for a slot")
}

/// Next to the test binary: one folder for each target directory.
fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.with_file_name("daemon-slots")
}
