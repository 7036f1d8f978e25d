//! Dependencies run one way, and each external library has one owner.

use super::{MEMBERS, Violation, assert_none, root};
use cargo_metadata::{DependencyKind, MetadataCommand};

const PROTOCOL: &str = "concordat-protocol";
const VERIFY: &str = "concordat-verify";
const ARROW_STREAM: &str = "concordat-arrow-stream";
const DISCLOSURE: &str = "concordat-disclosure";
const KEYS: &str = "concordat-keys";
const STORAGE: &str = "concordat-storage";
const ENGINE: &str = "concordat-engine";
const DOCUMENTS: &str = "concordat-documents";
const CLIENT: &str = "concordat-client";
const CLI: &str = "concordat-cli";
const NETWORK: &str = "concordat-network";
const POLICY: &str = "concordat-policy";
const DEMO: &str = "concordat-demo";
const NODE: &str = "concordat-node";
const PROGRAM: &str = "concordat-program";
const TESTS: &str = "concordat-tests";

/// Which crates may name which: `node -> engine -> storage -> keys -> protocol`; the reader of rows none, the engine it and the disclosure too; the node all of these; the disclosure, the verifier, the documents, the network and the policy the protocol
/// alone; the client and the demonstration the protocol and the documents; the command line what the client may name, the client, and
/// the reader of rows; the program puts node and command line together; and the tests all of them.
const LAYERS: [(&str, &[&str]); 16] = [
    (PROTOCOL, &[]),
    (VERIFY, &[PROTOCOL]),
    (ARROW_STREAM, &[]),
    (DISCLOSURE, &[PROTOCOL]),
    (KEYS, &[PROTOCOL]),
    (STORAGE, &[PROTOCOL, KEYS]),
    (ENGINE, &[PROTOCOL, ARROW_STREAM, DISCLOSURE, KEYS, STORAGE]),
    (DOCUMENTS, &[PROTOCOL]),
    (CLIENT, &[PROTOCOL, DOCUMENTS]),
    (CLI, &[PROTOCOL, ARROW_STREAM, DOCUMENTS, CLIENT]),
    (NETWORK, &[PROTOCOL]),
    (POLICY, &[PROTOCOL]),
    (DEMO, &[PROTOCOL, DOCUMENTS]),
    (
        NODE,
        &[
            PROTOCOL,
            ARROW_STREAM,
            DISCLOSURE,
            KEYS,
            STORAGE,
            ENGINE,
            DOCUMENTS,
            NETWORK,
            POLICY,
        ],
    ),
    (
        PROGRAM,
        &[PROTOCOL, KEYS, STORAGE, ENGINE, DOCUMENTS, CLI, NETWORK, DEMO, NODE],
    ),
    (
        TESTS,
        &[
            PROTOCOL,
            VERIFY,
            ARROW_STREAM,
            DISCLOSURE,
            KEYS,
            STORAGE,
            ENGINE,
            DOCUMENTS,
            CLIENT,
            CLI,
            NETWORK,
            POLICY,
            DEMO,
            NODE,
            PROGRAM,
        ],
    ),
];

