//! Policy sets as documents, and documents as values of the policy.
//!
//! The values of the policy have a serialized form of their own, in the sealed state and in digests. The documents have the same keys, and
//! a change of one must not change the other.

use concordat_documents::decision::Decision;
use concordat_documents::policy::{
    AppliedPolicy, CaseOutcome, CurrentPolicySet, PolicyCase, PolicyDiff, PolicyFile, PolicyFileDiff, PolicyProposal,
    PolicySample, PolicySet, PolicySetSummary, PolicySettings, PolicySources, PolicyState, Reveal,
};
use concordat_protocol::ids::Digest32;
use concordat_protocol::time::Timestamp;

use crate::policies::{Applied, Proposal, SealedPolicySet};
use concordat_policy::{self, Case, Expected, Settings};

/// The sources of a request.
pub(super) fn sources(new: PolicySources) -> concordat_policy::PolicySources {
    let files = new
        .files
        .into_iter()
        .map(|PolicyFile { name, text }| concordat_policy::PolicyFile { name, text });
    concordat_policy::PolicySources {
        files: files.collect(),
        settings: settings(new.settings),
    }
}

fn settings(given: PolicySettings) -> Settings {
    let default = Settings::default();
    let PolicySettings {
        max_days,
        min_cell,
        max_rows,
        max_queries_per_day,
        two_people,
    } = given;
    Settings {
        max_days: max_days.unwrap_or(default.max_days),
        min_cell: min_cell.unwrap_or(default.min_cell),
        max_rows: max_rows.unwrap_or(default.max_rows),
        max_queries_per_day: max_queries_per_day.unwrap_or(default.max_queries_per_day),
        two_people: two_people.unwrap_or(default.two_people),
    }
}

/// A case of a request.
pub(super) fn case(case: PolicyCase) -> Case {
    let PolicyCase {
        institution,
        jurisdiction,
        class,
        column,
        tier,
        purpose,
        reveal,
        expect,
    } = case;
    Case {
        institution,
        jurisdiction,
        class,
        column,
        tier,
        purpose,
        reveal: match reveal {
            Reveal::Clear => concordat_policy::Reveal::Clear,
            Reveal::Generalized => concordat_policy::Reveal::Generalized,
            Reveal::Pseudonym => concordat_policy::Reveal::Pseudonym,
        },
        expect: match expect {
            Decision::Permit => Expected::Permit,
            Decision::Deny => Expected::Deny,
        },
    }
}

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
        files: files(&set.sources),
        settings: settings_document(set.sources.settings),
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

fn files(sources: &concordat_policy::PolicySources) -> Vec<PolicyFile> {
    let files = sources.files.iter().map(|file| PolicyFile {
        name: file.name.clone(),
        text: file.text.clone(),
    });
    files.collect()
}

fn settings_document(settings: Settings) -> PolicySettings {
    let Settings {
        max_days,
        min_cell,
        max_rows,
        max_queries_per_day,
        two_people,
    } = settings;
    PolicySettings {
        max_days: Some(max_days),
        min_cell: Some(min_cell),
        max_rows: Some(max_rows),
        max_queries_per_day: Some(max_queries_per_day),
        two_people: Some(two_people),
    }
}

/// The result of a case.
pub(super) fn outcome(outcome: concordat_policy::CaseOutcome) -> CaseOutcome {
    let concordat_policy::CaseOutcome { case, passed, found } = outcome;
    CaseOutcome { case, passed, found }
}

/// The difference between the sets with the digests `from` and `to`.
pub(super) fn difference(found: concordat_policy::PolicyDiff, from: Digest32, to: Digest32) -> PolicyDiff {
    let concordat_policy::PolicyDiff {
        opens,
        closes,
        opens_in_all,
        closes_in_all,
        never_allowed,
        compared,
        sample: contents,
        incomplete,
        settings,
        text,
    } = found;
    let text = text
        .into_iter()
        .map(|concordat_policy::FileDiff { file, lines }| PolicyFileDiff { file, lines });
    PolicyDiff {
        opens,
        closes,
        opens_in_all,
        closes_in_all,
        never_allowed,
        compared,
        sample: sample(contents),
        incomplete,
        settings,
        text: text.collect(),
        from,
        to,
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

/// What was sampled.
pub(super) fn sample(contents: concordat_policy::Sampled) -> PolicySample {
    let concordat_policy::Sampled {
        institutions,
        datasets,
        columns,
        purposes,
        named,
        left_out,
    } = contents;
    PolicySample {
        institutions,
        datasets,
        columns,
        purposes,
        named,
        left_out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_settings_that_are_omitted_have_their_defaults() {
        let none = PolicySettings::default();
        assert_eq!(settings(none), Settings::default());
        let some = PolicySettings {
            min_cell: Some(20),
            two_people: Some(true),
            ..none
        };
        let expected = Settings {
            min_cell: 20,
            two_people: true,
            ..Settings::default()
        };
        assert_eq!(settings(some), expected);
        assert_eq!(settings(settings_document(expected)), expected);
    }

    /// The files that stewards write are read as documents and sealed as values of the policy.
    #[test]
    fn policy_documents_have_the_keys_of_the_sealed_sources() {
        let shipped = concordat_policy::PolicySources::shipped();
        let document = PolicySources {
            files: files(&shipped),
            settings: settings_document(shipped.settings),
        };
        assert_eq!(
            serde_json::to_value(&document).unwrap(),
            serde_json::to_value(&shipped).unwrap()
        );
        assert_eq!(sources(document), shipped);
    }

    #[test]
    fn policy_case_is_converted_whole() {
        for (reveal, expect) in [("clear", "permit"), ("generalized", "deny"), ("pseudonym", "permit")] {
            let text = serde_json::json!({
                "institution": "zurich",
                "jurisdiction": "CH",
                "class": "sensitive",
                "column": "sex",
                "tier": "records",
                "purpose": "health-research",
                "reveal": reveal,
                "expect": expect,
            });
            let document: PolicyCase = serde_json::from_value(text.clone()).unwrap();
            assert_eq!(serde_json::to_value(case(document)).unwrap(), text);
        }
    }
}
