//! The reasons of a decision.

use std::fmt;

use serde::Serialize;

/// Whether a rule permits or forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Without at least one such rule, everything is denied.
    Permit,
    /// One such rule is enough to deny.
    Forbid,
}

/// One reason of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The rule's id: the `@id` of a policy, or the name of a check that no policy can switch off.
    pub rule: String,
    /// The reason as text, for people.
    pub text: String,
    /// What would change the decision.
    pub remedy: Option<String>,
}

impl Reason {
    pub(crate) fn new(rule: &str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            rule: rule.to_owned(),
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// The same reason, with `what` as its subject.
    pub(crate) fn about(mut self, what: impl fmt::Display) -> Self {
        self.text = format!("`{what}`: {}", self.text);
        self
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.text, self.rule)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "; {remedy}"))
    }
}

/// A rule that applies to a step, and whether its conditions were met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its reason.
    pub reason: Reason,
    /// Whether it permits or forbids.
    pub effect: Effect,
    /// Whether its conditions were met, so that it took effect.
    pub met: bool,
}

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The action, for example `reveal-clear`.
    pub action: String,
    /// The subject, for example a column or a purpose.
    pub about: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// All rules that apply, in the order of the policy set.
    pub rules: Vec<Rule>,
}

/// A decision rule by rule, for the holder's own people only: it reveals what is hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The steps in the order in which they were decided.
    pub steps: Vec<Step>,
}
