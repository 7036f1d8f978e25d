//! A key in transit between a node and the process that answers a query.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::raw::RawKey;

/// The key of one answer, in a message to the process that computes the answer. Its bytes are wiped when it is dropped.
///
/// Only keys that are derived for one grant can be put in this form. A contract test lists the files that do.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyInTransit(Vec<u8>);

impl KeyInTransit {
    pub(super) fn of(key: &RawKey) -> Self {
        Self(key.bytes().to_vec())
    }

    pub(super) fn key(&self) -> Option<RawKey> {
        RawKey::from_opened(&self.0)
    }
}

impl Drop for KeyInTransit {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for KeyInTransit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyInTransit(..)")
    }
}
