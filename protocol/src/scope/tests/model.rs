//! What a scope admits of a small world, enumerated row by row: all values that it shows, each in every form that follows from it.
//!
//! The model applies the subjects first and the rows of a dataset second, as the data is read.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::*;
use super::generators::{DATASETS, dataset, datasets, subjects};
use super::{base, name};
use crate::ids::{ColumnName, DatasetName};

/// A row of one of [`DATASETS`], with the values of the columns `a` and `b`.
#[derive(Clone, Debug)]
struct Row {
    dataset: DatasetName,
    subject: Option<u8>,
    values: [Option<Value>; 2],
}

/// A row by its number, alone or with a column in one form.
type Shown = (usize, Option<(ColumnName, Transform)>);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// A meet admits exactly what both admit if each subject has one row in the dataset that selects subjects, and never more.
    #[test]
    fn meet_admits_what_both_admit(world in worlds(), a in scopes(), b in scopes()) {
        let both: BTreeSet<Shown> = admitted(&a, &world).intersection(&admitted(&b, &world)).cloned().collect();
        match a.meet_parts(&b) {
            Ok(met) => {
                let met = admitted(&met, &world);
                prop_assert!(met.is_subset(&both), "more than both");
                if !selects_twice(&a, &b) || is_unique(&world, &dataset("condition")) {
                    prop_assert_eq!(met, both);
                }
            }
            // No single filter expresses two on different datasets.
            Err(Disjoint { part: Part::Subjects }) => prop_assert!(selects_twice(&a, &b)),
            Err(Disjoint { part }) => {
                prop_assert!(matches!(part, Part::Datasets | Part::Rows), "{}", part);
                prop_assert!(both.is_empty(), "{} is in both", both.len());
            }
        }
    }

    #[test]
    fn covered_scope_admits_no_more(world in worlds(), a in scopes(), b in scopes()) {
        for b in [Some(b.clone()), a.meet_parts(&b).ok()].into_iter().flatten() {
            if a.covers(&b) {
                prop_assert!(admitted(&b, &world).is_subset(&admitted(&a, &world)));
            }
        }
    }
}

/// Whether both select subjects.
fn selects_twice(a: &Scope, b: &Scope) -> bool {
    a.subjects != Subjects::Any && b.subjects != Subjects::Any
}

fn is_unique(world: &[Row], dataset: &DatasetName) -> bool {
    let mut seen = BTreeSet::new();
    let mut rows = world.iter().filter(|row| row.dataset == *dataset);
    rows.all(|row| row.subject.is_none_or(|subject| seen.insert(subject)))
}

fn admitted(scope: &Scope, world: &[Row]) -> BTreeSet<Shown> {
    let selected: Option<BTreeSet<u8>> = match &scope.subjects {
        Subjects::Any => None,
        Subjects::Only(filter) => {
            let rows = world.iter().filter(|row| row.dataset == *filter.dataset());
            let matching = rows.filter(|row| satisfies(row, filter.rows()));
            Some(matching.filter_map(|row| row.subject).collect())
        }
    };
    let mut shown = BTreeSet::new();
    for (number, row) in world.iter().enumerate() {
        let is_selected = selected
            .as_ref()
            .is_none_or(|selected| row.subject.is_some_and(|subject| selected.contains(&subject)));
        let Some((_, part)) = scope.datasets.iter().find(|(name, _)| **name == row.dataset) else {
            continue;
        };
        if is_selected && satisfies(row, &part.rows) {
            shown.insert((number, None));
            for (column, transform) in part.columns.iter() {
                shown.extend(
                    forms(transform)
                        .into_iter()
                        .map(|form| (number, Some((column.clone(), form)))),
                );
            }
        }
    }
    shown
}

fn satisfies(row: &Row, rows: &Rows) -> bool {
    rows.constraints().all(|(column, constraint)| {
        let value = if *column == name("a") {
            &row.values[0]
        } else {
            &row.values[1]
        };
        constraint.admits(value.as_ref())
    })
}

/// The forms that follow from a column in one form.
fn forms(transform: Transform) -> Vec<Transform> {
    let band = |width| Transform::Generalized(Generalization::AgeBand(width));
    let year = Transform::Generalized(Generalization::Year);
    let levels = Transform::Generalized(Generalization::Levels);
    match transform {
        Transform::Clear => vec![
            Transform::Clear,
            year,
            levels,
            band(BandWidth::Five),
            band(BandWidth::Ten),
            Transform::Pseudonym,
        ],
        Transform::Generalized(Generalization::AgeBand(BandWidth::Five)) => {
            vec![band(BandWidth::Five), band(BandWidth::Ten)]
        }
        Transform::Generalized(_) | Transform::Pseudonym => vec![transform],
        Transform::Removed => vec![],
    }
}

/// Up to a dozen rows of up to three subjects, and some without one. Each subject has at most one row among the persons.
fn worlds() -> impl Strategy<Value = Vec<Row>> {
    let value = || proptest::option::of((0_i64..7).prop_map(Value::Int));
    let row = (
        proptest::sample::select(DATASETS.map(dataset).to_vec()),
        proptest::option::weighted(0.9, 0_u8..3),
        [value(), value()],
    );
    let row = row.prop_map(|(dataset, subject, values)| Row {
        dataset,
        subject,
        values,
    });
    proptest::collection::vec(row, 0..12).prop_map(|rows| {
        let mut seen = BTreeSet::new();
        let is_first =
            |row: &Row| row.dataset.as_str() != "person" || row.subject.is_none_or(|subject| seen.insert(subject));
        rows.into_iter().filter(is_first).collect()
    })
}

/// Scopes that differ in what they admit only.
fn scopes() -> impl Strategy<Value = Scope> {
    (datasets(), subjects()).prop_map(|(datasets, subjects)| Scope {
        datasets,
        subjects,
        ..base()
    })
}
