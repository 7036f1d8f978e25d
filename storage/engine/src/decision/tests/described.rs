//! What the audit knows of cells.

use std::collections::{BTreeMap, BTreeSet};

use concordat_disclosure::{CellBox, Condition as Described, DisclosureRules};
use concordat_protocol::{
    ids::{ColumnName, DatasetName},
    scope::{
        Columns, Constraint, DatasetScope, Datasets, Limits, People, Places, Protection, Purpose, Purposes, Rows,
        Scope, Subjects, Tier, Transform, Value, Values, Window,
    },
    time::Timestamp,
};

use crate::{
    decision::{
        boxes::{Boxes, SetBoxes},
        grid::Requested,
    },
    statistic::{CellAggregate, tests::collections::Collection},
};

fn column(name: &str) -> ColumnName {
    ColumnName::new(name).unwrap()
}

/// All rows of the persons.
pub(super) fn scope() -> Scope {
    with_rows(Rows::all())
}

fn with_rows(rows: Rows) -> Scope {
    let columns = ["gender_source_value", "race_source_value", "year_of_birth"];
    let columns = columns.map(|name| (column(name), Transform::Clear));
    let persons = DatasetScope {
        columns: Columns::new(columns).unwrap(),
        rows,
    };
    let now = Timestamp::from_millis(1_800_000_000_000);
    Scope {
        collection: "budapest.omop".parse().unwrap(),
        tier: Tier::Aggregate,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: Datasets::new([(DatasetName::new("person").unwrap(), persons)]).unwrap(),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(now, now.plus_seconds(3600)).unwrap(),
    }
}

/// The description of a cell of a query.
pub(super) fn described(collection: &Collection, sql: &str, cell: usize, scope: &Scope) -> SetBoxes {
    let statistic = super::statistic(collection, sql);
    let boxes = Boxes::new(&statistic, &collection.known, scope);
    boxes.set(cell, statistic.cells()[0].filter(), None)
}

#[test]
fn cell_of_a_group_is_that_of_the_condition() {
    let collection = Collection::named("omop");
    let men = "SELECT count(*) FROM person WHERE gender_source_value = 'M'";
    let condition = described(&collection, men, 0, &scope());
    let groups = (0..3).map(|cell| described(&collection, super::BY_GENDER, cell, &scope()));
    let equal: Vec<bool> = groups.map(|group| group == condition).collect();
    assert_eq!(equal.iter().filter(|is| **is).count(), 1, "{equal:?}");
    assert_eq!(condition.subjects, condition.units, "each subject has one row");
}

#[test]
fn cell_is_the_same_for_another_text() {
    let collection = Collection::named("omop");
    let pair = [
        "SELECT count(*) FROM person WHERE gender_source_value = 'M' AND year_of_birth < 1950",
        "SELECT count(DISTINCT person_id) FROM person WHERE NOT (year_of_birth >= 1950) AND gender_source_value IN ('M')",
    ];
    let [first, second] = pair.map(|sql| described(&collection, sql, 0, &scope()));
    assert_eq!(first, second);
}

/// What a permission covers is part of a cell: all that one covers need not be all that another one does.
#[test]
fn cell_contains_what_the_permission_covers() {
    let collection = Collection::named("omop");
    let all = "SELECT count(*) FROM person";
    let values = Values::Set(BTreeSet::from([Value::Text("F".to_owned())]));
    let constraint = Constraint::new(values, false).unwrap();
    let rows = Rows::new(BTreeMap::from([(column("gender_source_value"), constraint)])).unwrap();
    let narrow = described(&collection, all, 0, &with_rows(rows));
    assert_ne!(narrow, described(&collection, all, 0, &scope()));
}

/// The subjects of rows have a row in common, and conditions on themselves.
#[test]
fn cell_of_rows_is_one_of_subjects_with_a_row() {
    let collection = Collection::named("omop");
    let sql = "SELECT count(*) FROM condition_occurrence WHERE condition_start_date >= DATE '2000-01-01'";
    let of = described(&collection, sql, 0, &scope());
    assert_ne!(of.subjects, of.units);
    let Described::All(parts) = of.subjects.condition() else {
        panic!("{:?}", of.subjects)
    };
    let is_event = |part: &Described| matches!(part, Described::Events { events, at_least: 1, .. } if events == "condition_occurrence");
    assert!(parts.iter().any(is_event), "{parts:?}");
    assert!(CellBox::from_untrusted(&of.units.to_bytes()).is_ok());
}

