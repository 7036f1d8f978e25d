//! What is refused, with the nearest form.

use std::fmt::Write as _;

use concordat_protocol::scope::{Generalization, Transform};

use super::{Collection, NotCountable, refusal};

const OMOP: [&str; 53] = [
    "SELECT person_id FROM omop.person",
    "SELECT DISTINCT gender_concept_id, year_of_birth FROM omop.person",
    "SELECT * FROM (SELECT person_id, count(*) AS n FROM omop.drug_exposure GROUP BY person_id) t",
    "SELECT year_of_birth, count(*) FROM omop.person GROUP BY year_of_birth, person_id",
    "SELECT min(year_of_birth) FROM omop.person",
    "SELECT count(*) FROM omop.person WHERE year_of_birth = 1951",
    "SELECT count(*) FROM omop.person WHERE year_of_birth < 1951 OR year_of_birth > 1960",
    "SELECT count(*) FROM omop.person WHERE person_id = 7",
    "SELECT count(*) FROM omop.person WHERE person_id < 7",
    "SELECT count(*) FROM omop.person WHERE year_of_birth % 2 = 0",
    "SELECT count(*) FROM omop.person WHERE year_of_birth * year_of_birth > 4",
    "SELECT count(*) FROM omop.person WHERE 1 / (year_of_birth - 1950) > 0",
    "SELECT count(*) FROM omop.person WHERE CAST(gender_source_value AS BIGINT) = 1",
    "SELECT count(*) FROM omop.person WHERE gender_concept_id = NULL",
    "SELECT count(*) FROM omop.person WHERE gender_source_value LIKE '%M%'",
    "SELECT count(*) FROM omop.person WHERE lower(gender_source_value) = 'm'",
    "SELECT count(*) FROM omop.person WHERE year_of_birth = gender_concept_id",
    "SELECT count(DISTINCT year_of_birth) FROM omop.person",
    "SELECT sum(DISTINCT year_of_birth) FROM omop.person",
    "SELECT sum(CASE WHEN person_id = 7 THEN year_of_birth ELSE 0 END) FROM omop.person",
    "SELECT sum(CASE WHEN gender_concept_id = 8507 THEN 1 ELSE 2 END) FROM omop.person",
    "SELECT avg(gender_concept_id) FROM omop.person",
    "SELECT array_agg(year_of_birth) FROM omop.person",
    "SELECT CASE WHEN gender_concept_id = 8507 THEN year_of_birth END, count(*) FROM omop.person GROUP BY 1",
    "SELECT drug_concept_id, count(*) FROM omop.drug_exposure GROUP BY 1",
    "SELECT count(*) FROM omop.condition_occurrence c JOIN omop.drug_exposure d ON d.person_id = c.person_id",
    "SELECT count(*) FROM omop.condition_occurrence c JOIN omop.drug_exposure d ON d.days_supply = c.condition_concept_id",
    "SELECT count(*) FROM omop.person, omop.drug_exposure",
    "SELECT count(*) FROM omop.person p FULL JOIN omop.drug_exposure d ON d.person_id = p.person_id",
    "SELECT count(*) FROM omop.concept",
    "SELECT count(*) FROM omop.note",
    "SELECT count(*) FROM (SELECT * FROM omop.person LIMIT 10) t",
    "SELECT avg(n) FROM (SELECT gender_concept_id, count(*) AS n FROM omop.person GROUP BY 1) t",
    "SELECT count(*) FROM (SELECT person_id FROM omop.person UNION SELECT person_id FROM omop.drug_exposure) t",
    "SELECT count(*) FROM omop.person GROUP BY GROUPING SETS ((gender_concept_id), (year_of_birth))",
    "SELECT count(*) FROM omop.person p WHERE EXISTS (SELECT 1 FROM omop.drug_exposure)",
    "SELECT count(*) FROM omop.person p WHERE EXISTS (SELECT 1 FROM omop.person q WHERE q.year_of_birth = p.year_of_birth)",
    "SELECT count(*) FROM omop.person p WHERE year_of_birth < (SELECT avg(year_of_birth) FROM omop.person)",
    "SELECT count(*) FROM omop.condition_occurrence c WHERE condition_start_date IN (SELECT drug_exposure_start_date FROM omop.drug_exposure)",
    "SELECT count(*), min(n) FROM (SELECT row_number() OVER (ORDER BY year_of_birth) AS n FROM omop.person) t",
    "SELECT count(*) FROM omop.condition_occurrence c JOIN omop.visit_occurrence v ON v.visit_occurrence_id = c.visit_occurrence_id AND v.person_id = c.person_id",
    "SELECT count(*) FROM omop.condition_occurrence c WHERE EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = c.person_id AND c.condition_start_date - d.drug_exposure_start_date <= 31)",
    "SELECT avg(year_of_birth * gender_concept_id) FROM omop.person",
    "SELECT sum(year_of_birth + gender_concept_id) FROM omop.person",
    "SELECT regr_slope(year_of_birth, gender_concept_id - 0.001 * year_of_birth) FROM omop.person",
    "SELECT count(*) FROM omop.person GROUP BY person_id % 2",
    "SELECT gender_concept_id FROM omop.person GROUP BY gender_concept_id",
    "SELECT DISTINCT gender_concept_id FROM omop.person GROUP BY gender_concept_id HAVING gender_concept_id IS NOT NULL",
    "SELECT 1 FROM omop.person GROUP BY gender_concept_id",
    "SELECT 1 FROM omop.person",
    "SELECT gender_concept_id, count(*) AS n, sum(count(*)) OVER (ORDER BY gender_concept_id) AS total FROM omop.person GROUP BY 1",
    "SELECT gender_concept_id, rank() OVER (ORDER BY count(*) DESC) AS r FROM omop.person GROUP BY 1",
    "SELECT * FROM (SELECT gender_concept_id AS g, count(*) AS n FROM omop.person GROUP BY 1) t ORDER BY coalesce(n, 0) DESC LIMIT 10",
];

