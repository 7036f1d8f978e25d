//! The rules, against a computation with all contributions, and their order.

use concordat_protocol::scope::Finite;
use proptest::prelude::*;

use super::*;

const WIDE: WholeClip = match WholeClip::new(i64::MIN, i64::MAX) {
    Ok(clip) => clip,
    Err(_) => panic!("the range is not empty"),
};

fn whole(values: &[i64]) -> Contributions {
    values.iter().map(|value| WIDE.magnitude(*value)).collect()
}

fn real(values: &[f64], low: f64, high: f64) -> Contributions {
    let finite = |number| Finite::new(number).unwrap();
    let clip = RealClip::new(finite(low), finite(high)).unwrap();
    values.iter().filter_map(|value| clip.magnitude(*value)).collect()
}

/// The rules as they are written, with all contributions at hand.
fn reference(values: &[i64], number: usize, percent: i128, protection: i128) -> bool {
    let mut sizes: Vec<i128> = values.iter().map(|value| i128::from(*value).abs()).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let total: i128 = sizes.iter().sum();
    let of = |number: usize| sizes.iter().take(number).sum::<i128>();
    let named = total - of(2);
    100 * of(number) > percent * total || named == 0 || 100 * named < protection * of(1)
}

fn any_rule() -> impl Strategy<Value = (u8, u8, u8)> {
    (1_u8..=5, 1_u8..=99, 1_u8..=100)
}

fn any_values() -> impl Strategy<Value = Vec<i64>> {
    let value = prop_oneof![Just(0_i64), -20_i64..20, -5_000_i64..5_000, any::<i64>()];
    proptest::collection::vec(value, 0..25)
}

proptest! {
    #[test]
    fn dominance_is_the_rule_as_written((n, k, p) in any_rule(), values in any_values()) {
        let found = Dominance::new(n, k, p).unwrap().withholds(&whole(&values));
        prop_assert_eq!(found, reference(&values, usize::from(n), i128::from(k), i128::from(p)));
    }

    #[test]
    fn dominance_is_independent_of_order(values in any_values(), split in 0_usize..25, seed in any::<u64>()) {
        let mut other = values.clone();
        other.sort_unstable_by_key(|value| value.wrapping_mul(seed.cast_signed() | 1));
        prop_assert_eq!(whole(&values), whole(&other));
        let (first, second) = other.split_at(split.min(other.len()));
        let mut merged = whole(second);
        merged.merge(&whole(first));
        prop_assert_eq!(whole(&values), merged);
    }

    #[test]
    fn dominance_is_monotone_in_its_parameters((n, k, p) in any_rule(), (fewer, wider, less) in any_rule(), values in any_values()) {
        let strict = Dominance::new(n.max(fewer), k.min(wider), p.max(less)).unwrap();
        let lenient = Dominance::new(n.min(fewer), k.max(wider), p.min(less)).unwrap();
        let contributions = whole(&values);
        prop_assert!(strict.withholds(&contributions) || !lenient.withholds(&contributions));
    }

    /// Numbers that were computed elsewhere are compared exactly if they are small, and on the safe side in larger units.
    #[test]
    fn dominance_of_sums_from_elsewhere_is_the_rule((n, k, p) in any_rule(), values in any_values()) {
        let rule = Dominance::new(n, k, p).unwrap();
        let mut sizes: Vec<u128> = values.iter().map(|value| u128::from(value.unsigned_abs())).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let total: u128 = sizes.iter().sum();
        sizes.resize(5.max(sizes.len()), 0);
        let largest = [sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]];
        let exact = reference(&values, usize::from(n), i128::from(k), i128::from(p));
        let found = rule.withholds(&Contributions::of(largest, total));
        prop_assert!(found || !exact);
        prop_assert!(found == exact || total >= 1 << 63);
        let scaled = Contributions::of(largest.map(|size| size << 50), total << 50);
        prop_assert!(rule.withholds(&scaled) || !exact);
    }

    /// Real numbers are never released where the exact ones are withheld, and only withheld beside them at a limit.
    #[test]
    fn dominance_of_real_numbers_is_the_rule((n, k, p) in any_rule(), values in proptest::collection::vec(-5_000_i64..5_000, 0..25)) {
        let reals: Vec<f64> = values.iter().map(|value| *value as f64 / 8.0).collect();
        let found = Dominance::new(n, k, p).unwrap().withholds(&real(&reals, -700.0, 700.0));
        let exact = reference(&values, usize::from(n), i128::from(k), i128::from(p));
        prop_assert!(found || !exact);
        // At a limit both sides are equal: a millionth beside it they are not.
        let scaled: Vec<i64> = values.iter().map(|value| value * 1_000_000).collect();
        let mut moved = scaled.clone();
        if let Some(largest) = moved.iter_mut().max_by_key(|value| value.abs()) {
            *largest += largest.signum();
        }
        let beside = reference(&moved, usize::from(n), i128::from(k), i128::from(p));
        prop_assert!(found == exact || beside);
    }
}

