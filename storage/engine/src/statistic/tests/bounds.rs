//! Texts that are long, deep or grow when they are read: refused after a bounded amount of work.

use super::{Collection, sentence};

/// Why a hostile text is refused, on the stack that the planner has too.
fn refused(sql: String) -> String {
    crate::on_large_stack(move || {
        let omop = Collection::named("omop");
        match omop.planned(&sql) {
            Err(error) => format!("planner: {error}"),
            Ok(plan) => match omop.lower_plan(&plan) {
                Ok(_) => "lowered".to_owned(),
                Err(error) => sentence(&error),
            },
        }
    })
    .unwrap()
}

#[test]
fn statistic_of_many_conditions_is_refused() {
    let filters = |count: usize| {
        let parts = vec!["gender_concept_id = 8507"; 30].join(" OR ");
        let filtered = vec![format!("count(*) FILTER (WHERE {parts})"); count]
            .into_iter()
            .enumerate();
        let shown: Vec<String> = filtered.map(|(at, text)| format!("{at} + {text} AS n{at}")).collect();
        let all: Vec<String> = shown
            .iter()
            .map(|text| format!("SELECT {text} FROM omop.person"))
            .collect();
        refused(all.join(" UNION ALL "))
    };
    assert_eq!(filters(8), "lowered");
    let parts = vec!["gender_concept_id = 8507"; 30].join(" OR ");
    let cases: Vec<String> = (0..40).map(|at| format!("WHEN {parts} THEN {at}")).collect();
    let found = refused(format!(
        "SELECT CASE {} END, count(*) FROM omop.person GROUP BY 1",
        cases.join(" ")
    ));
    assert!(found.contains("more than 1000 conditions"), "{found}");
}

#[test]
fn statistic_with_a_long_list_is_refused() {
    let list = |length: usize| {
        let codes = (0..length).map(|code| code.to_string()).collect::<Vec<_>>().join(", ");
        refused(format!(
            "SELECT count(*) FROM omop.condition_occurrence WHERE condition_concept_id IN ({codes})"
        ))
    };
    assert_eq!(list(1_000), "lowered");
    assert!(list(10_000).contains("constants in a list"), "{}", list(10_000));
}

#[test]
fn statistic_that_doubles_with_each_level_is_refused() {
    let mut inner = "SELECT gender_concept_id AS x FROM omop.person".to_owned();
    for _ in 0..5 {
        let whens = "WHEN x = 1 THEN x ".repeat(10);
        inner = format!("SELECT CASE {whens} ELSE x END AS x FROM ({inner}) t");
    }
    let found = refused(format!("SELECT count(*) FROM ({inner}) t WHERE x = 1"));
    assert!(found.contains("parts of expressions"), "{found}");
}

#[test]
fn statistic_of_many_datasets_or_groupings_is_refused() {
    let exists = "EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = p.person_id)";
    let many = vec![exists; 40].join(" AND ");
    let found = refused(format!("SELECT count(*) FROM omop.person p WHERE {many}"));
    assert!(found.contains("more than 32 datasets"), "{found}");
    let union = ["SELECT count(*) FROM omop.person"; 9].join(" UNION ALL ");
    let found = refused(union);
    assert!(found.contains("more than 8 groupings"), "{found}");
}

#[test]
fn statistic_with_a_large_grid_is_refused() {
    let found = refused(
        "SELECT date_trunc('month', condition_start_date), condition_concept_id, count(*) FROM omop.condition_occurrence \
         WHERE condition_concept_id IN (1, 2, 3, 4, 5) GROUP BY 1, 2"
            .to_owned(),
    );
    assert!(found.contains("more than 1000 groups"), "{found}");
}

/// Many figures of few cells are no more than those of many cells.
#[test]
fn statistic_has_more_aggregates_in_few_cells() {
    let filters = |count: usize| {
        let filters = (0..count).map(|days| format!("count(*) FILTER (WHERE days_supply > {days}) AS n{days}"));
        filters.collect::<Vec<_>>().join(", ")
    };
    let all = refused(format!("SELECT {} FROM omop.drug_exposure", filters(65)));
    assert_eq!(all, "lowered");
    let of_months = |count: usize| {
        refused(format!(
            "SELECT date_trunc('month', drug_exposure_start_date), {} FROM omop.drug_exposure GROUP BY 1",
            filters(count)
        ))
    };
    assert_eq!(of_months(64), "lowered");
    assert!(of_months(65).contains("more than 64 aggregates"), "{}", of_months(65));
}

#[test]
fn statistic_with_an_alias_of_an_instance_is_refused() {
    for sql in [
        "SELECT count(*) FROM omop.person \"#0\" WHERE \"#0\".year_of_birth < 1950",
        "SELECT count(*) FROM omop.drug_exposure JOIN (SELECT * FROM omop.person) \"#0\" ON \"#0\".person_id = drug_exposure.person_id",
        "SELECT count(*) FROM omop.person \"#1\" WHERE EXISTS (SELECT 1 FROM omop.drug_exposure d WHERE d.person_id = \"#1\".person_id)",
    ] {
        assert_ne!(refused(sql.to_owned()), "lowered", "{sql}");
    }
}
