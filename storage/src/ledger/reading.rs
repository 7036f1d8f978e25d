//! Entries of the ledger, and its state, as readers see them.

use concordat_protocol::audit::LedgerEntry;
use concordat_protocol::ids::Digest32;

use super::handle::Ledger;
use super::{LedgerError, files, log_reader};

/// An entry as it is stored, with its leaf hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry.
    pub entry: LedgerEntry,
    /// Its leaf hash.
    pub leaf: Digest32,
}

/// The ledger at one instant.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// Number of entries.
    pub size: u64,
    /// Length of the log in bytes.
    pub length: u64,
    /// The sealed head.
    pub head: Vec<u8>,
    /// The signed checkpoint, if there is one.
    pub checkpoint: Option<Vec<u8>>,
}

impl Ledger {
    /// The last `count` entries, oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if one of them is invalid.
    pub fn tail(&self, count: u64) -> Result<Vec<StoredEntry>, LedgerError> {
        let size = self.size();
        self.range(size.saturating_sub(count), size)
    }

    /// Entry number `sequence`.
    ///
    /// # Errors
    /// [`LedgerError::NoSuchEntry`] past the end, [`LedgerError::Damaged`] if it is invalid.
    pub fn entry(&self, sequence: u64) -> Result<StoredEntry, LedgerError> {
        let missing = || LedgerError::NoSuchEntry {
            sequence,
            size: self.size(),
        };
        let end = sequence
            .checked_add(1)
            .filter(|end| *end <= self.size())
            .ok_or_else(missing)?;
        self.range(sequence, end)?.pop().ok_or_else(missing)
    }

    /// Entries from number `start` up to, not including, `end`.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if one of them is invalid, [`LedgerError::Verifying`] while they are not verified yet.
    pub fn range(&self, start: u64, end: u64) -> Result<Vec<StoredEntry>, LedgerError> {
        let end = end.min(self.size());
        self.0.verification.borrow().covers(start, end)?;
        self.range_for_start(start, end)
    }

    /// The same before the whole ledger is verified: for recovery at a start. Each entry opens only at its position, and is
    /// linked to the one before; none of them may be shown or exported.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if one of them is invalid.
    pub fn range_for_start(&self, start: u64, end: u64) -> Result<Vec<StoredEntry>, LedgerError> {
        let from = self.shared().before(start);
        let mut entries = Vec::new();
        log_reader::read(&self.0.dir, &self.0.key, &from, end.min(self.size()), |record| {
            if record.entry.sequence >= start {
                entries.push(StoredEntry {
                    entry: record.entry,
                    leaf: record.leaf,
                });
            }
        })?;
        Ok(entries)
    }

    /// The files of the ledger at this instant, for a backup, which is signed: the state covers them from now on. The log only
    /// grows, so its first bytes may be copied afterwards.
    ///
    /// # Errors
    /// [`LedgerError::Io`] if the checkpoint cannot be read, [`LedgerError::Anchor`] if the state cannot be written.
    pub fn frozen(&self) -> Result<Frozen, LedgerError> {
        let checkpoint = files::latest_checkpoint(&self.0.dir)?;
        let head = self.tip().head();
        self.anchor_head()?;
        Ok(Frozen {
            size: head.size,
            length: head.length,
            head: head.seal(&self.0.key)?,
            checkpoint: checkpoint.map(|signed| signed.as_bytes().to_vec()),
        })
    }
}
