mod in_state;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
use concordat_protocol::audit::NodeTask;
use concordat_protocol::text::Label;
use concordat_storage::ledger::{Authority, AuthorityError};
use tempfile::TempDir;

use super::interrupted::LONGEST;
use super::*;
use crate::attribution::by_node;
use crate::start_state::StartState;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

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

    /// Opens them like a start does.
    fn open(&self) -> (SealedDb, Ledger, Changes) {
        self.open_in(self.dir.path())
    }

    /// Opens a copy of the files as they are now, like a start after the process was killed does.
    fn open_killed(&self) -> (TempDir, SealedDb, Ledger, Changes) {
        let copy = tempfile::tempdir().unwrap();
        for folder in ["meta", "ledger"] {
            copy_folder(&self.dir.path().join(folder), &copy.path().join(folder));
        }
        let (meta, ledger, changes) = self.open_in(copy.path());
        (copy, meta, ledger, changes)
    }

    fn open_in(&self, dir: &Path) -> (SealedDb, Ledger, Changes) {
        let meta = SealedDb::open(&dir.join("meta"), self.master.state()).unwrap();
        let ledger = dir.join("ledger");
        let institution = "budapest".parse().unwrap();
        let ledger = Ledger::open_anchored(&ledger, self.master.ledger(), institution, &meta).unwrap();
        let changes = Changes::open(&meta, ledger.clone()).unwrap();
        (meta, ledger, changes)
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

impl Changes {
    /// Begins a change whose entry does not depend on the value.
    fn begin_entry(
        &self,
        subject: Subject,
        entry: EntryBody,
        by: (&Attribution, Timestamp),
    ) -> Result<OpenChange, ChangeEntryError> {
        let begun = self.begin(subject, by, || Ok::<_, ChangeEntryError>((entry, ())));
        begun.map(|(open, ())| open)
    }

    /// Makes a change whose entry does not depend on the value.
    fn make_entry<T>(
        &self,
        subject: Subject,
        entry: EntryBody,
        by: (&Attribution, Timestamp),
        change: impl FnOnce() -> Result<T, ChangeEntryError>,
    ) -> Result<T, ChangeEntryError> {
        self.make(subject, by, || Ok((entry, change)))
    }
}

fn subjects() -> [Subject; 8] {
    let key = || "one".to_owned();
    [
        Subject::Account(key()),
        Subject::Dataset(key()),
        Subject::Grant(key()),
        Subject::Negotiation(key()),
        Subject::AllowedHosts(key()),
        Subject::ReleaseLocks(key()),
        Subject::Segment(key()),
        Subject::MasterKey,
    ]
}

/// Any entry; no two are equal.
fn entry(n: usize) -> EntryBody {
    let version = Label::sanitized(&n.to_string());
    EntryBody::NodeStarted { version, start: None }
}

fn put(meta: &SealedDb, subject: &Subject, value: u8) {
    let (tree, key) = subject.location();
    meta.tree::<u8>(tree).unwrap().put(key, &value).unwrap();
}

fn not_made(ledger: &Ledger) -> Vec<u64> {
    let entries = ledger.range(0, ledger.size()).unwrap().into_iter();
    let not_made = entries.filter_map(|stored| {
        let EntryBody::ChangeNotMade { entry } = stored.entry.body else {
            return None;
        };
        Some(entry)
    });
    not_made.collect()
}

#[test]
fn kill_between_entry_and_change_is_entered_at_the_next_start() {
    for before in [None, Some(1)] {
        for (n, subject) in subjects().into_iter().enumerate() {
            let fixture = Fixture::new();
            let (meta, ledger, changes) = fixture.open();
            if let Some(before) = before {
                put(&meta, &subject, before);
            }
            let by = (&by_node(NodeTask::Start), NOW);
            let killed = changes.begin_entry(subject.clone(), entry(n), by).unwrap();
            let sequence = killed.entry;
            drop((killed, meta, ledger, changes));
            let (meta, ledger, changes) = fixture.open();
            // Like a start, and a second one.
            let start = StartState::open(&meta).unwrap();
            start.reconcile(&ledger, NOW).unwrap();
            start.reconcile(&ledger, NOW).unwrap();
            assert_eq!(not_made(&ledger), [sequence], "{subject:?}");
            drop((meta, ledger, changes));
        }
    }
}

#[test]
fn change_killed_after_write_enters_nothing() {
    let fixture = Fixture::new();
    let (meta, ledger, changes) = fixture.open();
    for (n, subject) in subjects().into_iter().enumerate() {
        let by = (&by_node(NodeTask::Start), NOW);
        let killed = changes.begin_entry(subject.clone(), entry(n), by).unwrap();
        put(&meta, &subject, 2);
        drop(killed);
    }
    drop((meta, ledger, changes));
    let (_meta, ledger, changes) = fixture.open();
    changes.reconcile(NOW).unwrap();
    assert_eq!(not_made(&ledger), [0_u64; 0]);
    assert_eq!(changes.notes.iter().unwrap().len(), 0);
}

/// The note is on the disk before the entry is, whether or not the ledger announces entries in the state.
#[test]
fn note_is_in_the_files_before_the_entry() {
    let by = (&by_node(NodeTask::Start), NOW);
    let fixture = Fixture::new();
    let (_meta, _ledger, changes) = fixture.open();
    let begun = changes.begin_entry(Subject::MasterKey, entry(1), by).unwrap();
    let (_copy, _left, ledger, changes) = fixture.open_killed();
    changes.reconcile(NOW).unwrap();
    assert_eq!(not_made(&ledger), [begun.entry]);

    let dir = tempfile::tempdir().unwrap();
    let meta = SealedDb::open(&dir.path().join("meta"), fixture.master.state()).unwrap();
    let institution = "budapest".parse().unwrap();
    let ledger = Ledger::open(&dir.path().join("ledger"), fixture.master.ledger(), institution).unwrap();
    let changes = Changes::open(&meta, ledger).unwrap();
    let _begun = changes.begin_entry(Subject::MasterKey, entry(1), by).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&dir.path().join("meta"), &copy.path().join("meta"));
    let left = SealedDb::open(&copy.path().join("meta"), fixture.master.state()).unwrap();
    let notes: SealedTree<Note> = left.tree(TreeId::new("changes")).unwrap();
    assert_eq!(notes.iter().unwrap().len(), 1);
}

