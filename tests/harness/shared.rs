//! Real data, which lies outside the repository. Tests that need it say so and pass when it is not there.

use std::path::PathBuf;

use crate::program;

/// The file or folder `name` of the shared data, or `None` with a message on standard error.
///
/// The data is looked for in `$CONCORDAT_SHARED_DATA`, else in `shared/data` beside the workspace.
pub fn find(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CONCORDAT_SHARED_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| program::workspace().join("../shared/data"));
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("{} is not there; set CONCORDAT_SHARED_DATA", path.display()));
    None
}

/// Says on standard error that a test, or a part of it, is not run, and why.
#[expect(clippy::print_stderr, reason = "a test that was not run must be seen")]
pub fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
}
