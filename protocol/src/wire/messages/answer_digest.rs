//! What a receipt states about the bytes of an answer.

use crate::ids::Digest32;
use crate::labels;

/// Most bytes of a step, some 20 µs of work. A power of two.
const STEP: u64 = 64 << 10;

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

    /// How many of the next `bytes` bytes to add at a time, between which what runs in the same task continues; none only of none.
    ///
    /// BLAKE3 hashes 16 blocks of a tree together if they are a whole part of it. So steps end where such parts end, whatever the lengths of
    /// messages: in steps of one length from anywhere, each would be hashed in many short parts.
    pub fn step(&self, bytes: usize) -> usize {
        let left = STEP.saturating_sub(self.0.count() % STEP);
        usize::try_from(left).unwrap_or(usize::MAX).min(bytes)
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

    #[test]
    fn answer_digest_is_one_in_steps_from_anywhere() {
        let bytes: Vec<u8> = (0..400_000_u32)
            .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
            .collect();
        let whole = AnswerDigest::of(&bytes);
        for first in [0, 1, 1023, 65_535, 65_536, 70_000, 399_999] {
            let (first, rest) = bytes.split_at(first);
            let mut digest = AnswerDigest::default();
            digest.update(first);
            let mut rest = rest;
            let mut ends = first.len();
            while !rest.is_empty() {
                let (step, after) = rest.split_at(digest.step(rest.len()));
                assert!((1..=65_536).contains(&step.len()));
                digest.update(step);
                ends += step.len();
                assert!(ends.is_multiple_of(65_536) || after.is_empty(), "{ends}");
                rest = after;
            }
            assert_eq!(digest.finish(), whole, "{}", first.len());
            assert_eq!(digest.step(0), 0);
        }
    }
}
