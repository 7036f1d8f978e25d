//! By which rules cells are decided.

use std::num::{NonZeroU16, NonZeroU32};

use concordat_protocol::scope::Protection;

use super::answered::AnsweredFigures;
use super::error::DecideError;
use crate::answer::Mode;
use crate::dominance::{Contributions, Dominance};
use crate::perturbation::{CellKey, Perturbation};

/// By how much the threshold of a set may exceed the least one, see [`CellKey::threshold`].
const THRESHOLDS: u64 = 2;

/// The rules of one answer.
#[derive(Debug)]
pub struct DisclosureRules {
    k: u32,
    dominance: Dominance,
    noise: Protected,
}

/// What is done with figures.
#[derive(Debug)]
enum Protected {
    Exact,
    Perturbed(Box<Perturbation>),
    Private,
}

impl DisclosureRules {
    /// The rules for cells of at least `k` subjects, and the default rule of dominance.
    ///
    /// # Errors
    /// [`DecideError::Threshold`] for fewer than two subjects, and [`DecideError::Noise`].
    pub fn new(k: u32, protection: &Protection) -> Result<Self, DecideError> {
        let smallest = NonZeroU32::new(k).filter(|k| k.get() >= 2);
        let smallest = smallest.ok_or(DecideError::Threshold(k))?;
        let noise = match protection {
            Protection::Exact => Protected::Exact,
            Protection::Perturbed(noise) => Protected::Perturbed(Box::new(Perturbation::of(*noise, smallest)?)),
            Protection::Private(_) => Protected::Private,
        };
        Ok(Self {
            k,
            dominance: Dominance::default(),
            noise,
        })
    }

    /// The least number of subjects of a figure.
    #[must_use]
    pub const fn k(&self) -> u32 {
        self.k
    }

