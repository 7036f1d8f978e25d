//! Requests over several datasets of a collection, and parts of scopes that are not applied.

use std::collections::BTreeMap;

use concordat_protocol::ids::GrantId;
use concordat_protocol::scope::{
    Bound, Constraint, DatasetScope, DeltaExponent, Generalization, Loss, MicroRho, Noise, Part, SubjectFilter, Value,
    Values,
};

use super::*;

/// Persons, their visits with the age at each, and notes that are not classified.
fn omop() -> CollectionFacts {
    use ColumnClass::{DirectIdentifier, Ordinary, QuasiIdentifier};
    let dataset = |dataset: &str, columns: &[(&str, Option<ColumnClass>, ColumnKind)]| DatasetFacts {
        name: dataset.parse().unwrap(),
        columns: columns
            .iter()
            .map(|(column, class, kind)| ColumnFacts::new(name(column), *class, *kind))
            .collect(),
    };
    CollectionFacts {
        reference: "budapest.omop".parse().unwrap(),
        datasets: vec![
            dataset(
                "person",
                &[
                    ("person_id", Some(DirectIdentifier), ColumnKind::Int),
                    ("birth_date", Some(QuasiIdentifier), ColumnKind::Date),
                    ("sex", Some(Ordinary), ColumnKind::Text),
                ],
            ),
            dataset(
                "visit",
                &[
                    ("person_id", Some(DirectIdentifier), ColumnKind::Int),
                    ("age", Some(QuasiIdentifier), ColumnKind::Int),
                    ("sex", Some(Ordinary), ColumnKind::Text),
                ],
            ),
            dataset("note", &[("text", None, ColumnKind::Text)]),
        ],
        ..heart()
    }
}

/// A request for these columns in clear, written `person.sex`, and for these rows of a dataset.
fn request(columns: &[&str], rows: &[(&str, Rows)]) -> Scope {
    let mut datasets: BTreeMap<&str, Vec<(ColumnName, Transform)>> = BTreeMap::new();
    for (dataset, column) in columns.iter().map(|path| path.split_once('.').unwrap()) {
        let columns = datasets.entry(dataset).or_default();
        columns.push((name(column), Transform::Clear));
    }
    let datasets = datasets.into_iter().map(|(dataset, columns)| {
        let rows = rows.iter().find(|(of, _)| *of == dataset);
        let scope = DatasetScope {
            columns: Columns::new(columns).unwrap(),
            rows: rows.map_or_else(Rows::all, |(_, rows)| rows.clone()),
        };
        (dataset.parse().unwrap(), scope)
    });
    Scope {
        collection: "budapest.omop".parse().unwrap(),
        datasets: Datasets::new(datasets).unwrap(),
        ..wide()
    }
}

fn at_least(column: &str, value: Value) -> Rows {
    let low = Some(Bound { value, inclusive: true });
    let constraint = Constraint::new(Values::Range { low, high: None }, false).unwrap();
    Rows::new(BTreeMap::from([(name(column), constraint)])).unwrap()
}

fn decide(policy: &Policy, request: &Scope, held: &[HeldScope]) -> OfferDecision {
    let consumer = zurich();
    let provider = budapest();
    let facts = omop();
    let input = OfferInput {
        consumer: &consumer,
        provider: &provider,
        collection: Some(&facts),
        request,
        held,
    };
    policy.offer(&input, NOON)
}

fn offered(request: &Scope) -> Offer {
    match decide(&shipped(), request, &[]) {
        OfferDecision::Offer(offer) => *offer,
        OfferDecision::Refused(refusal) => panic!("{:?}", refusal.reasons),
    }
}

fn refused(policy: &Policy, request: &Scope) -> Vec<RuleReason> {
    match decide(policy, request, &[]) {
        OfferDecision::Refused(refusal) => refusal.reasons,
        OfferDecision::Offer(offer) => panic!("{:?}", offer.scope),
    }
}

fn lines(offer: &Offer) -> Vec<(&str, &str)> {
    offer
        .narrowings
        .iter()
        .map(|narrowing| (narrowing.difference.offered.as_str(), narrowing.reason.rule.as_str()))
        .collect()
}

