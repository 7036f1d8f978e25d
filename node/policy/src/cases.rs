//! Test cases that a steward writes: who requests what, and the expected decision.

use std::fmt;

use concordat_protocol::membership::MemberStatus;
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::{
    ids::{ColumnName, InstitutionId, Jurisdiction},
    schema::{ColumnClass, ColumnKind},
};
use serde::{Deserialize, Serialize};

use crate::authorize::Parties;
use crate::facts::{ColumnFacts, Party, Reveal};
use crate::load::Policy;
use crate::matrix;
use crate::sample::RequestSpace;

/// The expected decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Permitted.
    Permit,
    /// Denied.
    Deny,
}

/// One case: may this member receive a column of this class in this form, at this tier, for this purpose?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The requesting member; by default an active one in the holder's own jurisdiction.
    #[serde(default)]
    pub institution: Option<InstitutionId>,
    /// Its jurisdiction.
    #[serde(default)]
    pub jurisdiction: Option<Jurisdiction>,
    /// The class of the column; by default `unclassified`.
    #[serde(default)]
    pub class: Option<ColumnClass>,
    /// The name of the column, if a rule depends on it.
    #[serde(default)]
    pub column: Option<ColumnName>,
    /// How much an answer reveals.
    pub tier: Tier,
    /// The purpose, as in `grant request --purpose`.
    pub purpose: String,
    /// How the column would be released.
    pub reveal: Reveal,
    /// The expected decision.
    pub expect: Expected,
}

/// The result of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

impl Case {
    /// Runs the case against a policy set.
    pub fn run(&self, policy: &Policy, space: &RequestSpace) -> CaseOutcome {
        let unusable = |why: &str| CaseOutcome {
            case: format!("{self:?}"),
            passed: false,
            found: why.to_owned(),
        };
        let Ok(purpose) = self.purpose.parse::<Purpose>() else {
            return unusable("this purpose does not exist");
        };
        let (Some(any), Some(dataset)) = (space.members.first(), space.datasets.first()) else {
            return unusable("there is no member that could request it");
        };
        let listed = self.institution.as_ref().and_then(|institution| {
            let mut members = space.members.iter();
            members.find(|member| member.institution == *institution)
        });
        let member = Party {
            institution: self.institution.clone().unwrap_or_else(|| any.institution.clone()),
            jurisdiction: self
                .jurisdiction
                .clone()
                .unwrap_or_else(|| listed.unwrap_or(any).jurisdiction.clone()),
            status: listed.map_or(Some(MemberStatus::Active), |listed| listed.status),
        };
        let name = self.column.clone().or_else(|| ColumnName::new("age").ok());
        let Some(name) = name else {
            return unusable("there is no column");
        };
        let column = ColumnFacts::new(name, self.class, ColumnKind::Int);
        let parties = Parties {
            consumer: &member,
            holder: &space.holder,
        };
        let (line, request) = matrix::reveal(parties, (&column, dataset), self.reveal, self.tier, &purpose);
        let allowed = policy.authorize(&request).allowed;
        CaseOutcome {
            case: line,
            passed: allowed == (self.expect == Expected::Permit),
            found: if allowed { "permitted" } else { "denied" }.to_owned(),
        }
    }
}
