//! Decisions of a policy, rule by rule.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One step of a decision. It reveals what is hidden from other institutions, and is for the holder's own people only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DecisionRule {
    /// Its reason.
    pub reason: RuleReason,
    /// Whether it permits or forbids.
    pub effect: RuleEffect,
    /// Whether its conditions were met, so that it took effect.
    pub met: bool,
}

/// What a rule does if its conditions are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RuleEffect {
    /// Without at least one such rule, everything is denied.
    Permit,
    /// One such rule is enough to deny.
    Forbid,
}

/// The reason of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RuleReason {
    /// The rule's id: the `@id` of a policy, or the name of a check that no policy can switch off.
    pub rule: String,
    /// The reason as text, for people.
    pub text: String,
    /// What would change the decision.
    pub remedy: Option<String>,
}

impl RuleReason {
    /// The reason of `rule`, with a remedy.
    pub fn new(rule: &str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            rule: rule.to_owned(),
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// The same reason, with `what` as its subject.
    #[must_use]
    pub fn about(mut self, what: impl fmt::Display) -> Self {
        self.text = format!("`{what}`: {}", self.text);
        self
    }
}

impl fmt::Display for RuleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.text, self.rule)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "; {remedy}"))
    }
}
