//! Arithmetic modulo a prime that was drawn at random.
//!
//! Linear algebra over the rational numbers is done modulo primes, because numerators and denominators of 512 sets have hundreds of digits.
//! A nonzero rational number vanishes modulo a prime that divides its numerator, and who knows the prime can construct such numbers: with
//! about 32 sets a combination that is the prime itself at one unit and 0 at all others. So no prime is fixed: each is drawn from the
//! 50,697,537 primes between 2^30 and 2^31, and is as secret as the process's memory.

use crate::Entropy;
use crate::random::word;

/// How many primes [`Prime::draw`] draws from: π(2^31) - π(2^30).
pub(crate) const PRIMES: f64 = 50_697_537.0;

/// The lower bound of the primes, as a power of two.
pub(crate) const PRIME_BITS: f64 = 30.0;

/// A prime between 2^30 and 2^31, and what is needed to reduce by it without a division.
#[derive(Clone, Copy)]
pub(crate) struct Prime {
    modulus: u32,
    /// ⌊2^64 / modulus⌋.
    reciprocal: u64,
}

impl Prime {
    /// A uniformly drawn one.
    pub(crate) fn draw(entropy: &mut dyn Entropy) -> Self {
        loop {
            let candidate = (word(entropy) >> 2) | (1 << 30) | 1;
            if is_prime(candidate) {
                return Self::of(candidate);
            }
        }
    }

    const fn of(modulus: u32) -> Self {
        // 2^64 is not a multiple of an odd number, so that the quotients of 2^64 and 2^64 - 1 are the same.
        let reciprocal = u64::MAX / modulus as u64;
        Self { modulus, reciprocal }
    }

    /// `value` modulo the prime.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the quotient is below 2^34, and the remainder below twice a modulus below 2^31"
    )]
    pub(crate) fn reduce(self, value: u64) -> u32 {
        let quotient = ((u128::from(value) * u128::from(self.reciprocal)) >> 64) as u64;
        // The quotient is the true one or 1 less (Barrett 1986), so that this is below 2 * modulus.
        let rest = (value - quotient * u64::from(self.modulus)) as u32;
        if rest >= self.modulus {
            rest - self.modulus
        } else {
            rest
        }
    }

    /// `a * b`.
    pub(crate) fn multiply(self, a: u32, b: u32) -> u32 {
        self.reduce(u64::from(a) * u64::from(b))
    }

    /// `a - b`, of reduced numbers.
    pub(crate) fn subtract(self, a: u32, b: u32) -> u32 {
        if a >= b { a - b } else { a + (self.modulus - b) }
    }

    /// `-a`, of a reduced number.
    pub(crate) fn negate(self, a: u32) -> u32 {
        self.subtract(0, a)
    }

    /// `a + b * c`, of a reduced `a`.
    pub(crate) fn multiply_add(self, a: u32, b: u32, c: u32) -> u32 {
        self.reduce(u64::from(a) + u64::from(b) * u64::from(c))
    }

    /// The fraction of a numerator of at most `bound` in magnitude and a denominator of 1 to `bound` that equals `a`, or `None`. If twice the
    /// square of `bound` is below the prime, there is at most one in lowest terms, and this is it (Wang 1981).
    pub(crate) fn fraction(self, a: u32, bound: i64) -> Option<(i64, i64)> {
        let (mut before, mut rest) = (i64::from(self.modulus), i64::from(a));
        // `rest` is `a * factor` modulo the prime.
        let (mut factor_before, mut factor) = (0, 1);
        while rest > bound {
            let quotient = before / rest;
            (before, rest) = (rest, before - quotient * rest);
            (factor_before, factor) = (factor, factor_before - quotient * factor);
        }
        let is_found = factor.abs() <= bound && rest != 0;
        is_found.then(|| (rest * factor.signum(), factor.abs()))
    }

    /// The prime as a bound of magnitudes: of whole numbers below it only 0 is a multiple.
    pub(crate) fn least_multiple(self) -> i64 {
        i64::from(self.modulus)
    }

    /// The inverse of `a`, by Fermat's little theorem; 0 of 0.
    pub(crate) fn inverse(self, a: u32) -> u32 {
        power(u64::from(a), self.modulus - 2, u64::from(self.modulus))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the result is below a modulus below 2^32"
)]
fn power(base: u64, mut exponent: u32, modulus: u64) -> u32 {
    let mut square = base % modulus;
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * square % modulus;
        }
        square = square * square % modulus;
        exponent >>= 1;
    }
    result as u32
}

