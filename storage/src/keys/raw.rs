//! Thirty-two bytes of key, before they are given a stage.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::KeyError;

/// 32 key bytes, wiped when dropped.
pub(crate) struct RawKey(Zeroizing<[u8; 32]>);

impl RawKey {
    /// A fresh random key.
    pub(crate) fn random() -> Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(KeyError::Random)?;
        Ok(Self(key))
    }

    /// A key of a test vector.
    #[cfg(test)]
    pub(crate) fn of(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// HKDF-SHA256 (RFC 5869) of `material` under `label`; `salt` may be empty.
    pub(crate) fn derive(material: &[u8], salt: &[u8], label: &str) -> Self {
        Self::derive_with(material, salt, &[label.as_bytes()])
    }

    /// The same with further `info` after the label; parts must have fixed lengths.
    #[expect(
        clippy::expect_used,
        reason = "by INVARIANT on HKDF: 32 bytes are below its limit of 255 hashes"
    )]
    pub(crate) fn derive_with(material: &[u8], salt: &[u8], info: &[&[u8]]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(salt), material)
            .expand_multi_info(info, key.as_mut_slice())
            .expect("32 bytes fit");
        Self(key)
    }

    /// A key to be filled by Argon2.
    pub(crate) fn filled<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Zeroizing::new([0; 32]);
        fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Takes over opened bytes, if there are 32.
    pub(crate) fn from_opened(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(|key| Self(Zeroizing::new(key)))
    }

    /// The same key for a second holder.
    pub(super) fn copy(&self) -> Self {
        Self(Zeroizing::new(*self.0))
    }

    /// The key bytes, for a cipher.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawKey(..)")
    }
}
