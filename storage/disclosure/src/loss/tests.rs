//! Accounting, epsilon and intervals, against independent computations.

use concordat_protocol::scope::DeltaExponent;
use proptest::prelude::*;

use super::*;

fn limits(query: u64, total: u64) -> Loss {
    let rho = |millionths| MicroRho::new(millionths).unwrap();
    Loss::new(rho(query), rho(total), DeltaExponent::new(9).unwrap()).unwrap()
}

#[test]
fn loss_is_spent_and_never_returned() {
    let mut loss = LossBudget::new(limits(60, 100));
    let rho = |millionths| MicroRho::new(millionths).unwrap();
    drop(loss.spend(rho(60)).unwrap());
    assert_eq!((loss.spent(), loss.left()), (60, 40));
    let spent = |left, asked| Spent::Total {
        left,
        total: 100,
        asked,
    };
    assert_eq!(loss.spend(rho(41)).unwrap_err(), spent(40, 41));
    assert_eq!(loss.spent(), 60, "a refusal reserves nothing");
    assert_eq!(loss.spend(rho(40)).unwrap().rho(), rho(40));
    assert_eq!(loss.spend(rho(1)).unwrap_err(), spent(0, 1));
    for part in ["40 millionths", "of 100", "would lose 41", "answered again"] {
        assert!(spent(40, 41).to_string().contains(part), "{part}");
    }
}

#[test]
fn loss_of_one_query_is_limited() {
    let mut loss = LossBudget::new(limits(10, 100));
    assert_eq!(loss.spend(MicroRho::new(11).unwrap()).unwrap_err(), Spent::Query);
    assert_eq!(loss.spent(), 0);
}

#[test]
fn loss_beyond_narrower_limits_leaves_nothing() {
    for spent in [101, u64::MAX] {
        let mut loss = LossBudget::resumed(limits(100, 100), spent);
        assert_eq!(loss.left(), 0);
        assert!(loss.spend(MicroRho::new(1).unwrap()).is_err());
        assert_eq!(loss.spent(), spent);
        assert!(loss.epsilon() >= LossBudget::resumed(limits(100, 100), 100).epsilon());
    }
}

#[test]
fn epsilon_is_never_infinite_or_small_by_overflow() {
    let delta = DeltaExponent::new(12).unwrap();
    assert_eq!(Epsilon::of(0, delta).as_millionths(), 0);
    assert_eq!(Epsilon::of(u64::MAX, delta).as_millionths(), u64::MAX);
    assert!(Epsilon::of(u64::MAX / 2, delta) > Epsilon::of(MicroRho::MAX, delta));
    let shown = Epsilon::of(1_000_000, delta);
    assert_eq!(
        (shown.as_millionths(), shown.to_string()),
        (11_513_044, "11.513044".to_owned())
    );
}

