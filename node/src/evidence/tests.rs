mod receipts;
mod retention;
mod signed;

use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
use concordat_protocol::audit::{Cause, EntryBody, LedgerHead, NodeTask, Outcome};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::{ActorId, Digest32, GrantId};
use concordat_storage::ledger::{Attribution, Ledger};
use tempfile::TempDir;

use self::signed::{CONSUMER, countersignature, head, query_after, receipt, receipt_of, signed_record, zurich};
use super::*;
use crate::attribution::by_node;

const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct Fixture {
    dir: TempDir,
    master: MasterKey,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
        let master = MasterKey::create(&dir.path().join("master.key"), &source).unwrap();
        Self { dir, master }
    }

    fn open(&self) -> (Evidence, Ledger) {
        let db = SealedDb::open(&self.dir.path().join("meta"), self.master.state()).unwrap();
        let ledger = Ledger::open(&self.dir.path().join("ledger"), self.master.ledger(), budapest()).unwrap();
        (Evidence::open(&db, ledger.clone()).unwrap(), ledger)
    }
}

impl Fixture {
    /// Opens them as a node does: the ledger is compared with the state.
    fn open_anchored(&self) -> (Evidence, Ledger) {
        let db = SealedDb::open(&self.meta(), self.master.state()).unwrap();
        let ledger = self.dir.path().join("ledger");
        let ledger = Ledger::open_anchored(&ledger, self.master.ledger(), budapest(), &db).unwrap();
        (Evidence::open(&db, ledger.clone()).unwrap(), ledger)
    }

    fn meta(&self) -> std::path::PathBuf {
        self.dir.path().join("meta")
    }

    fn copy_meta(&self, from: &std::path::Path, to: &std::path::Path) {
        std::fs::remove_dir_all(to).ok();
        let copied = std::process::Command::new("cp").arg("-r").args([from, to]).status();
        assert!(copied.unwrap().success());
    }
}

/// An entry of each frequent kind.
fn about(n: u8) -> [EntryBody; 6] {
    let query = query(n);
    let grant = GrantId::from_bytes([1; 16]);
    let outcome = Outcome::Completed;
    [
        EntryBody::DecisionMade {
            request: query,
            grant: None,
            permitted: true,
            reasons: Vec::new(),
            policy: Digest32::ZERO,
            sql: None,
        },
        EntryBody::QueryOpened {
            query,
            provider: budapest(),
            grant,
            sql: Digest32::ZERO,
        },
        EntryBody::AnswerReleased {
            query,
            grant: None,
            rows: 1,
            bytes: 1,
            answer: Digest32::ZERO,
            outcome: outcome.clone(),
            receipt: None,
        },
        EntryBody::QueryClosed {
            query,
            rows: 1,
            bytes: 1,
            outcome,
        },
        EntryBody::ReceiptCountersigned {
            query,
            digest: Digest32::ZERO,
            counted: true,
        },
        EntryBody::AnswerLost { query },
    ]
}

#[test]
fn evidence_entry_without_a_record_shows_an_older_state() {
    let by = by_node(NodeTask::Start);
    for entry in about(1) {
        let fixture = Fixture::new();
        let (evidence, ledger) = fixture.open_anchored();
        let version = concordat_protocol::text::Label::sanitized("1");
        let _ = ledger
            .append(EntryBody::NodeStarted { version, start: None }, &by, NOON)
            .unwrap();
        // A record that does not name its entry yet, as a kill leaves it: that it is completed must not cover what the state lacks.
        evidence.begin(query(2), &record(EvidenceSide::Provider, NOON)).unwrap();
        let [decision, ..] = about(2);
        let _ = ledger.append(decision, &by, NOON).unwrap();
        drop((evidence, ledger));
        let earlier = fixture.dir.path().join("earlier");
        fixture.copy_meta(&fixture.meta(), &earlier);

        let (evidence, ledger) = fixture.open_anchored();
        evidence.begin(query(1), &record(EvidenceSide::Provider, NOON)).unwrap();
        let _ = ledger.append(entry.clone(), &by, NOON).unwrap();
        drop((evidence, ledger));
        let (evidence, ledger) = fixture.open_anchored();
        evidence.compare().expect("the newest state has the record");
        drop((evidence, ledger));

        fixture.copy_meta(&earlier, &fixture.meta());
        for _ in 0..2 {
            let (evidence, _ledger) = fixture.open_anchored();
            let refused = evidence.compare().unwrap_err();
            assert!(
                matches!(refused, EvidenceError::StateOlder { entry: 2, .. }),
                "{entry:?}: {refused}"
            );
            assert_eq!(refused.kind(), ErrorKind::Integrity);
            assert!(refused.help().is_some());
        }
    }
}

