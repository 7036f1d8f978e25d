//! Random statistics over random rows.

use std::collections::{BTreeMap, BTreeSet};

use concordat_protocol::{
    collection::{Axis, Comparison, KeyLink, Levels},
    scope::{Finite, Scope, Value},
};
use proptest::prelude::*;

use super::{
    CellReport, KnownCollection, Statistic, World,
    collection::{column, dataset, everything, of_subjects, rows_with, with_rows},
    divided, known,
    random::{Dice, world},
    reference::{Expected, Reference},
    reported,
};
use crate::{
    compute::report::{Monomial, SetOutline},
    statistic::{
        Bucket, CellAggregate, ColumnPath, Condition, Day, EventSet, Group, KeyList, Measured, Output, Quantity,
        ReferenceTest, Row, Step, SubjectValue,
    },
};

/// Makes parts of statistics.
struct Maker<'a> {
    dice: &'a mut Dice,
    known: &'a KnownCollection,
}

/// The datasets whose columns a condition can name, that of the row first.
type Frame<'f> = (&'f str, Option<&'f str>);

impl Maker<'_> {
    fn path(&self, root: &str, row: Row, steps: &[Step], name: &str) -> ColumnPath {
        ColumnPath::new(row, &dataset(root), steps.to_vec(), column(name)).unwrap()
    }

    /// Every column that a row of a dataset reaches.
    fn paths(&self, of: &str, row: Row) -> Vec<ColumnPath> {
        let own = |names: &[&str], steps: &[Step]| -> Vec<ColumnPath> {
            names.iter().map(|name| self.path(of, row, steps, name)).collect()
        };
        let person = Step::Subject(dataset("person"));
        let link = |column_name: &str, to: &str, key: &str| {
            Step::Link(KeyLink {
                column: column(column_name),
                to: dataset(to),
                key: column(key),
            })
        };
        let visit = link("visit_id", "visit", "visit_id");
        let concept = link("code", "concept", "concept_id");
        let of_person = ["born", "sex", "weight", "birth"];
        let mut paths = match of {
            "person" => own(&of_person, &[]),
            "visit" => own(&["start", "kind"], &[]),
            _ => own(
                &[
                    "code", "day", "value", "flag", "time", "count", "visit_id", "until", "note",
                ],
                &[],
            ),
        };
        if of != "person" {
            paths.extend(own(&of_person, std::slice::from_ref(&person)));
        }
        if of == "event" {
            paths.extend(own(&["start", "kind", "visit_id"], std::slice::from_ref(&visit)));
            paths.extend(own(&["concept_id"], &[concept]));
            paths.extend(own(&["born", "birth"], &[visit, person]));
        }
        paths
    }

    fn any_path(&mut self, frame: Frame<'_>) -> ColumnPath {
        let paths = match frame.1.filter(|_| self.dice.once_in(2)) {
            Some(outer) => self.paths(outer, Row::Outer),
            None => self.paths(frame.0, Row::This),
        };
        self.dice.pick(&paths).clone()
    }

    fn day(&mut self, frame: Frame<'_>, depth: usize) -> Day {
        if depth > 0 && self.dice.once_in(3) {
            let (of, value) = self.value(depth, true);
            return Day::OfSubject { of, value };
        }
        let is_date = |path: &ColumnPath| ["day", "start", "birth", "time", "until"].contains(&path.column().as_str());
        for _ in 0..20 {
            let path = self.any_path(frame);
            if is_date(&path) {
                return Day::Column(path);
            }
        }
        Day::Column(self.path(frame.0, Row::This, &[Step::Subject(dataset("person"))], "birth"))
    }

    fn value(&mut self, depth: usize, is_date: bool) -> (Box<EventSet>, SubjectValue) {
        let of = Box::new(self.events(depth, None));
        let name = match of.dataset.as_str() {
            "person" => "birth",
            "visit" => "start",
            _ => *self.dice.pick(&["day", "time"]),
        };
        let value = match self.dice.below(3) {
            0 if !is_date => SubjectValue::Count,
            1 => SubjectValue::First(column(name)),
            _ => SubjectValue::Last(column(name)),
        };
        (of, value)
    }

    fn events(&mut self, depth: usize, around: Option<&str>) -> EventSet {
        let name = *self.dice.pick(&["event", "event", "visit", "person"]);
        EventSet {
            dataset: dataset(name),
            rows: self.condition((name, around), depth.saturating_sub(1)),
        }
    }

    fn quantity(&mut self, frame: Frame<'_>, depth: usize) -> Quantity {
        match self.dice.below(9) {
            3 if frame.0 == "event" => Quantity::InText(self.path("event", Row::This, &[], "note")),
            4 if frame.0 == "event" => Quantity::Seconds {
                from: self.path("event", Row::This, &[], "time"),
                to: self.path("event", Row::This, &[], "until"),
            },
            0 => Quantity::Days {
                from: self.day(frame, depth),
                to: self.day(frame, depth),
            },
            1 => {
                let born = *self.dice.pick(&["born", "birth"]);
                let steps = [Step::Subject(dataset("person"))];
                let steps: &[Step] = if frame.0 == "person" { &[] } else { &steps };
                Quantity::Age {
                    born: self.path(frame.0, Row::This, steps, born),
                    at: self.day(frame, depth),
                }
            }
            2 if depth > 0 => {
                let (of, value) = self.value(depth, false);
                Quantity::OfSubject { of, value }
            }
            _ => Quantity::Column(self.any_path(frame)),
        }
    }

    /// A comparison that the levels of a quantity decide.
    fn comparison(&mut self, of: &Quantity) -> Comparison {
        let levels = self.known.levels(of);
        if self.dice.once_in(5) {
            return Comparison::IsNull;
        }
        let values: Vec<Value> = match &levels {
            Levels::None => return Comparison::IsNotNull,
            Levels::Truth => vec![Value::Bool(true), Value::Bool(false)],
            Levels::Values(values) => values.iter().map(|listed| listed.value.clone()).collect(),
            Levels::Codes(_) => [0, 1, 2, 7].map(Value::Int).to_vec(),
            Levels::Edges(edges) => {
                let edges: Vec<Value> = match edges.axis() {
                    Axis::Int(edges) => edges.iter().copied().map(Value::Int).collect(),
                    Axis::Float(edges) => edges.iter().copied().map(Value::Float).collect(),
                    Axis::Date(edges) | Axis::DateTime(edges) => edges.iter().copied().map(Value::Date).collect(),
                };
                let edge = self.dice.pick(&edges).clone();
                return if self.dice.once_in(2) {
                    Comparison::Less(edge)
                } else {
                    Comparison::AtLeast(edge)
                };
            }
        };
        if self.dice.once_in(3) {
            Comparison::In(values)
        } else {
            Comparison::Equal(self.dice.pick(&values).clone())
        }
    }

    fn test(&mut self, frame: Frame<'_>, depth: usize) -> Condition {
        let of = self.quantity(frame, depth);
        let comparison = self.comparison(&of);
        let test = self.known.levels(&of).decide(&comparison).unwrap();
        Condition::Test(of, test)
    }

    fn condition(&mut self, frame: Frame<'_>, depth: usize) -> Condition {
        let condition = match self.dice.below(10) {
            0 => Condition::All,
            1 | 2 if depth > 0 => {
                let parts = vec![self.condition(frame, depth - 1), self.condition(frame, depth - 1)];
                if self.dice.once_in(2) {
                    Condition::all(parts)
                } else {
                    Condition::any(parts)
                }
            }
            3..=5 if depth > 0 => {
                let around = Some(frame.0).filter(|_| self.dice.once_in(2));
                let of = Box::new(self.events(depth, around));
                Condition::Events { of, exist: true }
            }
            6 if frame.0 == "event" => self.codes(frame.0),
            _ => self.test(frame, depth),
        };
        if self.dice.once_in(3) {
            condition.negation()
        } else {
            condition
        }
    }

    /// A condition on codes, by rows of the reference dataset.
    fn codes(&mut self, of: &str) -> Condition {
        let name = ColumnPath::new(Row::This, &dataset("concept"), Vec::new(), column("concept_name")).unwrap();
        let test = if self.dice.once_in(2) {
            ReferenceTest::Like {
                pattern: "go%".to_owned(),
                any_case: false,
            }
        } else {
            ReferenceTest::OneOf(vec![Value::Text("asthma".to_owned()), Value::Text("gout".to_owned())])
        };
        let negated = self.dice.once_in(3);
        if self.dice.once_in(2) {
            let link = KeyLink {
                column: column("code"),
                to: dataset("concept"),
                key: column("concept_id"),
            };
            let of = self.path(of, Row::This, &[Step::Link(link)], "concept_name");
            return Condition::Reference { of, test, negated };
        }
        let rows = Condition::Reference {
            of: name,
            test,
            negated,
        };
        let list = KeyList {
            dataset: dataset("concept"),
            key: column("concept_id"),
            rows,
        };
        Condition::Listed {
            of: self.path(of, Row::This, &[], "code"),
            list: Box::new(list),
            is_in: self.dice.once_in(2),
        }
    }

    fn group(&mut self, frame: Frame<'_>) -> Group {
        let of = self.quantity(frame, 1);
        let levels = self.known.levels(&of);
        match (self.dice.below(4), &levels) {
            (0, _) if frame.0 == "event" => Group::Codes {
                of: self.path("event", Row::This, &[], "code"),
                codes: vec![Value::Int(1), Value::Int(2)],
            },
            (1, Levels::Edges(_) | Levels::Values(_) | Levels::Truth) => Group::Levels {
                of,
                level: None,
                missing: None,
            },
            (2, Levels::Edges(_) | Levels::Values(_)) => {
                let mut atoms = || {
                    let comparison = self.comparison(&of);
                    levels.decide(&comparison).unwrap().passing().clone()
                };
                let first = atoms();
                let second = atoms().difference(&first).unwrap();
                let bucket = |label, atoms| Bucket {
                    label: Some(Value::Int(label)),
                    atoms,
                };
                Group::Buckets {
                    of,
                    buckets: vec![bucket(1, first), bucket(2, second)],
                    rest: None,
                }
            }
            _ => {
                let cases = (0..2).map(|label| (self.condition(frame, 1), Some(Value::Int(label))));
                Group::Cases {
                    cases: cases.collect(),
                    rest: None,
                }
            }
        }
    }

    /// A quantity with a range.
    fn measure(&mut self, frame: Frame<'_>) -> Quantity {
        for _ in 0..30 {
            let of = self.quantity(frame, 1);
            if self.known.range(&of).is_some() && self.known.is_measurable(&of) {
                return of;
            }
        }
        let name = if frame.0 == "event" { "value" } else { "weight" };
        let steps = if frame.0 == "visit" {
            vec![Step::Subject(dataset("person"))]
        } else {
            Vec::new()
        };
        let path = self.path(frame.0, Row::This, &steps, name);
        Quantity::Linear {
            terms: vec![(Finite::new(-0.5).unwrap(), path)],
            plus: Finite::new(3.0).unwrap(),
        }
    }

    fn aggregate(&mut self, frame: Frame<'_>) -> CellAggregate {
        let filter = if self.dice.once_in(2) {
            Condition::All
        } else {
            self.condition(frame, 1)
        };
        let outputs = [Output::Sum, Output::Mean, Output::VarianceOfSample];
        let of_two = [Output::Correlation, Output::Slope];
        match self.dice.below(5) {
            0 => CellAggregate::Subjects { filter },
            1 if frame.0 != "person" => CellAggregate::Rows { filter },
            2 => CellAggregate::Quantile {
                of: self.measure(frame),
                at: Finite::new(0.5).unwrap(),
                filter,
            },
            3 => CellAggregate::Moments {
                of: self.measure(frame),
                with: Some(self.measure(frame)),
                output: *self.dice.pick(&of_two),
                filter,
            },
            _ => CellAggregate::Moments {
                of: self.measure(frame),
                with: None,
                output: *self.dice.pick(&outputs),
                filter,
            },
        }
    }

    fn statistic(&mut self) -> Statistic {
        let name = *self.dice.pick(&["event", "event", "person", "visit"]);
        if self.dice.once_in(8) {
            let of = Box::new(self.events(2, None));
            let filter = Condition::Events { of, exist: true };
            let cells = vec![CellAggregate::Subjects { filter }];
            let rows = Condition::All;
            return Statistic::new(Measured::Subjects, rows, Vec::new(), cells, self.known, 10).unwrap();
        }
        let frame = (name, None);
        let rows = self.condition(frame, 2);
        let groups = (0..self.dice.below(3)).map(|_| self.group(frame)).collect();
        let cells = (0..=self.dice.below(3)).map(|_| self.aggregate(frame)).collect();
        let measured = Measured::Rows(dataset(name));
        Statistic::new(measured, rows, groups, cells, self.known, 100_000).unwrap()
    }
}

