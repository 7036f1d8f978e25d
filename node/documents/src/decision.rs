//! Decisions of a policy, rule by rule.

pub use concordat_protocol::decision::{DecisionRule, DecisionStep, RuleEffect, RuleReason};
pub use concordat_protocol::policy_set::Decision;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is known to be missing for a query before any policy decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// The name of what is missing, for example `peer-connected` or `grant-active`.
    pub rule: String,
    /// What is missing, as a sentence.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl Missing {
    /// What is missing, and what to do about it.
    pub fn new(rule: &str, what: String, help: Option<&str>) -> Self {
        Self {
            rule: rule.to_owned(),
            what,
            help: help.map(str::to_owned),
        }
    }
}
