//! Decides whether one person may run one query now.

use concordat_protocol::decision::{DecisionRule, DecisionStep, RuleEffect, RuleReason};
use concordat_protocol::{
    ids::{ColumnName, DatasetName},
    query::{ActorAssertion, Factor},
    scope::{
        Columns, DatasetScope, Datasets, InvalidScope, Part, People, Places, Purpose, Purposes, Scope, Tier, Window,
    },
    time::Timestamp,
};

use crate::{
    entities::{self, Expr, pair},
    explanation::Explanation,
    facts::{CollectionFacts, Parties, Party},
    load::Policy,
    max_scope::whole,
    offer::{HeldScope, Narrowing, OfferDecision, OfferInput, Refusal, is_across_grants},
    request::{AuthorizationRequest, Requester},
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
    pub collection: Option<&'a CollectionFacts>,
    /// What the consumer has of the dataset under grants that were agreed before this one and have not ended, the oldest first.
    pub earlier: &'a [HeldScope],
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
    pub collection: Option<&'a CollectionFacts>,
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
        let Some(facts) = input.collection else {
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
            collection: Some(facts),
            request: &request,
            held: &[],
        };
        let query = QueryInput {
            granted: &request,
            requester: input.requester,
            purpose: input.purpose,
            as_of: input.as_of,
            consumer: input.holder,
            provider: input.holder,
            collection: Some(facts),
            earlier: &[],
        };
        match self.offer(&offer_input, now) {
            OfferDecision::Offer(offer) => {
                let granted = QueryInput {
                    granted: &offer.scope,
                    ..query
                };
                self.evaluate(&granted, now)
            }
            OfferDecision::Refused(refusal) => self.refuse_local(refusal, &query, facts, now),
        }
    }

    /// The refusal of a query by one of the holder's own people, with everything that is missing: what the dataset lacks, and what the person
    /// does. Whether the dataset exists is not hidden from them.
    fn refuse_local(
        &self,
        refusal: Refusal,
        query: &QueryInput<'_>,
        facts: &CollectionFacts,
        now: Timestamp,
    ) -> (QueryDecision, Explanation) {
        let mut reasons = if refusal.hides_the_dataset() {
            why_hidden(&refusal, facts)
        } else {
            refusal.reasons
        };
        let mut explanation = refusal.explanation;
        let verdict = self.authorize(&authorization_request(query, facts, now));
        if !verdict.allowed {
            reasons.extend(verdict.reasons);
        }
        explanation.steps.push(verdict.step);
        (QueryDecision::Deny { reasons }, explanation)
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
        if let Some(facts) = input.collection {
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
    /// immediately. Any other part that has become narrower makes the grant unusable until policies allow it again. What the dataset has
    /// lost is not allowed less: a grant covers the columns that are left.
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
        let Some(request) = request.filter(|request| !is_without_columns(input.granted, request)) else {
            return (Err(vec![columns_lost(input.granted)]), Explanation::default());
        };
        let offer_input = OfferInput {
            consumer: input.consumer,
            provider: input.provider,
            collection: input.collection,
            request: &request,
            held: input.earlier,
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
            OfferDecision::Offer(offer) => (
                Err(offer.narrowings.into_iter().map(no_longer_allowed).collect()),
                offer.explanation,
            ),
            OfferDecision::Refused(refusal) => (Err(refusal.reasons), refusal.explanation),
        }
    }
}

/// Why the holder's own people do not see a dataset: the rules that forbid it, or that none permits it.
fn why_hidden(refusal: &Refusal, facts: &CollectionFacts) -> Vec<RuleReason> {
    let rules = refusal.explanation.steps.iter().flat_map(|step| &step.rules);
    let forbidding: Vec<RuleReason> = rules
        .filter(|rule| rule.met && rule.effect == RuleEffect::Forbid)
        .map(|rule| rule.reason.clone())
        .collect();
    if !forbidding.is_empty() {
        return forbidding;
    }
    vec![RuleReason::new(
        "dataset-not-visible",
        format!("no rule of your own policy set lets you see `{}`", facts.reference),
        "a person who manages the policy can permit `see-dataset`: see `concordat policy show`",
    )]
}

