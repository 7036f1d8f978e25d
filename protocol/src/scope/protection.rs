//! How the figures of an answer below records are protected.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::figures::FiguresWithNoise;
use super::invalid::{InvalidScope, Part, short};

/// How the figures of an answer below records are protected, from what reveals most to what reveals least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// Figures as they are computed, of groups that are large enough.
    #[default]
    Exact,
    /// Figures with noise that is the same for the same people.
    Perturbed(Noise),
    /// Figures with fresh noise, whose loss of privacy is counted and limited.
    Private(Loss),
}

impl Protection {
    /// The protection that reveals only what both reveal. Every perturbed figure reveals more than any private one.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Exact, x) | (x, Self::Exact) => *x,
            (Self::Perturbed(a), Self::Perturbed(b)) => Self::Perturbed(a.meet(b)),
            (Self::Private(a), Self::Private(b)) => Self::Private(a.meet(b)),
            (Self::Perturbed(_), Self::Private(loss)) | (Self::Private(loss), Self::Perturbed(_)) => {
                Self::Private(*loss)
            }
        }
    }

    /// Whether this protection reveals everything that `inner` reveals.
    pub fn covers(&self, inner: &Self) -> bool {
        self.meet(inner) == *inner
    }

    /// Which of the three it is.
    pub const fn name(&self) -> ProtectionName {
        match self {
            Self::Exact => ProtectionName::Exact,
            Self::Perturbed(_) => ProtectionName::Perturbed,
            Self::Private(_) => ProtectionName::Private,
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.pad("exact"),
            Self::Perturbed(noise) => write!(f, "perturbed, {noise}"),
            Self::Private(loss) => write!(f, "private, {loss}"),
        }
    }
}

/// The name of a [`Protection`], the one that reveals most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtectionName {
    /// See [`Protection::Exact`].
    Exact,
    /// See [`Protection::Perturbed`].
    Perturbed,
    /// See [`Protection::Private`].
    Private,
}

impl ProtectionName {
    /// All of them, the one that reveals most first.
    pub const ALL: [Self; 3] = [Self::Exact, Self::Perturbed, Self::Private];

    /// The name as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Perturbed => "perturbed",
            Self::Private => "private",
        }
    }

    /// The protection of this name that reveals most. Its meet with any other one of this name is the other: it states the name, and leaves noise and
    /// loss to the other side.
    #[must_use]
    pub const fn widest(self) -> Protection {
        match self {
            Self::Exact => Protection::Exact,
            Self::Perturbed => Protection::Perturbed(Noise::LEAST),
            Self::Private => Protection::Private(Loss::MOST),
        }
    }
}

impl std::str::FromStr for ProtectionName {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let named = Self::ALL.into_iter().find(|name| name.as_str() == text);
        named.ok_or_else(|| {
            InvalidScope::new(
                Part::Protection,
                format!(
                    "`{}` is not a protection; write exact, perturbed or private",
                    short(text)
                ),
            )
        })
    }
}

impl fmt::Display for ProtectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Noise of perturbed counts. INVARIANT: the variance is below the square of `max`, and `round` is 1 to 10. For a number of answers, which is 1 to
/// 64, the variance is at least so many times [`Noise::FOR_AN_ANSWER`] and at most 1,088, and `max` is at least five standard deviations and at most
/// 165; otherwise the variance is 1 to 16, and `max` is 2 to 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawNoise", into = "RawNoise")]
pub struct Noise {
    variance: u16,
    max: u8,
    round: u8,
    answers: Option<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNoise {
    variance: u16,
    max: u8,
    round: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answers: Option<u8>,
}

impl Default for Noise {
    /// That for 32 answers: a variance of 544, at most 120 subjects, multiples of 5. Counts differ from the true ones by some 23 subjects, and are
    /// never below a cell.
    fn default() -> Self {
        Self::of(FiguresWithNoise::DEFAULT)
    }
}

impl Noise {
    /// The variance for each answer, see [`Self::for_answers`].
    pub const FOR_AN_ANSWER: u16 = 17;

    /// The least noise that there is, for any number of answers. It is what is stated of noise that the other side decides, and never what figures have.
    pub const LEAST: Self = Self {
        variance: 1,
        max: 2,
        round: 1,
        answers: None,
    };

    /// The largest variance, and the largest deviation: those for the most answers.
    const MAX_VARIANCE: u16 = 1_088;
    const MAX_DEVIATION: u8 = 165;

    /// Deviations with this variance, none larger than `max` subjects; counts are then rounded to multiples of `round`.
    ///
    /// # Errors
    /// [`InvalidScope`] if a number is out of its bounds, or if deviations of at most `max` cannot have the variance: with a mean of zero
    /// it is at most `max` times `max`, and then each deviation is `max`, which shows the count.
    pub fn new(variance: u16, max: u8, round: u8) -> Result<Self, InvalidScope> {
        Self::bounded(variance, max, round, None)
    }

