//! Pairs of texts with one meaning: they are one statistic.

use proptest::prelude::*;

use super::{Collection, only};
use crate::statistic::{CellColumn, Group, Quantity, print};

/// The rows of each query.
const FROM: &str = "FROM condition_occurrence c LEFT JOIN person p ON p.person_id = c.person_id \
    LEFT JOIN visit_occurrence v ON v.visit_occurrence_id = c.visit_occurrence_id \
    LEFT JOIN (SELECT person_id, min(drug_exposure_start_date) AS first FROM drug_exposure GROUP BY person_id) f ON f.person_id = c.person_id";

type Pair = (&'static str, &'static str);

/// Conditions that are true, false and unknown for the same rows.
const SAME: [Pair; 22] = [
    (
        "v.visit_end_date - v.visit_start_date <= 7",
        "v.visit_start_date - v.visit_end_date >= -7",
    ),
    (
        "v.visit_end_date - v.visit_start_date > 30",
        "NOT (v.visit_start_date - v.visit_end_date >= -30)",
    ),
    (
        "v.visit_end_date - v.visit_start_date BETWEEN 0 AND 7",
        "v.visit_start_date - v.visit_end_date BETWEEN -7 AND 0",
    ),
    (
        "c.condition_start_date - f.first > 30",
        "f.first + INTERVAL '30' DAY < c.condition_start_date",
    ),
    (
        "v.visit_end_date < v.visit_start_date",
        "v.visit_start_date > v.visit_end_date",
    ),
    (
        "(v.visit_end_date - v.visit_start_date) IS NULL",
        "v.visit_start_date IS NULL OR v.visit_end_date IS NULL",
    ),
    (
        "(f.first - c.condition_start_date) IS NOT NULL",
        "c.condition_start_date IS NOT NULL AND f.first IS NOT NULL",
    ),
    (
        "EXTRACT(YEAR FROM c.condition_start_date) - p.year_of_birth >= 65",
        "p.year_of_birth + 65 <= EXTRACT(YEAR FROM c.condition_start_date)",
    ),
    (
        "(EXTRACT(YEAR FROM c.condition_start_date) - p.year_of_birth) IS NULL",
        "p.year_of_birth IS NULL OR c.condition_start_date IS NULL",
    ),
    ("p.year_of_birth < 1950", "NOT (p.year_of_birth >= 1950)"),
    ("p.year_of_birth < 1950", "2000 - p.year_of_birth > 50"),
    ("p.year_of_birth < 1950", "1900 >= p.year_of_birth - 49"),
    (
        "p.year_of_birth >= 1950 OR p.year_of_birth IS NULL",
        "(p.year_of_birth < 1950) IS NOT TRUE",
    ),
    (
        "p.race_source_value IN ('white', 'black')",
        "p.race_source_value IN ('black', 'white', 'black')",
    ),
    (
        "p.race_source_value NOT IN ('white', 'black')",
        "NOT (p.race_source_value = 'black' OR 'white' = p.race_source_value)",
    ),
    (
        "c.condition_concept_id IN (5, 7)",
        "7 = c.condition_concept_id OR c.condition_concept_id = 5",
    ),
    (
        "EXTRACT(YEAR FROM c.condition_start_date) = 2010",
        "c.condition_start_date BETWEEN DATE '2010-01-01' AND DATE '2010-12-31'",
    ),
    (
        "date_part('year', c.condition_start_date) > 2010",
        "c.condition_start_date >= DATE '2011-01-01'",
    ),
    (
        "p.year_of_birth BETWEEN 1950 AND 1959",
        "p.year_of_birth < 1960 AND NOT (p.year_of_birth < 1950)",
    ),
    ("f.first IS NULL", "NOT (f.first IS NOT NULL)"),
    (
        "c.person_id IN (SELECT person_id FROM drug_exposure WHERE days_supply > 30)",
        "EXISTS (SELECT 1 FROM drug_exposure d WHERE c.person_id = d.person_id AND NOT (d.days_supply <= 30))",
    ),
    (
        "EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = c.person_id \
         AND c.condition_start_date - d.drug_exposure_start_date BETWEEN 0 AND 30)",
        "EXISTS (SELECT 1 FROM drug_exposure e WHERE e.person_id = c.person_id \
         AND e.drug_exposure_start_date - c.condition_start_date >= -30 AND e.drug_exposure_start_date <= c.condition_start_date)",
    ),
];

