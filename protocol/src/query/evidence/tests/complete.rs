//! Which entries a file has, and which head of a ledger: parts are cut, swapped and duplicated.

use serde_json::Value;

use super::*;

const SIDES: [&str; 2] = ["budapest", "cleveland"];

/// Valid evidence of query `n`, shown by one side.
fn parts(holder: &str, n: u8) -> Parts {
    let mut parts = Parts::valid();
    parts.holder = id(holder);
    parts.before = u64::from(n);
    let query = QueryId::from_bytes([n; 16]);
    parts.query.query = query;
    parts.assertion.query = query;
    parts.receipt.query = query;
    if let EntryBody::DecisionMade { request, .. } = &mut parts.entry {
        *request = query;
    }
    parts
}

fn missing(bundle: EvidenceBundle) -> Result<Vec<MissingPart>, EvidenceError> {
    bundle.check().map(|valid| valid.missing)
}

/// A head of the node with this seed, over a tree that is stated.
fn head_of(institution: &str, seed: u8, (tree, at): (TreeHead, Timestamp)) -> Signed<LedgerHead> {
    let head = ledger_head(institution, seed).peek_unverified().unwrap();
    Signed::sign(&LedgerHead { tree, at, ..head }, &node(seed))
        .unwrap()
        .signed()
        .clone()
}

#[test]
fn evidence_without_one_of_its_entries_is_incomplete() {
    for (holder, expected) in [
        (
            "budapest",
            [None, Some(MissingPart::Countersignature), Some(MissingPart::End)],
        ),
        (
            "cleveland",
            [
                Some(MissingPart::Beginning),
                Some(MissingPart::Countersignature),
                Some(MissingPart::End),
            ],
        ),
    ] {
        assert_eq!(missing(parts(holder, 1).bundle()), Ok(Vec::new()), "{holder}");
        for (left_out, part) in expected.into_iter().enumerate() {
            let mut bundle = parts(holder, 1).bundle();
            bundle.proofs.remove(left_out);
            // Without the decision that the receipt names, it is no evidence of it.
            assert_eq!(missing(bundle).ok(), part.map(|part| vec![part]), "{holder} {left_out}");
        }
        let mut last = parts(holder, 1).bundle();
        last.proofs.truncate(1);
        let both = vec![MissingPart::End, MissingPart::Countersignature];
        assert_eq!(missing(last), Ok(both), "{holder}");
        let mut none = parts(holder, 1).bundle();
        none.proofs.clear();
        assert_eq!(missing(none), Err(EvidenceError::Proofs));
        let mut alone = parts(holder, 1);
        (alone.countersign, alone.consumer_ledger) = (false, None);
        assert_eq!(missing(alone.bundle()), Ok(Vec::new()), "{holder}");
    }
}

