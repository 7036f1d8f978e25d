//! Counting with a simulated clock, locking, and unlocking by two people.

use std::collections::BTreeSet;

use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
use concordat_protocol::audit::{EntryBody, NodeTask};
use concordat_protocol::ids::ActorId;
use concordat_protocol::query::Role;
use concordat_protocol::time::Timestamp;
use concordat_protocol::wire::messages::RefusalCode;
use concordat_storage::ledger::Ledger;
use concordat_storage::meta::SealedDb;
use tempfile::TempDir;

use super::counts::Most;
use super::*;
use crate::attribution::by_node;
use crate::changes::Changes;
use crate::iam::{Accounts, Actor, IamError, Sessions};

mod isolating;
mod unlocking;

/// The beginning of an hour.
const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;
const PASSWORD: &str = "correct horse battery";

struct Fixture {
    dir: TempDir,
    master: MasterKey,
}

/// A node with its limits, as a start opens them.
struct Opened {
    meta: SealedDb,
    ledger: Ledger,
    limits: LimitsBelowRecords,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        Self { dir, master }
    }

    fn open(&self) -> Opened {
        let meta = SealedDb::open(&self.dir.path().join("meta"), self.master.state()).unwrap();
        let institution = "budapest".parse().unwrap();
        let path = self.dir.path().join("ledger");
        let ledger = Ledger::open_anchored(&path, self.master.ledger(), institution, &meta).unwrap();
        let changes = Changes::open(&meta, ledger.clone()).unwrap();
        let limits = LimitsBelowRecords::open(&meta, ledger.clone(), changes).unwrap();
        Opened { meta, ledger, limits }
    }
}

impl Opened {
    /// Sends a query of `person` to `collection`; returns the rules by which it is refused.
    fn send_to(&self, collection: &str, person: &str, most: Most, now: Timestamp) -> Vec<String> {
        let by = by_node(NodeTask::Start);
        let query = counted(collection, person);
        let refusal = self.limits.store().count(&query, most, (&by, now)).unwrap();
        let reasons = refusal.into_iter().flat_map(|refusal| {
            assert_eq!(refusal.code, RefusalCode::Denied);
            refusal.reasons
        });
        reasons.map(|reason| reason.rule.unwrap()).collect()
    }

    /// How many queries of `person` to `heart` are left, or the rules by which another one is refused.
    fn left(&self, person: &str, most: Most, now: Timestamp) -> Result<u32, Vec<String>> {
        let person = id(person);
        let institution = person.as_str().split_once('@').unwrap().1.parse().unwrap();
        let query = CountedQuery {
            collection: "budapest.heart".parse().unwrap(),
            institution,
            person,
        };
        let left = self.limits.store().left(&query, most, now).unwrap();
        left.map_err(|refusal| refusal.reasons.into_iter().map(|reason| reason.rule.unwrap()).collect())
    }

    /// The same to `heart`.
    fn send(&self, person: &str, most: Most, now: Timestamp) -> Vec<String> {
        self.send_to("heart", person, most, now)
    }

    /// Sends queries until the person has reached the limit at `now`.
    fn exhaust(&self, person: &str, most: Most, now: Timestamp) -> Vec<String> {
        for _ in 0..10_000 {
            let refused = self.send(person, most, now);
            if !refused.is_empty() {
                return refused;
            }
        }
        panic!("no limit was reached");
    }

    fn entries(&self) -> Vec<EntryBody> {
        let entries = self.ledger.range(0, self.ledger.size()).unwrap().into_iter();
        entries.map(|stored| stored.entry.body).collect()
    }

    fn locked(&self) -> Vec<String> {
        let found = self.limits.locked_people(&"heart".parse().unwrap()).unwrap();
        found.iter().map(|locked| locked.person.to_string()).collect()
    }
}

fn counted(collection: &str, person: &str) -> CountedQuery {
    let person = id(person);
    CountedQuery {
        collection: format!("budapest.{collection}").parse().unwrap(),
        institution: person.as_str().split_once('@').unwrap().1.parse().unwrap(),
        person,
    }
}

fn id(person: &str) -> ActorId {
    person.parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    NOON.plus_seconds(seconds)
}

const PERSON: &str = "person-queries-below-records";
const INSTITUTION: &str = "institution-queries-below-records";
const ALL: &str = "all-queries-below-records";
const LOCKED: &str = "release-locked";

#[test]
fn below_records_limit_of_a_person_ends_after_a_day() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let most = Most::of(3, 100, 100);
    for at in [0, 59 * 60, 5 * HOUR_S] {
        assert!(node.send("eva@zurich", most, after(at)).is_empty());
    }
    assert_eq!(node.send("eva@zurich", most, after(5 * HOUR_S)), [PERSON]);
    assert!(node.send("pal@zurich", most, after(5 * HOUR_S)).is_empty());
    // The first two were in one hour, which counts until 24 hours have passed since its end.
    let end = 25 * HOUR_S;
    assert_eq!(node.send("eva@zurich", most, after(end).plus_millis(-1)), [PERSON]);
    for _ in 0..2 {
        assert!(node.send("eva@zurich", most, after(end)).is_empty());
    }
    assert_eq!(node.send("eva@zurich", most, after(end)), [PERSON]);
}