/// An older copy of the ledger alone lacks an entry that the record of a query names.
#[test]
fn ledger_older_than_the_evidence_of_a_query_does_not_open() {
    let fixture = Fixture::new();
    let by = by_node(NodeTask::Start);
    let (_, ledger) = fixture.open_anchored();
    let version = concordat_protocol::text::Label::sanitized("1");
    let _ = ledger
        .append(EntryBody::NodeStarted { version, start: None }, &by, NOON)
        .unwrap();
    drop(ledger);
    let folder = fixture.dir.path().join("ledger");
    let earlier = fixture.dir.path().join("earlier");
    fixture.copy_meta(&folder, &earlier);

    let (evidence, ledger) = fixture.open_anchored();
    evidence.begin(query(1), &record(EvidenceSide::Local, NOON)).unwrap();
    let [decision, ..] = about(1);
    let entry = ledger.append(decision, &by, NOON).unwrap().sequence();
    evidence.note(query(1), entry).unwrap();
    drop((evidence, ledger));
    fixture.copy_meta(&earlier, &folder);
    let db = SealedDb::open(&fixture.meta(), fixture.master.state()).unwrap();
    let refused = Ledger::open_anchored(&folder, fixture.master.ledger(), budapest(), &db).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Integrity, "{refused}");
    assert!(refused.to_string().contains("`ledger` was replaced"), "{refused}");
}

#[test]
fn evidence_record_without_entries_is_left_by_a_crash() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open_anchored();
    let empty = EvidenceRecord {
        entries: Vec::new(),
        ..record(EvidenceSide::Provider, NOON)
    };
    let by = by_node(NodeTask::Start);
    let version = concordat_protocol::text::Label::sanitized("1");
    let _ = ledger
        .append(EntryBody::NodeStarted { version, start: None }, &by, NOON)
        .unwrap();
    // The stop comes before the entry, or between the entry and the update of the record.
    evidence.begin(query(1), &empty).unwrap();
    evidence.begin(query(2), &empty).unwrap();
    evidence.begin(query(3), &empty).unwrap();
    let [decision, ..] = about(2);
    let _ = ledger.append(decision, &by, NOON).unwrap();
    let denial = EntryBody::DecisionMade {
        request: query(3),
        grant: None,
        permitted: false,
        reasons: Vec::new(),
        policy: Digest32::ZERO,
        sql: None,
    };
    let _ = ledger.append(denial, &by, NOON).unwrap();
    drop((evidence, ledger));
    let (evidence, ledger) = fixture.open_anchored();
    evidence.compare().unwrap();
    assert_eq!(evidence.get(query(1)).unwrap().unwrap().entries, [0_u64; 0]);
    assert_eq!(evidence.get(query(2)).unwrap().unwrap().entries, [1]);
    assert_eq!(evidence.get(query(3)).unwrap().unwrap().entries, [2]);
    // A denial is its own end.
    assert_eq!(evidence.recover(NOON).unwrap(), 2);
    assert!(!evidence.is_open(query(3)).unwrap());
    assert_eq!(ledger.size(), 5);
}