#[test]
fn dominance_of_extreme_contributions_is_decided() {
    let rule = Dominance::default();
    assert!(rule.withholds(&whole(&[])));
    assert!(rule.withholds(&whole(&[0; 30])), "each is zero");
    assert!(!rule.withholds(&whole(&[7; 30])), "all are equal");
    assert!(!rule.withholds(&whole(&[-7; 30])));
    assert!(rule.withholds(&whole(&[7; 2])), "each of the two knows the other");
    assert!(rule.withholds(&whole(&[1_000, 1, 1, 1, 1, 1, 1])));
    assert!(
        rule.withholds(&whole(&[-1_000, 1, 1, 1, 1, 1, 1])),
        "a sum of both signs hides nothing"
    );
    assert!(!rule.withholds(&whole(&[i64::MIN; 30])));
    assert!(rule.withholds(&whole(&[i64::MIN, 1, 1])));
}

/// With a range of 1 a magnitude is the number times 2^52, which is exact.
#[test]
fn magnitude_of_a_real_number_is_between_its_bounds() {
    let finite = |number| Finite::new(number).unwrap();
    let clip = RealClip::new(finite(-1.0), finite(1.0)).unwrap();
    let one = 2.0_f64.powi(-52);
    for number in [0.0, 0.4 * one, 1.0 * one, 1.5 * one, -7.9 * one, 1.0 / 3.0, -1.0, 0.1] {
        let magnitude = clip.magnitude(number).unwrap();
        let parts = number.abs() / one;
        assert!(
            magnitude.lower() as f64 <= parts && parts <= magnitude.upper() as f64,
            "{number}"
        );
        assert!(magnitude.upper() - magnitude.lower() <= 2);
    }
}

#[test]
fn dominance_limits_are_exact() {
    let rule = Dominance::new(2, 75, 1).unwrap();
    assert!(!rule.withholds(&whole(&[40, 35, 20, 5])), "75 of 100");
    assert!(rule.withholds(&whole(&[41, 35, 20, 4])), "76 of 100");
    let protected = Dominance::new(1, 99, 10).unwrap();
    assert!(!protected.withholds(&whole(&[100, 90, 10])), "10 of 100");
    assert!(protected.withholds(&whole(&[100, 90, 9])), "9 of 100");
}

#[test]
fn dominance_of_real_extremes_is_decided() {
    let rule = Dominance::default();
    let missing = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    assert_eq!(
        real(&missing, -1.0, 1.0),
        Contributions::default(),
        "they are missing, not clipped"
    );
    assert!(rule.withholds(&real(&[0.0, -0.0, 0.0, 0.0], -1.0, 1.0)));
    assert!(!rule.withholds(&real(&[0.1; 30], 0.0, 1.0)));
    assert!(rule.withholds(&real(&[0.9, 1e-18, 1e-18, 1e-18], 0.0, 1.0)));
    assert!(
        rule.withholds(&real(&[5e-324; 30], 0.0, 1e300)),
        "too small to be compared is withheld"
    );
    assert!(!rule.withholds(&real(&[f64::MAX; 30], f64::MIN, f64::MAX)));
    // Clipped first: what is beyond the range does not dominate.
    assert!(!rule.withholds(&real(&[1e9, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0], 0.0, 10.0)));
    let clip = WholeClip::new(0, 10).unwrap();
    assert_eq!([-5, 5, 15].map(|value| clip.magnitude(value).upper()), [0, 5, 10]);
}

#[test]
fn dominance_outside_its_bounds_is_refused() {
    for (number, percent, protection) in [
        (0, 75, 10),
        (6, 75, 10),
        (2, 0, 10),
        (2, 100, 10),
        (2, 75, 0),
        (2, 75, 101),
    ] {
        assert!(Dominance::new(number, percent, protection).is_err());
    }
    let finite = |number| Finite::new(number).unwrap();
    assert_eq!(WholeClip::new(1, 1), Err(InvalidClip));
    assert!(RealClip::new(finite(2.0), finite(1.0)).is_err());
}