#[test]
fn below_records_queries_that_are_left_are_read_and_not_used() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let most = Most::of(3, 5, 100);
    for (eva, pal) in [(3, 3), (2, 3), (1, 3)] {
        for _ in 0..4 {
            assert_eq!(node.left("eva@zurich", most, NOON), Ok(eva));
            assert_eq!(node.left("pal@zurich", most, NOON), Ok(pal));
        }
        assert!(node.send("eva@zurich", most, NOON).is_empty());
    }
    // What is left to the institution limits each of its people.
    assert_eq!(node.left("pal@zurich", most, NOON), Ok(2));
    assert_eq!(node.left("eva@zurich", most, NOON), Err(vec![PERSON.to_owned()]));
    // What others have sent shows once it has reached the limit of all.
    assert_eq!(node.left("ida@vienna", Most::of(3, 5, 4), NOON), Ok(3));
    assert_eq!(
        node.left("ida@vienna", Most::of(3, 5, 3), NOON),
        Err(vec![ALL.to_owned()])
    );
    assert_eq!(node.left("eva@zurich", most, after(25 * HOUR_S)), Ok(3));
}

/// Reaching a limit is held against a person who sends a query, and not against one who reads what is left.
#[test]
fn below_records_limit_that_was_only_read_locks_no_one() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let most = Most::of(1, 100, 100);
    for day in 0..5 {
        let now = after(2 * day * DAY_S);
        assert!(node.send("eva@zurich", most, now).is_empty());
        for _ in 0..3 {
            assert_eq!(node.left("eva@zurich", most, now), Err(vec![PERSON.to_owned()]));
        }
    }
    assert!(node.locked().is_empty());
    for day in 5..8 {
        node.exhaust("eva@zurich", most, after(2 * day * DAY_S));
    }
    assert_eq!(node.locked(), ["eva@zurich"]);
    let later = after(20 * DAY_S);
    assert_eq!(node.left("eva@zurich", most, later), Err(vec![LOCKED.to_owned()]));
}

#[test]
fn below_records_refusal_names_the_limit_and_its_end() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let most = Most::of(2, 2, 100);
    let query = CountedQuery {
        collection: "budapest.heart".parse().unwrap(),
        institution: "zurich".parse().unwrap(),
        person: id("eva@zurich"),
    };
    let by = by_node(NodeTask::Start);
    let send = || node.limits.store().count(&query, most, (&by, NOON)).unwrap();
    assert!(send().is_none() && send().is_none());
    let reasons = send().unwrap().reasons;
    let until = after(25 * HOUR_S).to_string();
    let texts: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            format!(
                "the 2 queries below `records` that eva@zurich may send to `budapest.heart` in 24 hours are used up until {until}"
            ),
            format!(
                "the 2 queries below `records` that zurich may send to `budapest.heart` in 24 hours are used up until {until}"
            ),
        ]
    );
    assert!(
        reasons
            .iter()
            .all(|reason| reason.remedy.as_ref().unwrap().contains(&until))
    );
}

#[test]
fn below_records_clock_set_back_by_minutes_gives_nothing_back() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let most = Most::of(2, 100, 100);
    assert!(node.send("eva@zurich", most, after(60)).is_empty());
    assert!(node.send("eva@zurich", most, after(60)).is_empty());
    assert_eq!(node.send("eva@zurich", most, after(-1800)), [PERSON]);
    // What a clock counted that was wrong by years refuses no one.
    let ahead = after(2000 * DAY_S);
    let node = Fixture::new();
    let node = node.open();
    assert_eq!(node.exhaust("eva@zurich", most, ahead), [PERSON]);
    assert!(node.send("eva@zurich", most, NOON).is_empty());
}

#[test]
fn below_records_institution_and_all_are_counted_too() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let most = Most::of(3, 4, 6);
    for person in ["eva@zurich", "eva@zurich", "pal@zurich", "pal@zurich"] {
        assert!(node.send(person, most, NOON).is_empty());
    }
    assert_eq!(node.send("new@zurich", most, NOON), [INSTITUTION]);
    // Other institutions, the holder's own people among them, have limits of their own.
    for person in ["eva@vienna", "eva@budapest"] {
        assert!(node.send(person, most, NOON).is_empty());
    }
    assert_eq!(node.send("eva@vienna", most, NOON), [ALL]);
    assert_eq!(node.send("eva@zurich", most, NOON), [INSTITUTION, ALL]);
    // So has each collection.
    assert!(node.send_to("stroke", "eva@zurich", most, NOON).is_empty());
}