/// The change of another query covers an entry before the record of its own query names it, and the node is killed.
#[test]
fn evidence_entry_that_another_query_has_covered_is_named() {
    let fixture = Fixture::new();
    let by = by_node(NodeTask::Start);
    let empty = EvidenceRecord {
        entries: Vec::new(),
        ..record(EvidenceSide::Provider, NOON)
    };
    let (evidence, ledger) = fixture.open_anchored();
    evidence.begin(query(1), &empty).unwrap();
    evidence.begin(query(2), &empty).unwrap();
    let numbers = [1, 2].map(|n| {
        let [decision, ..] = about(n);
        ledger.append(decision, &by, NOON).unwrap().sequence()
    });
    // It names the later entry only, and covers both.
    evidence.note(query(2), numbers[1]).unwrap();
    evidence.begin(query(3), &empty).unwrap();
    drop((evidence, ledger));

    let (evidence, ledger) = fixture.open_anchored();
    assert_eq!(ledger.anchored(), ledger.size(), "no entry is left to be compared");
    evidence.compare().unwrap();
    let named = |n| evidence.get(query(n)).unwrap().unwrap().entries;
    assert_eq!(
        [named(1), named(2), named(3)],
        [vec![numbers[0]], vec![numbers[1]], vec![]]
    );
    // What the start enters about them follows.
    assert_eq!(evidence.recover(NOON).unwrap(), 3);
    assert!((1..4).all(|n| named(n).len() + usize::from(n == 3) == 2));
    assert_eq!(evidence.recover(NOON).unwrap(), 0);
}

/// The end of an open query is found however many entries followed it.
#[test]
fn entries_of_open_queries_are_read_in_parts() {
    let fixture = Fixture::new();
    let by = by_node(NodeTask::Start);
    let (_evidence, ledger) = fixture.open();
    for n in 0..11 {
        let [decision, ..] = about(n);
        drop(ledger.append(decision, &by, NOON).unwrap());
    }
    for at_once in [1, 3, 8, 100] {
        let mut numbers = Vec::new();
        let read = recovery::read_entries(&ledger, (2, 11), at_once, |stored| {
            numbers.push(stored.entry.sequence);
            Ok::<_, concordat_storage::ledger::LedgerError>(())
        });
        read.unwrap();
        assert_eq!(numbers, (2..11).collect::<Vec<_>>(), "{at_once}");
    }
}

#[test]
fn evidence_record_names_entries_in_their_order() {
    let mut record = record(EvidenceSide::Local, NOON);
    record.entries.clear();
    for entry in [5, 3, 9, 3, 5] {
        record.note(entry);
    }
    assert_eq!(record.entries, [3, 5, 9]);
}

fn budapest() -> InstitutionId {
    InstitutionId::new("budapest").unwrap()
}

fn query(n: u8) -> QueryId {
    QueryId::from_bytes([n; 16])
}

fn record(side: EvidenceSide, at: Timestamp) -> EvidenceRecord {
    EvidenceRecord {
        side,
        at,
        actor: ActorId::new("eva@budapest").unwrap(),
        grant: None,
        peer: None,
        sql: Some("SELECT 1".to_owned()),
        envelope: None,
        entries: vec![0],
        since: None,
        bounds: None,
        counted: None,
        receipt: None,
        countersigned: false,
        consumer_ledger: None,
    }
}

#[test]
fn evidence_open_queries_are_closed_once_at_the_next_start() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open();
    let sides = [EvidenceSide::Consumer, EvidenceSide::Provider, EvidenceSide::Local];
    for (n, side) in (0..).zip(sides) {
        evidence.begin(query(n), &record(side, NOON)).unwrap();
    }
    // The end of this one is in the ledger, and the stop came before its record was closed.
    evidence.begin(query(9), &record(EvidenceSide::Provider, NOON)).unwrap();
    let eva = Attribution::vouch(Cause::Person {
        actor: ActorId::new("eva@budapest").unwrap(),
    });
    let released = EntryBody::AnswerReleased {
        query: query(9),
        grant: None,
        rows: 1,
        bytes: 1,
        answer: Digest32::ZERO,
        outcome: Outcome::Completed,
        receipt: None,
    };
    let _ = ledger.append(released, &eva, NOON).unwrap();
    drop((evidence, ledger));

    let (evidence, ledger) = fixture.open();
    assert_eq!(evidence.recover(NOON).unwrap(), 3);
    let ends: Vec<EntryBody> = ledger.tail(3).unwrap().into_iter().map(|e| e.entry.body).collect();
    let lost = |n| ends.contains(&EntryBody::AnswerLost { query: query(n) });
    assert!(lost(1) && lost(2), "{ends:?}");
    let failed = |body: &EntryBody| matches!(body, EntryBody::QueryClosed { query: of, outcome: Outcome::Failed { .. }, .. } if *of == query(0));
    assert!(ends.iter().any(failed), "{ends:?}");
    assert_eq!(evidence.get(query(9)).unwrap().unwrap().entries, [0]);
    assert!((0..10).all(|n| !evidence.is_open(query(n)).unwrap()));
    assert_eq!(evidence.recover(NOON).unwrap(), 0);
    assert_eq!(ledger.size(), 4);
}

