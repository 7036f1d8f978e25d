//! Joins with rows of a reference dataset that list codes, and groups by their columns.

use concordat_protocol::scope::Transform;

use super::{Collection, only, refusal, rows};
use crate::statistic::{CellAggregate, CellColumn, Condition, Form, Group, NotCountable, Statistic};

const DRUGS: &str =
    "FROM omop.drug_exposure d JOIN omop.concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id";
const NAMED: &str = "FROM omop.drug_exposure d JOIN omop.concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id \
                     JOIN omop.concept k ON k.concept_id = a.ancestor_concept_id AND k.concept_class_id = 'Ingredient'";

fn filters(statistic: &Statistic) -> Vec<&Condition> {
    statistic.cells().iter().map(CellAggregate::filter).collect()
}

/// Several rows may list one code, so a row of events may occur several times, unless one code of a hierarchy is named.
#[test]
fn rows_of_a_join_that_lists_codes_are_not_counted() {
    let omop = Collection::named("omop");
    let several = "a.ancestor_concept_id IN (5, 7)";
    for (figure, condition, is_counted) in [
        ("count(DISTINCT d.person_id)", several, true),
        (
            "count(DISTINCT d.person_id) FILTER (WHERE d.days_supply > 30)",
            several,
            true,
        ),
        ("count(*)", several, false),
        ("sum(d.days_supply)", several, false),
        ("approx_percentile_cont(d.days_supply, 0.5)", several, false),
        ("count(*)", "true", false),
        ("count(*)", "a.ancestor_concept_id <> 5", false),
        (
            "count(*)",
            "a.ancestor_concept_id = 5 OR a.ancestor_concept_id = 7",
            false,
        ),
        ("count(*)", "a.descendant_concept_id = 5", false),
        ("count(*)", "a.ancestor_concept_id = 5", true),
        (
            "sum(d.days_supply)",
            "5 = a.ancestor_concept_id AND d.days_supply > 30",
            true,
        ),
    ] {
        let sql = format!("SELECT {figure} AS n {DRUGS} WHERE {condition}");
        let found = omop.lower(&sql).map(drop);
        let expected = if is_counted {
            Ok(())
        } else {
            Err(NotCountable::Form(Form::ListedRows))
        };
        assert_eq!(found, expected, "{figure} {condition}");
    }
    // Two codes may have one name.
    for name in ["k.concept_name = 'ibuprofen'", "k.concept_id = 5"] {
        assert!(
            omop.lower(&format!("SELECT count(*) AS n {NAMED} WHERE {name}"))
                .is_err(),
            "{name}"
        );
    }
    for (condition, is_counted) in [(several, false), ("a.ancestor_concept_id = 5", true)] {
        let per_subject = format!(
            "SELECT avg(n) AS m FROM (SELECT d.person_id, count(*) AS n {DRUGS} WHERE {condition} GROUP BY d.person_id) t"
        );
        assert_eq!(omop.lower(&per_subject).is_ok(), is_counted, "{condition}");
    }
    let groups = "WHERE a.ancestor_concept_id IN (5, 7) AND k.concept_name IN ('ibuprofen', 'aspirin') GROUP BY 1";
    for (group, is_counted) in [("a.ancestor_concept_id", true), ("k.concept_name", false)] {
        let sql = format!("SELECT {group} AS g, count(*) AS n {NAMED} {groups}");
        assert_eq!(omop.lower(&sql).is_ok(), is_counted, "{group}");
    }
    // The first date does not depend on how often a row occurs.
    let first = format!(
        "SELECT count(*) AS n FROM (SELECT d.person_id, min(d.drug_exposure_start_date) AS day {DRUGS} \
         WHERE a.ancestor_concept_id = 5 GROUP BY d.person_id) t WHERE day >= DATE '2000-01-01'"
    );
    assert!(omop.lower(&first).is_ok());
}

#[test]
fn join_that_lists_codes_has_conditions_on_its_own_rows_only() {
    let omop = Collection::named("omop");
    let listed = rows(
        &omop,
        &format!("SELECT count(DISTINCT d.person_id) {NAMED} WHERE k.concept_name LIKE 'ibu%' AND d.days_supply > 30"),
    );
    let is_list = |part: &&Condition| matches!(part, Condition::Listed { is_in: true, .. });
    assert_eq!(listed.conjuncts().iter().filter(is_list).count(), 1);
    assert_eq!(listed.conjuncts().len(), 2);
    for refused in [
        // A comparison of two rows, a second way to the same rows, rows that may be missing, and codes that no level lists.
        format!("SELECT count(DISTINCT d.person_id) {DRUGS} WHERE a.ancestor_concept_id = d.days_supply"),
        format!("SELECT count(DISTINCT d.person_id) {DRUGS} AND a.ancestor_concept_id = d.drug_concept_id"),
        format!(
            "SELECT count(DISTINCT d.person_id) {DRUGS} JOIN omop.concept_ancestor b ON b.descendant_concept_id = d.drug_concept_id \
             AND b.ancestor_concept_id = a.ancestor_concept_id"
        ),
        format!(
            "SELECT count(DISTINCT d.person_id) {}",
            DRUGS.replace(" JOIN", " LEFT JOIN")
        ),
        "SELECT count(DISTINCT p.person_id) FROM omop.person p JOIN omop.concept_ancestor a \
         ON a.descendant_concept_id = p.gender_concept_id"
            .to_owned(),
    ] {
        assert!(omop.lower(&refused).is_err(), "{refused}");
    }
}

