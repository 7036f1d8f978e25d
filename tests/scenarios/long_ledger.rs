//! A ledger of several segments: a start reads the newest part, and then what is older.

use std::fs;
use std::path::Path;

use concordat_node::clock::Clock;
use concordat_protocol::audit::EntryBody;
use concordat_storage::{data_dir::Storage, keys::KeyFile};
use concordat_tests::{House, Person, tester};

use super::assert_ledger_holds;

/// Four segments and the beginning of a fifth.
const ENTRIES: u64 = 4_200;

#[test]
fn damage_in_an_old_part_of_the_ledger_ends_the_service_and_the_next_start() {
    let place = tempfile::tempdir().unwrap();
    let mut house = House::prepare("cleveland", "US", place.path().join("cleveland"));
    grow(&house);

    house.start();
    house.await_that("a ledger that is verified", |house| {
        house.status()["ledger_verification"].is_null()
    });
    assert!(house.status()["ledger_entries"].as_u64().unwrap() > ENTRIES);
    house.log_in(Person::Administrator);
    assert_ledger_holds(&house);
    assert_eq!(house.stop(), Some(0));

    let log = house.dir.join("ledger/entries.log");
    flip(&log);
    // The start goes well unless the damage is found before it is through.
    match house.try_start() {
        Ok(()) => {
            house.await_that("the damage to be found", |house| {
                let status = house.status();
                status["ready"] == false
                    && status["ledger_verification"]
                        .to_string()
                        .contains("is damaged at entry")
            });
            assert!(house.http_get("/readyz").starts_with("HTTP/1.1 503"));
            house
                .typed(&["login", "administrator"], Some("a wrong password"))
                .exits(6);
            house.stop();
        }
        Err(outcome) => drop(outcome.exits(6)),
    }
    for _ in 0..2 {
        house.try_start().unwrap_err().exits(6);
    }
    flip(&log);
    house.start();
    house.forget_login();
    house.log_in(Person::Administrator);
    assert_ledger_holds(&house);
}

/// Appends entries as the node would, while it does not run.
fn grow(house: &House) {
    let key = KeyFile::new(house.dir.join("unlock.key"));
    let storage = Storage::open(&house.dir, &key).unwrap();
    let ledger = storage.open_ledger("cleveland".parse().unwrap()).unwrap();
    let now = Clock::system().now();
    let by = tester();
    // Of a frequent kind, and then one of another: the state vouches for all of them.
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
