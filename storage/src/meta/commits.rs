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

impl Commits {
    /// A sealed record that states no values, such as a number alone, opens under the same key; it is not one of a commit.
    pub(super) fn open(key: &StateKey, hashed: &[u8], sealed: &[u8]) -> Result<Self, MetaError> {
        let plain = open_value(key, TREE, hashed, sealed)?;
        let opened = decode(TREE, &plain).map(|(_, commits)| commits);
        opened.map_err(|_| MetaError::ValuesNotStated)
    }

    pub(super) fn seal(&self, key: &StateKey, hashed: &[u8]) -> Result<Vec<u8>, MetaError> {
        let plain = encode(TREE, TREE, self)?;
        seal_value(key, TREE, hashed, &plain)
    }
}