/// The reason why a grant is unusable of which policies now allow less.
fn no_longer_allowed(Narrowing { difference, reason }: Narrowing) -> RuleReason {
    let text = format!(
        "the grant has `{}`, and policy now allows `{}`: {}",
        difference.requested, difference.offered, reason.text
    );
    match &reason.remedy {
        Some(remedy) if is_across_grants(&reason) => RuleReason::new(&reason.rule, text, remedy),
        Some(_) | None => RuleReason::new(
            &reason.rule,
            text,
            "request a new grant with `concordat grant request`: it covers what policy allows now",
        ),
    }
}

/// Whether the grant can still be used although this part is narrower now.
fn is_usable(narrowing: &Narrowing, current: &Scope, now: Timestamp) -> bool {
    match narrowing.difference.part {
        Part::Limits => true,
        Part::Window => current.window.contains(now),
        Part::Collection | Part::Tier | Part::Protection | Part::Subjects | Part::Datasets => false,
        Part::Columns | Part::Rows | Part::Purposes | Part::People | Part::Places => false,
    }
}

/// The part of the grant that this query uses; `None` if the collection has lost all its datasets. A column or a dataset that the
/// collection has lost is unknown. A row condition on a lost column stays: it decides which rows leave, so it is not ignored.
fn used_scope(input: &QueryInput<'_>) -> Result<Option<Scope>, InvalidScope> {
    let used: Result<Vec<_>, InvalidScope> = input
        .granted
        .datasets
        .iter()
        .filter_map(|(name, granted)| used_dataset(input, name, granted).transpose())
        .collect();
    let used = used?;
    if used.is_empty() {
        return Ok(None);
    }
    Ok(Some(Scope {
        datasets: Datasets::new(used)?,
        purposes: Purposes::new([input.purpose.clone()])?,
        people: People::only([input.requester.actor.clone()])?,
        ..input.granted.clone()
    }))
}

/// The columns of the dataset that there are; `None` if there is no such dataset.
fn used_dataset(
    input: &QueryInput<'_>,
    name: &DatasetName,
    granted: &DatasetScope,
) -> Result<Option<(DatasetName, DatasetScope)>, InvalidScope> {
    let known = input.collection.map(|facts| facts.dataset(name));
    if matches!(known, Some(None)) {
        return Ok(None);
    }
    let known = known.flatten();
    let exists = |column: &ColumnName| known.is_none_or(|dataset| dataset.column(column).is_some());
    let columns = granted.columns.iter().filter(|(column, _)| exists(column));
    let used = DatasetScope {
        columns: Columns::new(columns.map(|(column, transform)| (column.clone(), transform)))?,
        rows: granted.rows.clone(),
    };
    Ok(Some((name.clone(), used)))
}

/// Whether the collection has lost all columns of a grant that is about columns.
fn is_without_columns(granted: &Scope, used: &Scope) -> bool {
    let has_none = used.datasets.count_columns() == 0;
    granted.tier >= Tier::Aggregate && has_none && granted.datasets.count_columns() > 0
}

fn columns_lost(granted: &Scope) -> RuleReason {
    RuleReason::new(
        "columns-exist",
        format!("`{}` no longer has any column of the grant", granted.collection),
        "see `concordat catalog` for its columns, and request a new grant",
    )
}

/// Everything that the holder's own people could query in a dataset.
fn full_scope(input: &LocalInput<'_>, facts: &CollectionFacts, now: Timestamp) -> Result<Scope, InvalidScope> {
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
            "use one of the agreed purposes, or request a grant for this one",
        ),
        (
            "person-agreed",
            grant.people.allow(actor),
            format!("the grant is for {}, not for {actor}", grant.people),
            "request a grant that names the person",
        ),
        (
            "place-agreed",
            grant.places.allow(&input.consumer.jurisdiction),
            format!(
                "answers may be received in {}, not in {}",
                grant.places, input.consumer.jurisdiction
            ),
            "request a grant that names the place",
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
            input
                .collection
                .is_some_and(|facts| facts.reference == grant.collection),
            format!("`{}` is not known to you", grant.collection),
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
        about: grant.collection.to_string(),
        allowed,
        rules,
    }
}

fn authorization_request(input: &QueryInput<'_>, facts: &CollectionFacts, now: Timestamp) -> AuthorizationRequest {
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
    context.extend(
        requester
            .training_course
            .as_ref()
            .map(|course| pair("training", entities::text(course))),
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