/// Miller and Rabin's test, without errors below 3,215,031,751 with these bases (Jaeschke 1993).
fn is_prime(candidate: u32) -> bool {
    let modulus = u64::from(candidate);
    let twos = (candidate - 1).trailing_zeros();
    let odd = (candidate - 1) >> twos;
    [2, 3, 5, 7].into_iter().all(|base| {
        let mut value = u64::from(power(base, odd, modulus));
        if value == 1 || value == modulus - 1 {
            return true;
        }
        for _ in 1..twos {
            value = value * value % modulus;
            if value == modulus - 1 {
                return true;
            }
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::{Prime, is_prime};
    use crate::random::seeded::Seeded;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn field_agrees_with_wide_arithmetic(seed: u64, a: u64, b: u32, c: u32) {
            let prime = Prime::draw(&mut Seeded::new(seed));
            let p = u64::from(prime.modulus);
            prop_assert!(p > 1 << 30 && p < 1 << 31);
            prop_assert_eq!(u64::from(prime.reduce(a)), a % p);
            let (b, c) = (prime.reduce(b.into()), prime.reduce(c.into()));
            prop_assert_eq!(u64::from(prime.subtract(b, c)), (u64::from(b) + p - u64::from(c)) % p);
            prop_assert_eq!(u64::from(prime.multiply_add(b, b, c)), (u64::from(b) + u64::from(b) * u64::from(c)) % p);
            prop_assert_eq!(u64::from(prime.negate(b)), (p - u64::from(b)) % p);
            if b != 0 {
                prop_assert_eq!(prime.multiply(b, prime.inverse(b)), 1);
            }
        }
    }

    proptest! {
        /// Each small fraction is found again, and what is found is the number.
        #[test]
        fn field_finds_small_fractions(seed: u64, numerator in -1_024_i64..=1_024, denominator in 1_u32..=1_024, any: u32) {
            let prime = Prime::draw(&mut Seeded::new(seed));
            let p = i64::from(prime.modulus);
            let of = |numerator: i64, denominator: u32| {
                let numerator = u32::try_from(numerator.rem_euclid(p)).unwrap();
                prime.multiply(numerator, prime.inverse(denominator))
            };
            if numerator != 0 {
                let (found, divisor) = prime.fraction(of(numerator, denominator), 1_024).unwrap();
                prop_assert_eq!(found * i64::from(denominator), numerator * divisor);
                prop_assert!((1..=i64::from(denominator)).contains(&divisor), "in lowest terms");
            }
            let any = prime.reduce(any.into());
            if let Some((found, divisor)) = prime.fraction(any, 1_024) {
                prop_assert_eq!(of(found, u32::try_from(divisor).unwrap()), any);
            }
        }
    }

    #[test]
    fn field_reduces_the_extremes() {
        for modulus in [1_073_741_827, 2_147_483_647] {
            let prime = Prime::of(modulus);
            let p = u64::from(modulus);
            for value in [0, p - 1, p, p * p - 1, p * p, u64::MAX - 1, u64::MAX] {
                assert_eq!(u64::from(prime.reduce(value)), value % p);
            }
            assert_eq!(prime.inverse(0), 0);
        }
    }

    #[test]
    fn primes_are_those_of_trial_division() {
        let by_division = |n: u32| {
            (3..)
                .step_by(2)
                .take_while(|d| d * d <= n)
                .all(|d| !n.is_multiple_of(d))
        };
        for candidate in (1_073_741_825..1_073_742_825).step_by(2) {
            assert_eq!(is_prime(candidate), by_division(candidate), "{candidate}");
        }
    }

    #[test]
    fn primes_differ_from_draw_to_draw() {
        let mut entropy = Seeded::new(3);
        let drawn: std::collections::BTreeSet<u32> = (0..100).map(|_| Prime::draw(&mut entropy).modulus).collect();
        assert_eq!(drawn.len(), 100);
    }
}
