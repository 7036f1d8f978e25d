//! Decisions of a policy, rule by rule.

pub use concordat_protocol::decision::{DecisionRule, DecisionStep, RuleEffect, RuleReason};
pub use concordat_protocol::policy_set::Decision;