/// Quoted constants, and constants of the type of what they are compared with.
const QUOTED: [Pair; 13] = [
    ("p.year_of_birth < '1950'", "p.year_of_birth < 1950"),
    ("'1950' <= p.year_of_birth", "p.year_of_birth >= 1950"),
    ("p.gender_concept_id = '8507'", "p.gender_concept_id = 8507"),
    ("p.gender_concept_id <> '8507'", "p.gender_concept_id <> 8507"),
    (
        "p.gender_concept_id IN ('8507', 8532)",
        "p.gender_concept_id IN (8507, 8532)",
    ),
    (
        "c.condition_concept_id NOT IN ('5', '7')",
        "c.condition_concept_id NOT IN (5, 7)",
    ),
    (
        "p.gender_concept_id IS DISTINCT FROM '8507'",
        "p.gender_concept_id IS DISTINCT FROM 8507",
    ),
    (
        "p.year_of_birth BETWEEN '1950' AND '1959'",
        "p.year_of_birth BETWEEN 1950 AND 1959",
    ),
    (
        "c.condition_start_date >= '2010-01-01'",
        "c.condition_start_date >= DATE '2010-01-01'",
    ),
    (
        "c.condition_start_date BETWEEN '2010-01-01' AND '2010-12-31'",
        "c.condition_start_date BETWEEN DATE '2010-01-01' AND DATE '2010-12-31'",
    ),
    ("f.first < '2010-01-01'", "f.first < DATE '2010-01-01'"),
    ("2000 - p.year_of_birth > '50'", "2000 - p.year_of_birth > 50"),
    (
        "EXTRACT(YEAR FROM c.condition_start_date) IN ('2010', '2011')",
        "EXTRACT(YEAR FROM c.condition_start_date) IN (2010, 2011)",
    ),
];

/// Conditions that are true for the same rows.
const SAME_WHERE_TRUE: [Pair; 5] = [
    ("p.year_of_birth < 1950", "(p.year_of_birth < 1950) IS TRUE"),
    (
        "p.year_of_birth < 1950",
        "p.year_of_birth IS NOT NULL AND p.year_of_birth < 1950",
    ),
    ("p.year_of_birth BETWEEN 1960 AND 1949", "false"),
    (
        "p.year_of_birth < 1950 OR p.year_of_birth >= 1950",
        "p.year_of_birth IS NOT NULL",
    ),
    (
        "p.year_of_birth < 1950 OR p.year_of_birth >= 1950 OR p.year_of_birth IS NULL",
        "true",
    ),
];

const GROUPS: [Pair; 10] = [
    (
        "CASE WHEN p.year_of_birth < 1950 THEN 'old' ELSE 'other' END",
        "CASE WHEN p.year_of_birth >= 1950 OR p.year_of_birth IS NULL THEN 'other' ELSE 'old' END",
    ),
    (
        "CASE WHEN p.year_of_birth < 1950 THEN 'a' WHEN p.year_of_birth >= 1950 THEN 'b' ELSE 'c' END",
        "CASE WHEN p.year_of_birth IS NULL THEN 'c' WHEN NOT (p.year_of_birth < 1950) THEN 'b' ELSE 'a' END",
    ),
    (
        "CASE WHEN p.year_of_birth < 1950 THEN 'a' WHEN p.year_of_birth >= 1950 THEN 'b' WHEN p.year_of_birth IS NULL THEN 'c' END",
        "CASE WHEN p.year_of_birth < 1950 THEN 'a' WHEN p.year_of_birth IS NOT NULL THEN 'b' ELSE 'c' END",
    ),
    (
        "CASE p.gender_concept_id WHEN 8507 THEN 'm' WHEN 8532 THEN 'f' END",
        "CASE WHEN p.gender_concept_id = 8532 THEN 'f' WHEN p.gender_concept_id IN (8507) THEN 'm' ELSE NULL END",
    ),
    (
        "CASE WHEN p.gender_concept_id = 8507 THEN 'x' WHEN p.year_of_birth < 1950 THEN 'x' END",
        "CASE WHEN p.year_of_birth < 1950 OR p.gender_concept_id = 8507 THEN 'x' END",
    ),
    (
        "CASE WHEN p.gender_concept_id = 8507 THEN 'x' WHEN true THEN 'y' ELSE 'z' END",
        "CASE WHEN p.gender_concept_id = 8507 THEN 'x' WHEN p.year_of_birth < 1950 THEN 'y' ELSE 'y' END",
    ),
    ("p.year_of_birth < 1950", "1950 > p.year_of_birth"),
    ("p.year_of_birth IS NULL", "NOT (p.year_of_birth IS NOT NULL)"),
    ("floor(p.year_of_birth / 10) * 10", "p.year_of_birth / 10 * 10"),
    (
        "CASE WHEN v.visit_end_date - v.visit_start_date <= 7 THEN 'short' END",
        "CASE WHEN v.visit_start_date - v.visit_end_date >= -7 THEN 'short' ELSE NULL END",
    ),
];