/// Every external library and the crates that may name it. A library that is not in the list has no owner yet: add it
/// here, and add the line in `docs/architecture.md` that says what it is for.
///
/// The tests may name any of them: an adversary has to speak libp2p and forge signatures.
const OWNERS: &[(&str, &[&str])] = &[
    // a NodeId is written as libp2p writes a peer id
    ("bs58", &[PROTOCOL]),
    // signatures and what they cover
    ("ed25519-dalek", &[PROTOCOL]),
    ("coset", &[PROTOCOL]),
    ("ciborium", &[PROTOCOL, KEYS, STORAGE, ENGINE]),
    ("blake3", &[PROTOCOL, DISCLOSURE, KEYS, STORAGE, ENGINE, NODE]),
    ("sha2", &[PROTOCOL, KEYS]),
    // sealing, key wrapping, key derivation
    ("aes-gcm", &[KEYS]),
    ("age", &[KEYS]),
    ("argon2", &[KEYS]),
    ("chacha20poly1305", &[KEYS]),
    ("hkdf", &[KEYS]),
    // keys that do not leave a hardware token
    ("cryptoki", &[KEYS]),
    // secret sharing
    ("blahaj", &[KEYS]),
    // memory that is not swapped
    ("region", &[KEYS]),
    // access to key files; files below a folder; privileges that the engine process drops
    ("rustix", &[KEYS, STORAGE, ENGINE]),
    ("seccompiler", &[ENGINE]),
    // state, bulk data, import
    ("sled", &[STORAGE]),
    ("object_store", &[STORAGE, ENGINE]),
    ("encoding_rs", &[STORAGE]),
    ("arrow-json", &[STORAGE]),
    ("flate2", &[STORAGE]),
    ("bzip2", &[STORAGE]),
    ("lzma-rust2", &[STORAGE]),
    ("zstd", &[STORAGE]),
    ("quick-xml", &[STORAGE]),
    // sets of subjects and rows
    ("roaring", &[DISCLOSURE]),
    // the limits under which messages of rows are verified
    ("flatbuffers", &[ARROW_STREAM]),
    ("memchr", &[STORAGE]),
    // times of files whose zone the steward states
    ("chrono-tz", &[STORAGE, CLI]),
    // names of columns in any script, with one spelling each, and passphrases
    ("unicode-ident", &[PROTOCOL]),
    ("unicode-normalization", &[PROTOCOL, KEYS, STORAGE]),
    // rows in storage; queries: the provider's engine, the consumer's planner in node, and what the command line writes
    ("arrow", &[ARROW_STREAM, STORAGE, ENGINE, CLI, NODE]),
    ("datafusion", &[ENGINE, NODE]),
    ("parquet", &[STORAGE, ENGINE, CLI, NODE]),
    // the network
    ("libp2p", &[NETWORK]),
    // whether a port that the network is to listen on is in use
    ("socket2", &[NETWORK]),
    // the decision point
    ("cedar-policy", &[POLICY]),
    // the HTTP API and its client on the Unix socket
    ("axum", &[NODE]),
    ("http-body-util", &[STORAGE, CLIENT]),
    ("hyper", &[CLIENT, NODE]),
    ("hyper-util", &[CLIENT, NODE]),
    ("serde_json", &[VERIFY, DOCUMENTS, CLIENT, CLI, POLICY, DEMO, NODE]),
    // which field of a request's body, or of a file, is wrong
    ("serde_path_to_error", &[DOCUMENTS, CLI, NODE]),
    // the documents of the API: their description (in the protocol a feature, for values that are documents too), and errors as
    // responses of the server
    ("utoipa", &[PROTOCOL, DOCUMENTS]),
    ("axum-core", &[DOCUMENTS]),
    ("http", &[DOCUMENTS]),
    // the command line and the daemon's shell, and what the demonstration shows
    ("anstream", &[CLI]),
    ("anstyle", &[CLI, DEMO]),
    ("anyhow", &[DEMO]),
    ("clap", &[CLI, PROGRAM]),
    ("comfy-table", &[CLI]),
    ("indicatif", &[CLI, DEMO]),
    ("rpassword", &[CLI]),
    ("toml", &[CLI, NODE]),
    ("tracing-subscriber", &[NODE]),
    // tasks and streams: everywhere but in protocol, which does no I/O
    ("async-trait", &[STORAGE, ENGINE, NODE]),
    ("bytes", &[ARROW_STREAM, STORAGE, ENGINE, CLIENT, CLI, NETWORK, NODE]),
    ("futures", &[STORAGE, ENGINE, CLIENT, NETWORK, NODE]),
    ("getrandom", &[KEYS, STORAGE, CLI, NETWORK, DEMO, NODE]),
    ("tokio", &[STORAGE, ENGINE, CLIENT, CLI, NETWORK, DEMO, NODE, PROGRAM]),
    ("tokio-util", &[NETWORK, NODE]),
    // system calls
    ("nix", &[KEYS, ENGINE, CLI, DEMO, NODE, PROGRAM]),
    // types that all layers share
    ("chrono", &[PROTOCOL, STORAGE, ENGINE, POLICY, NODE, CLI]),
    ("data-encoding", &[PROTOCOL, KEYS, STORAGE, CLI, DEMO, NODE]),
    (
        "serde",
        &[
            PROTOCOL, DISCLOSURE, KEYS, STORAGE, ENGINE, DOCUMENTS, CLIENT, CLI, NETWORK, DEMO, NODE, PROGRAM,
        ],
    ),
    (
        "thiserror",
        &[
            PROTOCOL,
            VERIFY,
            ARROW_STREAM,
            DISCLOSURE,
            KEYS,
            STORAGE,
            ENGINE,
            DOCUMENTS,
            CLI,
            NETWORK,
            POLICY,
            NODE,
        ],
    ),
    (
        "tracing",
        &[PROTOCOL, KEYS, STORAGE, ENGINE, NETWORK, POLICY, DEMO, NODE, PROGRAM],
    ),
    (
        "zeroize",
        &[
            PROTOCOL, DISCLOSURE, KEYS, STORAGE, ENGINE, DOCUMENTS, CLIENT, CLI, NODE, PROGRAM,
        ],
    ),
];

