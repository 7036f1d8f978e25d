//! The institution that must have signed a snapshot.

use std::ffi::OsStr;
use std::path::Path;

use concordat_cli::{Context, files};
use concordat_documents::problem::Problem;
use concordat_documents::status::Status;
use concordat_protocol::error_kind::ErrorKind;
use concordat_storage::backup::{InvalidOwner, Owner};

/// The key of the node that runs in the data directory, which has decrypted it; a file there could have been replaced.
///
/// # Errors
/// If no node is running there.
pub(super) async fn running(context: &Context) -> Result<Owner, Problem> {
    let status: Status = context.client()?.get("/v1/status").await.map_err(|_| {
        Problem::usage("the institution that these snapshots must be from is unknown")
            .help("give the institution's key with `--institution-key FINGERPRINT`, or start the node")
    })?;
    let fingerprint = &status.fingerprint;
    fingerprint
        .parse()
        .map_err(|error: InvalidOwner| Problem::new(ErrorKind::Internal, format!("the node's key {error}")))
}

/// Most bytes of a key file.
const MAX_KEY_FILE: u64 = 1024;

/// The key that the operator gives: directly, or in a file.
///
/// # Errors
/// If it is neither a key nor a file with one.
pub(super) fn given(given: &OsStr) -> Result<Owner, Problem> {
    let parsed = given.to_str().and_then(|text| text.parse().ok());
    if let Some(owner) = parsed {
        return Ok(owner);
    }
    let path = Path::new(given);
    let shown = path.display();
    if !path.is_file() {
        return Err(Problem::usage(format!("`{shown}` {InvalidOwner}, nor a file with one"))
            .help("`concordat status` of the node, and the roster of its consortium, show the fingerprint"));
    }
    let text = files::read_text(path, MAX_KEY_FILE)?;
    text.parse()
        .map_err(|error: InvalidOwner| Problem::usage(format!("what is in `{shown}` {error}")))
}
