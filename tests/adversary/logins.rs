//! A process of the machine that reaches the socket of a node and has no session.

use std::fs;
use std::thread;

use concordat_tests::slots::Slots;
use concordat_tests::{Person, TestNode};

/// More than two hashes need, and far less than one for each attempt.
const MAX_GROWTH_KB: u64 = 512 * 1024;

#[test]
fn login_flood_leaves_few_entries_and_little_memory() {
    let _slots = Slots::take(1);
    let dir = tempfile::tempdir().unwrap();
    let node = TestNode::create("zurich", "CH", dir.path().join("zurich"));
    let before = peak_memory_kb(&node);
    thread::scope(|scope| {
        for n in 0..40 {
            let node = &node;
            scope.spawn(move || {
                let answer = attempt(node, &format!("unknown-{n}"));
                let refused = ["HTTP/1.1 401", "HTTP/1.1 503"];
                assert!(refused.iter().any(|head| answer.starts_with(head)), "{answer}");
            });
        }
    });
    for _ in 0..300 {
        let answer = attempt(&node, "unknown");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    let growth = peak_memory_kb(&node).saturating_sub(before);
    assert!(growth < MAX_GROWTH_KB, "{growth} kB");

    // The right password still works, and the ledger shows the attack in few entries.
    let listed = node.json_as(Person::Administrator, &["audit", "tail", "-n", "5000"]);
    let listed = listed.as_array().expect("a list of entries").iter();
    let failed = listed.filter(|entry| !entry["body"]["login_failed"].is_null()).count();
    assert!((1..=30).contains(&failed), "{failed}");
}

fn attempt(node: &TestNode, name: &str) -> String {
    let body = format!("{{\"name\":\"{name}\",\"password\":\"wrong wrong wrong\"}}");
    node.http("POST", "/v1/login", None, &body)
}

pub(super) fn peak_memory_kb(node: &TestNode) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
