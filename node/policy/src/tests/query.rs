//! Queries under a grant and local queries.

use std::collections::BTreeMap;

use concordat_protocol::scope::{Constraint, Finite, Value, Values};

use super::*;

/// The scope of a grant after the shipped policy has narrowed the wide request.
fn granted() -> Scope {
    let consumer = zurich();
    let provider = budapest();
    let dataset = heart();
    let request = wide();
    let input = OfferInput {
        consumer: &consumer,
        provider: &provider,
        collection: Some(&dataset),
        request: &request,
        held: &[],
    };
    match shipped().offer(&input, NOON) {
        OfferDecision::Offer(offer) => offer.scope,
        OfferDecision::Refused(refusal) => panic!("{:?}", refusal.reasons),
    }
}

/// Everything that a decision depends on; valid until a test changes it.
struct Case {
    policy: Policy,
    granted: Scope,
    requester: ActorAssertion,
    purpose: Purpose,
    as_of: bool,
    consumer: Party,
    dataset: Option<CollectionFacts>,
    earlier: Vec<HeldScope>,
    now: Timestamp,
}

impl Case {
    fn valid() -> Self {
        Self {
            policy: shipped(),
            granted: granted(),
            requester: eva(),
            purpose: Purpose::HealthResearch,
            as_of: false,
            consumer: zurich(),
            dataset: Some(heart()),
            earlier: Vec::new(),
            now: NOON,
        }
    }

    fn decide(&self) -> QueryDecision {
        let input = QueryInput {
            granted: &self.granted,
            requester: &self.requester,
            purpose: &self.purpose,
            as_of: self.as_of,
            consumer: &self.consumer,
            provider: &budapest(),
            collection: self.dataset.as_ref(),
            earlier: &self.earlier,
        };
        self.policy.decide(&input, self.now)
    }

    /// The current version of the dataset lacks these columns.
    fn lose(&mut self, columns: &[&str]) {
        let facts = self.dataset.as_mut().unwrap();
        columns_in(facts).retain(|column| !columns.contains(&column.name.as_str()));
    }
}

fn denied(decision: QueryDecision) -> Vec<RuleReason> {
    match decision {
        QueryDecision::Deny { reasons } => reasons,
        QueryDecision::Permit(scope) => panic!("permitted: {scope:?}"),
    }
}

fn denied_after(change: impl FnOnce(&mut Case)) -> Vec<RuleReason> {
    let mut case = Case::valid();
    change(&mut case);
    denied(case.decide())
}

#[test]
fn verdict_is_used_again_for_the_same_facts_only() {
    let mut case = Case::valid();
    for _ in 0..2 {
        case.consumer = zurich();
        assert!(matches!(case.decide(), QueryDecision::Permit(_)));
        case.consumer = Party {
            status: None,
            ..zurich()
        };
        assert!(matches!(case.decide(), QueryDecision::Deny { .. }));
    }
}

#[test]
fn query_valid_is_permitted_for_this_person_and_purpose() {
    let QueryDecision::Permit(scope) = Case::valid().decide() else {
        panic!("{:?}", Case::valid().decide())
    };
    assert!(granted().covers(&scope));
    assert_eq!(scope.people, People::only([eva().actor]).unwrap());
    assert_eq!(scope.datasets, granted().datasets);
}