fn scope(dice: &mut Dice) -> Scope {
    let scope = everything();
    match dice.below(4) {
        0 => with_rows(scope, "event", &rows_with("code", [0, 1, 2].map(Value::Int), true)),
        1 => of_subjects(scope, "person", rows_with("sex", [Value::Text("f".to_owned())], false)),
        2 => {
            let scope = of_subjects(scope, "event", rows_with("flag", [Value::Bool(true)], false));
            with_rows(scope, "visit", &rows_with("kind", [Value::Int(1)], false))
        }
        _ => scope,
    }
}

fn near(found: f64, expected: f64, scale: f64) -> bool {
    (found - expected).abs() <= 1e-9 * scale.abs().max(1.0)
}

/// What a row adds to a sum.
fn term(of: Monomial, outline: &SetOutline, values: &[f64]) -> f64 {
    let centered = |at: usize| values[at] - outline.centers[at];
    match of {
        Monomial::One => 1.0,
        Monomial::X => values[0],
        Monomial::CenteredX => centered(0),
        Monomial::CenteredY => centered(1),
        Monomial::CenteredXX => centered(0) * centered(0),
        Monomial::CenteredYY => centered(1) * centered(1),
        Monomial::CenteredXY => centered(0) * centered(1),
    }
}

/// Compares the set of an aggregate with what the interpreter found.
fn compare(report: &CellReport, cell: usize, aggregate: usize, expected: &Expected) {
    let set = &report.cells[cell].sets[report.set_of[aggregate]];
    let outline = &report.outlines[report.set_of[aggregate]];
    assert_eq!(set.subjects.iter().collect::<BTreeSet<_>>(), expected.subjects);
    for (sum, outlined) in set.sums.iter().zip(&outline.sums) {
        // Sums of another aggregate over the same rows may have values that this one does not.
        if expected.rows.iter().any(|(_, _, values)| values.is_empty()) && outlined.of != Monomial::One {
            continue;
        }
        let terms = || {
            expected
                .rows
                .iter()
                .map(|(_, owner, values)| (*owner, term(outlined.of, outline, values)))
        };
        let scale: f64 = terms().map(|(_, term)| term.abs()).sum();
        let total: f64 = terms().map(|(_, term)| term).sum();
        let found = outlined.quantum.value(sum.total);
        assert!(near(found, total, scale), "{:?}: {found} {total}", outlined.of);
        let mut by_subject: BTreeMap<u32, f64> = BTreeMap::new();
        terms().for_each(|(owner, term)| *by_subject.entry(owner).or_default() += term);
        let mut magnitudes: Vec<f64> = by_subject.values().map(|sum| sum.abs()).collect();
        magnitudes.sort_by(|a, b| b.total_cmp(a));
        magnitudes.resize(magnitudes.len().max(5), 0.0);
        for (found, expected) in sum.contributions.largest.iter().zip(&magnitudes) {
            let found = outlined.quantum.value(i128::try_from(*found).unwrap());
            assert!(near(found, *expected, scale), "{:?}: {found} {expected}", outlined.of);
        }
        let found = outlined.quantum.value(i128::try_from(sum.contributions.total).unwrap());
        assert!(
            near(found, magnitudes.iter().sum(), scale),
            "{:?}: {found}",
            outlined.of
        );
    }
}