/// The same days in the other direction are one column: otherwise the difference of two equal sets would be a set of too few.
#[test]
fn cell_of_days_is_that_of_the_other_direction() {
    let collection = Collection::named("omop");
    let days = |from: &str, to: &str| format!("visit_{to}_date - visit_{from}_date");
    let condition = |days: String, op: &str| format!("SELECT count(*) FROM visit_occurrence WHERE {days} {op}");
    let [forward, backward] = [
        condition(days("start", "end"), "<= 7"),
        condition(days("end", "start"), ">= -7"),
    ]
    .map(|sql| described(&collection, &sql, 0, &scope()));
    assert_eq!(forward, backward);
    let group = |days: String| format!("SELECT {days} AS days, count(*) FROM visit_occurrence GROUP BY 1");
    let groups = [group(days("start", "end")), group(days("end", "start"))];
    let missing = super::statistic(&collection, &groups[0]).grid(&collection.known) - 1;
    let cell = |at: usize, group: usize| described(&collection, &groups[group], at, &scope());
    for at in 0..missing {
        assert_eq!(cell(at, 0), cell(missing - 1 - at, 1), "{at}");
    }
    assert_eq!(cell(missing, 0), cell(missing, 1));
    assert_ne!(cell(0, 0), cell(0, 1));
}

/// A wider set of everyone who has a value is one of nearly all, like that of everyone: that nearly all are in it shows nothing about a query.
#[test]
fn wider_set_of_those_with_a_value_is_not_examined() {
    let collection = Collection::named("omop");
    let examined = |sql: &str| {
        let statistic = super::statistic(&collection, sql);
        let scope = scope();
        let requested = Requested::new(&statistic, &collection.known, &scope).unwrap();
        let report = super::report(&statistic, &collection.known, &super::one(0..30));
        let rules = DisclosureRules::new(5, &Protection::Exact).unwrap();
        let grid = requested.grid(&report, (&rules, None)).unwrap();
        let neighbors = grid.cells()[0][0].neighbors.clone().unwrap();
        neighbors.wider.iter().map(|set| set.is_examined).collect::<Vec<_>>()
    };
    let men = "SELECT count(*) AS n FROM person WHERE gender_source_value = 'M'";
    assert_eq!(examined(men), [false], "without its condition it is everyone");
    assert_eq!(examined(&format!("{men} AND year_of_birth IS NOT NULL")), [false]);
    assert_eq!(examined(&format!("{men} AND year_of_birth < 1950")), [true, true]);
    let known = "SELECT gender_source_value, count(*) AS n FROM person WHERE year_of_birth IS NOT NULL";
    let by_gender = examined(&format!("{known} GROUP BY gender_source_value"));
    assert_eq!(by_gender, [false], "without the group everyone with a value is left");
}

/// The description of the values that a query measures.
fn measured(collection: &Collection, sql: &str) -> SetBoxes {
    let statistic = super::statistic(collection, sql);
    let cell = &statistic.cells()[0];
    let CellAggregate::Moments { of, .. } = cell else {
        panic!("{cell:?}")
    };
    Boxes::new(&statistic, &collection.known, &scope()).set(0, cell.filter(), Some(of))
}

/// The values of a difference are those of the rows that have both dates, whatever the text.
#[test]
fn cell_of_values_is_that_of_their_rows() {
    let collection = Collection::named("omop");
    let rows =
        "SELECT count(*) FROM visit_occurrence WHERE visit_start_date IS NOT NULL AND visit_end_date IS NOT NULL";
    let rows = described(&collection, rows, 0, &scope());
    for aggregate in [
        "avg(visit_end_date - visit_start_date)",
        "sum(visit_start_date - visit_end_date)",
    ] {
        let sql = format!("SELECT {aggregate} AS a FROM visit_occurrence");
        assert_eq!(measured(&collection, &sql), rows, "{aggregate}");
    }
}

/// What is computed from columns is described as a column is: where nothing is missing, its mean and the number of rows are figures of one set.
#[test]
fn cell_of_computed_values_is_that_of_all_rows() {
    for (name, values, rows) in [
        (
            "omop",
            "avg(visit_end_date - visit_start_date) AS a FROM visit_occurrence",
            "visit_occurrence",
        ),
        (
            "omop",
            "avg(EXTRACT(YEAR FROM c.condition_start_date) - p.year_of_birth) AS a \
             FROM person p JOIN condition_occurrence c ON c.person_id = p.person_id",
            "condition_occurrence",
        ),
        (
            "synthea",
            "avg(EXTRACT(EPOCH FROM stop - start)) AS a FROM encounters",
            "encounters",
        ),
        (
            "synthea",
            "avg(total_claim_cost - payer_coverage) AS a FROM encounters",
            "encounters",
        ),
    ] {
        let collection = Collection::named(name);
        let values = measured(&collection, &format!("SELECT {values}"));
        let rows = described(&collection, &format!("SELECT count(*) FROM {rows}"), 0, &scope());
        assert_eq!(values, rows, "{name}");
    }
}

