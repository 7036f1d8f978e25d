//! One entry of the ledger and its bytes.

mod body;
mod cause;
mod describe;
mod values;

use serde::{Deserialize, Serialize};

pub use body::{EntryBody, MAX_LIST};
pub use cause::{Cause, NodeTask};
pub use values::{Direction, GrantChange, KeyChange, Outcome};

use super::merkle;
use crate::ids::Digest32;
use crate::signed;
use crate::time::Timestamp;

/// Largest entry in bytes: [`MAX_LIST`] reasons of maximum length, in four-byte characters, and some space for the rest.
pub const MAX_ENTRY: usize = 64 * 1024;

/// One entry: its position in the chain, when it was made, who or what caused it, and what happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    /// Its number, counting from 0.
    pub sequence: u64,
    /// Leaf hash of the entry before; [`Digest32::ZERO`] for the first.
    pub previous: Digest32,
    /// When it was made.
    pub at: Timestamp,
    /// Who or what caused it.
    pub cause: Cause,
    /// What happened.
    pub body: EntryBody,
}

impl LedgerEntry {
    /// The bytes of the entry, encoded once: these bytes are hashed, stored and shown.
    ///
    /// # Errors
    /// [`EntryError::TooLarge`] above [`MAX_ENTRY`], [`EntryError::LongList`] above [`MAX_LIST`].
    pub fn encode(&self) -> Result<Vec<u8>, EntryError> {
        self.check_lists()?;
        let bytes = signed::encode(self).map_err(|_| EntryError::Malformed)?;
        if bytes.len() > MAX_ENTRY {
            Err(EntryError::TooLarge)
        } else {
            Ok(bytes)
        }
    }

    /// Reads the bytes of exactly one entry; an unknown kind or field is an error.
    ///
    /// # Errors
    /// [`EntryError`] if they are not an entry or exceed a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > MAX_ENTRY {
            return Err(EntryError::TooLarge);
        }
        let entry: Self = signed::decode(bytes).map_err(|_| EntryError::Malformed)?;
        entry.check_lists()?;
        Ok(entry)
    }

    fn check_lists(&self) -> Result<(), EntryError> {
        if self.body.longest_list() > MAX_LIST {
            Err(EntryError::LongList)
        } else {
            Ok(())
        }
    }
}

/// Identifies an entry: SHA-256 of a zero byte and the bytes as written (RFC 6962, section 2.1).
pub fn leaf_hash(bytes: &[u8]) -> Digest32 {
    merkle::leaf_hash(bytes)
}

/// Why something cannot be an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// More than [`MAX_ENTRY`] bytes.
    #[error("the ledger entry is larger than {MAX_ENTRY} bytes")]
    TooLarge,
    /// A list of more than [`MAX_LIST`] members.
    #[error("a list in the ledger entry has more than {MAX_LIST} members")]
    LongList,
    /// Not the bytes of one entry of a known kind.
    #[error("the bytes are not a ledger entry of a known kind")]
    Malformed,
}

#[cfg(test)]
mod tests;
