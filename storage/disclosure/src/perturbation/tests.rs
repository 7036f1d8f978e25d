//! Noise of counts and means: what holds for every parameter, and what an attacker makes of several figures.

use std::num::NonZeroU32;

use concordat_protocol::scope::{Finite, Noise, Protection};
use proptest::prelude::*;

use super::*;
use crate::entropy::Entropy as _;
use crate::sampling::reference::Seeded;

mod answers;
mod means;

const SECRET: [u8; 32] = [7; 32];

fn key_of(sum: u64) -> CellKey {
    CellSecret::new(SECRET).cell_key(KeySum::from_iter([sum]))
}

/// A standard deviation of 1.7, before rounding to multiples of five.
fn usual() -> Noise {
    Noise::new(3, 5, 5).unwrap()
}

fn with(noise: Noise, k: u32) -> Perturbation {
    Perturbation::of(noise, NonZeroU32::new(k).unwrap()).unwrap()
}

fn record_keys(seed: u64, number: usize) -> Vec<u64> {
    let mut entropy = Seeded::new(seed);
    let mut next = || {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    (0..number).map(|_| next()).collect()
}

fn any_noise() -> impl Strategy<Value = Noise> {
    let stated = (1_u16..=16, 2_u8..=20, 1_u8..=10).prop_filter_map("feasible", |(variance, max, round)| {
        Noise::new(variance, max, round).ok()
    });
    let for_answers = (1_u8..=64).prop_map(|answers| Noise::for_answers(answers).unwrap());
    prop_oneof![3 => stated, 1 => for_answers]
}

/// A mean is not a better measurement of a subject than a count is.
#[test]
fn noise_for_answers_is_in_means_and_rows_too() {
    let (few, many) = (with(usual(), 10), with(Noise::default(), 10));
    let deviations = |of: &Perturbation| {
        let key = key_of(1);
        let counted = of.counted(200);
        let mean = of
            .mean(&measured(200, 4_000.0, 90.0, 100.0), counted, &key, b"x")
            .unwrap();
        let rows = of.rows(200, 400, 4, &key).unwrap();
        (mean.standard_deviation, rows.standard_deviation)
    };
    let deviation = 544.0_f64.sqrt();
    assert_eq!(deviations(&few).0, 0.5);
    assert!((deviations(&many).0 - 0.5 * deviation).abs() < 1e-9);
    assert!(deviations(&many).1 >= 4.0 * deviation);
    let spread = |of: &Perturbation| {
        let noise = |sum: u64| {
            let mean = of.mean(
                &measured(200, 4_000.0, 90.0, 100.0),
                of.counted(200),
                &key_of(sum),
                b"x",
            );
            (mean.unwrap().value * 200.0 - 4_000.0).powi(2)
        };
        ((0..2_000).map(noise).sum::<f64>() / 2_000.0).sqrt()
    };
    let ratio = spread(&many) / spread(&few);
    assert!((ratio / deviation - 1.0).abs() < 0.1, "{ratio}");
}

/// With the draws of one noise under another, a figure of a set with each of them would be two equations, and their solution the figure without noise.
#[test]
fn noise_for_two_numbers_of_a_set_is_unrelated() {
    let [few, many] = [8, 32].map(|answers| with(Noise::for_answers(answers).unwrap(), 10));
    let deviations = |of: &Perturbation, sum: u64| {
        let key = key_of(sum);
        let counted = of.counted(200);
        let mean = of.mean(&measured(200, 4_000.0, 90.0, 100.0), counted, &key, b"x");
        [
            of.count(200, &key).unwrap() as f64 - 200.0,
            mean.unwrap().value * 200.0 - 4_000.0,
            of.rows(200, 400, 4, &key).unwrap().value - 400.0,
        ]
    };
    let drawn: Vec<_> = (0..4_000)
        .map(|sum| (deviations(&few, sum), deviations(&many, sum)))
        .collect();
    for figure in 0..3 {
        let sum_of = |product: fn(f64, f64) -> f64| -> f64 {
            drawn.iter().map(|(few, many)| product(few[figure], many[figure])).sum()
        };
        let (both, of_few, of_many) = (sum_of(|a, b| a * b), sum_of(|a, _| a * a), sum_of(|_, b| b * b));
        let correlation = both / (of_few * of_many).sqrt();
        assert!(correlation.abs() < 0.1, "{figure}: {correlation}");
    }
    // As much noise for fewer answers is the same noise: with another one, both together would be less.
    let noise = |answers| Protection::Perturbed(Noise::for_answers(answers).unwrap());
    let Protection::Perturbed(same) = noise(8).meet(&noise(32)) else {
        panic!("both have noise")
    };
    let same = with(same, 10);
    for sum in 0..50 {
        assert_eq!(deviations(&same, sum), deviations(&many, sum));
    }
    assert!(many.drawn_by().is_none(), "the shipped noise is drawn by the key alone");
}

proptest! {
    #[test]
    fn noise_never_releases_a_count_below_k(noise in any_noise(), k in 1_u32..40, sizes in 0_u64..80, sum in any::<u64>()) {
        let (perturbation, key) = (with(noise, k), key_of(sum));
        for size in (0..sizes).chain([u64::MAX, u64::MAX - 30]) {
            let released = perturbation.count(size, &key);
            prop_assert_eq!(released.is_some() || size > u64::MAX - 31, size >= perturbation.threshold(&key));
            if let Some(count) = released {
                prop_assert!(count >= u64::from(k));
                prop_assert_eq!(count % u64::from(noise.round()), 0);
                let most = u64::from(noise.max()) + u64::from(noise.round());
                prop_assert!(count.abs_diff(size) < most, "{} for {}", count, size);
            }
        }
    }

    #[test]
    fn noise_without_rounding_stays_within_its_bounds(noise in any_noise(), k in 1_u32..40, above in 0_u64..60, sum in any::<u64>()) {
        let Ok(plain) = Noise::new(noise.variance(), noise.max(), 1) else { return Ok(()) };
        let size = u64::from(k) + above;
        if let Some(count) = with(plain, k).count(size, &key_of(sum)) {
            prop_assert!(count.abs_diff(size) <= u64::from(noise.max()) && count >= u64::from(k));
        }
    }

    #[test]
    fn noise_of_equal_sets_is_equal(keys in proptest::collection::vec(any::<u64>(), 1..30), rotated in 0_usize..30, size in 0_u64..60) {
        let mut other = keys.clone();
        other.rotate_left(rotated % keys.len());
        let secret = CellSecret::new(SECRET);
        let [a, b] = [&keys, &other].map(|keys| secret.cell_key(keys.iter().copied().collect()));
        let perturbation = with(usual(), 10);
        prop_assert_eq!(perturbation.threshold(&a), perturbation.threshold(&b));
        prop_assert_eq!(perturbation.count(size, &a), perturbation.count(size, &b));
        let measured = measured(size, 100.0, 7.0, 10.0);
        let released = perturbation.counted(20);
        prop_assert_eq!(perturbation.mean(&measured, released, &a, b"x"), perturbation.mean(&measured, released, &b, b"x"));
    }

    #[test]
    fn noise_of_means_is_bounded(sum in any::<u64>(), size in 13_u64..10_000, largest in 0.0..10.0_f64, total in -1e5..1e5_f64) {
        let perturbation = with(usual(), 10);
        let measured = measured(size, total, largest, 10.0);
        let mean = perturbation.mean(&measured, perturbation.counted(size), &key_of(sum), b"x").unwrap();
        let noise = mean.value * size as f64 - total;
        prop_assert!(noise.abs() < 30.0 + 0.02, "{}", noise);
        // Neither the noise nor the digits depend on the largest contribution of the set.
        let other = self::measured(size, total, 10.0, 10.0);
        prop_assert_eq!(Some(mean), perturbation.mean(&other, perturbation.counted(size), &key_of(sum), b"x"));
        let beyond = self::measured(size, total, 10.5, 10.0);
        prop_assert_eq!(None, perturbation.mean(&beyond, perturbation.counted(size), &key_of(sum), b"x"));
    }
}

fn measured(size: u64, total: f64, largest: f64, scale: f64) -> Measured {
    let finite = |number| Finite::new(number).unwrap();
    Measured {
        subjects: size,
        units: size,
        total: finite(total),
        largest: finite(largest),
        scale: Scale::new(finite(scale)).unwrap(),
    }
}

/// Mean and variance over many sets of one size, for a size near the smallest count and one far from it.
#[test]
fn noise_has_its_mean_and_variance_over_sets() {
    let perturbation = with(Noise::new(3, 5, 1).unwrap(), 10);
    for size in [13_u64, 14, 200] {
        let deviations: Vec<f64> = (0..40_000_u64)
            .map(|sum| perturbation.count(size, &key_of(sum)).unwrap() as f64 - size as f64)
            .collect();
        let mean = deviations.iter().sum::<f64>() / 40_000.0;
        let variance = deviations.iter().map(|d| d * d).sum::<f64>() / 40_000.0;
        assert!(mean.abs() < 0.04, "{size}: mean {mean}");
        assert!((variance - 3.0).abs() < 0.15, "{size}: variance {variance}");
    }
}

#[test]
fn rounding_of_noise_has_no_direction() {
    let perturbation = with(Noise::new(3, 5, 2).unwrap(), 10);
    let total: u64 = (0..20_000)
        .map(|sum| perturbation.count(101, &key_of(sum)).unwrap())
        .sum();
    assert!((total as f64 / 20_000.0 - 101.0).abs() < 0.06, "{total}");
    assert!((perturbation.count_deviation() - 3.25_f64.sqrt()).abs() < 1e-12);
}

/// Each of the three thresholds is equally frequent, and has the same deviations.
#[test]
fn threshold_is_independent_of_the_deviation() {
    let perturbation = with(Noise::new(3, 5, 1).unwrap(), 10);
    let mut table = [[0_u32; 11]; 3];
    for sum in 0..60_000 {
        let key = key_of(sum);
        let above = usize::try_from(perturbation.threshold(&key) - 11).unwrap();
        let deviation = usize::try_from(perturbation.count(100, &key).unwrap() - 95).unwrap();
        table[above][deviation] += 1;
    }
    let rows = table.map(|row| row.iter().sum::<u32>());
    assert!(rows.iter().all(|row| row.abs_diff(20_000) < 600), "{rows:?}");
    let mut statistic = 0.0;
    for (row, total) in table.iter().zip(rows) {
        for (column, count) in row.iter().enumerate() {
            let all: u32 = table.iter().map(|row| row[column]).sum();
            let expected = f64::from(total) * f64::from(all) / 60_000.0;
            statistic += (f64::from(*count) - expected).powi(2) / expected;
        }
    }
    assert!(
        statistic < 20.0 + 5.0 * 40.0_f64.sqrt(),
        "chi-square {statistic} with 20 degrees of freedom"
    );
}

/// The correlation of two lists of figures with noise.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
    let covariance = sum(&|pair| (pair.0 - x) * (pair.1 - y));
    covariance / (sum(&|pair| (pair.0 - x).powi(2)) * sum(&|pair| (pair.1 - y).powi(2))).sqrt()
}

