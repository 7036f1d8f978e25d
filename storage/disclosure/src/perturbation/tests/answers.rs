//! What the best attack makes of as many figures as noise is for: computed, without a draw.
//!
//! Each figure measures one person, and of all others in it the value is known. The attacker knows the distribution of the noise, and decides by the
//! ratio of the probabilities of what was released (Neyman, Pearson 1933): no attack on these figures is better.

use std::collections::BTreeMap;

use concordat_protocol::scope::Protection;

use super::*;

/// Parts of one in which ratios are counted, as logarithms.
const PARTS: f64 = 2_000.0;

/// How many points better than a coin.
const BAR: f64 = 5.0;

/// Two distributions of one figure, by the person's value: the logarithm of the ratio, in [`PARTS`], with the probability for the first one. What has no
/// probability for one of them is on its own.
struct Evidence {
    ratios: BTreeMap<i32, f64>,
    certain: f64,
}

impl Evidence {
    fn of(outcomes: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut evidence = Self {
            ratios: BTreeMap::new(),
            certain: 0.0,
        };
        for (without, with) in outcomes {
            if without == 0.0 || with == 0.0 {
                evidence.certain += without.max(with);
            } else {
                let ratio = whole(((with / without).ln() * PARTS).round());
                *evidence.ratios.entry(ratio).or_default() += without;
            }
        }
        evidence
    }

    /// How many points better than a coin the best attack on so many figures is: one half of the distance of their distributions.
    fn points(&self, answers: u8) -> f64 {
        /// Larger ratios do not occur.
        const LARGEST: usize = 8 * 2_000;
        let mut sums = vec![0.0; 2 * LARGEST + 1];
        sums[LARGEST] = 1.0;
        let (mut low, mut high) = (LARGEST, LARGEST);
        for _ in 0..answers {
            let mut next = vec![0.0; sums.len()];
            let at = |sum: usize, ratio: i32| sum.saturating_add_signed(ratio as isize).min(2 * LARGEST);
            for (ratio, probability) in &self.ratios {
                for sum in low..=high {
                    next[at(sum, *ratio)] += sums[sum] * probability;
                }
            }
            sums = next;
            low = sums.iter().position(|sum| *sum > 1e-12).unwrap();
            high = sums.iter().rposition(|sum| *sum > 1e-12).unwrap();
        }
        let gain = |(at, sum): (usize, &f64)| sum * (1.0 - ((at as f64 - LARGEST as f64) / PARTS).exp()).max(0.0);
        50.0 * sums.iter().enumerate().map(gain).sum::<f64>() + 50.0 * f64::from(answers) * self.certain
    }
}

/// A set of `size` people without the value, or one more with it.
fn of_count(perturbation: &Perturbation, size: u64) -> Evidence {
    let mut outcomes: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (released, weight) in perturbation.outcomes(size, &key_of(1)) {
        outcomes.entry(released).or_default().0 += weight as f64 / 2.0_f64.powi(32);
    }
    for (released, weight) in perturbation.outcomes(size + 1, &key_of(1)) {
        outcomes.entry(released).or_default().1 += weight as f64 / 2.0_f64.powi(32);
    }
    Evidence::of(outcomes.into_values())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a whole number of at most some thousands"
)]
fn whole(number: f64) -> i32 {
    number as i32
}

/// A sum in which the person has the largest contribution, or none. The noise is evenly distributed between two outcomes, so with the person's contribution
/// each of them is divided at one point.
fn of_mean(perturbation: &Perturbation) -> Evidence {
    let (weights, resolution) = perturbation.contributions().weights();
    let weights: BTreeMap<i32, f64> = weights
        .into_iter()
        .map(|(outcome, weight)| (outcome, weight as f64 / 2.0_f64.powi(32)))
        .collect();
    let moved = resolution / perturbation.contribution_deviation();
    let (whole, part) = (self::whole(moved.floor()), moved.fract());
    let (first, last) = (*weights.keys().next().unwrap(), *weights.keys().last().unwrap());
    let weight = |outcome: i32| weights.get(&outcome).copied().unwrap_or(0.0);
    let pieces = (first..=last + whole + 1).flat_map(|outcome| {
        let moved = |by: i32, part: f64| (part * weight(outcome), part * weight(outcome - by));
        [moved(whole, 1.0 - part), moved(whole + 1, part)]
    });
    Evidence::of(pieces.collect::<Vec<_>>().into_iter())
}

/// From the smallest set that is shown to large ones, and for each number of answers that a grant can state.
#[test]
fn noise_for_answers_leaves_five_points() {
    let mut largest = 0.0_f64;
    for answers in [1, 2, 4, 8, 16, 32, 48, 64] {
        let perturbation = with(Noise::for_answers(answers).unwrap(), 10);
        let least = 10 + perturbation.gap();
        for size in [least, least + 1, least + 7, 40, 75, 200] {
            let points = of_count(&perturbation, size).points(answers);
            assert!(points < BAR, "{answers} answers about {size}: {points:.2}");
            largest = largest.max(points);
        }
        let points = of_mean(&perturbation).points(answers);
        assert!(points < BAR, "{answers} means: {points:.2}");
        println!("{answers} answers: counts {largest:.2}, means {points:.2}");
    }
    assert!(largest > 4.5, "more noise than is needed: {largest:.2}");
}

/// What two sides agree on has the larger variance, for the fewer answers.
#[test]
fn noise_that_is_agreed_on_leaves_five_points() {
    let of = |answers| Protection::Perturbed(Noise::for_answers(answers).unwrap());
    let Protection::Perturbed(noise) = of(8).meet(&of(64)) else {
        panic!("both are noise")
    };
    let perturbation = with(noise, 10);
    let points = of_count(&perturbation, 10 + perturbation.gap()).points(8);
    assert!(points < BAR / 2.0, "{points:.2}");
}