/// That a note was removed is not waited for, unless the value is what it was before.
#[test]
fn change_that_ended_before_a_kill_enters_nothing() {
    for (before, after) in [(None, 1), (Some(1), 2), (Some(1), 1)] {
        let fixture = Fixture::new();
        let (meta, _ledger, changes) = fixture.open();
        let subject = Subject::Account("eva".to_owned());
        if let Some(before) = before {
            put(&meta, &subject, before);
        }
        let by = (&by_node(NodeTask::Start), NOW);
        let made = changes.make_entry(subject.clone(), entry(1), by, || {
            put(&meta, &subject, after);
            Ok(())
        });
        made.unwrap();
        assert_eq!(changes.notes.iter().unwrap().len(), 0);
        let (_copy, _left, ledger, changes) = fixture.open_killed();
        changes.reconcile(NOW).unwrap();
        assert_eq!((not_made(&ledger), ledger.size()), (Vec::new(), 1));
        assert_eq!(changes.notes.iter().unwrap().len(), 0);
    }
}

#[test]
fn change_killed_before_entry_enters_nothing() {
    let fixture = Fixture::new();
    let (_meta, ledger, changes) = fixture.open();
    let note = Note {
        subject: Subject::Account("eva".to_owned()),
        before: None,
        entry: entry(1),
        ledger: 0,
    };
    changes.notes.put("note", &note).unwrap();
    changes.reconcile(NOW).unwrap();
    assert_eq!(ledger.size(), 0);
    assert_eq!(changes.notes.iter().unwrap().len(), 0);
}

#[test]
fn change_that_fails_is_entered_as_not_made_at_once() {
    let fixture = Fixture::new();
    let (_meta, ledger, changes) = fixture.open();
    let by = by_node(NodeTask::Start);
    let account = || Subject::Account("eva".to_owned());
    let made = changes.make_entry(account(), entry(1), (&by, NOW), || Ok::<_, ChangeEntryError>(7));
    assert_eq!(made.unwrap(), 7);
    let failed = changes.make_entry(account(), entry(2), (&by, NOW), || {
        Err::<(), _>(ChangeEntryError::Random(getrandom::Error::UNSUPPORTED))
    });
    assert!(failed.is_err());
    assert_eq!(not_made(&ledger), [1]);
    // A kill between that entry and the removal of the note enters it only once.
    let killed = changes.begin_entry(account(), entry(3), (&by, NOW)).unwrap();
    let denial = EntryBody::ChangeNotMade { entry: killed.entry };
    drop(ledger.append(denial, &by, NOW).unwrap());
    drop(killed);
    changes.reconcile(NOW).unwrap();
    assert_eq!(not_made(&ledger), [1, 3]);
}

