//! Policy sets: the files and settings that a steward writes, the cases and differences that are reviewed, and the statement that a set
//! was applied.
//!
//! `concordat-policy` evaluates the rules. These values are what it shares with the node, which stores and signs them, and with the
//! documents of the API.

mod case;
mod diff;
mod sources;
mod statement;

pub use case::{Case, CaseOutcome, Decision, Reveal};
pub use diff::{FileDiff, PolicyDiff, Sampled};
pub use sources::{PolicyFile, PolicySources, Settings};
pub use statement::PolicySetStatement;
