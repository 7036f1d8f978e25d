//! Derived tables with one row for each subject, and several sets of groups.

use super::{Collection, Statistic, only, refusal};

/// Two texts with one meaning.
const SAME: [[&str; 2]; 3] = [
    [
        "WITH r AS (SELECT person_id, drug_exposure_start_date AS d, row_number() OVER (PARTITION BY person_id ORDER BY drug_exposure_start_date) \
         AS n FROM omop.drug_exposure WHERE drug_concept_id = 5) SELECT date_part('year', d), count(*) FROM r WHERE n = 1 GROUP BY 1",
        "SELECT date_part('year', d), count(*) FROM (SELECT person_id, min(drug_exposure_start_date) AS d FROM omop.drug_exposure \
         WHERE drug_concept_id = 5 GROUP BY person_id) r GROUP BY 1",
    ],
    [
        "SELECT count(*) FROM omop.person p JOIN (SELECT person_id, drug_exposure_start_date AS d, row_number() OVER (PARTITION BY person_id \
         ORDER BY drug_exposure_start_date DESC NULLS LAST) AS n FROM omop.drug_exposure) r ON r.person_id = p.person_id \
         WHERE 1 = r.n AND r.d >= DATE '2010-01-01'",
        "SELECT count(*) FROM omop.person p JOIN (SELECT person_id, max(drug_exposure_start_date) AS d FROM omop.drug_exposure \
         GROUP BY person_id) r ON r.person_id = p.person_id WHERE r.d >= DATE '2010-01-01'",
    ],
    [
        "SELECT count(*), sum(ever) FROM (SELECT person_id, count(*) AS n, max(CASE WHEN drug_concept_id = 5 THEN 1 ELSE 0 END) AS ever \
         FROM omop.drug_exposure GROUP BY person_id) t WHERE n > 1",
        "SELECT count(*), count(b.person_id) FROM (SELECT person_id, count(*) AS n FROM omop.drug_exposure GROUP BY person_id) t LEFT JOIN \
         (SELECT DISTINCT person_id FROM omop.drug_exposure WHERE drug_concept_id = 5) b ON b.person_id = t.person_id WHERE n > 1",
    ],
];

#[test]
fn statistic_of_derived_tables_has_one_form() {
    let omop = Collection::named("omop");
    for [one, other] in SAME {
        assert_eq!(only(&omop, one), only(&omop, other), "{one}");
    }
}

/// The first row of a subject is only its key and its date: all else would depend on the order of rows of one day.
#[test]
fn statistic_of_numbered_rows_is_of_the_first_date_alone() {
    let omop = Collection::named("omop");
    let numbered = |key: &str, order: &str, condition: &str| {
        format!(
            "SELECT count(*) FROM (SELECT person_id, days_supply, drug_exposure_start_date AS d, row_number() OVER (PARTITION BY {key} \
             ORDER BY {order}) AS n FROM omop.drug_exposure) r {condition}"
        )
    };
    let date = "drug_exposure_start_date";
    only(&omop, &numbered("person_id", date, "WHERE n = 1"));
    for (key, order, condition) in [
        ("person_id", date, ""),
        ("person_id", date, "WHERE n = 2"),
        ("person_id", date, "WHERE n < 2"),
        ("person_id", date, "WHERE n = 1 OR days_supply > 30"),
        ("person_id", "days_supply", "WHERE n = 1"),
        ("drug_concept_id", date, "WHERE n = 1"),
        // A missing date would be the last one.
        ("person_id", "drug_exposure_start_date DESC", "WHERE n = 1"),
        ("person_id", "drug_exposure_start_date NULLS FIRST", "WHERE n = 1"),
    ] {
        let found = refusal(&omop, &numbered(key, order, condition));
        assert!(found.contains("window over rows"), "{key} {order} {condition}: {found}");
    }
    let other = refusal(&omop, &numbered("person_id", date, "WHERE n = 1 AND days_supply > 30"));
    assert!(other.contains("column of the first row"), "{other}");
    let mean = numbered("person_id", date, "WHERE n = 1").replace("count(*)", "avg(days_supply)");
    let mean = refusal(&omop, &mean);
    assert!(mean.contains("column of the first row"), "{mean}");
}

