//! The names of listed values: they are found and not declared, so what does not fit is left out.

use super::clinical::{clinical, columns, keyed, known, link, rules_of, with_kind};
use super::shown::shown;
use super::*;
use crate::scope::{Generalization, Transform};
use crate::signed::{decode, encode};

const MALE: (Value, &str) = (Value::Int(8507), "MALE");

/// The clinical datasets, and one with the names of sexes.
fn with_sexes() -> KnownColumns {
    let sexes = columns(&[
        ("code", ColumnKind::Int),
        ("name", ColumnKind::Text),
        ("rank", ColumnKind::Int),
    ]);
    let all: Vec<_> = known()
        .iter()
        .map(|(name, columns)| (name.clone(), columns.clone()))
        .collect();
    KnownColumns::new(all.into_iter().chain([(dataset("sexes"), sexes)]))
}

fn names(of: &str, values: &[(Value, &str)]) -> ValueNames {
    ValueNames {
        column: column(of),
        values: ListedValues::check(listed(values)).unwrap(),
    }
}

fn named(names: ValueNames) -> RawCollectionRules {
    let mut raw = clinical();
    raw.datasets.insert(dataset("sexes"), with_kind(DatasetKind::Reference));
    rules_of(&mut raw, "sexes", "code").role = ColumnRole::Key;
    let sex = rules_of(&mut raw, "person", "sex");
    sex.role = link("sexes", "code");
    sex.names = Some(names);
    raw
}

fn checked(raw: RawCollectionRules) -> CollectionRules {
    CollectionRules::check(raw, &with_sexes()).unwrap()
}

fn sex(rules: &CollectionRules) -> &ColumnRules {
    rules
        .dataset(&dataset("person"))
        .unwrap()
        .column(&column("sex"))
        .unwrap()
}

#[test]
fn names_that_do_not_fit_are_left_out() {
    let fitting = names("name", &[MALE]);
    let rules = checked(named(fitting.clone()));
    assert_eq!(sex(&rules).names(), Some(&fitting));
    assert_eq!(decode::<CollectionRules>(&encode(&rules).unwrap()).as_ref(), Ok(&rules));
    assert_eq!(checked(rules.raw()), rules);
    for other in [
        names("name", &[MALE, (Value::Int(1), "ONE")]),
        names("name", &[(text("8507"), "MALE")]),
        names("rank", &[MALE]),
        names("other", &[MALE]),
    ] {
        assert_eq!(sex(&checked(named(other.clone()))).names(), None, "{other:?}");
    }
    let mut without_levels = named(fitting.clone());
    rules_of(&mut without_levels, "person", "sex").levels = RawLevels::None;
    let mut without_link = named(fitting.clone());
    rules_of(&mut without_link, "person", "sex").role = ColumnRole::Value;
    let mut with_other_values = named(fitting);
    rules_of(&mut with_other_values, "person", "sex").levels = RawLevels::Values(listed(&[(Value::Int(1), "one")]));
    for raw in [without_levels, without_link, with_other_values] {
        assert_eq!(sex(&checked(raw)).names(), None);
    }
}

/// Names are shown with a column that is shown as it is, and only if they are themselves.
#[test]
fn names_are_shown_where_both_columns_are() {
    const CLEAR: Transform = Transform::Clear;
    const LEVELS: Transform = Transform::Generalized(Generalization::Levels);
    let rules = checked(named(names("name", &[MALE])));
    let person = |sex: Transform| [("person_id", CLEAR), ("sex", sex)];
    for (own, of_names, are_shown) in [
        (CLEAR, CLEAR, true),
        (LEVELS, CLEAR, false),
        (CLEAR, Transform::Pseudonym, false),
        (CLEAR, LEVELS, false),
        (CLEAR, Transform::Removed, false),
    ] {
        let sexes = [("code", CLEAR), ("name", of_names)];
        let shown_columns = if of_names == Transform::Removed {
            &sexes[..1]
        } else {
            &sexes[..]
        };
        let of = shown(&[("person", &person(own)), ("sexes", shown_columns)]);
        let found = rules.shown_by(&of).unwrap();
        assert_eq!(sex(&found).names().is_some(), are_shown, "{own:?} {of_names:?}");
    }
    let under = |transform: Transform| sex(&rules).under(transform, None).unwrap().names;
    assert_eq!(under(CLEAR).as_ref(), sex(&rules).names());
    assert_eq!((under(LEVELS), under(Transform::Pseudonym)), (None, None));
}

