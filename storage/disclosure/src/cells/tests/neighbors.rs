//! Sets that are shown or withheld because of others that are not offered.

use std::sync::Arc;

use concordat_protocol::scope::Protection;

use super::world::{Memory, VERSION, World, any_protection};
use crate::{
    CellBox, Condition, Counted, DecideError, Decision, Grid, NeighborSets, Outline, PartSet, ReportedSet, UnitSet,
    WiderSet,
};

const SIZE: u32 = 80;
const K: u32 = 5;

fn atoms(path: &str, value: u32) -> Condition {
    Condition::Atoms {
        path: path.to_owned(),
        of: 4,
        atoms: UnitSet::from_iter([value]),
    }
}

fn cell() -> CellBox {
    CellBox::new(Condition::All(vec![atoms("a", 0), atoms("b", 0)])).unwrap()
}

fn wider(subjects: std::ops::Range<u32>, is_plain: bool) -> NeighborSets {
    NeighborSets {
        wider: vec![WiderSet {
            subjects: Arc::new(subjects.collect()),
            cell: CellBox::new(atoms("a", 0)).unwrap(),
            is_plain,
            is_examined: true,
        }],
        parts: Vec::new(),
    }
}

fn part(subjects: std::ops::Range<u32>, neighbors: NeighborSets) -> NeighborSets {
    NeighborSets {
        wider: Vec::new(),
        parts: vec![PartSet {
            subjects: Arc::new(subjects.collect()),
            cell: CellBox::new(atoms("b", 0)).unwrap(),
            neighbors,
        }],
    }
}

/// Whether 30 of 80 people are shown who have these neighbors.
fn is_shown(neighbors: Option<NeighborSets>, protection: &Protection) -> bool {
    let decision = decided((&UnitSet::from_iter(0..30), neighbors), protection);
    let [verdict] = &decision.verdicts()[0][..] else {
        panic!("there is one set")
    };
    verdict.subjects
}

/// The decision about people out of 80 who have these neighbors.
fn decided((units, neighbors): (&UnitSet, Option<NeighborSets>), protection: &Protection) -> Decision {
    let world = World::plain(SIZE);
    let memory = Memory::new(&world, K);
    let outline = Outline {
        subjects: true,
        ..Outline::default()
    };
    let set = ReportedSet {
        cell: cell(),
        neighbors,
        subjects: units,
        rows: None,
        sums: Vec::new(),
        parts: Vec::new(),
    };
    let grid = Grid::new(VERSION, Counted::Subjects, vec![outline], vec![vec![set]]).unwrap();
    let rules = crate::DisclosureRules::new(K, protection).unwrap();
    memory.decided(&grid, &rules).unwrap()
}

#[test]
fn decide_withholds_a_set_whose_neighbor_isolates() {
    for protection in any_protection() {
        assert!(is_shown(Some(wider(0..60, false)), &protection));
        assert!(!is_shown(Some(wider(0..76, false)), &protection), "all but four");
        assert!(
            !is_shown(Some(wider(0..80, false)), &protection),
            "that it is everyone is not known of all"
        );
        assert!(
            is_shown(Some(wider(0..76, true)), &protection),
            "one condition, and a set about enough others"
        );
        assert!(is_shown(Some(part(0..20, NeighborSets::default())), &protection));
    }
}

/// Which of these it is depends on whether one more person has a value, so a count of one of them would show it.
#[test]
fn decide_counts_what_is_withheld_for_few_people_or_none() {
    for protection in any_protection() {
        let beside = Some(wider(0..76, false));
        let decision = decided((&UnitSet::from_iter(0..30), beside), &protection);
        assert!(decision.isolates(), "a neighbor");
        for (people, expected) in [(40, false), (76, true), (79, true), (80, true)] {
            let decision = decided(
                (&UnitSet::from_iter(0..people), Some(NeighborSets::default())),
                &protection,
            );
            assert_eq!(decision.isolates(), expected, "{people}");
            assert_eq!(decision.verdicts()[0][0].subjects, !expected, "{people}");
        }
    }
}

/// Parts and rests are required to be as large as what is shown; none is as small as few.
#[test]
fn decide_withholds_a_set_with_a_small_neighbor() {
    for protection in any_protection() {
        let is_exact = protection == Protection::Exact;
        for rest in [0, 1, 4, 5] {
            let shown = |is_plain: bool| is_shown(Some(wider(0..30 + rest, is_plain)), &protection);
            assert_eq!(shown(false), rest == 5, "{rest}");
            assert_eq!(shown(true), rest == 5 || !is_exact, "{rest}");
        }
        for size in [0, 1, 4] {
            assert!(!is_shown(Some(part(0..size, NeighborSets::default())), &protection));
        }
        // Thresholds of sets differ, so a part has to be large enough for any of them.
        let certain = if is_exact { 7 } else { 8 };
        for (size, expected) in [(certain - 1, false), (certain, true)] {
            let shown = is_shown(Some(part(0..size, NeighborSets::default())), &protection);
            assert_eq!(shown, expected, "{size}");
        }
        let nested = part(0..20, wider(0..21, false));
        assert!(!is_shown(Some(nested), &protection), "a part has neighbors of its own");
    }
}