#[test]
fn offer_over_datasets_names_each_with_its_columns() {
    let wanted = [
        "person.person_id",
        "person.sex",
        "visit.sex",
        "visit.ward",
        "note.text",
        "drug.name",
    ];
    let request = request(&wanted, &[]);
    let offer = offered(&request);
    assert!(request.covers(&offer.scope));
    let expected = [
        ("drug left out", "dataset-of-collection"),
        ("note.text removed", "column-unavailable"),
        ("person.person_id pseudonym", "direct-never-in-clear"),
        ("visit.ward removed", "column-unavailable"),
    ];
    assert_eq!(lines(&offer), expected);
    let removed = offer
        .narrowings
        .iter()
        .filter(|narrowing| narrowing.reason.rule == "column-unavailable");
    let texts: Vec<String> = removed.map(|narrowing| narrowing.reason.text.clone()).collect();
    assert_eq!(
        texts[0].replace("note.text", "-"),
        texts[1].replace("visit.ward", "-"),
        "they look the same"
    );
}

#[test]
fn offer_age_and_birth_of_two_datasets_are_one() {
    let both = request(&["person.birth_date", "person.sex", "visit.age"], &[]);
    let offer = offered(&both);
    let removed = offer
        .narrowings
        .iter()
        .find(|narrowing| narrowing.reason.rule == "one-age")
        .unwrap();
    assert_eq!(removed.difference.offered, "person.birth_date removed");
    assert!(
        removed.reason.text.contains("`person.birth_date` and `visit.age`"),
        "{}",
        removed.reason.text
    );
    let births = request(&["person.birth_date", "person.sex"], &[]);
    assert_eq!(lines(&offered(&births)).len(), 1, "alone it is shown");
    let held = HeldScope {
        under: HeldUnder::Grant(GrantId::from_bytes([7; 16])),
        scope: offered(&request(&["visit.age"], &[])).scope,
    };
    let OfferDecision::Offer(offer) = decide(&shipped(), &births, &[held]) else {
        panic!("refused")
    };
    assert_eq!(lines(&offer), [("person.birth_date removed", "one-age-across-grants")]);
    // A condition counts as well.
    let selected = request(
        &["person.birth_date", "person.sex", "visit.sex"],
        &[("visit", at_least("age", Value::Int(50)))],
    );
    let offer = offered(&selected);
    assert_eq!(lines(&offer), [("person.birth_date removed", "one-age")]);
}

#[test]
fn offer_conditions_are_about_their_own_dataset() {
    let inside = request(&["visit.sex"], &[("visit", at_least("age", Value::Int(47)))]);
    let reasons = refused(&shipped(), &inside);
    assert_eq!(rules(&reasons), ["condition-inside-band"]);
    assert!(reasons[0].text.contains("`visit.age`"), "{}", reasons[0].text);
    // Another dataset has the column.
    let elsewhere = request(&["person.sex"], &[("person", at_least("age", Value::Int(50)))]);
    assert_eq!(rules(&refused(&shipped(), &elsewhere)), ["column-unavailable"]);
    let unknown = request(
        &["drug.name", "person.sex"],
        &[("drug", at_least("dose", Value::Int(1)))],
    );
    assert_eq!(rules(&refused(&shipped(), &unknown)), ["column-unavailable"]);
}

