//! Finds the index of a value by its hash: open addressing over indices of values that are stored elsewhere.

/// A slot without an index.
const EMPTY: u32 = u32::MAX;

/// A table of indices, at most three quarters full, with linear probing. The hashes are keyed, so no input makes probing long.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// A power of two of them, or none.
    slots: Vec<u32>,
    used: usize,
}

impl Slots {
    /// The index with this hash that `is_same` accepts.
    pub(super) fn find(&self, hash: u64, is_same: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.start(hash);
        loop {
            let index = *self.slots.get(at)?;
            if index == EMPTY {
                return None;
            }
            if is_same(index) {
                return Some(index);
            }
            at = self.next(at);
        }
    }

    /// Adds an index that is not in the table. `hash_of` has the hash of each index in it.
    pub(super) fn insert(&mut self, index: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            let larger = (self.slots.len() * 2).max(16);
            let before = std::mem::replace(&mut self.slots, vec![EMPTY; larger]);
            for known in before.into_iter().filter(|known| *known != EMPTY) {
                self.fill(known, hash_of(known));
            }
        }
        self.fill(index, hash_of(index));
        self.used += 1;
    }

    fn fill(&mut self, index: u32, hash: u64) {
        let mut at = self.start(hash);
        while self.slots.get(at).is_some_and(|slot| *slot != EMPTY) {
            at = self.next(at);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = index;
        }
    }

    fn start(&self, hash: u64) -> usize {
        usize::try_from(hash).unwrap_or_default() & self.mask()
    }

    fn next(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }

    fn mask(&self) -> usize {
        self.slots.len().saturating_sub(1)
    }
}