const AGGREGATES: [Pair; 8] = [
    (
        "avg(v.visit_end_date - v.visit_start_date)",
        "avg(v.visit_start_date - v.visit_end_date)",
    ),
    ("sum(p.year_of_birth)", "sum(-p.year_of_birth)"),
    ("avg(p.year_of_birth)", "avg(2 * p.year_of_birth + 1)"),
    ("stddev(p.year_of_birth)", "stddev(1990 - p.year_of_birth)"),
    (
        "corr(p.year_of_birth, p.year_of_birth)",
        "corr(-p.year_of_birth, 3 + p.year_of_birth)",
    ),
    (
        "count(p.year_of_birth)",
        "count(*) FILTER (WHERE p.year_of_birth IS NOT NULL)",
    ),
    (
        "sum(CASE WHEN p.gender_concept_id = 8507 THEN 1 ELSE 0 END)",
        "count(*) FILTER (WHERE NOT (p.gender_concept_id <> 8507))",
    ),
    (
        "avg(CASE WHEN p.gender_concept_id = 8507 THEN p.year_of_birth END)",
        "avg(p.year_of_birth) FILTER (WHERE p.gender_concept_id = 8507)",
    ),
];

/// Joins in another order, by another row of the same subject.
const JOINS: [Pair; 2] = [
    (
        "FROM condition_occurrence c JOIN person p ON p.person_id = c.person_id JOIN observation_period o ON o.person_id = p.person_id",
        "FROM observation_period o JOIN person p ON p.person_id = o.person_id JOIN condition_occurrence c ON o.person_id = c.person_id",
    ),
    (
        "FROM condition_occurrence c JOIN person p ON p.person_id = c.person_id JOIN observation_period o ON o.person_id = c.person_id",
        "FROM observation_period o, condition_occurrence c, person p WHERE p.person_id = c.person_id AND p.person_id = o.person_id AND true",
    ),
];

