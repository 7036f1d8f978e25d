//! Decisions of the policy as documents.

use concordat_documents::decision::{DecisionRule, DecisionStep, RuleEffect, RuleReason};

use concordat_policy::{Effect, Explanation, Reason, Rule};

/// The steps of a decision, in the order in which they were decided.
pub(super) fn steps(explanation: Explanation) -> Vec<DecisionStep> {
    let steps = explanation.steps.into_iter().map(|step| DecisionStep {
        action: step.action,
        about: step.about,
        allowed: step.allowed,
        rules: step.rules.into_iter().map(rule).collect(),
    });
    steps.collect()
}

fn rule(rule: Rule) -> DecisionRule {
    let Reason { rule: id, text, remedy } = rule.reason;
    DecisionRule {
        reason: RuleReason { rule: id, text, remedy },
        effect: match rule.effect {
            Effect::Permit => RuleEffect::Permit,
            Effect::Forbid => RuleEffect::Forbid,
        },
        met: rule.met,
    }
}
