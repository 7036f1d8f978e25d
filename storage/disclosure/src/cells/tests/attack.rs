//! Pairs and sequences of queries by which one person would be known.

use std::collections::BTreeSet;

use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Protection;

use super::world::{B, Memory, Query, VERSION, World, any_protection, cell_of};
use crate::{CellBox, Condition, UnitSet};

/// 20 people with a = 0, 15 with a = 1, and one with a = 1 and b = 1, who is the target.
fn population() -> World {
    World::of([vec![(0, 0); 20], vec![(1, 0); 15], vec![(1, 1)]].concat())
}

fn query(a: &[u32], b: &[u32]) -> Query {
    Query {
        a: a.iter().copied().collect(),
        b: b.iter().copied().collect(),
        ..Query::everyone()
    }
}

/// Whether the number of each of these queries is shown, one after the other.
fn shown(world: &World, queries: &[Query], protection: &Protection) -> Vec<bool> {
    let mut memory = Memory::new(world, 5);
    let answers = queries.iter().map(|query| memory.answer(world, query, protection));
    answers.map(|cells| cells.iter().all(Option::is_some)).collect()
}

#[test]
fn attack_by_the_difference_of_two_totals_is_withheld() {
    for protection in any_protection() {
        let totals = [query(&[0, 1, 2], &[0, 1, 2]), query(&[0, 1, 2], &[0, 2])];
        assert_eq!(shown(&population(), &totals, &protection), [true, false]);
        let backward = [totals[1].clone(), totals[0].clone()];
        let is_shown = shown(&population(), &backward, &protection);
        assert!(
            !is_shown[0],
            "how many there are is known: all but one isolates that one"
        );
    }
}

#[test]
fn attack_by_an_individual_tracker_is_withheld() {
    for protection in any_protection() {
        // The number with a = 1 and b = 1 is that with a = 1 minus that with a = 1 and another b.
        let tracker = [query(&[1], &[0, 1, 2]), query(&[1], &[0, 2])];
        assert_eq!(shown(&population(), &tracker, &protection), [true, false]);
        let backward = [tracker[1].clone(), tracker[0].clone()];
        assert_eq!(shown(&population(), &backward, &protection), [true, false]);
    }
}

/// The target or a = 0, and a = 0: the difference is the target.
#[test]
fn attack_by_a_union_is_withheld() {
    let world = population();
    let condition = |a: u32, b: u32| cell_of(&BTreeSet::from([a]), &(0..B).filter(|of| *of >= b).collect());
    let (others, target) = (condition(0, 0), condition(1, 1));
    let either = Condition::Any(vec![others.condition().clone(), target.condition().clone()]);
    let with: UnitSet = (0..20).chain([35]).collect();
    for protection in any_protection() {
        let mut memory = Memory::new(&world, 5);
        let known = memory.answer_of(VERSION, &[((0..20).collect(), others.clone())], &protection);
        assert!(known[0].is_some());
        let union = [(with.clone(), CellBox::new(either.clone()).unwrap())];
        assert_eq!(memory.answer_of(VERSION, &union, &protection), [None]);
    }
}

/// How many there are in all is known, so that all but few show these few.
#[test]
fn attack_by_the_complement_is_withheld() {
    let world = World::of([vec![(0, 0); 30], vec![(1, 0); 4]].concat());
    for protection in any_protection() {
        assert_eq!(shown(&world, &[query(&[0], &[0, 1, 2])], &protection), [false]);
        assert_eq!(shown(&world, &[query(&[1], &[0, 1, 2])], &protection), [false]);
    }
}

/// The same people before and after the data of one of them changed.
#[test]
fn attack_over_versions_is_withheld() {
    let world = population();
    let cells = world.cells(&query(&[0], &[0, 1, 2]));
    for protection in any_protection() {
        for (changed, is_shown) in [(1, false), (4, false), (0, true), (20, true)] {
            let mut memory = Memory::new(&world, 5);
            assert!(memory.answer_of(VERSION, &cells, &protection)[0].is_some());
            let next = VersionNumber::new(2);
            memory.space.add_version(next, (0..changed).collect(), 36).unwrap();
            let later = memory.answer_of(next, &cells, &protection);
            assert_eq!(later[0].is_some(), is_shown, "{changed} changed");
        }
    }
}

/// What would show that a group is empty looks like what shows that it is small.
#[test]
fn attack_on_an_empty_group_is_withheld_like_a_small_one() {
    let by_a = Query {
        by_a: true,
        ..Query::everyone()
    };
    for protection in any_protection() {
        let empty = World::of([vec![(0, 0); 20], vec![(1, 0); 15]].concat());
        let small = World::of([vec![(0, 0); 20], vec![(1, 0); 15], vec![(2, 0); 3]].concat());
        let [empty, small] = [empty, small].map(|world| {
            let mut memory = Memory::new(&world, 5);
            let cells = memory.answer(&world, &by_a, &protection);
            cells.iter().map(Option::is_some).collect::<Vec<bool>>()
        });
        assert_eq!(empty, small);
        assert_eq!(
            empty,
            [true, false, false],
            "the smaller group covers the one without a value"
        );
    }
}

/// A set that differs from a released one is not shown to be equal to it: all with a = 1 have b = 0 here.
#[test]
fn attack_on_a_group_with_one_value_is_withheld() {
    let world = World::of([vec![(0, 0); 20], vec![(1, 0); 15]].concat());
    for protection in any_protection() {
        let pair = [query(&[1], &[0, 1, 2]), query(&[1], &[0])];
        assert_eq!(shown(&world, &pair, &protection), [true, false]);
    }
}

/// Thresholds of two sets that differ in one person are unrelated, so the appearance of a cell does not show the person.
#[test]
fn attack_at_the_threshold_meets_several_thresholds() {
    let mut seen = BTreeSet::new();
    for size in 5..60_u32 {
        let world = World::of([vec![(0, 0); 80], vec![(1, 0); size as usize]].concat());
        for more in 0..3 {
            // Groups of 5 to 7 people who are different ones each time.
            let units: UnitSet = (size..size + 5 + more).collect();
            let mut memory = Memory::new(&world, 5);
            let cells = [(units, cell_of(&BTreeSet::from([0]), &BTreeSet::from([0])))];
            let is_shown = memory.answer_of(VERSION, &cells, &Protection::Exact)[0].is_some();
            seen.insert((more, is_shown));
        }
    }
    assert_eq!(
        seen,
        BTreeSet::from([(0, false), (0, true), (1, false), (1, true), (2, true)]),
        "5 or 6 may be too few, 7 are enough"
    );
}

/// The smallest cell was raised after two sets whose difference has three people. Exact figures from which their number follows are not
/// repeated; with noise they are.
#[test]
fn attack_with_what_was_released_under_a_lower_threshold() {
    let world = World::of([vec![(0, 0); 17], vec![(1, 0); 3]].concat());
    let inner = query(&[0], &[0, 1, 2]);
    let mut memory = Memory::new(&world, 3);
    assert!(memory.answer(&world, &inner, &Protection::Exact)[0].is_some());
    let after = |protection: &Protection| {
        let mut memory = Memory::after(&world, (4, 512), &world.cells(&inner));
        memory.answer(&world, &inner, protection)[0].is_some()
    };
    assert!(!after(&Protection::Exact));
    assert!(after(&super::world::noise()));
}
