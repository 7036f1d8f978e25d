//! Decides whether one person may run one query now.

use concordat_protocol::decision::{DecisionRule, DecisionStep, RuleEffect, RuleReason};
use concordat_protocol::{
    query::{ActorAssertion, Factor},
    scope::{InvalidScope, Part, People, Places, Purpose, Purposes, Scope, Window},
    time::Timestamp,
};

use crate::{
    authorize::{AuthorizationRequest, Requester},
    entities::{self, Expr, pair},
    explanation::Explanation,
    facts::{DatasetFacts, Parties, Party},
    load::Policy,
    max_scope::whole,
    offer::{Narrowing, OfferDecision, OfferInput},
};

/// How long the scope of a local query is valid: 15 minutes, as long as an idle session.
const LOCAL_MS: i64 = 15 * 60 * 1000;

/// A query under a grant and the facts about it.
#[derive(Clone, Copy, Debug)]
pub struct QueryInput<'a> {
    /// What the grant covers.
    pub granted: &'a Scope,
    /// The requester, as asserted by the consumer.
    pub requester: &'a ActorAssertion,
    /// The purpose.
    pub purpose: &'a Purpose,
    /// Whether it names a version of the dataset instead of using the current one.
    pub as_of: bool,
    /// The institution of the requester.
    pub consumer: &'a Party,
    /// The institution that holds the dataset.
    pub provider: &'a Party,
    /// The dataset as it is now; `None` if it no longer exists.
    pub dataset: Option<&'a DatasetFacts>,
}

/// A query by one of the holder's own people.
#[derive(Clone, Copy, Debug)]
pub struct LocalInput<'a> {
    /// The requester.
    pub requester: &'a ActorAssertion,
    /// The purpose.
    pub purpose: &'a Purpose,
    /// Whether it names a version of the dataset instead of using the current one.
    pub as_of: bool,
    /// The holder.
    pub holder: &'a Party,
    /// The dataset; `None` if there is none of that name.
    pub dataset: Option<&'a DatasetFacts>,
}

/// The decision about a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryDecision {
    /// The query may be answered within this scope, for this person and this purpose.
    Permit(Box<Scope>),
    /// It may not.
    Deny {
        /// Every reason at once.
        reasons: Vec<RuleReason>,
    },
}

impl Policy {
    /// Decides a query under a grant.
    pub fn decide(&self, input: &QueryInput<'_>, now: Timestamp) -> QueryDecision {
        self.evaluate(input, now).0
    }

    /// As [`Self::decide`], with the decision rule by rule.
    pub fn explain(&self, input: &QueryInput<'_>, now: Timestamp) -> (QueryDecision, Explanation) {
        self.evaluate(input, now)
    }

    /// Decides a query by one of the holder's own people, who need no grant but pass all other checks.
    pub fn decide_local(&self, input: &LocalInput<'_>, now: Timestamp) -> (QueryDecision, Explanation) {
        let Some(facts) = input.dataset else {
            let reason = RuleReason::new(
                "dataset-not-visible",
                "there is no such dataset",
                "see `concordat dataset list`",
            );
            return (QueryDecision::Deny { reasons: vec![reason] }, Explanation::default());
        };
        let request = match full_scope(input, facts, now) {
            Ok(request) => request,
            Err(error) => {
                let reason = RuleReason::new("invalid-request", error.to_string(), "change the query");
                return (QueryDecision::Deny { reasons: vec![reason] }, Explanation::default());
            }
        };
        let offer_input = OfferInput {
            consumer: input.holder,
            provider: input.holder,
            dataset: Some(facts),
            request: &request,
        };
        match self.offer(&offer_input, now) {
            OfferDecision::Offer(offer) => {
                let query = QueryInput {
                    granted: &offer.scope,
                    requester: input.requester,
                    purpose: input.purpose,
                    as_of: input.as_of,
                    consumer: input.holder,
                    provider: input.holder,
                    dataset: Some(facts),
                };
                self.evaluate(&query, now)
            }
            OfferDecision::Refused(refusal) => (
                QueryDecision::Deny {
                    reasons: refusal.reasons,
                },
                refusal.explanation,
            ),
        }
    }

