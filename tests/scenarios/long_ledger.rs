//! A ledger of several segments: a start reads the newest part first, and then the older ones.

use std::fs;
use std::path::Path;

use concordat_keys::KeyFile;
use concordat_node::Clock;
use concordat_protocol::audit::EntryBody;
use concordat_storage::data_dir::Storage;
use concordat_tests::{Person, TestNode, tester};

use super::assert_ledger_valid;

/// Four segments and the beginning of a fifth.
const ENTRIES: u64 = 4_200;

#[test]
fn ledger_damage_in_an_old_part_ends_service_and_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = TestNode::init("cleveland", "US", dir.path().join("cleveland"));
    grow(&node);

    node.start();
    node.await_condition("a ledger that is verified", |node| {
        node.status()["ledger_verification"].is_null()
    });
    assert!(node.status()["ledger_entries"].as_u64().unwrap() > ENTRIES);
    node.log_in(Person::Administrator);
    assert_ledger_valid(&node);
    assert_eq!(node.stop(), Some(0));

    let log = node.dir.join("ledger/entries.log");
    flip(&log);
    // The start succeeds unless the damage is found before it completes.
    match node.try_start() {
        Ok(()) => {
            node.await_condition("the damage to be found", |node| {
                let status = node.status();
                status["ready"] == false && status["ledger_verification"]["failed"] == true
            });
            assert!(node.http_get("/readyz").starts_with("HTTP/1.1 503"));
            node.run_with_input(&["login", "administrator"], Some("a wrong password"))
                .exits(6);
            node.stop();
        }
        Err(outcome) => drop(outcome.exits(6)),
    }
    for _ in 0..2 {
        node.try_start().unwrap_err().exits(6);
    }
    flip(&log);
    node.start();
    node.forget_login();
    node.log_in(Person::Administrator);
    assert_ledger_valid(&node);
}

/// Appends entries as the node would, while it is stopped.
fn grow(node: &TestNode) {
    let key = KeyFile::new(node.dir.join("unlock.key"));
    let storage = Storage::open(&node.dir, &key).unwrap();
    let ledger = storage.open_ledger("cleveland".parse().unwrap()).unwrap();
    let now = Clock::system().now();
    let by = tester();
    // Many entries of a frequent kind, then one of another kind: the anchor in the state covers all of them.
    let lost = |n: u64| EntryBody::AnswerLost {
        query: concordat_protocol::ids::QueryId::from_bytes(u128::from(n).to_be_bytes()),
    };
    let entry = |n| ledger.append_async(lost(n), &by, now);
    let appended = futures::executor::block_on(futures::future::join_all((0..ENTRIES).map(entry)));
    assert!(appended.iter().all(Result::is_ok));
    let anchored = EntryBody::LoginSucceeded { one_time: false };
    drop(ledger.append(anchored, &by, now).unwrap());
}

/// Flips a bit of one of the first entries.
fn flip(log: &Path) {
    let mut bytes = fs::read(log).unwrap();
    bytes[20_000] ^= 1;
    fs::write(log, bytes).unwrap();
}
