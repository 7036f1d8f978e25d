//! What opens the master key: a key file, a token behind a PIN, or a passphrase that a person types.

use std::path::{Path, PathBuf};

use concordat_storage::{
    data_dir::Storage,
    keys::{Argon2Cost, KeyError, Secret, TokenPlace},
};

use super::prompt;
use crate::{
    config::{self, Config, KeysFrom, PinFrom},
    fault::{Code, Problem},
    init::{Unlock, given_provider},
};

/// What a key in a token is called unless somebody says otherwise.
pub(super) const TOKEN_KEY: &str = "concordat";

/// Opens the storage of the node in `dir`.
///
/// # Errors
/// If the secret is missing or wrong, or the storage does not open.
pub(super) async fn storage(config: &Config, dir: &Path) -> Result<Storage, Problem> {
    let unlock = given(config.keys_from(dir), "passphrase")?;
    let (provider, _) = given_provider(unlock, Argon2Cost::default())?;
    let place = config.storage.place(dir)?;
    let dir = dir.to_owned();
    let opened = tokio::task::spawn_blocking(move || Storage::open_at(&dir, provider.as_ref(), &place)).await;
    Ok(opened.map_err(|error| Problem::new(Code::Fault, format!("the start was broken off: {error}")))??)
}

/// The secret that the configuration speaks of; a person is asked for it where it is in no file.
///
/// # Errors
/// If nobody gives it, or its file cannot be read.
pub(super) fn given(keys: KeysFrom, passphrase: &str) -> Result<Unlock, Problem> {
    Ok(match keys {
        KeysFrom::Passphrase => Unlock::Passphrase(prompt::secret(passphrase)?),
        KeysFrom::File(path) => Unlock::KeyFile(path),
        KeysFrom::Credential(name) => Unlock::Credential(name),
        KeysFrom::Token { place, pin } => token(place, pin)?,
    })
}

/// The key at `place`, with its PIN.
///
/// # Errors
/// If nobody gives the PIN, or its file cannot be read.
pub(super) fn token(place: TokenPlace, pin_from: PinFrom) -> Result<Unlock, Problem> {
    let pin = match &pin_from {
        PinFrom::Prompt => prompt::secret(&format!("PIN of the token `{}`", place.token))?,
        PinFrom::File(path) => pin_in(path)?,
        PinFrom::Credential(name) => pin_in(&config::credential(name)?)?,
    };
    Ok(Unlock::Token { place, pin_from, pin })
}

fn pin_in(path: &Path) -> Result<Secret, Problem> {
    Secret::in_file(path).map_err(|error| {
        if !matches!(error, KeyError::Missing { .. }) {
            return error.into();
        }
        let detail = format!("the file with the PIN, `{}`, is not there", path.display());
        Problem::new(Code::Locked, detail).help("put it back, or name its place as `keys.pin_file`")
    })
}

/// The place that the arguments of a command name: a module, a token, a key, and where its PIN is.
///
/// # Errors
/// If the module is not named by a path from the root.
pub(super) fn place(
    module: PathBuf,
    token: String,
    key: String,
    pin_file: Option<PathBuf>,
    pin_credential: Option<String>,
) -> Result<Unlock, Problem> {
    if !module.is_absolute() {
        return Err(
            Problem::usage(format!("`{}` is no path from the root", module.display()))
                .help("name the library of the token, such as `/usr/lib/softhsm/libsofthsm2.so`"),
        );
    }
    let pin_from = match (pin_credential, pin_file) {
        (Some(name), _) => PinFrom::Credential(name),
        (None, Some(path)) => PinFrom::File(std::path::absolute(&path).unwrap_or(path)),
        (None, None) => PinFrom::Prompt,
    };
    self::token(TokenPlace { module, token, key }, pin_from)
}
