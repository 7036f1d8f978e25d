//! Stories from beginning to end, with real daemons and the commands that people type.
//!
//! Each runs in a world of its own, so that they can be run in any order and at once. Where a story needs the same consortium
//! for several small checks, they are steps of one test.

mod backups;
mod bad_starts;
mod crashes;
mod custody;
mod demonstration;
mod disk_replaced;
mod evidence;
mod history;
mod hospitals;
mod imports;
mod institution_keys;
mod ledger_heads;
mod long_ledger;
mod members;
mod mishaps;
mod narrowing;
mod object_store;
mod omop;
mod outputs;
mod policies;
mod refusals;
mod revocation;
mod sentinels;
mod statistics;
mod tampering;
mod unlocking;
mod wear;
mod why;

use concordat_tests::{House, Person};
use serde_json::Value;

/// The numbers of one dataset's steps in the ledger: every `AnswerReleased` entry of `house`, oldest first.
fn answers_released(house: &House) -> Vec<Value> {
    entries(house, "answer_released")
}

/// Every entry of one kind in the ledger of `house`, oldest first.
fn entries(house: &House, kind: &str) -> Vec<Value> {
    let listed = house.json_as(Person::Administrator, &["audit", "tail", "-n", "5000"]);
    let mut entries: Vec<Value> = listed.as_array().expect("a list of entries").clone();
    entries.sort_by_key(|entry| entry["sequence"].as_u64());
    let bodies = entries.into_iter().map(|mut entry| entry["body"].take());
    bodies
        .filter_map(|mut body| body.get_mut(kind).map(Value::take))
        .collect()
}

/// On whose account each entry of one kind was made, oldest first.
fn causes(house: &House, kind: &str) -> Vec<Value> {
    let listed = house.json_as(Person::Administrator, &["audit", "tail", "-n", "5000"]);
    let mut entries: Vec<Value> = listed.as_array().expect("a list of entries").clone();
    entries.sort_by_key(|entry| entry["sequence"].as_u64());
    let of_kind = entries.into_iter().filter(|entry| !entry["body"][kind].is_null());
    of_kind.map(|mut entry| entry["cause"].take()).collect()
}

/// Expects that the ledger of `house` holds.
#[track_caller]
fn assert_ledger_holds(house: &House) {
    let report = house.json_as(Person::Administrator, &["audit", "verify"]);
    assert_eq!(report["ok"], true, "{}: {report}", house.id);
    assert_eq!(report["first_bad_entry"], Value::Null, "{}: {report}", house.id);
}

/// A number in a cell of an answer.
#[track_caller]
fn number(cell: &str) -> f64 {
    cell.parse().unwrap_or_else(|_| panic!("`{cell}` is no number"))
}

/// Expects two numbers that are the same up to 1e-9 of their size.
#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= expected.abs() * 1e-9,
        "{found} instead of {expected}"
    );
}
