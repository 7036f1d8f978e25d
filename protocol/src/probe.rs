//! Whether a node answers about known data as it announces.
//!
//! 1. A node sends a seed to a peer. Both generate the canary of it ([`Canary`](crate::canary::Canary)), so that no data are sent.
//! 2. The peer answers each [`ProbeStatement`] about it, in their order and from one memory, once with each protection that it applies: a
//!    [`ProbeRun`].
//! 3. The first node knows what is true, and compares the answers with what the peer announces ([`check()`]): no figure of too few subjects is
//!    released, no two figures that differ in one subject, one statement has one answer, exact figures are true, and others have noise.
//!
//! Whatever follows from chance is a [`Mismatch`] only if its probability is below one in 10^9, so that a node that answers as it announces is
//! not named. What is found is misconfiguration, not malice: a node can recognize the statements and answer them otherwise than its queries.

mod answer;
mod check;
mod noise;
mod released;
mod statement;
mod truth;

pub use answer::{ProbeAnswer, ProbeRun, ProbedCell};
pub use check::{Mismatch, ProbedRule, ProbedRules, check};
pub use statement::ProbeStatement;
pub use truth::{CellTruth, Figure};

#[cfg(test)]
mod tests;