/// Libraries that only check the others.
const TEST_TOOLS: &[&str] = &[
    "cargo_metadata",
    "csv",
    "flate2",
    "libp2p-stream",
    "nix",
    "proptest",
    "serde_json",
    "sha2",
    "tempfile",
];

/// Libraries of which a second version would be an error: two versions of Arrow cannot read each other's arrays, and two
/// implementations of the signature scheme may disagree about what is valid.
const SINGLE_VERSION: &[&str] = &[
    "arrow-array",
    "arrow-schema",
    "datafusion",
    "ed25519-dalek",
    "libp2p-identity",
    "parquet",
];

/// One line of a `[dependencies]` section.
#[derive(Debug)]
struct Edge {
    from: String,
    to: String,
    for_tests: bool,
}

fn edge(from: &str, to: &str) -> Edge {
    Edge {
        from: from.to_owned(),
        to: to.to_owned(),
        for_tests: from == TESTS,
    }
}

/// Reads the manifests without resolving, so that no package of another platform has to be downloaded.
fn workspace_edges() -> Vec<Edge> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let members = metadata.packages.iter();
    let edges = members.flat_map(|package| {
        package.dependencies.iter().map(|dependency| Edge {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            for_tests: package.name.as_str() == TESTS || dependency.kind == DependencyKind::Development,
        })
    });
    edges.collect()
}

fn check(edge: &Edge) -> Option<Violation> {
    let layer = LAYERS.iter().find(|(name, _)| *name == edge.from);
    let Some((_, below)) = layer else {
        return Some(Violation::new(&edge.from, "is not one of the crates"));
    };
    if LAYERS.iter().any(|(name, _)| *name == edge.to) {
        let allowed = below.contains(&edge.to.as_str());
        return (!allowed).then(|| Violation::new(&edge.from, format!("must not depend on `{}`", edge.to)));
    }
    if edge.for_tests && (edge.from == TESTS || TEST_TOOLS.contains(&edge.to.as_str())) {
        return None;
    }
    match OWNERS.iter().find(|(name, _)| *name == edge.to) {
        None => Some(Violation::new(
            &edge.from,
            format!("names `{}`, which has no owner", edge.to),
        )),
        Some((_, owners)) if owners.contains(&edge.from.as_str()) => None,
        Some((_, owners)) => Some(Violation::new(
            &edge.from,
            format!("names `{}`, which is owned by {}", edge.to, owners.join(" and ")),
        )),
    }
}

