use super::*;
use concordat_keys::KeyFile;
use concordat_protocol::ids::{Digest32, InstitutionId};
use concordat_storage::data_dir::Storage;
use std::collections::BTreeMap;
use std::path::Path;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

const CONFIG: &str =
    "[node]\ninstitution = \"budapest\"\nname = \"B\"\njurisdiction = \"HU\"\n[keys]\nsource = \"passphrase\"\n";

fn config(more: &str) -> Config {
    Config::parse(&format!("{CONFIG}{more}"), Path::new("concordat.toml")).unwrap()
}

struct Fixture {
    _dir: tempfile::TempDir,
    storage: Storage,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        concordat_keys::fs::write_private(&key, &[b'k'; 64]).unwrap();
        let storage = Storage::init(&dir.path().join("node"), &KeyFile::new(key)).unwrap();
        Self { _dir: dir, storage }
    }

    fn ledger(&self) -> Ledger {
        self.storage
            .open_ledger(InstitutionId::new("budapest").unwrap())
            .unwrap()
    }

    fn bound(&self) -> StartState {
        StartState::open(self.storage.meta()).unwrap()
    }
}

fn by() -> Attribution {
    crate::attribution::by_this_account()
}

fn value(limit: &str) -> AcceptedConfiguration {
    AcceptedConfiguration {
        settings: BTreeMap::from([("limits.streams".to_owned(), limit.to_owned())]),
        by: by().cause().clone(),
        at: NOW,
    }
}

fn announcement(value: &AcceptedConfiguration) -> EntryBody {
    EntryBody::ConfigurationAccepted { digest: value.digest() }
}

#[test]
fn only_the_accepted_configuration_starts_the_node() {
    let fixture = Fixture::new();
    let ledger = fixture.ledger();
    let bound = fixture.bound();
    bound.accept_configuration(&config(""), &ledger, &by(), NOW).unwrap();
    bound.check_configuration(&config("")).unwrap();
    // Settings that are not protected may change.
    for same in [
        "[log]\nlevel = \"warn\"\nformat = \"json\"\n",
        "[limits]\nstreams = STREAMS\n",
    ] {
        let default = crate::config::LimitsSection::default().streams.to_string();
        bound
            .check_configuration(&config(&same.replace("STREAMS", &default)))
            .unwrap();
    }
    for (more, key) in [
        ("[limits]\nstreams = 7\n", "limits.streams"),
        ("[limits]\nconnections = 7\n", "limits.connections"),
        ("[limits]\nmemory_mib = 999\n", "limits.memory_mib"),
        ("[log]\nlevel = \"debug\"\n", "log.level"),
        ("[log]\nlevel = \"trace\"\n", "log.level"),
        ("[limits]\nstreams_per_peer = 7\n", "limits.streams_per_peer"),
        (
            "[storage]\nobjects = \"s3://bucket/prefix\"\ncredentials = \"k\"\n",
            "storage.objects",
        ),
    ] {
        let refused = bound.check_configuration(&config(more)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Integrity);
        assert!(refused.help().unwrap().contains("concordat config accept"));
        assert!(
            refused.reasons().iter().any(|reason| reason.contains(key)),
            "{:?}",
            refused.reasons()
        );
    }
}

#[test]
fn settings_of_identity_and_location_are_protected() {
    let text = |from: &str, to: &str| CONFIG.replace(from, to);
    let fixture = Fixture::new();
    let ledger = fixture.ledger();
    let bound = fixture.bound();
    bound.accept_configuration(&config(""), &ledger, &by(), NOW).unwrap();
    let parse = |text: String| Config::parse(&text, Path::new("concordat.toml")).unwrap();
    for (changed, key) in [
        (text("budapest", "zurich"), "node.institution"),
        (text("\"B\"", "\"C\""), "node.name"),
        (text("\"HU\"", "\"US\""), "node.jurisdiction"),
        (
            text("jurisdiction", "listen = [\"/ip4/10.0.0.1/tcp/7400\"]\njurisdiction"),
            "node.listen",
        ),
        (text("jurisdiction", "dial = [\"private\"]\njurisdiction"), "node.dial"),
    ] {
        let reasons = bound.check_configuration(&parse(changed)).unwrap_err().reasons();
        assert!(reasons.iter().any(|reason| reason.contains(key)), "{reasons:?}");
    }
    let other = parse(text("budapest", "zurich"));
    let refused = bound.accept_configuration(&other, &ledger, &by(), NOW).unwrap_err();
    assert!(matches!(refused, StartStateError::OtherInstitution));
}