/// Keys of records that an attacker would like: one and zero leave the upper bits of the sum as they are.
#[test]
fn noise_of_sets_that_differ_by_one_is_unrelated() {
    let perturbation = with(Noise::new(3, 5, 1).unwrap(), 10);
    for record in [1, 2, 1 << 32, u64::MAX] {
        let pairs: Vec<(f64, f64)> = record_keys(record, 20_000)
            .into_iter()
            .map(|sum| {
                let smaller = perturbation.count(100, &key_of(sum)).unwrap();
                let larger = perturbation.count(101, &key_of(sum.wrapping_add(record))).unwrap();
                (smaller as f64 - 100.0, larger as f64 - 101.0)
            })
            .collect();
        assert!(correlation(&pairs).abs() < 0.03, "{record}: {}", correlation(&pairs));
    }
}

/// The key of a total is the sum of the keys of its parts: neither the noise of the parts nor their sum shows that of the total.
#[test]
fn noise_of_a_total_is_unrelated_to_its_parts() {
    let perturbation = with(Noise::new(3, 5, 1).unwrap(), 10);
    let sums = record_keys(5, 40_000);
    let pairs: Vec<(f64, f64)> = sums
        .chunks_exact(2)
        .map(|parts| {
            let noise = |sum: u64, size: u64| perturbation.count(size, &key_of(sum)).unwrap() as f64 - size as f64;
            let total = parts[0].wrapping_add(parts[1]);
            (noise(parts[0], 50) + noise(parts[1], 60), noise(total, 110))
        })
        .collect();
    assert!(correlation(&pairs).abs() < 0.03, "{}", correlation(&pairs));
}

