//! An offer stays within what the policy allows, with any options of the steward.

use concordat_protocol::scope::{Constraint, Places, Purpose, Purposes, Subjects, Value, Values};
use concordat_protocol::{
    ids::SegmentName,
    schema::{ColumnClass, ColumnKind},
};

use super::*;
use crate::negotiation::NegotiationError;
use concordat_policy::{ColumnFacts, DatasetFacts};

const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY_S: i64 = 86_400;

fn name(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn zurich() -> InstitutionId {
    InstitutionId::new("zurich").unwrap()
}

fn facts() -> CollectionFacts {
    use ColumnClass::{DirectIdentifier, Ordinary, QuasiIdentifier};
    let columns = [
        ("mrn", DirectIdentifier, ColumnKind::Text),
        ("age", QuasiIdentifier, ColumnKind::Int),
        ("visit", QuasiIdentifier, ColumnKind::Date),
        ("chol", Ordinary, ColumnKind::Float),
        ("sex", Ordinary, ColumnKind::Int),
    ];
    let column = |(column, class, kind)| ColumnFacts::new(name(column), Some(class), kind);
    CollectionFacts {
        reference: "budapest.heart".parse().unwrap(),
        segment: SegmentName::new("main").unwrap(),
        published: true,
        datasets: vec![DatasetFacts {
            name: "heart".parse().unwrap(),
            columns: columns.into_iter().map(column).collect(),
        }],
        release: concordat_protocol::release::ReleaseRules::default(),
    }
}

/// What the policy allows of a request for women: age bands, years, pseudonyms, and the other columns in clear.
fn allowed() -> Scope {
    let bands = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));
    let columns = [
        ("mrn", Transform::Pseudonym),
        ("age", bands),
        ("visit", Transform::Generalized(Generalization::Year)),
        ("chol", Transform::Clear),
        ("sex", Transform::Clear),
    ];
    let women = Constraint::new(Values::Set([Value::Int(0)].into()), false).unwrap();
    Scope {
        collection: facts().reference,
        tier: Tier::Aggregate,
        protection: Protection::Exact,
        subjects: Subjects::Any,
        datasets: Datasets::one(
            "heart".parse().unwrap(),
            Columns::new(columns.map(|(column, transform)| (name(column), transform))).unwrap(),
            Rows::new(BTreeMap::from([(name("sex"), women)])).unwrap(),
        ),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits {
            max_rows: Some(1000),
            max_queries_per_day: Some(100),
            max_cells: Some(500),
            distinctions: Some(512),
            min_cell: 10,
            ..Limits::WIDEST
        },
        window: Window::new(NOON, NOON.plus_seconds(100 * DAY_S)).unwrap(),
    }
}

fn restriction(mut json: serde_json::Value) -> Restriction {
    let condition = json.as_object_mut().unwrap().remove("where");
    let condition = condition.map(|text| RowCondition::parse(text.as_str().unwrap()).unwrap());
    Restriction {
        condition,
        ..serde_json::from_value(json).unwrap()
    }
}

fn within(json: serde_json::Value) -> Result<Scope, NegotiationError> {
    Ok(restriction(json).within(&allowed(), &zurich(), &facts())?)
}

#[test]
fn each_option_narrows_its_part_and_no_other() {
    let cases = [
        (serde_json::json!({ "tier": "count" }), "count"),
        (serde_json::json!({ "protection": "private" }), "private"),
        (serde_json::json!({ "columns": ["age", "chol"] }), "sex removed"),
        (
            serde_json::json!({ "where": "chol >= 200" }),
            "chol >= 200.0 AND sex = 0",
        ),
        (serde_json::json!({ "until": "2027-02-01" }), "2027-02-02"),
        (serde_json::json!({ "people": ["regula@zurich"] }), "regula@zurich"),
        (serde_json::json!({ "limits": { "min_cell": 20 } }), "20 subjects"),
        (serde_json::json!({ "limits": { "max_rows": 10 } }), "10 rows"),
        (serde_json::json!({ "limits": { "queries_per_day": 3 } }), "3 queries"),
        (serde_json::json!({ "limits": { "max_cells": 40 } }), "40 cells"),
        (serde_json::json!({ "limits": { "distinctions": 7 } }), "7 distinctions"),
        (serde_json::json!({ "transforms": { "chol": "removed" } }), "removed"),
        (
            serde_json::json!({ "transforms": { "chol": "pseudonym" } }),
            "pseudonym",
        ),
    ];
    for (options, expected) in cases {
        let offered = within(options.clone()).unwrap();
        let differences = allowed().differences(&offered);
        let parts: BTreeSet<_> = differences.iter().map(|difference| difference.part).collect();
        assert!(
            parts.len() == 1 && allowed().covers(&offered),
            "{options}: {differences:?}"
        );
        let shown = format!("{differences:?} {}", offered.only().unwrap().1.columns);
        assert!(shown.contains(expected), "{options}: {shown}");
    }
    assert_eq!(within(serde_json::json!({})).unwrap(), allowed());
}