/// Each refused text and its sentence; the golden file is where the sentences are reviewed.
#[test]
fn statistic_refusals_are_as_reviewed() {
    let omop = Collection::named("omop");
    let mut sentences = String::new();
    for sql in OMOP {
        let found = match omop.planned(sql) {
            Ok(_) => refusal(&omop, sql),
            Err(_) => "cannot be planned".to_owned(),
        };
        writeln!(sentences, "{sql}\n  {found}").unwrap();
    }
    assert_eq!(
        sentences,
        include_str!("refusals.golden"),
        "the refusals are now\n{sentences}"
    );
}

/// A text is a value of the column without loss, or the query is refused: nothing is rounded, cut or compared as text.
#[test]
fn quoted_constant_of_another_type_is_refused() {
    let omop = Collection::named("omop");
    for (condition, notation) in [
        ("year_of_birth < '1950.5'", "a whole number"),
        ("year_of_birth < 'old'", "a whole number"),
        ("year_of_birth < '1950 '", "a whole number"),
        ("'' = year_of_birth", "a whole number"),
        ("year_of_birth IN (1950, '19 50')", "a whole number"),
        ("gender_concept_id = '8507a'", "a whole number"),
        ("2000 - year_of_birth > 'fifty'", "a whole number"),
    ] {
        let sql = format!("SELECT count(*) FROM omop.person WHERE {condition}");
        let expected = NotCountable::Unread {
            column: String::new(),
            contains: "whole numbers",
            notation,
        };
        is_unread(&omop, &sql, &expected);
    }
    for day in ["2010-02-30", "2010-1-1", "2010", "2010-01-01 00:00:00", "01.01.2010"] {
        let sql = format!("SELECT count(*) FROM omop.condition_occurrence WHERE condition_start_date >= '{day}'");
        let expected = NotCountable::Unread {
            column: String::new(),
            contains: "dates",
            notation: "a date, written `yyyy-mm-dd`",
        };
        is_unread(&omop, &sql, &expected);
    }
}

/// Whether a text of the query is not what is expected, of whatever column.
fn is_unread(collection: &Collection, sql: &str, expected: &NotCountable) {
    let found = match collection.lower(sql) {
        Err(NotCountable::Unread { contains, notation, .. }) => NotCountable::Unread {
            column: String::new(),
            contains,
            notation,
        },
        other => panic!("{sql} is {other:?}"),
    };
    assert_eq!(found, *expected, "{sql}");
}

#[test]
fn statistic_over_hidden_columns_is_refused() {
    let shown = |transform: Option<Transform>| {
        Collection::shown("omop", &move |_, column| match column.as_str() {
            "year_of_birth" | "person_id" => transform,
            _ => Some(Transform::Clear),
        })
    };
    let by_birth = "SELECT count(*) FROM omop.person WHERE year_of_birth < 1950";
    let joined =
        "SELECT count(DISTINCT d.person_id) FROM omop.drug_exposure d JOIN omop.person p ON p.person_id = d.person_id";
    for (transform, birth, join) in [
        (Some(Transform::Clear), true, true),
        (Some(Transform::Pseudonym), false, true),
        (Some(Transform::Removed), false, false),
        (None, false, false),
    ] {
        let known = shown(transform);
        assert_eq!(known.lower(by_birth).is_ok(), birth, "{transform:?}");
        assert_eq!(known.lower(joined).is_ok(), join, "{transform:?}");
    }
}

