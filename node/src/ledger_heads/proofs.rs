//! Consistency proofs without reading the whole ledger for each.
//!
//! A hello from any member asks for one, so what it costs is bounded: the root of every [`BLOCK`] entries is kept in memory
//! (32 bytes each), each entry is read once for it, and a proof reads the entries of two blocks.

use std::collections::BTreeMap;

use concordat_protocol::audit::merkle::{self, CompactTree, LeafSource, OutOfRange};
use concordat_protocol::audit::{LedgerHead, TreeHead};
use concordat_protocol::ids::Digest32;
use concordat_storage::ledger::{Ledger, LedgerError};

/// Entries under one root that is kept; a power of two, so that they are a perfect subtree.
const BLOCK: u64 = 256;
/// Blocks that are read at a time.
const READ: u64 = 16;

/// Roots of the ledger's whole blocks, as far as they were needed.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<Digest32>);

impl Blocks {
    /// What shows that the first `present.size` entries begin with those under `signed`: `None` if they do not.
    ///
    /// # Errors
    /// If the ledger cannot be read, or what is read does not lead to `present`: then it is damaged, and says nothing about `signed`.
    pub(super) fn path(
        &mut self,
        ledger: &Ledger,
        signed: &LedgerHead,
        present: TreeHead,
    ) -> Result<Option<Vec<Digest32>>, LedgerError> {
        let (first, second) = (signed.tree.size, present.size);
        if first > second {
            return Ok(None);
        }
        self.fill(ledger, second)?;
        let leaves = self.leaves(ledger, first, second)?;
        if merkle::root(&leaves, second).map_err(LedgerError::OutOfRange)? != present.root {
            let reason = "its entries do not lead to its head".to_owned();
            return Err(LedgerError::Unverified { reason });
        }
        if merkle::root(&leaves, first).map_err(LedgerError::OutOfRange)? != signed.tree.root {
            return Ok(None);
        }
        if first == 0 || first == second {
            return Ok(Some(Vec::new()));
        }
        let path = merkle::consistency_path(&leaves, first, second);
        path.map(Some).map_err(LedgerError::OutOfRange)
    }

    fn count(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }

    fn fill(&mut self, ledger: &Ledger, size: u64) -> Result<(), LedgerError> {
        while self.fill_some(ledger, size)? {}
        Ok(())
    }

    /// Reads the next blocks of the first `size` entries; whether there were any.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub(super) fn fill_some(&mut self, ledger: &Ledger, size: u64) -> Result<bool, LedgerError> {
        let whole = size / BLOCK;
        let start = self.count();
        if start >= whole {
            return Ok(false);
        }
        let end = whole.min(start.saturating_add(READ));
        let entries = ledger.range_for_start(start * BLOCK, end * BLOCK)?;
        let expected = usize::try_from((end - start) * BLOCK).unwrap_or(usize::MAX);
        if entries.len() != expected {
            return Err(missing(size, start * BLOCK));
        }
        let mut tree = CompactTree::new();
        for entry in entries {
            tree.push(entry.leaf);
            if tree.size() == BLOCK {
                self.0.push(tree.root());
                tree = CompactTree::new();
            }
        }
        Ok(true)
    }

    /// The blocks, and the single entries of those two that the sizes divide.
    fn leaves(&self, ledger: &Ledger, first: u64, second: u64) -> Result<Leaves<'_>, LedgerError> {
        let mut single = BTreeMap::new();
        for start in [first, second].map(|size| size - size % BLOCK) {
            for entry in ledger.range_for_start(start, start.saturating_add(BLOCK).min(second))? {
                single.insert(entry.entry.sequence, entry.leaf);
            }
        }
        Ok(Leaves {
            blocks: &self.0,
            single,
            size: second,
        })
    }
}

fn missing(size: u64, asked: u64) -> LedgerError {
    LedgerError::OutOfRange(OutOfRange { size, asked })
}

struct Leaves<'a> {
    blocks: &'a [Digest32],
    single: BTreeMap<u64, Digest32>,
    size: u64,
}

impl LeafSource for Leaves<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn leaf(&self, index: u64) -> Option<Digest32> {
        self.single.get(&index).copied()
    }

    fn subtree(&self, start: u64, end: u64) -> Option<Digest32> {
        let whole = end.checked_sub(start) == Some(BLOCK) && start.is_multiple_of(BLOCK);
        let block = whole.then_some(start / BLOCK)?;
        self.blocks.get(usize::try_from(block).ok()?).copied()
    }
}

#[cfg(test)]
mod tests;