#[test]
fn offer_protection_is_never_weaker_than_that_of_the_policy() {
    let allowed = Scope {
        protection: Protection::Perturbed(Noise::default()),
        ..allowed()
    };
    let within = |wanted: &str| {
        let restriction = restriction(serde_json::json!({ "protection": wanted }));
        restriction.within(&allowed, &zurich(), &facts())
    };
    let Err(NarrowError::Exceeds { reasons }) = within("exact") else {
        panic!("exact figures are offered")
    };
    assert!(reasons[0].text.contains("`perturbed`"), "{reasons:?}");
    for wanted in ["perturbed", "private"] {
        assert_eq!(within(wanted).unwrap().protection.name().as_str(), wanted);
    }
}

/// Fewer figures than the policy set states, with the same noise: more of them, or less noise, would be beyond it.
#[test]
fn offer_has_at_most_the_figures_with_noise_of_the_policy() {
    let noise = |answers| Noise::for_answers(answers).unwrap();
    let within = |known: Protection, options: serde_json::Value| {
        let allowed = Scope {
            protection: known,
            ..allowed()
        };
        restriction(options).within(&allowed, &zurich(), &facts())
    };
    let counted = |figures: u8| serde_json::json!({ "limits": { "figures_with_noise": figures } });
    let perturbed = Protection::Perturbed(noise(32));
    for figures in [1, 8, 32] {
        let offered = within(perturbed, counted(figures)).unwrap().protection;
        let Protection::Perturbed(offered) = offered else {
            panic!("{offered}")
        };
        let parts = (offered.variance(), offered.max(), offered.round(), offered.answers());
        assert_eq!(parts, (544, noise(32).max(), noise(32).round(), Some(figures)));
    }
    let Err(NarrowError::Exceeds { reasons }) = within(perturbed, counted(33)) else {
        panic!("more figures are offered than the policy allows")
    };
    assert!(
        reasons[0].text.contains("`33` exceeds") && reasons[0].text.contains("`32`"),
        "{reasons:?}"
    );
    let private = ProtectionName::Private.widest();
    assert!(matches!(within(private, counted(8)), Err(NarrowError::Exceeds { .. })));
    // The policy decides about the noise of what it would offer as exact.
    let exact = within(Protection::Exact, counted(8)).unwrap().protection;
    assert_eq!(exact, Protection::Perturbed(noise(8)));
    for other in ["exact", "private"] {
        let options = serde_json::json!({ "protection": other, "limits": { "figures_with_noise": 8 } });
        let refused = within(Protection::Exact, options);
        assert!(
            matches!(
                refused,
                Err(NarrowError::Invalid(RestrictionError::FiguresWithNoise { .. }))
            ),
            "{other}"
        );
    }
}

/// What the policy offers in the end has to be what the steward stated.
#[test]
fn restriction_is_of_its_protection_and_number_only() {
    let noise = |answers| Protection::Perturbed(Noise::for_answers(answers).unwrap());
    let eight = restriction(serde_json::json!({ "limits": { "figures_with_noise": 8 } }));
    let private = ProtectionName::Private.widest();
    for (protection, expected) in [
        (noise(8), true),
        (noise(8).meet(&noise(32)), true),
        (noise(7), false),
        (noise(32), false),
        (ProtectionName::Perturbed.widest(), false),
        (private, false),
        (Protection::Exact, false),
    ] {
        assert_eq!(eight.is_of(&protection), expected, "{protection}");
    }
    let named = restriction(serde_json::json!({ "protection": "private" }));
    assert!(named.is_of(&private) && !named.is_of(&noise(8)));
    assert!(Restriction::default().is_of(&Protection::Exact));
}

