//! The decision about one request, and what the rules of a set have decided before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use concordat_protocol::decision::{DecisionRule, DecisionStep, RuleEffect, RuleReason};

use crate::request::AuthorizationRequest;

/// Most verdicts that are kept; a kilobyte or two each. When there are more, all are dropped.
const MAX_KEPT: usize = 2048;

/// The decision, with the rules that led to it.
#[derive(Clone)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// Whether the rules permit it although no set may.
    pub(crate) overruled: bool,
    /// The permits that took effect. For a denial: the rules that forbid, then, if nothing permits, the permits that would apply.
    pub(crate) reasons: Vec<RuleReason>,
    pub(crate) step: DecisionStep,
}

impl Verdict {
    /// The same verdict on what `about` names in explanations.
    pub(crate) fn about(mut self, about: &str) -> Self {
        about.clone_into(&mut self.step.about);
        self
    }

    /// The denial of what no set may allow. The reasons of rules that deny it as well stay.
    pub(crate) fn prohibited(mut self, reason: &RuleReason) -> Self {
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

/// What the rules of one policy set have decided, by request.
///
/// They see nothing but the request, so the same request has the same verdict, however often it is made: the offer that a grant is compared with
/// is evaluated again for each query, column by column. A set that comes into force begins without any.
#[derive(Default)]
pub(crate) struct Verdicts(Mutex<HashMap<AuthorizationRequest, Arc<Verdict>>>);

impl Verdicts {
    /// The verdict on the same request.
    pub(crate) fn get(&self, request: &AuthorizationRequest) -> Option<Arc<Verdict>> {
        if request.states_ages {
            return None;
        }
        self.with(|kept| kept.get(request).cloned())
    }

    /// Keeps a verdict, unless the request will not be made again.
    pub(crate) fn add(&self, request: &AuthorizationRequest, verdict: &Arc<Verdict>) {
        if request.states_ages {
            return;
        }
        self.with(|kept| {
            if kept.len() >= MAX_KEPT {
                kept.clear();
            }
            kept.insert(request.clone(), Arc::clone(verdict));
        });
    }

    /// How many are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.with(|kept| kept.len())
    }

    fn with<T>(&self, access: impl FnOnce(&mut HashMap<AuthorizationRequest, Arc<Verdict>>) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
