//! What means, sums and numbers of rows show.

use super::*;

/// A mean and a sum, or a mean alone, do not show the number of units: the mean is no fraction with that denominator.
#[test]
fn mean_with_noise_does_not_show_its_units() {
    let perturbation = with(usual(), 10);
    let (mut nearer, mut trials) = (0, 0);
    for sum in 0..3_000 {
        let size = 41 + sum % 7;
        let key = key_of(sum);
        let units = perturbation.count(size, &key).unwrap();
        let counted = perturbation.counted(units);
        let mean = perturbation
            .mean(&measured(size, 4_000.0, 90.0, 100.0), counted, &key, b"x")
            .unwrap();
        let released = mean.sum_of(counted).unwrap();
        assert!((released.value / mean.value - units as f64).abs() < 1e-9);
        let grid = 100.0 / 1024.0 / (units.next_power_of_two() as f64);
        assert_eq!(mean.value % grid, 0.0, "the digits of a float show more");
        // The attacker multiplies by each candidate and looks for a multiple of the grid of sums.
        let off = |candidate: u64| {
            let scaled = mean.value * candidate as f64 / (100.0 / 1024.0);
            (scaled - scaled.round()).abs()
        };
        let best = (41..48).min_by(|a, b| off(*a).total_cmp(&off(*b))).unwrap();
        nearer += u32::from(best == size);
        trials += 1;
    }
    let right = f64::from(nearer) / f64::from(trials);
    assert!(
        right < 1.0 / 7.0 + 0.04,
        "the number of units was found in {right} of the trials"
    );
}

/// Totals of whole numbers with noise from a coarse grid would show the rest of a division.
#[test]
fn mean_with_noise_does_not_show_last_digits() {
    let perturbation = with(usual(), 10);
    let mut rests = [0_u32; 8];
    for sum in 0..8_000 {
        let mean = perturbation
            .mean(
                &measured(64, 123_456.0, 6_400.0, 6_400.0),
                perturbation.counted(64),
                &key_of(sum),
                b"x",
            )
            .unwrap();
        let noisy = mean.value * 64.0 - 123_456.0;
        // The distance of two outcomes of the table is 100.
        let rest = noisy.rem_euclid(100.0) / 12.5;
        rests[(0..8).rev().find(|number| rest >= f64::from(*number)).unwrap() as usize] += 1;
    }
    assert!(rests.iter().all(|rest| rest.abs_diff(1_000) < 200), "{rests:?}");
}

#[test]
fn mean_of_a_set_below_its_threshold_is_withheld() {
    let perturbation = with(usual(), 10);
    let counted = perturbation.counted(10);
    for sum in 0..50 {
        let key = key_of(sum);
        let least = perturbation.threshold(&key);
        assert!((11..=13).contains(&least));
        assert!(
            perturbation
                .mean(&measured(least - 1, 5.0, 1.0, 1.0), counted, &key, b"x")
                .is_none()
        );
        assert!(
            perturbation
                .mean(&measured(least, 5.0, 1.0, 1.0), counted, &key, b"x")
                .is_some()
        );
        assert!(perturbation.rows(least - 1, 1_000, 5, &key).is_none());
    }
    let unclipped = measured(50, 5.0, 1.1, 1.0);
    assert!(perturbation.mean(&unclipped, counted, &key_of(1), b"x").is_none());
    let none = Measured {
        units: 0,
        ..measured(50, 0.0, 0.0, 1.0)
    };
    assert!(perturbation.mean(&none, counted, &key_of(1), b"x").is_none());
    let infinite = measured(50, f64::MAX, 1e250, 1e250);
    assert!(
        perturbation
            .mean(&infinite, counted, &key_of(1), b"x")
            .is_some_and(|mean| mean.value.is_finite())
    );
}

#[test]
fn scale_outside_its_bounds_is_refused() {
    for magnitude in [0.0, -1.0, 1e-300, 1e300] {
        assert!(Scale::new(Finite::new(magnitude).unwrap()).is_err(), "{magnitude}");
    }
}

/// A subject with a thousand rows is hidden by noise in proportion to them.
#[test]
fn rows_get_noise_of_the_subject_with_most() {
    let perturbation = with(Noise::new(3, 5, 1).unwrap(), 10);
    let squares: f64 = (0..20_000)
        .map(|sum| (perturbation.rows(50, 50_000, 1_000, &key_of(sum)).unwrap().value - 50_000.0).powi(2))
        .sum();
    let deviation = (squares / 20_000.0).sqrt();
    assert!((deviation / 1_024.0 - 1.0).abs() < 0.03, "{deviation}");
    let stated = perturbation
        .rows(50, 50_000, 1_000, &key_of(1))
        .unwrap()
        .standard_deviation;
    assert_eq!(stated, 1_024.0);
    for sum in 0..500 {
        assert!(perturbation.rows(50, 60, 64, &key_of(sum)).unwrap().value >= 10.0);
    }
}

#[test]
fn variance_that_is_not_positive_is_missing() {
    let noisy = |value| Noisy {
        value,
        standard_deviation: 0.0,
    };
    assert_eq!(variance(noisy(5.0), noisy(2.0)), Some(1.0));
    assert_eq!(variance(noisy(4.0), noisy(2.0)), None);
    assert_eq!(variance(noisy(f64::INFINITY), noisy(2.0)), None);
    assert_eq!(variance(noisy(f64::NAN), noisy(2.0)), None);
}
