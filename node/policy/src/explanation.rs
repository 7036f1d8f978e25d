//! The way to a decision.

use concordat_protocol::decision::DecisionStep;

/// A decision rule by rule, for the holder's own people only: it reveals what is hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The steps in the order in which they were decided.
    pub steps: Vec<DecisionStep>,
}
