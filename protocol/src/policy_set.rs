//! The statement that a policy set came into force.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest32, InstitutionId};
use crate::labels::{self, Label};
use crate::signed::Document;
use crate::time::Timestamp;

/// A policy set came into force at an institution; signed by the institution's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySetStatement {
    /// Whose policies these are.
    pub institution: InstitutionId,
    /// The number of the set, counting from 1.
    pub number: u64,
    /// Names the set: schema, rules and settings.
    pub digest: Digest32,
    /// Names the set before it; none for the first.
    pub previous: Option<Digest32>,
    /// When it came into force.
    pub at: Timestamp,
}

impl Document for PolicySetStatement {
    const LABEL: Label = labels::POLICY_SET;
}
