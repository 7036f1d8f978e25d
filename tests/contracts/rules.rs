//! What a node announces that it enforces follows from records and the policy set, and from nothing that a peer has sent.

use super::{Source, Violation, assert_none, shipped_sources};

/// The only file that makes the content of a statement.
const CONSTRUCTOR: &str = "node/src/rules/statement.rs";
/// The only file that calls it, with the records of collections and the active policy set.
const CALLER: &str = "node/src/rules/handle.rs";
/// All that the constructor uses: no session, no message of a peer, no clock and no configuration.
const USED: &[&str] = &[
    "use concordat_policy::Policy;",
    "use concordat_protocol::policy_set::Settings;",
    "use concordat_protocol::release::ReleaseRules;",
    "use concordat_protocol::scope::{ProtectionName, Tier};",
    "use concordat_protocol::text::Label;",
    "use concordat_protocol::wire::messages::{EnforcedRules, RulesByTier, TierRules};",
];

/// The only file that makes the rules by which cells are decided.
const DISCLOSURE: &str = "node/src/sharing/disclosure_rules.rs";
/// All that it uses: a scope and the secret of a collection.
const DISCLOSURE_USED: &[&str] = &[
    "use concordat_engine::{Disclosure, QueryError};",
    "use concordat_protocol::scope::Scope;",
    "use zeroize::Zeroizing;",
];
/// The collection that is answered about without a permit, and all that it uses of what is stored: the form of a collection.
const CANARY: &str = "storage/engine/src/canary.rs";
const CANARY_USED: &str = "use concordat_storage::catalog::{Collection, ORDINAL_COLUMN, StoredDataset, StoredObject};";
/// Where it is answered about.
const PROBED: &str = "storage/engine/src/worker/idle/probed.rs";

/// Lines outside of `allowed` that make the content of a statement, or call the constructor.
fn made_elsewhere(sources: &[Source]) -> Vec<Violation> {
    let lines = sources.iter().flat_map(|source| {
        let lines = source.production_lines();
        lines.map(move |(number, line)| (source.path.as_str(), number, line.trim()))
    });
    let is_made = |path: &str, line: &str| {
        let makes = line.contains("EnforcedRules::new(") && path != CONSTRUCTOR;
        let calls = line.contains("enforced(") && !line.contains("fn enforced(") && path != CALLER;
        makes || calls
    };
    let found = lines.filter(|(path, _, line)| is_made(path, line));
    found
        .map(|(path, number, line)| Violation::new(format!("{path}:{number}"), line))
        .collect()
}

/// What a constructor uses beyond a list.
fn used_beside(source: &Source, used: &[&str]) -> Vec<Violation> {
    let is_other = |line: &str| {
        let imports = line.starts_with("use ") && !used.contains(&line);
        imports || line.contains("crate::") || line.contains("super::")
    };
    let lines = source.production_lines();
    lines
        .filter(|(_, line)| is_other(line.trim()))
        .map(|(number, line)| Violation::new(format!("{}:{number}", source.path), line.trim()))
        .collect()
}

#[test]
fn announced_rules_have_one_constructor_and_one_caller() {
    let all = shipped_sources();
    assert_none(&made_elsewhere(&all));
    let of = |path: &str| all.iter().find(|source| source.path == path).unwrap();
    let calls = |path: &str, needle: &str| {
        let lines = of(path).production_lines();
        lines.filter(|(_, line)| line.contains(needle)).count()
    };
    assert_eq!(calls(CONSTRUCTOR, "EnforcedRules::new("), 1);
    assert_eq!(calls(CALLER, "enforced("), 1);
    let planted = Source {
        path: "node/src/sharing/case.rs".to_owned(),
        text: "let rules = EnforcedRules::new(version, policy, tiers);\nlet rules = enforced(&policy, &[]);\n"
            .to_owned(),
    };
    assert_eq!(made_elsewhere(&[planted]).len(), 2);
}

#[test]
fn announced_rules_are_made_of_records_and_policy_alone() {
    let all = shipped_sources();
    let constructor = all.iter().find(|source| source.path == CONSTRUCTOR).unwrap();
    assert_none(&used_beside(constructor, USED));
    let signature = "pub(super) fn enforced(policy: &Policy, published: &[ReleaseRules]) -> EnforcedRules {";
    assert!(constructor.text.contains(signature), "its inputs are others");
    let planted = Source {
        path: CONSTRUCTOR.to_owned(),
        text: "use concordat_policy::Policy;\nuse concordat_network::Session;\nlet now = crate::clock::now();\n"
            .to_owned(),
    };
    assert_eq!(used_beside(&planted, USED).len(), 2);
}

/// Lines outside of the one file that make the rules by which cells are decided.
fn disclosure_elsewhere(sources: &[Source]) -> Vec<Violation> {
    let others = sources.iter().filter(|source| source.path != DISCLOSURE);
    let made = others.flat_map(|source| {
        let lines = source.production_lines();
        let made = lines.filter(|(_, line)| line.contains("Disclosure::new("));
        made.map(|(number, line)| Violation::new(format!("{}:{number}", source.path), line.trim()))
    });
    made.collect()
}

#[test]
fn disclosure_rules_are_made_of_a_scope_in_one_file() {
    let all = shipped_sources();
    assert_none(&disclosure_elsewhere(&all));
    let constructor = all.iter().find(|source| source.path == DISCLOSURE).unwrap();
    assert_none(&used_beside(constructor, DISCLOSURE_USED));
    let signature =
        "pub(super) fn disclosure_of(scope: &Scope, secret: Zeroizing<[u8; 32]>) -> Result<Disclosure, QueryError> {";
    assert!(constructor.text.contains(signature), "its inputs are others");
    let planted = Source {
        path: "node/src/sharing/case.rs".to_owned(),
        text: "let rules = Disclosure::new(1, &protection, secret);\n".to_owned(),
    };
    assert_eq!(disclosure_elsewhere(&[planted]).len(), 1);
    let planted = Source {
        path: DISCLOSURE.to_owned(),
        text: "use super::case::Case;\n".to_owned(),
    };
    assert_eq!(used_beside(&planted, DISCLOSURE_USED).len(), 1);
}

/// What is answered about without a permit is generated: it is made in one file from a seed, and its type is the one that is taken there.
#[test]
fn canary_is_all_that_is_answered_without_a_permit() {
    let all = shipped_sources();
    let of = |path: &str| all.iter().find(|source| source.path == path).unwrap();
    let lines = |path: &str, needle: &str| -> Vec<String> {
        let lines = of(path).production_lines();
        let found = lines.filter(|(_, line)| line.contains(needle));
        found.map(|(_, line)| line.trim().to_owned()).collect()
    };
    assert_eq!(lines(CANARY, "concordat_storage"), [CANARY_USED]);
    assert_eq!(
        lines(CANARY, "-> Result<Self, QueryError> {")[0],
        "pub async fn of(seed: CanarySeed) -> Result<Self, QueryError> {"
    );
    assert_eq!(lines(PROBED, "canary: &CanaryCollection,").len(), 1);
    assert_eq!(lines(PROBED, "dyn Collection").len(), 0);
    assert_eq!(lines(PROBED, "Permit").len(), 0);
    let made: Vec<&str> = all
        .iter()
        .filter(|source| {
            source
                .production_lines()
                .any(|(_, line)| line.contains("CanaryCollection::of("))
        })
        .map(|source| source.path.as_str())
        .collect();
    assert_eq!(made, ["node/src/sharing/probe.rs"]);
}
