//! Changes that are one transaction of the state.

use super::*;

fn eva() -> Subject {
    Subject::Account("eva".to_owned())
}

/// Makes a change of eva's account to `value`, or one that fails.
fn set(changes: &Changes, meta: &SealedDb, value: Result<u8, MetaError>) -> Result<(), ChangeEntryError> {
    let accounts = meta.tree::<u8>(ACCOUNTS).unwrap();
    changes.make_in_state(eva(), (&by_node(NodeTask::Start), NOW), || {
        let change = move |batch: &mut Batch| -> Result<(), MetaError> {
            batch.put(&accounts, "eva", &value?)?;
            Ok(())
        };
        Ok((changed("eva"), move || Ok(((), change))))
    })
}

/// The disk is waited for twice, besides the ledger: before the entry, and for value, note and anchor together.
#[test]
fn change_in_the_state_waits_twice_and_is_whole_then() {
    for before in [None, Some(1), Some(2)] {
        let fixture = Fixture::new();
        let (meta, ledger, changes) = fixture.open();
        if let Some(before) = before {
            put(&meta, &eva(), before);
        }
        let syncs = meta.syncs();
        set(&changes, &meta, Ok(2)).unwrap();
        assert_eq!(meta.syncs() - syncs, 2);
        assert_eq!(ledger.anchored_head().tree().size, 1);
        let (_copy, left, ledger, changes) = fixture.open_killed();
        assert_eq!((ledger.size(), ledger.anchored()), (1, 1));
        assert_eq!(left.tree::<u8>(ACCOUNTS).unwrap().get("eva").unwrap(), Some(2));
        assert_eq!(changes.notes.iter().unwrap().len(), 0);
        changes.reconcile(NOW).unwrap();
        assert_eq!(not_made(&ledger), [0_u64; 0]);
    }
}

#[test]
fn kill_before_a_change_in_the_state_is_entered_at_the_start() {
    let fixture = Fixture::new();
    let (_meta, ledger, changes) = fixture.open();
    let by = by_node(NodeTask::Start);
    drop(ledger.append(entry(1), &by, NOW).unwrap());
    let plan = || Ok::<_, ChangeEntryError>((changed("eva"), ()));
    let begun = changes.begin_anchored(eva(), Anchoring::WithTheChange, (&by, NOW), plan);
    let (open, ()) = begun.unwrap();
    assert_eq!(ledger.anchored_head().tree().size, open.entry, "nothing covers it yet");
    let killed = || {
        let (_copy, _left, ledger, changes) = fixture.open_killed();
        changes.reconcile(NOW).unwrap();
        not_made(&ledger)
    };
    assert_eq!(killed(), [open.entry]);
    // What others enter meanwhile makes it no other case.
    let login = EntryBody::LoginSucceeded { one_time: false };
    drop(ledger.append(login, &by, NOW).unwrap());
    assert_eq!(killed(), [open.entry]);
}

#[test]
fn change_in_the_state_that_fails_is_entered_as_not_made() {
    let fixture = Fixture::new();
    let (meta, ledger, changes) = fixture.open();
    put(&meta, &eva(), 1);
    set(&changes, &meta, Err(MetaError::Damaged)).unwrap_err();
    assert_eq!(not_made(&ledger), [0]);
    assert_eq!(meta.tree::<u8>(ACCOUNTS).unwrap().get("eva").unwrap(), Some(1));
    assert_eq!(changes.notes.iter().unwrap().len(), 0);
    // The next one is made.
    set(&changes, &meta, Ok(2)).unwrap();
    assert_eq!((ledger.size(), not_made(&ledger)), (3, vec![0]));
}

#[test]
fn change_in_the_state_that_panics_leaves_no_note() {
    let fixture = Fixture::new();
    let (_meta, ledger, changes) = fixture.open();
    let by = by_node(NodeTask::Start);
    let made = || -> Result<(), ChangeEntryError> {
        changes.make_in_state(eva(), (&by, NOW), || {
            let change = |_: &mut Batch| -> Result<(), MetaError> { panic!("a bug") };
            Ok::<_, ChangeEntryError>((changed("eva"), move || Ok(((), change))))
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(made)).is_err());
    assert_eq!(changes.notes.iter().unwrap().len(), 0);
    assert_eq!(not_made(&ledger), [0]);
}