    fn evaluate(&self, input: &QueryInput<'_>, now: Timestamp) -> (QueryDecision, Explanation) {
        let mut explanation = Explanation {
            steps: vec![guards(input, now)],
        };
        let violated = |step: &DecisionStep| {
            step.rules
                .iter()
                .filter(|rule| rule.met)
                .map(|rule| rule.reason.clone())
                .collect()
        };
        let mut reasons: Vec<RuleReason> = explanation.steps.first().map(violated).unwrap_or_default();
        if let Some(facts) = input.dataset {
            let verdict = self.authorize(&authorization_request(input, facts, now));
            if !verdict.allowed {
                reasons.extend(verdict.reasons);
            }
            explanation.steps.push(verdict.step);
        }
        let (current, steps) = self.current_scope(input, now);
        explanation.steps.extend(steps.steps);
        match current {
            Ok(scope) if reasons.is_empty() => (QueryDecision::Permit(scope), explanation),
            Ok(_) => (QueryDecision::Deny { reasons }, explanation),
            Err(more) => {
                let new = |reason: &RuleReason| !reasons.iter().any(|known| known.text == reason.text);
                let more: Vec<RuleReason> = more.into_iter().filter(new).collect();
                reasons.extend(more);
                (QueryDecision::Deny { reasons }, explanation)
            }
        }
    }

    /// Compares the grant, for this person and purpose, with what policies allow now. Limits that have become narrower apply
    /// immediately. Any other part that has become narrower makes the grant unusable until it is amended.
    fn current_scope(
        &self,
        input: &QueryInput<'_>,
        now: Timestamp,
    ) -> (Result<Box<Scope>, Vec<RuleReason>>, Explanation) {
        let request = match used_scope(input) {
            Ok(request) => request,
            Err(error) => {
                let reason = RuleReason::new("invalid-request", error.to_string(), "change the query");
                return (Err(vec![reason]), Explanation::default());
            }
        };
        let offer_input = OfferInput {
            consumer: input.consumer,
            provider: input.provider,
            dataset: input.dataset,
            request: &request,
        };
        match self.still_allowed(&offer_input) {
            OfferDecision::Offer(offer)
                if offer
                    .narrowings
                    .iter()
                    .all(|narrowing| is_usable(narrowing, &offer.scope, now)) =>
            {
                (Ok(Box::new(offer.scope)), offer.explanation)
            }
            OfferDecision::Offer(offer) => {
                let reasons = offer.narrowings.into_iter().map(|narrowing| {
                    let requested = narrowing.difference.requested;
                    let offered = narrowing.difference.offered;
                    let text = format!(
                        "the grant has `{requested}`, and policy now allows `{offered}`: {}",
                        narrowing.reason.text
                    );
                    RuleReason::new(&narrowing.reason.rule, text, "ask the holder to amend the grant")
                });
                (Err(reasons.collect()), offer.explanation)
            }
            OfferDecision::Refused(refusal) => (Err(refusal.reasons), refusal.explanation),
        }
    }
}

/// Whether the grant can still be used although this part is narrower now.
fn is_usable(narrowing: &Narrowing, current: &Scope, now: Timestamp) -> bool {
    match narrowing.difference.part {
        Part::Limits => true,
        Part::Window => current.window.contains(now),
        Part::Dataset | Part::Tier | Part::Columns | Part::Rows | Part::Purposes | Part::People | Part::Places => false,
    }
}

/// The part of the grant that this query uses.
fn used_scope(input: &QueryInput<'_>) -> Result<Scope, InvalidScope> {
    Ok(Scope {
        purposes: Purposes::new([input.purpose.clone()])?,
        people: People::only([input.requester.actor.clone()])?,
        ..input.granted.clone()
    })
}

/// Everything that the holder's own people could query in a dataset.
fn full_scope(input: &LocalInput<'_>, facts: &DatasetFacts, now: Timestamp) -> Result<Scope, InvalidScope> {
    whole(
        facts,
        input.purpose.clone(),
        People::only([input.requester.actor.clone()])?,
        Places::only([input.holder.jurisdiction.clone()])?,
        Window::new(now, now.plus_millis(LOCAL_MS))?,
    )
}