    /// How figures are protected.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self.noise {
            Protected::Exact => Mode::Exact,
            Protected::Perturbed(_) => Mode::Perturbed,
            Protected::Private => Mode::Private,
        }
    }

    /// Refuses a query with so many sets in each cell if more would be shown, with those `answered` before, than the noise is for. A subject is in one
    /// cell of a query, so each set measures it once. What was answered with other noise counts as its noise is.
    ///
    /// # Errors
    /// [`DecideError::NoAnswers`]
    pub fn within_answers(&self, answered: AnsweredFigures, sets: u64) -> Result<(), DecideError> {
        let noise = self.perturbation();
        let Some((noise, limit)) = noise.and_then(|noise| Some((noise, noise.answers()?))) else {
            return Ok(());
        };
        let mut then = answered;
        then.add(sets, noise.variance());
        if then.are_within(limit) {
            Ok(())
        } else {
            Err(DecideError::NoAnswers {
                limit: limit.into(),
                answered: answered.figures(),
                left: answered.left(limit, noise.variance()),
                asked: sets,
            })
        }
    }

    /// The variance of the noise of figures; `None` if they are not perturbed.
    #[must_use]
    pub fn variance(&self) -> Option<NonZeroU16> {
        NonZeroU16::new(self.perturbation()?.variance())
    }

    /// The standard deviation of a count with noise that is a function of its set; `None` in the other modes.
    #[must_use]
    pub fn count_deviation(&self) -> Option<f64> {
        Some(self.perturbation()?.count_deviation())
    }

    /// A number of subjects from which on every set of exact or perturbed figures reaches its threshold.
    #[must_use]
    pub fn certain_threshold(&self) -> u64 {
        let more = self.perturbation().map_or(0, Perturbation::gap);
        u64::from(self.k).saturating_add(THRESHOLDS).saturating_add(more)
    }

    /// The fewest subjects with which the set of this key is released.
    pub(super) fn threshold(&self, key: &CellKey) -> u64 {
        match &self.noise {
            Protected::Perturbed(perturbation) => perturbation.threshold(key),
            Protected::Exact | Protected::Private => key.threshold(u64::from(self.k)),
        }
    }

    /// Whether few subjects are most of an exact sum. With noise nothing is withheld for that: the noise is as large as the range admits one
    /// contribution to be, and that a sum is withheld would show what the noise hides.
    pub(super) fn is_dominated(&self, contributions: &Contributions) -> bool {
        self.mode() == Mode::Exact && self.dominance.withholds(contributions)
    }

    /// The noise of perturbed figures.
    pub(super) fn perturbation(&self) -> Option<&Perturbation> {
        match &self.noise {
            Protected::Perturbed(perturbation) => Some(perturbation),
            Protected::Exact | Protected::Private => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use concordat_protocol::scope::Noise;

    use super::*;
    use crate::perturbation::{CellSecret, KeySum};

    #[test]
    fn rules_need_cells_of_two_subjects() {
        for k in [0, 1] {
            let refused = DisclosureRules::new(k, &Protection::Exact).unwrap_err();
            assert_eq!(refused, DecideError::Threshold(k));
        }
        assert!(DisclosureRules::new(2, &Protection::Exact).is_ok());
    }

    /// A figure more than the noise is for is refused, whatever it is about.
    #[test]
    fn answers_are_as_many_as_the_noise_is_for() {
        let noise = Noise::for_answers(4).unwrap();
        let rules = DisclosureRules::new(10, &Protection::Perturbed(noise)).unwrap();
        for (answered, sets, is_free) in [(0, 4, true), (0, 5, false), (3, 1, true), (3, 2, false), (4, 1, false)] {
            let expected = if is_free {
                Ok(())
            } else {
                Err(DecideError::NoAnswers {
                    limit: 4,
                    answered,
                    left: 4 - answered,
                    asked: sets,
                })
            };
            let mut before = AnsweredFigures::default();
            before.add(answered, noise.variance());
            assert_eq!(rules.within_answers(before, sets), expected, "{answered} {sets}");
        }
        // Noise for as many more answers, and some with less noise before.
        let more = DisclosureRules::new(10, &Protection::Perturbed(Noise::for_answers(64).unwrap())).unwrap();
        let mut before = AnsweredFigures::default();
        before.add(4, noise.variance());
        assert_eq!(
            more.within_answers(before, 1),
            Err(DecideError::NoAnswers {
                limit: 64,
                answered: 4,
                left: 0,
                asked: 1
            })
        );
        assert_eq!(rules.variance(), NonZeroU16::new(68));
        let exact = DisclosureRules::new(10, &Protection::Exact).unwrap();
        before.add(u64::MAX, 17);
        assert_eq!((exact.within_answers(before, 1), exact.variance()), (Ok(()), None));
    }

    /// The refusal has the numbers that its reader needs, and what to do: another step if nothing is left.
    #[test]
    fn answers_that_are_used_up_are_stated_in_numbers() {
        let noise = Noise::for_answers(4).unwrap();
        let rules = DisclosureRules::new(10, &Protection::Perturbed(noise)).unwrap();
        let refusal = |before: u64, sets: u64| {
            let mut answered = AnsweredFigures::default();
            answered.add(before, noise.variance());
            rules.within_answers(answered, sets).unwrap_err().to_string()
        };
        let some = refusal(3, 2);
        for part in [
            "4 figures are allowed",
            "3 were answered",
            "1 are left",
            "this query has 2",
            "fewer aggregates",
        ] {
            assert!(some.contains(part), "{part}: {some}");
        }
        let none = refusal(4, 1);
        for part in ["0 are left", "answered again and uses none", "under every grant"] {
            assert!(none.contains(part), "{part}: {none}");
        }
        assert!(!none.contains("fewer aggregates"), "{none}");
    }

    #[test]
    fn certain_threshold_is_never_below_that_of_a_set() {
        let secret = CellSecret::new([1; 32]);
        let noise = Protection::Perturbed(Noise::new(3, 5, 5).unwrap());
        for protection in [Protection::Exact, noise] {
            let rules = DisclosureRules::new(10, &protection).unwrap();
            let keys = (0..50_u64).map(|key| secret.cell_key(KeySum::from_iter([key])));
            let thresholds: Vec<u64> = keys.map(|key| rules.threshold(&key)).collect();
            assert_eq!(thresholds.iter().max(), Some(&rules.certain_threshold()));
            assert!(thresholds.iter().all(|threshold| *threshold >= 10));
        }
    }
}
