//! Every copy of the ledger combined with every copy of the sealed state.

use concordat_protocol::audit::TreeHead;
use concordat_protocol::error_kind::Explain;
use concordat_protocol::ids::ActorId;

use super::super::anchor::{ANNOUNCED, Anchoring, TREE, known};
use super::*;
use crate::meta::{Batch, MetaError, SealedDb, TreeId};

/// What is appended, step by step: `f` for a frequent entry, `c` for one that goes with a change of the state.
const STEPS: &[u8] = b"ccffcfcf";

fn change(n: u64) -> EntryBody {
    EntryBody::UserDisabled {
        actor: ActorId::new(&format!("eva{n}@budapest")).unwrap(),
    }
}

impl Fixture {
    fn meta(&self) -> SealedDb {
        SealedDb::open(&self.dir.path().join("meta"), self.master.state()).unwrap()
    }

    fn open_anchored(&self) -> Result<Ledger, LedgerError> {
        Ledger::open_anchored(&self.ledger(), self.master.ledger(), institution(), &self.meta())
    }

    /// Copies a folder, replacing an existing one.
    fn copy(&self, from: &str, to: &str) {
        let from = self.dir.path().join(from);
        let to = self.dir.path().join(to);
        fs::remove_dir_all(&to).ok();
        copy_folder(&from, &to);
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A ledger that grew by [`STEPS`], with a copy of `ledger` and `meta` after each step and before the first.
fn grown() -> Fixture {
    let fixture = Fixture::new();
    drop(fixture.open_anchored().unwrap());
    for (n, step) in STEPS.iter().enumerate() {
        fixture.copy("ledger", &format!("ledger-{n}"));
        fixture.copy("meta", &format!("meta-{n}"));
        let body = if *step == b'c' {
            change(n as u64)
        } else {
            query_end(n as u64)
        };
        drop(
            fixture
                .open_anchored()
                .unwrap()
                .append(body, &Attribution::eva(), NOW)
                .unwrap(),
        );
    }
    fixture.copy("ledger", &format!("ledger-{}", STEPS.len()));
    fixture.copy("meta", &format!("meta-{}", STEPS.len()));
    fixture
}

/// Entries that the state covers after `steps` steps: frequent ones alone do not update the anchor this early.
fn anchored(steps: usize) -> usize {
    let change = STEPS.iter().take(steps).rposition(|step| *step == b'c');
    change.map_or(0, |n| n + 1)
}

#[test]
fn every_older_ledger_or_state_is_detected() {
    let fixture = grown();
    for ledger in 0..=STEPS.len() {
        for meta in 0..=STEPS.len() {
            fixture.copy(&format!("ledger-{ledger}"), "ledger");
            fixture.copy(&format!("meta-{meta}"), "meta");
            let beyond = STEPS.get(anchored(meta)..ledger);
            let expected = match beyond {
                None => "ledger older",
                Some(entries) if entries.contains(&b'c') => "state older",
                // Nothing was anchored yet: a state without an anchor belongs to an empty ledger.
                Some(entries) if anchored(meta) == 0 && !entries.is_empty() => "state older",
                Some(_) => "match",
            };
            let found = match fixture.open_anchored() {
                Ok(_) => "match",
                Err(LedgerError::Anchor(AnchorError::LedgerOlder { .. })) => "ledger older",
                Err(LedgerError::Anchor(AnchorError::StateOlder { .. })) => "state older",
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expected, "ledger after {ledger} steps, state after {meta}");
        }
    }
}

#[test]
fn crash_before_the_anchor_is_explained_by_the_announced_head() {
    let fixture = Fixture::new();
    let ledger = fixture.open_anchored().unwrap();
    drop(ledger.append(change(0), &Attribution::eva(), NOW).unwrap());
    drop(ledger);
    fixture.copy("meta", "meta-old");
    let ledger = fixture.open_anchored().unwrap();
    let before = ledger.head();
    drop(ledger.append(change(1), &Attribution::eva(), NOW).unwrap());
    let after = ledger.head();
    drop(ledger);
    let other = TreeHead {
        root: before.root,
        ..after
    };
    for (announced, explained) in [
        (None, false),
        (Some(before), false),
        (Some(other), false),
        (Some(after), true),
    ] {
        fixture.copy("meta-old", "meta");
        if let Some(announced) = announced {
            fixture.meta().tree(TREE).unwrap().put(ANNOUNCED, &announced).unwrap();
        }
        assert_eq!(fixture.open_anchored().is_ok(), explained, "{announced:?}");
    }
}

#[test]
fn another_ledger_of_the_same_length_is_detected() {
    let fixture = Fixture::new();
    drop(
        fixture
            .open_anchored()
            .unwrap()
            .append(change(0), &Attribution::eva(), NOW)
            .unwrap(),
    );
    fs::remove_dir_all(fixture.ledger()).unwrap();
    drop(
        fixture
            .open()
            .unwrap()
            .append(change(1), &Attribution::eva(), NOW)
            .unwrap(),
    );
    let error = fixture.open_anchored().unwrap_err();
    assert!(
        matches!(error, LedgerError::Anchor(AnchorError::OtherLedger { anchored: 1 })),
        "{error}"
    );
    assert_eq!(error.kind(), concordat_protocol::error_kind::ErrorKind::Integrity);
}

#[test]
fn frequent_entries_are_anchored_within_the_maximum_lag() {
    let fixture = Fixture::new();
    let ledger = fixture.open_anchored().unwrap();
    drop(ledger.append(change(0), &Attribution::eva(), NOW).unwrap());
    drop(ledger);
    fixture.copy("meta", "meta-old");
    let ledger = fixture.open_anchored().unwrap();
    for n in 0..400 {
        drop(ledger.append(query_end(n), &Attribution::eva(), NOW).unwrap());
    }
    drop(ledger);
    // The newest state matches, even without a clean shutdown.
    drop(fixture.open_anchored().unwrap());
    fixture.copy("meta-old", "meta");
    let error = fixture.open_anchored().unwrap_err();
    assert!(
        matches!(error, LedgerError::Anchor(AnchorError::StateOlder { found: 401, .. })),
        "{error}"
    );
}

#[test]
fn a_removed_ledger_is_detected() {
    let fixture = Fixture::new();
    drop(
        fixture
            .open_anchored()
            .unwrap()
            .append(change(0), &Attribution::eva(), NOW)
            .unwrap(),
    );
    fs::remove_dir_all(fixture.ledger()).unwrap();
    let error = fixture.open_anchored().unwrap_err();
    assert!(
        matches!(error, LedgerError::Anchor(AnchorError::LedgerOlder { found: 0, .. })),
        "{error}"
    );
}

/// The record of a query names the entry about it, and the entry alone would not update the anchor.
#[test]
fn entry_named_in_the_state_is_covered_by_it() {
    let fixture = Fixture::new();
    drop(
        fixture
            .open_anchored()
            .unwrap()
            .append(change(0), &Attribution::eva(), NOW)
            .unwrap(),
    );
    fixture.copy("ledger", "ledger-old");
    let meta = fixture.meta();
    let ledger = Ledger::open_anchored(&fixture.ledger(), fixture.master.ledger(), institution(), &meta).unwrap();
    let records = meta.tree::<u64>(TreeId::new("records")).unwrap();
    let entry = ledger
        .append(query_end(1), &Attribution::eva(), NOW)
        .unwrap()
        .sequence();
    assert_eq!(ledger.anchored_head().tree().size, 1);
    let (head, change) = ledger
        .apply(&meta, |head, batch| {
            batch.put(&records, "query", &entry)?;
            Ok::<_, MetaError>(head)
        })
        .unwrap();
    // What is signed is over a head that is durable in the state.
    assert_eq!(ledger.anchored_head().tree().size, 1);
    ledger.until_durable(&meta, change).unwrap();
    assert_eq!(head, ledger.anchored_head());
    assert_eq!(ledger.anchored_head().tree(), ledger.head());
    drop((ledger, records, meta));
    fixture.copy("ledger", "ledger-new");
    fixture.copy("ledger-old", "ledger");
    assert_ledger_older(fixture.open_anchored());
    fixture.copy("ledger-new", "ledger");
    fixture.open_anchored().unwrap();
}

#[test]
fn change_of_the_state_that_fails_covers_nothing() {
    let fixture = Fixture::new();
    let meta = fixture.meta();
    let ledger = Ledger::open_anchored(&fixture.ledger(), fixture.master.ledger(), institution(), &meta).unwrap();
    drop(ledger.append(query_end(0), &Attribution::eva(), NOW).unwrap());
    let refused = ledger.apply(&meta, |_, _| Err::<(), _>(MetaError::Damaged));
    assert!(refused.is_err());
    assert_eq!(ledger.anchored_head().tree().size, 0);
}

/// Whatever leaves the node with a signature over the ledger.
#[test]
fn signed_head_is_covered_by_the_state() {
    type Statement = fn(&Ledger);
    let statements: [(&str, Statement); 3] = [
        ("a checkpoint, as for an export and a proof", |ledger| {
            drop(ledger.checkpoint(&node(), NOW).unwrap());
        }),
        ("a snapshot", |ledger| drop(ledger.frozen().unwrap())),
        ("a head", |ledger| {
            assert_eq!(ledger.anchor_head().unwrap().tree().size, 2);
        }),
    ];
    for (what, sign) in statements {
        let fixture = Fixture::new();
        drop(
            fixture
                .open_anchored()
                .unwrap()
                .append(change(0), &Attribution::eva(), NOW)
                .unwrap(),
        );
        fixture.copy("ledger", "ledger-old");
        let ledger = fixture.open_anchored().unwrap();
        drop(ledger.append(query_end(1), &Attribution::eva(), NOW).unwrap());
        sign(&ledger);
        assert_eq!(ledger.anchored_head().tree(), ledger.head(), "{what}");
        drop(ledger);
        fixture.copy("ledger-old", "ledger");
        assert_ledger_older(fixture.open_anchored());
    }
}

/// A head that nothing anchored yet is not signed: the previous one is.
#[test]
fn head_that_the_state_does_not_cover_is_not_offered() {
    let fixture = Fixture::new();
    let ledger = fixture.open_anchored().unwrap();
    drop(ledger.append(change(0), &Attribution::eva(), NOW).unwrap());
    let covered = ledger.head();
    drop(ledger.append(query_end(1), &Attribution::eva(), NOW).unwrap());
    assert_eq!(ledger.anchored_head().tree(), covered);
}

#[test]
fn anchor_is_never_set_back() {
    let fixture = Fixture::new();
    let meta = fixture.meta();
    let ledger = Ledger::open_anchored(&fixture.ledger(), fixture.master.ledger(), institution(), &meta).unwrap();
    drop(ledger.append(change(0), &Attribution::eva(), NOW).unwrap());
    let shorter = ledger.head();
    drop(ledger.append(change(1), &Attribution::eva(), NOW).unwrap());
    let longer = ledger.head();
    let anchor = ledger.0.anchor.as_ref().unwrap();
    assert_eq!(anchor.cover(|| shorter).unwrap().tree(), shorter);
    assert_eq!(known(&meta).unwrap(), Some(longer));
    let (head, applied) = anchor
        .apply(&meta, || shorter, |head, _| Ok::<_, MetaError>(head))
        .unwrap();
    ledger.until_durable(&meta, applied).unwrap();
    assert_eq!(head.tree(), shorter);
    assert_eq!(known(&meta).unwrap(), Some(longer));
    // Entries that are covered and not acknowledged yet cannot be read, so nothing is signed over them.
    assert_eq!(anchor.covered_up_to(shorter).tree(), shorter);
    assert_eq!(ledger.anchored_head().tree(), longer);
    // Changes of the state and entries of both kinds at the same time.
    std::thread::scope(|scope| {
        scope.spawn(|| (0..50).for_each(|n| drop(ledger.append(change(n), &Attribution::eva(), NOW).unwrap())));
        scope.spawn(|| (0..50).for_each(|n| drop(ledger.append(query_end(n), &Attribution::eva(), NOW).unwrap())));
        scope.spawn(|| {
            for _ in 0..50 {
                let ((), applied) = ledger.apply(&meta, |_, _| Ok::<_, MetaError>(())).unwrap();
                ledger.until_durable(&meta, applied).unwrap();
            }
        });
    });
    drop((ledger, meta));
    assert_eq!(fixture.open_anchored().unwrap().size(), 102);
}

/// The head in a change that is not durable yet is not replaced by a shorter one either.
#[test]
fn anchor_that_is_not_durable_yet_is_not_set_back() {
    let fixture = Fixture::new();
    let meta = fixture.meta();
    let ledger = Ledger::open_anchored(&fixture.ledger(), fixture.master.ledger(), institution(), &meta).unwrap();
    drop(ledger.append(query_end(0), &Attribution::eva(), NOW).unwrap());
    let shorter = ledger.head();
    drop(ledger.append(query_end(1), &Attribution::eva(), NOW).unwrap());
    let longer = ledger.head();
    let anchor = ledger.0.anchor.as_ref().unwrap();
    let ((), first) = anchor.apply(&meta, || longer, |_, _| Ok::<_, MetaError>(())).unwrap();
    let ((), second) = anchor.apply(&meta, || shorter, |_, _| Ok::<_, MetaError>(())).unwrap();
    assert_eq!(known(&meta).unwrap(), Some(longer));
    assert_eq!(ledger.anchored_head().tree().size, 0);
    ledger.until_durable(&meta, second).unwrap();
    ledger.until_durable(&meta, first).unwrap();
    assert_eq!(ledger.anchored_head().tree(), longer);
}

/// Appends an entry with its note, before a change that would cover it and that is not made.
fn append_before_change(ledger: &Ledger, meta: &SealedDb, n: u64) {
    let notes = meta.tree::<u64>(TreeId::new("notes")).unwrap();
    let mut note = Batch::new();
    note.put(&notes, "note", &n).unwrap();
    let by = (&Attribution::eva(), NOW);
    let appended = ledger.append_noted((meta, note), Anchoring::WithTheChange, change(n), by);
    drop(appended.unwrap());
    assert_eq!(notes.get("note").unwrap(), Some(n));
}

/// Nothing may follow an entry that only its announcement explains: after a crash the state would be taken for an older one.
#[test]
fn entry_of_a_change_is_covered_before_the_next_one() {
    let fixture = Fixture::new();
    let meta = fixture.meta();
    let ledger = Ledger::open_anchored(&fixture.ledger(), fixture.master.ledger(), institution(), &meta).unwrap();
    drop(ledger.append(change(0), &Attribution::eva(), NOW).unwrap());
    append_before_change(&ledger, &meta, 1);
    assert_eq!((ledger.size(), ledger.anchored_head().tree().size), (2, 1));
    // It is frequent, so it would not update the anchor for itself.
    drop(ledger.append(query_end(2), &Attribution::eva(), NOW).unwrap());
    assert_eq!((ledger.size(), ledger.anchored_head().tree().size), (3, 2));
    fixture.copy("meta", "meta-killed");
    fixture.copy("ledger", "ledger-killed");
    drop((ledger, meta));
    fixture.copy("meta-killed", "meta");
    fixture.copy("ledger-killed", "ledger");
    assert_eq!(fixture.open_anchored().unwrap().size(), 3);
}

#[test]
fn entry_of_a_change_is_covered_with_the_change() {
    let fixture = Fixture::new();
    let meta = fixture.meta();
    let ledger = Ledger::open_anchored(&fixture.ledger(), fixture.master.ledger(), institution(), &meta).unwrap();
    let before = meta.syncs();
    append_before_change(&ledger, &meta, 0);
    let ((), made) = ledger.apply(&meta, |_, _| Ok::<_, MetaError>(())).unwrap();
    ledger.until_durable(&meta, made).unwrap();
    assert_eq!(
        meta.syncs() - before,
        2,
        "the announcement with the note, and the change"
    );
    assert_eq!(ledger.anchored_head().tree(), ledger.head());
}

/// The machine stops again and again between an entry and the change that would cover it.
#[test]
fn stops_before_the_anchor_one_after_another_are_explained() {
    let fixture = Fixture::new();
    let first = fixture.open_anchored().unwrap();
    drop(first.append(change(0), &Attribution::eva(), NOW).unwrap());
    drop(first);
    for n in 1..4 {
        let meta = fixture.meta();
        let ledger = Ledger::open_anchored(&fixture.ledger(), fixture.master.ledger(), institution(), &meta).unwrap();
        append_before_change(&ledger, &meta, n);
        fixture.copy("meta", "meta-killed");
        fixture.copy("ledger", "ledger-killed");
        drop((ledger, meta));
        fixture.copy("meta-killed", "meta");
        fixture.copy("ledger-killed", "ledger");
    }
    assert_eq!(fixture.open_anchored().unwrap().size(), 4);
}

#[track_caller]
fn assert_ledger_older(opened: Result<Ledger, LedgerError>) {
    let error = opened.unwrap_err();
    assert!(
        matches!(
            error,
            LedgerError::Anchor(AnchorError::LedgerOlder { found: 1, anchored: 2 })
        ),
        "{error}"
    );
}
