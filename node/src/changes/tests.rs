use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
use concordat_protocol::text::Label;
use tempfile::TempDir;

use super::*;
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
        let meta = SealedDb::open(&self.dir.path().join("meta"), self.master.state()).unwrap();
        let ledger = self.dir.path().join("ledger");
        let institution = "budapest".parse().unwrap();
        let ledger = Ledger::open_anchored(&ledger, self.master.ledger(), institution, &meta).unwrap();
        let changes = Changes::open(&meta, ledger.clone()).unwrap();
        (meta, ledger, changes)
    }
}

fn subjects() -> [Subject; 7] {
    let key = || "one".to_owned();
    [
        Subject::Account(key()),
        Subject::Dataset(key()),
        Subject::Grant(key()),
        Subject::Negotiation(key()),
        Subject::AllowedHosts(key()),
        Subject::Segment(key()),
        Subject::MasterKey,
    ]
}

/// Any entry; no two are equal.
fn entry(n: usize) -> EntryBody {
    let version = Label::sanitized(&n.to_string());
    EntryBody::NodeStarted { version }
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
            let killed = changes.begin(subject.clone(), entry(n), by).unwrap();
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
        let killed = changes.begin(subject.clone(), entry(n), by).unwrap();
        put(&meta, &subject, 2);
        drop(killed);
    }
    drop((meta, ledger, changes));
    let (_meta, ledger, changes) = fixture.open();
    changes.reconcile(NOW).unwrap();
    assert_eq!(not_made(&ledger), [0_u64; 0]);
    assert_eq!(changes.notes.iter().unwrap().len(), 0);
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
    let made = changes.make(account(), entry(1), (&by, NOW), || Ok::<_, ChangeEntryError>(7));
    assert_eq!(made.unwrap(), 7);
    let failed = changes.make(account(), entry(2), (&by, NOW), || {
        Err::<(), _>(ChangeEntryError::Random(getrandom::Error::UNSUPPORTED))
    });
    assert!(failed.is_err());
    assert_eq!(not_made(&ledger), [1]);
    // A kill between that entry and the removal of the note enters it only once.
    let killed = changes.begin(account(), entry(3), (&by, NOW)).unwrap();
    let denial = EntryBody::ChangeNotMade { entry: killed.entry };
    drop(ledger.append(denial, &by, NOW).unwrap());
    drop(killed);
    changes.reconcile(NOW).unwrap();
    assert_eq!(not_made(&ledger), [1, 3]);
}
