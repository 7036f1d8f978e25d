//! Which receipts a consumer signs.

use concordat_protocol::query::Outcome;
use concordat_protocol::scope::Tier;

use super::signed::{receipt_of, signed_record};
use super::*;
use crate::evidence::receipt_check::{MAX_UNCONFIRMED_BYTES, MAX_UNCONFIRMED_ROWS};

/// Changes a receipt.
type Forge = fn(&mut Receipt);

const BYTES: u64 = 100;

/// What was received: one row in [`BYTES`] bytes.
fn counted(end: AnswerEnd, complete: bool) -> Counted {
    Counted {
        rows: 1,
        bytes: BYTES,
        answer: Digest32::ZERO,
        end,
        complete,
    }
}

/// Whether a receipt is signed that states what was received, except for `change`; the error if it is not.
fn signed(counted: Counted, bounds: ReceiptBounds, change: fn(&mut Receipt)) -> Result<bool, UnsignedReceipt> {
    let mut stated = receipt_of(1, BYTES).peek_unverified().unwrap();
    change(&mut stated);
    let record = signed_record(EvidenceSide::Consumer, 1);
    let sent = record.envelope.unwrap().peek_unverified().unwrap();
    let actor = stated.actor.clone();
    check_receipt(&stated, (&sent, &actor), bounds, &counted)
}

fn check(counted: Counted, change: fn(&mut Receipt)) -> Result<bool, UnsignedReceipt> {
    signed(counted, ReceiptBounds::default(), change)
}

#[test]
fn receipt_of_an_answer_that_was_read_states_exactly_that() {
    let read = |complete| counted(AnswerEnd::Read, complete);
    assert_eq!(check(read(true), |_| ()), Ok(true));
    assert_eq!(check(read(false), |receipt| receipt.outcome = Outcome::Cut), Ok(true));
    assert_eq!(check(read(false), |_| ()), Err(UnsignedReceipt::Incomplete));
    let others: [fn(&mut Receipt); 3] = [
        |receipt| receipt.bytes += 1,
        |receipt| receipt.bytes -= 1,
        |receipt| receipt.answer = Digest32::sha256("test", b"other"),
    ];
    for other in others {
        assert!(matches!(check(read(true), other), Err(UnsignedReceipt::Mismatch(_))));
    }
    assert_eq!(
        check(read(true), |receipt| receipt.rows += 1),
        Err(UnsignedReceipt::Rows)
    );
    assert_eq!(
        check(read(true), |receipt| receipt.rows = 0),
        Err(UnsignedReceipt::Rows)
    );
}

#[test]
fn receipt_of_a_refused_query_states_nothing() {
    let refused = Counted::nothing(AnswerEnd::Refused);
    assert!(check(refused, |receipt| receipt.outcome = Outcome::Failed).is_err());
    let nothing = |receipt: &mut Receipt| {
        receipt.outcome = Outcome::Failed;
        (receipt.rows, receipt.bytes) = (0, 0);
        receipt.answer = Counted::nothing(AnswerEnd::Refused).answer;
    };
    assert_eq!(check(refused, nothing), Ok(true));
    let one_row = |receipt: &mut Receipt| {
        receipt.outcome = Outcome::Failed;
        receipt.bytes = 0;
        receipt.answer = Counted::nothing(AnswerEnd::Refused).answer;
    };
    assert_eq!(check(refused, one_row), Err(UnsignedReceipt::Rows));
    let complete = |receipt: &mut Receipt| {
        (receipt.rows, receipt.bytes) = (0, 0);
        receipt.answer = Counted::nothing(AnswerEnd::Refused).answer;
    };
    assert_eq!(check(refused, complete), Err(UnsignedReceipt::Incomplete));
}

#[test]
fn receipt_of_an_interrupted_answer_has_one_chunk_more_at_most() {
    let interrupted = |complete| counted(AnswerEnd::Interrupted, complete);
    // All of it was received, and its end was not.
    assert_eq!(check(interrupted(true), |_| ()), Ok(true));
    assert_eq!(check(interrupted(false), |_| ()), Err(UnsignedReceipt::Incomplete));
    let more: fn(&mut Receipt) = |receipt| {
        receipt.outcome = Outcome::Failed;
        receipt.answer = Digest32::sha256("test", b"more");
        receipt.bytes = BYTES + MAX_UNCONFIRMED_BYTES;
        receipt.rows = 1 + MAX_UNCONFIRMED_ROWS;
    };
    assert_eq!(check(interrupted(false), more), Ok(false));
    let too_much: [(Forge, UnsignedReceipt); 6] = [
        (
            |receipt| receipt.bytes = BYTES + MAX_UNCONFIRMED_BYTES + 1,
            UnsignedReceipt::Bytes,
        ),
        (|receipt| receipt.bytes = BYTES - 1, UnsignedReceipt::Bytes),
        (|receipt| receipt.bytes = BYTES, UnsignedReceipt::Bytes),
        (|receipt| receipt.rows = 2 + MAX_UNCONFIRMED_ROWS, UnsignedReceipt::Rows),
        (|receipt| receipt.rows = 0, UnsignedReceipt::Rows),
        (
            |receipt| receipt.outcome = Outcome::Completed,
            UnsignedReceipt::Incomplete,
        ),
    ];
    for (change, expected) in too_much {
        let mut stated = receipt_of(1, BYTES).peek_unverified().unwrap();
        more(&mut stated);
        change(&mut stated);
        let sent = signed_record(EvidenceSide::Consumer, 1).envelope.unwrap();
        let of = (&sent.peek_unverified().unwrap(), &stated.actor.clone());
        let checked = check_receipt(&stated, of, ReceiptBounds::default(), &interrupted(true));
        assert_eq!(checked, Err(expected), "{stated:?}");
    }
    let same_bytes = |receipt: &mut Receipt| {
        receipt.outcome = Outcome::Failed;
        receipt.rows = 2;
    };
    assert_eq!(check(interrupted(true), same_bytes), Err(UnsignedReceipt::Rows));
}

#[test]
fn receipt_of_an_answer_that_was_lost_relies_on_the_provider() {
    let unknown = Counted::nothing(AnswerEnd::Unknown);
    assert_eq!(check(unknown, |_| ()), Ok(false));
    assert_eq!(check(unknown, |receipt| receipt.bytes = 0), Err(UnsignedReceipt::Rows));
    let earlier = counted(AnswerEnd::Unknown, false);
    assert_eq!(
        check(earlier, |receipt| receipt.bytes -= 1),
        Err(UnsignedReceipt::Bytes)
    );
    assert_eq!(check(earlier, |receipt| receipt.rows = 0), Err(UnsignedReceipt::Rows));
}

#[test]
fn receipt_stays_within_the_grant_however_it_comes() {
    let bounds = |tier| ReceiptBounds { tier };
    let aggregate: fn(&mut Receipt) = |receipt| receipt.tier = Tier::Aggregate;
    for end in [AnswerEnd::Read, AnswerEnd::Interrupted, AnswerEnd::Unknown] {
        let counted = counted(end, true);
        let above = UnsignedReceipt::Tier {
            stated: Tier::Records,
            most: Tier::Aggregate,
        };
        assert_eq!(signed(counted, bounds(Tier::Aggregate), |_| ()), Err(above));
        assert_eq!(signed(counted, bounds(Tier::Aggregate), aggregate), Ok(true));
        assert_eq!(signed(counted, bounds(Tier::Records), |_| ()), Ok(true));
    }
}
