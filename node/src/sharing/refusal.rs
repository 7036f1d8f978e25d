//! Refusals as requesters receive them.

use concordat_protocol::error_kind::Explain;
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};
use concordat_storage::engine::QueryError;

/// A failure of this node.
pub(super) fn failed(text: &str) -> Refusal {
    Refusal::because(RefusalCode::Failed, text)
}

/// A mistake in the query.
pub(super) fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::because(RefusalCode::Invalid, text)
}

/// An error of the engine as a refusal for the requester; its text reveals no value of the data.
pub(super) fn refusal_of(error: &QueryError) -> Refusal {
    Refusal::because(error.kind().into(), error.to_string())
}

/// A decision of the policy.
pub(super) fn denied(reasons: Vec<concordat_protocol::decision::RuleReason>) -> Refusal {
    let to_wire = |reason: concordat_protocol::decision::RuleReason| Reason {
        text: reason.text,
        remedy: reason.remedy,
        rule: Some(reason.rule),
    };
    Refusal {
        code: RefusalCode::Denied,
        reasons: reasons.into_iter().map(to_wire).collect(),
    }
}
