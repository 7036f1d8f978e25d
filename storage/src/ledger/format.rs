//! The first bytes of the log, and the encoding of the head.

use concordat_keys::{LedgerKey, Wrapped};
use concordat_protocol::ids::Digest32;
use serde::{Deserialize, Serialize};

use super::LedgerError;

/// First bytes of the log: its type, and version 1 of its format.
pub(super) const MAGIC: [u8; 8] = *b"CCLEDGR\x01";
/// Length of [`MAGIC`].
pub(super) const MAGIC_LEN: u64 = 8;

/// How far the ledger was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// Number of entries.
    pub(super) size: u64,
    /// Merkle root over them.
    pub(super) root: Digest32,
    /// Length of the log up to their end, in bytes.
    pub(super) length: u64,
}

impl Head {
    const POSITION: &'static str = "head";

    /// The head, sealed.
    pub(super) fn seal(&self, key: &LedgerKey) -> Result<Vec<u8>, LedgerError> {
        let mut plain = Vec::new();
        ciborium::into_writer(self, &mut plain)
            .map_err(|_| LedgerError::damaged(self.size, "the head cannot be encoded"))?;
        let sealed = key.seal(Self::POSITION, &plain).map_err(LedgerError::Key)?;
        Ok(sealed.as_bytes().to_vec())
    }

    /// Reads what [`Head::seal`] made.
    pub(super) fn open(key: &LedgerKey, sealed: Vec<u8>) -> Result<Self, LedgerError> {
        let damaged = || LedgerError::damaged(0, "the head does not open: it was changed, or sealed under another key");
        let plain = key
            .open(Self::POSITION, &Wrapped::from_bytes(sealed))
            .map_err(|_| damaged())?;
        ciborium::from_reader(plain.expose()).map_err(|_| damaged())
    }
}
