//! Decisions of a policy, rule by rule.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It is permitted.
    Permit,
    /// It is denied.
    Deny,
}

/// One step of a decision. It reveals what is hidden from other institutions, and is for the holder's own people only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionStep {
    /// The action, for example `reveal-clear`.
    pub action: String,
    /// The subject, for example a column or a purpose.
    pub about: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// All rules that apply, in the order of the policy set.
    pub rules: Vec<DecisionRule>,
}

/// A rule that applies to a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRule {
    /// Its reason.
    pub reason: RuleReason,
    /// Whether it permits or forbids.
    pub effect: RuleEffect,
    /// Whether its conditions were met, so that it took effect.
    pub met: bool,
}

/// The reason of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleReason {
    /// The rule's id: the `@id` of a policy, or the name of a check that no policy can switch off.
    pub rule: String,
    /// The reason as text, for people.
    pub text: String,
    /// What would change the decision.
    pub remedy: Option<String>,
}

/// What a rule does if its conditions are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleEffect {
    /// Without at least one such rule, everything is denied.
    Permit,
    /// One such rule is enough to deny.
    Forbid,
}
