//! What is left of levels under the transforms of a grant, compared with the values that are shown.

use std::collections::BTreeMap;

use chrono::Datelike as _;
use proptest::prelude::*;

use super::*;
use crate::scope::{BandWidth, Generalization, Transform};

const TEN: Transform = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));
const FIVE: Transform = Transform::Generalized(Generalization::AgeBand(BandWidth::Five));
const YEAR: Transform = Transform::Generalized(Generalization::Year);

proptest! {
    /// Two ages with one shown band are in one atom, and two in one declared atom that are both shown stay in one.
    #[test]
    fn bands_show_no_more_than_the_transform(at in proptest::collection::btree_set(-5_i64..110, 1..20), ten in any::<bool>()) {
        let declared = edges(ints(at), ColumnKind::Int);
        let width = if ten { 10 } else { 5 };
        let left = declared.under(if ten { TEN } else { FIVE }, None).unwrap();
        let shown = |age: i64| (age >= 0).then(|| age.min(90) / width);
        for (one, other) in (-10_i64..130).flat_map(|one| (one..130).map(move |other| (one, other))) {
            let are_same = left.atom_of(Datum::Int(one)) == left.atom_of(Datum::Int(other));
            if left != Levels::None && shown(one) == shown(other) {
                prop_assert!(are_same, "{} {}", one, other);
            }
            let is_declared_same = declared.atom_of(Datum::Int(one)) == declared.atom_of(Datum::Int(other));
            if is_declared_same && one >= 0 && other >= 0 {
                prop_assert!(are_same, "{} {}", one, other);
            }
        }
    }

    #[test]
    fn years_show_no_more_than_the_transform(
        at in proptest::collection::btree_set(-2_000_i32..2_000, 1..12),
        january in proptest::collection::btree_set(1965_i32..1976, 0..8),
        oldest in proptest::option::of(1964_i32..1976),
    ) {
        let begins = january.iter().map(|year| day(&format!("{year}-01-01")));
        let at: std::collections::BTreeSet<i32> = at.into_iter().chain(begins).collect();
        let declared = edges(at.into_iter().map(Value::Date).collect(), ColumnKind::Date);
        let left = declared.under(YEAR, oldest).unwrap();
        let shown = |day: i32| {
            let year = chrono::NaiveDate::from_epoch_days(day).unwrap().year();
            oldest.map_or(year, |oldest| year.max(oldest))
        };
        for (one, other) in (-2_200..2_200).step_by(7).zip((-2_200..2_200).step_by(7).skip(1)) {
            let are_same = left.atom_of(Datum::Date(one)) == left.atom_of(Datum::Date(other));
            if shown(one) == shown(other) {
                prop_assert!(are_same, "{} {}", one, other);
            }
            if declared.atom_of(Datum::Date(one)) == declared.atom_of(Datum::Date(other)) {
                prop_assert!(are_same, "{} {}", one, other);
            }
            // Years that are declared are kept.
            let begins = january.contains(&shown(other)) && shown(one) < shown(other);
            prop_assert!(!begins || !are_same, "{} {}", one, other);
        }
    }

    /// Each atom lies in one atom of a coarser level, which is the one of each of its values.
    #[test]
    fn named_levels_are_unions_of_atoms(
        at in proptest::collection::btree_set(0_i64..40, 2..12),
        kept in proptest::collection::vec(any::<bool>(), 12),
    ) {
        let at: Vec<i64> = at.into_iter().collect();
        let coarse: Vec<i64> = at.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(edge, _)| *edge).collect();
        prop_assume!(!coarse.is_empty());
        let raw = RawLevels::Edges { edges: ints(at), levels: BTreeMap::from([(level("coarse"), ints(coarse))]) };
        let levels = Levels::check(raw, Contents::Of(ColumnKind::Int)).unwrap();
        let coarser = levels.level(&level("coarse")).unwrap();
        for value in (-3..45).map(Datum::Int).chain([Datum::Null]) {
            prop_assert_eq!(levels.coarser(&level("coarse"), &levels.atom_of(value)), Some(coarser.atom_of(value)));
        }
        prop_assert_eq!(levels.coarser(&level("coarse"), &AtomId::Listed(levels.atoms().unwrap())), None);
        prop_assert_eq!(levels.level(&level("finer")), None);
    }
}

