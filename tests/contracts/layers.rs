//! Within a crate, modules form an order: each uses only those of earlier layers, and files do not use each other in a cycle.
//!
//! 1. The files of a crate are read without their comments and tests, and each path that begins with `crate`, `super`, `self` or a
//!    module below is an edge to the module that it names.
//! 2. Between the modules that a crate's root declares, an edge goes to an earlier layer of [`CRATES`] only.
//! 3. Within one of them, the files have no cycle. A name that a module only re-exports (`pub use`) counts as an edge to the file that
//!    defines it.
//!
//! Edges that still run upward are listed by name, and an entry that is no longer needed fails too: the list can only shrink.

mod modules;
mod planted;

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, Violation, assert_none, sources};
use modules::{Modules, top};

/// The order of one crate.
struct Crate {
    /// Its sources.
    src: &'static str,
    /// Its modules, lowest layer first. Those of one layer do not use each other.
    layers: &'static [&'static [&'static str]],
    /// Edges that still run upward, from a file to a module.
    upward: &'static [(&'static str, &'static str)],
    /// Modules within which files still use each other in a cycle, and how many files do.
    cycles: &'static [(&'static str, usize)],
}

const CRATES: &[Crate] = &[
    Crate {
        src: "protocol/src",
        layers: &[
            &["decision", "error_kind", "nesting"],
            &["ids", "labels", "schema", "text", "time"],
            &["canary", "identity"],
            &["signed"],
            &["membership", "scope"],
            &["collection", "probe"],
            &["audit", "grant", "policy_set", "release"],
            &["negotiation", "query"],
            &["wire"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "storage/arrow-stream/src",
        layers: &[&["error"], &["schema"], &["batch"], &["encoder", "reader"]],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "storage/disclosure/src",
        layers: &[
            &[
                "dominance",
                "encoding",
                "entropy",
                "exponential",
                "time_class",
                "unit_set",
            ],
            &["perturbation", "random", "sampling"],
            &["epochs", "field", "interval", "loss"],
            &["answer", "bases", "boxes", "tokens"],
            &["space"],
            &["cells"],
            &["records"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "storage/keys/src",
        layers: &[
            &["fs", "labels", "locked", "token"],
            &["error"],
            &["raw", "secret"],
            &["opaque", "transit", "wrap"],
            &["data", "provider", "state"],
            &["cipher", "identities", "master", "password"],
            &["escrow"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "storage/src",
        layers: &[
            &["beneath", "frames"],
            &["objects"],
            &["seal"],
            &["meta"],
            &["ledger"],
            &["ingest"],
            &["answers", "subjects"],
            &["catalog"],
            &["data_dir"],
            &["backup"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "storage/engine/src",
        layers: &[
            &[
                "cast_rule",
                "class",
                "domains",
                "floats",
                "calendar",
                "numeric_aggregates",
                "order",
                "permit",
                "precedence",
                "same_names",
                "store_error",
                "types",
                "visit",
            ],
            &[
                "average",
                "conversion",
                "dialect",
                "divide",
                "error_capture",
                "grouped_constants",
                "source",
            ],
            &["error", "positions", "text_parser"],
            &["canary", "names", "one_dataset", "several_datasets"],
            &["disclosure", "rows", "shown", "text"],
            &["transform"],
            &["guard", "meaning"],
            &["sums"],
            &["functions"],
            &["calculation", "session"],
            &["exact"],
            &["executable", "size", "statistic"],
            &["compute", "function_list", "plan", "statement"],
            &["decision", "known_plans"],
            &["foreseen", "grouping"],
            &["run"],
            &["records"],
            &["worker"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "node/documents/src",
        layers: &[
            &[
                "audit",
                "backup",
                "consortium",
                "dataset",
                "decision",
                "key",
                "openapi",
                "problem",
                "secret",
                "status",
            ],
            &[
                "evidence",
                "grant",
                "import",
                "parse_message",
                "policy",
                "query",
                "user",
            ],
            &["collection", "session", "why"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "node/client/src",
        layers: &[
            &["chunks", "path", "reading", "response"],
            &["folder", "lines"],
            &["client"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "node/cli/src",
        layers: &[
            &["files", "prompt", "session_store", "text", "withheld"],
            &["output"],
            &["answer", "context"],
            &["end"],
            &[
                "audit",
                "backup",
                "catalog",
                "consortium",
                "dataset",
                "doctor",
                "grant",
                "key",
                "policy",
                "query",
                "session",
                "status",
                "user",
            ],
            &["collection", "why"],
            &["command"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "node/network/src",
        layers: &[
            &["address", "error", "hello", "members", "reset", "resolve"],
            &["dial", "port"],
            &["config"],
            &["redial", "session", "source"],
            &["gate", "transport"],
            &["streams"],
            &["behavior", "framed", "message"],
            &["incoming", "task"],
            &["handle"],
            &["start"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "node/policy/src",
        layers: &[
            &["column_names", "explanation", "facts", "text_bounds"],
            &["entities", "prohibited", "rows"],
            &["request"],
            &["verdict"],
            &["load"],
            &["authorize", "named", "sources"],
            &["offer", "sample"],
            &["permitted"],
            &["cases", "diff", "max_scope"],
            &["decide_query", "known_max_scope"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "node/demo/src",
        layers: &[
            &["answer", "cohort", "narrator", "refusal"],
            &["cohorts", "node"],
            &["reader"],
            &["story"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "node/src",
        layers: &[
            &[
                "attribution",
                "bound_state",
                "clock",
                "descriptors",
                "epoch",
                "identity",
                "restorations",
                "shutdown",
                "templates",
            ],
            &["changes"],
            &["iam", "refusals"],
            &["config"],
            &["telemetry"],
            &["evidence"],
            &["policies"],
            &["ledger_heads"],
            &["membership"],
            &["negotiation", "rules", "start_state"],
            &["sharing"],
            &["federation"],
            &["lifecycle"],
            &["node"],
            &["init", "services"],
            &["api", "offline"],
            &["daemon"],
        ],
        upward: &[],
        cycles: &[],
    },
    Crate {
        src: "node/program/src",
        layers: &[
            &["address", "secrets"],
            &["unlock"],
            &["audit", "config", "demo", "doctor", "init", "key", "serve"],
            &["backup"],
            &["command_line"],
        ],
        upward: &[],
        cycles: &[],
    },
];

/// Edges between the modules of a crate's root that go to no known layer or upward, each with the file and the module.
fn upward_edges<'a>(modules: &'a Modules, layers: &[&[&str]]) -> Vec<(&'a str, String)> {
    let rank = |module: &str| layers.iter().position(|layer| layer.contains(&module));
    let mut found = Vec::new();
    for (module, file) in &modules.files {
        let from = top(module);
        for named in modules.named(file) {
            let to = top(&named);
            let is_edge = !to.is_empty() && !from.is_empty() && to != from;
            if is_edge && rank(to) >= rank(from) {
                found.push((file.path.as_str(), to.to_owned()));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Files of one module of the crate's root that use each other, as groups of files that all reach each other.
fn cycles(modules: &Modules) -> Vec<BTreeSet<String>> {
    let edges: BTreeMap<&str, BTreeSet<String>> = modules
        .files
        .iter()
        .map(|(module, file)| (module.as_str(), modules.used(module, file)))
        .collect();
    let reached = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut left = vec![from.to_owned()];
        while let Some(next) = left.pop() {
            for to in edges.get(next.as_str()).into_iter().flatten() {
                if top(to) == top(from) && seen.insert(to.clone()) {
                    left.push(to.clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<String>> = edges.keys().map(|module| (*module, reached(module))).collect();
    let reaches = |from: &str, to: &str| reach.get(from).is_some_and(|seen| seen.contains(to));
    let groups: BTreeSet<BTreeSet<String>> = reach
        .keys()
        .filter(|module| !module.is_empty() && reaches(module, module))
        .map(|module| {
            let others = reach
                .keys()
                .filter(|other| reaches(module, other) && reaches(other, module));
            others.map(|other| (*other).to_owned()).collect()
        })
        .collect();
    groups.into_iter().collect()
}

/// Everything in a crate that violates its order, and every exception that is no longer needed.
fn check(rules: &Crate, modules: &Modules) -> Vec<Violation> {
    let mut violations = Vec::new();
    let declared: BTreeSet<&str> = modules
        .files
        .keys()
        .map(|module| top(module))
        .filter(|top| !top.is_empty())
        .collect();
    let listed: BTreeSet<&str> = rules.layers.iter().flat_map(|layer| layer.iter().copied()).collect();
    for module in declared.symmetric_difference(&listed) {
        let what = format!("the module `{module}` must be in the table of layers if and only if it exists");
        violations.push(Violation::new(rules.src, what));
    }
    let found = upward_edges(modules, rules.layers);
    for (file, to) in &found {
        if !rules.upward.contains(&(*file, to.as_str())) {
            violations.push(Violation::new(
                *file,
                format!("uses `{to}`, which is not in an earlier layer"),
            ));
        }
    }
    for (file, to) in rules.upward {
        if !found.contains(&(*file, (*to).to_owned())) {
            violations.push(Violation::new(
                *file,
                format!("no longer uses `{to}`: remove it from the list"),
            ));
        }
    }
    let mut in_cycles = BTreeMap::<&str, BTreeSet<&String>>::new();
    let groups = cycles(modules);
    for group in &groups {
        let module = group.iter().next().map_or("", |first| top(first));
        in_cycles.entry(module).or_default().extend(group);
    }
    for (module, files) in &in_cycles {
        if !rules.cycles.contains(&(*module, files.len())) {
            let what = format!(
                "{} files of `{module}` use each other in a cycle: {files:?}",
                files.len()
            );
            violations.push(Violation::new(rules.src, what));
        }
    }
    for (module, count) in rules.cycles {
        if in_cycles.get(module).is_none_or(|files| files.len() != *count) {
            let what = format!("`{module}` no longer has {count} files in cycles: correct the list");
            violations.push(Violation::new(rules.src, what));
        }
    }
    violations
}

#[test]
fn modules_use_only_those_of_earlier_layers() {
    let mut violations = Vec::new();
    for rules in CRATES {
        let modules = Modules::read(rules.src, &sources(rules.src));
        assert!(modules.files.len() > 5, "the sources of {} were not read", rules.src);
        violations.extend(check(rules, &modules));
    }
    assert_none(&violations);
}
