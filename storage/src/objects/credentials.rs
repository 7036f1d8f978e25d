//! The key of a store, from a file that only its owner may read.
//!
//! The format is that of the `credentials` file of Amazon's own programs, with one key in it:
//!
//! ```text
//! [default]
//! aws_access_key_id = AKIA…
//! aws_secret_access_key = …
//! aws_session_token = …        only for temporary keys
//! ```
//!
//! The line in brackets is optional; `#` begins a comment. The file is checked before each request and read again when it has
//! changed, so a key can be replaced without a restart.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use concordat_keys::fs::{PrivateFileError, read_private};
use object_store::{CredentialProvider, aws::AwsCredential};
use zeroize::Zeroizing;

use super::{CredentialsError, LocationError};

/// Checks that a file contains a key in the right format, and discards the key.
///
/// # Errors
/// [`LocationError::Credentials`] with the reason.
pub fn check(path: &Path) -> Result<(), LocationError> {
    read(path).map(drop)
}

/// Provides the key that is in the file now.
#[derive(Debug)]
pub(super) struct FileCredentials {
    path: PathBuf,
    last: Mutex<Option<(Stamp, Arc<AwsCredential>)>>,
}

/// Device, inode, modification time and size, which differ if the file has changed.
type Stamp = (u64, u64, i64, i64, u64);

impl FileCredentials {
    /// # Errors
    /// [`LocationError::Credentials`] if the file cannot be used now.
    pub(super) fn open(path: &Path) -> Result<Self, LocationError> {
        let credentials = Self {
            path: path.to_owned(),
            last: Mutex::default(),
        };
        credentials.current()?;
        Ok(credentials)
    }

    fn current(&self) -> Result<Arc<AwsCredential>, LocationError> {
        let stamp = stamp(&self.path)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = last.as_ref().filter(|(known, _)| *known == stamp) {
            return Ok(Arc::clone(known));
        }
        let key = Arc::new(read(&self.path)?.to_credential());
        *last = Some((stamp, Arc::clone(&key)));
        Ok(key)
    }
}

#[async_trait]
impl CredentialProvider for FileCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Ok(self.current()?)
    }
}

fn stamp(path: &Path) -> Result<Stamp, LocationError> {
    let facts = fs::metadata(path).map_err(|error| LocationError::credentials(path, unreadable(&error)))?;
    Ok((
        facts.dev(),
        facts.ino(),
        facts.mtime(),
        facts.mtime_nsec(),
        facts.size(),
    ))
}

fn unreadable(error: &io::Error) -> CredentialsError {
    if error.kind() == io::ErrorKind::NotFound {
        CredentialsError::Missing
    } else {
        CredentialsError::Unreadable
    }
}

fn read(path: &Path) -> Result<StoreKey, LocationError> {
    let bytes = read_private(path).map_err(|error| {
        let reason = match error {
            PrivateFileError::Exposed { .. } => CredentialsError::Exposed,
            PrivateFileError::Io { source, .. } => unreadable(&source),
        };
        LocationError::credentials(path, reason)
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| LocationError::credentials(path, CredentialsError::Line(1)))?;
    StoreKey::parse(text).map_err(|reason| LocationError::credentials(path, reason))
}

/// The key of a store: wiped when dropped, never printed.
#[derive(Default)]
struct StoreKey {
    id: Option<Zeroizing<String>>,
    secret: Option<Zeroizing<String>>,
    token: Option<Zeroizing<String>>,
}

impl StoreKey {
    fn parse(text: &str) -> Result<Self, CredentialsError> {
        let mut key = Self::default();
        let mut headers = 0;
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with('[') && line.ends_with(']') {
                headers += 1;
                if headers > 1 {
                    return Err(CredentialsError::Twice(number));
                }
                continue;
            }
            key.parse_line(line, number)?;
        }
        for (part, name) in [(&key.id, "aws_access_key_id"), (&key.secret, "aws_secret_access_key")] {
            if part.is_none() {
                return Err(CredentialsError::Lacks(name));
            }
        }
        Ok(key)
    }

    fn parse_line(&mut self, line: &str, number: usize) -> Result<(), CredentialsError> {
        let unknown = || CredentialsError::Line(number);
        let (name, value) = line.split_once('=').ok_or_else(unknown)?;
        let part = match name.trim() {
            "aws_access_key_id" => &mut self.id,
            "aws_secret_access_key" => &mut self.secret,
            "aws_session_token" => &mut self.token,
            _ => return Err(unknown()),
        };
        let value = value.trim();
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unknown());
        }
        match part.replace(Zeroizing::new(value.to_owned())) {
            None => Ok(()),
            Some(_) => Err(CredentialsError::Twice(number)),
        }
    }

    /// The key in the type of the library, which signs requests with it and never prints it. This one copy is kept until the file
    /// changes.
    fn to_credential(&self) -> AwsCredential {
        let text = |part: &Option<Zeroizing<String>>| part.as_ref().map(|text| text.as_str().to_owned());
        AwsCredential {
            key_id: text(&self.id).unwrap_or_default(),
            secret_key: text(&self.secret).unwrap_or_default(),
            token: text(&self.token),
        }
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const WHOLE: &str = "# ours\n[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key=wJalr/+=x\n";

    fn reason(text: &str) -> CredentialsError {
        StoreKey::parse(text).unwrap_err()
    }

    #[test]
    fn credentials_file_of_amazons_programs_is_read() {
        let key = StoreKey::parse(WHOLE).unwrap();
        let credential = key.to_credential();
        assert_eq!(
            (credential.key_id.as_str(), credential.secret_key.as_str()),
            ("AKIAEXAMPLE", "wJalr/+=x")
        );
        assert_eq!(credential.token, None);
        let text = format!("{key:?} {credential:?}");
        assert!(!text.contains("wJalr"), "{text}");
    }

    #[test]
    fn credentials_error_names_the_invalid_line() {
        assert_eq!(
            reason("aws_access_key_id = A\n"),
            CredentialsError::Lacks("aws_secret_access_key")
        );
        assert_eq!(reason(""), CredentialsError::Lacks("aws_access_key_id"));
        assert_eq!(reason("region = eu\n"), CredentialsError::Line(1));
        assert_eq!(reason("\naws_access_key_id =\n"), CredentialsError::Line(2));
        assert_eq!(
            reason("aws_access_key_id = A\naws_access_key_id = B\n"),
            CredentialsError::Twice(2)
        );
        assert_eq!(reason("[a]\n[b]\n"), CredentialsError::Twice(2));
    }

    #[test]
    fn exposed_credentials_are_rejected_and_changed_ones_reread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.key");
        let refused = |error: LocationError| matches!(error, LocationError::Credentials { .. });
        assert!(refused(check(&path).unwrap_err()));
        fs::write(&path, WHOLE).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = check(&path).unwrap_err();
        assert!(
            matches!(
                &error,
                LocationError::Credentials {
                    reason: CredentialsError::Exposed,
                    ..
                }
            ),
            "{error}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let credentials = FileCredentials::open(&path).unwrap();
        assert_eq!(credentials.current().unwrap().secret_key, "wJalr/+=x");
        fs::write(&path, WHOLE.replace("wJalr", "another")).unwrap();
        assert_eq!(credentials.current().unwrap().secret_key, "another/+=x");
    }
}
