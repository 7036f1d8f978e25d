//! `e^x`, the same on every machine.

/// `ln 2`, in two parts: multiples of the first up to 2^11 are exact.
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Terms of the series: at half of `ln 2` the next one is below 2^-60.
const TERMS: u32 = 16;

/// `e^x`, exact to about 2^-50. Zero below -708, and infinite above 709.
///
/// The function of the standard library is the one of the operating system, and differs between them in the last bits. This one uses the
/// four operations of IEEE 754 in a fixed order, which are rounded in one way everywhere, so what is computed from it is the same
/// everywhere.
pub(crate) fn exp(x: f64) -> f64 {
    if x < -708.0 {
        return 0.0;
    }
    if x > 709.0 {
        return f64::INFINITY;
    }
    let power = (x / std::f64::consts::LN_2).round();
    let rest = (x - power * LN_2_HIGH) - power * LN_2_LOW;
    let series = (1..=TERMS)
        .rev()
        .fold(1.0, |sum, term| 1.0 + sum * rest / f64::from(term));
    series * power_of_two(power)
}

/// `2^power` for whole numbers of -1022 to 1023.
fn power_of_two(power: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the exponent is of 1 to 2046, because `x` is between the bounds of `exp`"
    )]
    let exponent = (power + 1023.0) as u64;
    f64::from_bits(exponent << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn exp_agrees_with_the_one_of_the_system(x in -708.0..709.0_f64) {
            let found = exp(x);
            prop_assert!((found / x.exp() - 1.0).abs() < 1e-14, "{} is not {}", found, x.exp());
        }
    }

    #[test]
    fn exp_at_its_ends_is_zero_and_infinite() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert_eq!(exp(1e9), f64::INFINITY);
        assert!(exp(f64::NAN).is_nan());
    }

    /// The same bits on every machine.
    #[test]
    fn exp_has_the_same_bits_everywhere() {
        assert_eq!(
            [exp(1.0), exp(-0.3), exp(-42.5)].map(f64::to_bits),
            [4613303445314885482, 4604847916870499333, 4330698401114661806]
        );
    }
}
