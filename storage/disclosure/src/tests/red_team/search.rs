//! A search for attacks that are in no list (Cretu, Houssiau, Cully, de Montjoye, "QuerySnout", 2022; Stevanoski and others,
//! "QueryCheetah", 2024). The code is our own.
//!
//! 1. The attacker knows the target's columns and how people are distributed, not the table. Tables are drawn of that distribution, and the
//!    target is put into each, with the secret or without it: *shadows*.
//! 2. An attack is a list of pairs of queries. Each is for the number of people who have the secret, are like the target in some columns,
//!    and are not like the target in all of some others.
//! 3. Its answers on one half of the shadows train a logistic regression of the secret; how often that is right on the other half is its
//!    fitness. The better half of the attacks survives, and the others are replaced by changed copies.
//! 4. The best attack is tried on tables that were not used before, in which the target has the secret as often as other people do.

use std::rc::Rc;

use super::data::{Data, Query};
use super::figure::Figure;
use super::numbers::Numbers;
use super::people::People;
use super::register::{Register, all, has_secret, not};
use super::regression::{Features, Model};
use super::score::{Outcome, judged};
use super::system::{Kind, Rules};
use crate::{Condition, UnitSet};

/// People of a shadow.
const PEOPLE: u32 = 500;

/// How much is searched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Attacks at a time; even.
    pub(super) attacks: usize,
    pub(super) generations: usize,
    /// Pairs of queries of an attack.
    pub(super) pairs: usize,
    /// Tables by which an attack is judged; even.
    pub(super) shadows: u64,
    /// Tables on which the best one is tried.
    pub(super) trials: u64,
}

/// The people of a query, by columns: bits of a number.
#[derive(Clone, Copy, Debug)]
struct Selection {
    /// Like the target in these.
    like: u32,
    /// But not in all of these, if there are any.
    unlike: u32,
}

/// Two queries, of which the difference is a feature too.
type Pair = [Selection; 2];

/// The tables of one target.
struct Shadows<'a> {
    rules: &'a Rules,
    kind: Kind,
    register: &'a Register,
    /// Person 0 is the target.
    tables: Vec<(Rc<Data>, bool)>,
}

/// Searches for an attack on one target, and tries the best one. `seed` is that of the target.
pub(super) fn best(rules: &Rules, kind: Kind, effort: Effort, seed: u64) -> Outcome {
    let original = People::generated(PEOPLE, seed);
    let register = original.register();
    let mut numbers = Numbers::new(seed ^ 0x005e_a4c4);
    let target = (0..PEOPLE).find(|person| register.is_unique(*person)).unwrap();
    let table = |at: u64, has_secret: bool| {
        let mut people = People::generated(PEOPLE, seed + 2 * (at + 1) * 1_000_003);
        people.insert(0, &original, target);
        people.secret[0] = u32::from(has_secret);
        (Data::of(&people), has_secret)
    };
    let mut shadows = Shadows {
        rules,
        kind,
        register: &register,
        tables: (0..effort.shadows).map(|at| table(at, at % 2 == 0)).collect(),
    };
    let attack = shadows.evolved(target, effort, &mut numbers);
    let model = shadows.trained(&attack, target);
    let prevalence = original.prevalence(&(0..PEOPLE).collect::<Vec<_>>());
    let tried = (0..effort.trials).map(|at| table(effort.shadows + at, numbers.chance(prevalence)));
    shadows.tables = tried.collect();
    let mut outcome = Outcome::default();
    for at in 0..shadows.tables.len() {
        let evidence = model.evidence(&shadows.features(&attack, target, at));
        let found = Figure::of_evidence(evidence);
        outcome.add(&judged(
            Some(found),
            f64::from(u8::from(shadows.tables[at].1)),
            prevalence,
        ));
    }
    outcome
}