proptest! {
    #[test]
    fn loss_never_exceeds_the_total(amounts in proptest::collection::vec(1_u64..40, 0..40), query in 1_u64..40) {
        let mut loss = LossBudget::new(limits(query, 200));
        let mut reserved = 0;
        for amount in amounts {
            if let Ok(taken) = loss.spend(MicroRho::new(amount).unwrap()) {
                prop_assert!(amount <= query);
                reserved += taken.rho().get();
            }
        }
        prop_assert!(reserved <= 200);
        prop_assert_eq!(reserved, loss.spent());
    }

    /// Against the formula in floating point, to its accuracy; and the square that the root comes from, in whole numbers.
    #[test]
    fn epsilon_is_the_formula_rounded_up(spent in 1_u64..=MicroRho::MAX, exponent in 6_u8..=12) {
        let delta = DeltaExponent::new(exponent).unwrap();
        let found = Epsilon::of(spent, delta).as_millionths();
        let rho = spent as f64 / 1e6;
        let formula = (rho + 2.0 * (rho * f64::from(exponent) * std::f64::consts::LN_10).sqrt()) * 1e6;
        prop_assert!(found as f64 >= formula * (1.0 - 1e-15) && (found as f64) < formula + 2.0, "{} is not {}", found, formula);
        let root = u128::from(found - spent);
        prop_assert!(root * root * LN_10_DOWN.1 >= u128::from(spent) * 4_000_000 * u128::from(exponent) * LN_10_DOWN.0);
    }

    #[test]
    fn epsilon_grows_with_loss_and_smaller_delta(spent in 0_u64..=MicroRho::MAX, more in 0_u64..1000, exponent in 6_u8..=11) {
        let delta = DeltaExponent::new(exponent).unwrap();
        prop_assert!(Epsilon::of(spent, delta) <= Epsilon::of(spent + more, delta));
        prop_assert!(Epsilon::of(spent, delta) <= Epsilon::of(spent, DeltaExponent::new(exponent + 1).unwrap()));
    }

    /// `sensitivity² / 2σ²` of all figures together is at most what was reserved.
    #[test]
    fn noise_of_a_query_costs_at_most_what_is_reserved(
        rho in 1_u64..=MicroRho::MAX, figures in 1_u32..40, sensitivity in 1_u64..=1 << 40,
    ) {
        let rho = MicroRho::new(rho).unwrap();
        let mut loss = LossBudget::new(limits(rho.get(), rho.get()));
        let parts: Vec<Portion> = loss.spend(rho).unwrap().split(NonZeroU32::new(figures).unwrap()).collect();
        prop_assert_eq!(parts.len(), figures as usize);
        for part in parts {
            match part.noise(sensitivity) {
                // figures · sensitivity / 2 (n/d) <= rho / 10^6
                Ok(noise) => {
                    let (n, d) = noise.variance();
                    let cost = u128::from(figures) * u128::from(sensitivity) * u128::from(d);
                    prop_assert!(cost * 1_000_000 <= 2 * u128::from(n) * u128::from(rho.get()));
                    let least = u128::from(n - 1) * 2 * u128::from(rho.get());
                    prop_assert!(d > 1 || cost * 1_000_000 > least, "no larger than needed");
                }
                Err(error) => {
                    let variance = u128::from(figures) * u128::from(sensitivity) * 500_000 / u128::from(rho.get());
                    prop_assert_eq!(error, GaussianError::TooLarge);
                    prop_assert!(variance >= 1 << 48);
                }
            }
        }
    }

    /// Against a sum of all probabilities, from the middle outward.
    #[test]
    fn half_width_is_the_exact_quantile(numerator in 1_u64..3_000_000, denominator in 1_u64..3000) {
        let variance = numerator as f64 / denominator as f64;
        prop_assume!(variance < 3e5);
        let found = half_width(&Gaussian::new(numerator, denominator).unwrap());
        let weight = |y: u64| (-((y * y) as f64) / (2.0 * variance)).exp() * if y == 0 { 1.0 } else { 2.0 };
        let total: f64 = (0..).map(weight).take_while(|weight| *weight > 1e-40).sum();
        let within = |h: u64| (0..=h).map(weight).sum::<f64>() / total;
        prop_assert!(within(found) >= 0.95, "{} has {}", found, within(found));
        prop_assert!(found == 0 || within(found - 1) < 0.95 + 1e-8);
    }
}

/// The logarithm of ten, rounded down, and in how many parts.
const LN_10_DOWN: (u128, u128) = (2_302_585_092_994_045, 1_000_000_000_000_000);

#[test]
fn half_width_of_large_noise_is_never_too_narrow() {
    for sigma in [1025_u64, 5000, 1 << 24] {
        let found = half_width(&Gaussian::new(sigma * sigma, 1).unwrap()) as f64;
        let normal = 1.959_963_984_540_054 * sigma as f64;
        assert!(found >= normal && found <= normal + 2.0, "{sigma}: {found}");
    }
    assert_eq!(half_width(&Gaussian::new(1, 1000).unwrap()), 0);
}
