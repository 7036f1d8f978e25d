//! Cells of rows that are written out, with the values that statistics are most often wrong about.

mod differences;

use std::collections::BTreeSet;

use concordat_disclosure::UnitSet;
use concordat_protocol::{
    collection::{Comparison, KeyLink},
    scope::{Finite, Generalization, Scope, Transform, Value},
};

use super::{
    CellReport, KnownCollection, Statistic, World,
    collection::{
        CONCEPT, DATASETS, DAY, EVENT, Item, PERSON, Record, VISIT, at, column, dataset, everything, of_subjects,
        rows_with, with_column, with_rows,
    },
    known, reported, wait,
};
use crate::{
    Bounds, QueryError,
    compute::{
        owners::owners,
        report::{MeasuredSet, Monomial},
    },
    statistic::{
        CellAggregate, ColumnPath, Condition, Day, EventSet, Group, Measured, Output, Quantity, ReferenceTest, Row,
        Step, SubjectValue,
    },
};

fn path(root: &str, row: Row, steps: &[Step], name: &str) -> ColumnPath {
    ColumnPath::new(row, &dataset(root), steps.to_vec(), column(name)).unwrap()
}

fn own(root: &str, name: &str) -> Quantity {
    Quantity::Column(path(root, Row::This, &[], name))
}

pub(super) fn nothing(subjects: u32) -> World {
    World {
        subjects,
        rows: std::array::from_fn(|_| Vec::new()),
    }
}

/// A row with these values, and missing ones otherwise.
pub(super) fn record(of: usize, owner: Option<u32>, items: &[(&str, Item)]) -> Record {
    let mut all = vec![Item::Null; DATASETS[of].1.len()];
    for (name, item) in items {
        all[at(of, name)] = item.clone();
    }
    Record { owner, items: all }
}

fn event(owner: u32, items: &[(&str, Item)]) -> Record {
    record(EVENT, Some(owner), items)
}

fn statistic(
    known: &KnownCollection,
    of: &str,
    rows: Condition,
    groups: Vec<Group>,
    cells: Vec<CellAggregate>,
) -> Statistic {
    Statistic::new(Measured::Rows(dataset(of)), rows, groups, cells, known, 1_000).unwrap()
}

fn is(known: &KnownCollection, of: Quantity, comparison: &Comparison) -> Condition {
    let test = known.levels(&of).decide(comparison).unwrap();
    Condition::Test(of, test)
}

fn moments(of: Quantity, output: Output) -> CellAggregate {
    CellAggregate::Moments {
        of,
        with: None,
        output,
        filter: Condition::All,
    }
}

const ALL_ROWS: CellAggregate = CellAggregate::Rows { filter: Condition::All };
const ALL_SUBJECTS: CellAggregate = CellAggregate::Subjects { filter: Condition::All };

fn answer(world: &World, scope: &Scope, statistic: &Statistic) -> CellReport {
    let report = reported(world, &world.stored(4), scope, statistic).unwrap();
    assert!(report.is_complete);
    report
}

/// The set of the only aggregate in the first cell.
pub(super) fn only(report: &CellReport) -> &MeasuredSet {
    assert_eq!(report.cells.len(), 1);
    &report.cells[0].sets[report.set_of[0]]
}

fn sum(report: &CellReport, of: Monomial) -> f64 {
    let outline = &report.outlines[report.set_of[0]];
    let at = outline.sums.iter().position(|sum| sum.of == of).unwrap();
    outline.sums[at].quantum.value(only(report).sums[at].total)
}

fn units(set: &UnitSet) -> BTreeSet<u32> {
    set.iter().collect()
}

#[test]
fn measure_without_a_finite_value_is_missing() {
    let mut world = nothing(5);
    let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 0.1, -0.0];
    for (number, owner) in numbers.into_iter().zip([0, 1, 2, 3, 3, 4, 4]) {
        world.rows[EVENT].push(event(owner, &[("value", Item::Float(number))]));
    }
    world.rows[EVENT].push(event(4, &[]));
    let scope = everything();
    let known = known(&world, &scope);
    let cells = vec![moments(own("event", "value"), Output::Sum)];
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "event", Condition::All, Vec::new(), cells),
    );
    assert_eq!(units(&only(&report).subjects), BTreeSet::from([3, 4]));
    assert_eq!(units(&only(&report).rows), BTreeSet::from([3, 4, 5, 6]));
    assert_eq!(sum(&report, Monomial::One), 4.0);
    // Both ends of the range, and the value between them.
    assert_eq!(sum(&report, Monomial::X), 100.0 - 20.0 + 0.1);
    assert_eq!(report.cells[0].subjects.len(), 5);
}

