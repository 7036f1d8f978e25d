//! Texts that are lowered and computed, compared with what the library computes of the same rows.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch},
    datatypes::{Field, Schema},
};
use datafusion::{
    common::TableReference, datasource::MemTable, prelude::SessionContext, sql::sqlparser::ast::Statement,
};

use super::{
    World,
    collection::{DATASETS, EVENT, Item, PERSON, VISIT, array, arrow_type, everything},
    known,
    known_values::{nothing, only, record},
    random::Dice,
    reported, wait,
};
use crate::{
    home_state,
    meaning::plan_of,
    parse,
    statistic::{CellAggregate, lower},
};

const TEXTS: [&str; 12] = [
    "SELECT count(*) FROM person p LEFT JOIN visit v ON v.person_id = p.person_id WHERE v.visit_id IS NULL",
    "SELECT count(*) FROM person p LEFT JOIN visit v ON v.person_id = p.person_id WHERE v.person_id IS NULL AND p.sex = 'f'",
    "SELECT count(DISTINCT p.person_id) FROM person p LEFT JOIN visit v ON v.person_id = p.person_id WHERE v.visit_id IS NULL",
    "SELECT count(DISTINCT p.person_id) FROM person p LEFT JOIN visit v ON v.person_id = p.person_id WHERE v.visit_id IS NOT NULL",
    "SELECT count(DISTINCT p.person_id) FROM person p LEFT JOIN visit v ON v.person_id = p.person_id WHERE p.sex IS NOT NULL",
    "SELECT count(DISTINCT v.person_id) FROM person p LEFT JOIN visit v ON v.person_id = p.person_id",
    "SELECT count(*) FROM event e LEFT JOIN visit v ON v.person_id = e.person_id AND v.kind = 1 WHERE v.visit_id IS NULL",
    "SELECT count(*) FROM event e LEFT JOIN visit v ON v.person_id = e.person_id AND v.kind IS DISTINCT FROM 1 WHERE v.visit_id IS NULL AND e.flag",
    "SELECT count(DISTINCT e.person_id) FROM event e LEFT JOIN visit v ON v.person_id = e.person_id AND v.kind <> 1 WHERE v.visit_id IS NULL OR e.flag",
    "SELECT count(*) FROM visit WHERE kind IS DISTINCT FROM 1",
    "SELECT count(*) FROM visit WHERE 2 IS NOT DISTINCT FROM kind",
    "SELECT count(*) FROM person WHERE (sex IS DISTINCT FROM 'f') IS NOT TRUE",
];

/// Rows of eight subjects. Some have no row of a dataset, and some have several.
fn world(dice: &mut Dice) -> World {
    let mut world = nothing(8);
    let sexes = ["f", "m", "x"].map(|sex| Item::Text(sex.to_owned()));
    let sexes = [&sexes[..], &[Item::Null]].concat();
    let kinds = [Item::Int(1), Item::Int(2), Item::Int(3), Item::Null];
    let flags = [Item::Truth(true), Item::Truth(false), Item::Null];
    let mut visits = 0;
    for person in 0..8_u32 {
        let key = ("person_id", Item::Int(i64::from(person)));
        let owner = Some(person);
        if !dice.once_in(5) {
            let items = [key.clone(), ("sex", dice.pick(&sexes).clone())];
            world.rows[PERSON].push(record(PERSON, owner, &items));
        }
        for _ in 0..dice.below(4) {
            let items = [key.clone(), ("flag", dice.pick(&flags).clone())];
            world.rows[EVENT].push(record(EVENT, owner, &items));
        }
        for _ in 0..dice.below(3) {
            visits += 1;
            let items = [
                key.clone(),
                ("visit_id", Item::Int(visits)),
                ("kind", dice.pick(&kinds).clone()),
            ];
            world.rows[VISIT].push(record(VISIT, owner, &items));
        }
    }
    world
}

/// Registers the rows of each dataset as a table.
fn register(context: &SessionContext, world: &World) {
    for ((name, columns), rows) in DATASETS.iter().zip(&world.rows) {
        let fields = columns
            .iter()
            .map(|(name, kind)| Field::new(*name, arrow_type(*kind), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let arrays: Vec<ArrayRef> = columns
            .iter()
            .enumerate()
            .map(|(at, (_, kind))| array(*kind, &rows.iter().map(|row| &row.items[at]).collect::<Vec<_>>()))
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
        let table = MemTable::try_new(schema, vec![vec![batch]]).unwrap();
        context
            .register_table(TableReference::bare(*name), Arc::new(table))
            .unwrap();
    }
}

/// The number that a text is lowered to, of the rows.
fn computed(world: &World, sql: &str) -> u64 {
    let scope = everything();
    let context = SessionContext::new_with_state(home_state(1 << 20, "clinic").unwrap());
    register(&context, world);
    let Some(statement @ Statement::Query(_)) = parse(sql, 64).unwrap().pop() else {
        panic!("{sql}")
    };
    let state = context.state();
    let plan = wait(plan_of(&state, &statement)).unwrap();
    let lowered = lower(&plan, &known(world, &scope), 1_000).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let statistic = &lowered.blocks[0].statistic;
    let report = reported(world, &world.stored(3), &scope, statistic).unwrap();
    assert!(report.is_complete);
    let set = only(&report);
    if matches!(statistic.cells(), [CellAggregate::Rows { .. }]) {
        set.rows.len()
    } else {
        set.subjects.len()
    }
}

/// The number that the library computes.
fn expected(world: &World, sql: &str) -> u64 {
    let context = SessionContext::new();
    register(&context, world);
    let batches = wait(async { context.sql(sql).await.unwrap().collect().await.unwrap() });
    let number = batches[0].column(0).as_any().downcast_ref::<Int64Array>().unwrap();
    u64::try_from(number.value(0)).unwrap()
}

#[test]
fn text_of_joins_and_distinctions_is_computed_as_in_sql() {
    for seed in 0..24 {
        let world = world(&mut Dice::new(seed));
        for sql in TEXTS {
            assert_eq!(computed(&world, sql), expected(&world, sql), "{seed}: {sql}");
        }
    }
}
