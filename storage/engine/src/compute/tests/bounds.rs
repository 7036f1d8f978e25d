//! Memory that is refused before anything is read, and memory that turns out to be too little.

use std::sync::Arc;

use concordat_protocol::{
    collection::{Comparison, KeyLink},
    scope::{Scope, Value},
};
use object_store::memory::InMemory;

use super::{
    CellReport, KnownCollection, QueryError, Statistic, World,
    collection::{CONCEPT, DAY, EVENT, Item, Record, Stored, column, dataset, everything},
    known, wait,
};
use crate::{
    Bounds,
    compute::report,
    statistic::{
        CellAggregate, ColumnPath, Condition, Day, EventSet, Group, KeyList, Measured, Quantity, ReferenceTest, Row,
        Step,
    },
};

fn world(subjects: u32) -> World {
    let event = |owner| Record {
        owner: Some(owner),
        items: vec![
            Item::Null,
            Item::Int(1),
            Item::Date(DAY),
            Item::Float(1.0),
            Item::Null,
            Item::Truth(true),
            Item::Null,
            Item::Int(1),
            Item::Null,
            Item::Null,
        ],
    };
    let mut rows: [Vec<Record>; 4] = std::array::from_fn(|_| Vec::new());
    rows[EVENT] = (0..3).map(event).collect();
    World { subjects, rows }
}

fn counted(known: &KnownCollection, rows: Condition, groups: Vec<Group>) -> Statistic {
    let cells = vec![CellAggregate::Rows { filter: Condition::All }];
    Statistic::new(Measured::Rows(dataset("event")), rows, groups, cells, known, 10_000).unwrap()
}

fn within(
    world: &World,
    stored: &Stored,
    scope: &Scope,
    statistic: &Statistic,
    bounds: Bounds,
) -> Result<CellReport, QueryError> {
    wait(report(stored, &world.rules(), scope, statistic, &bounds))
}

fn memory(bytes: usize) -> Bounds {
    Bounds {
        memory: bytes,
        ..Bounds::default()
    }
}

/// The collection with objects that do not exist: whatever is read fails.
fn unreadable(world: &World) -> Stored {
    let mut stored = world.stored(10);
    stored.store = Arc::new(InMemory::new());
    stored
}

/// Events within a week of another event of the same subject.
fn related(known: &KnownCollection) -> Condition {
    let day = |row| Day::Column(ColumnPath::new(row, &dataset("event"), Vec::new(), column("day")).unwrap());
    let of = Quantity::Days {
        from: day(Row::Outer),
        to: day(Row::This),
    };
    let test = known.levels(&of).decide(&Comparison::AtMost(Value::Int(7))).unwrap();
    let of = Box::new(EventSet {
        dataset: dataset("event"),
        rows: Condition::Test(of, test),
    });
    Condition::Events { of, exist: true }
}

#[test]
fn report_beyond_memory_is_refused_before_the_start() {
    let world = world(3);
    let scope = everything();
    let known = known(&world, &scope);
    let stored = world.stored(10);
    let mut many_subjects = world.clone();
    many_subjects.subjects = 4_000_000_000;
    let many_subjects = unreadable(&many_subjects);
    let mut many_rows = unreadable(&world);
    let events = many_rows.datasets.get_mut(&dataset("event")).unwrap();
    events.rows = 100_000_000;
    let related = counted(&known, related(&known), Vec::new());
    let all = counted(&known, Condition::All, Vec::new());
    assert!(within(&world, &stored, &scope, &related, Bounds::default()).is_ok());
    let is_refused = |stored: &Stored, statistic: &Statistic, bounds| {
        let refused = within(&world, stored, &scope, statistic, bounds);
        matches!(refused, Err(QueryError::Memory))
    };
    assert!(is_refused(&many_subjects, &related, Bounds::default()));
    assert!(is_refused(&many_rows, &related, Bounds::default()));
    assert!(is_refused(&many_rows, &all, memory(40 << 20)));
    assert!(is_refused(&stored, &all, memory(0)));
    assert!(is_refused(&stored, &all, memory(1_000)));
    // What is not refused is read, and fails then.
    let read = within(&world, &unreadable(&world), &scope, &all, Bounds::default()).unwrap();
    assert!(!read.is_complete);
}

#[test]
fn rows_that_cannot_be_numbered_are_refused() {
    let world = world(3);
    let scope = everything();
    let known = known(&world, &scope);
    let mut stored = unreadable(&world);
    stored.datasets.get_mut(&dataset("event")).unwrap().rows = u64::from(u32::MAX);
    let all = counted(&known, Condition::All, Vec::new());
    let bounds = memory(usize::MAX);
    assert!(matches!(
        within(&world, &stored, &scope, &all, bounds),
        Err(QueryError::Memory)
    ));
}

#[test]
fn grid_beyond_the_bound_is_refused() {
    let world = world(3);
    let scope = everything();
    let known = known(&world, &scope);
    let group = Group::Levels {
        of: Quantity::Column(ColumnPath::new(Row::This, &dataset("event"), Vec::new(), column("day")).unwrap()),
        level: None,
        missing: None,
    };
    let grouped = counted(&known, Condition::All, vec![group]);
    let bounds = |groups| Bounds {
        groups,
        ..Bounds::default()
    };
    let stored = world.stored(10);
    assert!(within(&world, &stored, &scope, &grouped, bounds(6)).is_ok());
    let refused = within(&world, &stored, &scope, &grouped, bounds(5));
    assert!(matches!(refused, Err(QueryError::TooManyGroups { limit: 5 })));
}

