//! Where there is no Linux: the limits that every Unix has. Nodes that serve run on Linux.

use std::io;

use nix::sys::resource::{Resource, setrlimit};

/// Others that run at the same time come first.
pub(super) const NICE: i32 = 10;

/// Nothing is left open: the standard library marks what it opens.
///
/// # Errors
/// None.
pub(super) fn close_others() -> io::Result<()> {
    Ok(())
}

/// Gives up precedence, files and core dumps.
///
/// # Errors
/// What the system says.
pub(super) fn lower() -> io::Result<()> {
    let _ = rustix::process::nice(NICE);
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    Ok(())
}

/// The memory of the engine's own accounting is all that holds here.
///
/// # Errors
/// None.
pub(super) fn enclose(_: usize) -> io::Result<()> {
    Ok(())
}