#[test]
fn noise_of_two_measures_of_a_set_is_unrelated() {
    let perturbation = with(usual(), 10);
    let one = measured(50, 0.0, 10.0, 10.0);
    let wider = measured(50, 0.0, 10.0, 20.0);
    let noise = |sum: u64, measured: &Measured, figure: &[u8]| {
        perturbation
            .mean(measured, perturbation.counted(50), &key_of(sum), figure)
            .unwrap()
            .value
    };
    let figures: Vec<(f64, f64)> = (0..20_000)
        .map(|sum| (noise(sum, &one, b"age"), noise(sum, &one, b"bmi")))
        .collect();
    assert!(correlation(&figures).abs() < 0.03, "{}", correlation(&figures));
    // A range that was changed gives other noise: otherwise the difference would be what the clipping changed.
    let ranges: Vec<(f64, f64)> = (0..20_000)
        .map(|sum| (noise(sum, &one, b"age"), noise(sum, &wider, b"age")))
        .collect();
    assert!(correlation(&ranges).abs() < 0.03, "{}", correlation(&ranges));
    let variance = figures.iter().map(|(x, _)| (x * 5.0).powi(2)).sum::<f64>() / 20_000.0;
    let mean = figures.iter().map(|(x, _)| x * 5.0).sum::<f64>() / 20_000.0;
    assert!((variance - 1.0).abs() < 0.05 && mean.abs() < 0.03, "{mean} {variance}");
}

