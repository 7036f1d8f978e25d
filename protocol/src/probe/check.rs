//! What the answers to a probe show.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::answer::ProbeRun;
use super::noise;
use super::released::{Released, released};
use super::statement::ProbeStatement;
use super::truth::Figure;
use crate::canary::Canary;
use crate::scope::{Protection, ProtectionName};

/// By how much an exact figure may differ from the truth: sums are whole multiples of a unit, which for costs up to 999 is far smaller.
const EXACT_WITHIN: f64 = 1e-3;

/// What a node announces, as far as a probe shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbedRules {
    /// Fewest subjects behind a released cell.
    pub min_cell: u32,
    /// The protections that its answers can have.
    pub protections: BTreeSet<ProtectionName>,
}

/// Answers with a protection that are not as they are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mismatch {
    /// The protection.
    pub protection: ProtectionName,
    /// What is not as it is announced.
    pub rule: ProbedRule,
}

/// What answers are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbedRule {
    /// There are answers with the protection.
    Answers,
    /// No figure is about fewer subjects than announced.
    MinCell,
    /// No two figures differ in one subject.
    Difference,
    /// One statement has one answer.
    Repeat,
    /// Figures have noise of about the variance that is stated with them.
    Noise,
    /// Exact figures are true.
    Figure,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.rule {
            ProbedRule::Answers => "nothing is answered with this protection",
            ProbedRule::MinCell => "figures about fewer subjects than announced are released",
            ProbedRule::Difference => "two figures that differ in one subject are released",
            ProbedRule::Repeat => "one statement has two answers",
            ProbedRule::Noise => "figures do not have the noise that is stated",
            ProbedRule::Figure => "figures are not true",
        };
        write!(f, "{}: {what}", self.protection)
    }
}

/// What in the answers about `canary` is not as it is announced; empty for a node that answers as it announces. What is released with a
/// higher minimum, or refused, is not a mismatch.
#[must_use]
pub fn check(canary: &Canary, announced: &ProbedRules, runs: &[ProbeRun]) -> BTreeSet<Mismatch> {
    let of_protection = |name: &ProtectionName| {
        let run = runs.iter().find(|run| run.protection.name() == *name);
        let answered = run.and_then(|run| Answered::of(canary, run));
        let broken = answered.map_or_else(
            || vec![ProbedRule::Answers],
            |answered| answered.broken(canary, announced.min_cell),
        );
        let protection = *name;
        broken.into_iter().map(move |rule| Mismatch { protection, rule })
    };
    announced.protections.iter().flat_map(of_protection).collect()
}

/// All figures that were released with one protection.
struct Answered {
    protection: Protection,
    released: Vec<Released>,
}

impl Answered {
    /// `None` if there is not one answer for each statement.
    fn of(canary: &Canary, run: &ProbeRun) -> Option<Self> {
        if run.answers.len() != ProbeStatement::ALL.len() {
            return None;
        }
        let answers = ProbeStatement::ALL.into_iter().zip(&run.answers);
        let released = answers.flat_map(|(statement, answer)| released(canary, statement, answer));
        Some(Self {
            protection: run.protection,
            released: released.collect(),
        })
    }

    fn broken(&self, canary: &Canary, min_cell: u32) -> Vec<ProbedRule> {
        let is_broken = |rule: &ProbedRule| match (rule, &self.protection) {
            // Whether there are answers was checked before, and private figures may be about anyone.
            (ProbedRule::Answers, _)
            | (ProbedRule::MinCell | ProbedRule::Difference, Protection::Private(_))
            | (ProbedRule::Figure, Protection::Perturbed(_) | Protection::Private(_))
            | (ProbedRule::Noise, Protection::Exact) => false,
            (ProbedRule::MinCell, Protection::Exact | Protection::Perturbed(_)) => self.has_small_cell(min_cell),
            (ProbedRule::Difference, Protection::Exact | Protection::Perturbed(_)) => self.has_difference(canary),
            (ProbedRule::Repeat, _) => self.has_other_repeat(),
            (ProbedRule::Figure, Protection::Exact) => self.has_wrong_figure(),
            (ProbedRule::Noise, Protection::Perturbed(noise)) => {
                noise::is_not_perturbed(noise, min_cell, &self.released)
            }
            (ProbedRule::Noise, Protection::Private(loss)) => noise::is_not_private(loss, &self.released),
        };
        let compared = [
            ProbedRule::MinCell,
            ProbedRule::Difference,
            ProbedRule::Repeat,
            ProbedRule::Noise,
            ProbedRule::Figure,
        ];
        compared.into_iter().filter(is_broken).collect()
    }

    fn has_small_cell(&self, min_cell: u32) -> bool {
        let is_small = |released: &Released| {
            let counts = released.truth.figure == Figure::Subjects;
            u32::from(released.truth.subjects) < min_cell || counts && released.value < f64::from(min_cell)
        };
        self.released.iter().any(is_small)
    }

    fn has_difference(&self, canary: &Canary) -> bool {
        let site = canary.facts.pair.site.to_string();
        let larger = |released: &Released| {
            let is_site = released.label.as_ref() == Some(&site);
            matches!(released.statement, ProbeStatement::Sites | ProbeStatement::SitesAgain) && is_site
        };
        let smaller = |released: &Released| released.statement == ProbeStatement::YoungerOfSite;
        self.released.iter().any(larger) && self.released.iter().any(smaller)
    }

    fn has_other_repeat(&self) -> bool {
        let of = |statement: ProbeStatement| self.released.iter().filter(move |one| one.statement == statement);
        let differs = |first: &Released| {
            let mut again = of(ProbeStatement::SitesAgain).filter(|again| again.label == first.label);
            again.any(|again| again.value.to_bits() != first.value.to_bits())
        };
        of(ProbeStatement::Sites).any(differs)
    }

    fn has_wrong_figure(&self) -> bool {
        let is_wrong = |released: &Released| released.deviation().abs() > EXACT_WITHIN;
        self.released.iter().any(is_wrong)
    }
}