/// The versions of a package in the text of a lock file.
fn locked_versions<'a>(lock: &'a str, package: &str) -> Vec<&'a str> {
    let name = format!("name = \"{package}\"");
    let versions = lock.lines().zip(lock.lines().skip(1)).filter(|(line, _)| *line == name);
    versions
        .map(|(_, version)| version.trim_start_matches("version = ").trim_matches('"'))
        .collect()
}

#[test]
fn dependencies_run_one_way_and_each_library_has_one_owner() {
    let edges = workspace_edges();
    assert!(edges.len() > MEMBERS.len(), "cargo metadata lists no dependencies");
    let violations: Vec<Violation> = edges.iter().filter_map(check).collect();
    assert_none(&violations);
}

/// The verifier must stay small enough to be reviewed whole, with everything it is built from.
#[test]
fn the_verifier_is_built_without_engine_network_or_runtime() {
    assert_small(VERIFY, "ed25519-dalek", &HEAVY);
}

/// The decision point is audited by itself, and its tests are built without the rest of the node.
#[test]
fn the_policy_is_built_without_engine_network_or_runtime() {
    assert_small(POLICY, "cedar-policy", &HEAVY);
}

/// A changed message of the command line does not need the engine to be tested, and other programs can use the client.
#[test]
fn the_command_line_is_built_without_engine_or_network() {
    let heavy = ["libp2p", "datafusion", "sled", "axum", "cedar-policy", STORAGE, NODE];
    assert_small(CLIENT, "hyper", &[&heavy[..], &["arrow", "clap"]].concat());
    assert_small(CLI, "clap", &heavy);
}

/// Cargo builds the library of a package again when one of the package's dependencies changes, so the program is another package.
#[test]
fn the_node_is_built_without_the_command_line() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let built = built_from(&lock, NODE);
    for part in ["clap", CLI, CLIENT, DEMO] {
        assert!(!built.contains(part), "the node is built from `{part}`");
    }
    assert!(built_from(&lock, PROGRAM).contains(CLI));
}

/// What takes minutes to build, or is not needed to check what others have signed.
const HEAVY: [&str; 9] = [
    "tokio",
    "libp2p",
    "datafusion",
    "arrow",
    "sled",
    "axum",
    "hyper",
    STORAGE,
    NODE,
];

/// What touches keys is audited by itself, and stays small enough for that.
#[test]
fn the_keys_are_built_without_engine_network_or_runtime() {
    assert_small(KEYS, "argon2", &HEAVY);
}

/// What may be released is audited by itself, and its tests are built in seconds.
#[test]
fn the_disclosure_is_built_without_engine_or_network() {
    assert_small(DISCLOSURE, "roaring", &HEAVY);
}

/// Storage is built and tested without the query engine.
#[test]
fn storage_is_built_without_the_query_engine() {
    assert_small(STORAGE, "sled", &["datafusion", "libp2p", "axum", ENGINE, NODE]);
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    assert!(built_from(&lock, ENGINE).contains("datafusion"));
}

/// `package` is built from `part`, and from nothing heavy.
fn assert_small(package: &str, part: &str, heavy: &[&str]) {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let built = built_from(&lock, package);
    assert!(built.contains(part), "the lock file was not read: {built:?}");
    for heavy in heavy {
        assert!(!built.contains(*heavy), "`{package}` is built from `{heavy}`");
    }
    assert!(built_from(&lock, NODE).contains("libp2p"));
}

