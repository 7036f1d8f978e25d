//! Who asks.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{ActorId, InstitutionId, QueryId};
use crate::labels::{self, Label};
use crate::signed::Document;
use crate::time::Timestamp;

/// What a person does for the institution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Finds datasets, asks for access, queries.
    Researcher,
    /// Imports and classifies datasets, answers requests.
    Steward,
    /// Founds the consortium, admits and removes members.
    Coordinator,
    /// Watches, answers incidents, rotates keys.
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

/// A word that names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; write researcher, steward, coordinator, security-officer, auditor or administrator")]
pub struct UnknownRole(String);

/// What a person proved to be who they are.
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

/// The consumer's statement about the person behind one query, signed by its node. Good for one query and one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorAssertion {
    /// Who asks.
    pub actor: ActorId,
    /// The roles that person has.
    pub roles: BTreeSet<Role>,
    /// What was proved at the last authentication.
    pub factors: BTreeSet<Factor>,
    /// When that was.
    pub authenticated_at: Timestamp,
    /// When somebody else last set this person's password: for an hour after that, the login may be that of whoever set it.
    pub password_reset_at: Option<Timestamp>,
    /// Until when the person's training is valid; nothing when there is none.
    pub training_until: Option<Timestamp>,
    /// The provider this statement is made to.
    pub audience: InstitutionId,
    /// The query this statement is made for.
    pub query: QueryId,
    /// When the statement is void.
    pub expires: Timestamp,
}

impl Document for ActorAssertion {
    const LABEL: Label = labels::ACTOR_ASSERTION;
}
