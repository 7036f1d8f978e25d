//! Quantiles from the numbers of units in bands of values.
//!
//! Which band a quantile is in is known only from numbers, and each number that is shown must be that of enough units. So the bands are joined
//! to parts: those that a quantile is in, what is below, between and above them; each part has enough units, or all bands are one part. Within
//! a band the values count as evenly distributed.

use concordat_protocol::collection::Range;

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
