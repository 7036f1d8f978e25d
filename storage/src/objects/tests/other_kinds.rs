//! What another person with access to the disk can put in place of a file, for tests.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::sys::stat::{Mode, SFlag, mknod, stat};

/// How long an operation may take, which would never end if it opened a pipe.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Puts something at the first path; the second one is a regular file elsewhere.
pub(crate) type Replace = fn(&Path, &Path);

/// Every kind of file that is not a regular one.
pub(crate) const KINDS: [(&str, Replace); 7] = [
    ("a pipe", |at, _| nix::unistd::mkfifo(at, Mode::S_IRWXU).unwrap()),
    ("a socket", |at, saved| {
        // The paths of sockets are short.
        let short = saved.with_file_name("s");
        drop(UnixListener::bind(&short).unwrap());
        fs::rename(short, at).unwrap();
    }),
    ("a link to the file", |at, saved| symlink(saved, at).unwrap()),
    ("a link to a device", |at, _| symlink("/dev/zero", at).unwrap()),
    ("a link to a folder", |at, saved| {
        symlink(saved.parent().unwrap(), at).unwrap();
    }),
    ("a folder", |at, _| fs::create_dir(at).unwrap()),
    // Only the administrator of the machine can create one; the link to one is tested in any case.
    ("a device", |at, _| {
        let zero = stat("/dev/zero").unwrap().st_rdev;
        if mknod(at, SFlag::S_IFCHR, Mode::S_IRWXU, zero).is_err() {
            symlink("/dev/zero", at).unwrap();
        }
    }),
];

/// The result of `work`; the test fails if it never ends. It is not waited for then.
pub(crate) fn ends<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waiting) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    let result = waiting.recv_timeout(TEST_TIMEOUT);
    result.unwrap_or_else(|_| panic!("{what}: it fails or never ends"))
}