#[test]
fn query_missing_stale_or_foreign_attribute_denies() {
    type Change = fn(&mut Case);
    let cases: [(&str, Change); 19] = [
        ("researchers-query", |case| {
            case.requester.roles = [Role::Steward].into()
        }),
        ("login-proved", |case| case.requester.factors.clear()),
        ("login-fresh", |case| {
            case.requester.authenticated_at = NOON.plus_seconds(-8 * HOUR_S - 1)
        }),
        ("login-fresh", |case| {
            case.requester.authenticated_at = NOON.plus_seconds(HOUR_S)
        }),
        ("password-not-just-reset", |case| {
            case.requester.password_reset_at = Some(NOON.plus_seconds(-HOUR_S + 1))
        }),
        ("password-not-just-reset", |case| {
            case.requester.password_reset_at = Some(NOON.plus_seconds(HOUR_S))
        }),
        ("history-stays-local", |case| case.as_of = true),
        ("training-valid", |case| case.requester.training_until = None),
        ("training-valid", |case| case.requester.training_until = Some(NOON)),
        ("training-valid", |case| case.requester.training_course = None),
        ("training-valid", |case| {
            case.requester.training_course = Some("cooking".parse().unwrap());
        }),
        ("requester-institution-is-active", |case| {
            case.consumer.status = Some(MemberStatus::Suspended)
        }),
        ("requester-institution-is-active", |case| case.consumer.status = None),
        ("person-of-the-consumer", |case| {
            case.requester.actor = "eva@cleveland".parse().unwrap()
        }),
        ("assertion-for-this-holder", |case| {
            case.requester.audience = InstitutionId::new("cleveland").unwrap()
        }),
        ("assertion-in-time", |case| case.requester.expires = NOON),
        ("grant-in-time", |case| case.granted.window = days(1, 2)),
        ("place-agreed", |case| {
            case.consumer.jurisdiction = Jurisdiction::new("US").unwrap()
        }),
        ("person-agreed", |case| {
            case.granted.people = People::only(["pal@zurich".parse().unwrap()]).unwrap()
        }),
    ];
    for (rule, change) in cases {
        let reasons = denied_after(change);
        assert!(rules(&reasons).contains(&rule), "{rule}: {:?}", rules(&reasons));
        assert!(reasons.iter().all(|reason| reason.remedy.is_some()));
    }
}

#[test]
fn query_password_reset_an_hour_ago_is_permitted() {
    let mut case = Case::valid();
    case.requester.password_reset_at = Some(NOON.plus_seconds(-HOUR_S));
    assert!(matches!(case.decide(), QueryDecision::Permit(_)));
}

#[test]
fn query_denial_lists_all_reasons() {
    let reasons = denied_after(|case| {
        case.requester.roles.clear();
        case.requester.training_until = None;
        case.requester.authenticated_at = NOON.plus_seconds(-100 * HOUR_S);
        case.purpose = Purpose::ClinicalCare;
    });
    for rule in [
        "purpose-agreed",
        "researchers-query",
        "training-valid",
        "login-fresh",
        "purpose-not-care",
    ] {
        assert!(rules(&reasons).contains(&rule), "{rule}: {:?}", rules(&reasons));
    }
}

#[test]
fn query_of_erased_dataset_denies_and_of_withdrawn_permits() {
    let reasons = denied_after(|case| case.dataset = None);
    assert_eq!(rules(&reasons), ["dataset-exists"]);
    let mut case = Case::valid();
    case.dataset.as_mut().unwrap().published = false;
    assert!(matches!(case.decide(), QueryDecision::Permit(_)));
}

#[test]
fn query_denied_if_policy_no_longer_allows_the_grant() {
    let reasons = denied_after(|case| {
        columns_in(case.dataset.as_mut().unwrap())
            .iter_mut()
            .for_each(|column| {
                if column.name == name("chol") {
                    column.class = Some(ColumnClass::DirectIdentifier);
                }
            });
    });
    assert_eq!(rules(&reasons), ["direct-never-in-clear"]);
    assert!(
        reasons[0].text.contains("chol clear") && reasons[0].text.contains("chol pseudonym"),
        "{}",
        reasons[0].text
    );
    let remedy = reasons[0].remedy.as_deref().unwrap();
    assert!(remedy.contains("`concordat grant request`"), "{remedy}");
    let reasons = denied_after(|case| {
        case.policy = with_rule(
            "@id(\"pause\") @reason(\"sharing is paused\") @remedy(\"wait\") \
             forbid(principal is Institution, action in Action::\"answer\", resource is Dataset);",
        );
    });
    assert!(rules(&reasons).contains(&"pause"));
}

