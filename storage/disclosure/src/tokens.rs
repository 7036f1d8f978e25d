//! Keyed random numbers for each unit, whose sums represent sets.
//!
//! Two uses with keys of their own: [`Tokens`] for fingerprints, by which a [`Space`](crate::Space) recognizes that a set follows from
//! others, and [`RecordKeys`] for the noise, which depends on the set and on nothing else.

use zeroize::Zeroizing;

use concordat_protocol::schema::VersionNumber;

use crate::epochs::{Epoch, Parts};
use crate::field::{PRIME_BITS, PRIMES};
use crate::perturbation::KeySum;
use crate::{Entropy, Epochs, EpochsError, UnitSet};

/// How many independent sums there are of a set.
pub(crate) const LANES: usize = 3;

/// Units whose numbers are computed at a time.
const CHUNK: u32 = 1024;

/// 32 bits a lane.
const TOKEN_BYTES: usize = 4 * LANES;

/// The sums of a set's tokens, by lane.
///
/// A token is below 2^32 and a set has at most 2^32 units, so that they are exact.
pub(crate) type Fingerprint = [u64; LANES];

/// The random tokens of all units, as the output of keyed BLAKE3.
pub(crate) struct Tokens(blake3::Hasher);

impl Tokens {
    /// With a new key.
    pub(crate) fn draw(entropy: &mut dyn Entropy) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key);
        Self(blake3::Hasher::new_keyed(&key))
    }

    /// The fingerprints of several sets, with one pass over the units.
    pub(crate) fn fingerprints(&self, sets: &[&Parts]) -> Vec<Fingerprint> {
        let mut sums = vec![[0_u64; LANES]; sets.len()];
        let mut epochs: Vec<Epoch> = sets.iter().flat_map(|set| set.iter().map(|(epoch, _)| epoch)).collect();
        epochs.sort_unstable();
        epochs.dedup();
        for epoch in epochs {
            self.add_epoch(epoch, sets, &mut sums);
        }
        sums
    }

    fn add_epoch(&self, epoch: Epoch, sets: &[&Parts], sums: &mut [Fingerprint]) {
        let mut hasher = self.0.clone();
        hasher.update(&epoch.version().get().to_le_bytes());
        let mut stream = Chunks::new(hasher.finalize_xof(), TOKEN_BYTES);
        let parts: Vec<Option<&UnitSet>> = sets.iter().map(|set| set.at(epoch)).collect();
        let largest = parts.iter().flatten().filter_map(|part| part.largest()).max();
        for first in (0..=largest.unwrap_or(0)).step_by(CHUNK as usize) {
            for (part, sum) in parts.iter().zip(sums.iter_mut()) {
                for unit in part.iter().flat_map(|part| part.between(first, first + (CHUNK - 1))) {
                    add_token(sum, stream.number(first, unit));
                }
            }
        }
    }
}

fn add_token(sum: &mut Fingerprint, token: &[u8]) {
    let (lanes, _) = token.as_chunks::<4>();
    for (sum, lane) in sum.iter_mut().zip(lanes) {
        *sum += u64::from(u32::from_le_bytes(*lane));
    }
}

/// The probability, at most, that a set of a space with `rank` independent sets is taken for one that follows from them.
///
/// Let `U` not be a rational combination of the `r` sets. Then some minor `D` of order `r + 1` of the sets and `U` is a nonzero integer,
/// and by Hadamard's bound for 0/1 matrices `|D| <= (r+2)^((r+2)/2) / 2^(r+1)`. In one lane, with its prime `p` and tokens of its own:
///
/// - `U` is a combination modulo `p` only if `p` divides `D`: fewer than `log2 |D| / 30` primes above 2^30 do, of 50,697,537.
/// - If it is not, its residual is nonzero at some unit, and of the 2^32 values of this unit's token at most 4 make the sums equal.
///
/// The lanes are independent, and neither primes nor tokens are known to who chooses `U`.
pub(crate) fn false_derivation_bound(rank: usize) -> f64 {
    let rank = f64::from(u32::try_from(rank).unwrap_or(u32::MAX));
    let minor_bits = (rank + 2.0) / 2.0 * (rank + 2.0).log2() - (rank + 1.0);
    let lane = minor_bits.max(0.0) / PRIME_BITS / PRIMES + 2.0_f64.powf(-PRIME_BITS);
    (0..LANES).map(|_| lane).product()
}

