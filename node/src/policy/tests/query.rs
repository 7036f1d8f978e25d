//! Questions under a grant and at home.

use super::*;

/// What a grant would say after the shipped policy narrowed the wide request.
fn granted() -> Scope {
    let (consumer, provider, dataset, request) = (zurich(), budapest(), heart(), wide());
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

/// Everything a decision depends on, good until a test changes it.
struct Case {
    policy: Policy,
    granted: Scope,
    asker: ActorAssertion,
    purpose: Purpose,
    as_of: bool,
    consumer: Party,
    dataset: Option<DatasetFacts>,
    now: Timestamp,
}

impl Case {
    fn good() -> Self {
        Self {
            policy: shipped(),
            granted: granted(),
            asker: eva(),
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
            asker: &self.asker,
            purpose: &self.purpose,
            as_of: self.as_of,
            consumer: &self.consumer,
            provider: &budapest(),
            dataset: self.dataset.as_ref(),
        };
        self.policy.decide(&input, self.now)
    }
}

fn denied(decision: QueryDecision) -> Vec<Reason> {
    match decision {
        QueryDecision::Deny { reasons } => reasons,
        QueryDecision::Permit(scope) => panic!("permitted: {scope:?}"),
    }
}

fn denied_after(change: impl FnOnce(&mut Case)) -> Vec<Reason> {
    let mut case = Case::good();
    change(&mut case);
    denied(case.decide())
}

#[test]
fn a_good_question_is_permitted_for_this_person_and_purpose_only() {
    let QueryDecision::Permit(scope) = Case::good().decide() else {
        panic!("{:?}", Case::good().decide())
    };
    assert!(granted().covers(&scope));
    assert_eq!(scope.people, People::only([eva().actor]).unwrap());
    assert_eq!(scope.columns, granted().columns);
}

#[test]
fn every_attribute_that_is_missing_stale_or_foreign_denies_with_its_rule() {
    type Change = fn(&mut Case);
    let cases: [(&str, Change); 15] = [
        ("researchers-query", |case| case.asker.roles = [Role::Steward].into()),
        ("login-proved", |case| case.asker.factors.clear()),
        ("login-fresh", |case| {
            case.asker.authenticated_at = NOON.plus_seconds(-8 * HOUR_S - 1)
        }),
        ("login-fresh", |case| {
            case.asker.authenticated_at = NOON.plus_seconds(HOUR_S)
        }),
        ("history-stays-home", |case| case.as_of = true),
        ("training-valid", |case| case.asker.training_until = None),
        ("training-valid", |case| case.asker.training_until = Some(NOON)),
        ("home-is-active", |case| {
            case.consumer.status = Some(MemberStatus::Suspended)
        }),
        ("home-is-active", |case| case.consumer.status = None),
        ("person-of-the-consumer", |case| {
            case.asker.actor = "eva@cleveland".parse().unwrap()
        }),
        ("assertion-for-this-holder", |case| {
            case.asker.audience = InstitutionId::new("cleveland").unwrap()
        }),
        ("assertion-in-time", |case| case.asker.expires = NOON),
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
fn all_reasons_are_told_at_once() {
    let reasons = denied_after(|case| {
        case.asker.roles.clear();
        case.asker.training_until = None;
        case.asker.authenticated_at = NOON.plus_seconds(-100 * HOUR_S);
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
fn a_dataset_that_is_gone_denies_and_a_withdrawn_one_does_not() {
    let reasons = denied_after(|case| case.dataset = None);
    assert_eq!(rules(&reasons), ["dataset-there"]);
    let mut case = Case::good();
    case.dataset.as_mut().unwrap().published = false;
    assert!(matches!(case.decide(), QueryDecision::Permit(_)));
}

#[test]
fn what_policy_no_longer_allows_denies_even_where_it_was_agreed() {
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
fn ones_own_people_take_the_same_path_without_a_grant() {
    let local = |asker: &ActorAssertion, dataset: Option<&DatasetFacts>| {
        let home = budapest();
        let purpose = Purpose::HealthResearch;
        shipped()
            .decide_local(
                &LocalInput {
                    asker,
                    purpose: &purpose,
                    as_of: true,
                    home: &home,
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
    let beyond: Vec<&str> = scope.columns.names().map(ColumnName::as_str).collect();
    assert_eq!(beyond, ["age", "born", "chol", "mrn", "sex"], "ages and years of birth");
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
fn an_explanation_lists_guards_rules_and_columns() {
    let case = Case::good();
    let provider = budapest();
    let input = QueryInput {
        granted: &case.granted,
        asker: &case.asker,
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
