//! Values of figures, and which sums are shown.

use std::collections::BTreeSet;

use concordat_protocol::scope::{Finite, Protection};

use super::world::{self, Memory, Query, VERSION, World};
use crate::random::seeded::Seeded;
use crate::{
    CellBox, Contributions, Counted, DecideError, DisclosureRules, FigureName, Grid, LossBudget, Outline, ReportedRows,
    ReportedSet, ReportedSum, SetFigures, SumOutline, UnitSet, draw,
};

fn finite(number: f64) -> Finite {
    Finite::new(number).unwrap()
}

/// A sum over subjects of whom the one that contributes most does so with `largest`, and each other one with 1.
fn sum(subjects: u32, largest: u32) -> ReportedSum {
    let total = subjects - 1 + largest;
    ReportedSum {
        total: finite(f64::from(total)),
        largest: finite(f64::from(largest)),
        contributions: Contributions::of([u128::from(largest), 1, 1, 1, 1], u128::from(total)),
    }
}

fn sum_outline(number: u8) -> SumOutline {
    SumOutline {
        figure: FigureName::new([number; 32]),
        bound: finite(100.0),
    }
}

/// One cell with everyone, and these sums.
fn grid<'a>(units: &'a UnitSet, sums: &[(u8, ReportedSum)]) -> Grid<'a> {
    let outline = Outline {
        subjects: true,
        units: true,
        sums: sums.iter().map(|(number, _)| sum_outline(*number)).collect(),
        parts: false,
    };
    let set = ReportedSet {
        cell: CellBox::everyone(),
        neighbors: Some(crate::NeighborSets::default()),
        subjects: units,
        rows: None,
        sums: sums.iter().map(|(_, sum)| *sum).collect(),
        parts: Vec::new(),
    };
    Grid::new(VERSION, Counted::Subjects, vec![outline], vec![vec![set]]).unwrap()
}

fn figures_of(memory: &Memory, grid: &Grid<'_>, protection: &Protection) -> SetFigures {
    let rules = DisclosureRules::new(5, protection).unwrap();
    let decision = memory.decided(grid, &rules).unwrap();
    decision.figures(grid, &rules).unwrap()[0][0].clone()
}

#[test]
fn figures_of_exact_mode_are_as_computed() {
    let memory = Memory::new(&World::plain(20), 5);
    let units = UnitSet::all(20);
    let figures = figures_of(&memory, &grid(&units, &[(1, sum(20, 3))]), &Protection::Exact);
    assert_eq!(figures.subjects.unwrap().value, 20.0);
    let shown = figures.sums[0].unwrap();
    assert_eq!((shown.total.value, shown.mean.value), (22.0, 1.1));
    assert_eq!(shown.total.standard_deviation, 0.0);
}

#[test]
fn figures_of_perturbed_mode_are_the_same_each_time() {
    let memory = Memory::new(&World::plain(20), 5);
    let units = UnitSet::all(20);
    let grid = grid(&units, &[(1, sum(20, 3)), (2, sum(20, 3))]);
    let figures = figures_of(&memory, &grid, &world::noise());
    assert_eq!(figures, figures_of(&memory, &grid, &world::noise()));
    let count = figures.subjects.unwrap();
    assert!(count.value >= 5.0 && count.value % 5.0 == 0.0 && count.standard_deviation > 0.0);
    let means: Vec<f64> = figures.sums.iter().map(|sum| sum.unwrap().mean.value).collect();
    assert!(means[0] != means[1], "each figure has noise of its own");
    let shown = figures.sums[0].unwrap();
    assert_eq!(shown.total.value, shown.mean.value * count.value);
}

/// One subject does not own an exact sum; the number of subjects stays.
#[test]
fn figures_that_few_subjects_dominate_are_withheld() {
    let memory = Memory::new(&World::plain(20), 5);
    let units = UnitSet::all(20);
    let grid = grid(&units, &[(1, sum(20, 90)), (2, sum(20, 1))]);
    let figures = figures_of(&memory, &grid, &Protection::Exact);
    assert!(figures.subjects.is_some());
    assert_eq!(figures.sums[0], None);
    assert!(figures.sums[1].is_some());
}

/// Neither who contributes how much nor how many subjects there are is seen from which figures with noise are shown.
#[test]
fn figures_with_noise_are_shown_whatever_subjects_contribute() {
    let memory = Memory::new(&World::plain(20), 5);
    let units = UnitSet::all(20);
    for largest in [1, 3, 30, 90] {
        let many: Vec<(u8, ReportedSum)> = (0..9).map(|number| (number, sum(20, largest))).collect();
        let figures = figures_of(&memory, &grid(&units, &many), &world::noise());
        assert!(figures.sums.iter().all(Option::is_some), "{largest}");
    }
}

/// What is stored has each sum over a set once, in each mode.
#[test]
fn sum_that_is_requested_twice_is_recorded_once() {
    let memory = Memory::new(&World::plain(20), 5);
    let units = UnitSet::all(20);
    for protection in world::any_protection() {
        let rules = DisclosureRules::new(5, &protection).unwrap();
        let grid = grid(&units, &[(1, sum(20, 1)), (1, sum(20, 1)), (2, sum(20, 1))]);
        let decision = memory.decided(&grid, &rules).unwrap();
        let recorded: Vec<usize> = decision
            .records()
            .sums
            .iter()
            .map(|(_, figures)| figures.len())
            .collect();
        assert_eq!(recorded, [2], "{protection:?}");
    }
}

