//! What a node answers to a probe.

use serde::{Deserialize, Serialize};

use crate::scope::{Finite, Protection};
use crate::text::Label;

/// The answers to all statements with one protection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeRun {
    /// How the figures are protected.
    pub protection: Protection,
    /// One for each [`ProbeStatement`](super::ProbeStatement), in their order.
    pub answers: Vec<ProbeAnswer>,
}

/// The answer to one statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ProbeAnswer {
    /// One cell for each group, in any order.
    Cells(Vec<ProbedCell>),
    /// It was refused as a whole.
    Refused,
}

/// One cell of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedCell {
    /// The label of the group; `None` for missing values, and for the cell of a statement without groups.
    pub label: Option<Label>,
    /// The figure; `None` if it is withheld.
    pub value: Option<Finite>,
}
