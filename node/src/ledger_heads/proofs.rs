//! Consistency proofs without reading the whole ledger for each.
//!
//! A hello from any member requests proofs, so their cost is bounded: the root of every [`BLOCK`] entries is cached in memory
//! (32 bytes each), each entry is read once for it, and a proof needs the entries of two blocks. The entries of the newest blocks that
//! were needed are cached: most proofs are about recent heads, and a peer may request many of them at once.

use std::collections::BTreeMap;

use concordat_protocol::audit::merkle::{self, CompactTree, LeafSource, OutOfRange};
use concordat_protocol::audit::{LedgerHead, TreeHead};
use concordat_protocol::ids::Digest32;
use concordat_storage::ledger::{Ledger, LedgerError};

/// Number of entries per cached root; a power of two, so that they are a perfect subtree.
const BLOCK: u64 = 256;
/// Number of blocks that are read at a time.
const READ: u64 = 16;

/// Number of blocks whose individual entries are cached: 8 KiB each.
const CACHED_BLOCKS: usize = 64;

/// Roots of the ledger's complete blocks, as far as they were needed, and the entries of the newest blocks that were needed individually.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    roots: Vec<Digest32>,
    /// By the number of the first entry; a ledger only grows, so cached entries stay valid.
    leaves: BTreeMap<u64, Vec<Digest32>>,
}

impl Blocks {
    /// The proof that the first `present.size` entries extend those of `signed`; `None` if they do not.
    ///
    /// # Errors
    /// If the ledger cannot be read, or its entries do not match `present`: then it is damaged, and is not evidence about `signed`.
    pub(super) fn path(
        &mut self,
        ledger: &Ledger,
        signed: &LedgerHead,
        present: TreeHead,
    ) -> Result<Option<Vec<Digest32>>, LedgerError> {
        let first = signed.tree.size;
        let second = present.size;
        if first > second {
            return Ok(None);
        }
        self.fill(ledger, second)?;
        let leaves = self.leaves(ledger, first, second)?;
        if merkle::root(&leaves, second).map_err(LedgerError::OutOfRange)? != present.root {
            let reason = "its entries do not match its head".to_owned();
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
        u64::try_from(self.roots.len()).unwrap_or(u64::MAX)
    }

    fn fill(&mut self, ledger: &Ledger, size: u64) -> Result<(), LedgerError> {
        while self.fill_some(ledger, size)? {}
        Ok(())
    }

    /// Reads the next blocks of the first `size` entries; returns whether there were any.
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
                self.roots.push(tree.root());
                tree = CompactTree::new();
            }
        }
        Ok(true)
    }

    /// The blocks, and the individual entries of the two blocks that contain the sizes.
    fn leaves(&mut self, ledger: &Ledger, first: u64, second: u64) -> Result<Leaves<'_>, LedgerError> {
        let starts = [first, second].map(|size| size - size % BLOCK);
        for start in starts {
            let known = self.leaves.entry(start).or_default();
            let next = start.saturating_add(u64::try_from(known.len()).unwrap_or(u64::MAX));
            let end = start.saturating_add(BLOCK).min(second);
            if next < end {
                known.extend(ledger.range_for_start(next, end)?.into_iter().map(|entry| entry.leaf));
            }
        }
        while self.leaves.len() > CACHED_BLOCKS {
            let oldest = self.leaves.keys().find(|start| !starts.contains(start)).copied();
            let Some(oldest) = oldest else { break };
            self.leaves.remove(&oldest);
        }
        Ok(Leaves {
            blocks: &self.roots,
            single: &self.leaves,
            size: second,
        })
    }
}

fn missing(size: u64, requested: u64) -> LedgerError {
    LedgerError::OutOfRange(OutOfRange { size, requested })
}

struct Leaves<'a> {
    blocks: &'a [Digest32],
    single: &'a BTreeMap<u64, Vec<Digest32>>,
    size: u64,
}

impl LeafSource for Leaves<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn leaf(&self, index: u64) -> Option<Digest32> {
        let start = index - index % BLOCK;
        let within = usize::try_from(index % BLOCK).ok()?;
        self.single.get(&start)?.get(within).copied()
    }

    fn subtree(&self, start: u64, end: u64) -> Option<Digest32> {
        let whole = end.checked_sub(start) == Some(BLOCK) && start.is_multiple_of(BLOCK);
        let block = whole.then_some(start / BLOCK)?;
        self.blocks.get(usize::try_from(block).ok()?).copied()
    }
}

#[cfg(test)]
mod tests;