    /// The noise with which an attacker who gets so many answers that each count one person, and knows no value of the others, guesses a
    /// value of this person right at most five times more in a hundred than without them.
    ///
    /// Each answer is the value, 0 or 1, with noise of variance `v`. The mean of `n` of them separates the two values by
    /// `sqrt(n / v)` standard deviations, and if both are as likely, the better guess is right with the probability `Phi(sqrt(n / v) / 2)`. That is
    /// 0.55 for `v = 15.8 n`, and 0.548 for `v = 17 n`, which is what is added: deviations are whole numbers with a bound, and so not quite normal. It is
    /// five standard deviations: with three, the ends of the distribution show more than its middle, and 64 answers leave 5.2 points. Rounding
    /// and the values of the others make it less. If one of the values is more likely, more answers are needed for the same gain.
    ///
    /// # Errors
    /// [`InvalidScope`] if the number is not 1 to 64.
    pub fn for_answers(answers: u8) -> Result<Self, InvalidScope> {
        FiguresWithNoise::new(answers).map(Self::of)
    }

    /// As [`Self::for_answers`], for a number of them that is valid.
    #[must_use]
    pub fn of(figures: FiguresWithNoise) -> Self {
        let answers = figures.get();
        let variance = Self::FOR_AN_ANSWER.saturating_mul(u16::from(answers));
        let max = Self::least_bound(variance);
        Self {
            variance,
            max: u8::try_from(max).unwrap_or(u8::MAX),
            round: 5,
            answers: Some(answers),
        }
    }

    /// Five standard deviations, rounded up.
    fn least_bound(variance: u16) -> u16 {
        variance.isqrt().saturating_add(1).saturating_mul(5)
    }

    fn bounded(variance: u16, max: u8, round: u8, answers: Option<u8>) -> Result<Self, InvalidScope> {
        let invalid = |detail: &str| Err(InvalidScope::new(Part::Protection, detail));
        let least = answers.map_or(1, |answers| Self::FOR_AN_ANSWER.saturating_mul(u16::from(answers)));
        answers.map(FiguresWithNoise::new).transpose()?;
        if answers.is_some() && !(least..=Self::MAX_VARIANCE).contains(&variance) {
            return invalid("the variance of noise is at least 17 for each answer, and at most 1,088");
        }
        if answers.is_none() && !(1..=16).contains(&variance) {
            return invalid("the variance of noise is 1 to 16, or follows from a number of answers");
        }
        if answers.is_none() && !(2..=20).contains(&max) {
            return invalid("the largest deviation of noise is 2 to 20, or follows from a number of answers");
        }
        if answers.is_some() && (u16::from(max) < Self::least_bound(variance) || max > Self::MAX_DEVIATION) {
            return invalid(
                "the largest deviation of noise for answers is five standard deviations or more, and at most 165",
            );
        }
        if !(1..=10).contains(&round) {
            return invalid("counts are rounded to multiples of 1 to 10");
        }
        if variance >= u16::from(max).saturating_mul(u16::from(max)) {
            return invalid("the variance of noise is below the square of its largest deviation");
        }
        Ok(Self {
            variance,
            max,
            round,
            answers,
        })
    }

    /// How many answers the noise is for, of which each counts a subject once; `None` if their number is not limited by it.
    pub const fn answers(&self) -> Option<u8> {
        self.answers
    }

    /// The variance of deviations.
    pub const fn variance(&self) -> u16 {
        self.variance
    }

    /// The largest deviation, in subjects.
    pub const fn max(&self) -> u8 {
        self.max
    }

    /// Released counts are multiples of it.
    pub const fn round(&self) -> u8 {
        self.round
    }

    /// The least noise that is at least both, for the fewer answers: fewer answers have less noise for themselves, but a figure with less noise than one
    /// side states would reveal more than that side. The larger variance is below the square of its own `max`, and so below that of the larger.
    fn meet(&self, other: &Self) -> Self {
        Self {
            variance: self.variance.max(other.variance),
            max: self.max.max(other.max),
            round: self.round.max(other.round),
            answers: match (self.answers, other.answers) {
                (Some(one), Some(two)) => Some(one.min(two)),
                (one, two) => one.or(two),
            },
        }
    }
}

impl TryFrom<RawNoise> for Noise {
    type Error = InvalidScope;
    fn try_from(raw: RawNoise) -> Result<Self, InvalidScope> {
        Self::bounded(raw.variance, raw.max, raw.round, raw.answers)
    }
}

impl From<Noise> for RawNoise {
    fn from(noise: Noise) -> Self {
        Self {
            variance: noise.variance,
            max: noise.max,
            round: noise.round,
            answers: noise.answers,
        }
    }
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::LEAST {
            return f.write_str("any noise");
        }
        write!(
            f,
            "noise of variance {} up to {}, multiples of {}",
            self.variance, self.max, self.round
        )?;
        match self.answers {
            Some(answers) => write!(f, ", for {answers} answers"),
            None => Ok(()),
        }
    }
}