/// The keys of records, from which the key of a cell is made (Fraser and Wooton 2005).
///
/// Subjects and rows need secrets of their own: a set of subjects and a set of rows may have the same numbers.
pub struct RecordKeys(blake3::Hasher);

impl RecordKeys {
    /// Those of a secret.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(blake3::Hasher::new_keyed(secret))
    }

    /// The sum of the record keys of these units, subjects or rows, as of a version: a unit that has changed since an earlier version has
    /// another key than it had there, see [`KeySum`].
    ///
    /// # Errors
    /// [`EpochsError`] if the version is not one of `epochs`.
    pub fn sum(&self, units: &UnitSet, version: VersionNumber, epochs: &Epochs) -> Result<KeySum, EpochsError> {
        let sums = self.sums(&[units], version, epochs)?;
        Ok(sums.into_iter().next().unwrap_or_default())
    }

    /// The sums of several sets, with one pass over the units.
    pub(crate) fn sums(
        &self,
        sets: &[&UnitSet],
        version: VersionNumber,
        epochs: &Epochs,
    ) -> Result<Vec<KeySum>, EpochsError> {
        let sets = sets.iter().map(|units| epochs.split(units, version));
        let sets = sets.collect::<Result<Vec<Parts>, EpochsError>>()?;
        let mut found: Vec<Epoch> = sets.iter().flat_map(|set| set.iter().map(|(epoch, _)| epoch)).collect();
        found.sort_unstable();
        found.dedup();
        let mut sums = vec![KeySum::default(); sets.len()];
        for epoch in found {
            let mut hasher = self.0.clone();
            hasher.update(&epoch.version().get().to_le_bytes());
            let mut stream = Chunks::new(hasher.finalize_xof(), 8);
            let parts: Vec<Option<&UnitSet>> = sets.iter().map(|set| set.at(epoch)).collect();
            let largest = parts.iter().flatten().filter_map(|part| part.largest()).max();
            for first in (0..=largest.unwrap_or(0)).step_by(CHUNK as usize) {
                for (part, sum) in parts.iter().zip(sums.iter_mut()) {
                    let units = part.iter().flat_map(|part| part.between(first, first + (CHUNK - 1)));
                    units.for_each(|unit| sum.add(stream.key(unit)));
                }
            }
        }
        Ok(sums)
    }
}

impl std::fmt::Debug for RecordKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordKeys(..)")
    }
}

/// A stream of fixed numbers of bytes a unit, of which one chunk is in memory.
struct Chunks {
    stream: blake3::OutputReader,
    bytes_per_unit: usize,
    /// The first unit of the chunk in memory.
    first: Option<u32>,
    bytes: Vec<u8>,
}

impl Chunks {
    fn new(stream: blake3::OutputReader, bytes_per_unit: usize) -> Self {
        Self {
            stream,
            bytes_per_unit,
            first: None,
            bytes: vec![0; CHUNK as usize * bytes_per_unit],
        }
    }

    /// The bytes of `unit`, which is one of the `CHUNK` units from `first` on.
    fn number(&mut self, first: u32, unit: u32) -> &[u8] {
        if self.first != Some(first) {
            self.stream.set_position(u64::from(first) * self.bytes_per_unit as u64);
            self.stream.fill(&mut self.bytes);
            self.first = Some(first);
        }
        let from = (unit - first) as usize * self.bytes_per_unit;
        self.bytes.get(from..from + self.bytes_per_unit).unwrap_or_default()
    }

