//! Nodes that are set in different ways, written out here, and what is found of each.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::canary::Canary;
use crate::scope::{DeltaExponent, Finite, Loss, MicroRho, Noise, Protection, ProtectionName};
use crate::text::Label;

fn perturbed() -> Protection {
    Protection::Perturbed(Noise::new(3, 5, 5).unwrap())
}

fn private() -> Protection {
    let rho = |millionths: u64| MicroRho::new(millionths).unwrap();
    Protection::Private(Loss::new(rho(20_000), rho(1_000_000), DeltaExponent::new(6).unwrap()).unwrap())
}

fn protections() -> [Protection; 3] {
    [Protection::Exact, perturbed(), private()]
}

/// A node that announces one minimum and one protection, and is set in some way.
#[derive(Clone, Copy)]
struct Holder {
    /// The minimum that it applies.
    min_cell: u16,
    protection: Protection,
    has_noise: bool,
    has_memory: bool,
    draws: u64,
}

impl Holder {
    const fn well_behaved(min_cell: u16, protection: Protection, seed: u64) -> Self {
        Self {
            min_cell,
            protection,
            has_noise: true,
            has_memory: true,
            draws: seed,
        }
    }

    /// A number from 0 to 1 (Steele, Lea, Flood 2014).
    fn draw(&mut self) -> f64 {
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.draws;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((mixed >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
    }

    /// A draw of the normal distribution (Box, Muller 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.draw().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.draw()).cos()
    }

    fn shown(&mut self, truth: &CellTruth) -> Option<f64> {
        let value = truth.value();
        let is_small = truth.subjects < self.min_cell;
        match self.protection {
            Protection::Exact => (!is_small).then_some(value),
            Protection::Perturbed(noise) => (!is_small).then(|| {
                if !self.has_noise {
                    return value;
                }
                if let Figure::Mean(_) = truth.figure {
                    return value + 20.0 * self.normal();
                }
                let max = f64::from(noise.max());
                let deviation = (f64::from(noise.variance()).sqrt() * self.normal())
                    .round()
                    .clamp(-max, max);
                let round = f64::from(noise.round());
                let least = (f64::from(self.min_cell) / round).ceil() * round;
                (((value + deviation) / round).round() * round).max(least)
            }),
            Protection::Private(loss) => {
                let deviation = (1_000_000.0 / (2.0 * loss.query().get() as f64)).sqrt();
                let noise = if self.has_noise {
                    (deviation * self.normal()).round()
                } else {
                    0.0
                };
                Some(value + noise)
            }
        }
    }

    fn run(mut self, canary: &Canary) -> ProbeRun {
        let is_private = matches!(self.protection, Protection::Private(_));
        let mut first: Vec<ProbedCell> = Vec::new();
        let mut answers = Vec::new();
        for statement in ProbeStatement::ALL {
            let mut truths: BTreeMap<Option<String>, CellTruth> = statement.truths(canary);
            if truths.len() > 1 {
                // The grid has missing values, and values of which there are none.
                truths.insert(None, CellTruth::EMPTY);
                truths.insert(Some(canary.facts.empty_site.to_string()), CellTruth::EMPTY);
            }
            let audited = self.has_memory && !is_private && statement == ProbeStatement::YoungerOfSite;
            let mut cells = Vec::new();
            for (label, truth) in &truths {
                let value = self.shown(truth).filter(|_| !audited);
                cells.push(ProbedCell {
                    label: label.as_deref().map(Label::sanitized),
                    value: value.map(|value| Finite::new(value).unwrap()),
                });
            }
            if statement == ProbeStatement::Sites {
                first.clone_from(&cells);
            }
            let repeats = statement == ProbeStatement::SitesAgain && (self.has_memory || !is_private);
            answers.push(ProbeAnswer::Cells(if repeats { first.clone() } else { cells }));
        }
        ProbeRun {
            protection: self.protection,
            answers,
        }
    }
}

/// What is found of a node that announces cells of `min_cell` subjects and the protection of `run`.
fn found(canary: &Canary, min_cell: u32, run: &ProbeRun) -> Vec<ProbedRule> {
    let announced = ProbedRules {
        min_cell,
        protections: [run.protection.name()].into(),
    };
    let found = check(canary, &announced, std::slice::from_ref(run));
    assert!(found.iter().all(|found| found.protection == run.protection.name()));
    found.into_iter().map(|found| found.rule).collect()
}

proptest! {
    #[test]
    fn probe_of_a_node_as_announced_finds_nothing(seed: [u8; 32], draws: u64, min_cell in 2..=50_u16, higher in 0..3_u16) {
        let canary = Canary::of(seed);
        for protection in protections() {
            let holder = Holder::well_behaved(min_cell + higher, protection, draws);
            let found = found(&canary, u32::from(min_cell), &holder.run(&canary));
            prop_assert!(found.is_empty(), "{:?}", found);
        }
    }

    #[test]
    fn probe_finds_a_lower_minimum(seed: [u8; 32], draws: u64, min_cell in 2..=50_u16) {
        let canary = Canary::of(seed);
        for protection in [Protection::Exact, perturbed()] {
            let holder = Holder::well_behaved(0, protection, draws);
            prop_assert!(found(&canary, u32::from(min_cell), &holder.run(&canary)).contains(&ProbedRule::MinCell));
        }
    }

    #[test]
    fn probe_finds_that_nothing_is_remembered(seed: [u8; 32], draws: u64, min_cell in 2..=49_u16) {
        let canary = Canary::of(seed);
        for (protection, rule) in [
            (Protection::Exact, ProbedRule::Difference),
            (perturbed(), ProbedRule::Difference),
            (private(), ProbedRule::Repeat),
        ] {
            let holder = Holder { has_memory: false, ..Holder::well_behaved(min_cell, protection, draws) };
            prop_assert_eq!(found(&canary, u32::from(min_cell), &holder.run(&canary)), [rule]);
        }
    }

    #[test]
    fn probe_finds_that_there_is_no_noise(seed: [u8; 32], draws: u64) {
        let canary = Canary::of(seed);
        for protection in [perturbed(), private()] {
            let holder = Holder { has_noise: false, ..Holder::well_behaved(10, protection, draws) };
            prop_assert_eq!(found(&canary, 10, &holder.run(&canary)), [ProbedRule::Noise]);
        }
    }
}

/// Rounding hides the counts; the means show that nothing was added.
#[test]
fn probe_finds_rounding_without_noise() {
    for seed in 0..50_u8 {
        let canary = Canary::of([seed; 32]);
        let holder = Holder {
            has_noise: false,
            ..Holder::well_behaved(10, perturbed(), 1)
        };
        let mut run = holder.run(&canary);
        for (statement, answer) in ProbeStatement::ALL.into_iter().zip(&mut run.answers) {
            let ProbeAnswer::Cells(cells) = answer else {
                unreachable!()
            };
            let counts = cells.iter_mut().filter(|_| statement != ProbeStatement::CodeCosts);
            for value in counts.filter_map(|cell| cell.value.as_mut()) {
                *value = Finite::new((value.get() / 5.0).round() * 5.0).unwrap();
            }
        }
        assert_eq!(found(&canary, 10, &run), [ProbedRule::Noise], "{seed}");
    }
}

#[test]
fn probe_finds_private_figures_with_other_noise() {
    let canary = Canary::of([3; 32]);
    let stated = private();
    // A hundred times less, and more, than is stated.
    for rho in [200, 2_000_000] {
        let rho = MicroRho::new(rho).unwrap();
        let applied = Loss::new(
            rho,
            MicroRho::new(MicroRho::MAX).unwrap(),
            DeltaExponent::new(6).unwrap(),
        )
        .unwrap();
        let run = ProbeRun {
            protection: stated,
            ..Holder::well_behaved(10, Protection::Private(applied), 1).run(&canary)
        };
        assert_eq!(found(&canary, 10, &run), [ProbedRule::Noise], "{rho}");
    }
}

#[test]
fn probe_finds_figures_that_are_not_true() {
    let canary = Canary::of([4; 32]);
    let mut run = Holder::well_behaved(10, Protection::Exact, 1).run(&canary);
    let Some(ProbeAnswer::Cells(cells)) = run.answers.last_mut() else {
        unreachable!()
    };
    cells[0].value = Some(Finite::new(201.0).unwrap());
    assert_eq!(found(&canary, 10, &run), [ProbedRule::Figure]);
}

#[test]
fn probe_finds_a_protection_without_answers() {
    let canary = Canary::of([5; 32]);
    let exact = Holder::well_behaved(10, Protection::Exact, 1).run(&canary);
    let announced = ProbedRules {
        min_cell: 10,
        protections: [ProtectionName::Exact, ProtectionName::Perturbed].into(),
    };
    let expected = Mismatch {
        protection: ProtectionName::Perturbed,
        rule: ProbedRule::Answers,
    };
    let none: Vec<Mismatch> = check(&canary, &announced, std::slice::from_ref(&exact))
        .into_iter()
        .collect();
    assert_eq!(none, [expected]);
    assert_eq!(
        expected.to_string(),
        "perturbed: nothing is answered with this protection"
    );
    let mut short = exact.clone();
    short.answers.pop();
    assert_eq!(found(&canary, 10, &short), [ProbedRule::Answers]);
    let mut refused = exact;
    refused.answers = vec![ProbeAnswer::Refused; ProbeStatement::ALL.len()];
    assert!(
        found(&canary, 10, &refused).is_empty(),
        "what is refused reveals nothing"
    );
}

/// Any single figure about too few subjects is found, also that there are none.
#[test]
fn probe_finds_each_figure_of_too_few() {
    let canary = Canary::of([6; 32]);
    let facts = canary.facts;
    let withheld = Holder::well_behaved(10, Protection::Exact, 1).run(&canary);
    let small = facts
        .small_sites
        .map(|(site, size)| (0, site.to_string(), f64::from(size)));
    let others = [
        (0, facts.empty_site.to_string(), 0.0),
        (4, "rare".to_owned(), 3.0),
        (5, "rare".to_owned(), 60.0),
    ];
    for (statement, label, value) in small.into_iter().chain(others) {
        let mut run = withheld.clone();
        let ProbeAnswer::Cells(cells) = &mut run.answers[statement] else {
            unreachable!()
        };
        let label = Some(Label::new(&label).unwrap());
        let cell = cells.iter_mut().find(|cell| cell.label == label).unwrap();
        assert_eq!(cell.value, None);
        cell.value = Some(Finite::new(value).unwrap());
        assert!(found(&canary, 10, &run).contains(&ProbedRule::MinCell), "{label:?}");
    }
}

/// The texts, so that a change of them is noticed: both sides have to know the same.
#[test]
fn probe_statements_are_about_the_planted_facts() {
    let canary = Canary::of([0; 32]);
    let sql = |statement: ProbeStatement| statement.sql(&canary.facts);
    assert_eq!(sql(ProbeStatement::Sites), sql(ProbeStatement::SitesAgain));
    assert_eq!(
        sql(ProbeStatement::YoungerOfSite),
        "SELECT count(*) AS n FROM people WHERE site = 'b' AND age < 84"
    );
    let of = |statement: ProbeStatement| statement.truths(&canary)[&None].subjects;
    assert_eq!(of(ProbeStatement::OldestOfSite), 1);
    assert_eq!(of(ProbeStatement::All), 200);
    let site = ProbeStatement::Sites.truths(&canary)[&Some("b".to_owned())].subjects;
    assert_eq!(of(ProbeStatement::YoungerOfSite) + 1, site);
    let rows = ProbeStatement::CodeRows.truths(&canary)[&Some("rare".to_owned())];
    assert_eq!((rows.subjects, rows.figure), (3, Figure::Rows(60)));
}