#[test]
fn evidence_with_an_entry_that_is_not_of_its_side_is_refused() {
    let valid = parts("budapest", 1);
    let query = valid.query.query;
    let digest = Digest32::from_bytes([9; 32]);
    let lost = EntryBody::AnswerLost { query };
    let written_off = |consumer: &str| EntryBody::ReceiptWrittenOff {
        query,
        consumer: id(consumer),
        reason: crate::text::Reason::sanitized("lost"),
    };
    let with = |holder: &str, body: &EntryBody| {
        let mut parts = parts(holder, 1);
        parts.extra = vec![body.clone()];
        missing(parts.bundle())
    };
    let released = |change: fn(&mut u64, &mut u64, &mut Digest32)| {
        let (mut rows, mut bytes, mut answer) = (1, 7, Digest32::ZERO);
        change(&mut rows, &mut bytes, &mut answer);
        EntryBody::AnswerReleased {
            query,
            grant: None,
            rows,
            bytes,
            answer,
            outcome: crate::audit::Outcome::Completed,
            receipt: None,
        }
    };
    for body in [
        valid.entry.clone(),
        lost.clone(),
        written_off("cleveland"),
        released(|_, _, _| ()),
    ] {
        assert_eq!(with("budapest", &body), Ok(Vec::new()), "{body:?}");
        assert!(with("cleveland", &body).is_err(), "{body:?}");
    }
    for body in [
        written_off("zurich"),
        valid.released(digest),
        released(|rows, _, _| *rows = 2),
        released(|_, bytes, _| *bytes = 8),
        released(|_, _, answer| *answer = Digest32::from_bytes([9; 32])),
        countersigned(query, digest),
        valid.opened(),
        valid.closed(),
    ] {
        assert!(with("budapest", &body).is_err(), "{body:?}");
    }
    let opened = |change: fn(&mut Parts)| {
        let mut other = parts("cleveland", 1);
        change(&mut other);
        other.opened()
    };
    assert_eq!(
        with("cleveland", &opened(|_| ())),
        Err(EvidenceError::Inconsistent {
            what: "the head of the holder's ledger that was signed with the receipt has fewer entries than it has to contain",
        })
    );
    for body in [
        opened(|p| p.query.grant = GrantId::from_bytes([9; 16])),
        opened(|p| p.query.sql = "SELECT 2".to_owned()),
        countersigned(query, digest),
    ] {
        let refused = with("cleveland", &body);
        let what = "a ledger entry is not one of this side of the query, or states something else than the receipt";
        assert_eq!(refused, Err(EvidenceError::Inconsistent { what }), "{body:?}");
    }
    let mut denied = parts("budapest", 1);
    if let EntryBody::DecisionMade { permitted, .. } = &mut denied.entry {
        *permitted = false;
    }
    assert!(missing(denied.bundle()).is_err());
}

#[test]
fn head_of_the_holders_ledger_contains_what_is_proven() {
    let (none, other) = (
        TreeHead {
            size: 0,
            root: merkle::empty_root(),
        },
        Digest32::from_bytes([9; 32]),
    );
    // Query 2 has two entries before it, its first one is number 2, and the countersignature is number 3.
    for (holder, seed, size) in [("budapest", 2, 3), ("cleveland", 1, 4)] {
        let shown = |tree: TreeHead| {
            let mut parts = parts(holder, 2);
            let head = head_of(holder, seed, (tree, NOW));
            if holder == "budapest" {
                parts.receipt.ledger = head;
            } else {
                parts.consumer_ledger = Some(head);
            }
            missing(parts.bundle())
        };
        for tree in [
            none,
            TreeHead {
                size: size - 1,
                root: other,
            },
        ] {
            let refused = shown(tree);
            assert!(
                matches!(refused, Err(EvidenceError::Inconsistent { .. })),
                "{refused:?}"
            );
        }
        for size in [size, size + 1] {
            let refused = shown(TreeHead { size, root: other });
            assert!(matches!(refused, Err(EvidenceError::Continuation(_))), "{refused:?}");
        }
        // A head beyond the proofs, without anything that links the two.
        assert_eq!(
            shown(TreeHead { size: 99, root: other }),
            Ok(vec![MissingPart::Continuation])
        );
        let mut cut = parts(holder, 2).bundle();
        cut.continuation = None;
        assert_eq!(missing(cut), Ok(vec![MissingPart::Continuation]));
        let mut long = parts(holder, 2).bundle();
        long.continuation = Some(vec![other; 129]);
        assert!(matches!(missing(long), Err(EvidenceError::Continuation(_))));
        // Proofs against two checkpoints of one ledger: the path leads to one of them only.
        let mut mixed = parts(holder, 2).bundle();
        let mut longer = parts(holder, 2);
        longer.extra = vec![if holder == "budapest" {
            longer.entry.clone()
        } else {
            longer.closed()
        }];
        mixed.proofs[2] = longer.bundle().proofs[2].clone();
        assert_eq!(missing(mixed), Ok(vec![MissingPart::Continuation]));
    }
}

