//! Keys of cells.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::labels;

/// By how much thresholds of cells differ: 0, 1 or 2.
const THRESHOLDS: u64 = 3;

/// The sum of the record keys of a set's units, modulo 2^64. The order in which they are added does not matter.
///
/// Noise of two figures over one sum is equal, so their difference has none. Two rules for record keys follow:
///
/// - A unit is a subject as of one version of the data: its record key changes when the subject's rows do. Otherwise two sums over an
///   unchanged set would differ by exactly what changed.
/// - Where units are rows, each row has a record key of its own. With the one of its subject, two selections of rows of the same subjects
///   would have equal noise, and their difference, for a set and the same set without one subject, would show that subject's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeySum(u64);

impl KeySum {
    /// Adds the record key of one more unit.
    pub const fn add(&mut self, record_key: u64) {
        self.0 = self.0.wrapping_add(record_key);
    }

    /// The sum over the units of both sets, which have none in common.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl FromIterator<u64> for KeySum {
    fn from_iter<I: IntoIterator<Item = u64>>(record_keys: I) -> Self {
        let mut sum = Self::default();
        record_keys.into_iter().for_each(|key| sum.add(key));
        sum
    }
}

/// The secret that all noise of a collection comes from: 32 random bytes. With it, noise can be subtracted.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct CellSecret([u8; 32]);

impl CellSecret {
    /// The secret with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key of the set whose record keys have this sum.
    ///
    /// The sum itself is not used as a key: it is linear, so the sum of the whole is known up to the sums of its parts, and bits of it
    /// would give the noise of a total by the noise of its parts. A keyed hash of the sum is unrelated for each two different sums.
    pub fn cell_key(&self, sum: KeySum) -> CellKey {
        CellKey(hash(&self.0, labels::CELL_KEY, &[&sum.0.to_le_bytes()]))
    }

    /// A secret for another use, from which this one does not follow.
    pub(crate) fn derive(&self, label: &[u8], part: &[u8]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hash(&self.0, label, &[part]))
    }
}

impl fmt::Debug for CellSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CellSecret(..)")
    }
}

/// What decides on a set's threshold and noise. It is secret.
///
/// Each decision has a key of its own, a hash of this one under a label. With bits of one key, what is released or withheld would narrow
/// down the deviation, and the noise of one measure the noise of another.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct CellKey([u8; 32]);

impl CellKey {
    /// The fewest units with which the cell is released if the rule is `least`: 0, 1 or 2 more, unrelated for any two sets. So a set that
    /// is released does not show that it has one unit more than another that is not.
    pub fn threshold(&self, least: u64) -> u64 {
        let [number, _] = self.numbers(labels::THRESHOLD, &[]);
        least.saturating_add(number % THRESHOLDS)
    }

    /// The position of a cell with this description among those that have as many units, by which it is decided which of them is covered.
    pub(crate) fn order(&self, cell: &[u8]) -> [u64; 2] {
        self.numbers(labels::ORDER, &[cell])
    }

    /// The draw of a count's deviation, for noise that is drawn by `noise` besides the key.
    pub(super) fn count_draw(&self, noise: Option<&[u8]>) -> u32 {
        let [number, _] = self.numbers(labels::COUNT, noise.as_slice());
        high_half(number)
    }

    /// Whether a count halfway between two multiples is rounded up.
    pub(super) fn rounds_up(&self) -> bool {
        let [number, _] = self.numbers(labels::ROUNDING, &[]);
        number & 1 == 1
    }

    /// The draw of the noise of a mean or of a number of rows: an outcome of the table, and a number of 52 bits for what lies between two.
    pub(super) fn noise_draw(&self, label: &[u8], parts: &[&[u8]]) -> (u32, u64) {
        let [outcome, between] = self.numbers(label, parts);
        (high_half(outcome), between >> 12)
    }

    fn numbers(&self, label: &[u8], parts: &[&[u8]]) -> [u64; 2] {
        let hashed = hash(&self.0, label, parts);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let (first, rest) = hashed.split_at(8);
        let (second, _) = rest.split_at(8);
        [number(first), number(second)]
    }
}

impl fmt::Debug for CellKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CellKey(..)")
    }
}

const fn high_half(number: u64) -> u32 {
    (number >> 32) as u32
}

/// Each part with its length before it, so that no two lists of parts are the same bytes.
fn hash(key: &[u8; 32], label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in std::iter::once(&label).chain(parts) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_key_has_another_number_for_each_decision() {
        let key = CellSecret::new([1; 32]).cell_key(KeySum::default());
        let labels = [
            labels::THRESHOLD,
            labels::COUNT,
            labels::ROUNDING,
            labels::MEAN,
            labels::ROWS,
            labels::ORDER,
        ];
        let mut numbers: Vec<[u64; 2]> = labels.iter().map(|label| key.numbers(label, &[])).collect();
        numbers.extend([
            key.numbers(labels::MEAN, &[b"ab", b"c"]),
            key.numbers(labels::MEAN, &[b"a", b"bc"]),
        ]);
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 8);
        let threshold = (0..3).find(|more| key.threshold(10) == 10 + more);
        assert_eq!(threshold, Some(key.numbers(labels::THRESHOLD, &[])[0] % 3));
    }

    #[test]
    fn cell_secret_and_key_are_not_shown() {
        let secret = CellSecret::new([1; 32]);
        let key = secret.cell_key(KeySum::default());
        assert_eq!(format!("{secret:?} {key:?}"), "CellSecret(..) CellKey(..)");
        assert_eq!(key.threshold(u64::MAX), u64::MAX);
    }
}
