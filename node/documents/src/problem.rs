//! What is returned when something did not work.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A problem document (RFC 9457): what happened, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemDocument {
    /// Names the kind of problem, for programs.
    #[serde(rename = "type")]
    pub uri: String,
    /// The kind, as a code: `internal`, `usage`, `denied`, `not_found`, `unreachable`, `integrity` or `locked`.
    pub code: String,
    /// The kind, as a sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// Why, one reason each.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}