/// A condition may name each code of an open list, and so it may name those that match. The values of other columns it may not.
#[test]
fn codes_of_an_open_list_are_matched_and_no_others() {
    let mut world = nothing(3);
    for (owner, code) in [(0, 1), (1, 2), (2, 1)] {
        world.rows[EVENT].push(event(owner, &[("code", Item::Int(code))]));
    }
    world.rows[EVENT].push(event(1, &[]));
    let scope = everything();
    let known = known(&world, &scope);
    let matching = |of: ColumnPath, negated: bool| {
        let test = ReferenceTest::OneOf(vec![Value::Int(1)]);
        let rows = Condition::Reference { of, test, negated };
        statistic(&known, "event", rows, Vec::new(), vec![ALL_ROWS])
    };
    let code = || path("event", Row::This, &[], "code");
    let report = answer(&world, &scope, &matching(code(), false));
    assert_eq!(units(&only(&report).rows), BTreeSet::from([0, 2]));
    // A missing code is neither.
    let report = answer(&world, &scope, &matching(code(), true));
    assert_eq!(units(&only(&report).rows), BTreeSet::from([1]));
    for name in ["value", "count", "flag"] {
        let other = matching(path("event", Row::This, &[], name), false);
        let refused = reported(&world, &world.stored(4), &scope, &other);
        assert!(matches!(refused, Err(QueryError::Invalid { .. })), "{name}");
    }
}

/// Visits that begin up to a month after another one of the same person. A visit is none of its own, also if it has the day of another one.
#[test]
fn rows_are_related_to_other_rows_of_their_dataset() {
    let mut world = nothing(3);
    let visits = [
        (0, Some(10), 0),
        (0, Some(11), 20),
        (0, Some(12), 400),
        (1, Some(13), 5),
        (2, Some(14), 7),
        (2, Some(15), 7),
        // Without a key it is not known whether it is another one.
        (1, None, 6),
    ];
    for (owner, id, day) in visits {
        let id = id.map_or(Item::Null, Item::Int);
        let items = [("visit_id", id), ("start", Item::Date(DAY + day))];
        world.rows[VISIT].push(record(VISIT, Some(owner), &items));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let day = |row| Day::Column(path("visit", row, &[], "start"));
    let days = Quantity::Days {
        from: day(Row::This),
        to: day(Row::Outer),
    };
    let month = is(&known, days, &Comparison::Between(Value::Int(0), Value::Int(30)));
    let related = |key: &str, is_other: bool| {
        let key = path("visit", Row::This, &[], key);
        let rows = Condition::all(vec![Condition::OtherRow { key, is_other }, month.clone()]);
        let of = Box::new(EventSet {
            dataset: dataset("visit"),
            rows,
        });
        let rows = Condition::Events { of, exist: true };
        statistic(&known, "visit", rows, Vec::new(), vec![ALL_ROWS])
    };
    let rows = |statistic: &Statistic| units(&only(&answer(&world, &scope, statistic)).rows);
    let expected: BTreeSet<u32> = (0..)
        .zip(&visits)
        .filter(|(_, (owner, id, day))| {
            visits.iter().any(|(other_owner, other_id, other_day)| {
                let is_other = id.zip(*other_id).is_some_and(|(id, other)| id != other);
                owner == other_owner && is_other && (0..=30).contains(&(day - other_day))
            })
        })
        .map(|(row, _)| row)
        .collect();
    assert_eq!(expected, BTreeSet::from([1, 4, 5]));
    assert_eq!(rows(&related("visit_id", true)), expected);
    // The row itself, which has a key.
    assert_eq!(rows(&related("visit_id", false)), BTreeSet::from([0, 1, 2, 3, 4, 5]));
    for other in ["kind", "start"] {
        let refused = reported(&world, &world.stored(4), &scope, &related(other, true));
        assert!(matches!(refused, Err(QueryError::Invalid { .. })), "{other}");
    }
}

#[test]
fn whole_numbers_are_added_exactly() {
    let mut world = nothing(2);
    for number in [8_999_999_999_999_999, 8_999_999_999_999_999, 1, -3] {
        world.rows[EVENT].push(event(1, &[("count", Item::Int(number))]));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let cells = vec![moments(own("event", "count"), Output::Sum)];
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "event", Condition::All, Vec::new(), cells),
    );
    assert_eq!(sum(&report, Monomial::X), 17_999_999_999_999_996.0);
    let set = only(&report);
    let at = report.outlines[0]
        .sums
        .iter()
        .position(|sum| sum.of == Monomial::X)
        .unwrap();
    let sum = set.sums[at];
    assert_eq!(sum.contributions.largest[0], sum.total.unsigned_abs());
    assert_eq!(sum.contributions.total, sum.total.unsigned_abs());
    assert_eq!(sum.contributions.largest[1], 0);
}

