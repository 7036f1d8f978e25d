//! One authorization request to Cedar.
//!
//! 1. A request is built from facts only, by one of three constructors, which decide first what no set may allow
//!    ([`crate::prohibited`]). Offers, grants, queries of peers, local queries, cases and comparisons have no other way to ask.
//! 2. The rules are asked about a prohibited request too, because their reasons name a remedy, and because a set that permits it is
//!    refused. They do not change the decision.
//! 3. Requests are built against the schema; a request that does not match it is an internal error and is denied. A request is also
//!    denied if any policy could not be evaluated: the rule that failed might be one that forbids.

use std::{collections::HashSet, error::Error};

use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision, Entities, EntityUid, PolicyId, PolicySet, Request, Response,
};

use concordat_protocol::decision::{DecisionRule, DecisionStep, RuleEffect, RuleReason};
use concordat_protocol::{
    policy_set::Reveal,
    scope::{Purpose, Tier},
};

use crate::{
    entities::{self, EntityValue, Expr, Pair, column, dataset, institution, pair, pairs, uid},
    facts::{self, ColumnFacts, DatasetFacts, Parties},
    load::{Loaded, Named, Policy},
    prohibited,
};

/// A person of the consumer.
pub(crate) struct Requester {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
}

/// May the principal perform the action on the resource?
pub(crate) struct AuthorizationRequest {
    principal: EntityValue,
    action: &'static str,
    resource: EntityValue,
    /// Entities that principal and resource refer to.
    others: Vec<EntityValue>,
    context: Vec<Pair>,
    /// What the request is about, in explanations.
    about: String,
    /// Why no set may allow it.
    prohibited: Option<RuleReason>,
}

/// The decision, with the rules that led to it.
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// Whether the rules permit it although no set may.
    pub(crate) overruled: bool,
    /// The permits that took effect. For a denial: the rules that forbid, then, if nothing permits, the permits that would apply.
    pub(crate) reasons: Vec<RuleReason>,
    pub(crate) step: DecisionStep,
}

impl Policy {
    /// Decides one request.
    pub(crate) fn authorize(&self, request: &AuthorizationRequest) -> Verdict {
        let by_rules = self.ask_rules(request);
        match &request.prohibited {
            Some(reason) => by_rules.prohibited(reason),
            None => by_rules,
        }
    }

    /// The decision of the rules alone.
    fn ask_rules(&self, request: &AuthorizationRequest) -> Verdict {
        let loaded = &*self.0;
        match loaded.respond(request) {
            Ok(responses) => loaded.verdict(request, &responses),
            Err(error) => {
                tracing::error!(action = request.action, %error, "an authorization request does not match the policy schema");
                policy_error(request, "the authorization request does not match the policy schema")
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

impl Verdict {
    /// The denial of what no set may allow. The reasons of rules that deny it as well stay.
    fn prohibited(mut self, reason: &RuleReason) -> Self {
        self.overruled = self.allowed;
        if self.allowed {
            self.reasons = vec![reason.clone()];
        }
        self.allowed = false;
        self.step.allowed = false;
        let prohibition = DecisionRule {
            reason: reason.clone(),
            effect: RuleEffect::Forbid,
            met: true,
        };
        self.step.rules.insert(0, prohibition);
        self
    }
}

impl AuthorizationRequest {
    /// May the consumer do this with a dataset of the holder?
    pub(crate) fn for_dataset(
        parties: Parties<'_>,
        action: &'static str,
        facts: &DatasetFacts,
        context: Vec<Pair>,
        about: String,
    ) -> Self {
        Self {
            principal: institution(parties),
            action,
            resource: dataset(facts, parties.holder),
            others: Vec::new(),
            context,
            about,
            prohibited: prohibited::to_institution(parties.consumer, parties.holder),
        }
    }

    /// May the consumer get this column of a dataset in this form, at this tier and for this purpose?
    pub(crate) fn for_column(
        parties: Parties<'_>,
        reveal: Reveal,
        (requested, facts): (&ColumnFacts, &DatasetFacts),
        tier: Tier,
        purpose: &Purpose,
    ) -> Self {
        let mut context = entities::purpose(purpose);
        context.push(pair("tier", Expr::Entity("Tier", tier.to_string())));
        let to_institution = prohibited::to_institution(parties.consumer, parties.holder);
        Self {
            principal: institution(parties),
            action: facts::reveal_action(reveal),
            resource: column(requested, facts),
            others: vec![dataset(facts, parties.holder)],
            context,
            about: requested.name.to_string(),
            prohibited: to_institution.or_else(|| prohibited::of_column(requested, reveal)),
        }
    }

    /// May this person of the consumer query a dataset of the holder?
    pub(crate) fn for_query(
        parties: Parties<'_>,
        requester: Requester,
        facts: &DatasetFacts,
        context: Vec<Pair>,
    ) -> Self {
        let Requester { id, name, roles } = requester;
        let of = Expr::Entity("Institution", parties.consumer.institution.to_string());
        let attributes = vec![
            pair("name", Expr::Text(name)),
            pair("institution", of),
            pair("roles", Expr::Entities("Role", roles)),
        ];
        Self {
            principal: EntityValue("Person", id.clone(), attributes),
            action: "query",
            resource: dataset(facts, parties.holder),
            others: vec![institution(parties)],
            context,
            about: id,
            prohibited: prohibited::to_institution(parties.consumer, parties.holder),
        }
    }

    /// Whether no set may allow it.
    pub(crate) const fn is_prohibited(&self) -> bool {
        self.prohibited.is_some()
    }

    fn step(&self, allowed: bool, rules: Vec<DecisionRule>) -> DecisionStep {
        DecisionStep {
            action: self.action.to_owned(),
            about: self.about.clone(),
            allowed,
            rules,
        }
    }
}
