//! Requests and their offers.

use std::collections::BTreeMap;

use concordat_protocol::scope::{
    BandWidth, Bound, Constraint, Generalization, Noise, Part, ProtectionName, Value, Values,
};

use super::*;

const BAND: Transform = Transform::Generalized(Generalization::AgeBand(BandWidth::Ten));

fn decide(request: &Scope, change: impl FnOnce(&mut Party, &mut Option<CollectionFacts>)) -> OfferDecision {
    let mut consumer = zurich();
    let mut dataset = Some(heart());
    change(&mut consumer, &mut dataset);
    let provider = budapest();
    let input = OfferInput {
        consumer: &consumer,
        provider: &provider,
        collection: dataset.as_ref(),
        request,
        held: &[],
    };
    shipped().offer(&input, NOON)
}

fn offered(request: &Scope) -> Offer {
    match decide(request, |_, _| ()) {
        OfferDecision::Offer(offer) => *offer,
        OfferDecision::Refused(refusal) => panic!("{:?}", refusal.reasons),
    }
}

fn refused(decision: OfferDecision) -> Vec<RuleReason> {
    match decision {
        OfferDecision::Refused(refusal) => refusal.reasons,
        OfferDecision::Offer(offer) => panic!("{:?}", offer.scope),
    }
}

fn rows(column: &str, values: Values) -> Rows {
    Rows::new(BTreeMap::from([(
        name(column),
        Constraint::new(values, false).unwrap(),
    )]))
    .unwrap()
}

fn at_least(age: i64) -> Rows {
    rows(
        "age",
        Values::Range {
            low: Some(Bound {
                value: Value::Int(age),
                inclusive: true,
            }),
            high: None,
        },
    )
}

fn is(column: &str, value: Value) -> Rows {
    rows(column, Values::Set([value].into()))
}

#[test]
fn offer_is_narrowed_with_a_reason_per_difference() {
    let request = wide();
    let offer = offered(&request);
    assert!(request.covers(&offer.scope));
    let shown = |column: &str| columns_of(&offer.scope).transform(&name(column));
    assert_eq!(shown("mrn"), Transform::Pseudonym);
    assert_eq!(shown("age"), BAND);
    assert_eq!(shown("born"), Transform::Removed);
    assert_eq!(shown("postcode"), Transform::Removed);
    assert_eq!((shown("chol"), shown("sex")), (Transform::Clear, Transform::Clear));
    let narrowings: Vec<(&str, &str)> = offer
        .narrowings
        .iter()
        .map(|n| (n.difference.offered.as_str(), n.reason.rule.as_str()))
        .collect();
    let expected = [
        ("age generalized to bands of 10 years", "quasi-never-in-clear"),
        ("born removed", "one-age"),
        ("mrn pseudonym", "direct-never-in-clear"),
        ("postcode removed", "column-unavailable"),
    ];
    assert_eq!(narrowings, expected);
    assert!(
        offer
            .narrowings
            .iter()
            .all(|narrowing| narrowing.reason.remedy.is_some())
    );
}

#[test]
fn offer_of_an_offered_scope_is_unchanged() {
    let offer = offered(&wide());
    let again = offered(&offer.scope);
    assert_eq!(again.scope, offer.scope);
    assert_eq!(again.narrowings, []);
}

#[test]
fn offer_tier_depends_on_the_purpose() {
    for (purpose, tier) in [
        (Purpose::HealthResearch, Tier::Records),
        ("disease:MONDO:0005267".parse().unwrap(), Tier::Records),
        (Purpose::GeneralResearch, Tier::Aggregate),
        (Purpose::MethodsDevelopment, Tier::Aggregate),
    ] {
        let offer = offered(&Scope {
            purposes: Purposes::new([purpose.clone()]).unwrap(),
            ..wide()
        });
        assert_eq!(offer.scope.tier, tier, "{purpose}");
        let narrowing = offer
            .narrowings
            .iter()
            .find(|narrowing| narrowing.difference.part == Part::Tier);
        assert_eq!(
            narrowing.map(|narrowing| narrowing.reason.rule.as_str()),
            (tier < Tier::Records).then_some("records-for-health")
        );
        // At each tier: statistics join and count by it.
        assert_eq!(columns_of(&offer.scope).transform(&name("mrn")), Transform::Pseudonym);
    }
}

#[test]
fn offer_purposes_are_decided_one_by_one() {
    let purposes = Purposes::new([Purpose::HealthResearch, Purpose::Ancestry]).unwrap();
    let offer = offered(&Scope { purposes, ..wide() });
    assert_eq!(offer.scope.purposes.to_string(), "health-research");
    assert!(
        offer
            .narrowings
            .iter()
            .any(|narrowing| narrowing.reason.rule == "purpose-not-ancestry")
    );
    let care = Scope {
        purposes: Purposes::new([Purpose::ClinicalCare]).unwrap(),
        ..wide()
    };
    assert_eq!(
        rules(&refused(decide(&care, |_, _| ()))),
        ["purpose-not-care", "purpose-research"]
    );
}

#[test]
fn offer_places_time_and_cells_are_limited() {
    let mut request = Scope {
        places: Places::Any,
        window: days(0, 1000),
        ..wide()
    };
    request.limits.min_cell = 3;
    let offer = offered(&request);
    assert_eq!(offer.scope.places.to_string(), "CH, HU");
    assert_eq!(offer.scope.window, days(0, 365));
    assert_eq!(offer.scope.limits.min_cell, 10);
    for rule in ["places-are-named", "longest-grant", "limits"] {
        assert!(
            offer.narrowings.iter().any(|narrowing| narrowing.reason.rule == rule),
            "{rule}"
        );
    }
    let us = Scope {
        places: Places::only([Jurisdiction::new("US").unwrap()]).unwrap(),
        ..wide()
    };
    assert_eq!(rules(&refused(decide(&us, |_, _| ()))), ["place-of-the-parties"]);
    let over = Scope {
        window: days(-30, 0),
        ..wide()
    };
    assert_eq!(rules(&refused(decide(&over, |_, _| ()))), ["window-over"]);
}

