//! What the rule must see, and what it must not mind.

use super::*;

const RULES: Crate = Crate {
    src: "x/src",
    layers: &[&["low", "beside"], &["high"]],
    back: &[],
    circles: &[],
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
    judge(rules, &crate_of(&files))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn an_arrow_down_is_allowed_and_one_back_or_sideways_is_seen() {
    assert_eq!(
        found(&RULES, &[("high.rs", "use crate::low::Leaf;\n")]),
        [] as [&str; 0]
    );
    for text in [
        "use crate::high::Thing;\n",
        "use crate::{\n    high::Thing,\n};\n",
        "fn f() {\n    crate::high::go();\n}\n",
        "use super::high;\n",
        "pub use crate::high::Thing;\n",
        "use std::fmt;\nuse crate::high::{self as up};\n",
    ] {
        let seen = found(&RULES, &[("low.rs", text)]);
        assert_eq!(
            seen,
            ["x/src/low.rs: uses `high`, which is not in an earlier layer"],
            "{text}"
        );
    }
    assert_eq!(found(&RULES, &[("low.rs", "use crate::beside::Other;\n")]).len(), 1);
}

#[test]
fn an_arrow_from_deep_within_is_seen() {
    let seen = found(&RULES, &[("low/a/b.rs", "use super::super::super::high::Thing;\n")]);
    assert_eq!(
        seen,
        ["x/src/low/a/b.rs: uses `high`, which is not in an earlier layer"]
    );
}

#[test]
fn files_in_a_circle_are_seen_also_through_what_a_module_passes_on() {
    let parent = ("low.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;\n");
    let apart = [
        parent,
        ("low/a.rs", "pub struct A;\n"),
        ("low/b.rs", "use super::A;\npub struct B;\n"),
    ];
    assert_eq!(found(&RULES, &apart), [] as [&str; 0]);
    let circle = [
        parent,
        ("low/a.rs", "use super::B;\npub struct A;\n"),
        ("low/b.rs", "use super::A;\npub struct B;\n"),
    ];
    let seen = found(&RULES, &circle);
    assert_eq!(
        seen,
        ["x/src: 2 files of `low` use each other in a circle: {\"low/a\", \"low/b\"}"]
    );
}

#[test]
fn a_parent_and_its_child_are_a_circle_if_both_use_each_other() {
    let child = ("low/a.rs", "use super::Parent;\npub fn go() {}\n");
    assert_eq!(found(&RULES, &[("low.rs", "mod a;\nstruct Parent;\n"), child]).len(), 0);
    let both = ("low.rs", "mod a;\nstruct Parent;\nfn f() {\n    a::go();\n}\n");
    assert_eq!(found(&RULES, &[both, child]).len(), 1);
    let passed_on_and_used = (
        "low.rs",
        "mod a;\npub use a::go;\nstruct Parent;\nfn f() {\n    go();\n}\n",
    );
    assert_eq!(found(&RULES, &[passed_on_and_used, child]).len(), 1);
}

#[test]
fn tests_and_comments_may_use_anything() {
    let text = "//! See [`crate::high`].\n// crate::high::go();\n#[cfg(test)]\nimpl Low {\n    fn f() {\n        crate::high::go();\n    }\n}\n#[cfg(test)]\nmod tests {\n    use crate::high::Thing;\n}\n";
    assert_eq!(found(&RULES, &[("low.rs", text)]), [] as [&str; 0]);
    let tests = [
        ("low.rs", "#[cfg(test)]\nmod vectors;\n"),
        ("low/vectors.rs", "use crate::high::Thing;\n"),
    ];
    assert_eq!(found(&RULES, &tests), [] as [&str; 0]);
    let after = "#[cfg(test)]\nmod tests;\nuse crate::high::Thing;\n";
    assert_eq!(found(&RULES, &[("low.rs", after)]).len(), 1);
}

#[test]
fn a_module_without_a_layer_is_seen() {
    assert_eq!(found(&RULES, &[("new.rs", "")]).len(), 1);
}

#[test]
fn an_exception_that_is_none_any_more_is_seen() {
    let rules = Crate {
        back: &[("x/src/low.rs", "high")],
        circles: &[("low", 2)],
        ..RULES
    };
    let files = [
        (
            "low.rs",
            "mod a;\nuse crate::high::Thing;\nstruct Parent;\nfn f() {\n    a::go();\n}\n",
        ),
        ("low/a.rs", "use super::Parent;\npub fn go() {}\n"),
    ];
    assert_eq!(found(&rules, &files), [] as [&str; 0]);
    assert_eq!(found(&rules, &[]).len(), 2);
}