/// How much privacy may be lost. INVARIANT: `query` is at most `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawLoss", into = "RawLoss")]
pub struct Loss {
    query: MicroRho,
    total: MicroRho,
    delta: DeltaExponent,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLoss {
    query: MicroRho,
    total: MicroRho,
    delta: DeltaExponent,
}

impl Loss {
    /// The loss where nothing else is set: a hundredth of `rho` a query, and a hundred queries. All of them together are an epsilon of 8.5
    /// at a delta of one in a million, and a number of subjects has a standard deviation of about 7.
    pub const DEFAULT: Self = Self {
        query: MicroRho(MicroRho::PER_RHO / 100),
        total: MicroRho(MicroRho::PER_RHO),
        delta: DeltaExponent(6),
    };

    /// The most that may be lost at all. It is what is stated of a loss that the other side decides.
    pub const MOST: Self = Self {
        query: MicroRho(MicroRho::MAX),
        total: MicroRho(MicroRho::MAX),
        delta: DeltaExponent(6),
    };

    /// What one query may lose, what all queries may lose together, and the delta of what is shown of it.
    ///
    /// # Errors
    /// [`InvalidScope`] if one query may lose more than all.
    pub fn new(query: MicroRho, total: MicroRho, delta: DeltaExponent) -> Result<Self, InvalidScope> {
        if query > total {
            return Err(InvalidScope::new(
                Part::Protection,
                "one query may not lose more privacy than all queries together",
            ));
        }
        Ok(Self { query, total, delta })
    }

    /// The most that one query may lose.
    pub const fn query(&self) -> MicroRho {
        self.query
    }

    /// The most that all queries may lose together.
    pub const fn total(&self) -> MicroRho {
        self.total
    }

    /// At which delta an epsilon is stated.
    pub const fn delta(&self) -> DeltaExponent {
        self.delta
    }

    /// The smaller losses and the smaller delta. The smaller query is at most either total, because each query is at most its own.
    fn meet(&self, other: &Self) -> Self {
        Self {
            query: self.query.min(other.query),
            total: self.total.min(other.total),
            delta: self.delta.max(other.delta),
        }
    }
}

impl TryFrom<RawLoss> for Loss {
    type Error = InvalidScope;
    fn try_from(raw: RawLoss) -> Result<Self, InvalidScope> {
        Self::new(raw.query, raw.total, raw.delta)
    }
}

impl From<Loss> for RawLoss {
    fn from(loss: Loss) -> Self {
        Self {
            query: loss.query,
            total: loss.total,
            delta: loss.delta,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::MOST {
            return f.write_str("any loss");
        }
        let Self { query, total, delta } = self;
        write!(f, "rho of {query} a query and {total} in all, delta of {delta}")
    }
}

/// A loss of privacy, in millionths of the `rho` of zero-concentrated differential privacy: 1 to 100,000,000.
///
/// A `rho` of 100 is an epsilon above 100, which protects nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct MicroRho(u64);

impl MicroRho {
    /// How many of them are a `rho` of one.
    pub const PER_RHO: u64 = 1_000_000;
    /// The most there can be.
    pub const MAX: u64 = 100 * Self::PER_RHO;

    /// So many millionths.
    ///
    /// # Errors
    /// [`InvalidScope`] for 0 and for more than [`Self::MAX`].
    pub fn new(millionths: u64) -> Result<Self, InvalidScope> {
        if (1..=Self::MAX).contains(&millionths) {
            Ok(Self(millionths))
        } else {
            let detail = format!("a loss of privacy is 1 to {} millionths of rho", Self::MAX);
            Err(InvalidScope::new(Part::Protection, detail))
        }
    }

    /// In millionths.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for MicroRho {
    type Error = InvalidScope;
    fn try_from(millionths: u64) -> Result<Self, InvalidScope> {
        Self::new(millionths)
    }
}

impl From<MicroRho> for u64 {
    fn from(rho: MicroRho) -> Self {
        rho.0
    }
}

impl fmt::Display for MicroRho {
    /// In `rho`, with all six decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / Self::PER_RHO, self.0 % Self::PER_RHO)
    }
}

/// The `n` of `delta = 10^-n`: 6 to 12.
///
/// A delta above one in a million admits the release of single subjects of a large collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct DeltaExponent(u8);

impl DeltaExponent {
    /// This exponent.
    ///
    /// # Errors
    /// [`InvalidScope`] if it is not 6 to 12.
    pub fn new(exponent: u8) -> Result<Self, InvalidScope> {
        if (6..=12).contains(&exponent) {
            Ok(Self(exponent))
        } else {
            Err(InvalidScope::new(Part::Protection, "the exponent of delta is 6 to 12"))
        }
    }

    /// The exponent.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for DeltaExponent {
    type Error = InvalidScope;
    fn try_from(exponent: u8) -> Result<Self, InvalidScope> {
        Self::new(exponent)
    }
}

impl From<DeltaExponent> for u8 {
    fn from(delta: DeltaExponent) -> Self {
        delta.0
    }
}

impl fmt::Display for DeltaExponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "10^-{}", self.0)
    }
}
