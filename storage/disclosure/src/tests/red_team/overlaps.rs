//! Many sets that have the target and little else in common.
//!
//! No figure about few people follows from such sets, and each has noise of its own. But each is also a measurement of the target, and the
//! others in it are noise that averages out: what n counts with noise of a constant size leave private is bounded (Dinur, Nissim 2003).
//!
//! How much better than guessing the attack is takes thousands of tables to measure. [`over_secrets`] measures it by fewer: the sets of a table are
//! decided once, and have the noise of many secrets, with either value of the target.

use std::num::NonZeroU32;
use std::ops::Range;

use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Noise;

use super::cases::OVERLAPS;
use super::figure::Figure;
use super::numbers::Numbers;
use super::register::{all, any, secret};
use super::score::{Outcome, Trial, judged};
use super::system::{Answering, K, Kind, Rules};
use super::target::{Parties, Target};
use crate::perturbation::Perturbation;
use crate::{CellSecret, Condition, Epochs, KeySum, Mode, RecordKeys, UnitSet};

/// As many as the bases of a table of 900 people have capacity for.
const SETS: usize = 90;

/// So many that nearly none is below its threshold.
const MEMBERS: usize = 100;

/// Those without the secret are counted, because there are more of them: the audit admits about one set for nine people that sets are drawn
/// from.
pub(super) fn with_the_target(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    // The check of intervals takes longer with each exact set, and what they have in common is not about exact figures.
    let sets = if parties.ours.mode() == Some(Mode::Exact) {
        SETS / 10
    } else {
        SETS
    };
    let shown = requested(target, &mut *parties.ours, sets);
    let found: Vec<Figure> = shown
        .into_iter()
        .map(|(_, count)| estimate(count, target.prevalence))
        .collect();
    Figure::combined(&found)
}

/// Of sets of people with the target, those whose number without the secret is shown.
fn requested(target: &mut Target<'_>, party: &mut dyn Answering, sets: usize) -> Vec<(Vec<u32>, Figure)> {
    let others = target.others(MEMBERS);
    let conditions: Vec<Condition> = others.iter().map(|person| target.register.only(*person)).collect();
    let mut order: Vec<usize> = (0..others.len()).collect();
    let mut shown = Vec::new();
    for _ in 0..sets {
        target.numbers.draw(&mut order, MEMBERS);
        let members = order.iter().take(MEMBERS);
        let of_members = members.clone().map(|at| conditions[*at].clone());
        let people = any(of_members.chain([target.register.only(target.person)]));
        let without = party.count(all([people, secret([0])]));
        shown.extend(without.map(|without| (members.map(|at| others[*at]).collect(), without)));
    }
    shown
}

/// Whether the target has the secret, by the number of those in a set who have not.
fn estimate(without: Figure, prevalence: f64) -> Figure {
    let of_others = Figure {
        value: MEMBERS as f64 * prevalence,
        variance: MEMBERS as f64 * prevalence * (1.0 - prevalence),
    };
    Figure::exact(MEMBERS as f64 + 1.0) - without - of_others
}

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