    fn key(&mut self, unit: u32) -> u64 {
        let number = self.number(unit - unit % CHUNK, unit);
        number.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordKeys, Tokens, false_derivation_bound};
    use crate::perturbation::KeySum;
    use crate::random::seeded::Seeded;
    use crate::{Epochs, UnitSet};
    use concordat_protocol::schema::VersionNumber;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fingerprints_are_sums_over_units(units in prop::collection::btree_set(0_u32..5_000, 0..50), seed: u64) {
            let mut epochs = Epochs::new(VersionNumber::FIRST);
            epochs.add(VersionNumber::new(2), UnitSet::from_iter(1_000..3_000)).unwrap();
            let tokens = Tokens::draw(&mut Seeded::new(seed));
            let split = |set: &UnitSet| epochs.split(set, VersionNumber::new(2)).unwrap();
            let whole = split(&units.iter().copied().collect());
            let singles: Vec<_> = units.iter().map(|unit| split(&UnitSet::from_iter([*unit]))).collect();
            let singles = tokens.fingerprints(&singles.iter().collect::<Vec<_>>());
            let sum = singles.iter().fold([0; 3], |sum, one| [sum[0] + one[0], sum[1] + one[1], sum[2] + one[2]]);
            prop_assert_eq!(tokens.fingerprints(&[&whole]), [sum]);
        }

        #[test]
        fn key_sums_are_sums_over_units(units in prop::collection::btree_set(0_u32..5_000, 0..50)) {
            let keys = RecordKeys::new(&[7; 32]);
            let mut epochs = Epochs::new(VersionNumber::FIRST);
            epochs.add(VersionNumber::new(2), UnitSet::from_iter(1_000..3_000)).unwrap();
            let sum = |version, units: &UnitSet| keys.sum(units, VersionNumber::new(version), &epochs).unwrap();
            let whole: UnitSet = units.iter().copied().collect();
            for version in [1, 2] {
                let (changed, unchanged): (Vec<u32>, Vec<u32>) = units.iter().partition(|unit| (1_000..3_000).contains(*unit));
                let first = sum(1, &unchanged.into_iter().collect());
                let rest = changed.iter().map(|unit| sum(version, &UnitSet::from_iter([*unit])));
                prop_assert_eq!(sum(version, &whole), rest.fold(first, KeySum::plus));
            }
        }
    }

    /// A changed subject with an equal key would leave the sums of two versions equal, and so their noise.
    #[test]
    fn record_key_of_a_unit_changes_with_it() {
        let keys = RecordKeys::new(&[7; 32]);
        let mut epochs = Epochs::new(VersionNumber::FIRST);
        epochs.add(VersionNumber::new(2), UnitSet::from_iter([0])).unwrap();
        let sum = |version, unit| keys.sum(&UnitSet::from_iter([unit]), VersionNumber::new(version), &epochs);
        assert_ne!(sum(1, 0).unwrap(), sum(2, 0).unwrap());
        assert_eq!(sum(1, 1).unwrap(), sum(2, 1).unwrap());
        assert!(sum(3, 0).is_err());
    }

    #[test]
    fn tokens_of_another_epoch_or_key_differ() {
        let mut epochs = Epochs::new(VersionNumber::FIRST);
        epochs.add(VersionNumber::new(2), UnitSet::all(1)).unwrap();
        let one = UnitSet::all(1);
        let (before, after) = (
            epochs.split(&one, VersionNumber::FIRST),
            epochs.split(&one, VersionNumber::new(2)),
        );
        let (before, after) = (before.unwrap(), after.unwrap());
        let mut entropy = Seeded::new(1);
        let all: Vec<_> = (0..2)
            .flat_map(|_| Tokens::draw(&mut entropy).fingerprints(&[&before, &after]))
            .collect();
        for (at, a) in all.iter().enumerate() {
            assert!(
                all[at + 1..].iter().all(|b| a.iter().zip(b).all(|(a, b)| a != b)),
                "{all:?}"
            );
        }
    }

    /// The figures that the design states.
    #[test]
    fn false_derivations_are_improbable() {
        assert!(false_derivation_bound(1) < 1e-26);
        assert!(false_derivation_bound(512) < 2e-18);
    }
}
