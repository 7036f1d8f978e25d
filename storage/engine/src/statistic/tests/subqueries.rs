//! Subqueries in aggregates and groups, of which a text can have several.

use super::{Collection, only, refusal};
use crate::statistic::{CellAggregate, Statistic};

/// Two tests of a subject, with other codes.
const TESTS: [&str; 2] = [
    "EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = p.person_id AND d.drug_concept_id = CODE)",
    "p.person_id IN (SELECT person_id FROM omop.condition_occurrence WHERE condition_concept_id = CODE)",
];

fn with_code(test: &str, code: u32) -> String {
    test.replace("CODE", &code.to_string())
}

fn of_people(omop: &Collection, select: &str) -> Statistic {
    only(omop, &format!("SELECT {select} FROM omop.person p"))
}

/// The name of a column has no text of a subquery, so these would be two columns of one name.
#[test]
fn subqueries_of_two_aggregates_are_two_filters() {
    let omop = Collection::named("omop");
    for test in TESTS {
        for negation in ["", "NOT "] {
            let [first, second] = [5, 7].map(|code| format!("{negation}{}", with_code(test, code)));
            let alone = [&first, &second].map(|test| of_people(&omop, &format!("count(*) FILTER (WHERE {test}) AS n")));
            for select in [
                format!("count(*) FILTER (WHERE {first}) AS a, count(*) FILTER (WHERE {second}) AS b"),
                format!(
                    "sum(CASE WHEN {first} THEN 1 ELSE 0 END) AS a, sum(CASE WHEN {second} THEN 1 ELSE 0 END) AS b"
                ),
                format!(
                    "count(DISTINCT CASE WHEN {first} THEN p.person_id END) AS a, \
                     count(DISTINCT CASE WHEN {second} THEN p.person_id END) AS b"
                ),
            ] {
                let statistic = of_people(&omop, &select);
                assert_eq!(statistic.cells().len(), 2, "{select}");
                for one in &alone {
                    let is_there = statistic.cells().iter().any(|cell| cell.filter() == one.rows());
                    assert!(is_there, "{select}: {one:?}");
                }
            }
        }
    }
}

#[test]
fn subqueries_that_are_equal_are_one_filter() {
    let omop = Collection::named("omop");
    let [test, other] = [5, 7].map(|code| with_code(TESTS[0], code));
    let figure = format!("count(*) FILTER (WHERE {test})");
    let statistic = of_people(
        &omop,
        &format!("{figure} AS a, 100.0 * {figure} / count(*) AS percent, count(*) FILTER (WHERE {other}) AS b"),
    );
    let filters: Vec<_> = statistic.cells().iter().map(CellAggregate::filter).collect();
    assert_eq!(filters.len(), 3, "{filters:?}");
}

#[test]
fn subqueries_of_two_groups_are_two_groups() {
    let omop = Collection::named("omop");
    let [first, second] = TESTS.map(|test| with_code(test, 5));
    let third = with_code(TESTS[1], 7);
    for (tests, expected) in [
        (vec![&first, &second], 2),
        (vec![&second, &third], 2),
        (vec![&second, &second], 1),
    ] {
        let groups = tests.iter().enumerate();
        let selected: Vec<String> = groups
            .map(|(at, test)| format!("CASE WHEN {test} THEN 'yes' ELSE 'no' END AS g{at}"))
            .collect();
        let positions: Vec<String> = (1..=tests.len()).map(|at| at.to_string()).collect();
        let sql = format!(
            "SELECT {}, count(*) AS n FROM omop.person p GROUP BY {}",
            selected.join(", "),
            positions.join(", ")
        );
        assert_eq!(only(&omop, &sql).groups().len(), expected, "{sql}");
    }
}

/// A value of a subquery is one of all rows, so it is no level of a column.
#[test]
fn subqueries_for_values_in_aggregates_are_refused() {
    let omop = Collection::named("omop");
    let value = |code: u32| format!("(SELECT avg(days_supply) FROM omop.drug_exposure WHERE drug_concept_id = {code})");
    let sql = format!(
        "SELECT count(*) FILTER (WHERE days_supply > {}) AS a, count(*) FILTER (WHERE days_supply > {}) AS b FROM omop.drug_exposure",
        value(5),
        value(7)
    );
    let found = refusal(&omop, &sql);
    assert!(!found.contains("two columns"), "{found}");
    assert!(found.contains("cannot be computed below tier `records`"), "{found}");
}
