//! The rules.

use super::contributions::{Contributions, KEPT};

/// When a sum is withheld: the (n, k) rule and the p % rule, either of which is enough.
///
/// The default is 2, 75 % and 10 %. INVARIANT: within the bounds of [`Dominance::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dominance {
    number: u8,
    percent: u8,
    protection: u8,
}

/// Rules outside their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DominanceError {
    /// How many contributions are compared with the sum.
    #[error("the rule of dominance compares the 1 to {KEPT} largest contributions")]
    Number,
    /// The percentage of the sum.
    #[error("the largest contributions may be 1 to 99 % of the sum")]
    Percent,
    /// The percentage of the largest contribution.
    #[error("the largest contribution is protected to within 1 to 100 %")]
    Protection,
}

impl Dominance {
    /// The `number` largest contributions may be at most `percent` of the sum of all magnitudes, and all but the two largest at least
    /// `protection` percent of the largest.
    ///
    /// # Errors
    /// [`DominanceError`] unless they are 1 to 5, 1 to 99, and 1 to 100.
    pub const fn new(number: u8, percent: u8, protection: u8) -> Result<Self, DominanceError> {
        if number == 0 || number as usize > KEPT {
            return Err(DominanceError::Number);
        }
        if percent == 0 || percent > 99 {
            return Err(DominanceError::Percent);
        }
        if protection == 0 || protection > 100 {
            return Err(DominanceError::Protection);
        }
        Ok(Self {
            number,
            percent,
            protection,
        })
    }

    /// Whether the sum of these contributions is withheld.
    ///
    /// Real numbers are known to within one part in 2^52 of their range, and compared as if the largest ones were as large, and the
    /// others as small, as that admits. A sum of zeros is withheld: it shows each of its contributions. So is a sum of at most `number`
    /// contributions.
    pub fn withholds(&self, contributions: &Contributions) -> bool {
        let number = usize::from(self.number);
        let (largest, rest) = (contributions.largest(number), contributions.rest(number));
        // largest > percent · (largest + rest), of sums below 2^97.
        let (percent, protection) = (u128::from(self.percent), u128::from(self.protection));
        let is_dominated = (100 - percent).saturating_mul(largest) > percent.saturating_mul(rest);
        // The second largest contributor can subtract its own from the sum: what is left names the largest to within the others.
        let others = contributions.rest(2).saturating_mul(100);
        is_dominated || others == 0 || others < protection.saturating_mul(contributions.largest(1))
    }
}

impl Default for Dominance {
    fn default() -> Self {
        Self {
            number: 2,
            percent: 75,
            protection: 10,
        }
    }
}
