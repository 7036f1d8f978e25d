//! Requests over several datasets of a collection, and parts of scopes that are not applied.

use std::collections::BTreeMap;

use concordat_protocol::ids::GrantId;
use concordat_protocol::scope::{
    Bound, Constraint, DatasetScope, DeltaExponent, Generalization, Loss, MicroRho, Noise, Part, ProtectionName,
    SubjectFilter, Value, Values,
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

/// The same request at a tier, below records with the protection and the limits of an offer.
fn figures(request: &Scope, tier: Tier) -> Scope {
    let mut scope = Scope {
        tier,
        ..request.clone()
    };
    if tier < Tier::Records {
        scope.protection = Protection::Perturbed(Noise::default());
        scope.limits = limits_of_figures();
    }
    scope
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
        ("note left out", "dataset-of-collection"),
        ("person.person_id pseudonym", "direct-never-in-clear"),
        ("visit.ward removed", "column-unavailable"),
    ];
    assert_eq!(lines(&offer), expected);
    let texts: Vec<&str> = offer
        .narrowings
        .iter()
        .map(|narrowing| narrowing.reason.text.as_str())
        .collect();
    assert_eq!(
        texts[0].replace("drug", "-"),
        texts[1].replace("note", "-"),
        "they look the same"
    );
    let names: Vec<&str> = offer
        .scope
        .datasets
        .names()
        .map(concordat_protocol::ids::DatasetName::as_str)
        .collect();
    assert_eq!(names, ["person", "visit"]);
}

/// Not even the number of its rows is released.
#[test]
fn offer_has_no_dataset_without_a_column() {
    for wanted in [&["note.text"][..], &["drug.name"]] {
        let reasons = refused(&shipped(), &request(wanted, &[]));
        assert_eq!(rules(&reasons), ["nothing-left"]);
        assert_eq!(reasons[0].text, "the requested and the allowed columns do not overlap");
    }
    let mut bare = request(&["person.sex", "visit.sex"], &[]);
    let visits = DatasetScope {
        columns: Columns::default(),
        rows: Rows::all(),
    };
    let persons = bare.datasets.get(&"person".parse().unwrap()).unwrap().clone();
    let both = [("person".parse().unwrap(), persons), ("visit".parse().unwrap(), visits)];
    bare.datasets = Datasets::new(both).unwrap();
    for tier in [Tier::Exists, Tier::Count, Tier::Aggregate, Tier::Records] {
        let offer = offered(&figures(&bare, tier));
        assert_eq!(lines(&offer), [("visit left out", "dataset-of-collection")], "{tier}");
        // One that is hidden is as one that does not exist, also where a number needs no column.
        let hidden = ["note.text", "drug.name"].map(|path| {
            let reasons = refused(&shipped(), &figures(&request(&[path], &[]), tier));
            format!("{reasons:?}").replace(path, "-")
        });
        assert_eq!(hidden[0], hidden[1], "{tier}");
    }
}

#[test]
fn offer_below_records_joins_datasets_by_pseudonyms() {
    let wanted = ["person.person_id", "person.sex", "visit.person_id", "visit.sex"];
    for tier in [Tier::Exists, Tier::Count, Tier::Aggregate] {
        let offer = offered(&figures(&request(&wanted, &[]), tier));
        assert_eq!(offer.scope.tier, tier);
        let expected = [
            ("person.person_id pseudonym", "direct-never-in-clear"),
            ("visit.person_id pseudonym", "direct-never-in-clear"),
        ];
        assert_eq!(lines(&offer), expected, "{tier}");
    }
    // What the rules permit of a request for records may be less.
    let policy = with_rule(
        "@id(\"figures-only\") @reason(\"r\") @remedy(\"m\")
         forbid(principal is Institution, action == Action::\"answer-records\", resource is Dataset);",
    );
    let OfferDecision::Offer(offer) = decide(&policy, &request(&wanted, &[]), &[]) else {
        panic!("refused")
    };
    assert_eq!(offer.scope.tier, Tier::Aggregate);
    assert!(
        matches!(offer.scope.protection, Protection::Perturbed(_)),
        "{:?}",
        offer.scope
    );
}

#[test]
fn max_scope_of_a_collection_has_its_protections() {
    let max_scope = shipped().max_scope(&zurich(), &budapest(), &omop(), NOON).unwrap();
    assert_eq!(max_scope.tier, Tier::Records);
    let protections = [ProtectionName::Perturbed, ProtectionName::Private];
    assert_eq!(max_scope.protections, protections.into());
    let names: Vec<&str> = max_scope.datasets.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["person", "visit"]);
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
    // A dataset of which no column is left is left out, as if it did not exist.
    assert_eq!(lines(&offer), [("visit left out", "dataset-of-collection")]);
    let left: Vec<&str> = offer
        .scope
        .datasets
        .names()
        .map(concordat_protocol::ids::DatasetName::as_str)
        .collect();
    assert_eq!(left, ["person"]);
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

/// A rule against exact answers leaves no records, because these are as they are.
#[test]
fn offer_of_records_without_exact_answers_is_refused() {
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
    // A dataset without the columns of the grant is as one that there is not.
    let mut emptied = omop();
    emptied.datasets[1]
        .columns
        .retain(|column| column.name.as_str() == "age");
    assert_eq!(decide_query(&granted, &emptied), QueryDecision::Permit(scope));
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