#[test]
fn variance_of_close_numbers_keeps_its_digits() {
    let mut world = nothing(3);
    for (owner, number) in [(0, 40.000_001), (1, 40.000_002), (2, 40.000_003)] {
        world.rows[EVENT].push(event(owner, &[("value", Item::Float(number))]));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let cells = vec![moments(own("event", "value"), Output::VarianceOfPopulation)];
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "event", Condition::All, Vec::new(), cells),
    );
    assert_eq!(report.outlines[0].centers[0], 40.0);
    let count = sum(&report, Monomial::One);
    let mean = sum(&report, Monomial::CenteredX) / count;
    let variance = sum(&report, Monomial::CenteredXX) / count - mean * mean;
    assert!((variance - 2e-12 / 3.0).abs() < 1e-18, "{variance}");
}

#[test]
fn missing_values_are_in_the_last_class_of_a_group() {
    let mut world = nothing(4);
    for (owner, kind) in [(0, Item::Int(1)), (1, Item::Int(2)), (2, Item::Int(9)), (3, Item::Null)] {
        world.rows[VISIT].push(record(VISIT, Some(owner), &[("kind", kind)]));
    }
    world.rows[VISIT].push(record(VISIT, None, &[("kind", Item::Int(2))]));
    let scope = everything();
    let known = known(&world, &scope);
    let group = Group::Levels {
        of: own("visit", "kind"),
        level: None,
        missing: None,
    };
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "visit", Condition::All, vec![group], vec![ALL_ROWS]),
    );
    let owners: Vec<BTreeSet<u32>> = report.cells.iter().map(|cell| units(&cell.subjects)).collect();
    assert_eq!(owners, [[0_u32], [1], [2], [3]].map(BTreeSet::from));
    assert_eq!(report.rows, Some(5));
}

#[test]
fn grid_has_cells_without_rows() {
    let world = nothing(0);
    let scope = everything();
    let known = known(&world, &scope);
    let group = |of| Group::Levels {
        of,
        level: None,
        missing: None,
    };
    let groups = vec![group(own("event", "flag")), group(own("event", "day"))];
    let statistic = statistic(&known, "event", Condition::All, groups, vec![ALL_SUBJECTS]);
    let report = answer(&world, &scope, &statistic);
    assert_eq!(report.cells.len(), 3 * 6);
    assert_eq!(report.version, concordat_protocol::schema::VersionNumber::FIRST);
    assert!(
        report
            .cells
            .iter()
            .all(|cell| cell.subjects.is_empty() && cell.sets[0].subjects.is_empty())
    );
}