#[test]
fn an_option_that_widens_is_refused_with_what_is_allowed() {
    let cases = [
        (serde_json::json!({ "tier": "records" }), "`aggregate`"),
        (serde_json::json!({ "columns": ["age", "secret"] }), "secret"),
        (serde_json::json!({ "until": "2030-01-01" }), "2027-04-25"),
        (serde_json::json!({ "people": ["imre@budapest"] }), "zurich"),
        (serde_json::json!({ "limits": { "min_cell": 9 } }), "`10`"),
        (serde_json::json!({ "limits": { "max_rows": 1001 } }), "`1000`"),
        (serde_json::json!({ "limits": { "queries_per_day": 101 } }), "`100`"),
        (serde_json::json!({ "limits": { "max_cells": 501 } }), "`500`"),
        (serde_json::json!({ "limits": { "distinctions": 513 } }), "`512`"),
        (serde_json::json!({ "transforms": { "age": "clear" } }), "10 years"),
        (serde_json::json!({ "transforms": { "age": "band:5" } }), "10 years"),
        (serde_json::json!({ "transforms": { "mrn": "clear" } }), "`pseudonym`"),
        (
            serde_json::json!({ "transforms": { "chol": "band:10" } }),
            "of that kind",
        ),
        (
            serde_json::json!({ "transforms": { "secret": "pseudonym" } }),
            "`removed`",
        ),
    ];
    for (options, allowed) in cases {
        match within(options.clone()) {
            Err(NegotiationError::ExceedsPolicy { reasons }) => {
                assert!(
                    reasons.iter().any(|reason| reason.text.contains(allowed)),
                    "{options}: {reasons:?}"
                );
            }
            other => panic!("{options}: {other:?}"),
        }
    }
    for unreadable in [
        serde_json::json!({ "tier": "everything" }),
        serde_json::json!({ "limits": { "days": 3 } }),
        serde_json::json!({ "limits": { "figures_with_noise": 0 } }),
        serde_json::json!({ "limits": { "figures_with_noise": 65 } }),
        serde_json::json!({ "transforms": { "age": "band:7" } }),
        serde_json::json!({ "wider": true }),
    ] {
        assert!(serde_json::from_value::<Restriction>(unreadable).is_err());
    }
    assert!(matches!(
        within(serde_json::json!({ "where": "height >= 40 AND sex = 1" })),
        Err(NegotiationError::Restriction(_))
    ));
    assert!(matches!(
        within(serde_json::json!({ "where": "sex = 1" })),
        Err(NegotiationError::NothingLeft(_))
    ));
}

/// Persons and their visits, both with the pseudonym of the person.
fn clinic() -> (Scope, CollectionFacts) {
    let dataset = |dataset: &str, columns: &[&str]| DatasetFacts {
        name: dataset.parse().unwrap(),
        columns: columns
            .iter()
            .map(|column| ColumnFacts::new(name(column), Some(ColumnClass::Ordinary), ColumnKind::Int))
            .collect(),
    };
    let facts = CollectionFacts {
        reference: "budapest.clinic".parse().unwrap(),
        datasets: vec![
            dataset("person", &["id", "born", "sex"]),
            dataset("visit", &["id", "sex", "ward"]),
        ],
        ..facts()
    };
    let scopes = facts.datasets.iter().map(|dataset| {
        let columns = dataset.columns.iter().map(|column| {
            let is_key = column.name.as_str() == "id";
            let transform = if is_key { Transform::Pseudonym } else { Transform::Clear };
            (column.name.clone(), transform)
        });
        let columns = Columns::new(columns).unwrap();
        (
            dataset.name.clone(),
            DatasetScope {
                columns,
                rows: Rows::all(),
            },
        )
    });
    let scope = Scope {
        collection: facts.reference.clone(),
        tier: Tier::Records,
        datasets: Datasets::new(scopes.collect::<Vec<_>>()).unwrap(),
        ..allowed()
    };
    (scope, facts)
}

fn within_clinic(json: serde_json::Value) -> Result<Scope, NegotiationError> {
    let (allowed, facts) = clinic();
    let narrowed = restriction(json).within(&allowed, &zurich(), &facts)?;
    assert!(allowed.covers(&narrowed));
    Ok(narrowed)
}

