//! Which code may attribute ledger entries to whom.

use std::collections::BTreeSet;

use super::{Source, Violation, assert_none, shipped_sources};

/// Where an [`Attribution`](concordat_storage::ledger::Attribution) is made, and after which proof.
const VOUCHERS: &[(&str, &str)] = &[
    (
        "node/src/attribution.rs",
        "a peer, from the transport's handshake and its hello; the node itself, and accounts of the operating system",
    ),
    (
        "node/src/iam/actor.rs",
        "a person, from a session and a decision of `DECISIONS`",
    ),
];

/// The functions by which `iam` gives an attribution of a person, and what each has decided. No other code has one without them.
const DECISIONS: &[(&str, &str)] = &[
    ("authorize", "a role of the person permits the action"),
    ("authorize_own_password", "the current password is right"),
    (
        "authorize_second",
        "a role of each of two people permits the action, and they are independent",
    ),
    ("entry", "the person has logged in, and this is the entry of it"),
];

/// Which files may attribute an entry to the node or to an account of the operating system, and why there is no session.
const WITHOUT_A_SESSION: &[(&str, &str)] = &[
    ("node/src/services/sessions.rs", "a login that failed has no session"),
    ("node/src/attribution.rs", "the constructors"),
    (
        "node/src/changes/interrupted.rs",
        "a change interrupted by a stop is recorded at the start",
    ),
    (
        "node/src/offline/unlock_secret.rs",
        "a command on a directory that is not being served, by a person who can unlock it",
    ),
    ("node/src/daemon.rs", "the start"),
    (
        "node/src/lifecycle/rollback.rs",
        "a rollback interrupted by a stop is completed at the start",
    ),
    (
        "node/src/evidence/recovery.rs",
        "queries interrupted by a stop are closed at the start",
    ),
    (
        "node/src/evidence/retention.rs",
        "the retention of records has ended by a rule",
    ),
    (
        "node/src/init/create.rs",
        "a command on a directory that has no users yet",
    ),
    (
        "node/src/init/restore.rs",
        "a command on a directory that is not being served",
    ),
    (
        "node/src/policies/store.rs",
        "a set is checked against another schema when the program has changed",
    ),
    (
        "node/src/negotiation/catch_up.rs",
        "both sides have decided and a stop interrupted the delivery",
    ),
    (
        "node/src/membership/acceptance.rs",
        "a start completes a key replacement that a stop interrupted",
    ),
    (
        "node/src/negotiation/members.rs",
        "a roster ends the membership on which grants rest",
    ),
    (
        "node/src/negotiation/outdated.rs",
        "a restore or an erasure ends what grants rest on",
    ),
    (
        "node/src/negotiation/compare.rs",
        "what this node had done itself is learned again from the other side",
    ),
];

fn calls(sources: &[Source], needles: &[&str], allowed: &[(&str, &str)]) -> Vec<Violation> {
    let elsewhere = sources
        .iter()
        .filter(|source| !allowed.iter().any(|(path, _)| *path == source.path));
    elsewhere
        .flat_map(|source| {
            source
                .production_lines()
                .filter(|(_, line)| needles.iter().any(|needle| line.contains(needle)))
                .map(|(number, line)| Violation::new(format!("{}:{number}", source.path), line.trim()))
        })
        .collect()
}

#[test]
fn attribution_is_made_for_authenticated_callers_only() {
    let vouch = ["Attribution::vouch("];
    assert_none(&calls(&shipped_sources(), &vouch, VOUCHERS));
    let planted = Source {
        path: "node/src/api/users.rs".to_owned(),
        text: "let by = Attribution::vouch(Cause::Person { actor });\n".to_owned(),
    };
    assert_eq!(calls(&[planted], &vouch, VOUCHERS).len(), 1);
}

/// The functions of these sources that others can call and that return an attribution.
fn attributing(sources: &[Source]) -> BTreeSet<String> {
    let signatures = |source: &Source| {
        let code: Vec<&str> = source.production_lines().map(|(_, line)| line).collect();
        let code = code.join("\n").replace("pub(crate) fn ", "pub fn ");
        let functions = code.split("pub fn ").skip(1);
        let signatures = functions.filter_map(|function| function.split('{').next().map(str::to_owned));
        signatures.collect::<Vec<_>>()
    };
    let returning = sources.iter().flat_map(signatures).filter_map(|signature| {
        let (function, returned) = signature.split_once("->")?;
        let name = function.split('(').next()?;
        returned.contains("Attribution").then(|| name.to_owned())
    });
    returning.collect()
}

#[test]
fn attribution_of_a_person_comes_with_a_decision() {
    let in_iam = |source: &Source| source.path.starts_with("node/src/iam");
    let sources: Vec<Source> = shipped_sources().into_iter().filter(in_iam).collect();
    let decisions: BTreeSet<String> = DECISIONS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(attributing(&sources), decisions);
    let planted = Source {
        path: "node/src/iam/actor.rs".to_owned(),
        text: "    pub(crate) fn attribution(\n        &self,\n    ) -> Attribution {\n".to_owned(),
    };
    assert_eq!(attributing(&[planted]), BTreeSet::from(["attribution".to_owned()]));
}

#[test]
fn a_service_does_not_act_on_the_nodes_account() {
    let without_session = ["by_node(", "by_os_account(", "by_this_account("];
    assert_none(&calls(&shipped_sources(), &without_session, WITHOUT_A_SESSION));
    let planted = Source {
        path: "node/src/negotiation.rs".to_owned(),
        text: "self.enter(&next, message, &by_node(NodeTask::Negotiation), now)\n".to_owned(),
    };
    assert_eq!(calls(&[planted], &without_session, WITHOUT_A_SESSION).len(), 1);
}

/// The test that tries every route finds those that accept POST; it would miss a route of another method.
#[test]
fn routes_change_things_by_post_only() {
    let others = |sources: &[Source]| {
        let imports = calls(sources, &["routing::"], &[]).into_iter();
        let is_violation = |violation: &Violation| {
            ["put", "patch", "delete", "any", "on"]
                .iter()
                .any(|method| identifiers(&violation.what).any(|name| name == *method))
        };
        imports.filter(is_violation).collect::<Vec<_>>()
    };
    let in_api = |source: &Source| source.path.starts_with("node/src/api");
    assert_none(&others(
        &shipped_sources().into_iter().filter(in_api).collect::<Vec<_>>(),
    ));
    let planted = Source {
        path: "node/src/api/users.rs".to_owned(),
        text: "    routing::{get, put},\n".to_owned(),
    };
    assert_eq!(others(&[planted]).len(), 1);
}

fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}