#[test]
fn query_outside_of_the_grant_is_not_helped_by_amending_it() {
    let changes: [fn(&mut Case); 3] = [
        |case| case.purpose = Purpose::ClinicalCare,
        |case| case.granted.people = People::only(["pal@zurich".parse().unwrap()]).unwrap(),
        |case| case.consumer.jurisdiction = Jurisdiction::new("US").unwrap(),
    ];
    for change in changes {
        let remedies: Vec<String> = denied_after(change)
            .into_iter()
            .filter_map(|reason| reason.remedy)
            .collect();
        assert!(
            remedies.iter().any(|remedy| remedy.contains("request a grant")),
            "{remedies:?}"
        );
        assert!(!remedies.iter().any(|remedy| remedy.contains("amend")), "{remedies:?}");
    }
}

#[test]
fn query_under_a_grant_of_a_lost_column_gets_the_rest() {
    let mut case = Case::valid();
    case.lose(&["chol"]);
    let QueryDecision::Permit(scope) = case.decide() else {
        panic!("{:?}", case.decide())
    };
    let columns: Vec<&str> = columns_of(&scope).names().map(ColumnName::as_str).collect();
    assert_eq!(columns, ["age", "mrn", "sex"]);
    assert!(granted().covers(&scope));
    // A new column of another name is not part of the grant.
    let renamed = ColumnFacts::new(name("cholesterol"), Some(ColumnClass::Ordinary), ColumnKind::Float);
    columns_in(case.dataset.as_mut().unwrap()).push(renamed);
    assert_eq!(case.decide(), QueryDecision::Permit(scope));
}

#[test]
fn query_denied_if_a_lost_column_selects_rows_or_none_is_left() {
    let lost = denied_after(|case| {
        let high = Constraint::new(Values::Set([Value::Float(Finite::new(250.0).unwrap())].into()), false).unwrap();
        let rows = Rows::new(BTreeMap::from([(name("chol"), high)])).unwrap();
        case.granted.datasets = only(columns_of(&case.granted).clone(), rows);
        case.lose(&["chol"]);
    });
    assert_eq!(rules(&lost), ["column-unavailable"]);
    let all = denied_after(|case| case.lose(&["age", "chol", "mrn", "sex"]));
    assert_eq!(rules(&all), ["columns-exist"]);
    assert!(all[0].remedy.as_ref().unwrap().contains("new grant"));
    // A count needs no column.
    let mut case = Case::valid();
    case.granted.tier = Tier::Count;
    case.lose(&["age", "chol", "mrn", "sex"]);
    assert!(matches!(case.decide(), QueryDecision::Permit(_)), "{:?}", case.decide());
}

/// The decision about a query of the holder's own people.
fn local(requester: &ActorAssertion, collection: Option<&CollectionFacts>) -> QueryDecision {
    local_at(&budapest(), requester, collection)
}

/// The same for a holder with another status.
fn local_at(holder: &Party, requester: &ActorAssertion, collection: Option<&CollectionFacts>) -> QueryDecision {
    let purpose = Purpose::HealthResearch;
    let input = LocalInput {
        requester,
        purpose: &purpose,
        as_of: true,
        holder,
        collection,
    };
    shipped().decide_local(&input, NOON)
}

fn own() -> ActorAssertion {
    ActorAssertion {
        actor: "eva@budapest".parse().unwrap(),
        ..eva()
    }
}

