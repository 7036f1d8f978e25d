mod attack;
mod cost;
mod figures;
mod hospital;
mod neighbors;
mod reference;
mod rows;
mod world;

use std::collections::BTreeSet;

use concordat_protocol::scope::Protection;
use proptest::prelude::*;

use super::*;
use crate::random::seeded::Seeded;
use world::{Memory, Query, World, any_query, any_world};

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// After any sequence of queries no combination of what was shown, and of the number of all subjects, is about fewer than `k`.
    #[test]
    fn decide_never_isolates_few_subjects(
        world in any_world(),
        k in 2_u32..=4,
        queries in prop::collection::vec(any_query(), 1..8),
        is_exact: bool,
    ) {
        let protection = if is_exact { Protection::Exact } else { world::noise() };
        let mut memory = Memory::new(&world, k);
        for query in &queries {
            let shown = memory.answer(&world, query, &protection);
            for units in shown.iter().flatten() {
                prop_assert!(units.len() >= k as usize);
                memory.shown.push(units.iter().map(|unit| (1, *unit)).collect());
            }
        }
        prop_assert!(!reference::isolates(&memory.shown, &|unit| unit, k as usize));
    }

    /// The same cells are shown in whatever order they are computed.
    #[test]
    fn decide_does_not_depend_on_the_order_of_cells(
        world in any_world(),
        before in prop::collection::vec(any_query(), 0..4),
        query in any_query(),
        is_exact: bool,
    ) {
        let protection = if is_exact { Protection::Exact } else { world::noise() };
        let mut memories = [Memory::new(&world, 2), Memory::new(&world, 2)];
        for memory in &mut memories {
            before.iter().for_each(|query| drop(memory.answer(&world, query, &protection)));
        }
        let [forward, backward] = &mut memories;
        let shown = forward.answer(&world, &query, &protection);
        let mut reversed = backward.answer(&world, &query.reversed(), &protection);
        reversed.reverse();
        prop_assert_eq!(shown, reversed);
    }
}

#[test]
fn decide_of_another_form_is_refused() {
    let world = World::plain(30);
    let memory = Memory::new(&world, 3);
    let rules = DisclosureRules::new(3, &Protection::Exact).unwrap();
    let outline = Outline::default();
    let refused = Grid::new(world::VERSION, Counted::Subjects, vec![outline], vec![Vec::new()]);
    assert_eq!(refused.unwrap_err(), DecideError::Shape);
    let grid = Grid::new(world::VERSION, Counted::Rows, Vec::new(), Vec::new()).unwrap();
    let refused = memory.decided(&grid, &rules).unwrap_err();
    assert_eq!(refused, DecideError::Shape, "rows are not remembered");
    let private = DisclosureRules::new(3, &Protection::Private(world::loss())).unwrap();
    let grid = Grid::new(world::VERSION, Counted::Subjects, Vec::new(), Vec::new()).unwrap();
    assert_eq!(memory.decided(&grid, &private).unwrap_err(), DecideError::OtherMode);
}

/// The budget ends with an error, and nothing of the answer is shown or remembered.
#[test]
fn decide_beyond_the_budget_is_refused() {
    let world = World::plain(60);
    let mut memory = Memory::with_distinctions(&world, 3, 2);
    let of_b = Query {
        b: BTreeSet::from([0]),
        ..Query::everyone()
    };
    let of_a = Query {
        a: BTreeSet::from([0]),
        ..Query::everyone()
    };
    assert!(memory.answer(&world, &of_b, &Protection::Exact)[0].is_some());
    let cells = world.cells(&of_a);
    let grid = world::grid(&cells);
    let rules = DisclosureRules::new(3, &Protection::Exact).unwrap();
    let refused = memory.decided(&grid, &rules).unwrap_err();
    assert_eq!(refused, DecideError::NoDistinctions { limit: 2 });
    assert!(
        memory.answer(&world, &of_b, &Protection::Exact)[0].is_some(),
        "what is known is free"
    );
}

/// Draws do not change what is shown: another random state of the same memory comes to the same verdicts where there is capacity.
#[test]
fn decide_does_not_depend_on_the_drawn_bases() {
    let world = World::plain(80);
    let query = Query {
        by_a: true,
        ..Query::everyone()
    };
    let mut seen = Vec::new();
    for seed in 0..5 {
        let mut memory = Memory::new(&world, 3);
        memory.entropy = Seeded::new(seed);
        seen.push(memory.answer(&world, &query, &Protection::Exact));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}
