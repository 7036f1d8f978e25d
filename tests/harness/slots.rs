//! How many daemons run at once, on the whole machine: a slot is a locked file, so that it counts across test processes and
//! is free again however its holder ended.

use std::fs::File;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

/// Most daemons that run at the same time. A daemon of an idle node takes about 60 MB.
pub const DAEMONS: usize = 6;
/// How often a wanted slot is looked for.
const LOOK: Duration = Duration::from_millis(30);

/// The right to run some daemons; it ends when this is dropped.
#[derive(Debug)]
pub struct Slots {
    _held: Vec<File>,
}

impl Slots {
    /// Waits until `count` daemons may run.
    ///
    /// Whoever waits holds the door meanwhile, so that two who have half of what they want cannot wait for each other.
    pub fn take(count: usize) -> Self {
        assert!(count <= DAEMONS, "{count} daemons at once are more than {DAEMONS}");
        let door = open("door");
        door.lock().expect("the door can be locked");
        let mut free: Vec<File> = (0..DAEMONS).map(|slot| open(&slot.to_string())).collect();
        let mut held = Vec::with_capacity(count);
        while held.len() < count {
            match free.iter().position(|slot| slot.try_lock().is_ok()) {
                Some(found) => held.push(free.swap_remove(found)),
                None => sleep(LOOK),
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

/// Beside the test binary: one for each target directory.
fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.with_file_name("daemon-slots")
}
