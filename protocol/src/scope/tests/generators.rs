//! Random scopes, small enough that they often overlap.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::*;
use super::{actor, country, name, range};
use crate::ids::{ColumnName, DatasetName};
use crate::time::Timestamp;

/// The datasets of random scopes: one has the name of their collection.
pub(super) const DATASETS: [&str; 3] = ["condition", "heart", "person"];

pub(super) fn dataset(text: &str) -> DatasetName {
    DatasetName::new(text).unwrap()
}

pub(super) fn world() -> Vec<Option<Value>> {
    let ints = (-1..8).map(|n| Some(Value::Int(n)));
    ints.chain([
        None,
        Some(Value::Text("a".into())),
        Some(Value::Float(Finite::new(2.5).unwrap())),
    ])
    .collect()
}

pub(super) fn constraints() -> impl Strategy<Value = Constraint> {
    let value = (0_i64..7).prop_map(Value::Int);
    let end = proptest::option::of((value.clone(), any::<bool>()));
    let values = prop_oneof![
        Just(Values::Any),
        proptest::collection::btree_set(value, 0..4).prop_map(Values::Set),
        Just(Values::Set(BTreeSet::from([Value::Text("a".into())]))),
        (end.clone(), end).prop_map(|(low, high)| range(low, high)),
    ];
    (values, any::<bool>()).prop_filter_map("satisfiable", |(values, null)| Constraint::new(values, null).ok())
}

fn columns() -> impl Strategy<Value = ColumnName> {
    proptest::sample::select(vec![name("a"), name("b")])
}

fn transforms() -> impl Strategy<Value = Transform> {
    let band = |width| Transform::Generalized(Generalization::AgeBand(width));
    proptest::sample::select(vec![
        Transform::Clear,
        Transform::Generalized(Generalization::Year),
        Transform::Generalized(Generalization::Levels),
        band(BandWidth::Five),
        band(BandWidth::Ten),
        Transform::Pseudonym,
        Transform::Removed,
    ])
}

fn rows() -> impl Strategy<Value = Rows> {
    proptest::collection::btree_map(columns(), constraints(), 0..3)
        .prop_map(|rows| Rows::new(rows.into_iter().collect::<BTreeMap<_, _>>()).unwrap())
}

pub(super) fn datasets() -> impl Strategy<Value = Datasets> {
    let scope = (proptest::collection::btree_map(columns(), transforms(), 0..3), rows());
    let scope = scope.prop_map(|(columns, rows)| DatasetScope {
        columns: Columns::new(columns).unwrap(),
        rows,
    });
    let names = proptest::sample::select(DATASETS.map(dataset).to_vec());
    proptest::collection::btree_map(names, scope, 1..4).prop_map(|datasets| Datasets::new(datasets).unwrap())
}

pub(super) fn subjects() -> impl Strategy<Value = Subjects> {
    let filter = (proptest::sample::select(vec!["person", "condition"]), rows())
        .prop_filter_map("a condition", |(of, rows)| SubjectFilter::new(dataset(of), rows).ok());
    prop_oneof![Just(Subjects::Any), filter.prop_map(Subjects::Only)]
}

pub(super) fn protections() -> impl Strategy<Value = Protection> {
    let noise = (1_u16..17, 2_u8..21, 1_u8..11);
    let noise = noise.prop_filter_map("possible", |(variance, max, round)| {
        Noise::new(variance, max, round).ok()
    });
    let loss = (1_u64..4, 1_u64..6, 6_u8..9).prop_filter_map("possible", |(query, total, delta)| {
        let delta = DeltaExponent::new(delta).unwrap();
        Loss::new(MicroRho::new(query).unwrap(), MicroRho::new(total).unwrap(), delta).ok()
    });
    let figures = proptest::sample::select(vec![1_u8, 2, 8, 32, 64]);
    let for_answers = figures.prop_map(|answers| Noise::for_answers(answers).unwrap());
    let names = proptest::sample::select(ProtectionName::ALL.to_vec());
    prop_oneof![
        Just(Protection::Exact),
        noise.prop_map(Protection::Perturbed),
        for_answers.prop_map(Protection::Perturbed),
        names.prop_map(ProtectionName::widest),
        loss.prop_map(Protection::Private),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = || proptest::option::of(1_u32..4);
    let all = (
        proptest::option::of(1_u64..4),
        limit(),
        limit(),
        limit(),
        limit(),
        5_u32..8,
    );
    all.prop_map(
        |(max_rows, max_queries_per_day, per_person_per_day, max_cells, distinctions, min_cell)| Limits {
            max_rows,
            max_queries_per_day,
            per_person_per_day,
            max_cells,
            distinctions,
            min_cell,
        },
    )
}

pub(super) fn scopes() -> impl Strategy<Value = Scope> {
    let tier = proptest::sample::select(vec![Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records]);
    let purposes = proptest::collection::btree_set(
        proptest::sample::select(vec![
            Purpose::GeneralResearch,
            Purpose::HealthResearch,
            "disease:MONDO:0005267".parse().unwrap(),
            Purpose::ClinicalCare,
        ]),
        1..4,
    );
    let people = prop_oneof![
        Just(People::Any),
        proptest::collection::btree_set(proptest::sample::select(vec![actor("ann"), actor("bob")]), 1..3)
            .prop_map(People::Only),
    ];
    let places = prop_oneof![
        Just(Places::Any),
        proptest::collection::btree_set(proptest::sample::select(vec![country("HU"), country("CH")]), 1..3)
            .prop_map(Places::Only),
    ];
    let window = (0_i64..4, 1_i64..4);
    let answers = (tier, protections(), subjects(), datasets());
    (answers, purposes, people, places, limits(), window).prop_map(
        |((tier, protection, subjects, datasets), purposes, people, places, limits, (from, length))| Scope {
            collection: "budapest/heart".parse().unwrap(),
            tier,
            protection,
            subjects,
            datasets,
            purposes: Purposes::new(purposes).unwrap(),
            people,
            places,
            limits,
            window: Window::new(Timestamp::from_millis(from), Timestamp::from_millis(from + length)).unwrap(),
        },
    )
}