#[test]
fn evidence_receipt_waits_for_countersignature_over_restart() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open();
    for n in 0..3 {
        evidence
            .begin(query(n), &signed_record(EvidenceSide::Provider, n))
            .unwrap();
        evidence
            .await_countersignature(query(n), &zurich(), |_| Ok(receipt(n)), NOON.plus_seconds(i64::from(n)))
            .unwrap();
    }
    let by = by_node(NodeTask::Start);
    let signed = countersignature(&receipt(1), [CONSUMER; 2], 7);
    assert!(
        evidence
            .receive_countersignature(query(1), signed, (&by, NOON))
            .unwrap()
    );
    drop((evidence, ledger));
    let (evidence, _ledger) = fixture.open();
    let waiting = evidence.outstanding(&zurich()).unwrap();
    assert_eq!(
        waiting.iter().map(|one| one.query).collect::<Vec<_>>(),
        [query(0), query(2)]
    );
    let stored = evidence.get(query(1)).unwrap().unwrap();
    assert!(stored.countersigned);
    assert_eq!(stored.entries, [0]);
    assert!(!evidence.get(query(2)).unwrap().unwrap().countersigned);
    assert!(evidence.outstanding(&budapest()).unwrap().is_empty());
}

/// A peer sends the same countersignature, or several that differ, on many streams at once.
#[test]
fn countersignatures_at_the_same_time_are_entered_once() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open();
    let by = by_node(NodeTask::Start);
    for (n, distinct) in [(1, 1), (2, 8)] {
        evidence
            .begin(query(n), &signed_record(EvidenceSide::Provider, n))
            .unwrap();
        evidence
            .await_countersignature(query(n), &zurich(), |_| Ok(receipt(n)), NOON)
            .unwrap();
        let before = ledger.size();
        let sent: Vec<_> = (0..32_u64)
            .map(|at| countersignature(&receipt(n), [CONSUMER; 2], at % distinct))
            .collect();
        let accepted: Vec<bool> = std::thread::scope(|scope| {
            let receive = |signed| {
                evidence
                    .receive_countersignature(query(n), signed, (&by, NOON))
                    .unwrap()
            };
            let threads: Vec<_> = sent
                .iter()
                .map(|signed| scope.spawn(move || receive(signed.clone())))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ledger.size(), before + 1, "{n}");
        let stored = evidence.get(query(n)).unwrap().unwrap();
        assert_eq!(stored.entries, [before], "{n}");
        // Exactly those that are the stored one are accepted.
        for (signed, accepted) in sent.iter().zip(accepted) {
            assert_eq!(stored.consumer_ledger.as_ref() == Some(&signed.ledger), accepted, "{n}");
        }
    }
}