/// The checks that follow from the agreement itself; no policy can disable them.
fn guards(input: &QueryInput<'_>, now: Timestamp) -> DecisionStep {
    let grant = input.granted;
    let requester = input.requester;
    let actor = &requester.actor;
    let window = grant.window;
    let checks = [
        (
            "grant-in-time",
            window.contains(now),
            format!("the grant is valid from {window}"),
            "request a new grant",
        ),
        (
            "purpose-agreed",
            grant.purposes.allow(input.purpose),
            format!("the grant is for {}, not for {}", grant.purposes, input.purpose),
            "use one of the agreed purposes, or have the grant amended",
        ),
        (
            "person-agreed",
            grant.people.allow(actor),
            format!("the grant is for {}, not for {actor}", grant.people),
            "have the grant amended to name the person",
        ),
        (
            "place-agreed",
            grant.places.allow(&input.consumer.jurisdiction),
            format!(
                "answers may be received in {}, not in {}",
                grant.places, input.consumer.jurisdiction
            ),
            "have the grant amended to name the place",
        ),
        (
            "person-of-the-consumer",
            actor.belongs_to(&input.consumer.institution),
            format!("{actor} does not belong to {}", input.consumer.institution),
            "query as a person of the institution that holds the grant",
        ),
        (
            "assertion-for-this-holder",
            requester.audience == input.provider.institution,
            format!("the assertion about {actor} is addressed to {}", requester.audience),
            "query again; a new assertion is made for each query",
        ),
        (
            "assertion-in-time",
            now < requester.expires,
            format!("the assertion about {actor} was valid until {}", requester.expires),
            "query again; a new assertion is made for each query",
        ),
        (
            "dataset-exists",
            input.dataset.is_some_and(|facts| facts.reference == grant.dataset),
            format!("`{}` is not known to you", grant.dataset),
            "ask the holder whether the dataset was erased",
        ),
    ];
    let rules: Vec<DecisionRule> = checks
        .into_iter()
        .map(|(rule, passed, text, remedy)| {
            let reason = RuleReason::new(rule, text, remedy);
            DecisionRule {
                reason,
                effect: RuleEffect::Forbid,
                met: !passed,
            }
        })
        .collect();
    let allowed = rules.iter().all(|rule| !rule.met);
    DecisionStep {
        action: "use-grant".to_owned(),
        about: grant.dataset.to_string(),
        allowed,
        rules,
    }
}

fn authorization_request(input: &QueryInput<'_>, facts: &DatasetFacts, now: Timestamp) -> AuthorizationRequest {
    let requester = input.requester;
    let seconds = |milliseconds: i64| Expr::Long(milliseconds.div_euclid(1000));
    let mut context = entities::purpose(input.purpose);
    context.push(pair("tier", Expr::Entity("Tier", input.granted.tier.to_string())));
    context.push(pair(
        "factors",
        Expr::Entities(
            "Factor",
            requester
                .factors
                .iter()
                .map(|factor| factor_name(*factor).to_owned())
                .collect(),
        ),
    ));
    context.push(pair("as_of", Expr::Bool(input.as_of)));
    context.push(pair("login_age_s", seconds(now.since(requester.authenticated_at))));
    context.extend(
        requester
            .password_reset_at
            .map(|at| pair("password_reset_age_s", seconds(now.since(at)))),
    );
    context.extend(
        requester
            .training_until
            .map(|until| pair("training_left_s", seconds(until.since(now)))),
    );
    let parties = Parties {
        consumer: input.consumer,
        holder: input.provider,
    };
    let person = Requester {
        id: requester.actor.to_string(),
        name: requester.actor.to_string(),
        roles: requester.roles.iter().map(|role| role.as_str().to_owned()).collect(),
    };
    AuthorizationRequest::for_query(parties, person, facts, context)
}

const fn factor_name(factor: Factor) -> &'static str {
    match factor {
        Factor::Password => "password",
        Factor::OneTimeCode => "one-time-code",
        Factor::HardwareKey => "hardware-key",
    }
}
