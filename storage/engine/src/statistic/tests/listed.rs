//! Groups and patterns of open lists of codes.

use concordat_protocol::{
    collection::AtomId,
    scope::{Transform, Value},
};

use super::{Collection, only, refusal, rows};
use crate::statistic::{Condition, Group, ReferenceTest, print};

const NAMED: &str = "SELECT n.concept_name, count(*) FROM omop.condition_occurrence c \
                     JOIN omop.concept n ON n.concept_id = c.condition_concept_id";

/// The label of the group of a code, or of a missing one.
fn label(group: &Group, code: Option<i64>) -> Option<Value> {
    let Group::Buckets { buckets, rest, .. } = group else {
        panic!("{group:?}")
    };
    let atom = code.map_or(AtomId::Null, |code| AtomId::Code(Value::Int(code)));
    let mut found = buckets.iter().filter(|bucket| bucket.atoms.contains(&atom));
    let label = found.next().map_or(rest, |bucket| &bucket.label);
    assert!(found.next().is_none(), "a code is in one group");
    label.clone()
}

#[test]
fn statistic_groups_by_a_column_are_its_listed_codes() {
    let omop = Collection::named("omop");
    let statistic = only(
        &omop,
        "SELECT condition_concept_id, count(*) FROM omop.condition_occurrence GROUP BY 1 \
         HAVING count(*) IS NOT NULL ORDER BY 2 DESC LIMIT 10",
    );
    let [Group::Levels { level: Some(level), .. }] = statistic.groups() else {
        panic!("{statistic:?}")
    };
    assert_eq!(level.as_str(), "listed");
    // Four codes, all others, and missing ones.
    assert_eq!(statistic.grid(&omop.known), 6);
    // Codes that a condition names are groups by themselves.
    let named = only(
        &omop,
        "SELECT condition_concept_id, count(*) FROM omop.condition_occurrence WHERE condition_concept_id IN (5, 99) GROUP BY 1",
    );
    assert!(matches!(named.groups(), [Group::Codes { codes, .. }] if codes.len() == 2));
}

#[test]
fn statistic_groups_by_names_are_those_of_listed_codes() {
    let omop = Collection::named("omop");
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let all = only(&omop, &format!("{NAMED} GROUP BY 1"));
    let [group] = all.groups() else { panic!("{all:?}") };
    let labels = [5, 6, 7, 8, 99].map(|code| label(group, Some(code)));
    // Codes of one name are one group. One without a name is among the others.
    assert_eq!(labels, ["gout", "asthma", "gout", "other", "other"].map(text));
    assert_eq!(label(group, None), None);
    let some = only(
        &omop,
        &format!("{NAMED} WHERE c.condition_concept_id IN (5, 6) GROUP BY 1"),
    );
    let [group] = some.groups() else { panic!("{some:?}") };
    let labels = [5, 6, 7].map(|code| label(group, Some(code)));
    assert_eq!(labels, [text("gout"), text("asthma"), None]);
    let unknown = refusal(
        &omop,
        &format!("{NAMED} WHERE c.condition_concept_id IN (5, 8) GROUP BY 1"),
    );
    assert!(unknown.contains("open list"), "{unknown}");
    for statistic in [all, some] {
        let again = print(&statistic, &omop.known).unwrap();
        assert_eq!(only(&omop, &again), statistic, "{again}");
    }
}

/// A column that a grant shows as a pseudonym has no codes, and no names of them.
#[test]
fn statistic_groups_by_hidden_codes_are_refused() {
    let hidden = Collection::shown("omop", &|_, column| {
        let is_code = column.as_str() == "condition_concept_id";
        Some(if is_code {
            Transform::Pseudonym
        } else {
            Transform::Clear
        })
    });
    for sql in [
        format!("{NAMED} GROUP BY 1"),
        "SELECT condition_concept_id, count(*) FROM omop.condition_occurrence GROUP BY 1".to_owned(),
    ] {
        assert!(hidden.lower(&sql).is_err(), "{sql}");
    }
}

#[test]
fn statistic_patterns_are_those_of_open_lists() {
    let synthea = Collection::named("synthea");
    let of = |condition: &str| {
        rows(
            &synthea,
            &format!("SELECT count(*) FROM synthea.conditions WHERE {condition}"),
        )
    };
    let any_case = of("description ILIKE '%diabetes%'");
    assert_eq!(of("lower(description) LIKE '%diabetes%'"), any_case);
    let is_any_case = matches!(
        any_case,
        Condition::Reference {
            test: ReferenceTest::Like { any_case: true, .. },
            negated: false,
            ..
        }
    );
    assert!(is_any_case, "{any_case:?}");
    assert!(matches!(
        of("description NOT LIKE '%Diabetes'"),
        Condition::Reference { negated: true, .. }
    ));
    // What begins with a text is a set of codes.
    assert!(matches!(of("description LIKE 'Diabetes%'"), Condition::Test(..)));
    for refused in [
        // No text in lower case matches it, as one in any case would.
        "lower(description) LIKE '%Diabetes%'",
        "upper(description) LIKE '%DIABETES%'",
        "lower(description) LIKE '%é%'",
    ] {
        let sql = format!("SELECT count(*) FROM synthea.conditions WHERE {refused}");
        let found = refusal(&synthea, &sql);
        assert!(found.contains("pattern"), "{refused}: {found}");
    }
    let listed = refusal(&synthea, "SELECT count(*) FROM synthea.patients WHERE race LIKE '%a%'");
    assert!(listed.contains("pattern"), "{listed}");
}
