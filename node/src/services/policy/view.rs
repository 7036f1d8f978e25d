//! Policy sets of the store as documents.

use concordat_documents::policy::{
    AppliedPolicy, CurrentPolicySet, PolicyProposal, PolicySet, PolicySetSummary, PolicyState,
};
use concordat_protocol::time::Timestamp;

use crate::policies::{Applied, Proposal, SealedPolicySet};

/// A set in a list; `at` is when it was applied.
pub(super) fn summary(set: &SealedPolicySet, at: Timestamp) -> PolicySetSummary {
    PolicySetSummary {
        number: set.number(),
        digest: set.digest(),
        actor: set.by.actor().cloned(),
        approved_by: set.approved_by().cloned(),
        at: at.to_string(),
    }
}

/// A set with its sources; `at` is when it was applied.
pub(super) fn set(set: &SealedPolicySet, at: Timestamp) -> PolicySet {
    let PolicySetSummary {
        number,
        digest,
        actor,
        approved_by,
        at,
    } = summary(set, at);
    PolicySet {
        number,
        digest,
        actor,
        approved_by,
        at,
        files: set.sources.files.clone(),
        settings: set.sources.settings,
    }
}

/// The current set, which has `rules` rules and was applied `at`, and the proposal that waits.
pub(super) fn current(
    current: &SealedPolicySet,
    at: Timestamp,
    rules: usize,
    proposal: Option<Proposal>,
) -> CurrentPolicySet {
    let PolicySet {
        number,
        digest,
        actor,
        approved_by,
        at,
        files,
        settings,
    } = set(current, at);
    CurrentPolicySet {
        number,
        digest,
        actor,
        approved_by,
        at,
        files,
        settings,
        rules,
        proposal: proposal.map(|proposal| PolicyProposal {
            digest: proposal.digest,
            by: proposal.by,
            at: proposal.at.to_string(),
        }),
    }
}

/// What became of a set.
pub(super) fn applied(applied: Applied) -> AppliedPolicy {
    match applied {
        Applied::Active(set) => AppliedPolicy {
            state: PolicyState::Applied,
            number: Some(set.number()),
            digest: set.digest(),
            actor: set.by.actor().cloned(),
            approved_by: set.approved_by().cloned(),
        },
        Applied::Proposed(proposal) => AppliedPolicy {
            state: PolicyState::Proposed,
            number: None,
            digest: proposal.digest,
            actor: Some(proposal.by),
            approved_by: None,
        },
    }
}
