//! Quantiles from the numbers of units in bands of values.
//!
//! Which band a quantile is in is known only from numbers, and each number that is shown must be that of enough units. So the bands are joined
//! to parts: those that a quantile is in, what is below, between and above them; each part has enough units, or all bands are one part. Within
//! a band the values count as evenly distributed.
//!
//! Where figures have noise, the bands are joined by numbers with noise ([`BandNoise`]): which band a quantile is in would otherwise show exact
//! numbers, to someone who asks for many quantiles.

use concordat_disclosure::UnitSet;
use concordat_protocol::collection::Range;
use zeroize::Zeroizing;

/// Noise for the numbers by which bands are joined. It is a function of the units of a band, so that a quantile that is asked for again, or another
/// one, shows nothing more of it.
pub(super) struct BandNoise {
    key: Zeroizing<[u8; 32]>,
    /// The standard deviation.
    deviation: f64,
}

impl BandNoise {
    /// Noise as large as that of a count, from the secret of the collection.
    pub(super) fn new(secret: &[u8; 32], deviation: f64) -> Self {
        Self {
            key: Zeroizing::new(blake3::derive_key(
                "concordat/1 numbers by which bands are joined",
                secret,
            )),
            deviation,
        }
    }

    /// The number of units of a band, with noise; never below zero.
    fn number(&self, at: usize, band: &UnitSet) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&at.to_le_bytes()).update(&band.to_bytes());
        let mut draws = [[0_u8; 4]; UNIFORM];
        let mut reader = hasher.finalize_xof();
        draws.iter_mut().for_each(|draw| reader.fill(draw));
        let sum: f64 = draws
            .iter()
            .map(|draw| f64::from(u32::from_le_bytes(*draw)) / f64::from(u32::MAX))
            .sum();
        // The sum of twelve has a variance of one.
        let noise = (sum - as_f64(UNIFORM as u64) / 2.0) * self.deviation;
        whole((as_f64(band.len()) + noise).max(0.0))
    }
}

/// How many evenly distributed numbers are added to one that is nearly normal.
const UNIFORM: usize = 12;

/// The numbers of units of bands, by which they are joined.
pub(super) fn numbers(bands: &[UnitSet], noise: Option<&BandNoise>) -> Vec<u64> {
    let bands = bands.iter().enumerate();
    bands
        .map(|(at, band)| noise.map_or_else(|| band.len(), |noise| noise.number(at, band)))
        .collect()
}

/// Bands that are one part: the first and the last one.
pub(super) type Band = (usize, usize);

/// The parts by whose numbers these quantiles of a set are shown, from the lowest values on. Each has `least` units; none if all together
/// have fewer.
pub(super) fn parts(counts: &[u64], quantiles: &[f64], least: u64) -> Vec<Band> {
    let total: u64 = counts.iter().sum();
    if total < least || counts.is_empty() {
        return Vec::new();
    }
    let mut begins: Vec<usize> = vec![0];
    for quantile in quantiles {
        let at = band_of(counts, quantile * as_f64(total));
        begins.extend([at, at.saturating_add(1)]);
    }
    begins.retain(|begin| *begin < counts.len());
    begins.sort_unstable();
    begins.dedup();
    let ends = begins.iter().skip(1).map(|next| next.saturating_sub(1));
    let ends = ends.chain([counts.len().saturating_sub(1)]);
    joined(counts, begins.iter().copied().zip(ends), least)
}

/// The first band up to which as many units are as the rank of the quantile.
fn band_of(counts: &[u64], rank: f64) -> usize {
    let mut below = 0_u64;
    for (at, count) in counts.iter().enumerate() {
        below = below.saturating_add(*count);
        if *count > 0 && as_f64(below) >= rank {
            return at;
        }
    }
    counts.len().saturating_sub(1)
}

/// Neighbors joined until each has enough units.
fn joined(counts: &[u64], bands: impl Iterator<Item = Band>, least: u64) -> Vec<Band> {
    let size = |(from, to): Band| counts.get(from..=to).unwrap_or_default().iter().sum::<u64>();
    let mut parts: Vec<Band> = Vec::new();
    for (from, to) in bands {
        match parts.last_mut() {
            Some(last) if size(*last) < least || size((from, to)) < least => last.1 = to,
            Some(_) | None => parts.push((from, to)),
        }
    }
    parts
}