/// A date of events is missing for subjects without one. That they have one is what the query is about.
#[test]
fn cell_of_values_of_events_is_of_those_with_events() {
    let collection = Collection::named("omop");
    let days = "SELECT avg(c.condition_start_date - f.first) AS a FROM condition_occurrence c LEFT JOIN \
                (SELECT person_id, min(drug_exposure_start_date) AS first FROM drug_exposure GROUP BY person_id) f \
                ON f.person_id = c.person_id";
    let rows = "SELECT count(*) FROM condition_occurrence";
    assert_ne!(measured(&collection, days), described(&collection, rows, 0, &scope()));
}

/// It is one set whether a text counts the values of some rows or asks for the rows with a value, in these rows or in those of events.
#[test]
fn cell_of_rows_with_values_is_that_of_all_rows() {
    let collection = Collection::named("omop");
    let of = |sql: &str| described(&collection, sql, 0, &scope());
    for (with_values, all) in [
        (
            "SELECT count(*) FROM person WHERE year_of_birth IS NOT NULL",
            "SELECT count(*) FROM person",
        ),
        (
            "SELECT count(*) FROM condition_occurrence c JOIN visit_occurrence v \
             ON v.visit_occurrence_id = c.visit_occurrence_id",
            "SELECT count(*) FROM condition_occurrence",
        ),
        (
            "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM condition_occurrence c \
             WHERE c.person_id = p.person_id AND c.condition_start_date IS NOT NULL)",
            "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM condition_occurrence c \
             WHERE c.person_id = p.person_id)",
        ),
    ] {
        assert_eq!(of(with_values), of(all), "{with_values}");
    }
    // Those without a value are a set of their own.
    let missing = of("SELECT count(*) FROM person WHERE year_of_birth IS NULL");
    assert_ne!(missing, of("SELECT count(*) FROM person"));
}

/// Whether a value is missing is no region that is kept empty: the means of members are combined with the numbers of their values.
#[test]
fn cell_of_a_number_of_values_is_that_of_the_rows() {
    let collection = Collection::named("omop");
    let sql = "SELECT count(year_of_birth) AS c, count(*) AS n FROM person";
    let statistic = super::statistic(&collection, sql);
    let boxes = Boxes::new(&statistic, &collection.known, &scope());
    let cells = statistic.cells().iter();
    let [one, other]: [SetBoxes; 2] = cells
        .map(|cell| boxes.set(0, cell.filter(), None))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!(one, other);
    let missing = "SELECT count(*) FILTER (WHERE year_of_birth IS NULL) AS c, count(*) AS n FROM person";
    let statistic = super::statistic(&collection, missing);
    let cells = statistic.cells().iter();
    let boxes = Boxes::new(&statistic, &collection.known, &scope());
    let [one, other]: [SetBoxes; 2] = cells
        .map(|cell| boxes.set(0, cell.filter(), None))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_ne!(one, other);
}

/// A row that may be missing leads to another column than the subject's own row does: the two differ for subjects without such a row.
#[test]
fn cell_through_a_missing_row_is_another_one() {
    let collection = Collection::named("omop");
    let person = "LEFT JOIN person p ON p.person_id";
    let period = "LEFT JOIN observation_period o ON o.person_id";
    let visit = "LEFT JOIN visit_occurrence v ON v.visit_occurrence_id = c.visit_occurrence_id";
    let men = "p.gender_source_value = 'M'";
    let late = "o.observation_period_start_date >= DATE '2000-01-01'";
    for [own, through] in [
        [
            format!("{person} = c.person_id WHERE {men}"),
            format!("{visit} {person} = v.person_id WHERE {men}"),
        ],
        [
            format!("{period} = c.person_id WHERE {late}"),
            format!("{person} = c.person_id {period} = p.person_id WHERE {late}"),
        ],
    ] {
        let of = |joins: &str| {
            let sql = format!("SELECT count(*) FROM condition_occurrence c {joins}");
            described(&collection, &sql, 0, &scope())
        };
        assert_ne!(of(&own), of(&through), "{through}");
    }
}
