//! Ledger and sealed state against each other: every older copy of the one with every copy of the other.

use concordat_protocol::ids::ActorId;

use super::super::anchor::{ANNOUNCED, TREE};
use super::*;
use crate::meta::SealedDb;

/// What is appended, step by step: `f` for a frequent entry, `c` for one that goes with a change of the state.
const STEPS: &[u8] = b"ccffcfcf";

fn change(n: u64) -> EntryBody {
    EntryBody::UserDisabled {
        actor: ActorId::new(&format!("eva{n}@budapest")).unwrap(),
    }
}

impl Place {
    fn meta(&self) -> SealedDb {
        SealedDb::open(&self.dir.path().join("meta"), self.master.state()).unwrap()
    }

    fn open_anchored(&self) -> Result<Ledger, LedgerError> {
        Ledger::open_anchored(&self.ledger(), self.master.ledger(), institution(), &self.meta())
    }

    /// Keeps a copy of a folder, or puts one back.
    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.dir.path().join(from), self.dir.path().join(to));
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
fn grown() -> Place {
    let place = Place::new();
    drop(place.open_anchored().unwrap());
    for (n, step) in STEPS.iter().enumerate() {
        place.copy("ledger", &format!("ledger-{n}"));
        place.copy("meta", &format!("meta-{n}"));
        let body = if *step == b'c' {
            change(n as u64)
        } else {
            query_end(n as u64)
        };
        drop(
            place
                .open_anchored()
                .unwrap()
                .append(body, &Attribution::eva(), NOW)
                .unwrap(),
        );
    }
    place.copy("ledger", &format!("ledger-{}", STEPS.len()));
    place.copy("meta", &format!("meta-{}", STEPS.len()));
    place
}

/// Entries that the state knows of after `steps` steps: frequent ones alone do not move it this early.
fn anchored(steps: usize) -> usize {
    let change = STEPS.iter().take(steps).rposition(|step| *step == b'c');
    change.map_or(0, |n| n + 1)
}

#[test]
fn every_older_ledger_or_state_is_noticed() {
    let place = grown();
    for ledger in 0..=STEPS.len() {
        for meta in 0..=STEPS.len() {
            place.copy(&format!("ledger-{ledger}"), "ledger");
            place.copy(&format!("meta-{meta}"), "meta");
            let beyond = STEPS.get(anchored(meta)..ledger);
            let expected = match beyond {
                None => "ledger older",
                Some(entries) if entries.contains(&b'c') => "state older",
                // Nothing was anchored yet: a state that knows no ledger belongs to an empty one.
                Some(entries) if anchored(meta) == 0 && !entries.is_empty() => "state older",
                Some(_) => "together",
            };
            let found = match place.open_anchored() {
                Ok(_) => "together",
                Err(LedgerError::Anchor(AnchorError::LedgerOlder { .. })) => "ledger older",
                Err(LedgerError::Anchor(AnchorError::StateOlder { .. })) => "state older",
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expected, "ledger after {ledger} steps, state after {meta}");
        }
    }
}

#[test]
fn a_crash_between_an_entry_and_its_anchor_is_explained_by_what_was_announced_and_by_nothing_else() {
    let place = Place::new();
    let ledger = place.open_anchored().unwrap();
    drop(ledger.append(change(0), &Attribution::eva(), NOW).unwrap());
    drop(ledger);
    place.copy("meta", "meta-old");
    let ledger = place.open_anchored().unwrap();
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
        place.copy("meta-old", "meta");
        if let Some(announced) = announced {
            place.meta().tree(TREE).unwrap().put(ANNOUNCED, &announced).unwrap();
        }
        assert_eq!(place.open_anchored().is_ok(), explained, "{announced:?}");
    }
}

#[test]
fn another_ledger_of_the_same_length_is_noticed() {
    let place = Place::new();
    drop(
        place
            .open_anchored()
            .unwrap()
            .append(change(0), &Attribution::eva(), NOW)
            .unwrap(),
    );
    fs::remove_dir_all(place.ledger()).unwrap();
    drop(
        place
            .open()
            .unwrap()
            .append(change(1), &Attribution::eva(), NOW)
            .unwrap(),
    );
    let error = place.open_anchored().unwrap_err();
    assert!(
        matches!(error, LedgerError::Anchor(AnchorError::OtherLedger { anchored: 1 })),
        "{error}"
    );
    assert_eq!(error.kind(), crate::error_kind::ErrorKind::Integrity);
}

#[test]
fn frequent_entries_are_anchored_before_the_lag_grows_beyond_its_bound() {
    let place = Place::new();
    let ledger = place.open_anchored().unwrap();
    drop(ledger.append(change(0), &Attribution::eva(), NOW).unwrap());
    drop(ledger);
    place.copy("meta", "meta-old");
    let ledger = place.open_anchored().unwrap();
    for n in 0..400 {
        drop(ledger.append(query_end(n), &Attribution::eva(), NOW).unwrap());
    }
    drop(ledger);
    // A crash loses nothing of it: the newest state belongs to it.
    drop(place.open_anchored().unwrap());
    place.copy("meta-old", "meta");
    let error = place.open_anchored().unwrap_err();
    assert!(
        matches!(error, LedgerError::Anchor(AnchorError::StateOlder { found: 401, .. })),
        "{error}"
    );
}

#[test]
fn a_removed_ledger_is_noticed() {
    let place = Place::new();
    drop(
        place
            .open_anchored()
            .unwrap()
            .append(change(0), &Attribution::eva(), NOW)
            .unwrap(),
    );
    fs::remove_dir_all(place.ledger()).unwrap();
    let error = place.open_anchored().unwrap_err();
    assert!(
        matches!(error, LedgerError::Anchor(AnchorError::LedgerOlder { found: 0, .. })),
        "{error}"
    );
}
