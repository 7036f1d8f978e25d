//! Each class of a group has a label of its own: what SQL has in one row is one class.

use std::collections::BTreeSet;

use concordat_protocol::{
    collection::{AtomId, Datum},
    scope::Value,
};
use proptest::prelude::*;

use super::{
    Collection,
    logic::{AGES, KINDS, condition, truth},
    only, refusal, rows,
};
use crate::statistic::{Bucket, Condition, Group, NotCountable, Quantity, Statistic, label_texts};

/// The labels of the only group of a query, in order, each of which has to be another one.
fn labels(collection: &Collection, sql: &str) -> BTreeSet<Option<String>> {
    let statistic = only(collection, sql);
    let [group] = statistic.groups() else {
        panic!("{sql}: {:?}", statistic.groups())
    };
    let texts = label_texts(group, &collection.known);
    let found: BTreeSet<Option<String>> = texts.iter().cloned().collect();
    assert_eq!(found.len(), texts.len(), "{sql}: {texts:?}");
    found
}

/// The label of a row.
fn shown(group: &Group, collection: &Collection, age: Option<i64>, cp: Option<i64>) -> Option<Value> {
    let known = &collection.known;
    match group {
        Group::Cases { cases, rest } => {
            let is_met = |condition: &Condition| truth(condition, known, age, cp) == Some(true);
            let found = cases.iter().find(|(condition, _)| is_met(condition));
            found.map_or_else(|| rest.clone(), |(_, label)| label.clone())
        }
        Group::Buckets { of, buckets, rest } => {
            let Quantity::Column(path) = of else { panic!("{of:?}") };
            let value = if path.column().as_str() == "age" { age } else { cp };
            let atom: AtomId = known.levels(of).atom_of(value.map_or(Datum::Null, Datum::Int));
            let found = buckets.iter().find(|bucket| bucket.atoms.contains(&atom));
            found.map_or_else(|| rest.clone(), |bucket| bucket.label.clone())
        }
        Group::Levels { .. } | Group::Codes { .. } => panic!("{group:?}"),
    }
}

