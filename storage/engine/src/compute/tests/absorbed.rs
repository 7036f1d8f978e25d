//! Reads that fail: the report has no contents, and looks like one of small cells. Changed data is an error of its own.

use std::sync::Arc;

use concordat_protocol::{
    collection::Comparison,
    error_kind::{ErrorKind, Explain as _},
    scope::{Scope, Value},
};

use super::{
    CellReport, QueryError, Statistic, World,
    collection::{DATASETS, EVENT, Item, PERSON, Record, Stored, VISIT, at, column, dataset, everything},
    known, reported,
};
use crate::fault_injection::{FaultyStore, InjectedFaults, Outcome};
use crate::{
    compute::{absorbed, outline, report::MeasuredSet, selections},
    statistic::{
        CellAggregate, ColumnPath, Condition, EventSet, Group, KnownCollection, Measured, Output, Quantity, Row, Step,
    },
};

/// More reads than a report makes; if this is reached, something never ends.
const MAX_OPERATIONS: u64 = 400;

/// A statistic that reads all kinds of sources.
fn statistic(known: &KnownCollection) -> Statistic {
    let path = |steps: &[Step], name: &str| {
        ColumnPath::new(Row::This, &dataset("event"), steps.to_vec(), column(name)).unwrap()
    };
    let born = Quantity::Column(path(&[Step::Subject(dataset("person"))], "born"));
    let late = known
        .levels(&born)
        .decide(&Comparison::AtLeast(Value::Int(1_940)))
        .unwrap();
    let visits = EventSet {
        dataset: dataset("visit"),
        rows: Condition::All,
    };
    let events = Condition::Events {
        of: Box::new(visits),
        exist: true,
    };
    let group = Group::Cases {
        cases: vec![(events, Some(Value::Bool(true)))],
        rest: None,
    };
    let sum = CellAggregate::Moments {
        of: Quantity::Column(path(&[], "value")),
        with: None,
        output: Output::Sum,
        filter: Condition::All,
    };
    let rows = Condition::any(vec![
        Condition::Test(born.clone(), late.clone()),
        Condition::Test(born, late.negation()),
    ]);
    Statistic::new(
        Measured::Rows(dataset("event")),
        rows,
        vec![group],
        vec![sum],
        known,
        10,
    )
    .unwrap()
}

fn is_empty(report: &CellReport) -> bool {
    let is_empty = |set: &MeasuredSet| {
        let has_sum = set
            .sums
            .iter()
            .any(|sum| sum.total != 0 || sum.contributions.total != 0);
        set.subjects.is_empty() && set.rows.is_empty() && !has_sum
    };
    let mut cells = report.cells.iter();
    cells.all(|cell| cell.subjects.is_empty() && cell.sets.iter().all(is_empty))
}

fn faulty(mut stored: Stored, faults: &Arc<InjectedFaults>) -> Stored {
    stored.store = Arc::new(FaultyStore::new(stored.store, Arc::clone(faults)));
    stored
}

/// Three persons, of whom two have events, and one a visit.
fn fixture() -> (World, Scope) {
    let record = |of: usize, owner: u32, items: &[(&str, Item)]| {
        let mut all = vec![Item::Null; DATASETS[of].1.len()];
        for (name, item) in items {
            all[at(of, name)] = item.clone();
        }
        Record {
            owner: Some(owner),
            items: all,
        }
    };
    let mut rows: [Vec<Record>; 4] = std::array::from_fn(|_| Vec::new());
    for owner in 0..3 {
        rows[PERSON].push(record(PERSON, owner, &[("born", Item::Int(1_950))]));
    }
    for owner in [0, 0, 1, 1, 1] {
        rows[EVENT].push(record(EVENT, owner, &[("value", Item::Float(2.5))]));
    }
    rows[VISIT].push(record(VISIT, 1, &[("visit_id", Item::Int(1))]));
    (World { subjects: 3, rows }, everything())
}

#[test]
fn failed_read_leaves_every_cell_empty() {
    let (world, scope) = fixture();
    let statistic = statistic(&known(&world, &scope));
    let faults = Arc::<InjectedFaults>::default();
    let stored = faulty(world.stored(2), &faults);
    let expected = reported(&world, &stored, &scope, &statistic).unwrap();
    assert!(expected.is_complete && !is_empty(&expected));
    for (outcome, expected_kind) in [(Outcome::NotDone, None), (Outcome::Short, Some(ErrorKind::Integrity))] {
        let mut failed = 0;
        for number in 1..MAX_OPERATIONS {
            faults.at_read(number, outcome);
            let result = reported(&world, &stored, &scope, &statistic);
            let triggered = faults.end();
            match result {
                Ok(report) if report.is_complete => assert_eq!(report, expected, "read {number} {outcome:?}"),
                Ok(report) => {
                    failed += 1;
                    assert!(is_empty(&report), "read {number} {outcome:?}");
                    assert_eq!(report.cells.len(), expected.cells.len());
                    assert_eq!(report.outlines, expected.outlines);
                }
                Err(error) => {
                    failed += 1;
                    assert_eq!(Some(error.kind()), expected_kind, "read {number} {outcome:?}: {error}");
                }
            }
            if !triggered {
                break;
            }
        }
        assert!(failed >= 3, "{failed} reads failed");
    }
}

#[test]
fn only_changed_data_and_a_cut_are_errors() {
    let (world, scope) = fixture();
    let stored = world.stored(2);
    let known = known(&world, &scope);
    let (plan, _) = selections::plan(&statistic(&known), &known, &scope, &stored).unwrap();
    let failed = || outline(&stored, &plan).failed(2);
    let stored_error = |kind| QueryError::Stored { kind };
    let cut = QueryError::Cut { reason: String::new() };
    assert!(absorbed(Err(stored_error(ErrorKind::Integrity)), failed).is_err());
    assert!(absorbed(Err(cut), failed).is_err());
    for error in [
        QueryError::Memory,
        QueryError::Computation,
        QueryError::Engine { step: "reading" },
        stored_error(ErrorKind::Internal),
        stored_error(ErrorKind::Unreachable),
    ] {
        let report = absorbed(Err(error), failed).unwrap();
        assert!(!report.is_complete && is_empty(&report));
        assert_eq!(report.cells.len(), 2);
    }
}