/// With this many concepts of one name.
fn with_concepts(mut world: World, count: i64) -> World {
    let concept = |code| Record {
        owner: None,
        items: vec![Item::Int(code), Item::Text("gout".to_owned())],
    };
    world.rows[CONCEPT] = (0..count).map(concept).collect();
    world
}

#[test]
fn codes_that_no_row_has_need_no_memory() {
    let world = with_concepts(world(3), 10_000);
    let scope = everything();
    let known = known(&world, &scope);
    let link = Step::Link(KeyLink {
        column: column("code"),
        to: dataset("concept"),
        key: column("concept_id"),
    });
    let named = Condition::Reference {
        of: ColumnPath::new(Row::This, &dataset("event"), vec![link], column("concept_name")).unwrap(),
        test: ReferenceTest::OneOf(vec![Value::Text("gout".to_owned())]),
        negated: false,
    };
    let named = counted(&known, named, Vec::new());
    let report = within(&world, &world.stored(20_000), &scope, &named, memory(100_000)).unwrap();
    assert!(report.is_complete && report.cells[0].subjects.len() == 3);
}

/// Lists of codes are only counted when they are read.
#[test]
fn memory_that_ends_while_reading_leaves_cells_empty() {
    let world = with_concepts(world(3), 4_000);
    let scope = everything();
    let known = known(&world, &scope);
    let name = ColumnPath::new(Row::This, &dataset("concept"), Vec::new(), column("concept_name")).unwrap();
    let rows = Condition::Reference {
        of: name,
        test: ReferenceTest::OneOf(vec![Value::Text("gout".to_owned())]),
        negated: false,
    };
    let list = Box::new(KeyList {
        dataset: dataset("concept"),
        key: column("concept_id"),
        rows,
    });
    let of = ColumnPath::new(Row::This, &dataset("event"), Vec::new(), column("code")).unwrap();
    let listed = counted(&known, Condition::Listed { of, list, is_in: true }, Vec::new());
    let stored = world.stored(5_000);
    let enough = within(&world, &stored, &scope, &listed, memory(1 << 20)).unwrap();
    assert!(enough.is_complete && enough.cells[0].subjects.len() == 3);
    let little = within(&world, &stored, &scope, &listed, memory(100_000)).unwrap();
    assert!(!little.is_complete && little.cells[0].subjects.is_empty());
}

#[test]
fn link_to_a_dataset_without_ordinals_is_refused() {
    let world = world(3);
    let scope = everything();
    let known = known(&world, &scope);
    let mut stored = world.stored(10);
    let visits = stored.datasets.get_mut(&dataset("visit")).unwrap();
    visits.ordinals = false;
    let link = Step::Link(KeyLink {
        column: column("visit_id"),
        to: dataset("visit"),
        key: column("visit_id"),
    });
    let kind = Quantity::Column(ColumnPath::new(Row::This, &dataset("event"), vec![link], column("kind")).unwrap());
    let test = known.levels(&kind).decide(&Comparison::IsNull).unwrap();
    let linked = counted(&known, Condition::Test(kind, test), Vec::new());
    let refused = within(&world, &stored, &scope, &linked, Bounds::default());
    assert!(matches!(refused, Err(QueryError::Invalid { .. })), "{refused:?}");
}

/// Lists that are found by reading the same columns are read together, and one that needs another list after it.
#[test]
fn lists_are_read_after_those_that_they_need() {
    let world = with_concepts(world(3), 10);
    let scope = everything();
    let known = known(&world, &scope);
    let path = |of: &str, name: &str| ColumnPath::new(Row::This, &dataset(of), Vec::new(), column(name)).unwrap();
    let named = |name: &str| Condition::Reference {
        of: path("concept", "concept_name"),
        test: ReferenceTest::OneOf(vec![Value::Text(name.to_owned())]),
        negated: false,
    };
    let listed = |of: ColumnPath, rows: Condition| Condition::Listed {
        of,
        list: Box::new(KeyList {
            dataset: dataset("concept"),
            key: column("concept_id"),
            rows,
        }),
        is_in: true,
    };
    let event = |rows: Condition| listed(path("event", "code"), rows);
    let again = listed(path("concept", "concept_id"), named("gout"));
    let [gout, asthma] = ["gout", "asthma"].map(|name| event(named(name)));
    let nested = event(Condition::all(vec![named("gout"), again]));
    for (rows, expected) in [
        (gout.clone(), 3),
        (asthma.clone(), 0),
        (nested.clone(), 3),
        (Condition::all(vec![gout.clone(), nested.clone()]), 3),
        (Condition::any(vec![asthma.clone(), nested]), 3),
        (Condition::any(vec![asthma.clone(), gout.clone()]), 3),
        (Condition::all(vec![asthma, gout]), 0),
    ] {
        let statistic = counted(&known, rows.clone(), Vec::new());
        let report = within(&world, &world.stored(4), &scope, &statistic, Bounds::default()).unwrap();
        assert_eq!(report.cells[0].subjects.len(), expected, "{rows:?}");
    }
}