/// A third of the subjects, over all answers about one set, and the same ones in whatever order the aggregates are.
#[test]
fn figures_over_one_set_are_at_most_a_third_of_it() {
    let mut memory = Memory::new(&World::plain(20), 5);
    let units = UnitSet::all(20);
    let rules = DisclosureRules::new(5, &Protection::Exact).unwrap();
    let mut numbers: Vec<u8> = (0..9).collect();
    let mut shown = Vec::new();
    for _ in 0..2 {
        let sums: Vec<(u8, ReportedSum)> = numbers.iter().map(|number| (*number, sum(20, 1))).collect();
        let grid = grid(&units, &sums);
        let decision = memory.decided(&grid, &rules).unwrap();
        let verdict = &decision.verdicts()[0][0];
        let mut names: Vec<u8> = numbers
            .iter()
            .zip(&verdict.sums)
            .filter(|(_, is)| **is)
            .map(|(at, _)| *at)
            .collect();
        names.sort_unstable();
        shown.push(names);
        numbers.reverse();
    }
    assert_eq!(shown[0].len(), 6);
    assert_eq!(shown[0], shown[1]);
    let first = grid(&units, &[(7, sum(20, 1))]);
    let decision = memory.decided(&first, &rules).unwrap();
    assert_eq!(decision.records().sums.len(), 1);
    memory.commit(decision);
    let again = memory.decided(&first, &rules).unwrap();
    assert!(again.verdicts()[0][0].sums[0], "what was released is free");
    assert!(again.records().sums.is_empty());
}

/// A part that is too small covers all of them.
#[test]
fn figures_of_parts_are_shown_together() {
    let memory = Memory::new(&World::plain(60), 5);
    let units = UnitSet::all(60);
    let outline = Outline {
        units: true,
        parts: true,
        ..Outline::default()
    };
    for (cut, is_shown) in [(30, true), (3, false), (57, false)] {
        let part = |units: UnitSet, number: u32| crate::SetPart {
            units: std::borrow::Cow::Owned(units),
            cell: world::cell_of(&BTreeSet::from([0]), &BTreeSet::from([number])),
        };
        let parts = vec![part(UnitSet::all(cut), 0), part((cut..60).collect(), 1)];
        let set = ReportedSet {
            cell: CellBox::everyone(),
            neighbors: Some(crate::NeighborSets::default()),
            subjects: &units,
            rows: None,
            sums: Vec::new(),
            parts: parts.into_iter().take(if is_shown { 1 } else { 2 }).collect(),
        };
        let grid = Grid::new(VERSION, Counted::Subjects, vec![outline.clone()], vec![vec![set]]).unwrap();
        let figures = figures_of(&memory, &grid, &Protection::Exact);
        assert_eq!(figures.parts.is_some(), is_shown, "{cut}");
    }
}

fn drawn(grid: &Grid<'_>, seed: u64) -> Result<Vec<Vec<SetFigures>>, DecideError> {
    let loss = world::loss();
    let reserved = LossBudget::new(loss).spend(loss.query()).unwrap();
    draw(grid, reserved, &mut Seeded::new(seed))
}

/// Each cell is shown, an empty one too, and its noise is drawn again each time.
#[test]
fn figures_of_private_mode_are_drawn_for_all_cells() {
    let world = World::plain(60);
    let cells = world.cells(&Query {
        by_a: true,
        ..Query::everyone()
    });
    let grid = world::grid(&cells);
    let mut sums = [0.0; 3];
    for seed in 0..400 {
        let figures = drawn(&grid, seed).unwrap();
        for (sum, cell) in sums.iter_mut().zip(&figures) {
            *sum += cell[0].subjects.unwrap().value;
        }
    }
    let expected = [30.0, 30.0, 0.0];
    // One functional with a loss of 0.1: a variance of 5, so that a mean of 400 has a standard deviation of 0.11.
    let is_near = |(sum, expected): (&f64, f64)| (sum / 400.0 - expected).abs() < 0.6;
    assert!(sums.iter().zip(expected).all(is_near), "{sums:?}");
    assert_ne!(drawn(&grid, 1).unwrap(), drawn(&grid, 2).unwrap());
}

#[test]
fn figures_of_private_mode_are_bounded_for_each_subject() {
    let units = UnitSet::all(20);
    let single = grid(&units, &[(1, sum(20, 3))]);
    let figures = drawn(&single, 1).unwrap()[0][0].clone();
    assert!(figures.sums[0].is_some_and(|sum| sum.total.standard_deviation > 100.0));
    let everyone = (units.clone(), CellBox::everyone());
    let twice = [everyone.clone(), everyone];
    assert_eq!(
        drawn(&world::grid(&twice), 1).unwrap_err(),
        DecideError::Unbounded,
        "a subject in two cells"
    );
    let rows = ReportedRows {
        units: &units,
        cell: CellBox::everyone(),
        most: 1,
        contributions: Contributions::default(),
    };
    let set = ReportedSet {
        cell: CellBox::everyone(),
        neighbors: Some(crate::NeighborSets::default()),
        subjects: &units,
        rows: Some(rows),
        sums: Vec::new(),
        parts: Vec::new(),
    };
    let of = |outline: Outline| Grid::new(VERSION, Counted::Rows, vec![outline], vec![vec![set.clone()]]).unwrap();
    let counts_rows = Outline {
        units: true,
        ..Outline::default()
    };
    let counts_subjects = Outline {
        subjects: true,
        ..Outline::default()
    };
    assert_eq!(drawn(&of(counts_rows), 1).unwrap_err(), DecideError::Unbounded);
    assert!(drawn(&of(counts_subjects), 1).is_ok());
}
