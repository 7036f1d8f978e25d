//! Every rule has an effect: without a permit, less is allowed and never more; without a forbid, more is allowed, even if a steward
//! permits everything. What no set may allow is left aside here: the rules that forbid it are still the ones that users read.

use std::str::FromStr;

use cedar_policy::PolicySet;

use super::{
    permitted::{TIERS, classes, reveals, reveals_of, undecided},
    *,
};
use crate::entities::{self, Expr, Pair, pair, text};
use crate::facts::Parties;
use crate::request::{AuthorizationRequest, Requester};
use crate::verdict::Verdict;

/// A rule that permits everything: the rules that forbid must be sufficient on their own.
pub(super) const PERMIT_ALL: &str =
    "@id(\"permit-all\") @reason(\"r\") @remedy(\"m\") permit(principal, action, resource);";

const PURPOSES: [Purpose; 5] = [
    Purpose::GeneralResearch,
    Purpose::HealthResearch,
    Purpose::MethodsDevelopment,
    Purpose::Ancestry,
    Purpose::ClinicalCare,
];

pub(super) fn without(rule: Option<&str>, more: &str) -> Policy {
    let set = PolicySet::from_str(load::DEFAULT).unwrap();
    let remaining = set.policies().filter(|policy| policy.annotation("id") != rule);
    let text: String = remaining
        .map(|policy| policy.to_cedar().unwrap())
        .chain([more.to_owned()])
        .collect::<Vec<_>>()
        .join("\n");
    Policy::from_sources(&[("mutant.cedar".to_owned(), text)], Settings::default()).unwrap()
}

fn rules_of(effect: cedar_policy::Effect) -> Vec<String> {
    let set = PolicySet::from_str(load::DEFAULT).unwrap();
    let rules = set.policies().filter(|policy| policy.effect() == effect);
    rules
        .map(|policy| policy.annotation("id").unwrap().to_owned())
        .collect()
}

/// What the rules alone decide.
fn by_rules(verdict: &Verdict) -> bool {
    verdict.allowed || verdict.overruled
}

/// Requests of every kind, each with the decision of the rules.
fn all_decisions(policy: &Policy) -> Vec<(String, bool)> {
    let mut answers = Vec::new();
    for class in classes() {
        for tier in TIERS {
            for form in Reveal::ALL {
                let purpose = &Purpose::HealthResearch;
                answers.push((
                    format!("{class:?} {tier} {form:?}"),
                    by_rules(&reveals(policy, class, tier, purpose, form)),
                ));
            }
        }
    }
    for (number, consumer) in [zurich(), budapest()].iter().enumerate() {
        let sensitive = Some(ColumnClass::Sensitive);
        for facts in [heart(), undecided()] {
            let allowed = reveals_of(
                policy,
                &facts,
                consumer,
                sensitive,
                Tier::Records,
                &Purpose::HealthResearch,
                Reveal::Clear,
            );
            answers.push((
                format!("sensitive for {number} {:?}", facts.release),
                by_rules(&allowed),
            ));
        }
    }
    answers.extend(about_the_dataset(policy));
    answers.extend(about_a_person(policy));
    answers
}

