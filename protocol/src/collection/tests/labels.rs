//! The labels of atoms.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::scope::{BandWidth, Generalization, Transform};

/// Labels are the text of groups in answers, and conditions name them. One that changes is another answer, so a change has to be a change
/// of the golden file.
#[test]
fn labels_of_atoms_are_the_reviewed_ones() {
    let mut lines = String::new();
    for (what, levels) in reviewed() {
        let atoms = levels.atoms().unwrap_or_default();
        let labels: Vec<_> = (0..atoms)
            .filter_map(|atom| levels.label(&AtomId::Listed(atom)))
            .collect();
        lines.push_str(&format!("{what}: {}\n", labels.join(" | ")));
    }
    assert_eq!(lines, include_str!("../texts.golden"), "the labels are now\n{lines}");
}

fn reviewed() -> Vec<(&'static str, Levels)> {
    let days = |texts: &[&str]| texts.iter().map(|text| Value::Date(day(text))).collect::<Vec<_>>();
    let quarters = days(&["2019-01-01", "2020-01-01", "2020-04-01", "2020-07-01", "2021-01-01"]);
    let band = |width| Transform::Generalized(Generalization::AgeBand(width));
    let ages = || edges(ints((0..=20).map(|n| n * 5)), ColumnKind::Int);
    let year = Transform::Generalized(Generalization::Year);
    let values =
        |values: &[(Value, &str)], kind| Levels::check(RawLevels::Values(listed(values)), Contents::Of(kind)).unwrap();
    vec![
        ("truth", Levels::Truth),
        ("whole numbers", edges(ints([120, 140, 160]), ColumnKind::Int)),
        (
            "whole numbers below zero",
            edges(ints([-10, -5, -4, 0, 1, 2]), ColumnKind::Int),
        ),
        (
            "the least and the greatest",
            edges(ints([i64::MIN, i64::MAX]), ColumnKind::Int),
        ),
        ("years as numbers", edges(ints([1950, 1960, 1961]), ColumnKind::Int)),
        (
            "numbers",
            edges([1.5, 2.0, 1e300].map(float).to_vec(), ColumnKind::Float),
        ),
        (
            "numbers below zero",
            edges([-0.5, 0.0, 5e-324].map(float).to_vec(), ColumnKind::Float),
        ),
        ("dates", edges(quarters.clone(), ColumnKind::Date)),
        (
            "dates within years",
            edges(days(&["2020-02-29", "2020-03-01", "2021-06-30"]), ColumnKind::Date),
        ),
        (
            "decades",
            edges(days(&["1950-01-01", "1960-01-01", "1970-01-01"]), ColumnKind::Date),
        ),
        (
            "far dates",
            edges(days(&["0001-01-01", "9999-01-01"]), ColumnKind::Date),
        ),
        ("date-times", edges(quarters.clone(), ColumnKind::TimestampUtc)),
        ("bands of 5 years", ages().under(band(BandWidth::Five), None).unwrap()),
        ("bands of 10 years", ages().under(band(BandWidth::Ten), None).unwrap()),
        (
            "years",
            edges(quarters.clone(), ColumnKind::Date).under(year, None).unwrap(),
        ),
        (
            "years, 2019 and before as one",
            edges(quarters.clone(), ColumnKind::Date)
                .under(year, Some(2019))
                .unwrap(),
        ),
        (
            "years, 2018 and before as one",
            edges(quarters, ColumnKind::Date).under(year, Some(2018)).unwrap(),
        ),
        (
            "listed whole numbers",
            values(
                &[(Value::Int(8532), "female"), (Value::Int(8507), "male")],
                ColumnKind::Int,
            ),
        ),
        (
            "listed texts, two of one label",
            values(
                &[(text("m"), "male"), (text("f"), "female"), (text("M"), "male")],
                ColumnKind::Text,
            ),
        ),
        (
            "a listed `other`",
            values(&[(text("other"), "other"), (text("x"), "(other)")], ColumnKind::Text),
        ),
    ]
}

proptest! {
    #[test]
    fn labels_of_one_column_differ(numbers in proptest::collection::btree_set(any::<i64>(), 1..40), scale in 0..4) {
        let levels = match scale {
            0 => edges(ints(numbers), ColumnKind::Int),
            1 => edges(ints(numbers.into_iter().map(|n| n % 60).collect::<BTreeSet<_>>()), ColumnKind::Int),
            2 => {
                let numbers: BTreeSet<Value> = numbers.into_iter().filter_map(finite).collect();
                prop_assume!(!numbers.is_empty());
                edges(numbers.into_iter().collect(), ColumnKind::Float)
            }
            _ => {
                let days: BTreeSet<i32> = numbers.into_iter().map(|n| i32::try_from(n % 700_000).unwrap()).collect();
                edges(days.into_iter().map(Value::Date).collect(), ColumnKind::Date)
            }
        };
        let atoms = levels.atoms().unwrap();
        let labels: BTreeSet<String> =
            (0..atoms).map(|atom| levels.label(&AtomId::Listed(atom)).unwrap()).collect();
        prop_assert_eq!(labels.len(), usize::from(atoms));
        for atom in (0..atoms).map(AtomId::Listed) {
            prop_assert_eq!(levels.labeled(&levels.label(&atom).unwrap()), Some(atom));
        }
        prop_assert_eq!(levels.label(&AtomId::Listed(atoms)), None);
        prop_assert_eq!(levels.label(&AtomId::Null), None);
    }
}

fn finite(bits: i64) -> Option<Value> {
    Finite::new(f64::from_bits(bits.cast_unsigned())).ok().map(Value::Float)
}

#[test]
fn code_is_its_own_label() {
    let levels = codes(ColumnKind::Text);
    assert_eq!(levels.label(&AtomId::Code(text("I21.0"))), Some("I21.0".to_owned()));
    assert_eq!(
        codes(ColumnKind::Int).label(&AtomId::Code(Value::Int(-3))),
        Some("-3".to_owned())
    );
    let named = BTreeMap::from([(
        level("heart"),
        listed(&[
            (text("I20"), "angina"),
            (text("I21"), "infarction"),
            (text("I22"), "infarction"),
        ]),
    )]);
    let raw = RawLevels::Codes {
        hierarchy: None,
        names: None,
        levels: named,
    };
    let levels = Levels::check(raw, Contents::Of(ColumnKind::Text)).unwrap();
    let groups = levels.level(&level("heart")).unwrap();
    for (code, label) in [
        ("I20", "angina"),
        ("I21", "infarction"),
        ("I22", "infarction"),
        ("I23", "other"),
    ] {
        let group = levels.coarser(&level("heart"), &AtomId::Code(text(code))).unwrap();
        assert_eq!(groups.label(&group).as_deref(), Some(label));
        assert_eq!(groups.atom_of(Datum::Text(code)), group);
    }
}