/// All packages of a lock file that `package` is built from.
fn built_from(lock: &str, package: &str) -> std::collections::BTreeSet<String> {
    let mut needs = std::collections::BTreeMap::<&str, Vec<&str>>::new();
    for block in lock.split("[[package]]") {
        let Some(name) = block.lines().find_map(|line| line.strip_prefix("name = ")) else {
            continue;
        };
        let listed = block.split_once("dependencies = [").map_or("", |(_, list)| list);
        let listed = listed.lines().map_while(|line| (line != "]").then_some(line));
        let names = listed.filter_map(|line| line.trim().trim_matches([',', '"']).split(' ').next());
        let names = names.map(|name| name.trim_matches('"')).filter(|name| !name.is_empty());
        needs.entry(name.trim_matches('"')).or_default().extend(names);
    }
    let mut built = std::collections::BTreeSet::new();
    let mut left = vec![package];
    while let Some(next) = left.pop() {
        if built.insert(next.to_owned()) {
            left.extend(needs.get(next).into_iter().flatten());
        }
    }
    built
}

#[test]
fn upward_dependency_is_reported() {
    assert!(check(&edge(PROTOCOL, STORAGE)).is_some());
    assert!(check(&edge(STORAGE, NODE)).is_some());
    assert!(check(&edge(KEYS, STORAGE)).is_some());
    assert!(check(&edge(DISCLOSURE, STORAGE)).is_some());
    assert!(check(&edge(STORAGE, ENGINE)).is_some());
    assert!(check(&edge(VERIFY, STORAGE)).is_some());
    assert!(check(&edge(NETWORK, STORAGE)).is_some());
    assert!(check(&edge(NETWORK, NODE)).is_some());
    assert!(check(&edge(POLICY, STORAGE)).is_some());
    assert!(check(&edge(DEMO, NODE)).is_some());
    assert!(check(&edge(CLIENT, STORAGE)).is_some());
    assert!(check(&edge(CLI, STORAGE)).is_some());
    assert!(check(&edge(CLI, NODE)).is_some());
    assert!(check(&edge(NODE, CLI)).is_some());
    assert!(check(&edge(NODE, PROGRAM)).is_some());
    assert!(check(&edge(NODE, TESTS)).is_some());
}

#[test]
fn library_used_outside_its_owner_is_reported() {
    assert!(check(&edge(NODE, "sled")).is_some());
    assert!(check(&edge(NODE, "clap")).is_some());
    assert!(check(&edge(CLI, "datafusion")).is_some());
    assert!(check(&edge(CLI, "hyper")).is_some());
    assert!(check(&edge(NODE, "cedar-policy")).is_some());
    assert!(check(&edge(STORAGE, "libp2p")).is_some());
    assert!(check(&edge(STORAGE, "datafusion")).is_some());
    assert!(check(&edge(ENGINE, "aes-gcm")).is_some());
    assert!(check(&edge(NODE, "seccompiler")).is_some());
    assert!(check(&edge(NODE, "libp2p")).is_some());
    assert!(check(&edge(STORAGE, "ed25519-dalek")).is_some());
    assert!(check(&edge(PROTOCOL, "tokio")).is_some());
    assert!(check(&edge(PROTOCOL, "left-pad")).is_some());
}

#[test]
fn libraries_that_must_be_unique_come_in_one_version() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for package in SINGLE_VERSION {
        let versions = locked_versions(&lock, package);
        assert_eq!(
            versions.len(),
            1,
            "`{package}` must be in the lock file once, found {versions:?}"
        );
    }
}

#[test]
fn second_version_is_reported() {
    let lock = "[[package]]\nname = \"arrow-array\"\nversion = \"59.0.0\"\n\n[[package]]\nname = \"arrow-array\"\nversion = \"60.0.0\"\n";
    assert_eq!(locked_versions(lock, "arrow-array"), ["59.0.0", "60.0.0"]);
}

#[test]
fn every_crate_inherits_the_lints_and_unsafe_is_forbidden() {
    let manifest = |folder: &str| std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    assert!(
        manifest(".").contains("unsafe_code = \"forbid\""),
        "the workspace must forbid unsafe code"
    );
    for member in MEMBERS {
        assert!(
            manifest(member).contains("[lints]\nworkspace = true"),
            "`{member}` must inherit the workspace lints"
        );
    }
}
