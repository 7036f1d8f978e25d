//! Sets of codes are one set for the audit, whatever text they are from.

use concordat_protocol::scope::Value;

use super::{
    described::{described, scope},
    statistic,
};
use crate::{
    decision::{
        boxes::{Boxes, SetBoxes},
        code_lists::CodeLists,
    },
    statistic::{code_lists, tests::collections::Collection},
};

const BY_CODE: &str =
    "SELECT drug_concept_id AS g, count(DISTINCT person_id) AS n FROM drug_era GROUP BY drug_concept_id";
const BY_NAME: &str = "SELECT k.concept_name AS g, count(DISTINCT d.person_id) AS n FROM drug_era d \
                       JOIN concept k ON k.concept_id = d.drug_concept_id GROUP BY k.concept_name";
const BY_SEX: &str = "SELECT gender_concept_id AS g, count(*) AS n FROM person GROUP BY gender_concept_id";
const BY_NAME_OF_SEX: &str = "SELECT k.concept_name AS g, count(*) AS n FROM person p \
                              JOIN concept k ON k.concept_id = p.gender_concept_id GROUP BY k.concept_name";
/// Names that several codes have, and a code without one.
const CONDITIONS: &str = "SELECT condition_concept_id AS g, count(*) AS n FROM condition_occurrence GROUP BY 1";
const NAMED_CONDITIONS: &str = "SELECT k.concept_name AS g, count(*) AS n FROM condition_occurrence c \
                                JOIN concept k ON k.concept_id = c.condition_concept_id GROUP BY 1";

/// The descriptions of all cells of a query.
fn cells(collection: &Collection, sql: &str) -> Vec<SetBoxes> {
    let cells = statistic(collection, sql).grid(&collection.known);
    (0..cells)
        .map(|cell| described(collection, sql, cell, &scope()))
        .collect()
}

/// The description of a query of one cell.
fn of(collection: &Collection, sql: &str) -> SetBoxes {
    described(collection, sql, 0, &scope())
}

/// The description of a query of one cell whose lists have these codes.
fn resolved(collection: &Collection, sql: &str, codes: Option<&[i64]>) -> SetBoxes {
    let statistic = statistic(collection, sql);
    let lists = code_lists(&statistic, &collection.known);
    let found = codes.map(|codes| codes.iter().copied().map(Value::Int).collect());
    let found = lists.iter().map(|_| found.clone()).collect();
    let boxes = Boxes::new(&statistic, &collection.known, &scope());
    let boxes = boxes.with_code_lists(CodeLists::new(lists, found, &collection.known));
    boxes.set(0, statistic.cells()[0].filter(), None)
}

/// A condition on the row that a code leads to, and a subquery, are the codes for which they are true.
#[test]
fn cell_by_a_list_is_that_of_its_codes() {
    let collection = Collection::named("omop");
    let rows = |condition: &str| format!("SELECT count(*) FROM condition_occurrence c {condition}");
    let joined = "JOIN concept k ON k.concept_id = c.condition_concept_id WHERE k.concept_name";
    let subquery = "(SELECT concept_id FROM concept WHERE concept_name = 'x')";
    for (of_list, of_codes) in [
        (format!("{joined} = 'x'"), "IN (5, 9)"),
        (format!("WHERE c.condition_concept_id IN {subquery}"), "IN (9, 5)"),
        (
            format!("WHERE c.condition_concept_id NOT IN {subquery}"),
            "NOT IN (5, 9)",
        ),
    ] {
        let codes = of(&collection, &rows(&format!("WHERE c.condition_concept_id {of_codes}")));
        let sql = rows(&of_list);
        assert_eq!(resolved(&collection, &sql, Some(&[5, 9])), codes, "{sql}");
        assert_ne!(resolved(&collection, &sql, Some(&[5])), codes, "{sql}");
        assert_ne!(resolved(&collection, &sql, None), codes, "{sql}");
    }
    let events = |condition: &str| {
        format!(
            "SELECT count(*) FROM person p WHERE EXISTS (SELECT 1 FROM condition_occurrence c {condition} AND c.person_id = p.person_id)"
        )
    };
    let codes = of(&collection, &events("WHERE c.condition_concept_id IN (5, 9)"));
    let by_name = events(&format!("{joined} = 'x'"));
    assert_eq!(resolved(&collection, &by_name, Some(&[5, 9])), codes);
}

