//! The lattice laws, checked over small random sets, and the row filters, checked value by value.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::ids::{ActorId, ColumnName, Jurisdiction};
use crate::time::Timestamp;

proptest! {
    #[test]
    fn the_meet_lies_inside_both(a in scopes(), b in scopes()) {
        if let Ok(met) = a.meet(&b) {
            prop_assert!(a.covers(&met) && b.covers(&met));
        }
    }

    #[test]
    fn the_meet_is_the_widest_inside_both(a in scopes(), b in scopes(), c in scopes()) {
        if a.covers(&c) && b.covers(&c) && !hollow(&c) {
            let met = a.meet(&b).expect("both contain `c`");
            prop_assert!(met.covers(&c));
        }
    }

    #[test]
    fn meet_is_idempotent_and_commutative(a in scopes(), b in scopes()) {
        if !hollow(&a) {
            prop_assert_eq!(a.meet(&a).unwrap(), a.clone());
        }
        prop_assert_eq!(a.meet(&b), b.meet(&a));
    }

    #[test]
    fn covers_agrees_with_meet(a in scopes(), b in scopes()) {
        if !hollow(&b) {
            prop_assert_eq!(a.covers(&b), a.meet(&b).is_ok_and(|met| met == b));
        }
    }

    #[test]
    fn a_row_filter_admits_what_both_admit(a in constraints(), b in constraints()) {
        let met = a.meet(&b);
        for value in world() {
            let both = a.admits(value.as_ref()) && b.admits(value.as_ref());
            prop_assert_eq!(met.as_ref().is_some_and(|m| m.admits(value.as_ref())), both, "{:?}", value);
        }
    }

    #[test]
    fn a_scope_survives_the_wire(a in scopes()) {
        let bytes = crate::signed::encode(&a).unwrap();
        prop_assert_eq!(crate::signed::decode::<Scope>(&bytes).unwrap(), a);
    }
}

#[test]
fn values_of_different_kinds_never_meet() {
    let text = Constraint::new(Values::Set([Value::Text("1".into())].into()), false).unwrap();
    let int = Constraint::new(Values::Set([Value::Int(1)].into()), false).unwrap();
    assert!(text.meet(&int).is_none());
}

#[test]
fn one_meaning_has_one_form() {
    let open = Constraint::new(range(Some((Value::Int(39), false)), None), false).unwrap();
    let closed = Constraint::new(range(Some((Value::Int(40), true)), None), false).unwrap();
    assert_eq!(open, closed);
    let single = Constraint::new(range(Some((Value::Int(4), true)), Some((Value::Int(4), true))), false).unwrap();
    assert_eq!(single.values(), &Values::Set([Value::Int(4)].into()));
    assert!(Constraint::new(range(Some((Value::Int(5), true)), Some((Value::Int(4), true))), false).is_err());
}

#[test]
fn unknown_terms_make_a_scope_invalid() {
    assert!("records-and-more".parse::<Tier>().is_err());
    assert!("DUO:9999999".parse::<Purpose>().is_err());
    let mut json = serde_json::to_value(base()).unwrap();
    json["surprise"] = serde_json::json!(true);
    assert!(serde_json::from_value::<Scope>(json).is_err());
    let mut json = serde_json::to_value(base()).unwrap();
    json["columns"]["__concordat_subject"] = serde_json::json!("clear");
    assert!(serde_json::from_value::<Scope>(json).is_err());
}

/// Of two equal keys one implementation would take the first and another the last: both sides would have signed different scopes.
#[test]
fn scope_with_a_key_or_element_twice_is_refused() {
    let rows = Constraint::new(Values::Set([Value::Int(1), Value::Int(2)].into()), false).unwrap();
    let scope = Scope {
        columns: Columns::new([(name("age"), Transform::Clear)]).unwrap(),
        rows: Rows::new([(name("age"), rows)].into()).unwrap(),
        places: Places::only([country("CH"), country("HU")]).unwrap(),
        ..base()
    };
    let bytes = crate::signed::encode(&scope).unwrap();
    assert_eq!(crate::signed::decode::<Scope>(&bytes), Ok(scope));
    let set: &[u8] = b"\x82\xa1\x63int\x01\xa1\x63int\x02";
    let constraint = [b"\x63age\xa2\x66values\xa1\x63set", set, b"\x64null\xf4"].concat();
    for (what, found, forged) in [
        (
            "a column",
            b"\xa1\x63age\x65clear".to_vec(),
            b"\xa2\x63age\x65clear\x63age\x67removed".to_vec(),
        ),
        (
            "a constrained column",
            [b"\x64rows\xa1", constraint.as_slice()].concat(),
            [b"\x64rows\xa2", constraint.as_slice(), &constraint].concat(),
        ),
        ("a value", set.to_vec(), b"\x82\xa1\x63int\x01\xa1\x63int\x01".to_vec()),
        ("a place", b"\x82\x62CH\x62HU".to_vec(), b"\x82\x62CH\x62CH".to_vec()),
        (
            "a place in another order",
            b"\x82\x62CH\x62HU".to_vec(),
            b"\x82\x62HU\x62CH".to_vec(),
        ),
        (
            "a part",
            b"\x64tier\x67records".to_vec(),
            b"\x64tier\x67records\x64tier\x67records".to_vec(),
        ),
    ] {
        let at = bytes.windows(found.len()).position(|window| window == found);
        let at = at.unwrap_or_else(|| panic!("the scope has no {what}"));
        let changed = [&bytes[..at], &forged, &bytes[at + found.len()..]].concat();
        assert!(crate::signed::decode::<Scope>(&changed).is_err(), "{what} twice");
    }
}