/// The quantile, from the released numbers of these parts. `None` if there are none, or if it is in bands that had to be joined: a value that
/// is interpolated over them would follow from the range of the column and not from its values.
pub(super) fn quantile(at: f64, parts: &[Band], counts: &[f64], edges: &[f64], range: Range) -> Option<f64> {
    let counts: Vec<f64> = counts.iter().map(|count| count.max(0.0)).collect();
    let total: f64 = counts.iter().sum();
    let rank = at.clamp(0.0, 1.0) * total;
    let mut below = 0.0;
    for ((from, to), count) in parts.iter().zip(counts) {
        let is_last = to.saturating_add(1) > edges.len();
        if count > 0.0 && (below + count >= rank || is_last) {
            let low = from.checked_sub(1).and_then(|edge| edges.get(edge)).copied();
            let low = low.unwrap_or_else(|| range.low());
            let high = edges.get(*to).copied().unwrap_or_else(|| range.high());
            let part = ((rank - below) / count).clamp(0.0, 1.0);
            return (from == to).then_some(low + (high - low) * part);
        }
        below += count;
    }
    None
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of units with noise, which is not negative"
)]
const fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "numbers of units are below 2^53")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Parts are all bands in order, and each has enough units.
        #[test]
        fn quantile_parts_have_enough_units(
            counts in prop::collection::vec(0_u64..30, 1..20),
            quantiles in prop::collection::vec(0.0_f64..=1.0, 0..4),
            least in 1_u64..25,
        ) {
            let parts = parts(&counts, &quantiles, least);
            if counts.iter().sum::<u64>() < least {
                prop_assert!(parts.is_empty());
                return Ok(());
            }
            let bands: Vec<usize> = parts.iter().flat_map(|(from, to)| *from..=*to).collect();
            prop_assert_eq!(bands, (0..counts.len()).collect::<Vec<_>>());
            for (from, to) in parts {
                prop_assert!(counts[from..=to].iter().sum::<u64>() >= least);
            }
        }

        /// Two tables that differ in one person have other noise in the band of this person, so that ranks do not show in which of them it is.
        #[test]
        fn numbers_of_bands_have_the_noise_of_their_units(secret in any::<[u8; 32]>(), size in 200_u32..2_000) {
            let noise = BandNoise::new(&secret, 23.0);
            let [band, other] = [size, size + 1].map(UnitSet::all);
            let numbers = |bands: &[UnitSet]| super::numbers(bands, Some(&noise));
            prop_assert_eq!(super::numbers(std::slice::from_ref(&band), None), [u64::from(size)]);
            let [first, second] = numbers(&[band.clone(), other.clone()])[..] else { panic!("two bands") };
            prop_assert_eq!(&numbers(&[band.clone(), band.clone()])[..1], &[first]);
            for number in [first, second] {
                prop_assert!(number.abs_diff(u64::from(size)) <= 23 * 6 + 1);
            }
            let many: Vec<u64> = (0..200).map(|more| numbers(&[UnitSet::all(size + more)])[0].abs_diff(u64::from(size + more))).collect();
            let mean = many.iter().sum::<u64>() as f64 / 200.0;
            prop_assert!((12.0..25.0).contains(&mean), "{mean}: a normal deviation has 18.4");
        }

        /// The quantile is between the ends of a part that has as many units below as the quantile states.
        #[test]
        fn quantile_is_within_the_part_of_its_rank(
            counts in prop::collection::vec(0_u64..30, 4),
            at in 0.0_f64..=1.0,
        ) {
            let range = Range::new(0.0, 40.0, None).unwrap();
            let edges = [10.0, 20.0, 30.0];
            let parts = parts(&counts, &[at], 5);
            let sizes: Vec<f64> = parts.iter().map(|(from, to)| counts[*from..=*to].iter().sum::<u64>() as f64).collect();
            let found = quantile(at, &parts, &sizes, &edges, range);
            let total: f64 = sizes.iter().sum();
            let mut below = 0.0;
            let mut ends = None;
            for ((from, to), size) in parts.iter().zip(&sizes) {
                if below + size >= at * total {
                    ends = (from == to).then_some((*from as f64 * 10.0, (*to + 1) as f64 * 10.0));
                    break;
                }
                below += size;
            }
            prop_assert_eq!(found.is_some(), ends.is_some(), "bands that are joined have none");
            if let Some((found, (low, high))) = found.zip(ends) {
                prop_assert!(found >= low - 1e-9 && found <= high + 1e-9);
            }
        }
    }
}