#[test]
fn events_are_related_to_the_row_around_them() {
    let mut world = nothing(4);
    let visit = |owner, day| record(VISIT, Some(owner), &[("start", Item::Date(day))]);
    let event = |owner, day| event(owner, &[("day", Item::Date(day))]);
    // Within a week, on another day, of another subject, and without a date.
    for (owner, start, day) in [(0, DAY, DAY + 7), (1, DAY, DAY + 8), (2, DAY + 1, DAY)] {
        world.rows[VISIT].push(visit(owner, start));
        world.rows[EVENT].push(event(owner, day));
    }
    world.rows[VISIT].push(record(VISIT, Some(3), &[]));
    world.rows[EVENT].push(event(3, DAY));
    let scope = everything();
    let known = known(&world, &scope);
    let days = Quantity::Days {
        from: Day::Column(path("visit", Row::Outer, &[], "start")),
        to: Day::Column(path("event", Row::This, &[], "day")),
    };
    let rows = is(&known, days, &Comparison::Between(Value::Int(0), Value::Int(7)));
    let of = Box::new(EventSet {
        dataset: dataset("event"),
        rows,
    });
    for (exist, expected) in [(true, BTreeSet::from([0])), (false, BTreeSet::from([1, 2, 3]))] {
        let condition = Condition::Events { of: of.clone(), exist };
        let report = answer(
            &world,
            &scope,
            &statistic(&known, "visit", condition, Vec::new(), vec![ALL_ROWS]),
        );
        assert_eq!(units(&only(&report).subjects), expected);
    }
}

#[test]
fn key_of_several_rows_leads_to_none() {
    let found = subjects_with_a_visit(&[(0, 1), (1, 2), (1, 2)], &[(0, 1), (1, 2), (2, 3)]);
    assert_eq!(found, BTreeSet::from([0]));
}

/// The columns of a row are shown of its own subject only, from whichever row a link leads to it.
#[test]
fn key_of_a_row_of_another_subject_leads_to_none() {
    let found = subjects_with_a_visit(&[(0, 1), (1, 2)], &[(0, 1), (1, 1), (2, 2)]);
    assert_eq!(found, BTreeSet::from([0]));
}

/// The subjects with an event whose link leads to a column of a visit. Visits and events have an owner and the key of a visit.
fn subjects_with_a_visit(visits: &[(u32, i64)], events: &[(u32, i64)]) -> BTreeSet<u32> {
    let mut world = nothing(3);
    for (owner, id) in visits {
        let items = [("visit_id", Item::Int(*id)), ("kind", Item::Int(1))];
        world.rows[VISIT].push(record(VISIT, Some(*owner), &items));
    }
    for (owner, id) in events {
        world.rows[EVENT].push(event(*owner, &[("visit_id", Item::Int(*id))]));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let visit = Step::Link(KeyLink {
        column: column("visit_id"),
        to: dataset("visit"),
        key: column("visit_id"),
    });
    let kind = Quantity::Column(path("event", Row::This, &[visit], "kind"));
    let is_known = is(&known, kind, &Comparison::IsNotNull);
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "event", is_known, Vec::new(), vec![ALL_ROWS]),
    );
    units(&only(&report).subjects)
}

#[test]
fn subject_without_events_has_no_number_of_them() {
    let mut world = nothing(3);
    for owner in 0..3 {
        world.rows[PERSON].push(record(PERSON, Some(owner), &[]));
    }
    for owner in [0, 0, 1] {
        world.rows[EVENT].push(event(owner, &[]));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let count = Quantity::OfSubject {
        of: Box::new(EventSet {
            dataset: dataset("event"),
            rows: Condition::All,
        }),
        value: SubjectValue::Count,
    };
    let cells = vec![moments(count, Output::Mean)];
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "person", Condition::All, Vec::new(), cells),
    );
    assert_eq!((sum(&report, Monomial::One), sum(&report, Monomial::X)), (2.0, 3.0));
    assert_eq!(
        only(&report).sums[0].contributions.largest[..3]
            .iter()
            .filter(|part| **part > 0)
            .count(),
        2
    );
    assert!(only(&report).rows.is_empty());
}

#[test]
fn quantile_is_measured_in_declared_bands() {
    let mut world = nothing(3);
    for (owner, number) in [(0, -20.0), (0, 10.0), (1, 39.9), (2, 1e9)] {
        world.rows[EVENT].push(event(owner, &[("value", Item::Float(number))]));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let quantile = |of| CellAggregate::Quantile {
        of,
        at: Finite::new(0.5).unwrap(),
        filter: Condition::All,
    };
    let cells = vec![quantile(own("event", "value"))];
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "event", Condition::All, Vec::new(), cells),
    );
    assert_eq!(
        report.outlines[0].edges.as_deref(),
        Some(&[-2.5, 10.0, 40.0, 75.25][..])
    );
    let bands: Vec<BTreeSet<u32>> = only(&report).bands.iter().map(units).collect();
    let expected = [vec![0], vec![], vec![1, 2], vec![], vec![3]];
    assert_eq!(bands, expected.map(|rows| rows.into_iter().collect::<BTreeSet<u32>>()));
    // Without declared edges, equal parts of the range.
    let cells = vec![quantile(own("event", "count"))];
    let report = answer(
        &world,
        &scope,
        &statistic(&known, "event", Condition::All, Vec::new(), cells),
    );
    assert_eq!(report.outlines[0].edges.as_ref().map(Vec::len), Some(63));
}

