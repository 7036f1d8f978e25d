//! How much was released of each subject with noise.

use concordat_protocol::scope::Noise;

/// The figures with noise that were released of each subject, and how precise they are together.
///
/// Figures of one subject with variances `v` show as much as a single figure with the variance `1 / sum(1 / v)`, which is what is limited: `n` figures with
/// noise for `n` answers are all that there may be, whatever `n` is, and so are half of those for `n` and half of those for `m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnsweredFigures {
    figures: u64,
    /// In parts of [`Self::ALL`].
    precision: u64,
}

impl AnsweredFigures {
    /// The precision of all figures that there is noise for. Divisions by a variance lose less than one part of it in 2^34.
    const ALL: u64 = 1 << 40;

    /// Adds figures with noise of this variance, of one subject.
    pub fn add(&mut self, figures: u64, variance: u16) {
        self.figures = self.figures.saturating_add(figures);
        self.precision = self
            .precision
            .saturating_add(figures.saturating_mul(Self::each(variance)));
    }

    /// The precision of one figure with this variance.
    fn each(variance: u16) -> u64 {
        let all = Self::ALL.saturating_mul(Noise::FOR_AN_ANSWER.into());
        all.checked_div(variance.into()).unwrap_or(u64::MAX)
    }

    /// How many there are.
    #[must_use]
    pub const fn figures(&self) -> u64 {
        self.figures
    }

    /// How many more figures with this variance may be released, where there is noise for `answers`.
    #[must_use]
    pub fn left(&self, answers: u8, variance: u16) -> u64 {
        let precision = Self::ALL.saturating_sub(self.precision);
        let precise = precision.checked_div(Self::each(variance)).unwrap_or(u64::MAX);
        u64::from(answers).saturating_sub(self.figures).min(precise)
    }

    /// Whether so many figures may be released with noise for `answers`, besides which there are others with more noise or less.
    #[must_use]
    pub fn are_within(&self, answers: u8) -> bool {
        self.figures <= u64::from(answers) && self.precision <= Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variance_for(answers: u8) -> u16 {
        Noise::for_answers(answers).unwrap().variance()
    }

    #[test]
    fn figures_with_one_noise_are_as_many_as_it_is_for() {
        for answers in 1..=64_u8 {
            let mut answered = AnsweredFigures::default();
            for number in 1..=answers {
                answered.add(1, variance_for(answers));
                assert!(answered.are_within(answers), "{number} of {answers}");
            }
            assert_eq!(answered.figures(), u64::from(answers));
            answered.add(1, variance_for(answers));
            assert!(
                !answered.are_within(answers) && !answered.are_within(u8::MAX),
                "{answers}"
            );
        }
    }

    /// What is left is what may be released, and one more may not.
    #[test]
    fn figures_left_are_those_that_may_be_released() {
        for (before, variance_before, answers) in [
            (0, 32, 32),
            (5, 32, 32),
            (32, 32, 32),
            (4, 8, 64),
            (1, 2, 64),
            (8, 8, 64),
            (63, 64, 8),
            (3, 64, 8),
        ] {
            let mut answered = AnsweredFigures::default();
            answered.add(before, variance_for(variance_before));
            let left = answered.left(answers, variance_for(answers));
            for (more, is_free) in [(left, true), (left + 1, false)] {
                let mut then = answered;
                then.add(more, variance_for(answers));
                let is_within = then.are_within(answers) || more == 0;
                assert_eq!(
                    is_within, is_free,
                    "{before} for {variance_before}, {more} for {answers}"
                );
            }
        }
        let mut half = AnsweredFigures::default();
        half.add(4, variance_for(8));
        assert_eq!(half.left(64, variance_for(64)), 32, "half of the precision is left");
    }

    /// A number that is raised again and again gives no more than one number: in all, the figures are as one with the variance 17.
    #[test]
    fn figures_with_different_noise_are_not_more_precise_together() {
        let mut answered = AnsweredFigures::default();
        let mut precision = 0.0;
        for answers in [2_u8, 4, 8, 16, 32, 64] {
            loop {
                let mut more = answered;
                more.add(1, variance_for(answers));
                if !more.are_within(answers) {
                    break;
                }
                answered = more;
                precision += 1.0 / f64::from(variance_for(answers));
            }
        }
        assert_eq!(answered.figures(), 2, "the first ones are all that there may be");
        assert!(precision <= 1.0 / f64::from(Noise::FOR_AN_ANSWER) + 1e-9, "{precision}");
        let mut half = AnsweredFigures::default();
        half.add(4, variance_for(8));
        half.add(32, variance_for(64));
        assert!(half.are_within(64));
        half.add(1, variance_for(64));
        assert!(!half.are_within(64), "half of each is all");
        let mut known = AnsweredFigures::default();
        known.add(1, 3);
        assert!(
            !known.are_within(64),
            "noise without a number is less than there may be"
        );
        known.add(u64::MAX, 0);
        assert_eq!(known.figures(), u64::MAX);
    }
}
