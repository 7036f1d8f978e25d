//! How often an attack is right, beside how often guessing is.

use std::ops::Range;

use super::cases::{Case, Truth};
use super::data::Data;
use super::figure::Figure;
use super::numbers::Numbers;
use super::people::{MISSING, People};
use super::register::Register;
use super::system::{Kind, Rules};
use super::target::{Parties, Target};
use crate::UnitSet;

/// People of a table.
pub(super) const PEOPLE: u32 = 900;

/// The attacks on one system, each with another table and target.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) trials: f64,
    /// How many found out what they were after.
    pub(super) right: f64,
    /// How many would have, without any answer.
    pub(super) guessed: f64,
    /// How many did so by figures without noise.
    pub(super) revealed: f64,
    /// The sum of squares of what each is better or worse than guessing.
    pub(super) squares: f64,
}

impl Outcome {
    pub(super) fn of_one(right: f64, guessed: f64, is_revealed: bool) -> Self {
        Self {
            trials: 1.0,
            right,
            guessed,
            revealed: f64::from(u8::from(is_revealed)),
            squares: (right - guessed).powi(2),
        }
    }

    /// How many points of a hundred the attack is better than guessing.
    pub(super) fn above(&self) -> f64 {
        100.0 * (self.right - self.guessed) / self.trials
    }

    /// The standard error of [`Self::above`], over other tables and targets.
    pub(super) fn error(&self) -> f64 {
        100.0 * self.squares.sqrt() / self.trials
    }

    /// The part of the targets, in percent, whose value an attack computed.
    pub(super) fn revealed(&self) -> f64 {
        100.0 * self.revealed / self.trials
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.trials += other.trials;
        self.right += other.right;
        self.guessed += other.guessed;
        self.revealed += other.revealed;
        self.squares += other.squares;
    }
}

/// The outcomes of an attack on each system, in the order of [`Kind::ALL`].
pub(super) fn outcomes(case: &Case, rules: &Rules, trials: u64) -> [Outcome; 5] {
    let mut outcomes = [Outcome::default(); 5];
    let rules = rules.with(case.distinctions, case.has_neighbors);
    for seed in 0..trials {
        let trial = Trial::new(case, seed);
        for (outcome, kind) in outcomes.iter_mut().zip(Kind::ALL) {
            outcome.add(&trial.outcome(&rules, kind));
        }
    }
    outcomes
}

/// The outcomes of an attack on one system, for these tables.
pub(super) fn outcome_of(case: &Case, rules: &Rules, kind: Kind, tables: Range<u64>) -> Outcome {
    let rules = rules.with(case.distinctions, case.has_neighbors);
    let mut outcome = Outcome::default();
    for seed in tables {
        outcome.add(&Trial::new(case, seed).outcome(&rules, kind));
    }
    outcome
}

/// One table and its target.
pub(super) struct Trial<'a> {
    case: &'a Case,
    seed: u64,
    register: Register,
    versions: Vec<People>,
    person: u32,
    prevalence: f64,
    truth: f64,
}

impl<'a> Trial<'a> {
    pub(super) fn new(case: &'a Case, seed: u64) -> Self {
        let people = People::generated(PEOPLE, seed);
        let register = people.register();
        let mut numbers = Numbers::new(seed ^ 0x007a_26e7);
        let mut tries = std::iter::repeat_with(|| numbers.below(PEOPLE)).take(10_000);
        let person = tries.find(|person| (case.is_target)(&register, *person)).unwrap();
        let unique: Vec<u32> = (0..PEOPLE).filter(|person| register.is_unique(*person)).collect();
        let prevalence = people.prevalence(&unique);
        let mut versions = vec![people.clone()];
        (case.plant)(&mut versions, person, &mut numbers);
        let truth = truth(case.truth, &people, versions.last().unwrap(), person);
        Self {
            case,
            seed,
            register,
            versions,
            person,
            prevalence,
            truth,
        }
    }

    pub(super) const fn target(&self) -> Target<'_> {
        Target {
            register: &self.register,
            person: self.person,
            prevalence: self.prevalence,
            numbers: Numbers::new(self.seed ^ 0x000a_77ac),
        }
    }

    pub(super) fn parties(&self, rules: &Rules, kind: Kind) -> Parties {
        let versions: Vec<_> = self.versions.iter().map(Data::of).collect();
        let changed: UnitSet = [self.person].into_iter().take(versions.len() - 1).collect();
        Parties {
            ours: rules.open(kind, &versions, &changed, 2 * self.seed),
            theirs: rules.open(kind, &versions, &changed, 2 * self.seed + 1),
        }
    }

    /// Those of the latest version.
    pub(super) fn people(&self) -> &People {
        self.versions.last().unwrap()
    }

    fn outcome(&self, rules: &Rules, kind: Kind) -> Outcome {
        let mut parties = self.parties(rules, kind);
        let found = (self.case.attack)(&mut self.target(), &mut parties);
        match self.case.truth {
            Truth::Secret => judged(found, self.truth, self.prevalence),
            Truth::Coin | Truth::Member | Truth::Missing => judged(found, self.truth, 0.5),
            Truth::Hidden => judged_number(found, self.truth),
        }
    }
}

/// What an attack is after, as a number.
fn truth(truth: Truth, before: &People, after: &People, person: u32) -> f64 {
    let at = person as usize;
    let is_true = match truth {
        Truth::Secret | Truth::Coin => after.secret[at] == 1,
        Truth::Member => {
            let mut columns = before.values.iter().zip(&after.values);
            columns.all(|(before, after)| before[at] == after[at])
        }
        Truth::Missing => after.secret[at] == MISSING,
        Truth::Hidden => return f64::from(after.hidden[at]),
    };
    f64::from(u8::from(is_true))
}

/// Of a value of 0 or 1, of which `prior` is the probability of 1: evidence and prior decide, as is best.
pub(super) fn judged(found: Option<Figure>, truth: f64, prior: f64) -> Outcome {
    let of_prior = (prior / (1.0 - prior)).ln();
    let evidence = found.map_or(0.0, |found| found.evidence());
    let is_revealed = found.is_some_and(|found| found.is_exact() && (found.value > 0.5) == (truth > 0.5));
    Outcome::of_one(points(of_prior + evidence, truth), points(of_prior, truth), is_revealed)
}

/// One if the more likely value is the true one; half a one if both are as likely.
fn points(odds: f64, truth: f64) -> f64 {
    if odds == 0.0 {
        return 0.5;
    }
    f64::from(u8::from((odds > 0.0) == (truth > 0.5)))
}

fn judged_number(found: Option<Figure>, truth: f64) -> Outcome {
    let near = found.filter(|found| (found.value - truth).abs() <= 0.01 * truth);
    let right = f64::from(u8::from(near.is_some()));
    Outcome::of_one(right, 0.0, near.is_some_and(|found| found.is_exact()))
}
