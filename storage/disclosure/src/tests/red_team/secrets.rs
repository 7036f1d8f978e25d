//! How much better than guessing the attack by sets that overlap is.
//!
//! By tables it takes thousands of them to measure. Here the sets of a table are decided once, and have the noise of many secrets, with either
//! value of the target.

use std::num::NonZeroU32;
use std::ops::Range;

use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Noise;

use super::cases::OVERLAPS;
use super::figure::Figure;
use super::numbers::Numbers;
use super::overlaps::{SETS, estimate, requested};
use super::score::{Outcome, Trial, judged};
use super::system::{K, Kind, Rules};
use crate::perturbation::Perturbation;
use crate::{CellSecret, Epochs, KeySum, RecordKeys, UnitSet};

/// The attack on perturbed figures of these tables, with so many secrets each.
pub(super) fn over_secrets(rules: &Rules, tables: Range<u64>, secrets: u64) -> Outcome {
    let perturbation = Perturbation::of(Noise::default(), NonZeroU32::new(K).unwrap()).unwrap();
    let rules = rules.with(OVERLAPS.distinctions, OVERLAPS.has_neighbors);
    let mut outcome = Outcome::default();
    for seed in tables {
        let trial = Trial::new(&OVERLAPS, seed);
        let mut parties = trial.parties(&rules, Kind::Perturbed);
        let mut target = trial.target();
        let person = UnitSet::from_iter([target.person]);
        let of_secret = &trial.people().secret;
        let shown = requested(&mut target, &mut *parties.ours, SETS);
        let others: Vec<UnitSet> = shown
            .into_iter()
            .map(|(people, _)| {
                people
                    .into_iter()
                    .filter(|other| of_secret[*other as usize] == 0)
                    .collect()
            })
            .collect();
        let all: Vec<&UnitSet> = others.iter().chain([&person]).collect();
        let epochs = Epochs::new(VersionNumber::FIRST);
        let sums = RecordKeys::new(&[7; 32]).sums(&all, VersionNumber::FIRST, &epochs);
        let mut sums = sums.unwrap();
        let of_person = sums.pop().unwrap();
        let mut numbers = Numbers::new(seed ^ 0x0005_ec4e);
        for _ in 0..secrets {
            let secret = drawn(&mut numbers);
            for (truth, of_person, one) in [(1.0, KeySum::default(), 0), (0.0, of_person, 1)] {
                let figures = others.iter().zip(&sums).map(|(others, sum)| {
                    let key = secret.cell_key(sum.plus(of_person));
                    let count = perturbation.count(others.len() + one, &key).unwrap();
                    let count = perturbation.counted(count);
                    let count = Figure {
                        value: count.value,
                        variance: count.standard_deviation.powi(2),
                    };
                    estimate(count, target.prevalence)
                });
                let found = Figure::combined(&figures.collect::<Vec<_>>());
                outcome.add(&judged(found, truth, 0.5));
            }
        }
    }
    outcome
}

fn drawn(numbers: &mut Numbers) -> CellSecret {
    let mut bytes = [0; 32];
    let (words, _) = bytes.as_chunks_mut::<8>();
    words.iter_mut().for_each(|word| *word = numbers.word().to_le_bytes());
    CellSecret::new(bytes)
}