#[test]
fn change_interrupted_at_any_step_is_completed_or_dropped() {
    let fixture = Fixture::new();
    let ledger = fixture.ledger();
    let versions = fixture.bound().configuration;
    versions
        .adopt(value("1"), &ledger, announcement(&value("1")), &by(), NOW)
        .unwrap();
    // Stopped before the announcement: dropped.
    let last = |found: &str| Some(value(found).digest());
    versions.prepare_only(value("2"), ledger.size());
    versions.reconcile(&ledger, last("1")).unwrap();
    assert_eq!(versions.current().unwrap(), Some(value("1")));
    // Stopped after it: completed.
    versions.prepare_only(value("3"), ledger.size());
    drop(ledger.append(announcement(&value("3")), &by(), NOW).unwrap());
    versions.reconcile(&ledger, last("3")).unwrap();
    assert_eq!(versions.current().unwrap(), Some(value("3")));
    // Announced and never prepared: the state is older than the ledger.
    drop(ledger.append(announcement(&value("4")), &by(), NOW).unwrap());
    let refused = versions.reconcile(&ledger, last("4")).unwrap_err();
    assert!(matches!(refused, BoundStateError::StateOlder { what: "configuration" }));
    assert_eq!(refused.kind(), ErrorKind::Integrity);
    // Prepared, announced, and followed by another announcement: both are older than the ledger, and nothing is changed.
    versions.prepare_only(value("4"), 2);
    drop(ledger.append(announcement(&value("5")), &by(), NOW).unwrap());
    let refused = versions.reconcile(&ledger, last("5")).unwrap_err();
    assert!(matches!(refused, BoundStateError::StateOlder { what: "configuration" }));
    assert_eq!(versions.current().unwrap(), Some(value("3")));
}

fn login(ledger: &Ledger) {
    let login = EntryBody::LoginSucceeded { one_time: false };
    drop(ledger.append(login, &by(), NOW).unwrap());
}

/// What the ledger announces, and the state does not have because its value is an older copy.
fn announced() -> [(&'static str, EntryBody); 3] {
    let digest = Digest32::sha256("test", b"newer");
    let (number, previous) = (7, None);
    [
        ("configuration", EntryBody::ConfigurationAccepted { digest }),
        ("roster", EntryBody::RosterAccepted { number, digest }),
        (
            "policy set",
            EntryBody::PolicyApplied {
                number,
                digest,
                previous,
            },
        ),
    ]
}

#[test]
fn announced_value_that_is_missing_is_found_at_any_distance() {
    for (kind, entry) in announced() {
        let fixture = Fixture::new();
        let ledger = fixture.ledger();
        login(&ledger);
        fixture.bound().reconcile(&ledger, NOW).unwrap();
        let summary = Announcements::read(fixture.storage.meta(), &ledger).unwrap();
        drop(ledger.append(entry, &by(), NOW).unwrap());
        (0..3).for_each(|_| login(&ledger));
        // Twice, and with a summary that covers the announcement.
        for covered in [false, true] {
            if covered {
                let newer = Announcements::read(fixture.storage.meta(), &ledger).unwrap();
                newer.store(fixture.storage.meta()).unwrap();
            }
            let refused = fixture.bound().reconcile(&ledger, NOW).unwrap_err();
            assert!(
                matches!(&refused, StartStateError::Bound(BoundStateError::StateOlder { what }) if *what == kind),
                "{kind}: {refused:?}"
            );
            let help = refused.help().unwrap();
            assert!(help.contains(kind), "{kind}: {help}");
        }
        // The summary is set back as well.
        summary.store(fixture.storage.meta()).unwrap();
        fixture.bound().reconcile(&ledger, NOW).unwrap_err();
    }
}

#[test]
fn announcements_of_another_ledger_are_not_used() {
    let fixture = Fixture::new();
    let ledger = fixture.ledger();
    let (meta, digest) = (fixture.storage.meta(), Digest32::sha256("test", b"newer"));
    drop(
        ledger
            .append(EntryBody::RosterAccepted { number: 1, digest }, &by(), NOW)
            .unwrap(),
    );
    login(&ledger);
    let own = Announcements::read(meta, &ledger).unwrap();
    assert_eq!((own.entries, own.last::<SealedRoster>()), (2, Some(digest)));
    for (entries, leaf) in [(2, Some(Digest32::ZERO)), (2, None), (3, own.leaf), (1, own.leaf)] {
        let last = BTreeMap::new();
        let foreign = Announcements { entries, leaf, last };
        foreign.store(meta).unwrap();
        assert_eq!(Announcements::read(meta, &ledger).unwrap(), own);
    }
}

#[test]
fn announcement_after_the_state_of_a_snapshot_is_no_older_copy() {
    let fixture = Fixture::new();
    let ledger = fixture.ledger();
    let bound = fixture.bound();
    bound.accept_configuration(&config(""), &ledger, &by(), NOW).unwrap();
    drop(ledger.append(announcement(&value("9")), &by(), NOW).unwrap());
    bound.reconcile(&ledger, NOW).unwrap_err();
    bound.reconcile_restored(&ledger, NOW).unwrap();
    bound.reconcile(&ledger, NOW).unwrap();
    login(&ledger);
    bound.reconcile(&ledger, NOW).unwrap();
    drop(ledger.append(announcement(&value("10")), &by(), NOW).unwrap());
    bound.reconcile(&ledger, NOW).unwrap_err();
}
