//! What a receipt states about the bytes of an answer.

use crate::ids::Digest32;
use crate::labels;

/// The digest that identifies the bytes of an answer: SHA-256 over the chunks in order, starting with its label.
#[derive(Clone, Debug)]
pub struct AnswerDigest(sha2::Sha256);

impl Default for AnswerDigest {
    fn default() -> Self {
        use sha2::Digest;
        Self(
            sha2::Sha256::new()
                .chain_update(labels::ANSWER_HASH.as_bytes())
                .chain_update([0]),
        )
    }
}

impl AnswerDigest {
    /// Adds the next bytes of the answer.
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    /// The digest over all bytes added so far.
    pub fn finish(&self) -> Digest32 {
        Digest32::from_bytes(sha2::Digest::finalize(self.0.clone()).into())
    }
}