#[test]
fn head_of_a_ledger_is_not_older_than_the_receipt() {
    let tree = TreeHead {
        size: 1,
        root: Digest32::ZERO,
    };
    for (late, valid) in [(MAX_HEAD_DELAY_MS, true), (MAX_HEAD_DELAY_MS + 1, false)] {
        let at = NOW.plus_millis(-late);
        for holder in SIDES {
            let mut provider = parts(holder, 1);
            provider.receipt.ledger = head_of("budapest", 2, (tree, at));
            let expected = if valid { None } else { Some(EvidenceError::HeadTime) };
            assert_eq!(missing(provider.bundle()).err(), expected, "{holder} {late}");
            let mut consumer = parts(holder, 1);
            consumer.consumer_ledger = Some(head_of("cleveland", 1, (tree, at)));
            let expected = if valid {
                None
            } else {
                Some(EvidenceError::ConsumerHeadTime)
            };
            assert_eq!(missing(consumer.bundle()).err(), expected, "{holder} {late}");
            // A countersignature that comes later has a later head.
            let mut later = parts(holder, 1);
            later.consumer_ledger = Some(head_of("cleveland", 1, (tree, NOW.plus_seconds(86_400))));
            assert_eq!(missing(later.bundle()), Ok(Vec::new()));
            // An entry in the head that is dated after it.
            let mut ahead = parts(holder, 1);
            ahead.entry_at = NOW.plus_millis(late);
            let expected = if valid { vec![] } else { vec![MissingPart::Time] };
            assert_eq!(missing(ahead.bundle()), Ok(expected), "{holder} {late}");
        }
    }
}

/// The whole of two files, part by part: no part of one fits the other. The head of the other side is bound to nothing but its node and time, and
/// changes only what is stated about it.
#[test]
fn no_part_of_an_evidence_file_fits_another_file() {
    for holder in SIDES {
        let file = |n: u8| serde_json::to_value(parts(holder, n).bundle()).unwrap();
        let read = |value: &Value| {
            serde_json::from_value::<EvidenceBundle>(value.clone())
                .ok()?
                .check()
                .ok()
        };
        let (one, other) = (file(1), file(5));
        let expected = read(&one).unwrap();
        for (key, theirs) in other.as_object().unwrap() {
            let mut swapped = one.clone();
            swapped[key] = theirs.clone();
            if swapped == one {
                continue;
            }
            assert!(read(&swapped).is_none(), "{holder} {key}");
        }
        for key in one.as_object().unwrap().keys() {
            let mut cut = one.clone();
            cut.as_object_mut().unwrap().remove(key);
            assert!(
                read(&cut).is_none_or(|valid| !valid.missing.is_empty()),
                "{holder} {key}"
            );
        }
        for at in 0..3 {
            for twice in [one["proofs"][at].clone(), other["proofs"][at].clone()] {
                let mut more = one.clone();
                more["proofs"].as_array_mut().unwrap().push(twice);
                assert!(read(&more).is_none(), "{holder} {at}");
            }
            let mut swapped = one.clone();
            swapped["proofs"][at] = other["proofs"][at].clone();
            assert!(read(&swapped).is_none(), "{holder} {at}");
            // The order of the entries states nothing.
            let mut turned = one.clone();
            turned["proofs"].as_array_mut().unwrap().swap(0, at);
            assert!(read(&turned).unwrap().missing.is_empty(), "{holder} {at}");
        }
        assert!(expected.missing.is_empty());
    }
    // Of the other side: it is what its node signed, at its own time.
    let mut swapped = parts("budapest", 1).bundle();
    let later = head_of(
        "cleveland",
        1,
        (
            TreeHead {
                size: 9,
                root: Digest32::from_bytes([9; 32]),
            },
            NOW.plus_seconds(1),
        ),
    );
    swapped.consumer_ledger = Some(later);
    let valid = swapped.check().unwrap();
    assert_eq!(valid.consumer_ledger.unwrap().at, NOW.plus_seconds(1));
}

#[test]
fn evidence_of_the_earlier_format_lacks_the_continuation() {
    let mut earlier = parts("budapest", 1).bundle();
    earlier.format = EARLIER_FORMAT.to_owned();
    assert_eq!(missing(earlier.clone()), Err(EvidenceError::Format));
    earlier.continuation = None;
    assert_eq!(missing(earlier), Ok(vec![MissingPart::Continuation]));
}
