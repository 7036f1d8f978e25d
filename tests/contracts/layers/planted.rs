//! What the rule must report, and what it must accept.

use super::*;

const RULES: Crate = Crate {
    src: "x/src",
    layers: &[&["low", "beside"], &["high"]],
    upward: &[],
    cycles: &[],
};

fn crate_of(files: &[(&str, &str)]) -> Modules {
    let sources: Vec<Source> = files
        .iter()
        .map(|(path, text)| Source {
            path: format!("x/src/{path}"),
            text: (*text).to_owned(),
        })
        .collect();
    Modules::read("x/src", &sources)
}

fn found(rules: &Crate, files: &[(&str, &str)]) -> Vec<String> {
    let all = [
        ("lib.rs", "pub mod low;\n"),
        ("low.rs", ""),
        ("beside.rs", ""),
        ("high.rs", ""),
    ];
    let rest = all
        .iter()
        .filter(|(path, _)| !files.iter().any(|(other, _)| other == path));
    let files: Vec<(&str, &str)> = rest.chain(files).copied().collect();
    check(rules, &crate_of(&files))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn edge_down_is_allowed_and_one_up_or_sideways_is_reported() {
    assert_eq!(
        found(&RULES, &[("high.rs", "use crate::low::Leaf;\n")]),
        [] as [&str; 0]
    );
    for text in [
        "use crate::high::Item;\n",
        "use crate::{\n    high::Item,\n};\n",
        "fn f() {\n    crate::high::go();\n}\n",
        "use super::high;\n",
        "pub use crate::high::Item;\n",
        "use std::fmt;\nuse crate::high::{self as up};\n",
    ] {
        let reported = found(&RULES, &[("low.rs", text)]);
        assert_eq!(
            reported,
            ["x/src/low.rs: uses `high`, which is not in an earlier layer"],
            "{text}"
        );
    }
    assert_eq!(found(&RULES, &[("low.rs", "use crate::beside::Other;\n")]).len(), 1);
}

#[test]
fn edge_from_a_nested_module_is_reported() {
    let reported = found(&RULES, &[("low/a/b.rs", "use super::super::super::high::Item;\n")]);
    assert_eq!(
        reported,
        ["x/src/low/a/b.rs: uses `high`, which is not in an earlier layer"]
    );
}

#[test]
fn files_in_a_cycle_are_reported_also_through_reexports() {
    let parent = ("low.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;\n");
    let acyclic = [
        parent,
        ("low/a.rs", "pub struct A;\n"),
        ("low/b.rs", "use super::A;\npub struct B;\n"),
    ];
    assert_eq!(found(&RULES, &acyclic), [] as [&str; 0]);
    let cycle = [
        parent,
        ("low/a.rs", "use super::B;\npub struct A;\n"),
        ("low/b.rs", "use super::A;\npub struct B;\n"),
    ];
    let reported = found(&RULES, &cycle);
    assert_eq!(
        reported,
        ["x/src: 2 files of `low` use each other in a cycle: {\"low/a\", \"low/b\"}"]
    );
}

#[test]
fn parent_and_child_that_use_each_other_are_a_cycle() {
    let child = ("low/a.rs", "use super::Parent;\npub fn go() {}\n");
    assert_eq!(found(&RULES, &[("low.rs", "mod a;\nstruct Parent;\n"), child]).len(), 0);
    let both = ("low.rs", "mod a;\nstruct Parent;\nfn f() {\n    a::go();\n}\n");
    assert_eq!(found(&RULES, &[both, child]).len(), 1);
    let reexported_and_used = (
        "low.rs",
        "mod a;\npub use a::go;\nstruct Parent;\nfn f() {\n    go();\n}\n",
    );
    assert_eq!(found(&RULES, &[reexported_and_used, child]).len(), 1);
}

#[test]
fn tests_and_comments_may_use_anything() {
    let text = "//! See [`crate::high`].\n// crate::high::go();\n#[cfg(test)]\nimpl Low {\n    fn f() {\n        crate::high::go();\n    }\n}\n#[cfg(test)]\nmod tests {\n    use crate::high::Item;\n}\n";
    assert_eq!(found(&RULES, &[("low.rs", text)]), [] as [&str; 0]);
    let tests = [
        ("low.rs", "#[cfg(test)]\nmod vectors;\n"),
        ("low/vectors.rs", "use crate::high::Item;\n"),
    ];
    assert_eq!(found(&RULES, &tests), [] as [&str; 0]);
    let after = "#[cfg(test)]\nmod tests;\nuse crate::high::Item;\n";
    assert_eq!(found(&RULES, &[("low.rs", after)]).len(), 1);
}

#[test]
fn visibility_is_no_edge() {
    let files = [
        ("low.rs", "mod a;\nuse a::Item;\n"),
        (
            "low/a.rs",
            "pub(in crate::low) struct Item;\nimpl Item {\n    pub(in crate::high) fn f() {}\n}\n",
        ),
    ];
    assert_eq!(found(&RULES, &files), [] as [&str; 0]);
}

#[test]
fn module_without_a_layer_is_reported() {
    assert_eq!(found(&RULES, &[("new.rs", "")]).len(), 1);
}

#[test]
fn exception_that_is_not_needed_is_reported() {
    let rules = Crate {
        upward: &[("x/src/low.rs", "high")],
        cycles: &[("low", 2)],
        ..RULES
    };
    let files = [
        (
            "low.rs",
            "mod a;\nuse crate::high::Item;\nstruct Parent;\nfn f() {\n    a::go();\n}\n",
        ),
        ("low/a.rs", "use super::Parent;\npub fn go() {}\n"),
    ];
    assert_eq!(found(&rules, &files), [] as [&str; 0]);
    assert_eq!(found(&rules, &[]).len(), 2);
}
