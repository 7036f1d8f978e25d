//! The order in which rows are released: a keyed permutation, the same for every query under one grant and for one
//! version, and unrelated for every other grant or version.
//!
//! Each stored row has a *rank*, a keyed hash of where it is stored, and rows are released by rank. The contents of a
//! row do not affect it, so a query that shows fewer rows or columns shows the same order, and `LIMIT 10 OFFSET 10`
//! continues after `LIMIT 10`.

use std::{fmt, sync::Arc};

use concordat_keys::OrderKey;

/// Ranks that are computed at a time; consecutive rows share the work.
const RANKS: usize = 256;
/// Bytes of one rank.
const RANK_BYTES: usize = 8;

/// The keyed permutation. Its hashers are large, so they are shared on the heap to keep this value small on the stack.
#[derive(Clone)]
pub(super) struct Order(Arc<Hashers>);

struct Hashers {
    groups: blake3::Hasher,
    rows: blake3::Hasher,
    values: blake3::Hasher,
}

impl Order {
    pub(super) fn new(key: &OrderKey) -> Self {
        Self(Arc::new(Hashers {
            groups: key.rank_hasher(b"groups"),
            rows: key.rank_hasher(b"rows"),
            values: key.rank_hasher(b"values"),
        }))
    }

    /// The rank of a row group among all of them.
    pub(super) fn group(&self, object: usize, group: usize) -> u64 {
        let mut hasher = self.0.groups.clone();
        hasher
            .update(&(object as u64).to_le_bytes())
            .update(&(group as u64).to_le_bytes());
        let hash = hasher.finalize();
        hash.as_bytes()
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The rank of a group by its grouping columns.
    pub(super) fn value(&self, value: &[u8]) -> u64 {
        let hash = self.0.values.clone().update(value).finalize();
        hash.as_bytes()
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The ranks of an object's rows.
    pub(super) fn rows(&self, object: usize) -> Ranks {
        let mut hasher = self.0.rows.clone();
        hasher.update(&(object as u64).to_le_bytes());
        Ranks {
            output: hasher.finalize_xof(),
            known: None,
            bytes: Box::new([0; RANKS * RANK_BYTES]),
        }
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Order(..)")
    }
}

/// Ranks of the rows of one object, read from one keyed stream of bytes: cheap for consecutive rows.
pub(super) struct Ranks {
    output: blake3::OutputReader,
    known: Option<u64>,
    bytes: Box<[u8; RANKS * RANK_BYTES]>,
}

impl Ranks {
    /// The rank of the row of this number in its object.
    pub(super) fn of(&mut self, row: u64) -> u64 {
        let block = row / RANKS as u64;
        let within = row % RANKS as u64;
        if self.known != Some(block) {
            self.output.set_position(block.saturating_mul(self.bytes.len() as u64));
            self.output.fill(self.bytes.as_mut_slice());
            self.known = Some(block);
        }
        let (ranks, _) = self.bytes.as_chunks::<RANK_BYTES>();
        let rank = usize::try_from(within).ok().and_then(|within| ranks.get(within));
        rank.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use concordat_keys::PseudonymSecret;

    #[test]
    fn ranks_depend_only_on_key_object_and_row() {
        let secret = PseudonymSecret::random().unwrap();
        let order = |grant: u8, version: u8| Order::new(&secret.order_key(Some(&[grant; 16]), &[version; 32]));
        let ranks = |order: &Order, object: usize| -> Vec<u64> {
            let mut ranks = order.rows(object);
            (0..1000).map(|row| ranks.of(row)).collect()
        };
        let one = ranks(&order(1, 1), 0);
        let mut backwards = order(1, 1).rows(0);
        for row in (0..1000).rev() {
            assert_eq!(backwards.of(row), one[usize::try_from(row).unwrap()]);
        }
        for other in [ranks(&order(2, 1), 0), ranks(&order(1, 2), 0), ranks(&order(1, 1), 1)] {
            assert!(one.iter().zip(&other).all(|(a, b)| a != b));
        }
        let all: std::collections::BTreeSet<u64> = one.iter().copied().collect();
        assert_eq!(all.len(), one.len());
    }
}
