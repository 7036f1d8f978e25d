//! Test cases that a steward writes: who requests what, and the expected decision.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ColumnName, InstitutionId, Jurisdiction};
use crate::schema::ColumnClass;
use crate::scope::Tier;

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It is permitted.
    Permit,
    /// It is denied.
    Deny,
}

/// How a column would be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Reveal {
    /// Unchanged.
    Clear,
    /// Generalized.
    Generalized,
    /// As a pseudonym.
    Pseudonym,
}

impl Reveal {
    /// All of them, from the full value down.
    pub const ALL: [Self; 3] = [Self::Clear, Self::Generalized, Self::Pseudonym];
}

/// One case: may this member receive a column of this class in this form, at this tier, for this purpose?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyCase))]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The requesting member; by default an active one in the holder's own jurisdiction.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub institution: Option<InstitutionId>,
    /// Its jurisdiction (ISO 3166-1 alpha-2).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub jurisdiction: Option<Jurisdiction>,
    /// The class of the column; by default it has none.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub class: Option<ColumnClass>,
    /// The name of the column, if a rule depends on it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub column: Option<ColumnName>,
    /// How much an answer reveals.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub tier: Tier,
    /// The purpose, as in `grant request --purpose`.
    pub purpose: String,
    /// How the column would be released.
    pub reveal: Reveal,
    /// The expected decision.
    pub expect: Decision,
}

/// The result of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CaseOutcome {
    /// The request, as text.
    pub case: String,
    /// Whether the decision was the expected one.
    pub passed: bool,
    /// The decision, or why the case cannot be run.
    pub found: String,
}

impl fmt::Display for CaseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_case_is_read_and_written_whole() {
        for (reveal, expect) in [("clear", "permit"), ("generalized", "deny"), ("pseudonym", "permit")] {
            let text = serde_json::json!({
                "institution": "zurich",
                "jurisdiction": "CH",
                "class": "sensitive",
                "column": "sex",
                "tier": "records",
                "purpose": "health-research",
                "reveal": reveal,
                "expect": expect,
            });
            let case: Case = serde_json::from_value(text.clone()).unwrap();
            assert_eq!(serde_json::to_value(case).unwrap(), text);
        }
    }
}