#[test]
fn statistic_of_the_greatest_value_of_a_subject_is_refused() {
    let omop = Collection::named("omop");
    for value in [
        "max(days_supply)",
        "min(CASE WHEN drug_concept_id = 5 THEN 1 ELSE 0 END)",
        "max(CASE WHEN drug_concept_id = 5 THEN 2 ELSE 0 END)",
        "max(CASE WHEN drug_concept_id = 5 THEN 1 ELSE days_supply END)",
        "max(CASE WHEN drug_concept_id = 5 THEN 1 ELSE 0 END) FILTER (WHERE days_supply > 30)",
    ] {
        let sql =
            format!("SELECT sum(x) FROM (SELECT person_id, {value} AS x FROM omop.drug_exposure GROUP BY person_id) t");
        let found = refusal(&omop, &sql);
        assert!(found.contains("aggregate of aggregates"), "{value}: {found}");
    }
}

/// Each set is the statistic of a query with these groups, so that limits, memory and audit are those of that query.
#[test]
fn statistic_of_each_grouping_set_is_a_query_of_its_own() {
    let omop = Collection::named("omop");
    let of = |groups: &str| -> Vec<Statistic> {
        let sql =
            format!("SELECT gender_concept_id, race_source_value, count(*) AS n FROM omop.person GROUP BY {groups}");
        let blocks = omop.lower(&sql).unwrap().blocks;
        blocks.into_iter().map(|block| block.statistic).collect()
    };
    let single = |grouped: &str| only(&omop, &format!("SELECT count(*) AS n FROM omop.person {grouped}"));
    let sets = [
        single("GROUP BY gender_concept_id, race_source_value"),
        single("GROUP BY gender_concept_id"),
        single(""),
    ];
    assert_eq!(of("ROLLUP (gender_concept_id, race_source_value)"), sets);
    let stated = of("GROUPING SETS ((gender_concept_id), (gender_concept_id, race_source_value), ())");
    assert_eq!(stated, sets);
    let cube = of("CUBE (gender_concept_id, race_source_value)");
    assert_eq!(cube.len(), 4);
    assert!(cube.contains(&single("GROUP BY race_source_value")));
    let many = refusal(
        &omop,
        "SELECT count(*) FROM omop.person GROUP BY CUBE (gender_concept_id, race_source_value, gender_source_value, year_of_birth)",
    );
    assert!(many.contains("more than 8 groupings"), "{many}");
}

/// A row is related to other rows of its dataset by a key, and compared with them in no other way.
#[test]
fn statistic_of_pairs_of_rows_is_by_their_keys() {
    let omop = Collection::named("omop");
    let pairs = |condition: &str| {
        format!(
            "SELECT count(*) FROM omop.visit_occurrence v WHERE EXISTS (SELECT 1 FROM omop.visit_occurrence w WHERE w.person_id = v.person_id \
             AND {condition})"
        )
    };
    let days = "v.visit_start_date - w.visit_end_date BETWEEN 0 AND 30";
    let other = only(
        &omop,
        &pairs(&format!("w.visit_occurrence_id <> v.visit_occurrence_id AND {days}")),
    );
    let swapped = only(
        &omop,
        &pairs(&format!("{days} AND v.visit_occurrence_id <> w.visit_occurrence_id")),
    );
    assert_eq!(other, swapped);
    assert_ne!(other, only(&omop, &pairs(days)));
    for condition in [
        "w.visit_concept_id <> v.visit_concept_id",
        "w.visit_occurrence_id > v.visit_occurrence_id",
        "w.visit_occurrence_id = v.visit_occurrence_id",
        "w.visit_start_date <> v.visit_occurrence_id",
    ] {
        let found = refusal(&omop, &pairs(condition));
        assert!(found.contains("below tier `records`"), "{condition}: {found}");
    }
}
