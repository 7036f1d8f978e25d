use super::*;
use concordat_keys::KeyFile;
use concordat_protocol::ids::InstitutionId;
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
        "[log]\nlevel = \"debug\"\nformat = \"json\"\n",
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
    versions.prepare_only(value("2"), ledger.size());
    versions.reconcile(&ledger).unwrap();
    assert_eq!(versions.current().unwrap(), Some(value("1")));
    // Stopped after it: completed.
    versions.prepare_only(value("3"), ledger.size());
    drop(ledger.append(announcement(&value("3")), &by(), NOW).unwrap());
    versions.reconcile(&ledger).unwrap();
    assert_eq!(versions.current().unwrap(), Some(value("3")));
    // Announced and never prepared: the state is older than the ledger.
    drop(ledger.append(announcement(&value("4")), &by(), NOW).unwrap());
    let refused = versions.reconcile(&ledger).unwrap_err();
    assert!(matches!(refused, BoundStateError::StateOlder { what: "configuration" }));
    assert_eq!(refused.kind(), ErrorKind::Integrity);
}
