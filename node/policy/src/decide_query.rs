//! Decides whether one person may run one query now.

mod agreement;
mod decision;
pub(crate) mod known;
mod local;

use concordat_protocol::{
    decision::{DecisionStep, RuleReason},
    ids::{ColumnName, DatasetName},
    query::Factor,
    scope::{Columns, DatasetScope, Datasets, InvalidScope, Part, People, Purposes, Scope, Tier},
    time::Timestamp,
};

pub use decision::{LocalInput, QueryDecision, QueryInput};

use crate::{
    entities::{self, Expr, pair},
    explanation::Explanation,
    facts::{CollectionFacts, Parties},
    load::Policy,
    offer::{Narrowing, OfferDecision, OfferInput, is_across_grants},
    request::{AuthorizationRequest, Requester},
};

/// Compares an agreed scope with what a set allows now.
type Comparison = fn(&Policy, &OfferInput<'_>) -> OfferDecision;

impl Policy {
    /// Decides a query under a grant.
    pub fn decide(&self, input: &QueryInput<'_>, now: Timestamp) -> QueryDecision {
        self.evaluate(input, now, known::still_allowed).0
    }

    /// As [`Self::decide`], with the decision rule by rule.
    pub fn explain(&self, input: &QueryInput<'_>, now: Timestamp) -> (QueryDecision, Explanation) {
        self.evaluate(input, now, Self::still_allowed)
    }

    /// The decision, with the steps that `still_allowed` explains.
    fn evaluate(
        &self,
        input: &QueryInput<'_>,
        now: Timestamp,
        still_allowed: Comparison,
    ) -> (QueryDecision, Explanation) {
        let mut explanation = Explanation {
            steps: vec![agreement::step(input, now)],
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
        let (current, steps) = self.current_scope(input, now, still_allowed);
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

    /// Compares the grant, for this person and purpose, with what policies allow now. Limits that have become narrower, and a protection that
    /// reveals less, apply immediately. Any other part that has become narrower makes the grant unusable until policies allow it again. What the dataset has
    /// lost is not allowed less: a grant covers the columns that are left.
    fn current_scope(
        &self,
        input: &QueryInput<'_>,
        now: Timestamp,
        still_allowed: Comparison,
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
        match still_allowed(self, &offer_input) {
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
        Part::Limits | Part::Protection => true,
        Part::Window => current.window.contains(now),
        Part::Collection | Part::Tier | Part::Subjects | Part::Datasets => false,
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

/// The columns of the dataset that there are; `None` if there is no such dataset, or if it has lost all columns that the grant shows.
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
    let is_lost = used.columns.is_empty() && !granted.columns.is_empty();
    Ok((input.granted.tier < Tier::Aggregate || !is_lost).then(|| (name.clone(), used)))
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