#[test]
fn statistic_through_a_link_without_codes_is_refused() {
    let omop = Collection::named("omop");
    let joined = "SELECT count(*) FROM omop.person p JOIN omop.location l ON l.location_id = p.location_id WHERE";
    // The zip code of each person would be distinguished, although no condition may name a location.
    for condition in [
        "l.zip = '10115'",
        "l.zip LIKE '10%'",
        "l.zip <> '10115'",
        "l.zip IN ('1', '2')",
    ] {
        assert!(omop.lower(&format!("{joined} {condition}")).is_err(), "{condition}");
    }
    let listed = "SELECT count(*) FROM omop.person WHERE location_id IN (SELECT location_id FROM omop.location WHERE zip = '10115')";
    assert!(omop.lower(listed).is_err());
    assert!(omop.lower(&format!("{joined} l.state = 'TX'")).is_ok());
    let coded =
        "SELECT count(*) FROM omop.condition_occurrence c JOIN omop.concept n ON n.concept_id = c.condition_concept_id";
    assert!(omop.lower(&format!("{coded} WHERE n.concept_name LIKE 'I21%'")).is_ok());
}

/// A name would distinguish the values that are not listed.
#[test]
fn statistic_of_names_beside_listed_values_is_refused() {
    let omop = Collection::named("omop");
    let from = "FROM omop.person p JOIN omop.concept c ON c.concept_id = p.gender_concept_id";
    assert!(
        omop.lower(&format!(
            "SELECT c.concept_name, count(*) {from} GROUP BY c.concept_name"
        ))
        .is_ok()
    );
    for condition in [
        "c.concept_name = 'MALE'",
        "c.concept_name LIKE 'M%'",
        "c.concept_class_id <> 'Gender'",
        "p.gender_concept_id IN (SELECT concept_id FROM omop.concept WHERE concept_name = 'MALE')",
    ] {
        assert!(
            omop.lower(&format!("SELECT count(*) {from} WHERE {condition}"))
                .is_err(),
            "{condition}"
        );
    }
    assert!(
        omop.lower(&format!("SELECT count(*) {from} WHERE p.gender_concept_id = 8507"))
            .is_ok()
    );
}

#[test]
fn statistic_of_days_between_years_is_refused() {
    let shown = |transform: Transform| {
        Collection::shown("omop", &move |_, column| {
            Some(if column.as_str().ends_with("_date") {
                transform
            } else {
                Transform::Clear
            })
        })
    };
    let stay = "SELECT count(*) FROM omop.visit_occurrence WHERE visit_end_date - visit_start_date <= 7";
    let mean = "SELECT avg(visit_end_date - visit_start_date) FROM omop.visit_occurrence";
    let year = "SELECT count(*) FROM omop.visit_occurrence WHERE EXTRACT(YEAR FROM visit_start_date) = 2010";
    for (transform, days) in [
        (Transform::Clear, true),
        (Transform::Generalized(Generalization::Year), false),
    ] {
        let known = shown(transform);
        assert_eq!(known.lower(stay).is_ok(), days, "{transform:?}");
        assert_eq!(known.lower(mean).is_ok(), days, "{transform:?}");
        assert!(known.lower(year).is_ok(), "{transform:?}");
    }
    let known = shown(Transform::Generalized(Generalization::Year));
    let months = "SELECT date_trunc('month', visit_start_date), count(*) FROM omop.visit_occurrence GROUP BY 1";
    for sql in [stay, mean, months] {
        let found = refusal(&known, sql);
        assert!(found.contains("as its year, without months and days"), "{sql}: {found}");
    }
}

#[test]
fn groups_between_edges_name_the_nearest_ones() {
    let omop = Collection::named("omop");
    let found = refusal(
        &omop,
        "SELECT floor(year_of_birth / 3) * 3, count(*) FROM omop.person GROUP BY 1",
    );
    assert!(
        found.starts_with("groups of `year_of_birth` begin at values"),
        "{found}"
    );
    assert!(found.contains("the nearest edges are"), "{found}");
    let synthea = Collection::named("synthea");
    let bands = "SELECT floor(healthcare_expenses / 100000) * 100000, count(*) FROM patients GROUP BY 1";
    let found = refusal(&synthea, bands);
    assert!(found.contains("group by the column itself"), "{found}");
}