/// Compares the rows of an aggregate with those that the interpreter found.
fn compare_rows(report: &CellReport, cell: usize, aggregate: usize, expected: &Expected) {
    let set = &report.cells[cell].sets[report.set_of[aggregate]];
    let rows: BTreeSet<u32> = expected.rows.iter().map(|(number, _, _)| *number).collect();
    assert_eq!(set.rows.iter().collect::<BTreeSet<_>>(), rows);
}

/// Compares the bands of a quantile with the values that the interpreter found.
fn compare_bands(report: &CellReport, cell: usize, aggregate: usize, expected: &Expected) {
    let set = &report.cells[cell].sets[report.set_of[aggregate]];
    let edges = report.outlines[report.set_of[aggregate]].edges.as_ref().unwrap();
    assert_eq!(set.bands.len(), edges.len() + 1);
    for (at, band) in set.bands.iter().enumerate() {
        let low = at.checked_sub(1).map_or(f64::NEG_INFINITY, |at| edges[at]);
        let high = edges.get(at).copied().unwrap_or(f64::INFINITY);
        let within = expected
            .rows
            .iter()
            .filter(|(_, _, values)| low <= values[0] && values[0] < high);
        let units: BTreeSet<u32> = within
            .map(|(number, owner, _)| if report.rows.is_some() { *number } else { *owner })
            .collect();
        assert_eq!(band.iter().collect::<BTreeSet<_>>(), units);
    }
}