#[test]
fn noise_of_another_secret_is_unrelated() {
    let perturbation = with(Noise::new(3, 5, 1).unwrap(), 10);
    let other = CellSecret::new([8; 32]);
    let pairs: Vec<(f64, f64)> = (0..20_000)
        .map(|sum| {
            let count = |key: &CellKey| perturbation.count(100, key).unwrap() as f64;
            (count(&key_of(sum)), count(&other.cell_key(KeySum::from_iter([sum]))))
        })
        .collect();
    assert!(correlation(&pairs).abs() < 0.03);
}

/// The total as the sum of the cells of many partitions: an attacker who averages `m` of them into `p` cells each is left with a standard
/// deviation of `√(p v / m)`. That is the bound: the number of queries limits `m`.
#[test]
fn noise_averages_over_partitions_as_documented() {
    let perturbation = with(Noise::new(3, 5, 1).unwrap(), 10);
    let (cells, partitions) = (10_usize, 20_usize);
    let mut squares = 0.0;
    for trial in 0..200 {
        let keys = record_keys(trial, cells * partitions);
        let counts = keys
            .iter()
            .map(|sum| perturbation.count(40, &key_of(*sum)).unwrap() as f64);
        let average = counts.sum::<f64>() / partitions as f64;
        squares += (average - 400.0).powi(2);
    }
    let expected = cells as f64 * 3.0 / partitions as f64;
    assert!(
        (squares / 200.0 / expected - 1.0).abs() < 0.4,
        "{} is not {expected}",
        squares / 200.0
    );
}

/// With another label or another hash, both figures of a set together would have less noise than either.
#[test]
fn noise_of_a_key_never_changes() {
    let perturbation = with(usual(), 10);
    let figures = |sum: u64| {
        let key = key_of(sum);
        let measured = measured(100, 0.0, 64.0, 64.0);
        let mean = perturbation
            .mean(&measured, perturbation.counted(100), &key, b"age")
            .unwrap();
        (
            perturbation.threshold(&key),
            perturbation.count(100, &key).unwrap(),
            mean.value * 2048.0,
        )
    };
    assert_eq!(
        [1, 2, 3].map(figures),
        [(12, 95, 938.0), (12, 100, -1571.0), (12, 100, -2674.0)]
    );
}