fn about_the_dataset(policy: &Policy) -> Vec<(String, bool)> {
    let suspended = party("zurich", "CH", Some(MemberStatus::Suspended));
    let non_member = party("zurich", "CH", None);
    let consumers = [zurich(), budapest(), suspended, non_member];
    let mut requests: Vec<(&'static str, Vec<Pair>)> = vec![("see-dataset", Vec::new())];
    requests.extend(["CH", "HU", "US"].map(|place| ("receive-in", vec![pair("place", text(place))])));
    for action in [
        "use-for-purpose",
        "answer-records",
        "answer-aggregate",
        "answer-count",
        "answer-exists",
        "protect-exact",
        "protect-perturbed",
        "protect-private",
    ] {
        requests.extend(PURPOSES.iter().map(|purpose| (action, entities::purpose(purpose))));
    }
    let mut answers = Vec::new();
    for (number, (action, context)) in requests.into_iter().enumerate() {
        for consumer in &consumers {
            for published in [true, false]
                .into_iter()
                .take(if action == "see-dataset" { 2 } else { 1 })
            {
                let facts = CollectionFacts { published, ..heart() };
                let holder = budapest();
                let parties = Parties {
                    consumer,
                    holder: &holder,
                };
                let request = AuthorizationRequest::for_dataset(parties, action, &facts, copy(&context), String::new());
                answers.push((
                    format!("{number} {action} {consumer:?} {published}"),
                    by_rules(&policy.authorize(&request)),
                ));
            }
        }
    }
    answers
}

fn copy(context: &[Pair]) -> Vec<Pair> {
    let same = |expr: &Expr| match expr {
        Expr::Text(text) => Expr::Text(text.clone()),
        Expr::Bool(truth) => Expr::Bool(*truth),
        Expr::Long(number) => Expr::Long(*number),
        Expr::Entity(kind, id) => Expr::Entity(kind, id.clone()),
        Expr::Entities(kind, ids) => Expr::Entities(kind, ids.clone()),
    };
    context.iter().map(|(name, expr)| (name.clone(), same(expr))).collect()
}

fn about_a_person(policy: &Policy) -> Vec<(String, bool)> {
    let good = (vec!["researcher"], vec!["password"], 60, Some(60));
    let people = [
        good.clone(),
        (vec!["steward"], good.1.clone(), good.2, good.3),
        (good.0.clone(), vec![], good.2, good.3),
        (good.0.clone(), good.1.clone(), 28_801, good.3),
        (good.0.clone(), good.1.clone(), -121, good.3),
        (good.0.clone(), good.1.clone(), good.2, None),
        (good.0.clone(), good.1.clone(), good.2, Some(0)),
    ];
    let mut resets = Vec::new();
    for reset in [None, Some(-1), Some(3_599), Some(3_600)] {
        let numbers = [Some(60), Some(60), reset];
        let allowed = query_verdict(policy, &zurich(), [&["researcher"], &["password"]], numbers, false);
        resets.push((format!("reset {reset:?}"), by_rules(&allowed)));
    }
    let institutions = [zurich(), budapest(), party("zurich", "CH", Some(MemberStatus::Removed))];
    let mut answers = resets;
    for institution in &institutions {
        for (roles, factors, login_age, training_left) in &people {
            for as_of in [false, true] {
                let numbers = [Some(*login_age), *training_left, None];
                let allowed = query_verdict(policy, institution, [roles, factors], numbers, as_of);
                answers.push((
                    format!("{institution:?} {roles:?} {factors:?} {login_age} {training_left:?} {as_of}"),
                    by_rules(&allowed),
                ));
            }
        }
    }
    answers
}

fn may_query(
    policy: &Policy,
    institution: &Party,
    roles: &[&str],
    factors: &[&str],
    login_age: i64,
    training_left: Option<i64>,
    as_of: bool,
) -> bool {
    let numbers = [Some(login_age), training_left, None];
    query_verdict(policy, institution, [roles, factors], numbers, as_of).allowed
}

/// As [`may_query`]; the numbers are the age of the login, the remaining time of the training and the age of a reset password.
fn query_verdict(
    policy: &Policy,
    institution: &Party,
    [roles, factors]: [&[&str]; 2],
    [login_age, training_left, reset_age]: [Option<i64>; 3],
    as_of: bool,
) -> Verdict {
    let entities = |kind, ids: &[&str]| Expr::Entities(kind, ids.iter().map(ToString::to_string).collect());
    let mut context = entities::purpose(&Purpose::HealthResearch);
    context.push(pair("tier", Expr::Entity("Tier", "records".to_owned())));
    context.push(pair("factors", entities("Factor", factors)));
    context.extend(login_age.map(|age| pair("login_age_s", Expr::Long(age))));
    context.extend(reset_age.map(|age| pair("password_reset_age_s", Expr::Long(age))));
    context.push(pair("as_of", Expr::Bool(as_of)));
    context.extend(training_left.map(|left| pair("training_left_s", Expr::Long(left))));
    context.extend(training_left.map(|_| pair("training", text("human-subjects-protection"))));
    let person = Requester {
        id: "eva@zurich".to_owned(),
        name: "eva".to_owned(),
        roles: roles.iter().map(ToString::to_string).collect(),
    };
    let parties = Parties {
        consumer: institution,
        holder: &budapest(),
    };
    policy.authorize(&AuthorizationRequest::for_query(parties, person, &heart(), context))
}

#[test]
fn mutation_removed_permit_allows_less_and_never_more() {
    let whole = all_decisions(&without(None, ""));
    assert!(whole.iter().any(|(_, allowed)| *allowed));
    for rule in rules_of(cedar_policy::Effect::Permit) {
        let mutant = all_decisions(&without(Some(&rule), ""));
        assert_ne!(mutant, whole, "nothing depends on `{rule}`");
        for ((request, before), (_, after)) in whole.iter().zip(&mutant) {
            assert!(*before || !*after, "without `{rule}` more is allowed: {request}");
        }
    }
}

#[test]
fn mutation_removed_forbid_is_detected() {
    let whole = all_decisions(&without(None, PERMIT_ALL));
    for rule in rules_of(cedar_policy::Effect::Forbid) {
        assert_ne!(
            all_decisions(&without(Some(&rule), PERMIT_ALL)),
            whole,
            "nothing depends on `{rule}`"
        );
    }
}

#[test]
fn policy_set_without_rules_denies_everything() {
    let empty = Policy::from_sources(&[], Settings::default()).unwrap();
    assert!(all_decisions(&empty).iter().all(|(_, allowed)| !allowed));
}

#[test]
fn policy_rule_that_cannot_be_evaluated_denies() {
    assert!(may_query(
        &shipped(),
        &zurich(),
        &["researcher"],
        &["password"],
        60,
        Some(60),
        false
    ));
    let overflows = with_rule(
        "@id(\"overflow\") @reason(\"r\") @remedy(\"m\") forbid(principal is Person, action == Action::\"query\", resource is Dataset) \
         when { context.login_age_s * 9223372036854775807 > 0 };",
    );
    assert!(!may_query(
        &overflows,
        &zurich(),
        &["researcher"],
        &["password"],
        60,
        Some(60),
        false
    ));
    assert!(may_query(
        &overflows,
        &zurich(),
        &["researcher"],
        &["password"],
        0,
        Some(60),
        false
    ));
}

#[test]
fn policy_value_outside_the_schema_denies() {
    assert!(!may_query(
        &shipped(),
        &zurich(),
        &["researcher", "wizard"],
        &["password"],
        60,
        Some(60),
        false
    ));
    assert!(!may_query(
        &shipped(),
        &zurich(),
        &["researcher"],
        &["hunch"],
        60,
        Some(60),
        false
    ));
}
