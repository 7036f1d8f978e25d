//! Refusals as requesters receive them.

use concordat_engine::QueryError;
use concordat_protocol::error_kind::Explain;
use concordat_protocol::ids::DatasetName;
use concordat_protocol::schema::VersionNumber;
use concordat_protocol::wire::messages::{Reason, Refusal, RefusalCode};

/// A failure of this node.
pub(super) fn failed(text: &str) -> Refusal {
    Refusal::because(RefusalCode::Failed, text)
}

/// A mistake in the query, which breaks `rule`.
pub(super) fn invalid(rule: &'static str, text: impl Into<String>) -> Refusal {
    Refusal::of_rule(RefusalCode::Invalid, Some(rule), text)
}

/// The subjects of the dataset have no ordinals in the version that is queried.
pub(super) fn not_numbered(dataset: &DatasetName, version: VersionNumber) -> Refusal {
    let text = format!(
        "version {version} of dataset `{dataset}` was imported before subjects were numbered, and answers only at `records`"
    );
    let remedy = format!(
        "a data steward of its institution creates a version with `concordat dataset index {dataset}`, or imports it again with \
         `--replace`"
    );
    Refusal {
        code: RefusalCode::Invalid,
        reasons: vec![Reason {
            text,
            remedy: Some(remedy),
            rule: Some("subjects-numbered".to_owned()),
        }],
    }
}

/// An error of the engine as a refusal for the requester; its text reveals no value of the data.
pub(super) fn refusal_of(error: &QueryError) -> Refusal {
    Refusal::of_rule(error.kind().into(), limit_of(error), error.to_string())
}

/// The rule behind an error of the engine, if it is a limit or a rule about what a query may state; the others are in its text.
#[expect(clippy::wildcard_enum_match_arm, reason = "most errors are about one query's text")]
fn limit_of(error: &QueryError) -> Option<&'static str> {
    match error {
        QueryError::OtherVersion => Some("version-as-stated"),
        QueryError::TooManyRows { .. } => Some("rows-an-answer"),
        QueryError::TooManyGroups { .. } => Some("groups-a-query"),
        QueryError::Memory => Some("memory-a-query"),
        QueryError::Ended => Some("engine-limits"),
        QueryError::Deadline => Some("time-a-query"),
        _ => None,
    }
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
