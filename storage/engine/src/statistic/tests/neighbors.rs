//! Which sets are computed beside those of the cells.

use super::collections::Collection;
use crate::statistic::{Condition, Described, RowNeighbors};

fn of(sql: &str) -> (Condition, Vec<Option<RowNeighbors>>) {
    let collection = Collection::named("omop");
    let statistic = collection.lower(sql).unwrap().blocks.remove(0).statistic;
    let filter = statistic.cells()[0].filter().clone();
    let described = Described::new(&statistic, &filter, &collection.known);
    (described.conditions.clone(), described.neighbors(&collection.known))
}

fn only(sql: &str) -> RowNeighbors {
    let [found] = &of(sql).1[..] else {
        panic!("there is no `CASE`")
    };
    found.clone().unwrap()
}

#[test]
fn neighbors_of_a_statistic_lack_a_condition_or_a_group() {
    let sql =
        "SELECT gender_source_value, count(*) FROM person WHERE year_of_birth < 1950 GROUP BY gender_source_value";
    let conditions = of(sql).0;
    let found = only(sql);
    let wider: Vec<_> = found
        .wider
        .iter()
        .map(|(rows, is_plain)| (&rows.condition, &rows.any_of[..], *is_plain))
        .collect();
    assert_eq!(wider, [(&conditions, &[0][..], true), (&Condition::All, &[][..], true)]);
    assert!(found.parts.is_empty());
    assert!(only("SELECT count(*) FROM person").wider.is_empty());
}

/// Without a condition on what is grouped, the groups would be as they are.
#[test]
fn neighbors_lack_a_group_and_its_conditions_together() {
    let sql =
        "SELECT gender_source_value, count(*) FROM person WHERE gender_source_value = 'M' GROUP BY gender_source_value";
    let found = only(sql);
    let wider: Vec<_> = found
        .wider
        .iter()
        .map(|(rows, _)| (&rows.condition, &rows.any_of[..]))
        .collect();
    assert_eq!(wider, [(&Condition::All, &[0][..])]);
}

#[test]
fn neighbors_of_alternatives_are_each_of_them() {
    let sql = "SELECT count(*) FROM person WHERE year_of_birth < 1950 OR gender_source_value = 'M'";
    let found = only(sql);
    assert_eq!(found.wider.len(), 1);
    assert!(!found.wider[0].1, "alternatives are not a plain condition");
    assert_eq!(found.parts.len(), 2);
    for (rows, neighbors) in &found.parts {
        assert!(matches!(rows.condition, Condition::Test(..)));
        assert_eq!(neighbors.wider.len(), 1);
    }
    let many = "SELECT count(*) FROM person WHERE NOT (year_of_birth < 1950 AND gender_source_value = 'M')";
    assert_eq!(only(many).parts.len(), 2, "a negation has alternatives");
}

/// A class of `CASE` is the conditions that lead to it.
#[test]
fn neighbors_of_a_case_lack_one_of_its_conditions() {
    let case = "CASE WHEN year_of_birth < 1950 THEN 'old' WHEN gender_source_value = 'M' THEN 'male' END";
    let (_, found) = of(&format!("SELECT {case} AS g, count(*) FROM person GROUP BY 1"));
    let wider: Vec<usize> = found.iter().map(|of| of.as_ref().unwrap().wider.len()).collect();
    assert_eq!(wider, [1, 2, 2]);
    let rows = found.iter().flatten().flat_map(|of| &of.wider);
    assert!(rows.clone().all(|(rows, _)| rows.any_of == [0]));
}

/// That a row has a joined one, or a value, is a condition of all neighbors.
#[test]
fn neighbors_lack_no_condition_that_something_is_there() {
    let joined = "SELECT count(DISTINCT d.person_id) FROM drug_exposure d JOIN person p ON p.person_id = d.person_id \
                  WHERE d.days_supply > 30";
    let (conditions, _) = of(joined);
    assert!(conditions.conjuncts().len() >= 2, "{conditions:?}");
    let found = only(joined);
    assert_eq!(found.wider.len(), 1, "{found:?}");
    assert_ne!(found.wider[0].0.condition, Condition::All);
    let present = only("SELECT count(*) FROM person WHERE year_of_birth IS NOT NULL");
    assert!(present.wider.is_empty(), "{present:?}");
}