#[test]
fn offer_unpublished_dataset_looks_nonexistent() {
    let absent = refused(decide(&wide(), |_, dataset| *dataset = None));
    let hidden = refused(decide(&wide(), |_, dataset| {
        dataset.as_mut().unwrap().published = false
    }));
    let suspended = refused(decide(&wide(), |consumer, _| {
        consumer.status = Some(MemberStatus::Suspended)
    }));
    let unknown = refused(decide(&wide(), |consumer, _| consumer.status = None));
    assert_eq!(rules(&absent), ["dataset-not-visible"]);
    assert!([hidden, suspended, unknown].iter().all(|reasons| *reasons == absent));
}

#[test]
fn offer_hidden_and_unknown_columns_look_the_same() {
    let of = |column: &str| refused(decide(&with_rows(is(column, Value::Text("x".to_owned()))), |_, _| ()));
    let text = |column: &str| of(column)[0].to_string().replace(column, "-");
    assert_eq!(text("mrn"), text("nothing"));
    assert_eq!(text("postcode"), text("nothing"));
    let columns = ["postcode", "nothing", "chol"].map(|column| (name(column), Transform::Clear));
    let offer = offered(&with_columns(Columns::new(columns).unwrap()));
    let reasons: Vec<String> = offer
        .narrowings
        .iter()
        .map(|narrowing| narrowing.reason.to_string())
        .collect();
    assert_eq!(reasons[1].replace("postcode", "-"), reasons[0].replace("nothing", "-"));
}

#[test]
fn offer_conditions_on_a_generalized_column_follow_its_bands() {
    assert_eq!(rows_of(&offered(&with_rows(at_least(40))).scope), &at_least(40));
    for inside in [at_least(47), is("age", Value::Int(47))] {
        let reasons = refused(decide(&with_rows(inside), |_, _| ()));
        assert_eq!(rules(&reasons), ["condition-inside-band"]);
        assert!(reasons[0].remedy.as_ref().unwrap().contains("multiples of 10"));
    }
    assert!(offered(&with_rows(is("sex", Value::Int(1)))).narrowings.len() == 4);
}

#[test]
fn offer_count_needs_no_columns_and_hides_the_same_ones() {
    let count = Scope {
        tier: Tier::Count,
        datasets: only(Columns::default(), at_least(50)),
        protection: Protection::Perturbed(Noise::default()),
        limits: limits_of_figures(),
        ..wide()
    };
    assert_eq!(offered(&count).narrowings, []);
    let named = Scope {
        datasets: only(Columns::default(), is("mrn", Value::Text("1".to_owned()))),
        ..count
    };
    assert_eq!(rules(&refused(decide(&named, |_, _| ()))), ["column-unavailable"]);
}

#[test]
fn offer_unclassified_columns_are_not_released() {
    let decision = decide(&wide(), |_, dataset| {
        columns_in(dataset.as_mut().unwrap())
            .iter_mut()
            .for_each(|column| column.class = None);
    });
    let refusal = match decision {
        OfferDecision::Refused(refusal) => refusal,
        OfferDecision::Offer(offer) => panic!("{:?}", offer.scope),
    };
    // A member does not learn why nothing is left; the holder's explanation names the command.
    assert_eq!(rules(&refusal.reasons), ["nothing-left"]);
    assert!(!refusal.reasons[0].to_string().contains("classif"), "{refusal:?}");
    let steps = refusal.explanation.steps.iter().flat_map(|step| &step.rules);
    let mut remedies = steps.filter_map(|rule| rule.reason.remedy.as_deref());
    assert!(remedies.any(|remedy| remedy.contains("`concordat dataset classify`")));
}

#[test]
fn offer_explanation_names_what_is_hidden_from_the_peer() {
    let offer = offered(&wide());
    let step = offer
        .explanation
        .steps
        .iter()
        .find(|step| step.about == "postcode" && step.action == "reveal-clear")
        .unwrap();
    assert!(!step.allowed);
    assert!(
        step.rules
            .iter()
            .any(|rule| rule.reason.rule == "quasi-never-in-clear" && rule.met)
    );
    assert!(
        step.rules
            .iter()
            .any(|rule| rule.reason.rule == "unclassified-never" && !rule.met)
    );
}

#[test]
fn max_scope_is_what_any_request_could_get() {
    let max_scope = |policy: &Policy, facts: &CollectionFacts| policy.max_scope(&zurich(), &budapest(), facts, NOON);
    let widest = max_scope(&shipped(), &heart()).unwrap();
    assert_eq!(widest.tier, Tier::Records);
    let figures = [ProtectionName::Perturbed, ProtectionName::Private];
    assert_eq!(widest.protections, figures.into());
    let columns: Vec<_> = widest.datasets[&"heart".parse().unwrap()]
        .iter()
        .map(ColumnName::as_str)
        .collect();
    assert_eq!(
        columns,
        ["age", "born", "chol", "mrn", "sex"],
        "no request shows the postcode"
    );

    let statistics_only = with_rule(
        r#"@id("no-records") @reason("r") @remedy("r")
        forbid(principal is Institution, action == Action::"answer-records", resource is Dataset);"#,
    );
    assert_eq!(max_scope(&statistics_only, &heart()).unwrap().tier, Tier::Aggregate);

    let unpublished = CollectionFacts {
        published: false,
        ..heart()
    };
    assert_eq!(max_scope(&shipped(), &unpublished), None);
}
