//! Queries under a grant and local queries.

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
        dataset: Some(&dataset),
        request: &request,
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
    dataset: Option<DatasetFacts>,
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
            dataset: self.dataset.as_ref(),
        };
        self.policy.decide(&input, self.now)
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
fn query_valid_is_permitted_for_this_person_and_purpose() {
    let QueryDecision::Permit(scope) = Case::valid().decide() else {
        panic!("{:?}", Case::valid().decide())
    };
    assert!(granted().covers(&scope));
    assert_eq!(scope.people, People::only([eva().actor]).unwrap());
    assert_eq!(scope.columns, granted().columns);
}

#[test]
fn query_missing_stale_or_foreign_attribute_denies() {
    type Change = fn(&mut Case);
    let cases: [(&str, Change); 17] = [
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
        case.dataset.as_mut().unwrap().columns.iter_mut().for_each(|column| {
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
    let reasons = denied_after(|case| {
        case.policy = with_rule(
            "@id(\"pause\") @reason(\"sharing is paused\") @remedy(\"wait\") \
             forbid(principal is Institution, action in Action::\"answer\", resource is Dataset);",
        );
    });
    assert!(rules(&reasons).contains(&"pause"));
}

#[test]
fn query_of_own_people_needs_no_grant() {
    let local = |requester: &ActorAssertion, dataset: Option<&DatasetFacts>| {
        let holder = budapest();
        let purpose = Purpose::HealthResearch;
        shipped()
            .decide_local(
                &LocalInput {
                    requester,
                    purpose: &purpose,
                    as_of: true,
                    holder: &holder,
                    dataset,
                },
                NOON,
            )
            .0
    };
    let own = ActorAssertion {
        actor: "eva@budapest".parse().unwrap(),
        ..eva()
    };
    let unpublished = DatasetFacts {
        published: false,
        ..heart()
    };
    let QueryDecision::Permit(scope) = local(&own, Some(&unpublished)) else {
        panic!("denied")
    };
    let columns: Vec<&str> = scope.columns.names().map(ColumnName::as_str).collect();
    assert_eq!(
        columns,
        ["age", "born", "chol", "mrn", "sex"],
        "ages and years of birth"
    );
    assert!(
        scope
            .columns
            .names()
            .filter(|column| column.as_str() != "born")
            .eq(granted().columns.names())
    );
    assert!(scope.window.not_after() <= NOON.plus_seconds(HOUR_S));
    assert_eq!(
        rules(&denied(local(&eva(), Some(&heart())))),
        ["person-of-the-consumer"]
    );
    let untrained = ActorAssertion {
        training_until: None,
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
        dataset: case.dataset.as_ref(),
    };
    let (_, explanation) = case.policy.explain(&input, NOON);
    let actions: Vec<&str> = explanation.steps.iter().map(|step| step.action.as_str()).collect();
    assert_eq!(actions[..2], ["use-grant", "query"]);
    assert!(actions.contains(&"reveal-clear") && actions.contains(&"answer-records"));
}