#[test]
fn options_over_datasets_narrow_those_they_name() {
    for (options, expected) in [
        (serde_json::json!({ "datasets": ["person"] }), &["visit left out"][..]),
        (
            serde_json::json!({ "columns": ["person.sex", "visit.id"] }),
            &[
                "person.born removed",
                "person.id removed",
                "visit.sex removed",
                "visit.ward removed",
            ],
        ),
        // Without a dataset, an option is about each one that shows the column.
        (
            serde_json::json!({ "columns": ["id", "born"] }),
            &["person.sex removed", "visit.sex removed", "visit.ward removed"],
        ),
        (
            serde_json::json!({ "columns": ["born"] }),
            &["visit left out", "person.id removed", "person.sex removed"],
        ),
        (
            serde_json::json!({ "transforms": { "sex": "pseudonym" } }),
            &["person.sex pseudonym", "visit.sex pseudonym"],
        ),
        (
            serde_json::json!({ "transforms": { "visit.sex": "removed" } }),
            &["visit.sex removed"],
        ),
        (
            serde_json::json!({ "where": "ward = 3 AND person.sex = 1" }),
            &["person: sex = 1", "visit: ward = 3"],
        ),
    ] {
        let narrowed = within_clinic(options.clone()).unwrap();
        let differences = clinic().0.differences(&narrowed);
        let offered: Vec<&str> = differences
            .iter()
            .map(|difference| difference.offered.as_str())
            .collect();
        assert_eq!(offered, expected, "{options}");
    }
}

#[test]
fn options_over_datasets_that_widen_are_refused() {
    for (options, expected) in [
        (serde_json::json!({ "datasets": ["note"] }), "`note` exceeds"),
        (serde_json::json!({ "columns": ["note.text"] }), "note.text: "),
        (serde_json::json!({ "columns": ["visit.born"] }), "visit.born: "),
        (
            serde_json::json!({ "datasets": ["person"], "columns": ["ward"] }),
            "ward: ",
        ),
        (
            serde_json::json!({ "transforms": { "person.id": "clear" } }),
            "person.id: `clear` exceeds",
        ),
        (
            serde_json::json!({ "transforms": { "id": "clear" } }),
            "id: `clear` exceeds",
        ),
        (
            serde_json::json!({ "transforms": { "note.text": "clear" } }),
            "note.text: `clear` exceeds",
        ),
    ] {
        match within_clinic(options.clone()) {
            Err(NegotiationError::ExceedsPolicy { reasons }) => {
                assert!(
                    reasons.iter().any(|reason| reason.text.contains(expected)),
                    "{options}: {reasons:?}"
                );
            }
            other => panic!("{options}: {other:?}"),
        }
    }
    let ambiguous = within_clinic(serde_json::json!({ "where": "sex = 1" }));
    assert!(
        matches!(ambiguous, Err(NegotiationError::Restriction(_))),
        "{ambiguous:?}"
    );
}

/// A dataset does not disappear from an offer because two conditions contradict each other.
#[test]
fn option_that_leaves_no_row_of_a_dataset_is_refused() {
    let (allowed, facts) = clinic();
    let narrowed = restriction(serde_json::json!({ "where": "visit.sex = 1" }));
    let women = narrowed.within(&allowed, &zurich(), &facts).unwrap();
    let men = restriction(serde_json::json!({ "where": "visit.sex = 2" }));
    let refused = men.within(&women, &zurich(), &facts).unwrap_err();
    assert_eq!(refused, NarrowError::NothingLeft(Disjoint { part: Part::Rows }));
}

