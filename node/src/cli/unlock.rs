//! What opens the master key: a key file, or a passphrase that a person types.

use std::path::Path;

use concordat_storage::{keys::KeySource, storage::Storage};

use super::prompt;
use crate::{
    config::Config,
    fault::{Code, Problem},
};

/// Opens the storage of the node in `dir`.
///
/// # Errors
/// If the secret is missing or wrong, or the storage does not open.
pub(super) async fn storage(config: &Config, dir: &Path) -> Result<Storage, Problem> {
    let source = match config.key_file(dir)? {
        Some(path) => KeySource::KeyFile(path),
        None => KeySource::Passphrase(prompt::secret("passphrase")?),
    };
    let place = config.storage.place(dir)?;
    let dir = dir.to_owned();
    let opened = tokio::task::spawn_blocking(move || Storage::open_at(&dir, &source, &place)).await;
    Ok(opened.map_err(|error| Problem::new(Code::Fault, format!("the start was broken off: {error}")))??)
}