/// Whole texts: what is listed by joined rows and by a subquery, numbers in texts, and years of dates.
const TEXTS: [Pair; 9] = [
    (
        "SELECT count(DISTINCT d.person_id) FROM drug_exposure d JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id \
         WHERE a.ancestor_concept_id = 5",
        "SELECT count(DISTINCT person_id) FROM drug_exposure \
         WHERE drug_concept_id IN (SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = 5)",
    ),
    (
        "SELECT count(DISTINCT d.person_id) FROM drug_exposure d JOIN concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id \
         JOIN concept k ON k.concept_id = a.ancestor_concept_id WHERE k.concept_name = 'ibuprofen' AND d.days_supply > 30",
        "SELECT count(DISTINCT d.person_id) FROM drug_exposure d WHERE NOT (d.days_supply <= 30) AND d.drug_concept_id IN \
         (SELECT a.descendant_concept_id FROM concept_ancestor a JOIN concept k ON a.ancestor_concept_id = k.concept_id \
         WHERE 'ibuprofen' = k.concept_name)",
    ),
    (
        "SELECT a.ancestor_concept_id AS g, count(DISTINCT d.person_id) AS n FROM concept_ancestor a \
         JOIN drug_exposure d ON a.descendant_concept_id = d.drug_concept_id WHERE a.ancestor_concept_id IN (7, 5) GROUP BY 1",
        "SELECT count(DISTINCT person_id) FILTER (WHERE drug_concept_id IN \
         (SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = 5)) AS a, \
         count(DISTINCT person_id) FILTER (WHERE drug_concept_id IN \
         (SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = 7) AND TRUE) AS b FROM drug_exposure",
    ),
    (
        "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM drug_exposure d JOIN concept_ancestor a \
         ON a.descendant_concept_id = d.drug_concept_id WHERE d.person_id = p.person_id AND a.ancestor_concept_id = 5)",
        "SELECT count(*) FROM person p WHERE p.person_id IN (SELECT d.person_id FROM drug_exposure d WHERE d.drug_concept_id IN \
         (SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = 5))",
    ),
    (
        "SELECT count(*), avg(d.days_supply) FROM drug_exposure d JOIN concept_ancestor a \
         ON a.descendant_concept_id = d.drug_concept_id AND a.ancestor_concept_id = 5",
        "SELECT avg(days_supply), count(*) FROM drug_exposure WHERE drug_concept_id IN \
         (SELECT descendant_concept_id FROM concept_ancestor WHERE 5 = ancestor_concept_id)",
    ),
    (
        "SELECT count(*) FROM measurement WHERE CAST(value_source_value AS DOUBLE) >= 100",
        "SELECT count(*) FROM measurement WHERE NOT (TRY_CAST(value_source_value AS DOUBLE) < 100)",
    ),
    (
        "SELECT avg(CAST(value_source_value AS DOUBLE)) FROM measurement",
        "SELECT avg(3 - 2 * TRY_CAST(value_source_value AS DOUBLE)) FROM measurement",
    ),
    (
        "SELECT count(*) FROM condition_occurrence WHERE EXTRACT(YEAR FROM DATE '2020-06-01') - EXTRACT(YEAR FROM condition_start_date) < 10",
        "SELECT count(*) FROM condition_occurrence WHERE condition_start_date >= DATE '2011-01-01'",
    ),
    (
        "SELECT count(*) FROM person WHERE EXTRACT(YEAR FROM DATE '2020-06-01') - year_of_birth <= 70",
        "SELECT count(*) FROM person WHERE year_of_birth >= 1950",
    ),
];

/// Seconds in both directions.
const SECONDS: Pair = (
    "SELECT avg(EXTRACT(EPOCH FROM stop - start)) / 3600 AS hours FROM encounters",
    "SELECT avg((EXTRACT(EPOCH FROM start) - EXTRACT(EPOCH FROM stop)) / 60) AS minutes FROM encounters",
);

fn is_one(omop: &Collection, first: &str, second: &str) {
    let statistics = [first, second].map(|sql| only(omop, sql));
    assert_eq!(statistics[0], statistics[1], "{first}\n{second}");
}

#[test]
fn equal_conditions_are_one_statistic() {
    let omop = Collection::named("omop");
    for (first, second) in SAME.iter().chain(&SAME_WHERE_TRUE) {
        let [first, second] = [first, second].map(|condition| format!("SELECT count(*) {FROM} WHERE {condition}"));
        is_one(&omop, &first, &second);
    }
    for (first, second) in SAME.iter().filter(|(first, _)| !first.contains("SELECT")) {
        let [first, second] =
            [first, second].map(|condition| format!("SELECT {condition}, count(*) {FROM} GROUP BY 1"));
        is_one(&omop, &first, &second);
    }
}