/// A union and its alternatives count as released together, and so does what it leaves out.
#[test]
fn decide_releases_a_union_with_its_alternatives() {
    let (world, units) = (World::plain(SIZE), UnitSet::from_iter(0..40));
    let alternative = |from: u32, to: u32, path: &str| PartSet {
        subjects: Arc::new((from..to).collect()),
        cell: CellBox::new(atoms(path, 0)).unwrap(),
        neighbors: wider(from..to + 10, true),
    };
    let around = WiderSet {
        subjects: Arc::new(UnitSet::from_iter(0..60)),
        cell: CellBox::new(atoms("d", 0)).unwrap(),
        is_plain: false,
        is_examined: true,
    };
    let outline = Outline {
        subjects: true,
        ..Outline::default()
    };
    let union = CellBox::new(Condition::Any(vec![atoms("a", 0), atoms("b", 0)])).unwrap();
    for protection in any_protection() {
        let set = ReportedSet {
            cell: union.clone(),
            neighbors: Some(NeighborSets {
                wider: vec![around.clone()],
                parts: vec![alternative(0, 25, "a"), alternative(15, 40, "b")],
            }),
            subjects: &units,
            rows: None,
            sums: Vec::new(),
            parts: Vec::new(),
        };
        let grid = Grid::new(VERSION, Counted::Subjects, vec![outline.clone()], vec![vec![set]]).unwrap();
        let rules = crate::DisclosureRules::new(K, &protection).unwrap();
        let mut memory = Memory::new(&world, K);
        let decision = memory.decided(&grid, &rules).unwrap();
        assert!(decision.verdicts()[0][0].subjects);
        let released: Vec<UnitSet> = decision
            .records()
            .subjects
            .iter()
            .map(|set| set.units.clone())
            .collect();
        assert_eq!(released.len(), 4, "{released:?}");
        memory.commit(decision);
        let less = CellBox::new(atoms("c", 0)).unwrap();
        for people in [0..24, 16..40, 41..60] {
            let cells = [(people.collect(), less.clone())];
            assert_eq!(memory.answer_of(VERSION, &cells, &protection), [None]);
        }
        let mut before = Memory::new(&world, K);
        let one = [(UnitSet::from_iter(0..24), less)];
        assert!(before.answer_of(VERSION, &one, &protection)[0].is_some());
        let decision = before.decided(&grid, &rules).unwrap();
        assert!(!decision.verdicts()[0][0].subjects, "an alternative isolates");
        assert!(decision.records().subjects.is_empty());
    }
}

#[test]
fn decide_withholds_a_set_with_too_many_neighbors() {
    for protection in any_protection() {
        assert!(is_shown(Some(NeighborSets::default()), &protection));
        assert!(!is_shown(None, &protection));
    }
}

/// After the budget is used up, a query is refused by its descriptions: also if all of its sets are small, empty, or known.
#[test]
fn decide_after_the_budget_refuses_new_descriptions() {
    let world = World::plain(60);
    let mut memory = Memory::with_distinctions(&world, 3, 2);
    let known = (UnitSet::from_iter(0..30), cell());
    for protection in any_protection() {
        assert!(memory.answer_of(VERSION, std::slice::from_ref(&known), &protection)[0].is_some());
        let rules = crate::DisclosureRules::new(3, &protection).unwrap();
        let other = CellBox::new(atoms("c", 1)).unwrap();
        for units in [UnitSet::new(), UnitSet::all(1), known.0.clone(), UnitSet::all(60)] {
            let cells = [known.clone(), (units, other.clone())];
            let refused = memory.decided(&super::world::grid(&cells), &rules).unwrap_err();
            assert_eq!(refused, DecideError::NoDistinctions { limit: 2 });
        }
        let written = Condition::All(vec![atoms("b", 0), Condition::Everyone, atoms("a", 0), atoms("b", 0)]);
        let same = [(known.0.clone(), CellBox::new(written).unwrap())];
        assert!(
            memory.decided(&super::world::grid(&same), &rules).is_ok(),
            "the same in another text"
        );
    }
}