proptest::proptest! {
    /// Any combination of options gives an offer within the policy's offer, or no offer.
    #[test]
    fn no_mixture_of_options_leaves_the_policys_offer(
        tier in proptest::option::of(0..4usize),
        protection in proptest::option::of(0..3usize),
        columns in proptest::option::of(proptest::collection::btree_set(0..6usize, 1..6)),
        transforms in proptest::collection::btree_map(0..6usize, 0..6usize, 0..4),
        limits in (proptest::option::of(0..2000u64), proptest::option::of(0..200u32), proptest::option::of(1..30u32)),
        figures in (proptest::option::of(1..600u32), proptest::option::of(1..600u32), proptest::option::of(1..65u8)),
        known in proptest::option::of(1..65u8),
        days in proptest::option::of(-10..200i64),
        condition in proptest::option::of(0..4usize),
    ) {
        let columns_of = ["mrn", "age", "visit", "chol", "sex", "secret"];
        let transform_names = ["clear", "year", "band:5", "band:10", "pseudonym", "removed"];
        let restriction = Restriction {
            tier: tier.map(|tier| [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records][tier]),
            protection: protection.map(|protection| ProtectionName::ALL[protection]),
            columns: columns.map(|columns| columns.into_iter().map(|column| name(columns_of[column]).into()).collect()),
            condition: condition.map(|text| RowCondition::parse(["chol > 200", "sex = 0", "sex = 1", "age >= 40"][text]).unwrap()),
            until: days.map(|days| NOON.plus_seconds(days * DAY_S).to_string()),
            people: None,
            datasets: None,
            limits: RestrictedLimits {
                max_rows: limits.0,
                queries_per_day: limits.1,
                min_cell: limits.2,
                max_cells: figures.0,
                distinctions: figures.1,
                figures_with_noise: figures.2.map(|figures| FiguresWithNoise::new(figures).unwrap()),
            },
            transforms: transforms
                .into_iter()
                .map(|(column, index)| (name(columns_of[column]).into(), transform_names[index].parse().unwrap()))
                .collect(),
        };
        let known = known.map_or(Protection::Exact, |known| Protection::Perturbed(Noise::for_answers(known).unwrap()));
        let allowed = Scope { protection: known, ..allowed() };
        if let Ok(offered) = restriction.within(&allowed, &zurich(), &facts()) {
            proptest::prop_assert!(allowed.covers(&offered));
            proptest::prop_assert!(restriction.is_of(&offered.protection));
            proptest::prop_assert!(restriction.tier.is_none_or(|tier| offered.tier == tier));
            proptest::prop_assert!(restriction.protection.is_none_or(|wanted| offered.protection.name() == wanted));
            for (column, transform) in offered.only().unwrap().1.columns.iter() {
                let column = SelectedColumn::from(column.clone());
                proptest::prop_assert!(restriction.columns.as_ref().is_none_or(|columns| columns.contains(&column)));
                proptest::prop_assert!(restriction.transforms.get(&column).is_none_or(|wanted| wanted.0.covers(transform)));
            }
        }
    }
}

proptest::proptest! {
    /// Any combination of options over datasets gives an offer within the policy's offer and within each option, or no offer.
    #[test]
    fn no_mixture_of_options_over_datasets_widens_an_offer(
        datasets in proptest::option::of(proptest::collection::btree_set(0..3usize, 1..3)),
        columns in proptest::option::of(proptest::collection::btree_set(0..7usize, 1..5)),
        transforms in proptest::collection::btree_map(0..7usize, 0..3usize, 0..4),
        condition in proptest::option::of(0..4usize),
    ) {
        let names = ["person", "visit", "note"];
        let selections = ["id", "sex", "born", "person.sex", "visit.sex", "visit.ward", "note.text"];
        let transform_names = ["clear", "pseudonym", "removed"];
        let conditions = ["ward = 3", "person.sex = 1", "visit.sex = 2 AND born >= 1950", "sex = 1"];
        let selection = |index: usize| -> SelectedColumn { selections[index].parse().unwrap() };
        let restriction = Restriction {
            datasets: datasets.map(|all| all.into_iter().map(|index| names[index].parse().unwrap()).collect()),
            columns: columns.map(|all| all.into_iter().map(selection).collect()),
            condition: condition.map(|index| RowCondition::parse(conditions[index]).unwrap()),
            transforms: transforms
                .into_iter()
                .map(|(column, index)| (selection(column), transform_names[index].parse().unwrap()))
                .collect(),
            ..Restriction::default()
        };
        let (allowed, facts) = clinic();
        if let Ok(offered) = restriction.within(&allowed, &zurich(), &facts) {
            proptest::prop_assert!(allowed.covers(&offered));
            for (dataset, shown) in offered.datasets.iter() {
                proptest::prop_assert!(restriction.datasets.as_ref().is_none_or(|chosen| chosen.contains(dataset)));
                for (column, transform) in shown.columns.iter() {
                    let mut chosen = restriction.columns.iter().flatten();
                    proptest::prop_assert!(
                        restriction.columns.is_none() || chosen.any(|selected| selected.is(dataset, column))
                    );
                    let mut wanted = restriction.transforms.iter().filter(|(selected, _)| selected.is(dataset, column));
                    proptest::prop_assert!(wanted.all(|(_, wanted)| wanted.0.covers(transform)));
                }
            }
        }
    }
}