#[test]
fn quoted_constants_have_the_type_of_the_column() {
    let omop = Collection::named("omop");
    for (quoted, typed) in QUOTED {
        for query in [
            "SELECT count(*) {FROM} WHERE {IS}",
            "SELECT count(*) FILTER (WHERE {IS}) {FROM}",
            "SELECT CASE WHEN {IS} THEN 'yes' ELSE 'no' END AS g, count(*) {FROM} GROUP BY 1",
        ] {
            let [quoted, typed] = [quoted, typed].map(|is| query.replace("{FROM}", FROM).replace("{IS}", is));
            is_one(&omop, &quoted, &typed);
        }
    }
    is_one(
        &omop,
        "SELECT CASE gender_concept_id WHEN '8507' THEN 'm' END AS g, count(*) FROM person GROUP BY 1",
        "SELECT CASE gender_concept_id WHEN 8507 THEN 'm' END AS g, count(*) FROM person GROUP BY 1",
    );
    is_one(
        &omop,
        "SELECT count(*) FROM condition_occurrence c JOIN person p ON p.person_id = c.person_id AND p.year_of_birth < '1950'",
        "SELECT count(*) FROM condition_occurrence c JOIN person p ON p.person_id = c.person_id AND p.year_of_birth < 1950",
    );
}

#[test]
fn equal_groups_are_one_statistic() {
    let omop = Collection::named("omop");
    for (first, second) in GROUPS {
        let [first, second] = [first, second].map(|group| format!("SELECT {group} AS g, count(*) {FROM} GROUP BY 1"));
        is_one(&omop, &first, &second);
    }
}

#[test]
fn equal_aggregates_are_one_statistic() {
    let omop = Collection::named("omop");
    for (first, second) in AGGREGATES {
        let [first, second] = [first, second].map(|aggregate| format!("SELECT {aggregate} {FROM}"));
        is_one(&omop, &first, &second);
    }
}

#[test]
fn equal_joins_are_one_statistic() {
    let omop = Collection::named("omop");
    for (first, second) in JOINS {
        let born = |from: &str| {
            let joining = if from.contains("WHERE") { "AND" } else { "WHERE" };
            format!(
                "SELECT count(*) {from} {joining} p.year_of_birth < 1950 AND o.observation_period_start_date >= DATE '2000-01-01'"
            )
        };
        is_one(&omop, &born(first), &born(second));
    }
}

#[test]
fn equal_texts_are_one_statistic() {
    let omop = Collection::named("omop");
    for (first, second) in TEXTS {
        is_one(&omop, first, second);
    }
    is_one(&Collection::named("synthea"), SECONDS.0, SECONDS.1);
}

/// A column of the answer is a multiple of the sum that all of these texts have.
#[test]
fn aggregate_of_a_multiple_is_a_multiple() {
    let omop = Collection::named("omop");
    let scale = |aggregate: &str| {
        let lowered = omop.lower(&format!("SELECT {aggregate} {FROM}")).unwrap();
        match lowered.blocks[0].columns[0] {
            CellColumn::Scaled { by, plus, .. } => (by.get(), plus.get()),
            CellColumn::Cell(_) => (1.0, 0.0),
            CellColumn::Group(_) | CellColumn::Quotient { .. } => panic!("{aggregate}"),
        }
    };
    let days = [
        "avg(v.visit_end_date - v.visit_start_date)",
        "avg(v.visit_start_date - v.visit_end_date)",
    ];
    let factors = days.map(scale);
    assert_eq!(factors[0].0, -factors[1].0);
    for (aggregate, expected) in [
        ("avg(p.year_of_birth)", (1.0, 0.0)),
        ("avg(5 - 2 * p.year_of_birth)", (-2.0, 5.0)),
        ("sum(-3 * p.year_of_birth)", (-3.0, 0.0)),
        // The number of values is no part of a sum.
        ("sum(p.year_of_birth + 1)", (1.0, 0.0)),
        ("var_pop(7 - 2 * p.year_of_birth)", (4.0, 0.0)),
        ("stddev(-2 * p.year_of_birth)", (2.0, 0.0)),
        ("corr(-2 * p.year_of_birth, p.year_of_birth)", (-1.0, 0.0)),
        ("covar_pop(2 * p.year_of_birth, 4 * p.year_of_birth)", (8.0, 0.0)),
        ("regr_slope(2 * p.year_of_birth, 4 * p.year_of_birth)", (0.5, 0.0)),
        (
            "regr_intercept(2 * p.year_of_birth + 3, 4 * p.year_of_birth)",
            (2.0, 3.0),
        ),
        ("regr_r2(2 * p.year_of_birth, p.year_of_birth)", (1.0, 0.0)),
    ] {
        assert_eq!(scale(aggregate), expected, "{aggregate}");
    }
}

