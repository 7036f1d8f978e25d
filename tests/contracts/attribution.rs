//! On whose account entries are made: who may vouch for whom.

use super::{Source, Violation, assert_none, shipped_sources};

/// Where an [`Attribution`](concordat_storage::ledger::Attribution) is made, and after which proof.
const VOUCHERS: &[(&str, &str)] = &[
    (
        "node/src/attribution.rs",
        "the node itself, and accounts of the operating system",
    ),
    ("node/src/iam/actor.rs", "a person, from a session"),
    (
        "node/src/network/session.rs",
        "a peer, from the transport's handshake and its hello",
    ),
];

/// Who may enter something on the account of the node or of an account of the operating system, and why nobody else asked.
const WITHOUT_A_SESSION: &[(&str, &str)] = &[
    (
        "node/src/api/sessions.rs",
        "a login that failed: whoever it was has no session",
    ),
    ("node/src/attribution.rs", "where they are made"),
    (
        "node/src/changes.rs",
        "what a stop kept from being done is entered at the start",
    ),
    ("node/src/cli/serve.rs", "the start"),
    (
        "node/src/custody/rollback.rs",
        "what a stop broke off is completed at the start",
    ),
    (
        "node/src/evidence/recovery.rs",
        "queries that a stop broke off are closed at the start",
    ),
    ("node/src/init.rs", "a command on a directory that has no people yet"),
    (
        "node/src/init/restore.rs",
        "a command on a directory whose people are not served",
    ),
    (
        "node/src/policy/store.rs",
        "a set is checked against another schema when the program has changed",
    ),
    (
        "node/src/negotiation/deliver.rs",
        "both sides have decided and a stop came in between",
    ),
    (
        "node/src/membership.rs",
        "a start finishes the replacement of a key that a stop broke off",
    ),
    (
        "node/src/negotiation/members.rs",
        "a roster ends the membership on which grants rest",
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
fn only_an_authenticated_caller_is_vouched_for() {
    let vouch = ["Attribution::vouch("];
    assert_none(&calls(&shipped_sources(), &vouch, VOUCHERS));
    let offence = Source {
        path: "node/src/api/users.rs".to_owned(),
        text: "let by = Attribution::vouch(Cause::Person { actor });\n".to_owned(),
    };
    assert_eq!(calls(&[offence], &vouch, VOUCHERS).len(), 1);
}

#[test]
fn a_service_does_not_act_on_the_nodes_account() {
    let unasked = ["by_node(", "by_os_account(", "by_this_account("];
    assert_none(&calls(&shipped_sources(), &unasked, WITHOUT_A_SESSION));
    let offence = Source {
        path: "node/src/negotiation.rs".to_owned(),
        text: "self.enter(&next, message, &by_node(NodeTask::Negotiation), now)\n".to_owned(),
    };
    assert_eq!(calls(&[offence], &unasked, WITHOUT_A_SESSION).len(), 1);
}

/// The test that tries every route finds those that take a POST; a route of another kind would escape it.
#[test]
fn routes_change_things_by_post_only() {
    let others = |sources: &[Source]| {
        let imports = calls(sources, &["routing::"], &[]).into_iter();
        let offends = |violation: &Violation| {
            ["put", "patch", "delete", "any", "on"]
                .iter()
                .any(|method| words(&violation.what).any(|word| word == *method))
        };
        imports.filter(offends).collect::<Vec<_>>()
    };
    let in_api = |source: &Source| source.path.starts_with("node/src/api");
    assert_none(&others(
        &shipped_sources().into_iter().filter(in_api).collect::<Vec<_>>(),
    ));
    let offence = Source {
        path: "node/src/api/users.rs".to_owned(),
        text: "    routing::{get, put},\n".to_owned(),
    };
    assert_eq!(others(&[offence]).len(), 1);
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}