/// These texts are compared between institutions when an offer is received ([`Scope::differences`]). A text that changes is another
/// protocol, so a change has to be a change of the golden file.
#[test]
fn scope_texts_are_the_reviewed_ones() {
    let lines: String = scope_texts().iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(lines, include_str!("texts.golden"), "the texts are now\n{lines}");
}

fn scope_texts() -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |what: &str, text: String| lines.push(format!("{what}: {text}"));
    add("collection", base().collection.to_string());
    for tier in [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records] {
        add("tier", tier.to_string());
    }
    let band = |width| Transform::Generalized(Generalization::AgeBand(width));
    for transform in [
        Transform::Clear,
        Transform::Generalized(Generalization::Year),
        band(BandWidth::Five),
        band(BandWidth::Ten),
        Transform::Pseudonym,
        Transform::Removed,
    ] {
        let columns = |transform| Columns::new([(name("age"), transform)]).unwrap();
        let requested = columns(Transform::Clear);
        let offered = columns(transform);
        let difference = Scope {
            columns: requested,
            ..base()
        }
        .differences(&Scope {
            columns: offered,
            ..base()
        });
        let offered = difference.first().map_or("age clear", |difference| &difference.offered);
        add("columns", offered.to_owned());
    }
    add("rows", Rows::all().to_string());
    for (values, null) in row_values() {
        let constraint = Constraint::new(values, null).unwrap();
        add(
            "rows",
            Rows::new([(name("age"), constraint)].into()).unwrap().to_string(),
        );
    }
    let two = ["age", "sex"].map(|column| (name(column), Constraint::new(Values::Any, false).unwrap()));
    add("rows", Rows::new(two.into()).unwrap().to_string());
    for purpose in [
        Purpose::GeneralResearch,
        Purpose::HealthResearch,
        "disease:MONDO:0005267".parse().unwrap(),
        Purpose::MethodsDevelopment,
        Purpose::Ancestry,
        Purpose::ClinicalCare,
    ] {
        add("purposes", Purposes::new([purpose]).unwrap().to_string());
    }
    let several = [Purpose::ClinicalCare, Purpose::Ancestry];
    add("purposes", Purposes::new(several).unwrap().to_string());
    add("people", People::Any.to_string());
    add(
        "people",
        People::only([actor("ann"), actor("bob")]).unwrap().to_string(),
    );
    add("places", Places::Any.to_string());
    add(
        "places",
        Places::only([country("HU"), country("CH")]).unwrap().to_string(),
    );
    for (max_rows, max_queries_per_day) in [(None, None), (Some(1), None), (None, Some(2)), (Some(1), Some(2))] {
        let limits = Limits {
            max_rows,
            max_queries_per_day,
            min_cell: 10,
        };
        add("limits", limits.to_string());
    }
    add("window", base().window.to_string());
    let begin = Timestamp::from_millis(1_800_000_000_001);
    let end = Timestamp::from_millis(1_800_000_000_500);
    add("window", Window::new(begin, end).unwrap().to_string());
    lines
}

/// A constraint of each form, with a value of each kind.
fn row_values() -> Vec<(Values, bool)> {
    let set = |values: &[Value]| Values::Set(values.iter().cloned().collect());
    let float = |number| Value::Float(Finite::new(number).unwrap());
    vec![
        (Values::Any, false),
        (set(&[]), true),
        (set(&[Value::Bool(true)]), false),
        (set(&[Value::Int(1), Value::Int(2)]), true),
        (set(&[Value::Date(20_000)]), false),
        (set(&[Value::Date(i32::MAX)]), false),
        (set(&[Value::Text("O'Neill".into())]), false),
        (set(&[float(0.5), float(2.0), float(1e300)]), false),
        (range(Some((Value::Int(40), true)), None), false),
        (range(None, Some((Value::Int(40), true))), false),
        (range(Some((float(0.5), false)), Some((float(1.5), false))), false),
        (range(Some((float(0.5), true)), Some((float(1.5), true))), true),
    ]
}

