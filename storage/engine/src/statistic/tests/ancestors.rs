//! Groups by the names of declared codes above those of a column.

use concordat_protocol::scope::{Transform, Value};

use super::{Collection, refusal, rows};
use crate::statistic::{CellAggregate, Condition, Form, Lowered, NotCountable, ReferenceTest};

const DRUGS: &str = "FROM omop.drug_exposure d JOIN omop.concept_ancestor a ON a.descendant_concept_id = d.drug_concept_id \
                    JOIN omop.concept k ON k.concept_id = a.ancestor_concept_id AND k.concept_class_id = 'Ingredient'";
const DISEASES: &str = "FROM omop.condition_occurrence c \
                        JOIN omop.concept_ancestor a ON a.descendant_concept_id = c.condition_concept_id \
                        JOIN omop.concept k ON k.concept_id = a.ancestor_concept_id";

/// The filters of the only statistic, each once.
fn filters(lowered: &Lowered) -> Vec<Condition> {
    let [block] = lowered.blocks.as_slice() else {
        panic!("{:?}", lowered.blocks)
    };
    assert!(block.is_by_value);
    let mut filters: Vec<Condition> = Vec::new();
    for filter in block.statistic.cells().iter().map(CellAggregate::filter) {
        if !filters.contains(filter) {
            filters.push(filter.clone());
        }
    }
    filters
}

/// The conditions on the rows that list codes.
fn of_list(filter: &Condition) -> &[Condition] {
    let Condition::Listed { list, is_in: true, .. } = filter else {
        panic!("{filter:?}")
    };
    list.rows.conjuncts()
}

/// The codes that a filter names of the column with ancestors, and whether it is true for others.
fn named(filter: &Condition) -> (Vec<Value>, bool) {
    let found = of_list(filter).iter().find_map(|part| {
        let Condition::Reference {
            of,
            test: ReferenceTest::OneOf(codes),
            negated,
        } = part
        else {
            return None;
        };
        (of.column().as_str() == "ancestor_concept_id").then(|| (codes.clone(), *negated))
    });
    found.unwrap()
}

#[test]
fn group_by_ancestors_is_a_filter_for_each() {
    let omop = Collection::named("omop");
    let sql = format!("SELECT k.concept_name AS g, count(DISTINCT d.person_id) AS n, count(*) AS m {DRUGS} GROUP BY 1");
    let lowered = omop.lower(&sql).unwrap();
    assert_eq!(lowered.blocks[0].statistic.cells().len(), 8);
    let found = filters(&lowered);
    // Three groups, and one of all others.
    assert_eq!(found.len(), 4);
    for code in [11, 12, 13] {
        let one = rows(
            &omop,
            &format!("SELECT count(*) {DRUGS} WHERE a.ancestor_concept_id = {code}"),
        );
        assert!(found.contains(&one), "{code}: {found:?}");
    }
    let others = [11, 12, 13].map(Value::Int).to_vec();
    assert!(
        found.iter().any(|filter| named(filter) == (others.clone(), true)),
        "{found:?}"
    );
    let text = lowered.above.display_indent().to_string();
    // A name may be what all others are called.
    for label in ["aspirin", "ibuprofen", "Utf8(\"other\")", "(other)"] {
        assert!(text.contains(label), "{label}: {text}");
    }
}

/// What else a query requires of the rows that list codes is required in each group.
#[test]
fn group_by_ancestors_has_all_other_conditions() {
    let omop = Collection::named("omop");
    let sql = format!(
        "SELECT k.concept_name AS g, count(*) AS n {DRUGS} WHERE k.concept_id <> 12 AND d.person_id IN \
         (SELECT person_id FROM omop.person WHERE year_of_birth < 1950) GROUP BY 1"
    );
    let lowered = omop.lower(&sql).unwrap();
    let is_of_class = |part: &Condition| matches!(part, Condition::Reference { of, negated: false, .. } if of.column().as_str() == "concept_class_id");
    let is_other_code = |part: &Condition| matches!(part, Condition::Reference { of, negated: true, .. } if of.column().as_str() == "concept_id");
    for filter in filters(&lowered) {
        assert!(of_list(&filter).iter().any(is_of_class), "{filter:?}");
        assert!(of_list(&filter).iter().any(is_other_code), "{filter:?}");
    }
    assert_ne!(lowered.blocks[0].statistic.rows(), &Condition::All);
}