/// The note and the value of a change that had ended, as if they were set back; then `later` is written.
fn set_back(fixture: &Fixture, later: EntryBody, after_ms: i64) -> Result<(), ReconcileError> {
    let (meta, ledger, changes) = fixture.open();
    let by = by_node(NodeTask::Start);
    drop(
        changes
            .begin_entry(Subject::Account("eva".to_owned()), changed("eva"), (&by, NOW))
            .unwrap(),
    );
    drop(ledger.append(later, &by, NOW.plus_millis(after_ms)).unwrap());
    let size = ledger.size();
    let reconciled = changes.reconcile(NOW);
    if reconciled.is_err() {
        assert_eq!((ledger.size(), changes.notes.iter().unwrap().len()), (size, 1));
    }
    drop((meta, ledger, changes));
    reconciled
}

fn changed(name: &str) -> EntryBody {
    EntryBody::UserChanged {
        actor: format!("{name}@budapest").parse().unwrap(),
        change: Label::sanitized("roles"),
        roles: Vec::new(),
    }
}

#[test]
fn change_that_had_ended_is_not_taken_for_interrupted() {
    let login = || EntryBody::LoginSucceeded { one_time: false };
    for (what, later, after_ms) in [
        ("a start", entry(1), 0),
        ("another change of the account", changed("eva"), 1),
        ("long afterwards", login(), LONGEST + 1),
    ] {
        let refused = set_back(&Fixture::new(), later, after_ms).unwrap_err();
        assert!(
            matches!(refused, ReconcileError::StateOlder { entry: 0, later: 1 }),
            "{what}: {refused}"
        );
        assert_eq!(refused.kind(), ErrorKind::Integrity, "{what}");
        let help = refused.help().unwrap();
        assert!(
            help.contains("after entry 1") && help.contains("of entry 0 again"),
            "{what}: {help}"
        );
    }
    // What others did while it was made.
    for (what, later, after_ms) in [
        ("a login", login(), LONGEST),
        ("a change of another account", changed("pal"), 1),
        ("a clock that was set back", login(), -2 * LONGEST),
    ] {
        let fixture = Fixture::new();
        set_back(&fixture, later, after_ms).unwrap();
        assert_eq!(not_made(&fixture.open().1), [0], "{what}");
    }
}

#[test]
fn change_of_a_value_waits_for_the_one_before() {
    let fixture = Fixture::new();
    let (_meta, ledger, changes) = fixture.open();
    let by = by_node(NodeTask::Start);
    let open = changes
        .begin_entry(Subject::Account("eva".to_owned()), changed("eva"), (&by, NOW))
        .unwrap();
    // A change of another value does not wait.
    let other = changes
        .begin_entry(Subject::Account("pal".to_owned()), changed("pal"), (&by, NOW))
        .unwrap();
    changes.end(other, true).unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let by = by_node(NodeTask::Start);
            changes.make_entry(Subject::Account("eva".to_owned()), changed("eva"), (&by, NOW), || {
                Ok::<_, ChangeEntryError>(())
            })
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(ledger.size(), 2, "the second change waits");
        changes.end(open, true).unwrap();
        second.join().unwrap().unwrap();
    });
    assert_eq!(ledger.size(), 3);
}

/// A person whose account is disabled during a test.
#[derive(Debug, Default)]
struct Disabled(AtomicBool);

impl Authority for Disabled {
    fn check(&self, _: Timestamp) -> Result<(), AuthorityError> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(AuthorityError::Ended),
            false => Ok(()),
        }
    }
}