#[test]
fn query_of_own_unclassified_columns_names_the_command() {
    let mut facts = heart();
    columns_in(&mut facts).iter_mut().for_each(|column| column.class = None);
    let reasons = denied(local(&own(), Some(&facts)));
    assert_eq!(rules(&reasons), ["never-unclassified"]);
    assert!(reasons[0].text.contains("not classified (6 of 6)"), "{:?}", reasons[0]);
    let remedy = reasons[0].remedy.as_deref().unwrap();
    assert!(
        remedy.contains("`concordat dataset classify heart COLUMN=CLASS`"),
        "{remedy}"
    );
    // A column that is classified and still not shown leaves as little.
    for column in columns_in(&mut facts) {
        column.class = (column.name == name("postcode")).then_some(ColumnClass::QuasiIdentifier);
    }
    let reasons = denied(local(&own(), Some(&facts)));
    assert!(reasons[0].text.contains("not classified (5 of 6)"), "{:?}", reasons[0]);
    columns_in(&mut facts).retain(|column| column.class.is_some());
    assert_eq!(rules(&denied(local(&own(), Some(&facts)))), ["nothing-left"]);
}

#[test]
fn query_of_own_people_is_refused_with_all_that_is_missing() {
    let mut unclassified = heart();
    columns_in(&mut unclassified)
        .iter_mut()
        .for_each(|column| column.class = None);
    let untrained = ActorAssertion {
        training_until: None,
        training_course: None,
        ..own()
    };
    assert_eq!(
        rules(&denied(local(&untrained, Some(&unclassified)))),
        ["never-unclassified", "training-valid"]
    );
    let hiding = with_rule(
        "@id(\"hidden\") @reason(\"r\") @remedy(\"m\") forbid(principal is Institution, action == Action::\"see-dataset\", resource is Dataset);",
    );
    let (holder, dataset, requester) = (budapest(), heart(), own());
    let input = LocalInput {
        requester: &requester,
        purpose: &Purpose::HealthResearch,
        as_of: false,
        holder: &holder,
        collection: Some(&dataset),
    };
    assert_eq!(rules(&denied(hiding.decide_local(&input, NOON))), ["hidden"]);
}

#[test]
fn query_of_own_people_needs_no_consortium() {
    for status in [None, Some(MemberStatus::Suspended), Some(MemberStatus::Removed)] {
        let holder = Party { status, ..budapest() };
        let decision = local_at(&holder, &own(), Some(&heart()));
        assert!(matches!(decision, QueryDecision::Permit(_)), "{status:?}: {decision:?}");
    }
}

#[test]
fn query_of_own_people_needs_no_grant() {
    let own = own();
    let unpublished = CollectionFacts {
        published: false,
        ..heart()
    };
    let QueryDecision::Permit(scope) = local(&own, Some(&unpublished)) else {
        panic!("denied")
    };
    let columns: Vec<&str> = columns_of(&scope).names().map(ColumnName::as_str).collect();
    assert_eq!(
        columns,
        ["age", "born", "chol", "mrn", "sex"],
        "ages and years of birth"
    );
    assert!(
        columns_of(&scope)
            .names()
            .filter(|column| column.as_str() != "born")
            .eq(columns_of(&granted()).names())
    );
    assert!(scope.window.not_after() <= NOON.plus_seconds(HOUR_S));
    assert_eq!(
        rules(&denied(local(&eva(), Some(&heart())))),
        ["person-of-the-consumer"]
    );
    let untrained = ActorAssertion {
        training_until: None,
        training_course: None,
        ..own.clone()
    };
    assert_eq!(rules(&denied(local(&untrained, Some(&heart())))), ["training-valid"]);
    assert_eq!(rules(&denied(local(&own, None))), ["dataset-not-visible"]);
}

#[test]
fn query_explanation_lists_guards_rules_and_columns() {
    let case = Case::valid();
    let provider = budapest();
    let input = QueryInput {
        granted: &case.granted,
        requester: &case.requester,
        purpose: &case.purpose,
        as_of: false,
        consumer: &case.consumer,
        provider: &provider,
        collection: case.dataset.as_ref(),
        earlier: &[],
    };
    let (_, explanation) = case.policy.explain(&input, NOON);
    let actions: Vec<&str> = explanation.steps.iter().map(|step| step.action.as_str()).collect();
    assert_eq!(actions[..2], ["use-grant", "query"]);
    assert!(actions.contains(&"reveal-clear") && actions.contains(&"answer-records"));
}