/// The same people by the codes and by their names.
#[test]
fn cells_by_names_are_those_by_codes() {
    let collection = Collection::named("omop");
    let [codes, names] = [BY_CODE, BY_NAME].map(|sql| cells(&collection, sql));
    // Two codes, all others, and missing ones.
    assert_eq!((codes.len(), names.len()), (4, 4));
    for code in &codes {
        assert_eq!(names.iter().filter(|name| *name == code).count(), 1, "{code:?}");
    }
}

/// The same people by listed values and by the names of these in a reference dataset.
#[test]
fn cells_by_names_of_values_are_those_by_values() {
    let collection = Collection::named("omop");
    let [values, names] = [BY_SEX, BY_NAME_OF_SEX].map(|sql| cells(&collection, sql));
    assert_eq!((values.len(), names.len()), (4, 4));
    for value in &values {
        assert_eq!(names.iter().filter(|name| *name == value).count(), 1, "{value:?}");
    }
}

/// A name of several codes is the set of these codes.
#[test]
fn cell_by_a_name_of_several_codes_is_that_of_them() {
    let collection = Collection::named("omop");
    let names = cells(&collection, NAMED_CONDITIONS);
    for codes in ["IN (5, 7)", "= 6", "NOT IN (5, 6, 7)", "IS NULL"] {
        let sql = format!("SELECT count(*) FROM condition_occurrence WHERE condition_concept_id {codes}");
        let set = of(&collection, &sql);
        assert_eq!(names.iter().filter(|name| **name == set).count(), 1, "{codes}");
    }
    let by_code = cells(&collection, CONDITIONS);
    assert_eq!(
        by_code.iter().filter(|code| names.contains(code)).count(),
        2,
        "6 and NULL"
    );
}

/// A code that a condition names is the one of a group, of rows and of events.
#[test]
fn cell_of_a_code_is_the_same_in_each_form() {
    let collection = Collection::named("omop");
    let listed = cells(&collection, BY_CODE)[0].clone();
    let rows = |condition: &str| format!("SELECT count(DISTINCT person_id) FROM drug_era WHERE {condition}");
    let events = "SELECT count(*) FROM person p WHERE EXISTS \
                  (SELECT 1 FROM drug_era d WHERE d.person_id = p.person_id AND d.drug_concept_id = 5)";
    assert_eq!(of(&collection, &rows("drug_concept_id = 5")), listed);
    assert_eq!(of(&collection, events).subjects, listed.subjects);
    let named = "SELECT drug_concept_id AS g, count(DISTINCT person_id) AS n FROM drug_era \
                 WHERE drug_concept_id IN (5, 99) GROUP BY drug_concept_id";
    let named = cells(&collection, named);
    assert_eq!(named[0], listed);
    assert_eq!(named[1], of(&collection, &rows("drug_concept_id = 99")));
}

/// A name that a condition names is the one of a group by names.
#[test]
fn cell_of_a_name_is_the_same_in_each_form() {
    let collection = Collection::named("omop");
    let rows = |columns: &str, condition: &str| {
        format!(
            "SELECT {columns} FROM condition_occurrence c JOIN concept k ON k.concept_id = c.condition_concept_id \
             WHERE k.concept_name {condition}"
        )
    };
    let grouped = rows("k.concept_name AS g, count(*) AS n", "IN ('gout', 'measles')");
    let groups = cells(&collection, &format!("{grouped} GROUP BY k.concept_name"));
    let [gout, measles] = ["= 'gout'", "= 'measles'"].map(|name| of(&collection, &rows("count(*) AS n", name)));
    assert_eq!(groups[..2], [gout.clone(), measles.clone()]);
    assert_ne!(gout, measles);
}

/// Codes that no level lists are other sets than those that one lists, than all others together, and than each other.
#[test]
fn cells_of_other_codes_are_sets_of_their_own() {
    let collection = Collection::named("omop");
    let conditions = [
        "= 98",
        "= 99",
        "IN (98, 99)",
        "<> 99",
        "NOT IN (5, 1118084)",
        "= 5",
        "IN (5, 99)",
        "IS NULL",
    ];
    let sets = conditions.map(|condition| {
        let sql = format!("SELECT count(DISTINCT person_id) FROM drug_era WHERE drug_concept_id {condition}");
        of(&collection, &sql)
    });
    for (at, set) in sets.iter().enumerate() {
        assert!(!sets[..at].contains(set), "{}", conditions[at]);
    }
}