#[test]
fn scope_differences_list_each_column() {
    let requested = base();
    let mut offered = base();
    offered.tier = Tier::Aggregate;
    offered.columns = Columns::new([(
        name("age"),
        Transform::Generalized(Generalization::AgeBand(BandWidth::Ten)),
    )])
    .unwrap();
    let differences: Vec<String> = requested
        .differences(&offered)
        .iter()
        .map(|d| format!("{}: {} -> {}", d.part, d.requested, d.offered))
        .collect();
    assert_eq!(
        differences,
        [
            "tier: records -> aggregate",
            "columns: age clear -> age generalized to bands of 10 years",
            "columns: name clear -> name removed",
        ]
    );
}

#[test]
fn scope_window_shorter_by_a_millisecond_is_a_difference() {
    let requested = base();
    let begins = requested.window.not_before();
    let ends = requested.window.not_after();
    for window in [
        Window::new(begins.plus_millis(1), ends),
        Window::new(begins, ends.plus_millis(-1)),
    ] {
        let offered = Scope {
            window: window.unwrap(),
            ..base()
        };
        let parts: Vec<Part> = requested.differences(&offered).iter().map(|d| d.part).collect();
        assert_eq!(parts, [Part::Window]);
    }
}

#[test]
fn purposes_contain_each_other_as_in_the_ontology() {
    let heart: Purpose = "disease:MONDO:0005267".parse().unwrap();
    assert!(Purpose::GeneralResearch.covers(&heart) && Purpose::HealthResearch.covers(&heart));
    assert!(!heart.covers(&Purpose::HealthResearch));
    assert!(!Purpose::GeneralResearch.covers(&Purpose::ClinicalCare));
}

/// Whether a scope shows no column although its tier needs one: no meet ever returns such a scope.
fn hollow(scope: &Scope) -> bool {
    scope.tier >= Tier::Aggregate && scope.columns.is_empty()
}

fn base() -> Scope {
    Scope {
        collection: "budapest.heart".parse().unwrap(),
        tier: Tier::Records,
        columns: Columns::new([(name("age"), Transform::Clear), (name("name"), Transform::Clear)]).unwrap(),
        rows: Rows::all(),
        purposes: Purposes::new([Purpose::HealthResearch]).unwrap(),
        people: People::Any,
        places: Places::Any,
        limits: Limits::default(),
        window: Window::new(Timestamp::from_millis(0), Timestamp::from_millis(1000)).unwrap(),
    }
}

fn name(text: &str) -> ColumnName {
    ColumnName::new(text).unwrap()
}

fn range(low: Option<(Value, bool)>, high: Option<(Value, bool)>) -> Values {
    let bound = |(value, inclusive)| Bound { value, inclusive };
    Values::Range {
        low: low.map(bound),
        high: high.map(bound),
    }
}

fn world() -> Vec<Option<Value>> {
    let ints = (-1..8).map(|n| Some(Value::Int(n)));
    ints.chain([
        None,
        Some(Value::Text("a".into())),
        Some(Value::Float(Finite::new(2.5).unwrap())),
    ])
    .collect()
}

fn constraints() -> impl Strategy<Value = Constraint> {
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

fn transforms() -> impl Strategy<Value = Transform> {
    let band = |width| Transform::Generalized(Generalization::AgeBand(width));
    proptest::sample::select(vec![
        Transform::Clear,
        Transform::Generalized(Generalization::Year),
        band(BandWidth::Five),
        band(BandWidth::Ten),
        Transform::Pseudonym,
        Transform::Removed,
    ])
}

fn scopes() -> impl Strategy<Value = Scope> {
    let tier = proptest::sample::select(vec![Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records]);
    let columns =
        proptest::collection::btree_map(proptest::sample::select(vec![name("a"), name("b")]), transforms(), 0..3);
    let rows = proptest::collection::btree_map(
        proptest::sample::select(vec![name("a"), name("b")]),
        constraints(),
        0..3,
    );
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
    let limits = (proptest::option::of(1_u64..4), proptest::option::of(1_u32..4), 5_u32..8);
    let window = (0_i64..4, 1_i64..4);
    (tier, columns, rows, purposes, people, places, limits, window).prop_map(
        |(tier, columns, rows, purposes, people, places, (max_rows, max_queries_per_day, min_cell), (from, length))| {
            Scope {
                collection: "budapest.heart".parse().unwrap(),
                tier,
                columns: Columns::new(columns).unwrap(),
                rows: Rows::new(rows.into_iter().collect::<BTreeMap<_, _>>()).unwrap(),
                purposes: Purposes::new(purposes).unwrap(),
                people,
                places,
                limits: Limits {
                    max_rows,
                    max_queries_per_day,
                    min_cell,
                },
                window: Window::new(Timestamp::from_millis(from), Timestamp::from_millis(from + length)).unwrap(),
            }
        },
    )
}

fn actor(who: &str) -> ActorId {
    ActorId::new(&format!("{who}@zurich")).unwrap()
}

fn country(code: &str) -> Jurisdiction {
    Jurisdiction::new(code).unwrap()
}
