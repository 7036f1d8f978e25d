//! What a receipt states about the bytes of an answer.

use crate::ids::Digest32;
use crate::labels;

/// The digest that identifies the bytes of an answer: BLAKE3 over the chunks in order, with its label as the context.
///
/// Both ends hash each byte of an answer while they encrypt or decrypt it, and BLAKE3 takes a quarter of the time of SHA-256.
#[derive(Clone, Debug)]
pub struct AnswerDigest(blake3::Hasher);

impl Default for AnswerDigest {
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key(labels::ANSWER_HASH))
    }
}

impl AnswerDigest {
    /// The digest of an answer of these bytes.
    pub fn of(bytes: &[u8]) -> Digest32 {
        let mut digest = Self::default();
        digest.update(bytes);
        digest.finish()
    }

    /// Adds the next bytes of the answer.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest over all bytes added so far.
    pub fn finish(&self) -> Digest32 {
        Digest32::from_bytes(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the package `blake3` of PyPI, 1.0.11.
    #[test]
    fn answer_digest_is_that_of_another_implementation() {
        let empty = "3ee54adb0cd087314f58d96bb1dc8444708849eaa950881daf3d1887ab7c200b";
        assert_eq!(AnswerDigest::default().finish().to_string(), empty);
        let mut digest = AnswerDigest::default();
        digest.update(b"chunk one");
        digest.update(b"and two");
        let both = "b9ddcb9a1190edc77129096949f83f494ee8ad61225d9b480c5d485596e9d73e";
        assert_eq!(digest.finish().to_string(), both);
        assert_eq!(AnswerDigest::of(b"chunk oneand two").to_string(), both);
    }
}
