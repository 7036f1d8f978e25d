//! Which records are removed when their retention has ended.

use super::*;
use crate::evidence::retention::RETENTION_DAYS;

fn day(days: i64) -> Timestamp {
    NOON.plus_seconds(days * 86_400)
}

fn enter_start(ledger: &Ledger, at: Timestamp) {
    let version = concordat_protocol::text::Label::sanitized("1");
    let by = by_node(NodeTask::Start);
    drop(
        ledger
            .append(EntryBody::NodeStarted { version, start: None }, &by, at)
            .unwrap(),
    );
}

impl Fixture {
    /// Opens them as the run after earlier ones that have written many entries at `at`.
    fn open_after_runs_at(&self, at: Timestamp) -> (Evidence, Ledger) {
        let (_, ledger) = self.open();
        for _ in 0..100 {
            enter_start(&ledger, at);
        }
        drop(ledger);
        self.open()
    }
}

#[test]
fn evidence_only_expired_records_are_removed() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open();
    for n in 0..4 {
        let mut record = record(EvidenceSide::Consumer, day(i64::from(n)));
        record.sql = Some("SELECT ".repeat(100));
        evidence.begin(query(n), &record).unwrap();
        evidence.close(query(n), 0, None).unwrap();
    }
    drop((evidence, ledger));
    let (evidence, ledger) = fixture.open_after_runs_at(day(RETENTION_DAYS));
    assert_eq!(evidence.remove_expired(day(RETENTION_DAYS)).unwrap(), 0);
    assert_eq!(ledger.size(), ledger.opened());
    drop((evidence, ledger));
    let (evidence, ledger) = fixture.open_after_runs_at(day(RETENTION_DAYS + 2));
    assert_eq!(evidence.remove_expired(day(RETENTION_DAYS + 2)).unwrap(), 2);
    assert_eq!(evidence.remove_expired(day(RETENTION_DAYS + 2)).unwrap(), 0);
    let left: Vec<bool> = (0..4).map(|n| evidence.get(query(n)).unwrap().is_some()).collect();
    assert_eq!(left, [false, false, true, true]);
    // It is in the ledger, once.
    assert_eq!(ledger.size(), ledger.opened() + 1);
    let entered = ledger.tail(1).unwrap().remove(0).entry;
    let before = Timestamp::from_millis(day(2).as_millis().div_euclid(DAY_MS) * DAY_MS);
    assert_eq!(entered.body, EntryBody::EvidenceRemoved { records: 2, before });
}

/// The node is killed during a query, is started twice with a clock that is years ahead, and then with a correct one.
#[test]
fn evidence_survives_starts_with_a_clock_years_ahead() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open_anchored();
    enter_start(&ledger, NOON);
    for n in 1..4 {
        let record = signed_record(EvidenceSide::Provider, n);
        evidence.begin(query(n), &record).unwrap();
    }
    evidence.close(query(1), 0, None).unwrap();
    evidence
        .await_countersignature(query(2), &zurich(), |_| Ok(receipt(2)), NOON)
        .unwrap();
    evidence.close(query(2), 0, None).unwrap();
    let [decision, ..] = about(3);
    drop(ledger.append(decision, &by_node(NodeTask::Start), NOON).unwrap());
    drop((evidence, ledger));

    for days in [2240, 2240, 0, 1] {
        let (evidence, ledger) = fixture.open_anchored();
        evidence.compare().unwrap();
        enter_start(&ledger, day(days));
        evidence.recover(day(days)).unwrap();
        for n in 1..4 {
            assert!(evidence.get(query(n)).unwrap().is_some(), "{days} days: query {n}");
        }
        assert_eq!(evidence.outstanding(&zurich()).unwrap().len(), 1);
    }
}

#[test]
fn evidence_that_is_still_needed_is_not_removed() {
    let fixture = Fixture::new();
    let (evidence, ledger) = fixture.open();
    for n in 1..5 {
        let record = signed_record(EvidenceSide::Provider, n);
        evidence.begin(query(n), &record).unwrap();
    }
    let unsigned = receipt(3);
    evidence
        .await_countersignature(query(3), &zurich(), |_| Ok(unsigned), NOON)
        .unwrap();
    for n in [1, 3] {
        evidence.close(query(n), 0, None).unwrap();
    }
    drop((evidence, ledger));

    // The second is open, the third waits for a signature, and the end of the fourth is entered by this run.
    let late = day(RETENTION_DAYS + 1);
    let (evidence, ledger) = fixture.open_after_runs_at(late);
    let by = by_node(NodeTask::Recovery);
    let lost = EntryBody::AnswerLost { query: query(4) };
    let entry = ledger.append(lost, &by, late).unwrap().sequence();
    evidence.close(query(4), entry, None).unwrap();
    assert_eq!(evidence.remove_expired(late).unwrap(), 1);
    let left = |evidence: &Evidence| (1..5).map(|n| evidence.has(query(n)).unwrap()).collect::<Vec<_>>();
    assert_eq!(left(&evidence), [false, true, true, true]);
    evidence.close(query(2), entry, None).unwrap();
    drop((evidence, ledger));

    let later = day(RETENTION_DAYS + 2);
    let (evidence, _ledger) = fixture.open_after_runs_at(later);
    assert_eq!(evidence.remove_expired(later).unwrap(), 2);
    assert_eq!(left(&evidence), [false, false, true, false]);
    let reason = Reason::sanitized("the consumer has lost its record");
    assert!(evidence.write_off(query(3), reason, (&by, later)).unwrap());
}
