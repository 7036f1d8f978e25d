//! A file with a key: on a medium, mounted by a platform, or provided by the service manager.

use std::path::{Path, PathBuf};

use data_encoding::{BASE64, BASE64URL, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::key_encrypting_key::{KeyEncryptingKey, KeyProvider, Parameters, salt};
use crate::{KeyError, Secret, fs::read_private, labels, raw::RawKey};

/// A file with at least 32 bytes of key as hex, base64 or raw bytes, readable by its owner only.
#[derive(Debug, Clone)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The file at `path`; it is read each time a key is derived.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn key(&self, salt: &[u8]) -> Result<KeyEncryptingKey, KeyError> {
        let bytes = read_private(&self.0).map_err(|error| {
            let error = KeyError::from(error);
            if let KeyError::Missing { path } = error {
                KeyError::KeyFileMissing { path }
            } else {
                error
            }
        })?;
        let material = decode(&self.0, bytes)?;
        let key = RawKey::derive(material.expose(), salt, labels::KEY_FILE);
        Ok(KeyEncryptingKey(key))
    }
}

impl KeyProvider for KeyFile {
    fn fresh(&self) -> Result<(KeyEncryptingKey, Parameters), KeyError> {
        let salt = salt()?;
        Ok((self.key(&salt)?, Parameters::KeyFile { salt }))
    }

    fn rederive(&self, stored: &Parameters, file: &Path) -> Result<KeyEncryptingKey, KeyError> {
        match stored {
            Parameters::KeyFile { salt } => self.key(salt),
            Parameters::Argon2id { .. } | Parameters::Pkcs11 { .. } => Err(stored.wrong_provider(file)),
        }
    }

    fn unlock_error(&self, file: &Path) -> KeyError {
        KeyError::WrongKeyFile { path: file.to_owned() }
    }
}

/// Text that is hex or base64 is decoded; anything else is the key itself.
fn decode(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Secret, KeyError> {
    let text = bytes.trim_ascii();
    let decoded = [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64URL]
        .into_iter()
        .find_map(|encoding| encoding.decode(text).ok().map(Zeroizing::new));
    let key = decoded.unwrap_or(bytes);
    if key.len() < 32 {
        return Err(KeyError::KeyFileTooShort {
            path: path.to_owned(),
            bytes: key.len(),
        });
    }
    Ok(Secret::from(key))
}
