//! Real data, which is kept outside the repository. Tests that need it print a message and pass if it is missing.

use std::path::PathBuf;

use crate::program;

/// The file or folder `name` of the shared data, or `None` with a message on standard error.
///
/// The data is looked for in `$CONCORDAT_SHARED_DATA`, else in `shared/data` next to the workspace.
pub fn find(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CONCORDAT_SHARED_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| program::workspace().join("../shared/data"));
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("{} is missing; set CONCORDAT_SHARED_DATA", path.display()));
    None
}

/// Reports on standard error that a test, or a part of it, is skipped, and why.
#[expect(clippy::print_stderr, reason = "a skipped test must be visible")]
pub fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
}
