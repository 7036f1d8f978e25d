//! A printed statistic is lowered to the same one.

use proptest::prelude::*;

use super::{Collection, meaning, queries};
use crate::statistic::{Beyond, Statistic, print};

/// Prints a statistic and lowers the text again.
fn again(collection: &Collection, statistic: &Statistic, sql: &str) {
    let text = print(statistic, &collection.known).unwrap_or_else(|| panic!("{sql} is not printed: {statistic:?}"));
    let plan = collection
        .planned(&text)
        .unwrap_or_else(|error| panic!("{sql}\n{text}\n{error}"));
    let lowered = collection
        .lower_plan(&plan)
        .unwrap_or_else(|error| panic!("{sql}\n{text}\n{error:?}"));
    assert_eq!(lowered.blocks.len(), 1, "{text}");
    assert_eq!(&lowered.blocks[0].statistic, statistic, "{sql}\n{text}");
}

#[test]
fn statistic_printed_and_lowered_is_the_same() {
    let omop = Collection::named("omop");
    for sql in meaning::SAME.iter().flat_map(|texts| texts.iter()) {
        for block in omop.lower(sql).unwrap().blocks {
            again(&omop, &block.statistic, sql);
        }
    }
}

#[test]
fn statistic_of_analysts_is_printed() {
    for (_, name, sql) in queries::all() {
        let collection = Collection::named(name);
        let Ok(plan) = collection.planned(&sql) else {
            continue;
        };
        let Ok(found) = collection.lower_plan(&plan) else {
            continue;
        };
        if found
            .beyond
            .iter()
            .any(|beyond| matches!(beyond, Beyond::Missing { .. }))
        {
            // Members are not asked for such a group: what is beyond the edges of one may be within those of another.
            assert!(
                found
                    .blocks
                    .iter()
                    .any(|block| print(&block.statistic, &collection.known).is_none())
            );
            continue;
        }
        for block in found.blocks {
            again(&collection, &block.statistic, &sql);
        }
    }
}

/// Conditions over rows, lookups, codes and events.
fn condition() -> impl Strategy<Value = String> {
    let fixed = [
        "c.condition_concept_id = 5",
        "c.condition_concept_id NOT IN (5, 7)",
        "c.condition_concept_id IS NULL",
        "c.condition_start_date >= DATE '2000-01-01'",
        "EXTRACT(YEAR FROM c.condition_start_date) = 2010",
        "EXTRACT(YEAR FROM c.condition_start_date) - p.year_of_birth >= 65",
        "p.gender_concept_id = 8507",
        "p.year_of_birth < 1950",
        "p.year_of_birth IS NULL",
        "v.visit_concept_id = 9201",
        "v.visit_end_date - v.visit_start_date <= 7",
        "c.condition_start_date - f.first > 30",
        "f.first IS NULL",
        "f.n >= 3",
        "true",
        "c.condition_concept_id IN (SELECT descendant_concept_id FROM concept_ancestor WHERE ancestor_concept_id = 9)",
        "EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = c.person_id)",
        "EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = c.person_id AND d.drug_exposure_start_date < c.condition_start_date \
         AND d.days_supply > 30)",
        "EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = c.person_id AND v.visit_end_date - d.drug_exposure_start_date BETWEEN -7 AND 7)",
        "c.person_id IN (SELECT person_id FROM visit_occurrence GROUP BY person_id HAVING count(*) > 2)",
    ];
    let leaf = prop::sample::select(fixed.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.clone().prop_map(|a| format!("(NOT {a})")),
            inner.prop_map(|a| format!("({a} IS NOT TRUE)")),
        ]
    })
}

const GROUPS: [&str; 5] = [
    "p.gender_concept_id",
    "date_part('year', c.condition_start_date)",
    "CASE WHEN p.year_of_birth < 1950 THEN 'old' WHEN p.gender_concept_id = 8507 THEN 'male' END",
    "floor(p.year_of_birth / 10) * 10",
    "c.condition_concept_id IS NULL",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn statistic_text_is_lowered_to_itself(condition in condition(), filter in condition(), group in prop::sample::select(GROUPS.to_vec())) {
        let omop = Collection::named("omop");
        let sql = format!(
            "SELECT {group}, count(*), count(DISTINCT c.person_id) FILTER (WHERE {filter}), avg(v.visit_end_date - v.visit_start_date) \
             FROM condition_occurrence c LEFT JOIN person p ON p.person_id = c.person_id \
             LEFT JOIN visit_occurrence v ON v.visit_occurrence_id = c.visit_occurrence_id \
             LEFT JOIN (SELECT person_id, min(drug_exposure_start_date) AS first, count(*) AS n FROM drug_exposure WHERE drug_concept_id = 3 \
             GROUP BY person_id) f ON f.person_id = c.person_id WHERE {condition} GROUP BY 1"
        );
        let lowered = omop.lower(&sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        again(&omop, &lowered.blocks[0].statistic, &sql);
    }
}