#[test]
fn below_records_narrower_limit_applies_to_the_next_query() {
    let fixture = Fixture::new();
    let node = fixture.open();
    for _ in 0..5 {
        assert!(node.send("eva@zurich", Most::of(10, 10, 10), NOON).is_empty());
    }
    assert_eq!(node.send("eva@zurich", Most::of(5, 10, 10), NOON), [PERSON]);
    assert_eq!(node.send("eva@zurich", Most::of(10, 4, 10), NOON), [INSTITUTION]);
    assert_eq!(node.send("eva@zurich", Most::of(10, 10, 5), NOON), [ALL]);
    assert!(node.send("eva@zurich", Most::of(10, 10, 10), NOON).is_empty());
}

#[test]
fn below_records_last_query_has_one_winner() {
    let fixture = Fixture::new();
    let node = fixture.open();
    for most in [Most::of(5, 100, 100), Most::of(100, 10, 100), Most::of(100, 100, 15)] {
        for _ in 0..4 {
            assert!(node.send("eva@zurich", most, NOON).is_empty());
        }
        let admitted = std::thread::scope(|scope| {
            let sending: Vec<_> = (0..12)
                .map(|_| scope.spawn(|| node.send("eva@zurich", most, NOON).is_empty()))
                .collect();
            sending
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .filter(|admitted| *admitted)
                .count()
        });
        assert_eq!(admitted, 1, "{most:?}");
    }
}

#[test]
fn below_records_counts_and_locks_survive_a_restart() {
    let fixture = Fixture::new();
    let most = Most::of(2, 100, 100);
    let node = fixture.open();
    assert!(node.send("eva@zurich", most, NOON).is_empty());
    drop(node);
    let node = fixture.open();
    assert!(node.send("eva@zurich", most, NOON).is_empty());
    drop(node);
    for (day, expected) in [(0, PERSON), (2, PERSON), (4, LOCKED)] {
        let node = fixture.open();
        assert_eq!(
            node.exhaust("eva@zurich", most, after(day * DAY_S)),
            [expected],
            "{day}"
        );
    }
    let node = fixture.open();
    assert_eq!(node.send("eva@zurich", most, after(60 * DAY_S)), [LOCKED]);
    assert_eq!(node.locked(), ["eva@zurich"]);
}

#[test]
fn person_is_locked_at_the_third_limit_in_30_days() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let most = Most::of(1, 100, 100);
    // Attempts within a day are one time.
    for attempt in 0..5 {
        assert_eq!(node.exhaust("eva@zurich", most, after(attempt * HOUR_S)), [PERSON]);
    }
    assert_eq!(node.exhaust("eva@zurich", most, after(10 * DAY_S)), [PERSON]);
    // The first one is 30 days ago by now.
    assert_eq!(node.exhaust("eva@zurich", most, after(30 * DAY_S)), [PERSON]);
    assert!(node.locked().is_empty() && node.entries().is_empty());
    assert_eq!(node.exhaust("eva@zurich", most, after(32 * DAY_S)), [LOCKED]);
    assert_eq!(node.locked(), ["eva@zurich"]);
    let entries = node.entries();
    let [EntryBody::ReleaseLocked { collection, actor, .. }] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert_eq!((collection.as_str(), actor.as_str()), ("heart", "eva@zurich"));
    // No one else is, and this person nowhere else.
    assert!(node.send("pal@zurich", most, after(32 * DAY_S)).is_empty());
    assert!(node.send_to("stroke", "eva@zurich", most, after(32 * DAY_S)).is_empty());
}

#[test]
fn person_is_not_locked_for_queries_of_others() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let most = Most::of(10, 10, 100);
    for day in 0..6 {
        let now = after(day * 2 * DAY_S);
        for colleague in 0..10 {
            let colleague = format!("colleague{colleague}@zurich");
            assert!(node.send(&colleague, most, now).is_empty());
        }
        assert_eq!(node.send("eva@zurich", most, now), [INSTITUTION]);
    }
    // A person who alone has sent all queries of the institution has reached a limit, however it is called.
    let narrow = Most::of(10, 2, 100);
    for (day, expected) in [(0, INSTITUTION), (2, INSTITUTION), (4, LOCKED)] {
        assert_eq!(node.exhaust("eva@vienna", narrow, after(day * DAY_S)), [expected]);
    }
    // A limit that permits nothing is no one's doing.
    for day in 0..6 {
        let none = Most::of(0, 10, 100);
        assert_eq!(node.send("eva@oslo", none, after(day * 2 * DAY_S)), [PERSON]);
    }
}

#[test]
fn person_who_reached_limits_in_the_future_is_locked() {
    let fixture = Fixture::new();
    let node = fixture.open();
    let most = Most::of(1, 100, 100);
    for day in [100, 102] {
        assert_eq!(node.exhaust("eva@zurich", most, after(day * DAY_S)), [PERSON]);
    }
    // The clock is set back; what was reached is not forgotten by that.
    assert_eq!(node.exhaust("eva@zurich", most, NOON), [LOCKED]);
}