#[test]
fn scope_decides_which_rows_and_subjects_count() {
    let mut world = nothing(4);
    for (owner, sex, code) in [(0, "f", 1), (1, "m", 1), (2, "f", 2), (3, "f", 1)] {
        if owner != 3 {
            let items = [("sex", Item::Text(sex.to_owned()))];
            world.rows[PERSON].push(record(PERSON, Some(owner), &items));
        }
        world.rows[EVENT].push(event(owner, &[("code", Item::Int(code))]));
    }
    let scope = everything();
    let known = known(&world, &scope);
    let counted = statistic(&known, "event", Condition::All, Vec::new(), vec![ALL_ROWS]);
    let women = || rows_with("sex", [Value::Text("f".to_owned())], false);
    let ones = || rows_with("code", [Value::Int(1)], false);
    for (scope, expected) in [
        (everything(), vec![0, 1, 2, 3]),
        (of_subjects(everything(), "person", women()), vec![0, 2]),
        (with_rows(everything(), "event", &ones()), vec![0, 1, 3]),
        (
            of_subjects(with_rows(everything(), "event", &ones()), "person", women()),
            vec![0],
        ),
    ] {
        let report = answer(&world, &scope, &counted);
        assert_eq!(
            units(&only(&report).subjects),
            expected.into_iter().collect::<BTreeSet<u32>>()
        );
        let stored = world.stored(2);
        let found = wait(owners(
            &stored,
            &scope,
            (&dataset("event"), &[3, 0, 9][..]),
            &Bounds::default(),
        ))
        .unwrap();
        let admitted = |owner: u32| only(&report).subjects.contains(owner).then_some(owner);
        assert_eq!(found, [admitted(3), admitted(0), None]);
    }
}

#[test]
fn statistic_for_a_wider_scope_is_refused() {
    let mut world = nothing(1);
    world.rows[EVENT].push(event(0, &[("code", Item::Int(1)), ("day", Item::Date(DAY + 3))]));
    world.rows[CONCEPT].push(record(CONCEPT, None, &[("concept_id", Item::Int(1))]));
    let wide = everything();
    let known = known(&world, &wide);
    let coded = is(&known, own("event", "code"), &Comparison::Equal(Value::Int(1)));
    let codes = Group::Codes {
        of: path("event", Row::This, &[], "code"),
        codes: vec![Value::Int(1)],
    };
    let valued = moments(own("event", "value"), Output::Sum);
    let by_code = statistic(&known, "event", coded, Vec::new(), vec![ALL_ROWS]);
    let grouped = statistic(&known, "event", Condition::All, vec![codes], vec![ALL_ROWS]);
    let summed = statistic(&known, "event", Condition::All, Vec::new(), vec![valued]);
    let late = is(&known, own("event", "day"), &Comparison::AtLeast(Value::Date(DAY + 31)));
    let late = statistic(&known, "event", late, Vec::new(), vec![ALL_ROWS]);
    let shown = |name, transform| with_column(everything(), ("event", name), transform);
    let years = Transform::Generalized(Generalization::Year);
    let stored = world.stored(1);
    for (scope, statistic) in [
        (shown("code", None), &by_code),
        (shown("code", Some(Transform::Pseudonym)), &by_code),
        (shown("code", Some(Transform::Pseudonym)), &grouped),
        (shown("value", None), &summed),
        (shown("value", Some(Transform::Pseudonym)), &summed),
        // Years have fewer edges, so that the atoms are others.
        (shown("day", Some(years)), &late),
    ] {
        let refused = reported(&world, &stored, &scope, statistic);
        assert!(matches!(refused, Err(QueryError::Invalid { .. })), "{refused:?}");
    }
    assert!(reported(&world, &stored, &wide, &late).is_ok());
}