#[test]
fn group_by_ancestors_has_those_that_a_condition_names() {
    let omop = Collection::named("omop");
    for (codes, expected) in [("11, 99", vec![11]), ("98, 99", vec![])] {
        let sql = format!(
            "SELECT k.concept_name AS g, count(DISTINCT d.person_id) AS n {DRUGS} WHERE a.ancestor_concept_id IN ({codes}) GROUP BY 1"
        );
        let lowered = omop.lower(&sql).unwrap();
        let text = lowered.above.display_indent().to_string();
        assert_eq!(text.contains("aspirin"), expected.contains(&11), "{text}");
        assert!(!text.contains("ibuprofen") && text.contains("(other)"), "{text}");
        assert_eq!(lowered.blocks[0].statistic.cells().len(), expected.len() + 1);
    }
}

/// Two codes above one may have one name, and then its rows occur twice in the group.
#[test]
fn group_by_ancestors_counts_rows_of_one_code() {
    let omop = Collection::named("omop");
    let of = |figure: &str| {
        let sql = format!("SELECT k.concept_name AS g, {figure} AS n {DISEASES} GROUP BY 1");
        omop.lower(&sql)
    };
    let lowered = of("count(DISTINCT c.person_id)").unwrap();
    let mut found: Vec<_> = filters(&lowered).iter().map(named).collect();
    found.sort();
    let codes = |codes: &[i64]| codes.iter().copied().map(Value::Int).collect::<Vec<_>>();
    let expected = [
        (codes(&[21, 22, 23]), true),
        (codes(&[21, 23]), false),
        (codes(&[22]), false),
    ];
    assert_eq!(found, expected);
    let refused = of("count(*)").map(drop);
    assert_eq!(refused, Err(NotCountable::Form(Form::ListedRows)));
}

#[test]
fn group_by_ancestors_needs_declared_names() {
    let omop = Collection::named("omop");
    let figure = "count(DISTINCT d.person_id) AS n";
    let of_eras = DRUGS.replace("drug_exposure", "drug_era");
    let below = DRUGS
        .replace("a.descendant_concept_id = d.", "a.ancestor_concept_id = d.")
        .replace("= a.ancestor_concept_id", "= a.descendant_concept_id");
    for (group, from) in [
        // Codes have no declared names, no codes above those of this column are declared, and those below are others.
        ("a.ancestor_concept_id", DRUGS),
        ("k.concept_id", DRUGS),
        ("k.concept_name, a.ancestor_concept_id", DRUGS),
        ("k.concept_name", of_eras.as_str()),
        ("k.concept_name", below.as_str()),
    ] {
        let found = refusal(&omop, &format!("SELECT {figure} {from} GROUP BY {group}"));
        assert!(found.contains("column of rows that list codes"), "{group}: {found}");
    }
}

/// What a grant hides of codes and names decides no group.
#[test]
fn group_by_hidden_ancestors_is_refused() {
    let sql = format!("SELECT k.concept_name AS g, count(DISTINCT d.person_id) AS n {DRUGS} GROUP BY 1");
    for hidden in ["concept_name", "ancestor_concept_id", "drug_concept_id"] {
        let shown = Collection::shown("omop", &|_, column| {
            let is_hidden = column.as_str() == hidden;
            Some(if is_hidden {
                Transform::Pseudonym
            } else {
                Transform::Clear
            })
        });
        assert!(shown.lower(&sql).is_err(), "{hidden}");
    }
}

/// As many groups as there may be cells, with all figures of each.
#[test]
fn group_by_ancestors_and_levels_is_limited_to_the_cells() {
    let omop = Collection::named("omop");
    let by = |figures: usize| {
        let figures = (0..figures).map(|at| {
            let from = 1_900 + 5 * at;
            format!("count(DISTINCT d.person_id) FILTER (WHERE p.year_of_birth >= {from}) AS n{at}")
        });
        let figures = figures.collect::<Vec<_>>().join(", ");
        format!(
            "SELECT k.concept_name, p.year_of_birth, {figures} {DRUGS} JOIN omop.person p ON p.person_id = d.person_id GROUP BY 1, 2"
        )
    };
    assert!(omop.lower(&by(16)).is_ok());
    assert!(refusal(&omop, &by(17)).contains("more than 64 aggregates"));
}