/// The names of codes are values of another column, so that the level of them is shown as that column is.
#[test]
fn names_of_codes_are_shown_where_both_columns_are() {
    const CLEAR: Transform = Transform::Clear;
    const LEVELS: Transform = Transform::Generalized(Generalization::Levels);
    let mut raw = clinical();
    let RawLevels::Codes { levels, .. } = &mut rules_of(&mut raw, "condition", "code").levels else {
        panic!("codes")
    };
    levels.insert(level(NAMED_LEVEL), listed(&[(text("I21"), "Secret infarction")]));
    let rules = CollectionRules::check(raw, &known()).unwrap();
    for (own, of_names, are_shown) in [
        (CLEAR, CLEAR, true),
        (LEVELS, CLEAR, false),
        (CLEAR, Transform::Pseudonym, false),
        (CLEAR, LEVELS, false),
        (CLEAR, Transform::Removed, false),
    ] {
        let concept = [("code", CLEAR), ("name", of_names)];
        let concept = if of_names == Transform::Removed {
            &concept[..1]
        } else {
            &concept[..]
        };
        let of = shown(&[("condition", &[("code", own)]), ("concept", concept)]);
        let found = rules.shown_by(&of).unwrap();
        let column = found.dataset(&dataset("condition")).unwrap().column(&column("code"));
        let Levels::Codes(codes) = column.unwrap().levels() else {
            panic!("{found:?}")
        };
        assert_eq!(codes.named().is_some(), are_shown, "{own:?} {of_names:?}");
        assert!(codes.level(&level("heart")).is_some(), "{own:?} {of_names:?}");
        assert_eq!(
            format!("{found:?}").contains("Secret"),
            are_shown,
            "{own:?} {of_names:?}"
        );
        assert_eq!(
            decode::<CollectionRules>(&encode(&found).unwrap()).unwrap().digest(),
            found.digest()
        );
    }
    // Without a column that the names are of, none is known that shows them.
    let without = shown(&[("condition", &[("code", CLEAR)])]);
    assert!(!format!("{:?}", rules.shown_by(&without).unwrap()).contains("Secret"));
}

/// The texts beside codes describe them; other columns of a dataset with subjects are no list of names.
#[test]
fn names_of_codes_are_in_a_reference_dataset_or_beside_them() {
    let checked = |code: &str, name: &str| {
        let mut raw = clinical();
        raw.datasets
            .insert(dataset("drug"), with_kind(keyed("person_id", false)));
        rules_of(&mut raw, "drug", "code").levels = RawLevels::Codes {
            hierarchy: None,
            names: Some(CodeNames {
                dataset: dataset("drug"),
                code: column(code),
                name: column(name),
            }),
            levels: BTreeMap::new(),
        };
        let drug = columns(&[
            ("person_id", ColumnKind::Int),
            ("code", ColumnKind::Int),
            ("label", ColumnKind::Text),
        ]);
        let all: Vec<_> = known()
            .iter()
            .map(|(name, columns)| (name.clone(), columns.clone()))
            .collect();
        let known = KnownColumns::new(all.into_iter().chain([(dataset("drug"), drug)]));
        CollectionRules::check(raw, &known)
    };
    assert_eq!(checked("code", "label").err(), None);
    for (code, name) in [("label", "label"), ("code", "other"), ("code", "code")] {
        assert!(checked(code, name).is_err(), "{code} {name}");
    }
}
