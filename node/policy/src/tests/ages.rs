//! Age bands and years of birth are one quasi-identifier: an offer shows one of them.

use std::collections::BTreeMap;

use concordat_protocol::scope::{Bound, Constraint, Generalization, Value, Values};

use super::*;

/// Columns with ages and dates; the steward has declared `index_day` a date of birth.
const TIMES: [(&str, ColumnKind); 6] = [
    ("age", ColumnKind::Int),
    ("AGE_AT_VISIT", ColumnKind::Int),
    ("birth_date", ColumnKind::Date),
    ("dob", ColumnKind::TimestampUtc),
    ("index_day", ColumnKind::Date),
    ("visit", ColumnKind::Date),
];

pub(super) fn facts() -> CollectionFacts {
    let column = |(column, kind)| ColumnFacts::new(name(column), Some(ColumnClass::QuasiIdentifier), kind);
    let mut facts = heart();
    *columns_in(&mut facts) = TIMES.map(column).to_vec();
    facts.release.births.insert(name("index_day"));
    facts
}

fn decide(request: &Scope) -> OfferDecision {
    let consumer = zurich();
    let provider = budapest();
    let facts = facts();
    let input = OfferInput {
        consumer: &consumer,
        provider: &provider,
        collection: Some(&facts),
        request,
        held: &[],
    };
    shipped().offer(&input, NOON)
}

fn offered(request: &Scope) -> Offer {
    match decide(request) {
        OfferDecision::Offer(offer) => *offer,
        OfferDecision::Refused(refusal) => panic!("{:?}", refusal.reasons),
    }
}

fn request_for(columns: &[&str]) -> Scope {
    with_columns(Columns::new(columns.iter().map(|column| (name(column), Transform::Clear))).unwrap())
}

fn is_band(transform: Transform) -> bool {
    matches!(transform, Transform::Generalized(Generalization::AgeBand(_)))
}

#[test]
fn offer_never_shows_both_ages_and_years_of_birth() {
    for chosen in 1u32..(1 << TIMES.len()) {
        let columns: Vec<&str> = (0..TIMES.len())
            .filter(|at| chosen & (1 << at) != 0)
            .map(|at| TIMES[at].0)
            .collect();
        let offer = offered(&request_for(&columns));
        let shown: Vec<&str> = columns_of(&offer.scope).names().map(ColumnName::as_str).collect();
        let ages = columns_of(&offer.scope).iter().any(|(_, transform)| is_band(transform));
        let births = ["birth_date", "dob", "index_day"]
            .iter()
            .any(|birth| shown.contains(birth));
        assert!(!(ages && births), "{columns:?}: {shown:?}");
        // Requested columns other than births are shown. Births are shown if no age was requested.
        for column in &columns {
            let is_birth = ["birth_date", "dob", "index_day"].contains(column);
            assert_eq!(shown.contains(column), !(is_birth && ages), "{columns:?}: {column}");
        }
        for narrowing in &offer.narrowings {
            let removed = narrowing.difference.offered.ends_with("removed");
            assert!(!removed || narrowing.reason.rule == "one-age", "{narrowing:?}");
        }
    }
}

#[test]
fn offer_condition_on_ages_counts_as_an_age() {
    let bound = |value| Bound { value, inclusive: true };
    let values = Values::Range {
        low: Some(bound(Value::Int(40))),
        high: None,
    };
    let grown = Constraint::new(values, false).unwrap();
    let request = Scope {
        datasets: only(
            columns_of(&request_for(&["birth_date", "visit"])).clone(),
            Rows::new(BTreeMap::from([(name("age"), grown)])).unwrap(),
        ),
        ..wide()
    };
    let shown: Vec<String> = columns_of(&offered(&request).scope)
        .names()
        .map(ToString::to_string)
        .collect();
    assert_eq!(shown, ["visit"]);
}

#[test]
fn offer_condition_may_not_cut_through_the_oldest() {
    let before = |year: i32| {
        let day = chrono::NaiveDate::from_ymd_opt(year, 12, 31).unwrap().to_epoch_days();
        let values = Values::Range {
            low: None,
            high: Some(Bound {
                value: Value::Date(day),
                inclusive: true,
            }),
        };
        let rows = Rows::new(BTreeMap::from([(
            name("birth_date"),
            Constraint::new(values, false).unwrap(),
        )]));
        decide(&Scope {
            datasets: only(columns_of(&request_for(&["birth_date"])).clone(), rows.unwrap()),
            ..wide()
        })
    };
    let oldest = wide().window.oldest_year();
    assert_eq!(oldest, 1937, "the requested month ends in 2027");
    for year in 1900..oldest {
        let OfferDecision::Refused(refusal) = before(year) else {
            panic!("{year} cuts through the oldest")
        };
        assert_eq!(rules(&refusal.reasons), ["condition-inside-band"]);
    }
    assert!((oldest..2000).all(|year| matches!(before(year), OfferDecision::Offer(_))));
}
