//! Which codes are in lists of a reference dataset.

use concordat_protocol::scope::Value;

use super::{
    World,
    collection::{CONCEPT, Item, Record, column, dataset, everything},
    known,
    known_values::{nothing, record},
    wait,
};
use crate::{
    compute::{MAX_LISTED, listed_codes},
    statistic::{ColumnPath, Condition, KeyList, ReferenceTest, Row},
};

const MEMORY: usize = 64 << 20;

fn concept(code: i64, name: &str) -> Record {
    let items = [
        ("concept_id", Item::Int(code)),
        ("concept_name", Item::Text(name.to_owned())),
    ];
    record(CONCEPT, None, &items)
}

/// The codes with a name.
fn named(name: &str) -> KeyList {
    let of = ColumnPath::new(Row::This, &dataset("concept"), Vec::new(), column("concept_name"));
    KeyList {
        dataset: dataset("concept"),
        key: column("concept_id"),
        rows: Condition::Reference {
            of: of.unwrap(),
            test: ReferenceTest::OneOf(vec![Value::Text(name.to_owned())]),
            negated: false,
        },
    }
}

fn listed(world: &World, names: &[&str], memory: usize) -> Vec<Option<Vec<Value>>> {
    let scope = everything();
    let known = known(world, &scope);
    let lists: Vec<KeyList> = names.iter().map(|name| named(name)).collect();
    wait(listed_codes(&world.stored(4), (&known, &scope), &lists, memory)).unwrap()
}

#[test]
fn listed_codes_are_those_of_the_rows() {
    let mut world = nothing(1);
    for (code, name) in [(7, "gout"), (5, "gout"), (6, "measles")] {
        world.rows[CONCEPT].push(concept(code, name));
    }
    let codes = |codes: &[i64]| Some(codes.iter().copied().map(Value::Int).collect::<Vec<Value>>());
    let found = listed(&world, &["gout", "measles", "mumps"], MEMORY);
    assert_eq!(found, [codes(&[5, 7]), codes(&[6]), codes(&[])]);
}

/// A key that several rows have leads to none of them, so it is not known what it selects.
#[test]
fn listed_codes_of_several_rows_are_not_known() {
    let mut world = nothing(1);
    for (code, name) in [(5, "gout"), (5, "measles"), (6, "measles"), (7, "mumps")] {
        world.rows[CONCEPT].push(concept(code, name));
    }
    let found = listed(&world, &["gout", "measles", "mumps"], MEMORY);
    assert_eq!(found, [None, None, Some(vec![Value::Int(7)])]);
}

#[test]
fn listed_codes_have_a_limit() {
    let mut world = nothing(1);
    let most = i64::try_from(MAX_LISTED).unwrap();
    world.rows[CONCEPT].extend((0..most).map(|code| concept(code, "gout")));
    let found = listed(&world, &["gout"], MEMORY);
    assert_eq!(found[0].as_ref().map(Vec::len), Some(MAX_LISTED));
    world.rows[CONCEPT].push(concept(most, "gout"));
    assert_eq!(listed(&world, &["gout"], MEMORY), [None]);
}
