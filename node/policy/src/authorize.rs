//! One authorization request to Cedar.
//!
//! 1. A request is built from facts only ([`crate::request`]), and what no set may allow is decided with it.
//! 2. The rules are asked about a prohibited request too, because their reasons name a remedy, and because a set that permits it is
//!    refused. They do not change the decision.
//! 3. What the rules have decided about the same facts is known ([`crate::verdict`]). If they see no names of columns, it is the same for all
//!    columns of one class and kind ([`crate::column_names`]).
//! 4. Requests are built against the schema; a request that does not match it is an internal error and is denied. A request is also
//!    denied if any policy could not be evaluated: the rule that failed might be one that forbids.

use std::{collections::HashSet, error::Error, sync::Arc};

use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision, Entities, EntityUid, PolicyId, PolicySet, Request, Response,
};

use concordat_protocol::decision::{DecisionRule, RuleEffect, RuleReason};

use crate::entities::{EntityValue, pairs, uid};
use crate::load::{Loaded, Named, Policy};
use crate::request::AuthorizationRequest;
use crate::verdict::Verdict;

impl Policy {
    /// Decides one request.
    pub(crate) fn authorize(&self, request: &AuthorizationRequest) -> Verdict {
        let by_rules = Verdict::clone(&self.ask_rules(request)).about(request.about());
        match &request.prohibited {
            Some(reason) => by_rules.prohibited(reason),
            None => by_rules,
        }
    }

    /// The same decision without the rules that led to it.
    ///
    /// # Errors
    /// The reasons of a denial.
    pub(crate) fn check(&self, request: &AuthorizationRequest) -> Result<(), Vec<RuleReason>> {
        let by_rules = self.ask_rules(request);
        match &request.prohibited {
            None if by_rules.allowed => Ok(()),
            Some(reason) if by_rules.allowed => Err(vec![reason.clone()]),
            None | Some(_) => Err(by_rules.reasons.clone()),
        }
    }

    /// The decision of the rules alone.
    fn ask_rules(&self, request: &AuthorizationRequest) -> Arc<Verdict> {
        let loaded = &*self.0;
        let nameless = Some(request).filter(|_| !loaded.names_matter);
        let seen = nameless.and_then(AuthorizationRequest::without_names);
        let seen = seen.as_ref().unwrap_or(request);
        loaded.verdicts.get(seen).unwrap_or_else(|| self.ask_cedar(seen))
    }

    /// The same, evaluated by Cedar.
    pub(crate) fn ask_cedar(&self, request: &AuthorizationRequest) -> Arc<Verdict> {
        let loaded = &*self.0;
        match loaded.respond(request) {
            Ok(responses) => {
                let verdict = Arc::new(loaded.verdict(request, &responses));
                loaded.verdicts.add(request, &verdict);
                verdict
            }
            Err(error) => {
                tracing::error!(action = request.action, %error, "an authorization request does not match the policy schema");
                Arc::new(policy_error(
                    request,
                    "the authorization request does not match the policy schema",
                ))
            }
        }
    }
}

/// The response of the whole set and, after a denial, the response of the permits alone.
struct Responses {
    set: Response,
    permits: Option<Response>,
}

impl Loaded {
    fn respond(&self, request: &AuthorizationRequest) -> Result<Responses, Box<dyn Error>> {
        let principal = request.principal.uid()?;
        let resource = request.resource.uid()?;
        let action = uid("Action", request.action)?;
        let context = Context::from_pairs(pairs(&request.context)?)?;
        let cedar_request = Request::new(principal, action, resource, context, Some(&self.schema))?;
        let values = [&request.principal, &request.resource]
            .into_iter()
            .chain(&request.others);
        let entities = Entities::from_entities(
            values.map(EntityValue::entity).collect::<Result<Vec<_>, _>>()?,
            Some(&self.schema),
        )?;
        let evaluate = |set: &PolicySet| Authorizer::new().is_authorized(&cedar_request, set, &entities);
        let set = evaluate(&self.set);
        let permits = (set.decision() == Decision::Deny).then(|| evaluate(&self.permits));
        Ok(Responses { set, permits })
    }

    fn verdict(&self, request: &AuthorizationRequest, responses: &Responses) -> Verdict {
        let failed: Vec<String> = responses.set.diagnostics().errors().map(ToString::to_string).collect();
        if !failed.is_empty() {
            tracing::error!(action = request.action, errors = ?failed, "a policy could not be evaluated");
            return policy_error(request, "a policy could not be evaluated");
        }
        let allowed = responses.set.decision() == Decision::Allow;
        let permits = responses
            .permits
            .iter()
            .flat_map(|permits| permits.diagnostics().reason());
        let took_effect: HashSet<&PolicyId> = responses.set.diagnostics().reason().chain(permits).collect();
        let is_permitted = |permits: &Response| permits.decision() == Decision::Allow;
        let permitted = responses.permits.as_ref().map_or(allowed, is_permitted);
        let rules: Vec<DecisionRule> = self
            .applicable(request.action)
            .map(|named| rule(named, &took_effect))
            .collect();
        let decides = |rule: &DecisionRule| match rule.effect {
            RuleEffect::Permit => rule.met == allowed && (allowed || !permitted),
            RuleEffect::Forbid => rule.met,
        };
        let (forbids, permits): (Vec<&DecisionRule>, Vec<&DecisionRule>) = rules
            .iter()
            .filter(|rule| decides(rule))
            .partition(|rule| rule.effect == RuleEffect::Forbid);
        let mut reasons: Vec<RuleReason> = forbids
            .into_iter()
            .chain(permits)
            .map(|rule| rule.reason.clone())
            .collect();
        if reasons.is_empty() {
            reasons.push(RuleReason::new(
                "no-permit",
                format!("no rule permits `{}`", request.action),
                "the data steward of the holder can add one",
            ));
        }
        Verdict {
            allowed,
            overruled: false,
            reasons,
            step: request.step(allowed, rules),
        }
    }

    /// The rules that apply to the action.
    fn applicable(&self, action: &str) -> impl Iterator<Item = &Named> {
        let requested = uid("Action", action).ok();
        self.rules.iter().filter(move |named| {
            let covers = |wanted: &EntityUid| {
                requested
                    .as_ref()
                    .is_some_and(|requested| requested == wanted || self.actions.is_ancestor_of(wanted, requested))
            };
            match named.policy.action_constraint() {
                ActionConstraint::Any => true,
                ActionConstraint::Eq(wanted) => covers(&wanted),
                ActionConstraint::In(any) => any.iter().any(covers),
            }
        })
    }
}

fn rule(named: &Named, took_effect: &HashSet<&PolicyId>) -> DecisionRule {
    DecisionRule {
        reason: named.reason.clone(),
        effect: named.effect,
        met: took_effect.contains(&named.id),
    }
}

fn policy_error(request: &AuthorizationRequest, what: &str) -> Verdict {
    let reason = RuleReason::new(
        "policy-error",
        what,
        "the holder's log names it; its data steward can fix it",
    );
    Verdict {
        allowed: false,
        overruled: false,
        reasons: vec![reason],
        step: request.step(false, Vec::new()),
    }
}
