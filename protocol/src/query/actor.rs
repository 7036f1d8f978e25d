//! The person behind a query.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{ActorId, InstitutionId, QueryId};
use crate::labels::{self, DomainLabel};
use crate::signed::Document;
use crate::text::Course;
use crate::time::Timestamp;

/// The role of a person at the institution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Finds datasets, requests access, sends queries.
    Researcher,
    /// Imports and classifies datasets, answers requests.
    Steward,
    /// Founds the consortium, admits and removes members.
    Coordinator,
    /// Monitors, handles incidents, rotates keys.
    SecurityOfficer,
    /// Reads and verifies the ledger.
    Auditor,
    /// Manages people and the node.
    Administrator,
}

impl Role {
    /// All roles, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::Researcher,
        Self::Steward,
        Self::Coordinator,
        Self::SecurityOfficer,
        Self::Auditor,
        Self::Administrator,
    ];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Researcher => "researcher",
            Self::Steward => "steward",
            Self::Coordinator => "coordinator",
            Self::SecurityOfficer => "security-officer",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(40).collect()))
    }
}

/// A text that does not name a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; write researcher, steward, coordinator, security-officer, auditor or administrator")]
pub struct UnknownRole(String);

/// An authentication factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    /// A password.
    Password,
    /// A time-based one-time code (RFC 6238).
    OneTimeCode,
    /// A hardware key.
    HardwareKey,
}

/// The consumer's statement about the person behind one query, signed by its node. Valid for one query and one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorAssertion {
    /// The person who sends the query.
    pub actor: ActorId,
    /// The roles that person has.
    pub roles: BTreeSet<Role>,
    /// The factors of the last authentication.
    pub factors: BTreeSet<Factor>,
    /// When that was.
    pub authenticated_at: Timestamp,
    /// When another person last set this person's password: for an hour after that, the login may be by that other person.
    pub password_reset_at: Option<Timestamp>,
    /// Until when the person's training is valid; `None` if there is none.
    pub training_until: Option<Timestamp>,
    /// The course of that training; left out if there is none. Which courses count is decided by the policy of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_course: Option<Course>,
    /// The provider for which this statement is made.
    pub audience: InstitutionId,
    /// The query for which this statement is made.
    pub query: QueryId,
    /// When the statement expires.
    pub expires: Timestamp,
}

impl Document for ActorAssertion {
    const LABEL: DomainLabel = labels::ACTOR_ASSERTION;
}