#[test]
fn countersignature_that_is_no_evidence_is_not_entered() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open();
    let by = by_node(NodeTask::Start);
    evidence
        .begin(query(1), &signed_record(EvidenceSide::Provider, 1))
        .unwrap();
    let receive = |signed| evidence.receive_countersignature(query(1), signed, (&by, NOON));
    let valid = || countersignature(&receipt(1), [CONSUMER; 2], 7);
    assert!(!receive(valid()).unwrap(), "it is not awaited");
    evidence
        .await_countersignature(query(1), &zurich(), |_| Ok(receipt(1)), NOON)
        .unwrap();
    let other = receipt_of(1, 8);
    assert!(!receive(countersignature(&other, [CONSUMER; 2], 7)).unwrap());
    // Another node of the institution has signed one of the two.
    for signers in [[CONSUMER, 9], [9, CONSUMER], [9, 9]] {
        let refused = receive(countersignature(&receipt(1), signers, 7));
        assert!(
            matches!(refused, Err(EvidenceError::Invalid(_))),
            "{signers:?}: {refused:?}"
        );
    }
    assert_eq!(ledger.size(), 0);
    assert!(receive(valid()).unwrap());
    assert_eq!(ledger.size(), 1);
}

#[test]
fn receipt_that_is_no_evidence_is_neither_stored_nor_signed() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open();
    let by = by_node(NodeTask::Start);
    // Of another query than the record.
    for (n, side) in [(1, EvidenceSide::Provider), (2, EvidenceSide::Consumer)] {
        evidence.begin(query(n), &signed_record(side, n)).unwrap();
    }
    let stored = evidence.await_countersignature(query(1), &zurich(), |_| Ok(receipt(3)), NOON);
    assert!(matches!(stored, Err(EvidenceError::Invalid(_))), "{stored:?}");
    assert!(evidence.outstanding(&zurich()).unwrap().is_empty());
    let signed = |n: u8, bytes: u64| {
        let both = countersignature(&receipt_of(n, bytes), [CONSUMER; 2], 7).receipt;
        let sign = |of: AnchoredHead| Ok(head(zurich(), CONSUMER, of.tree().size));
        evidence.countersign(query(2), (both, true), sign, (&by, NOON))
    };
    assert!(matches!(signed(3, 7), Err(EvidenceError::Invalid(_))));
    assert_eq!(ledger.size(), 0);
    // Signed once; again, it is the same, and no other receipt is signed.
    let first = signed(2, 7).unwrap().unwrap();
    assert_eq!(first.ledger, head(zurich(), CONSUMER, 1));
    let again = signed(2, 7).unwrap().unwrap();
    assert_eq!((again.receipt, again.ledger), (first.receipt, first.ledger));
    assert!(signed(2, 8).unwrap().is_none());
    assert_eq!(ledger.size(), 1);
}

#[test]
fn query_that_is_no_evidence_is_not_stored_as_signed() {
    let fixture = Fixture::new();
    let (evidence, _ledger) = fixture.open();
    let of = |signed| EvidenceRecord {
        envelope: Some(signed),
        ..signed_record(EvidenceSide::Consumer, 1)
    };
    // The certificates end an hour later.
    let late = evidence.begin_signed(query(1), &of(query_after(1, 2 * 3600)));
    assert!(matches!(late, Err(EvidenceError::Invalid(_))), "{late:?}");
    assert!(evidence.get(query(1)).unwrap().is_none());
    let valid = query_after(1, 60);
    assert!(evidence.begin_signed(query(1), &of(valid.clone())).unwrap());
    assert_eq!(evidence.get(query(1)).unwrap().unwrap().envelope, Some(valid));
}

#[test]
fn evidence_record_names_no_more_entries_than_can_be_shown() {
    let mut record = record(EvidenceSide::Provider, NOON);
    for entry in 0..100 {
        record.note(entry);
        record.note(entry);
    }
    assert_eq!(record.entries.len(), concordat_protocol::query::MAX_PROOFS);
    assert!(
        record
            .entries
            .iter()
            .copied()
            .zip(0..)
            .all(|(entry, first)| entry == first)
    );
}

#[test]
fn evidence_record_is_never_replaced_by_another() {
    let fixture = Fixture::new();
    let (evidence, _ledger) = fixture.open();
    let first = record(EvidenceSide::Consumer, NOON);
    assert!(evidence.begin(query(1), &first).unwrap());
    assert!(!evidence.begin(query(1), &record(EvidenceSide::Provider, NOON)).unwrap());
    assert_eq!(evidence.get(query(1)).unwrap().unwrap().side, EvidenceSide::Consumer);
}
