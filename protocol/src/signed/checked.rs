//! Signatures that this process has found to be valid.
//!
//! A signature over the same bytes by the same key is valid whenever it is checked, and the parts of one query are checked many times: by each step
//! that stores, sends or receives one of them. Checking takes some 50 microseconds, and looking here takes two.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::identity::PublicKey;
use crate::ids::Digest32;
use crate::labels;

/// Number of signatures in a generation. There are two, of 40 bytes for each: some 200 KB.
const GENERATION: usize = 2048;

static CHECKED: LazyLock<Mutex<Checked>> = LazyLock::new(Mutex::default);

/// The newest signatures, and those before them. What is found among these counts as new.
#[derive(Debug, Default)]
struct Checked {
    newest: HashSet<Digest32>,
    before: HashSet<Digest32>,
}

impl Checked {
    fn contains(&mut self, signature: &Digest32) -> bool {
        if self.newest.contains(signature) {
            return true;
        }
        let found = self.before.contains(signature);
        if found {
            self.insert(*signature);
        }
        found
    }

    fn insert(&mut self, signature: Digest32) {
        if self.newest.len() >= GENERATION {
            self.before = std::mem::take(&mut self.newest);
        }
        self.newest.insert(signature);
    }
}

/// Whether `signature` is one of `key` over `message`.
pub(super) fn verifies<P: PublicKey>(key: &P, message: &[u8], signature: &[u8]) -> bool {
    // Each part has a length of its own before it, so that no two of them can be divided in another way.
    let mut bytes = Vec::with_capacity(message.len() + signature.len() + 64);
    for part in [&key.key_bytes()[..], signature, message] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    let digest = Digest32::sha256(labels::CHECKED_SIGNATURE, &bytes);
    let checked = || CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    if checked().contains(&digest) {
        return true;
    }
    let valid = key.verifies(message, signature);
    if valid {
        checked().insert(digest);
    }
    valid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{NodeKey, PrivateKey};

    #[test]
    fn signature_that_was_valid_once_is_valid_for_nothing_else() {
        let (key, other) = (NodeKey::from_seed(&[1; 32].into()), NodeKey::from_seed(&[2; 32].into()));
        let signature = key.sign(b"message");
        for _ in 0..2 {
            assert!(verifies(&key.public(), b"message", &signature));
            assert!(!verifies(&key.public(), b"messag", &signature));
            assert!(!verifies(&other.public(), b"message", &signature));
            for at in 0..signature.len() {
                let mut changed = signature.clone();
                changed[at] ^= 1;
                assert!(!verifies(&key.public(), b"message", &changed));
            }
            assert!(!verifies(&key.public(), b"message", &signature[..63]));
        }
    }

    #[test]
    fn checked_signatures_are_bounded_and_those_in_use_stay() {
        let digest = |number: usize| Digest32::sha256(labels::CHECKED_SIGNATURE, &number.to_be_bytes());
        let mut checked = Checked::default();
        checked.insert(digest(0));
        for number in 1..10 * GENERATION {
            checked.insert(digest(number));
            if number % (GENERATION / 2) == 0 {
                assert!(checked.contains(&digest(0)), "{number}");
            }
        }
        assert!(checked.newest.len() + checked.before.len() <= 2 * GENERATION);
        assert!(!checked.contains(&digest(1)));
    }
}
