//! Codes above others that are groups, by the class of their codes.

use super::clinical::{clinical, columns, known, rules_of};
use super::shown::shown;
use super::*;
use crate::scope::Transform;
use crate::signed::{decode, encode};

const CLEAR: Transform = Transform::Clear;

/// The clinical datasets, with a class of each code.
fn with_class() -> KnownColumns {
    let concepts = columns(&[
        ("code", ColumnKind::Text),
        ("name", ColumnKind::Text),
        ("class", ColumnKind::Text),
        ("rank", ColumnKind::Int),
    ]);
    KnownColumns::new(known().iter().map(|(name, columns)| {
        let is_concept = *name == dataset("concept");
        let columns = if is_concept { &concepts } else { columns };
        (name.clone(), columns.clone())
    }))
}

/// Codes of conditions, of which those above them with this column of classes are groups.
fn grouped(class: &str, has_names: bool) -> RawCollectionRules {
    let mut raw = clinical();
    let RawLevels::Codes {
        hierarchy: Some(hierarchy),
        names,
        levels,
    } = &mut rules_of(&mut raw, "condition", "code").levels
    else {
        panic!("they are codes")
    };
    hierarchy.groups = Some(AncestorGroups {
        column: column(class),
        class: "Disease".parse().unwrap(),
    });
    levels.insert(level(ANCESTORS_LEVEL), listed(&[(text("I"), "heart")]));
    if !has_names {
        *names = None;
    }
    raw
}

fn codes_of(rules: &CollectionRules) -> &Codes {
    let condition = rules.dataset(&dataset("condition")).unwrap();
    match condition.column(&column("code")).unwrap().levels() {
        Levels::Codes(codes) => codes,
        other @ (Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Values(_)) => panic!("{other:?}"),
    }
}

#[test]
fn ancestors_have_a_class_beside_their_names() {
    let rules = CollectionRules::check(grouped("class", true), &with_class()).unwrap();
    assert_eq!(decode::<CollectionRules>(&encode(&rules).unwrap()).as_ref(), Ok(&rules));
    assert_eq!(CollectionRules::check(rules.raw(), &with_class()).as_ref(), Ok(&rules));
    let codes = codes_of(&rules);
    assert_eq!(codes.ancestors().unwrap().iter().count(), 1);
    assert_eq!(codes.listed(), None);
    for (class, has_names) in [("other", true), ("rank", true), ("class", false)] {
        let found = CollectionRules::check(grouped(class, has_names), &with_class());
        let problems: Vec<_> = found.unwrap_err().into_iter().map(|error| error.problem).collect();
        let is_of = |problem: &RuleProblem| matches!(problem, RuleProblem::ReferenceColumn { column: found, .. } if *found == column(class));
        assert!(problems.iter().all(is_of), "{class}: {problems:?}");
    }
}

/// The names of codes above others are no more than what the grant shows of names and of pairs.
#[test]
fn ancestors_are_shown_with_their_names() {
    let rules = CollectionRules::check(grouped("class", true), &with_class()).unwrap();
    let condition = [("person_id", CLEAR), ("code", CLEAR)];
    let pairs = [("below", CLEAR), ("above", CLEAR)];
    for (above, name, class, expected) in [
        (true, CLEAR, true, (true, true)),
        (true, CLEAR, false, (true, false)),
        (true, Transform::Pseudonym, true, (false, true)),
        (false, CLEAR, true, (false, false)),
    ] {
        let concepts = [("code", CLEAR), ("name", name), ("class", CLEAR)];
        let of = shown(&[
            ("condition", &condition),
            ("ancestor", &pairs[..if above { 2 } else { 1 }]),
            ("concept", &concepts[..if class { 3 } else { 2 }]),
        ]);
        let shown = rules.shown_by(&of).unwrap();
        let codes = codes_of(&shown);
        let has_groups = codes.hierarchy().is_some_and(|found| found.groups.is_some());
        assert_eq!(
            (codes.ancestors().is_some(), has_groups),
            expected,
            "{above} {name:?} {class}"
        );
    }
    let concepts = [("code", CLEAR), ("class", CLEAR)];
    let unnamed = shown(&[("condition", &condition), ("ancestor", &pairs), ("concept", &concepts)]);
    assert_eq!(codes_of(&rules.shown_by(&unnamed).unwrap()).ancestors(), None);
}

#[test]
fn ancestors_of_two_groups_have_the_same_pairs() {
    let pairs = |ancestor: &str, class: Option<&str>| Hierarchy {
        dataset: dataset("ancestor"),
        ancestor: column(ancestor),
        descendant: column("below"),
        groups: class.map(|class| AncestorGroups {
            column: column("class"),
            class: class.parse().unwrap(),
        }),
    };
    assert!(pairs("above", None).has_pairs_of(&pairs("above", Some("Disease"))));
    assert!(!pairs("above", None).has_pairs_of(&pairs("level", None)));
}
