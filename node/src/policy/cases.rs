//! Cases that a steward writes: who asks for what, and what has to come out.

use std::fmt;

use concordat_protocol::membership::MemberStatus;
use concordat_protocol::scope::{Purpose, Tier};
use concordat_protocol::{
    ids::{ColumnName, InstitutionId, Jurisdiction},
    schema::{ColumnClass, ColumnKind},
};
use serde::{Deserialize, Serialize};

use super::matrix::{self, Ground};
use super::{ColumnFacts, Party, Policy};

/// How a column should leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reveal {
    /// As it is.
    Clear,
    /// Made coarser.
    Generalised,
    /// As a pseudonym.
    Pseudonym,
}

/// What has to come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// It is permitted.
    Permit,
    /// It is denied.
    Deny,
}

/// One case: may this member have a column of this class so, at this tier, for this purpose?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The member that asks; an active one in the holder's own jurisdiction where nothing is said.
    #[serde(default)]
    pub institution: Option<InstitutionId>,
    /// Its jurisdiction.
    #[serde(default)]
    pub jurisdiction: Option<Jurisdiction>,
    /// The class of the column; `unclassified` where nothing is said.
    #[serde(default)]
    pub class: Option<ColumnClass>,
    /// The name of the column, where a rule looks at it.
    #[serde(default)]
    pub column: Option<ColumnName>,
    /// How much an answer reveals.
    pub tier: Tier,
    /// What for, as in `grant request --purpose`.
    pub purpose: String,
    /// How the column leaves.
    pub reveal: Reveal,
    /// What has to come out.
    pub expect: Expected,
}

/// How a case came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseOutcome {
    /// The question, in words.
    pub case: String,
    /// Whether it came out as expected.
    pub passed: bool,
    /// What came out, or why the case cannot be run.
    pub found: String,
}

impl fmt::Display for CaseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.found)
    }
}

impl Case {
    /// Runs the case against a policy set.
    pub fn run(&self, policy: &Policy, ground: &Ground) -> CaseOutcome {
        let unusable = |why: &str| CaseOutcome {
            case: format!("{self:?}"),
            passed: false,
            found: why.to_owned(),
        };
        let Ok(purpose) = self.purpose.parse::<Purpose>() else {
            return unusable("there is no such purpose");
        };
        let (Some(any), Some(dataset)) = (ground.members.first(), ground.datasets.first()) else {
            return unusable("there is no member to ask");
        };
        let listed = self.institution.as_ref().and_then(|institution| {
            let mut members = ground.members.iter();
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
        let action = match self.reveal {
            Reveal::Clear => "reveal-clear",
            Reveal::Generalised => "reveal-generalised",
            Reveal::Pseudonym => "reveal-pseudonym",
        };
        let (line, question) = matrix::reveal(ground, &member, dataset, &column, action, self.tier, &purpose);
        let allowed = policy.ask(&question).allowed;
        CaseOutcome {
            case: line,
            passed: allowed == (self.expect == Expected::Permit),
            found: if allowed { "permitted" } else { "denied" }.to_owned(),
        }
    }
}
