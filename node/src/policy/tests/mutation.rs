//! Every rule has a say: without a permit less is allowed and never more, and without a forbid more, even where a steward
//! permits everything.

use std::str::FromStr;

use cedar_policy::PolicySet;

use super::{
    matrix::{REVEALS, TIERS, classes, reveals, reveals_of, undecided},
    *,
};
use crate::policy::ask::{self, Expr, Pair, Question, Thing, pair, text};

/// A steward who permits everything: the rules that forbid must hold on their own.
const CARELESS: &str = "@id(\"careless\") @reason(\"r\") @remedy(\"m\") permit(principal, action, resource);";

const PURPOSES: [Purpose; 5] = [
    Purpose::GeneralResearch,
    Purpose::HealthResearch,
    Purpose::MethodsDevelopment,
    Purpose::Ancestry,
    Purpose::ClinicalCare,
];

fn without(rule: Option<&str>, more: &str) -> Policy {
    let set = PolicySet::from_str(load::DEFAULT).unwrap();
    let kept = set.policies().filter(|policy| policy.annotation("id") != rule);
    let text: String = kept
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

/// Questions of every kind, each with its answer.
fn battery(policy: &Policy) -> Vec<(String, bool)> {
    let mut answers = Vec::new();
    for class in classes() {
        for tier in TIERS {
            for action in REVEALS {
                let purpose = &Purpose::HealthResearch;
                answers.push((
                    format!("{class:?} {tier} {action}"),
                    reveals(policy, class, tier, purpose, action),
                ));
            }
        }
    }
    for (number, asker) in [zurich(), budapest()].iter().enumerate() {
        let sensitive = Some(ColumnClass::Sensitive);
        for facts in [heart(), undecided()] {
            let allowed = reveals_of(
                policy,
                &facts,
                asker,
                sensitive,
                Tier::Records,
                &Purpose::HealthResearch,
                "reveal-clear",
            );
            answers.push((format!("sensitive for {number} {:?}", facts.release), allowed));
        }
    }
    answers.extend(about_the_dataset(policy));
    answers.extend(about_a_person(policy));
    answers
}

fn about_the_dataset(policy: &Policy) -> Vec<(String, bool)> {
    let suspended = party("zurich", "CH", Some(MemberStatus::Suspended));
    let strangers = party("zurich", "CH", None);
    let askers = [zurich(), budapest(), suspended, strangers];
    let mut asked: Vec<(&'static str, Vec<Pair>)> = vec![("see-dataset", Vec::new())];
    asked.extend(["CH", "HU", "US"].map(|place| ("receive-in", vec![pair("place", text(place))])));
    for action in [
        "use-for-purpose",
        "answer-records",
        "answer-aggregate",
        "answer-count",
        "answer-exists",
    ] {
        asked.extend(PURPOSES.iter().map(|purpose| (action, ask::purpose(purpose))));
    }
    let mut answers = Vec::new();
    for (number, (action, context)) in asked.into_iter().enumerate() {
        for asker in &askers {
            for published in [true, false]
                .into_iter()
                .take(if action == "see-dataset" { 2 } else { 1 })
            {
                let facts = DatasetFacts { published, ..heart() };
                let question = Question {
                    principal: ask::institution(asker, &budapest()),
                    action,
                    resource: ask::dataset(&facts, &budapest()),
                    others: Vec::new(),
                    context: copy(&context),
                    about: String::new(),
                };
                answers.push((
                    format!("{number} {action} {asker:?} {published}"),
                    policy.ask(&question).allowed,
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
        Expr::Word(kind, id) => Expr::Word(kind, id.clone()),
        Expr::Words(kind, ids) => Expr::Words(kind, ids.clone()),
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
    let homes = [zurich(), budapest(), party("zurich", "CH", Some(MemberStatus::Removed))];
    let mut answers = Vec::new();
    for home in &homes {
        for (roles, factors, login_age, training_left) in &people {
            for as_of in [false, true] {
                let allowed = asks(policy, home, roles, factors, *login_age, *training_left, as_of);
                answers.push((
                    format!("{home:?} {roles:?} {factors:?} {login_age} {training_left:?} {as_of}"),
                    allowed,
                ));
            }
        }
    }
    answers
}

fn asks(
    policy: &Policy,
    home: &Party,
    roles: &[&str],
    factors: &[&str],
    login_age: i64,
    training_left: Option<i64>,
    as_of: bool,
) -> bool {
    let words = |kind, words: &[&str]| Expr::Words(kind, words.iter().map(ToString::to_string).collect());
    let mut context = ask::purpose(&Purpose::HealthResearch);
    context.push(pair("tier", Expr::Word("Tier", "records".to_owned())));
    context.push(pair("factors", words("Factor", factors)));
    context.push(pair("login_age_s", Expr::Long(login_age)));
    context.push(pair("as_of", Expr::Bool(as_of)));
    context.extend(training_left.map(|left| pair("training_left_s", Expr::Long(left))));
    let attributes = vec![
        pair("name", text("eva")),
        pair("institution", Expr::Word("Institution", home.institution.to_string())),
        pair("roles", words("Role", roles)),
    ];
    let question = Question {
        principal: Thing::new("Person", "eva@zurich", attributes),
        action: "query",
        resource: ask::dataset(&heart(), &budapest()),
        others: vec![ask::institution(home, &budapest())],
        context,
        about: String::new(),
    };
    policy.ask(&question).allowed
}

#[test]
fn a_permit_taken_out_allows_less_and_never_more() {
    let whole = battery(&without(None, ""));
    assert!(whole.iter().any(|(_, allowed)| *allowed));
    for rule in rules_of(cedar_policy::Effect::Permit) {
        let mutant = battery(&without(Some(&rule), ""));
        assert_ne!(mutant, whole, "nothing depends on `{rule}`");
        for ((question, before), (_, after)) in whole.iter().zip(&mutant) {
            assert!(*before || !*after, "without `{rule}` more is allowed: {question}");
        }
    }
}

#[test]
fn a_forbid_taken_out_is_noticed() {
    let whole = battery(&without(None, CARELESS));
    for rule in rules_of(cedar_policy::Effect::Forbid) {
        assert_ne!(
            battery(&without(Some(&rule), CARELESS)),
            whole,
            "nothing depends on `{rule}`"
        );
    }
}

#[test]
fn no_rules_allow_nothing() {
    let empty = Policy::from_sources(&[], Settings::default()).unwrap();
    assert!(battery(&empty).iter().all(|(_, allowed)| !allowed));
}

#[test]
fn a_rule_that_cannot_be_evaluated_is_a_no() {
    assert!(asks(
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
    assert!(!asks(
        &overflows,
        &zurich(),
        &["researcher"],
        &["password"],
        60,
        Some(60),
        false
    ));
    assert!(asks(
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
fn a_word_that_is_not_in_the_schema_is_a_no() {
    assert!(!asks(
        &shipped(),
        &zurich(),
        &["researcher", "wizard"],
        &["password"],
        60,
        Some(60),
        false
    ));
    assert!(!asks(
        &shipped(),
        &zurich(),
        &["researcher"],
        &["hunch"],
        60,
        Some(60),
        false
    ));
}
