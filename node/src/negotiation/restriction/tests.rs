//! An offer stays within what the policy allows, with any options of the steward.

use concordat_protocol::scope::{Constraint, Limits, Places, Protection, Purpose, Purposes, Subjects, Value, Values};
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
            min_cell: 10,
            ..Limits::WIDEST
        },
        window: Window::new(NOON, NOON.plus_seconds(100 * DAY_S)).unwrap(),
    }
}

fn restriction(json: serde_json::Value) -> Restriction {
    serde_json::from_value(json).unwrap()
}

fn within(json: serde_json::Value) -> Result<Scope, NegotiationError> {
    Ok(restriction(json).within(&allowed(), &zurich(), &facts())?)
}

#[test]
fn each_option_narrows_its_part_and_no_other() {
    let cases = [
        (serde_json::json!({ "tier": "count" }), "count"),
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
fn an_option_that_widens_is_refused_with_what_is_allowed() {
    let cases = [
        (serde_json::json!({ "tier": "records" }), "`aggregate`"),
        (serde_json::json!({ "columns": ["age", "secret"] }), "secret"),
        (serde_json::json!({ "until": "2030-01-01" }), "2027-04-25"),
        (serde_json::json!({ "people": ["imre@budapest"] }), "zurich"),
        (serde_json::json!({ "limits": { "min_cell": 9 } }), "`10`"),
        (serde_json::json!({ "limits": { "max_rows": 1001 } }), "`1000`"),
        (serde_json::json!({ "limits": { "queries_per_day": 101 } }), "`100`"),
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
        serde_json::json!({ "transforms": { "age": "band:7" } }),
        serde_json::json!({ "wider": true }),
    ] {
        assert!(serde_json::from_value::<Restriction>(unreadable).is_err());
    }
    assert!(matches!(
        within(serde_json::json!({ "where": "age >= 40 OR sex = 1" })),
        Err(NegotiationError::Restriction(_))
    ));
    assert!(matches!(
        within(serde_json::json!({ "where": "sex = 1" })),
        Err(NegotiationError::NothingLeft(_))
    ));
}

proptest::proptest! {
    /// Any combination of options gives an offer within the policy's offer, or no offer.
    #[test]
    fn no_mixture_of_options_leaves_the_policys_offer(
        tier in proptest::option::of(0..4usize),
        columns in proptest::option::of(proptest::collection::btree_set(0..6usize, 1..6)),
        transforms in proptest::collection::btree_map(0..6usize, 0..6usize, 0..4),
        limits in (proptest::option::of(0..2000u64), proptest::option::of(0..200u32), proptest::option::of(1..30u32)),
        days in proptest::option::of(-10..200i64),
        condition in proptest::option::of(0..4usize),
    ) {
        let columns_of = ["mrn", "age", "visit", "chol", "sex", "secret"];
        let transform_names = ["clear", "year", "band:5", "band:10", "pseudonym", "removed"];
        let restriction = Restriction {
            tier: tier.map(|tier| [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records][tier]),
            columns: columns.map(|columns| columns.into_iter().map(|column| name(columns_of[column])).collect()),
            condition: condition.map(|text| ["chol > 200", "sex = 0", "sex = 1", "age >= 40"][text].to_owned()),
            until: days.map(|days| NOON.plus_seconds(days * DAY_S).to_string()),
            people: None,
            limits: RestrictedLimits { max_rows: limits.0, queries_per_day: limits.1, min_cell: limits.2 },
            transforms: transforms
                .into_iter()
                .map(|(column, index)| (name(columns_of[column]), transform_names[index].parse().unwrap()))
                .collect(),
        };
        if let Ok(offered) = restriction.within(&allowed(), &zurich(), &facts()) {
            proptest::prop_assert!(allowed().covers(&offered));
            proptest::prop_assert!(restriction.tier.is_none_or(|tier| offered.tier == tier));
            for (column, transform) in offered.only().unwrap().1.columns.iter() {
                proptest::prop_assert!(restriction.columns.as_ref().is_none_or(|columns| columns.contains(column)));
                proptest::prop_assert!(restriction.transforms.get(column).is_none_or(|wanted| wanted.0.covers(transform)));
            }
        }
    }
}
