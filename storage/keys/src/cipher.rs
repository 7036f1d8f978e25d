//! The two ciphers an object can be sealed with, and the cipher of one object.
//!
//! The key of an object exists only while its cipher is created, so it never leaves this crate.

use std::fmt;

use aes_gcm::Aes256Gcm;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce};

use crate::{DatasetKey, KeyError, data::ObjectKey};

/// Which cipher seals an object; the number is in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// ChaCha20-Poly1305 (RFC 8439), number 1.
    ChaCha20Poly1305,
    /// AES-256-GCM (NIST SP 800-38D), number 2.
    Aes256Gcm,
}

impl Suite {
    /// AES if the processor computes it in hardware, otherwise ChaCha20.
    #[must_use]
    pub fn auto() -> Self {
        if has_aes() {
            Self::Aes256Gcm
        } else {
            Self::ChaCha20Poly1305
        }
    }

    /// The number in the header.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::ChaCha20Poly1305 => 1,
            Self::Aes256Gcm => 2,
        }
    }

    /// The suite with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::ChaCha20Poly1305),
            2 => Some(Self::Aes256Gcm),
            _ => None,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_aes() -> bool {
    std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
}

/// Length of the tag that both ciphers add to a block.
pub const TAG_LEN: usize = 16;

/// The cipher of one object, with its key set up.
pub struct ObjectCipher(Cipher);

enum Cipher {
    ChaCha(Box<ChaCha20Poly1305>),
    Aes(Box<Aes256Gcm>),
}

impl DatasetKey {
    /// The cipher of the object of this dataset whose header has these random bytes and this suite.
    #[must_use]
    pub fn object_cipher(&self, random: &[u8; 32], suite: Suite) -> ObjectCipher {
        ObjectCipher::new(suite, &self.object_key(random, suite.number()))
    }
}

impl ObjectCipher {
    pub(crate) fn new(suite: Suite, key: &ObjectKey) -> Self {
        Self(match suite {
            Suite::ChaCha20Poly1305 => Cipher::ChaCha(Box::new(ChaCha20Poly1305::new(key.bytes().into()))),
            Suite::Aes256Gcm => Cipher::Aes(Box::new(Aes256Gcm::new(key.bytes().into()))),
        })
    }

    /// Encrypts in place and returns the tag.
    ///
    /// # Errors
    /// Only if the block is longer than the cipher allows, which is at least 64 GiB.
    pub fn seal(&self, nonce: [u8; 12], aad: &[u8], block: &mut [u8]) -> Result<[u8; TAG_LEN], KeyError> {
        let nonce = Nonce::from(nonce);
        let sealed = match &self.0 {
            Cipher::ChaCha(cipher) => cipher.encrypt_inout_detached(&nonce, aad, block.into()).map(Into::into),
            Cipher::Aes(cipher) => cipher.encrypt_inout_detached(&nonce, aad, block.into()).map(Into::into),
        };
        sealed.map_err(|_| unopenable())
    }

    /// Decrypts in place if the tag is valid.
    ///
    /// # Errors
    /// [`KeyError::Unopenable`] if block, nonce or associated data are not what was sealed.
    pub fn open(&self, nonce: [u8; 12], aad: &[u8], block: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), KeyError> {
        let nonce = Nonce::from(nonce);
        let opened = match &self.0 {
            Cipher::ChaCha(cipher) => cipher.decrypt_inout_detached(&nonce, aad, block.into(), tag.into()),
            Cipher::Aes(cipher) => cipher.decrypt_inout_detached(&nonce, aad, block.into(), tag.into()),
        };
        opened.map_err(|_| unopenable())
    }
}

fn unopenable() -> KeyError {
    KeyError::Unopenable {
        what: "block of an object",
    }
}

impl fmt::Debug for ObjectCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Cipher::ChaCha(_) => "ChaCha(..)",
            Cipher::Aes(_) => "Aes(..)",
        })
    }
}
