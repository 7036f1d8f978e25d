//! What unlocks the master key: a key file, a token with a PIN, or a passphrase that a person types.

use std::path::{Path, PathBuf};

use concordat_documents::problem::Problem;
use concordat_keys::{Argon2Cost, KeyError, Secret, TokenLocation};
use concordat_node::config::{self, Config, KeysFrom, PinFrom};
use concordat_node::init::{Unlock, provider_from_secret};
use concordat_protocol::error_kind::ErrorKind;
use concordat_storage::data_dir::Storage;

use crate::secrets;

/// Default label of the key in a token.
pub(crate) const TOKEN_KEY: &str = "concordat";

/// Opens the storage of the node in `dir`.
///
/// # Errors
/// If the secret is missing or wrong, or the storage does not open.
pub(crate) async fn storage(config: &Config, dir: &Path) -> Result<Storage, Problem> {
    let unlock = from_keys(config.keys_from(dir), "passphrase")?;
    let (provider, _) = provider_from_secret(unlock, Argon2Cost::default())?;
    let location = config.storage.location(dir)?;
    let dir = dir.to_owned();
    let opened = tokio::task::spawn_blocking(move || Storage::open_at(&dir, provider.as_ref(), &location)).await;
    Ok(opened.map_err(|error| Problem::new(ErrorKind::Internal, format!("the start was interrupted: {error}")))??)
}

/// The secret that the configuration names; if it is not in a file, the person is prompted for it.
///
/// # Errors
/// If it is not entered, or its file cannot be read.
pub(crate) fn from_keys(keys: KeysFrom, passphrase: &str) -> Result<Unlock, Problem> {
    Ok(match keys {
        KeysFrom::Passphrase => Unlock::Passphrase(secrets::secret(passphrase)?),
        KeysFrom::File(path) => Unlock::KeyFile(path),
        KeysFrom::Credential(name) => Unlock::Credential(name),
        KeysFrom::Token { location, pin } => token_with_pin(location, pin)?,
    })
}

/// The key at `location`, with its PIN.
///
/// # Errors
/// If the PIN is not entered, or its file cannot be read.
pub(crate) fn token_with_pin(location: TokenLocation, pin_from: PinFrom) -> Result<Unlock, Problem> {
    let pin = match &pin_from {
        PinFrom::Prompt => secrets::secret(&format!("PIN of the token `{}`", location.token))?,
        PinFrom::File(path) => read_pin(path)?,
        PinFrom::Credential(name) => read_pin(&config::credential(name)?)?,
    };
    Ok(Unlock::Token {
        location,
        pin_from,
        pin,
    })
}

/// The key file that the environment names.
pub(crate) fn named_key_file() -> Option<PathBuf> {
    std::env::var_os(config::KEY_FILE_VARIABLE).map(PathBuf::from)
}

/// The key file that is `stated`, or else the one that the environment has `named`; `other` is the option that states something else.
///
/// # Errors
/// If the environment contradicts that option: at every start it would take precedence over it.
pub(crate) fn key_file(
    stated: Option<PathBuf>,
    named: Option<PathBuf>,
    other: Option<&str>,
) -> Result<Option<PathBuf>, Problem> {
    match (stated, named, other) {
        (Some(path), _, _) => Ok(Some(path)),
        (None, Some(_), Some(other)) => {
            let variable = config::KEY_FILE_VARIABLE;
            Err(Problem::usage(format!(
                "{variable} is set and names a key file, which contradicts `{other}`"
            ))
            .help(format!(
                "unset {variable}, which takes precedence at every start, or leave out `{other}`"
            )))
        }
        (None, named, _) => Ok(named),
    }
}

fn read_pin(path: &Path) -> Result<Secret, Problem> {
    Secret::in_file(path).map_err(|error| {
        if !matches!(error, KeyError::Missing { .. }) {
            return error.into();
        }
        let detail = format!("the file with the PIN, `{}`, is missing", path.display());
        Problem::new(ErrorKind::Locked, detail).help("restore it, or set its location as `keys.pin_file`")
    })
}

/// The token key that the arguments of a command name: a module, a token, a key, and the source of its PIN.
///
/// # Errors
/// If the path of the module is not absolute.
pub(crate) fn with_token(
    module: PathBuf,
    token: String,
    key: String,
    pin_file: Option<PathBuf>,
    pin_credential: Option<String>,
) -> Result<Unlock, Problem> {
    if !module.is_absolute() {
        return Err(
            Problem::usage(format!("`{}` is not an absolute path", module.display()))
                .help("give the library of the token, such as `/usr/lib/softhsm/libsofthsm2.so`"),
        );
    }
    let pin_from = match (pin_credential, pin_file) {
        (Some(name), _) => PinFrom::Credential(name),
        (None, Some(path)) => PinFrom::File(std::path::absolute(&path).unwrap_or(path)),
        (None, None) => PinFrom::Prompt,
    };
    token_with_pin(TokenLocation { module, token, key }, pin_from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_file_of_the_environment_contradicts_other_options() {
        let (stated, named) = (PathBuf::from("stated"), PathBuf::from("named"));
        assert_eq!(
            key_file(Some(stated.clone()), Some(named.clone()), None).unwrap(),
            Some(stated)
        );
        assert_eq!(key_file(None, Some(named.clone()), None).unwrap(), Some(named.clone()));
        assert_eq!(key_file(None, None, Some("--token")).unwrap(), None);
        let problem = key_file(None, Some(named), Some("--token")).unwrap_err();
        assert_eq!(problem.code, ErrorKind::Usage);
        assert!(problem.detail.contains("--token") && problem.detail.contains(config::KEY_FILE_VARIABLE));
    }
}
