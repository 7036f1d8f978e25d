//! A secret from a person or a file.

use std::{fmt, path::Path};

use zeroize::Zeroizing;

use super::KeyError;
use crate::fs::read_private;

/// Secret bytes: wiped when dropped, never printed, compared or serialized.
///
/// It cannot be cloned; pass a reference. [`Secret::expose`] is the only access to the bytes.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The first line of a small file that only its owner may read.
    ///
    /// # Errors
    /// [`KeyError::Missing`], [`KeyError::Exposed`], [`KeyError::Empty`] or the error of the system.
    pub fn in_file(path: &Path) -> Result<Self, KeyError> {
        let contents = read_private(path)?;
        let line = contents.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Self(Zeroizing::new(line.to_vec())))
    }

    /// The bytes themselves; every use of this name is a point to review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text.into_bytes()))
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