/// The labels of the engine's bands: `0-9`, …, `80-89`, `90+`.
#[test]
fn bands_keep_their_present_labels() {
    for (width, transform) in [(5, FIVE), (10, TEN)] {
        let present: Vec<String> = (0..90 / width)
            .map(|band| format!("{}-{}", band * width, (band + 1) * width - 1))
            .chain(["90+".to_owned()])
            .collect();
        let at = (-10..=120).filter(|age| age % 5 == 0);
        for kind in [ColumnKind::Int, ColumnKind::Float] {
            let at = at.clone().map(|age| {
                if kind == ColumnKind::Int {
                    Value::Int(age)
                } else {
                    float(age as f64)
                }
            });
            let left = edges(at.collect(), kind).under(transform, None).unwrap();
            let labels: Vec<String> = (0..left.atoms().unwrap())
                .map(|atom| left.label(&AtomId::Listed(atom)).unwrap())
                .collect();
            assert_eq!(labels, present);
        }
        let left = edges(
            (0..=12).map(|n| float(f64::from(n) * 10.0)).collect(),
            ColumnKind::Float,
        )
        .under(transform, None);
        for missing in [
            Datum::Float(-0.5),
            Datum::Float(f64::NAN),
            Datum::Float(f64::from_bits(0x7ff0_0000_0000_0001)),
            Datum::Float(f64::NEG_INFINITY),
            Datum::Null,
        ] {
            assert_eq!(left.as_ref().unwrap().atom_of(missing), AtomId::Null);
        }
        let all = left
            .as_ref()
            .unwrap()
            .decide(&Comparison::AtLeast(Value::Int(0)))
            .unwrap();
        assert_eq!(all.passing(), &left.unwrap().all(), "no age is below zero");
    }
}

#[test]
fn years_keep_their_present_labels() {
    let at = (1930..=1940)
        .map(|year| Value::Date(day(&format!("{year}-01-01"))))
        .collect();
    let levels = edges(at, ColumnKind::Timestamp).under(YEAR, Some(1936)).unwrap();
    let labels: Vec<String> = (0..levels.atoms().unwrap())
        .map(|atom| levels.label(&AtomId::Listed(atom)).unwrap())
        .collect();
    assert_eq!(labels, ["1936", "1937", "1938", "1939", "1940+"]);
    assert_eq!(levels.labeled("1937"), Some(AtomId::Listed(1)));
    assert_eq!(levels.labeled("1935"), None);
}

#[test]
fn transforms_hide_levels_of_other_kinds() {
    let values = RawLevels::Values(listed(&[(Value::Int(50), "fifty")]));
    let values = Levels::check(values, Contents::Of(ColumnKind::Int)).unwrap();
    let off_bands = edges(ints([7, 13]), ColumnKind::Int);
    for levels in [values, codes(ColumnKind::Text), Levels::Truth, off_bands] {
        for transform in [YEAR, FIVE, TEN, Transform::Pseudonym] {
            assert_eq!(levels.under(transform, None), Some(Levels::None), "{transform}");
        }
        for transform in [Transform::Clear, Transform::Generalized(Generalization::Levels)] {
            assert_eq!(levels.under(transform, None), Some(levels.clone()), "{transform}");
        }
        assert_eq!(levels.under(Transform::Removed, None), None);
    }
    let days = edges(vec![Value::Date(day("2020-01-01"))], ColumnKind::Date);
    assert_eq!(days.under(TEN, None), Some(Levels::None));
    assert_eq!(days.under(YEAR, Some(2020)), Some(Levels::None));
    assert_ne!(days.under(YEAR, Some(2019)), Some(Levels::None));
}
