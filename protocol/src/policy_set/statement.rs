//! What an institution signs when it applies a policy set.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest32, InstitutionId};
use crate::labels::{self, DomainLabel};
use crate::signed::Document;
use crate::time::Timestamp;

/// A policy set was applied at an institution; signed by the institution's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySetStatement {
    /// Whose policies these are.
    pub institution: InstitutionId,
    /// The number of the set, counting from 1.
    pub number: u64,
    /// Digest of the set: schema, rules and settings.
    pub digest: Digest32,
    /// Digest of the set before it; `None` for the first.
    pub previous: Option<Digest32>,
    /// When it was applied.
    pub at: Timestamp,
}

impl Document for PolicySetStatement {
    const LABEL: DomainLabel = labels::POLICY_SET;
}
