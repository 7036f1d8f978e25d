//! End-to-end tests with real daemons and the commands that users type.
//!
//! Each test has its own world, so tests can run in any order and in parallel. Where several small checks need the same consortium,
//! they are steps of one test.

mod addresses;
mod backups;
mod bulk;
mod collection_changes;
mod collection_grants;
mod collections;
mod copies;
mod counted_at_members;
mod crash_recovery;
mod crashes;
mod declarations;
mod demonstration;
mod disk_replaced;
mod endurance;
mod estimates;
mod evidence;
mod failed_starts;
mod grant_list;
mod held_requests;
mod history;
mod hospitals;
mod importing;
mod imports;
mod institution_keys;
mod interrupted;
mod ledger_heads;
mod lifecycle;
mod long_ledger;
mod many_tables;
mod members;
mod narrowing;
mod object_store;
mod omop;
mod openapi;
mod outputs;
mod own_queries;
mod plaintext_scan;
mod policies;
mod query_limits;
mod refusals;
mod refused_folders;
mod replaced;
mod restored;
mod revocation;
mod rules;
mod statistics;
mod tampering;
mod trainings;
mod unlocking;
mod why;
mod wording;

use concordat_tests::{Person, TestNode};
use serde_json::Value;

/// Every `AnswerReleased` entry in the ledger of `node`, oldest first.
fn answers_released(node: &TestNode) -> Vec<Value> {
    entries(node, "answer_released")
}

/// Every entry of one kind in the ledger of `node`, oldest first.
fn entries(node: &TestNode, kind: &str) -> Vec<Value> {
    let listed = node.json_as(Person::Administrator, &["audit", "tail", "-n", "5000"]);
    let mut entries: Vec<Value> = listed.as_array().expect("a list of entries").clone();
    entries.sort_by_key(|entry| entry["sequence"].as_u64());
    let bodies = entries.into_iter().map(|mut entry| entry["body"].take());
    bodies
        .filter_map(|mut body| body.get_mut(kind).map(Value::take))
        .collect()
}

/// The cause of each entry of one kind, oldest first.
fn causes(node: &TestNode, kind: &str) -> Vec<Value> {
    let listed = node.json_as(Person::Administrator, &["audit", "tail", "-n", "5000"]);
    let mut entries: Vec<Value> = listed.as_array().expect("a list of entries").clone();
    entries.sort_by_key(|entry| entry["sequence"].as_u64());
    let of_kind = entries.into_iter().filter(|entry| !entry["body"][kind].is_null());
    of_kind.map(|mut entry| entry["cause"].take()).collect()
}

/// Asserts that the ledger of `node` is valid.
#[track_caller]
fn assert_ledger_valid(node: &TestNode) {
    let report = node.json_as(Person::Administrator, &["audit", "verify"]);
    assert_eq!(report["ok"], true, "{}: {report}", node.id);
    assert_eq!(report["first_bad_entry"], Value::Null, "{}: {report}", node.id);
}

/// A number in a cell of an answer.
#[track_caller]
fn number(cell: &str) -> f64 {
    cell.parse().unwrap_or_else(|_| panic!("`{cell}` is not a number"))
}

/// Asserts that two numbers are equal up to a relative error of 1e-9.
#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= expected.abs() * 1e-9,
        "{found} instead of {expected}"
    );
}
