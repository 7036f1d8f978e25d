//! Systems other than Linux: only the limits that every Unix has. Production nodes run on Linux.

use std::io;

use nix::sys::resource::{Resource, setrlimit};

/// The nice value: a lower priority than other processes.
pub(super) const NICE: i32 = 10;

/// Nothing to do: the standard library opens descriptors with close-on-exec.
///
/// # Errors
/// None.
pub(super) fn close_inherited_files() -> io::Result<()> {
    Ok(())
}

/// Lowers the priority, and disables writing files and core dumps.
///
/// # Errors
/// Errors of the system.
pub(super) fn restrict_resources() -> io::Result<()> {
    let _ = rustix::process::nice(NICE);
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    Ok(())
}

/// No further limits: only the engine's own memory accounting applies here.
///
/// # Errors
/// None.
pub(super) fn apply_limits(_: usize) -> io::Result<()> {
    Ok(())
}
