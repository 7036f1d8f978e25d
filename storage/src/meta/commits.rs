//! What each commit states: its number, and the values that there are after it.

use concordat_keys::StateKey;
use serde::{Deserialize, Serialize};

use super::{
    MetaError,
    codec::{decode, encode, open_value, seal_value},
    contents::Contents,
};

/// The tree, and the key in it, of the only value that is no part of the contents.
pub(super) const TREE: &str = "concordat-commits";

/// The last commit; the default is that of an empty database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commits {
    /// How many there were.
    pub(super) count: u64,
    /// The hash of all values after it.
    pub(super) contents: Contents,
}

/// As it is stored.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Stored {
    /// What each commit states.
    Complete(Commits),
    /// Before commits stated the values, they had their number only. Such a commit is the last one only once: its number is lower than that in
    /// `head` as soon as there is another.
    Count(u64),
}

impl Stored {
    pub(super) fn open(key: &StateKey, hashed: &[u8], sealed: &[u8]) -> Result<Self, MetaError> {
        let plain = open_value(key, TREE, hashed, sealed)?;
        decode(TREE, &plain).map(|(_, stored)| stored)
    }
}

impl Commits {
    pub(super) fn open(key: &StateKey, hashed: &[u8], sealed: &[u8]) -> Result<Self, MetaError> {
        match Stored::open(key, hashed, sealed)? {
            Stored::Complete(commits) => Ok(commits),
            Stored::Count(_) => Err(MetaError::Kind { tree: TREE }),
        }
    }

    pub(super) fn seal(&self, key: &StateKey, hashed: &[u8]) -> Result<Vec<u8>, MetaError> {
        let plain = encode(TREE, TREE, self)?;
        seal_value(key, TREE, hashed, &plain)
    }
}