/// Labels of days are those of the text, so two directions are two groupings; their cells are described as the same sets.
#[test]
fn group_of_days_has_the_direction_of_the_text() {
    let omop = Collection::named("omop");
    let dates = |days: &str| {
        let statistic = only(
            &omop,
            &format!("SELECT {days}, count(*) FROM visit_occurrence GROUP BY 1"),
        );
        match statistic.groups() {
            [
                Group::Levels {
                    of: Quantity::Days { from, to },
                    ..
                },
            ] => (from.clone(), to.clone()),
            groups => panic!("{groups:?}"),
        }
    };
    let (from, to) = dates("visit_end_date - visit_start_date");
    assert_eq!(dates("visit_start_date - visit_end_date"), (to, from));
}

#[test]
fn group_that_distinguishes_nothing_has_a_text() {
    let omop = Collection::named("omop");
    let texts = [
        "SELECT CASE WHEN year_of_birth < 1950 THEN 'a' ELSE 'a' END, count(*) FROM person GROUP BY 1",
        "SELECT CASE WHEN gender_concept_id = 8507 OR true THEN 'a' END, count(*) FROM person GROUP BY 1",
    ];
    is_one(&omop, texts[0], texts[1]);
    let text = print(&only(&omop, texts[0]), &omop.known).unwrap();
    is_one(&omop, texts[0], &text);
}

/// The same combination of both conditions of pairs.
type Both = (String, String);

/// Conditions that are the same under `NOT` too.
fn same() -> impl Strategy<Value = Both> {
    let leaf = (prop::sample::select(SAME.to_vec()), any::<bool>()).prop_map(|((first, second), swaps)| {
        let [first, second] = [first, second].map(|text| format!("({text})"));
        if swaps { (second, first) } else { (first, second) }
    });
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| (format!("({} AND {})", a.0, b.0), format!("({} AND {})", b.1, a.1))),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| (format!("({} OR {})", a.0, b.0), format!("({} OR {})", b.1, a.1))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| (
                format!("(NOT ({} AND {}))", a.0, b.0),
                format!("(NOT {} OR NOT {})", b.1, a.1)
            )),
            inner.prop_map(|a| (format!("(NOT {})", a.0), format!("(NOT {})", a.1))),
        ]
    })
}

/// Conditions that keep the same rows.
fn same_where_true() -> impl Strategy<Value = Both> {
    let leaf = prop::sample::select(SAME_WHERE_TRUE.to_vec())
        .prop_map(|(first, second)| (format!("({first})"), format!("({second})")));
    let any = prop_oneof![same(), leaf];
    any.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| (format!("({} AND {})", a.0, b.0), format!("({} AND {})", b.1, a.1))),
            (inner.clone(), inner)
                .prop_map(|(a, b)| (format!("({} OR {})", a.0, b.0), format!("({} OR {})", b.1, a.1))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn equal_combinations_are_one_statistic(
        (first, second) in same_where_true(),
        (group, other) in prop::sample::select(GROUPS.to_vec()),
        (aggregate, multiple) in prop::sample::select(AGGREGATES.to_vec()),
    ) {
        let omop = Collection::named("omop");
        // A condition of all aggregates is one on the rows.
        is_one(
            &omop,
            &format!("SELECT count(*) {FROM} WHERE {first}"),
            &format!("SELECT count(*) FILTER (WHERE {second}) {FROM}"),
        );
        is_one(
            &omop,
            &format!("SELECT {group} AS g, count(*), {aggregate} {FROM} WHERE {first} GROUP BY 1"),
            &format!("SELECT {other} AS g, {multiple}, count(*) {FROM} WHERE {second} GROUP BY 1"),
        );
    }
}