/// That there is an event follows from what is computed from it, so it is left out together with that.
#[test]
fn neighbors_lack_an_event_together_with_what_follows_from_it() {
    let first = "(SELECT person_id, min(drug_exposure_start_date) AS first FROM drug_exposure \
                 WHERE drug_concept_id = 1118084 GROUP BY person_id)";
    let by_year = only(&format!(
        "SELECT date_part('year', first) AS year, count(*) FROM {first} GROUP BY 1"
    ));
    let wider = |found: &RowNeighbors| -> Vec<(usize, usize)> {
        let sizes = found
            .wider
            .iter()
            .map(|(rows, _)| (rows.condition.conjuncts().len(), rows.any_of.len()));
        sizes.collect()
    };
    assert_eq!(wider(&by_year), [(1, 1), (0, 1), (0, 0)], "{by_year:?}");
    // Alone it is left out of what has no first date only.
    let missing_in: Vec<&[usize]> = by_year.wider.iter().map(|(rows, _)| &rows.missing_in[..]).collect();
    assert_eq!(missing_in, [&[][..], &[], &[0]]);
    let after = only(&format!(
        "SELECT count(DISTINCT p.person_id) FROM person p JOIN {first} d ON d.person_id = p.person_id \
         JOIN condition_occurrence c ON c.person_id = p.person_id \
         WHERE c.condition_concept_id = 192671 AND c.condition_start_date > d.first"
    ));
    let mut sizes = wider(&after);
    sizes.sort_unstable();
    assert!(
        sizes
            .iter()
            .all(|(conditions, _)| *conditions > 0 || after.wider.len() == 2),
        "{after:?}"
    );
    let more = only(
        "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = p.person_id) \
         AND EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = p.person_id AND d.days_supply > 30)",
    );
    assert_eq!(wider(&more), [(0, 0), (1, 0)], "{more:?}");
}

/// The row around events is another one within other events, so what these require says nothing about it.
#[test]
fn neighbors_lack_an_event_that_only_another_row_has() {
    let found = only(
        "SELECT count(DISTINCT c.person_id) FROM condition_occurrence c WHERE \
         EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = c.person_id \
                 AND d.drug_exposure_start_date < c.condition_start_date) \
         AND EXISTS (SELECT 1 FROM condition_occurrence x WHERE x.person_id = c.person_id AND x.condition_concept_id = 5 \
                     AND EXISTS (SELECT 1 FROM drug_exposure d WHERE d.person_id = x.person_id \
                                 AND d.drug_exposure_start_date < x.condition_start_date))",
    );
    let left: Vec<usize> = found
        .wider
        .iter()
        .map(|(rows, _)| rows.condition.conjuncts().len())
        .collect();
    assert_eq!(left, [1, 1], "each is left out alone: {found:?}");
}

/// What an `OR` within a subquery adds can be chosen by its text, so it has parts as one of the query itself.
#[test]
fn neighbors_of_alternatives_within_events_are_each_of_them() {
    let rows = "d.person_id = p.person_id AND (d.drug_concept_id = 5 OR d.days_supply > 30)";
    let of_rows = |test: &str| only(&format!("SELECT count(*) FROM person p WHERE {test}"));
    let exist = of_rows(&format!("EXISTS (SELECT 1 FROM drug_exposure d WHERE {rows})"));
    let counted = of_rows(
        "p.person_id IN (SELECT person_id FROM drug_exposure WHERE drug_concept_id = 5 OR days_supply > 30 \
         GROUP BY person_id HAVING count(*) >= 2)",
    );
    // The number of events is a condition beside that there is one.
    for (found, parts) in [(exist, 2), (counted, 4)] {
        assert!(!found.wider[0].1, "alternatives are not a plain condition: {found:?}");
        assert_eq!(found.parts.len(), parts, "{found:?}");
        assert!(
            found.parts.iter().all(|(_, neighbors)| !neighbors.wider.is_empty()),
            "{found:?}"
        );
    }
    let none = of_rows(&format!("NOT EXISTS (SELECT 1 FROM drug_exposure d WHERE {rows})"));
    assert_eq!(none.parts.len(), 2, "{none:?}");
}