#[test]
fn offer_rules_name_the_dataset_of_a_column() {
    let policy = with_rule(
        "@id(\"visits\") @reason(\"r\") @remedy(\"m\") forbid(principal is Institution, action in Action::\"reveal\", resource is Column)
         when { resource.table == \"visit\" };",
    );
    let OfferDecision::Offer(offer) = decide(&policy, &request(&["person.sex", "visit.sex"], &[]), &[]) else {
        panic!("refused")
    };
    assert_eq!(lines(&offer), [("visit.sex removed", "column-unavailable")]);
}

#[test]
fn offer_of_what_is_not_applied_is_refused() {
    let rho = |millionths| MicroRho::new(millionths).unwrap();
    let loss = Loss::new(rho(1), rho(2), DeltaExponent::new(6).unwrap()).unwrap();
    let base = || request(&["person.sex"], &[]);
    let protected = |protection| Scope { protection, ..base() };
    let levels = Columns::new([(name("sex"), Transform::Generalized(Generalization::Levels))]).unwrap();
    let filter = SubjectFilter::new("person".parse().unwrap(), at_least("birth_date", Value::Date(0))).unwrap();
    let mut limited = base();
    limited.limits.distinctions = Some(512);
    let cases = [
        protected(Protection::Perturbed(Noise::new(3, 5, 5).unwrap())),
        protected(Protection::Private(loss)),
        Scope {
            subjects: Subjects::Only(filter),
            ..base()
        },
        Scope {
            datasets: Datasets::one("person".parse().unwrap(), levels, Rows::all()),
            ..base()
        },
        limited,
    ];
    for scope in cases {
        let reasons = refused(&shipped(), &scope);
        assert_eq!(rules(&reasons), ["scope-applied"], "{scope:?}");
        assert!(reasons[0].remedy.is_some());
        // A grant that has it anyway cannot be used.
        assert_eq!(rules(&denied(&scope, &omop())), ["scope-applied"], "{scope:?}");
    }
}

/// A rule against exact answers leaves nothing, because no other protection is applied.
#[test]
fn offer_without_exact_answers_is_refused() {
    let policy = with_rule(
        "@id(\"noise-only\") @reason(\"r\") @remedy(\"m\") forbid(principal is Institution, action == Action::\"protect-exact\", resource is Dataset);",
    );
    assert_eq!(rules(&refused(&policy, &request(&["person.sex"], &[]))), ["noise-only"]);
}

#[test]
fn query_uses_the_datasets_that_are_left() {
    let granted = offered(&request(&["person.sex", "visit.sex"], &[])).scope;
    let mut facts = omop();
    facts.datasets.retain(|dataset| dataset.name.as_str() != "visit");
    let QueryDecision::Permit(scope) = decide_query(&granted, &facts) else {
        panic!("denied")
    };
    let names: Vec<&str> = scope.datasets.names().map(|name| name.as_str()).collect();
    assert_eq!(names, ["person"]);
    assert!(granted.covers(&scope));
    facts.datasets.retain(|dataset| dataset.name.as_str() == "note");
    assert_eq!(rules(&denied(&granted, &facts)), ["columns-exist"]);
}

/// A narrowing in these parts makes a grant unusable: none of them may change unnoticed.
#[test]
fn query_under_a_grant_that_became_narrower_is_denied() {
    let granted = offered(&request(&["person.sex", "visit.sex"], &[])).scope;
    let mut facts = omop();
    facts.datasets[1].columns[2].class = Some(ColumnClass::DirectIdentifier);
    let reasons = denied(&granted, &facts);
    assert_eq!(rules(&reasons), ["direct-never-in-clear"]);
    assert!(reasons[0].text.contains("visit.sex"), "{}", reasons[0].text);
    let differences = granted.differences(&Scope {
        datasets: Datasets::one("person".parse().unwrap(), Columns::default(), Rows::all()),
        ..granted.clone()
    });
    let parts: Vec<Part> = differences.iter().map(|difference| difference.part).collect();
    assert_eq!(parts, [Part::Datasets, Part::Columns]);
}

fn decide_query(granted: &Scope, facts: &CollectionFacts) -> QueryDecision {
    let consumer = zurich();
    let provider = budapest();
    let requester = eva();
    let input = QueryInput {
        granted,
        requester: &requester,
        purpose: &Purpose::HealthResearch,
        as_of: false,
        consumer: &consumer,
        provider: &provider,
        collection: Some(facts),
        earlier: &[],
    };
    shipped().decide(&input, NOON)
}

fn denied(granted: &Scope, facts: &CollectionFacts) -> Vec<RuleReason> {
    match decide_query(granted, facts) {
        QueryDecision::Deny { reasons } => reasons,
        QueryDecision::Permit(scope) => panic!("{scope:?}"),
    }
}