/// An administrator under attack disables an account that has sent many requests at once, which enable it again.
#[test]
fn change_that_waited_is_not_made_for_a_disabled_account() {
    let fixture = Fixture::new();
    let (_meta, ledger, changes) = fixture.open();
    let account = || Subject::Account("eva".to_owned());
    let by = by_node(NodeTask::Start);
    let open = changes.begin_entry(account(), changed("eva"), (&by, NOW)).unwrap();
    let disabled = Arc::new(Disabled::default());
    let authority: Arc<dyn Authority> = disabled.clone();
    let eva = by.clone().resting_on(authority);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            changes.make_entry(
                account(),
                changed("eva"),
                (&eva, NOW),
                || -> Result<(), ChangeEntryError> { panic!("the change is made") },
            )
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        disabled.0.store(true, Ordering::SeqCst);
        changes.end(open, true).unwrap();
        let refused = waiting.join().unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    });
    assert_eq!((ledger.size(), changes.notes.iter().unwrap().len()), (1, 0));
}

#[test]
fn change_begun_before_the_account_ended_is_entered_as_not_made() {
    let fixture = Fixture::new();
    let (_meta, ledger, changes) = fixture.open();
    let disabled = Arc::new(Disabled::default());
    let authority: Arc<dyn Authority> = disabled.clone();
    let eva = by_node(NodeTask::Start).resting_on(authority);
    let account = Subject::Account("eva".to_owned());
    let open = changes.begin_entry(account, changed("eva"), (&eva, NOW)).unwrap();
    disabled.0.store(true, Ordering::SeqCst);
    changes.end(open, false).unwrap();
    assert_eq!(not_made(&ledger), [0]);
}

#[test]
fn change_that_panics_leaves_no_note_behind() {
    let fixture = Fixture::new();
    let (meta, ledger, changes) = fixture.open();
    let by = by_node(NodeTask::Start);
    let account = || Subject::Account("eva".to_owned());
    for is_made in [false, true] {
        let change = || -> Result<(), ChangeEntryError> {
            if is_made {
                put(&meta, &account(), 2);
            }
            panic!("a bug");
        };
        let made = || changes.make_entry(account(), changed("eva"), (&by, NOW), change);
        assert!(catch_unwind(AssertUnwindSafe(made)).is_err());
        assert_eq!(changes.notes.iter().unwrap().len(), 0);
    }
    assert_eq!(not_made(&ledger), [0], "the second one was made");
}

#[test]
fn change_that_waited_is_planned_from_the_value_of_that_moment() {
    const CHANGES: u8 = 8;
    let fixture = Fixture::new();
    let (meta, ledger, changes) = fixture.open();
    let eva = || Subject::Account("eva".to_owned());
    let value = || {
        let accounts = meta.tree::<u8>(ACCOUNTS).unwrap();
        accounts.get("eva").unwrap().unwrap_or(0)
    };
    let by = by_node(NodeTask::Start);
    // All of them wait for this one, so that each is sent before any other is made.
    let open = changes.begin_entry(eva(), entry(0), (&by, NOW)).unwrap();
    std::thread::scope(|scope| {
        for bit in 0..CHANGES {
            let changes = &changes;
            let by = &by;
            let value = &value;
            let meta = &meta;
            scope.spawn(move || {
                let plan = || {
                    let new = value() | (1 << bit);
                    let set = move || {
                        put(meta, &eva(), new);
                        Ok::<_, ChangeEntryError>(())
                    };
                    Ok::<_, ChangeEntryError>((entry(usize::from(new)), set))
                };
                changes.make(eva(), (by, NOW), plan).unwrap();
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        changes.end(open, true).unwrap();
    });
    assert_eq!(value(), u8::MAX);
    let entries = ledger.range(0, ledger.size()).unwrap();
    assert_eq!(entries.len(), 1 + usize::from(CHANGES));
    assert_eq!(entries.last().unwrap().entry.body, entry(usize::from(u8::MAX)));
}

#[test]
fn change_whose_plan_fails_is_not_entered_and_blocks_no_other() {
    let fixture = Fixture::new();
    let (_meta, ledger, changes) = fixture.open();
    let by = by_node(NodeTask::Start);
    let eva = || Subject::Account("eva".to_owned());
    let plan =
        || -> Result<(EntryBody, ()), ChangeEntryError> { Err(LedgerError::Authority(AuthorityError::Ended).into()) };
    assert!(changes.begin(eva(), (&by, NOW), plan).is_err());
    assert_eq!((ledger.size(), changes.notes.iter().unwrap().len()), (0, 0));
    changes.make_entry(eva(), entry(1), (&by, NOW), || Ok(())).unwrap();
    assert_eq!(ledger.size(), 1);
}