fn check(world: &World, scope: &Scope, statistic: &Statistic, report: &CellReport) {
    let known = known(world, scope);
    let expected = Reference::new(world, scope, &known).cells(statistic);
    assert!(report.is_complete);
    assert_eq!(report.subjects, world.subjects);
    assert_eq!(report.cells.len(), statistic.grid(&known));
    let aggregates: Vec<Expected> = statistic.cells().iter().map(|_| Expected::default()).collect();
    let nothing = (BTreeSet::new(), aggregates);
    for (at, cell) in report.cells.iter().enumerate() {
        let (subjects, aggregates) = expected.get(&at).unwrap_or(&nothing);
        assert_eq!(&cell.subjects.iter().collect::<BTreeSet<_>>(), subjects);
        for (position, (aggregate, expected)) in statistic.cells().iter().zip(aggregates).enumerate() {
            compare(report, at, position, expected);
            if report.rows.is_some() && !matches!(aggregate, CellAggregate::Subjects { .. }) {
                compare_rows(report, at, position, expected);
            }
            if matches!(aggregate, CellAggregate::Quantile { .. }) {
                compare_bands(report, at, position, expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn report_of_random_statistics_is_the_interpreters(seed: u64) {
        let mut dice = Dice::new(seed);
        let world = world(&mut dice);
        let scope = scope(&mut dice);
        let known = known(&world, &scope);
        let statistic = Maker { dice: &mut dice, known: &known }.statistic();
        let report = reported(&world, &world.stored(5), &scope, &statistic).unwrap();
        check(&world, &scope, &statistic, &report);
    }

    /// However the rows are divided into objects, and the subjects into slices.
    #[test]
    fn report_is_the_same_in_several_passes(seed: u64, rows_per_object in 1_usize..9, are_bits: bool) {
        let mut dice = Dice::new(seed);
        let world = world(&mut dice);
        let scope = scope(&mut dice);
        let known = known(&world, &scope);
        let statistic = Maker { dice: &mut dice, known: &known }.statistic();
        let at_once = reported(&world, &world.stored(100), &scope, &statistic).unwrap();
        let in_passes = divided(&world, &world.stored(rows_per_object), &scope, &statistic, are_bits);
        prop_assert_eq!(at_once, in_passes);
    }

    /// Rows have other numbers then, and nothing else differs, to the last bit.
    #[test]
    fn report_does_not_depend_on_the_order_of_rows(seed: u64) {
        let mut dice = Dice::new(seed);
        let mut world = world(&mut dice);
        let scope = scope(&mut dice);
        let known = known(&world, &scope);
        let statistic = Maker { dice: &mut dice, known: &known }.statistic();
        let before = reported(&world, &world.stored(5), &scope, &statistic).unwrap();
        world.rows.iter_mut().for_each(|rows| dice.shuffle(rows));
        let after = reported(&world, &world.stored(3), &scope, &statistic).unwrap();
        for (before, after) in before.cells.iter().zip(&after.cells) {
            prop_assert_eq!(&before.subjects, &after.subjects);
            for (before, after) in before.sets.iter().zip(&after.sets) {
                prop_assert_eq!(&before.subjects, &after.subjects);
                prop_assert_eq!(before.rows.len(), after.rows.len());
                prop_assert_eq!(&before.sums, &after.sums);
            }
        }
    }
}
