//! The order in which rows are released: a keyed permutation, the same for every query under one grant and for one
//! version, and unrelated for every other grant or version.
//!
//! Each stored row has a *rank*, a keyed hash of where it is stored, and rows are released by rank. The contents of a
//! row do not affect it, so a query that shows fewer rows or columns shows the same order, and `LIMIT 10 OFFSET 10`
//! continues after `LIMIT 10`.

use std::{fmt, sync::Arc};

use concordat_keys::OrderKey;
use concordat_protocol::ids::DatasetName;

/// Ranks that are computed at a time; consecutive rows share the work.
const RANKS: usize = 256;
/// Bytes of one rank.
const RANK_BYTES: usize = 8;
/// Rows whose ranks begin alike, on average: one or two times as many. So few are sorted by insertion, or nearly so.
const PART_ROWS: u32 = 16;

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

    /// The permutation of one dataset of a collection. Those of two datasets are unrelated: rows that are stored at the same position of both
    /// would otherwise have the same rank, and the order of a join would show it.
    pub(super) fn of_dataset(key: &OrderKey, dataset: &DatasetName) -> Self {
        let hasher = |kind: &[u8]| {
            let mut hasher = key.rank_hasher(kind);
            hasher.update(dataset.as_str().as_bytes()).update(&[0]);
            hasher
        };
        Self(Arc::new(Hashers {
            groups: hasher(b"groups"),
            rows: hasher(b"rows"),
            values: hasher(b"values"),
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

/// The positions of rows, ordered by their ranks, and rows of one rank by their positions; `None` if there are 2^32 rows or more.
///
/// Ranks are as good as random. So their first bits divide the rows into parts of about equal size, each of which is put in its place and then
/// sorted on its own. That is faster than sorting all rows.
pub(super) fn by_rank(ranks: Vec<u64>) -> Option<Vec<u32>> {
    let rows = u32::try_from(ranks.len()).ok()?;
    let bits = (rows / PART_ROWS).checked_ilog2().unwrap_or(0);
    let shift = u64::BITS.saturating_sub(bits);
    let part_of = |rank: u64| usize::try_from(rank.checked_shr(shift).unwrap_or(0)).ok();
    // Of each part first its rows, then where its next row is put, and so at last where it ends.
    let mut ends = vec![0_usize; 1 << bits];
    for rank in &ranks {
        let size = ends.get_mut(part_of(*rank)?)?;
        *size = size.saturating_add(1);
    }
    let mut start = 0_usize;
    for end in &mut ends {
        start = start.saturating_add(std::mem::replace(end, start));
    }
    let mut ordered = vec![0_u128; ranks.len()];
    for (rank, position) in ranks.into_iter().zip(0_u32..) {
        let next = ends.get_mut(part_of(rank)?)?;
        // A rank and its position are one number, which is compared faster than two.
        *ordered.get_mut(*next)? = (u128::from(rank) << u32::BITS) | u128::from(position);
        *next = next.saturating_add(1);
    }
    let mut start = 0_usize;
    for end in ends {
        let part = ordered.get_mut(start..end)?;
        part.sort_unstable();
        start = end;
    }
    Some(ordered.into_iter().map(position).collect())
}

/// The position of a row that was put in one number with its rank.
#[expect(clippy::cast_possible_truncation, reason = "the position is in the last 32 bits")]
const fn position(row: u128) -> u32 {
    row as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use concordat_keys::PseudonymSecret;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_are_in_the_order_of_ranks(
            ranks in prop_oneof![
                prop::collection::vec(any::<u64>(), 0..3000),
                prop::collection::vec(0..4_u64, 0..300),
                prop::collection::vec(u64::MAX - 3..=u64::MAX, 0..300),
            ],
        ) {
            let mut expected: Vec<usize> = (0..ranks.len()).collect();
            expected.sort_by_key(|position| ranks[*position]);
            let found = by_rank(ranks).unwrap();
            let found: Vec<usize> = found.into_iter().map(|position| usize::try_from(position).unwrap()).collect();
            prop_assert_eq!(found, expected);
        }
    }

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

    #[test]
    fn order_of_each_dataset_is_another_one() {
        let secret = PseudonymSecret::random().unwrap();
        let key = || secret.order_key(Some(&[1; 16]), &[1; 32]);
        let of = |name: &str| Order::of_dataset(&key(), &name.parse().unwrap());
        let ranks = |order: &Order| -> Vec<u64> {
            let mut ranks = order.rows(0);
            (0..1000).map(|row| ranks.of(row)).collect()
        };
        let person = ranks(&of("person"));
        let visit = ranks(&of("visit"));
        assert_eq!(person, ranks(&of("person")));
        assert!(person.iter().zip(&visit).all(|(a, b)| a != b));
        assert!(person.iter().zip(&ranks(&Order::new(&key()))).all(|(a, b)| a != b));
        assert_ne!(of("person").group(0, 0), of("visit").group(0, 0));
    }
}
