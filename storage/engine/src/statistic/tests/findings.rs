//! Findings of the security review about answers below `records`, as far as the language is concerned. What is decided about the cells is
//! attacked by the red team of `concordat-disclosure`.

use super::{Collection, only};

/// Conditions that fail for some values of a column.
const FAILING: [&str; 10] = [
    "1 / (year_of_birth - 1950) > 0",
    "year_of_birth * 9223372036854775807 > 0",
    "power(year_of_birth, 400) > 1",
    "sqrt(year_of_birth - 1950) > 1",
    "chr(year_of_birth) = 'x'",
    "repeat(gender_source_value, year_of_birth) = 'x'",
    "CAST(gender_source_value AS BIGINT) = 1",
    "date_part('year', CAST(gender_source_value AS DATE)) = 2000",
    "to_timestamp(gender_source_value) IS NULL",
    "gender_source_value LIKE CASE WHEN year_of_birth < 1950 THEN 'M' ELSE race_source_value END",
];

fn is_refused(collection: &Collection, sql: &str) -> bool {
    match collection.planned(sql) {
        Ok(plan) => collection.lower_plan(&plan).is_err(),
        Err(_) => true,
    }
}

/// D1: the conditions of the red team are those that a requester can send.
#[test]
fn finding_d1_conditions_of_trackers_are_in_the_language() {
    let omop = Collection::named("omop");
    for condition in [
        "gender_concept_id = 8507 AND NOT (race_source_value = 'white' AND year_of_birth < 1950)",
        "(gender_concept_id = 8507 AND year_of_birth < 1950) OR race_source_value = 'white'",
        "NOT (gender_concept_id = 8507 AND year_of_birth < 1950) AND NOT (race_source_value = 'white' AND year_of_birth >= 1950)",
    ] {
        let sql = format!("SELECT count(*) FROM omop.person WHERE {condition}");
        assert!(!is_refused(&omop, &sql), "{condition}");
    }
}

/// D2: whether a query fails would show the value.
#[test]
fn finding_d2_no_condition_that_fails_is_lowered() {
    let omop = Collection::named("omop");
    for condition in FAILING {
        let in_rows = format!("SELECT count(*) FROM omop.person WHERE {condition}");
        let in_filter = format!("SELECT count(*) FILTER (WHERE {condition}) FROM omop.person");
        let in_case = format!("SELECT sum(CASE WHEN {condition} THEN 1 ELSE 0 END) FROM omop.person");
        for sql in [in_rows, in_filter, in_case] {
            assert!(is_refused(&omop, &sql), "{sql}");
        }
    }
}

/// D3: what is computed of cells does not change which cells there are.
#[test]
fn finding_d3_order_and_limit_leave_the_statistic_as_it_is() {
    let omop = Collection::named("omop");
    let plain = "SELECT gender_concept_id, count(*) AS n FROM omop.person GROUP BY gender_concept_id";
    let expected = only(&omop, plain).digest(&omop.known);
    for above in [
        "ORDER BY n",
        "HAVING count(*) IS NOT NULL ORDER BY n DESC LIMIT 1",
        "HAVING count(*) IS NOT NULL ORDER BY n LIMIT 1 OFFSET 3",
        "HAVING count(*) > 5",
    ] {
        let sql = format!("{plain} {above}");
        assert!(only(&omop, &sql).digest(&omop.known) == expected, "{sql}");
    }
}