impl Shadows<'_> {
    /// The best attack after all generations.
    fn evolved(&self, target: u32, effort: Effort, numbers: &mut Numbers) -> Vec<Pair> {
        let columns = u32::try_from(self.register.columns.len()).unwrap();
        let random =
            |numbers: &mut Numbers| -> Vec<Pair> { (0..effort.pairs).map(|_| random_pair(columns, numbers)).collect() };
        let mut attacks: Vec<Vec<Pair>> = (0..effort.attacks).map(|_| random(numbers)).collect();
        for _ in 0..effort.generations {
            let mut ranked: Vec<(f64, Vec<Pair>)> = attacks
                .drain(..)
                .map(|attack| (self.fitness(&attack, target), attack))
                .collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            let better = ranked.into_iter().take(effort.attacks / 2).map(|(_, attack)| attack);
            attacks = better.collect();
            let parents = attacks.clone();
            for (at, parent) in parents.iter().enumerate() {
                // A cross of two of them, and then changes.
                let other = &parents[(at + 1) % parents.len()];
                let mut child: Vec<Pair> = parent
                    .iter()
                    .zip(other)
                    .map(|(a, b)| if numbers.chance(0.7) { *a } else { *b })
                    .collect();
                change(&mut child, columns, numbers);
                attacks.push(child);
            }
        }
        attacks.swap_remove(0)
    }

    /// How often a model of one half of the shadows is right on the other half.
    fn fitness(&self, attack: &[Pair], target: u32) -> f64 {
        let half = self.tables.len() / 2;
        let model = self.model(attack, target, 0..half);
        let is_right = |at: &usize| (model.evidence(&self.features(attack, target, *at)) > 0.0) == self.tables[*at].1;
        (half..self.tables.len()).filter(is_right).count() as f64
    }

    /// A model of all shadows.
    fn trained(&self, attack: &[Pair], target: u32) -> Model {
        self.model(attack, target, 0..self.tables.len())
    }

    fn model(&self, attack: &[Pair], target: u32, tables: std::ops::Range<usize>) -> Model {
        let rows = tables.map(|at| (self.features(attack, target, at), self.tables[at].1));
        Model::trained(&rows.collect::<Vec<_>>())
    }

    /// The answers of a system without answers before, as numbers: for each query whether it is shown and what it is, and for each pair the
    /// difference, if both are.
    fn features(&self, attack: &[Pair], target: u32, table: usize) -> Features {
        let data = Rc::clone(&self.tables[table].0);
        let mut party = self.rules.open(self.kind, &[data], &UnitSet::new(), table as u64);
        let mut features = Vec::new();
        for pair in attack {
            let [first, second] =
                pair.map(|people| party.answer(&Query::count(self.condition(people, target)))[0].count);
            for count in [first, second] {
                features.push(f64::from(u8::from(count.is_some())));
                features.push(count.map_or(0.0, |count| count.value));
            }
            let difference = first
                .zip(second)
                .map_or(0.0, |(first, second)| first.value - second.value);
            features.push(difference);
        }
        features
    }

    fn condition(&self, people: Selection, target: u32) -> Condition {
        let register = self.register;
        let columns = |bits: u32| {
            let chosen = (0..register.columns.len()).filter(move |column| bits >> column & 1 == 1);
            chosen.map(move |column| register.equal(column, target))
        };
        let unlike = (people.unlike != 0).then(|| not(all(columns(people.unlike))));
        all(columns(people.like).chain(unlike).chain([has_secret()]))
    }
}

fn random_pair(columns: u32, numbers: &mut Numbers) -> Pair {
    let like = 1 << numbers.below(columns);
    let unlike = numbers.below(1 << columns);
    [Selection { like, unlike: 0 }, Selection { like, unlike }]
}

/// Changes one to three of the pairs.
fn change(attack: &mut [Pair], columns: u32, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(3) {
        let pair = numbers.below(u32::try_from(attack.len()).unwrap()) as usize;
        let query = numbers.below(2) as usize;
        let bit = 1 << numbers.below(columns);
        let changed = &mut attack[pair];
        match numbers.below(5) {
            0 => changed[query].like ^= bit,
            1 => changed[query].unlike ^= bit,
            2 => changed[query].unlike = (1 << columns) - 1,
            3 => changed[query] = changed[1 - query],
            _ => *changed = random_pair(columns, numbers),
        }
    }
}
