//! The rules of a clinical collection, from which tests change what they are about.

use std::collections::BTreeMap;

use super::*;
use crate::schema::ColumnClass;

/// People, their visits and diagnoses, notes that lead to people through a visit or directly, and a list of codes.
pub(super) fn clinical() -> RawCollectionRules {
    let mut raw = RawCollectionRules::default();
    raw.datasets
        .insert(dataset("person"), with_kind(keyed("person_id", true)));
    raw.datasets
        .insert(dataset("visit"), with_kind(keyed("person_id", false)));
    raw.datasets
        .insert(dataset("condition"), with_kind(keyed("person_id", false)));
    for reference in ["concept", "ancestor"] {
        raw.datasets
            .insert(dataset(reference), with_kind(DatasetKind::Reference));
    }
    let links = [("visit_id", "visit", "visit_id"), ("person_ref", "person", "person_id")];
    let links = links.map(|(from, to, key)| KeyLink {
        column: column(from),
        to: dataset(to),
        key: column(key),
    });
    let through = OwnerLinks::new(links.to_vec()).unwrap();
    raw.datasets
        .insert(dataset("note"), with_kind(DatasetKind::Owned { through }));
    of(&mut raw, "condition").event_date = Some(column("begun"));
    rules_of(&mut raw, "person", "person_id").class = Some(ColumnClass::DirectIdentifier);
    rules_of(&mut raw, "person", "born").levels = RawLevels::Edges {
        edges: ints([1950, 1955, 1960]),
        levels: BTreeMap::from([(level("ten"), ints([1950, 1960]))]),
    };
    rules_of(&mut raw, "person", "sex").levels = RawLevels::Values(listed(&[(Value::Int(8507), "male")]));
    rules_of(&mut raw, "person", "weight").measure = range(20.0, 200.0);
    rules_of(&mut raw, "person", "weight").unit = Some("kg".parse().unwrap());
    rules_of(&mut raw, "visit", "visit_id").role = ColumnRole::Key;
    rules_of(&mut raw, "condition", "visit_id").role = link("visit", "visit_id");
    rules_of(&mut raw, "condition", "code").levels = code_levels("above");
    rules_of(&mut raw, "concept", "code").role = ColumnRole::Key;
    raw
}

pub(super) fn known() -> KnownColumns {
    use ColumnKind::{Date, Float, Int, Text, Timestamp};
    let mut visit = columns(&[
        ("visit_id", Int),
        ("person_id", Int),
        ("previous", Int),
        ("started", Timestamp),
    ]);
    visit.insert(column("empty"), Contents::Empty);
    KnownColumns::new([
        (
            dataset("person"),
            columns(&[("person_id", Int), ("born", Int), ("sex", Int), ("weight", Float)]),
        ),
        (dataset("visit"), visit),
        (
            dataset("condition"),
            columns(&[
                ("condition_id", Int),
                ("person_id", Int),
                ("visit_id", Int),
                ("code", Text),
                ("begun", Date),
            ]),
        ),
        (dataset("note"), columns(&[("visit_id", Int), ("person_ref", Int)])),
        (dataset("concept"), columns(&[("code", Text), ("name", Text)])),
        (
            dataset("ancestor"),
            columns(&[("above", Text), ("below", Text), ("level", Int)]),
        ),
    ])
}

pub(super) fn columns(kinds: &[(&str, ColumnKind)]) -> BTreeMap<ColumnName, Contents> {
    kinds
        .iter()
        .map(|(name, kind)| (column(name), Contents::Of(*kind)))
        .collect()
}

pub(super) fn with_kind(kind: DatasetKind) -> RawDatasetRules {
    RawDatasetRules {
        kind,
        ..RawDatasetRules::default()
    }
}

pub(super) fn keyed(subject: &str, unique: bool) -> DatasetKind {
    DatasetKind::Keyed {
        subject: column(subject),
        unique,
    }
}

pub(super) fn link(to: &str, key: &str) -> ColumnRole {
    ColumnRole::Link {
        to: dataset(to),
        key: column(key),
    }
}

pub(super) fn raw_edges(edges: Vec<Value>) -> RawLevels {
    RawLevels::Edges {
        edges,
        levels: BTreeMap::new(),
    }
}

pub(super) fn code_levels(ancestor: &str) -> RawLevels {
    RawLevels::Codes {
        hierarchy: Some(Hierarchy {
            dataset: dataset("ancestor"),
            ancestor: column(ancestor),
            descendant: column("below"),
            groups: None,
        }),
        names: Some(CodeNames {
            dataset: dataset("concept"),
            code: column("code"),
            name: column("name"),
        }),
        levels: BTreeMap::from([(level("heart"), listed(&[(text("I21"), "infarction")]))]),
    }
}

pub(super) fn range(low: f64, high: f64) -> Option<RawRange> {
    Some(RawRange { low, high, step: None })
}

pub(super) fn of<'a>(raw: &'a mut RawCollectionRules, name: &str) -> &'a mut RawDatasetRules {
    raw.datasets.get_mut(&dataset(name)).unwrap()
}

pub(super) fn rules_of<'a>(raw: &'a mut RawCollectionRules, name: &str, of_column: &str) -> &'a mut RawColumnRules {
    of(raw, name).columns.entry(column(of_column)).or_default()
}
