//! `concordat why`.

use concordat_documents::decision::{DecisionRule, DecisionStep, Missing, RuleEffect};
use concordat_documents::problem::Problem;
use concordat_documents::why::{QueryDecision, Why, WhyRequest};
use concordat_protocol::scope::Purpose;
use serde::Serialize;

use crate::context::Context;
use crate::grant::ShownGrant;
use crate::output::Format;
use crate::query::without_margin;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A grant, a request id from the ledger, or a SELECT in quotes
    subject: String,
    /// The purpose, if the grants permit several
    #[arg(long)]
    purpose: Option<Purpose>,
}

/// The lists whose elements are sentences: in a table, each has a line.
const LISTS: [&str; 5] = ["missing", "steps", "reasons", "narrowings", "policy"];

pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Problem> {
    let request = WhyRequest {
        subject: without_margin(&args.subject).to_owned(),
        purpose: args.purpose,
    };
    let answer: Why = context.client()?.post("/v1/why", &request).await?;
    if context.out.format() == Format::Json {
        return context.out.record(&answer);
    }
    match answer {
        Why::Query(decision) => context.out.record_with_lists(&Shown::from(decision), &LISTS),
        Why::Recorded(decision) => context.out.record_with_lists(&decision, &LISTS),
        Why::Grant(grant) => {
            let mut grant = *grant;
            let missing = std::mem::take(&mut grant.missing)
                .into_iter()
                .map(missing_line)
                .collect();
            let policy = grant.policy.as_deref().map(lines);
            let shown = ShownGrant::explained(grant, missing, policy);
            context.out.record_with_lists(&shown, &LISTS)
        }
    }
}

/// A decision in a table: first what is missing; its steps by the policy are sentences, and replace the steps in the decision.
#[derive(Serialize)]
struct Shown {
    missing: Vec<String>,
    #[serde(flatten)]
    decision: QueryDecision,
    policy: Vec<String>,
}

impl From<QueryDecision> for Shown {
    fn from(mut decision: QueryDecision) -> Self {
        let (QueryDecision::Permit { missing, policy, .. } | QueryDecision::Deny { missing, policy, .. }) =
            &mut decision;
        Self {
            missing: std::mem::take(missing).into_iter().map(missing_line).collect(),
            policy: lines(policy),
            decision,
        }
    }
}

/// What is missing, and what to do.
fn missing_line(missing: Missing) -> String {
    match missing.help {
        Some(help) => format!("{}: {help}", missing.what),
        None => missing.what,
    }
}

/// Steps of a policy decision, each with the rules that took effect. If nothing permits a step, the rules that could have are named.
fn lines(steps: &[DecisionStep]) -> Vec<String> {
    let of_step = |step: &DecisionStep| {
        let decision = if step.allowed { "yes" } else { "no" };
        let head = format!("{decision}: {} of {}", step.action, step.about);
        let rules: Vec<String> = step.rules.iter().filter_map(|rule| line(rule, step.allowed)).collect();
        std::iter::once(head).chain(rules)
    };
    steps.iter().flat_map(of_step).collect()
}

fn line(rule: &DecisionRule, allowed: bool) -> Option<String> {
    let id = &rule.reason.rule;
    match (rule.met, rule.effect) {
        (true, RuleEffect::Permit) => Some(format!("  permitted by {id}")),
        (true, RuleEffect::Forbid) => Some(format!("  forbidden by {id}: {}", rule.reason.text)),
        (false, RuleEffect::Permit) if !allowed => {
            Some(format!("  {id} would permit it, but its conditions are not met"))
        }
        (false, RuleEffect::Permit) => None,
        (false, RuleEffect::Forbid) => None,
    }
}

#[cfg(test)]
mod tests {
    use concordat_documents::decision::RuleReason;

    use super::*;

    #[test]
    fn step_is_shown_with_the_rules_that_explain_it() {
        let rule = |id: &str, effect, met| DecisionRule {
            reason: RuleReason {
                rule: id.to_owned(),
                text: "why".to_owned(),
                remedy: None,
            },
            effect,
            met,
        };
        let rules = vec![
            rule("opens", RuleEffect::Permit, false),
            rule("closes", RuleEffect::Forbid, true),
            rule("idle", RuleEffect::Forbid, false),
        ];
        let step = |allowed| DecisionStep {
            action: "reveal-clear".to_owned(),
            about: "age".to_owned(),
            allowed,
            rules: rules.clone(),
        };
        let denied = [
            "no: reveal-clear of age",
            "  opens would permit it, but its conditions are not met",
            "  forbidden by closes: why",
        ];
        assert_eq!(lines(&[step(false)]), denied);
        assert_eq!(
            lines(&[step(true)]),
            ["yes: reveal-clear of age", "  forbidden by closes: why"]
        );
        let shown = Shown::from(QueryDecision::Permit {
            missing: vec![Missing::new(
                "peer-connected",
                "it is not connected".to_owned(),
                Some("call"),
            )],
            steps: vec!["s".to_owned()],
            policy: vec![step(false)],
        });
        assert_eq!(
            serde_json::to_value(shown).unwrap(),
            serde_json::json!({ "missing": ["it is not connected: call"], "decision": "permit", "steps": ["s"], "policy": denied })
        );
    }
}
