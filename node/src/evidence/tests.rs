use concordat_protocol::audit::{Cause, EntryBody, NodeTask, Outcome};
use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_storage::keys::{Argon2Cost, MasterKey, Passphrase, Secret};
use concordat_storage::ledger::{Attribution, Ledger};
use tempfile::TempDir;

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
        (Evidence::open(&db).unwrap(), ledger)
    }
}

impl Fixture {
    /// Opens them as a node does: the ledger is compared with the state.
    fn open_anchored(&self) -> (Evidence, Ledger) {
        let db = SealedDb::open(&self.meta(), self.master.state()).unwrap();
        let ledger = self.dir.path().join("ledger");
        let ledger = Ledger::open_anchored(&ledger, self.master.ledger(), budapest(), &db).unwrap();
        (Evidence::open(&db).unwrap(), ledger)
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
    let (query, grant) = (query(n), GrantId::from_bytes([1; 16]));
    let outcome = Outcome::Completed;
    [
        EntryBody::DecisionMade {
            request: query,
            grant: None,
            permitted: false,
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
        let (_, ledger) = fixture.open_anchored();
        let version = concordat_protocol::text::Label::sanitized("1");
        let _ = ledger.append(EntryBody::NodeStarted { version }, &by, NOON).unwrap();
        drop(ledger);
        let earlier = fixture.dir.path().join("earlier");
        fixture.copy_meta(&fixture.meta(), &earlier);

        let (evidence, ledger) = fixture.open_anchored();
        evidence.compare(&ledger).unwrap();
        evidence.begin(query(1), &record(EvidenceSide::Provider, NOON)).unwrap();
        let _ = ledger.append(entry.clone(), &by, NOON).unwrap();
        drop((evidence, ledger));
        let (evidence, ledger) = fixture.open_anchored();
        evidence.compare(&ledger).expect("the newest state has the record");
        drop((evidence, ledger));

        fixture.copy_meta(&earlier, &fixture.meta());
        for _ in 0..2 {
            let (evidence, ledger) = fixture.open_anchored();
            let refused = evidence.compare(&ledger).unwrap_err();
            assert!(
                matches!(refused, EvidenceError::StateOlder { entry: 1, .. }),
                "{entry:?}: {refused}"
            );
            assert_eq!(refused.kind(), ErrorKind::Integrity);
            assert!(refused.help().is_some());
        }
    }
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
    let _ = ledger.append(EntryBody::NodeStarted { version }, &by, NOON).unwrap();
    // The stop comes before the entry, or between the entry and the update of the record.
    evidence.begin(query(1), &empty).unwrap();
    evidence.begin(query(2), &empty).unwrap();
    let [decision, ..] = about(2);
    let _ = ledger.append(decision, &by, NOON).unwrap();
    drop((evidence, ledger));
    let (evidence, ledger) = fixture.open_anchored();
    evidence.compare(&ledger).unwrap();
    assert_eq!(evidence.get(query(1)).unwrap().unwrap().entries, [0_u64; 0]);
    assert_eq!(evidence.get(query(2)).unwrap().unwrap().entries, [1]);
    assert_eq!(evidence.recover(&ledger, NOON).unwrap(), 2);
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
        sql: "SELECT 1".to_owned(),
        envelope: None,
        entries: vec![0],
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
    assert_eq!(evidence.recover(&ledger, NOON).unwrap(), 3);
    let ends: Vec<EntryBody> = ledger.tail(3).unwrap().into_iter().map(|e| e.entry.body).collect();
    let lost = |n| ends.contains(&EntryBody::AnswerLost { query: query(n) });
    assert!(lost(1) && lost(2), "{ends:?}");
    let failed = |body: &EntryBody| matches!(body, EntryBody::QueryClosed { query: of, outcome: Outcome::Failed { .. }, .. } if *of == query(0));
    assert!(ends.iter().any(failed), "{ends:?}");
    assert_eq!(evidence.get(query(9)).unwrap().unwrap().entries, [0]);
    assert!((0..10).all(|n| !evidence.is_open(query(n)).unwrap()));
    assert_eq!(evidence.recover(&ledger, NOON).unwrap(), 0);
    assert_eq!(ledger.size(), 4);
}

#[test]
fn evidence_receipt_waits_for_countersignature_over_restart() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open();
    let receipt = || CoSigned::from_bytes(vec![1]).unwrap();
    for n in 0..3 {
        evidence.begin(query(n), &record(EvidenceSide::Provider, NOON)).unwrap();
        evidence
            .await_countersignature(query(n), &budapest(), receipt(), NOON.plus_seconds(i64::from(n)))
            .unwrap();
    }
    let ledger_head = Signed::from_bytes(vec![1]).unwrap();
    evidence
        .countersigned(query(1), &budapest(), (receipt(), ledger_head), 7)
        .unwrap();
    drop((evidence, ledger));
    let (evidence, _ledger) = fixture.open();
    let waiting = evidence.outstanding(&budapest()).unwrap();
    assert_eq!(
        waiting.iter().map(|one| one.query).collect::<Vec<_>>(),
        [query(0), query(2)]
    );
    assert!(evidence.get(query(1)).unwrap().unwrap().countersigned);
    assert!(!evidence.get(query(2)).unwrap().unwrap().countersigned);
    let other = InstitutionId::new("zurich").unwrap();
    assert!(evidence.outstanding(&other).unwrap().is_empty());
}

#[test]
fn evidence_only_expired_records_are_removed() {
    let fixture = Fixture::new();
    let (evidence, _ledger) = fixture.open();
    let day = |days: i64| NOON.plus_seconds(days * 86_400);
    for n in 0..4 {
        let mut record = record(EvidenceSide::Consumer, day(i64::from(n)));
        record.sql = "SELECT ".repeat(100);
        evidence.begin(query(n), &record).unwrap();
    }
    assert_eq!(evidence.remove_expired(day(RETENTION_DAYS)).unwrap(), 0);
    assert_eq!(evidence.remove_expired(day(RETENTION_DAYS + 2)).unwrap(), 2);
    assert_eq!(evidence.remove_expired(day(RETENTION_DAYS + 2)).unwrap(), 0);
    let left: Vec<bool> = (0..4).map(|n| evidence.get(query(n)).unwrap().is_some()).collect();
    assert_eq!(left, [false, false, true, true]);
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