fn literal(label: Option<&str>) -> String {
    label.map_or_else(|| "NULL".to_owned(), |label| format!("'{label}'"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Cases with few labels, so that most of them occur several times.
    #[test]
    fn cases_of_one_label_are_one_class(
        cases in prop::collection::vec((condition(), prop::sample::select(vec![Some("a"), Some("b"), None])), 1..5),
        rest in prop::sample::select(vec![Some("a"), Some("b"), None]),
    ) {
        let heart = Collection::named("heart");
        let whens: Vec<String> = cases
            .iter()
            .map(|(condition, label)| format!("WHEN {condition} THEN {}", literal(*label)))
            .collect();
        // The type of the column is that of a text, also where all other labels are NULL.
        let sql = format!(
            "SELECT CASE WHEN age > 44 AND age < 30 THEN 'a' {} ELSE {} END, count(*) FROM heart GROUP BY 1",
            whens.join(" "),
            literal(rest)
        );
        let found = labels(&heart, &sql);
        prop_assert!(found.len() <= 3);
        let statistic = only(&heart, &sql);
        let conditions: Vec<Condition> = cases
            .iter()
            .map(|(condition, _)| rows(&heart, &format!("SELECT count(*) FROM heart WHERE {condition}")))
            .collect();
        for age in AGES {
            for cp in KINDS {
                let first = conditions
                    .iter()
                    .position(|condition| truth(condition, &heart.known, age, cp) == Some(true));
                let expected = first.map_or(rest, |at| cases[at].1);
                let is = shown(&statistic.groups()[0], &heart, age, cp);
                let expected = expected.map(|label| Value::Text(label.to_owned()));
                prop_assert_eq!(is, expected, "{} {:?} {:?} {:?}", sql, age, cp, statistic.groups());
            }
        }
    }
}

const CASE: &str = "CASE WHEN gender_source_value = 'F' THEN 'a' WHEN year_of_birth < 1950 THEN 'b' ELSE 'a' END";

#[test]
fn case_with_the_label_of_the_others_is_one_row() {
    let omop = Collection::named("omop");
    let of = |group: &str| labels(&omop, &format!("SELECT {group}, count(*) AS n FROM person GROUP BY 1"));
    assert_eq!(of(CASE), BTreeSet::from([Some("a".to_owned()), Some("b".to_owned())]));
    // Also below what depends on several rows.
    let most = format!("SELECT {CASE} AS g, count(*) AS n FROM person GROUP BY 1 ORDER BY n DESC NULLS LAST LIMIT 1");
    assert_eq!(labels(&omop, &most).len(), 2);
}

#[test]
fn missing_values_with_the_label_of_a_value_are_in_its_group() {
    let omop = Collection::named("omop");
    for (label, classes) in [("M", 3), ("F", 3), ("other", 3), ("unknown", 4)] {
        let sql = format!("SELECT coalesce(gender_source_value, '{label}'), count(*) FROM person GROUP BY 1");
        let found = labels(&omop, &sql);
        assert_eq!(found.len(), classes, "{label}: {found:?}");
        assert!(found.contains(&Some(label.to_owned())), "{found:?}");
    }
}

/// What the rows of a case before it are not has no condition.
#[test]
fn cases_of_one_label_that_cannot_be_joined_are_refused() {
    let omop = Collection::named("omop");
    let sql = "SELECT CASE WHEN k.concept_name = 'gout' THEN 'a' WHEN c.condition_start_date IS NULL THEN 'b' ELSE 'a' END, count(*) \
        FROM condition_occurrence c JOIN concept k ON k.concept_id = c.condition_concept_id GROUP BY 1";
    let found = refusal(&omop, sql);
    assert!(found.starts_with("two groups have the label `a`"), "{found}");
    assert!(found.contains("one `WHEN` with `OR`"), "{found}");
    assert!(omop.lower(&sql.replace("ELSE 'a'", "ELSE 'c'")).is_ok());
}

/// Also of a statistic from another process.
#[test]
fn statistic_with_two_groups_of_one_label_cannot_be_made() {
    let omop = Collection::named("omop");
    let statistic = only(&omop, "SELECT gender_source_value, count(*) FROM person GROUP BY 1");
    let [Group::Levels { of, .. }] = statistic.groups() else {
        panic!("{:?}", statistic.groups())
    };
    let Quantity::Column(path) = of else { panic!("{of:?}") };
    let made = |group: Group| {
        let (measured, rows) = (statistic.measured().clone(), statistic.rows().clone());
        let found = Statistic::new(
            measured,
            rows,
            vec![group],
            statistic.cells().to_vec(),
            &omop.known,
            1_000,
        );
        found.map(|_| ())
    };
    let text = |label: &str| Some(Value::Text(label.to_owned()));
    let levels = |missing: Option<Value>| Group::Levels {
        of: of.clone(),
        level: None,
        missing,
    };
    let buckets = |labels: [Option<Value>; 2], rest: Option<Value>| {
        let of_atom = |(atom, label)| Bucket {
            label,
            atoms: omop.known.levels(of).only(atom),
        };
        Group::Buckets {
            of: of.clone(),
            buckets: (0..).zip(labels).map(of_atom).collect(),
            rest,
        }
    };
    let codes = |codes: [&str; 2]| Group::Codes {
        of: path.clone(),
        codes: codes.map(|code| Value::Text(code.to_owned())).to_vec(),
    };
    let cases = |labels: [Option<Value>; 2], rest: Option<Value>| Group::Cases {
        cases: labels.map(|label| (Condition::All, label)).to_vec(),
        rest,
    };
    for group in [
        levels(None),
        levels(text("unknown")),
        buckets([text("x"), text("y")], None),
        codes(["x", "y"]),
        cases([text("x"), text("y")], None),
    ] {
        assert_eq!(made(group.clone()), Ok(()), "{group:?}");
    }
    for (group, label) in [
        (levels(text("M")), "`M`"),
        (levels(text("other")), "`other`"),
        (buckets([text("x"), text("x")], None), "`x`"),
        (buckets([text("x"), None], None), "NULL"),
        (buckets([text("x"), text("y")], text("y")), "`y`"),
        (codes(["x", "x"]), "`x`"),
        (cases([text("x"), text("x")], None), "`x`"),
        (cases([text("x"), None], None), "NULL"),
        (cases([text("x"), text("y")], text("x")), "`x`"),
    ] {
        let label = label.to_owned();
        assert_eq!(made(group.clone()), Err(NotCountable::SameLabel { label }), "{group:?}");
    }
}