/// A column that a grant shows as a pseudonym has no codes.
#[test]
fn join_that_lists_hidden_codes_is_refused() {
    let hidden = Collection::shown("omop", &|_, column| {
        let is_code = column.as_str() == "drug_concept_id";
        Some(if is_code {
            Transform::Pseudonym
        } else {
            Transform::Clear
        })
    });
    let sql = format!("SELECT count(DISTINCT d.person_id) {DRUGS} WHERE a.ancestor_concept_id = 5");
    assert!(hidden.lower(&sql).is_err());
}

#[test]
fn group_by_values_of_lists_is_a_filter_for_each() {
    let omop = Collection::named("omop");
    let sql = format!(
        "SELECT k.concept_name AS drug, p.gender_concept_id AS g, count(DISTINCT d.person_id) AS n {NAMED} \
         JOIN omop.person p ON p.person_id = d.person_id WHERE k.concept_name IN ('ibuprofen', 'aspirin') GROUP BY 1, 2"
    );
    let lowered = omop.lower(&sql).unwrap();
    let [block] = lowered.blocks.as_slice() else {
        panic!("{:?}", lowered.blocks)
    };
    assert!(block.is_by_value);
    assert!(matches!(block.statistic.groups(), [Group::Levels { .. }]));
    let filters = filters(&block.statistic);
    assert_eq!(filters.len(), 2);
    assert!(filters.iter().all(|filter| matches!(filter, Condition::Listed { .. })));
    assert_ne!(filters[0], filters[1]);
    // The other group, and the number of each value.
    let [CellColumn::Group(0), CellColumn::Cell(first), CellColumn::Cell(second)] = block.columns.as_slice() else {
        panic!("{:?}", block.columns)
    };
    assert_ne!(first, second);
    // No condition is on all rows: a code may be listed with both names.
    assert!(
        block
            .statistic
            .rows()
            .conjuncts()
            .iter()
            .all(|part| !matches!(part, Condition::Listed { .. }))
    );
    assert_eq!(lowered.above.schema().fields().len(), 3);
    let text = lowered.above.display_indent().to_string();
    for part in ["Union", "ibuprofen", "aspirin"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn group_by_lists_needs_values_and_one_column() {
    let omop = Collection::named("omop");
    for (condition, groups) in [
        ("true", "k.concept_name"),
        ("k.concept_name LIKE 'ibu%'", "k.concept_name"),
        ("k.concept_name NOT IN ('ibuprofen')", "k.concept_name"),
        ("a.ancestor_concept_id IN (5, 7)", "k.concept_name"),
        (
            "k.concept_name IN ('ibuprofen')",
            "k.concept_name, a.ancestor_concept_id",
        ),
    ] {
        // No codes above those of this dataset are declared as groups.
        let named = NAMED.replace("drug_exposure", "drug_era");
        let sql = format!("SELECT count(DISTINCT d.person_id) AS n {named} WHERE {condition} GROUP BY {groups}");
        let found = refusal(&omop, &sql);
        assert!(found.contains("column of rows that list codes"), "{groups}: {found}");
    }
    // Two figures for each: more than there may be cells.
    let most = (0..501).map(|code| code.to_string()).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT a.ancestor_concept_id, count(DISTINCT d.person_id) AS n, count(*) AS m {DRUGS} \
         WHERE a.ancestor_concept_id IN ({most}) GROUP BY 1"
    );
    assert!(refusal(&omop, &sql).contains("aggregates"));
}

/// There is a row for each value, also for one that no row lists.
#[test]
fn ranks_of_values_of_lists_need_shown_figures() {
    let omop = Collection::named("omop");
    let groups = format!(
        "(SELECT a.ancestor_concept_id AS g, count(DISTINCT d.person_id) AS n {DRUGS} \
         WHERE a.ancestor_concept_id IN (5, 7) GROUP BY 1) AS t"
    );
    for (sql, is_answered) in [
        (
            format!("SELECT g, row_number() OVER (ORDER BY g) AS r FROM {groups}"),
            false,
        ),
        (format!("SELECT g, lag(n) OVER (ORDER BY g) AS r FROM {groups}"), false),
        (
            format!("SELECT g, rank() OVER (ORDER BY n DESC) AS r FROM {groups}"),
            false,
        ),
        (
            format!("SELECT g, rank() OVER (ORDER BY n DESC NULLS LAST) AS r FROM {groups}"),
            true,
        ),
        (
            format!("SELECT g, row_number() OVER (ORDER BY g) AS r FROM {groups} WHERE n IS NOT NULL"),
            true,
        ),
        (format!("SELECT g, sum(n) OVER () AS r FROM {groups}"), false),
        (
            format!("SELECT g, n FROM {groups} ORDER BY coalesce(n, 0) DESC LIMIT 1"),
            false,
        ),
        (
            format!("SELECT g, n FROM {groups} ORDER BY n DESC NULLS LAST LIMIT 1"),
            true,
        ),
    ] {
        assert_eq!(omop.lower(&sql).is_ok(), is_answered, "{sql}");
    }
}

/// The codes above and below are those of one meaning: what is joined, and what a subquery lists.
#[test]
fn group_by_one_value_of_a_list_is_a_condition() {
    let omop = Collection::named("omop");
    let group = only(
        &omop,
        &format!(
            "SELECT a.ancestor_concept_id AS g, count(DISTINCT d.person_id) AS n {DRUGS} WHERE a.ancestor_concept_id = 5 GROUP BY 1"
        ),
    );
    let condition = only(
        &omop,
        "SELECT count(DISTINCT person_id) FROM omop.drug_exposure WHERE drug_concept_id IN \
         (SELECT descendant_concept_id FROM omop.concept_ancestor WHERE ancestor_concept_id = 5)",
    );
    assert_eq!(group, condition);
}
