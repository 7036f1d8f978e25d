//! Whether the path of a data directory leaves room for that of its socket.

use std::path::Path;

use concordat_documents::SOCKET;
use concordat_documents::problem::Problem;

/// Longest path of a socket, in bytes: `sun_path` (unix(7)) has 108 on Linux and 104 on other systems, of which the last is a zero.
pub(super) const MAX_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Refuses a data directory in which no socket can be opened, because the path of the socket would be too long.
///
/// # Errors
/// A `usage` problem that states the limit.
pub(crate) fn check_socket_path(dir: &Path) -> Result<(), Problem> {
    let bytes = dir.join(SOCKET).as_os_str().len();
    if bytes <= MAX_SOCKET_PATH {
        return Ok(());
    }
    let below = bytes.saturating_sub(dir.as_os_str().len());
    let detail = format!(
        "the path `{}` is too long for a data directory: that of the socket in it, `{SOCKET}`, would have {bytes} bytes, and this \
         system allows {MAX_SOCKET_PATH}",
        dir.display()
    );
    let most = MAX_SOCKET_PATH.saturating_sub(below);
    Err(Problem::usage(detail).help(format!("use a directory whose path has {most} bytes at most")))
}
