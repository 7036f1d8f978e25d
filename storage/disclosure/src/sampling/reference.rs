//! What the samplers are compared with, in tests.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::bits::Bits;
use crate::entropy::Entropy;

/// A generator that gives the same bytes for the same seed.
#[derive(Debug)]
pub(crate) struct Seeded(blake3::OutputReader);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

/// How many draws a comparison makes: a million where code is optimized.
pub(super) const fn draws() -> u64 {
    if cfg!(debug_assertions) { 60_000 } else { 1_000_000 }
}

/// A distribution, computed from all strings of some number of bits.
#[derive(Debug)]
pub(super) struct Exact<T> {
    /// How probable each outcome is that these bits decide.
    pub(super) outcomes: BTreeMap<T, f64>,
    /// How probable it is that they decide none.
    pub(super) undecided: f64,
}

impl<T: Ord + Debug> Exact<T> {
    /// The probability lies in the range that the undecided strings leave.
    pub(super) fn assert_probability(&self, outcome: &T, probability: f64) {
        let decided = self.outcomes.get(outcome).copied().unwrap_or(0.0);
        assert!(
            decided <= probability + 1e-12 && probability <= decided + self.undecided + 1e-12,
            "{outcome:?} has {decided} to {}, not {probability}",
            decided + self.undecided
        );
    }
}

/// All strings of `length` bits are tried: those after which the sampler needs more are undecided.
pub(super) fn exact_probabilities<T: Ord>(length: u32, sampler: impl Fn(&mut Bits<'_>) -> T) -> Exact<T> {
    let each = 0.5_f64.powi(length.try_into().unwrap());
    let mut exact = Exact {
        outcomes: BTreeMap::new(),
        undecided: 0.0,
    };
    for string in 0..1_u64 << length {
        let mut entropy = Given(Some(string));
        let mut bits = Bits::new(&mut entropy);
        let outcome = sampler(&mut bits);
        if bits.used <= u64::from(length) {
            *exact.outcomes.entry(outcome).or_default() += each;
        } else {
            exact.undecided += each;
        }
    }
    exact
}

/// One word that is given, and random ones after it.
struct Given(Option<u64>);

impl Entropy for Given {
    fn fill(&mut self, bytes: &mut [u8]) {
        match self.0.take() {
            Some(word) => bytes.copy_from_slice(&word.to_le_bytes()),
            None => Seeded::new(0).fill(bytes),
        }
    }
}

/// Compares how often each outcome was drawn with its probability, by a chi-square test with all outcomes that are expected ten times or
/// more, and the two tails as one outcome each.
///
/// The limit is five standard deviations of the statistic, both above and below: the seeds are fixed, so the result is always the same.
pub(super) fn assert_frequencies(drawn: impl Iterator<Item = i64>, number: u64, probability: impl Fn(i64) -> f64) {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for outcome in drawn {
        *counts.entry(outcome).or_default() += 1;
    }
    let expected = |outcome: i64| probability(outcome) * number as f64;
    let last = (0..).find(|outcome| expected(*outcome) < 10.0).unwrap() - 1;
    let within = |outcome: i64| (counts.get(&outcome).copied().unwrap_or(0), expected(outcome));
    let mut cells: Vec<(u64, f64)> = (-last..=last).map(within).collect();
    let tail = (number as f64 - cells.iter().map(|(_, expected)| expected).sum::<f64>()) / 2.0;
    cells.push((counts.range(..-last).map(|(_, count)| count).sum(), tail));
    cells.push((counts.range(last + 1..).map(|(_, count)| count).sum(), tail));
    let used: Vec<_> = cells.into_iter().filter(|(_, expected)| *expected > 1.0).collect();
    let terms = used
        .iter()
        .map(|(count, expected)| (*count as f64 - expected).powi(2) / expected);
    let statistic: f64 = terms.sum();
    let degrees = used.len() as f64 - 1.0;
    assert!(
        (statistic - degrees).abs() <= 5.0 * (2.0 * degrees).sqrt(),
        "chi-square {statistic} with {degrees} degrees of freedom"
    );
}
