//! Thirty-two bytes of key without a stage.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

use super::{KeyError, locked::LockedKey};

/// 32 key bytes in locked memory, wiped when dropped.
pub(crate) struct RawKey(LockedKey);

impl RawKey {
    /// A fresh random key.
    pub(crate) fn random() -> Result<Self, KeyError> {
        Self::filled(getrandom::fill).map_err(KeyError::Random)
    }

    /// A key of a test vector.
    pub(super) fn of_vector(bytes: [u8; 32]) -> Self {
        let mut key = LockedKey::zeroed();
        *key.bytes_mut() = bytes;
        Self(key)
    }

    /// HKDF-SHA256 (RFC 5869) of `material` under `label`; `salt` may be empty.
    pub(crate) fn derive(material: &[u8], salt: &[u8], label: &str) -> Self {
        Self::derive_with(material, salt, &[label.as_bytes()])
    }

    /// The same with several parts of `info`, the label first; parts must have fixed lengths.
    #[expect(
        clippy::expect_used,
        reason = "by INVARIANT on HKDF: 32 bytes are below its limit of 255 hashes"
    )]
    pub(crate) fn derive_with(material: &[u8], salt: &[u8], info: &[&[u8]]) -> Self {
        let mut key = LockedKey::zeroed();
        Hkdf::<Sha256>::new(Some(salt), material)
            .expand_multi_info(info, key.bytes_mut())
            .expect("32 bytes fit");
        Self(key)
    }

    /// A key that `fill` writes in place.
    pub(crate) fn filled<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = LockedKey::zeroed();
        fill(key.bytes_mut())?;
        Ok(Self(key))
    }

    /// Copies opened bytes, if there are 32.
    pub(crate) fn from_opened(bytes: &[u8]) -> Option<Self> {
        let mut key = LockedKey::zeroed();
        let target: &mut [u8] = key.bytes_mut();
        if target.len() != bytes.len() {
            return None;
        }
        target.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// The same key for a second holder.
    pub(super) fn copy(&self) -> Self {
        let mut key = LockedKey::zeroed();
        key.bytes_mut().copy_from_slice(self.bytes());
        Self(key)
    }

    /// The key bytes, for a cipher.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.0.bytes()
    }
}

impl fmt::Debug for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawKey(..)")
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// The flags of the mapping that contains `address`, as the kernel reports them (proc_pid_smaps(5)).
    fn flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut within = false;
        for line in maps.lines() {
            if let Some((from, to)) = line.split_whitespace().next().and_then(|range| range.split_once('-')) {
                let bounds = usize::from_str_radix(from, 16)
                    .ok()
                    .zip(usize::from_str_radix(to, 16).ok());
                within = bounds.map_or(within, |(from, to)| (from..to).contains(&address));
            } else if let Some(flags) = line.strip_prefix("VmFlags:").filter(|_| within) {
                return flags.to_owned();
            }
        }
        panic!("no mapping contains {address:x}");
    }

    #[test]
    fn key_memory_is_locked_until_the_key_is_dropped() {
        let key = RawKey::random().unwrap();
        if !key.0.is_locked() {
            eprintln!("skipped: this process may not lock memory");
            return;
        }
        let address = key.bytes().as_ptr() as usize;
        assert!(flags(address).split_whitespace().any(|flag| flag == "lo"));
        let other = RawKey::random().unwrap();
        drop(RawKey::random().unwrap());
        assert!(
            flags(address).split_whitespace().any(|flag| flag == "lo"),
            "dropping another key does not unlock this one"
        );
        assert_ne!(key.bytes(), other.bytes());
    }
}
