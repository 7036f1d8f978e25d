//! The activation of policy sets, and what no set may allow.

use std::sync::Arc;

use concordat_keys::{Argon2Cost, KeyFile, Secret};
use concordat_policy::{
    CollectionFacts, ColumnFacts, DatasetFacts, Party, Policy, RequestSpace, never_allowed, shipped_sources,
};
use concordat_protocol::audit::{Cause, EntryBody, NodeTask};
use concordat_protocol::identity::{InstitutionKey, NodeKey};
use concordat_protocol::ids::{ColumnName, Digest32, InstitutionId, Jurisdiction, SegmentName};
use concordat_protocol::membership::MemberStatus;
use concordat_protocol::policy_set::{Case, Decision, PolicyFile, PolicySources, Reveal, Settings};
use concordat_protocol::query::Role;
use concordat_protocol::release::ReleaseRules;
use concordat_protocol::schema::{ColumnClass, ColumnKind};
use concordat_protocol::scope::Tier;
use concordat_protocol::time::Timestamp;
use concordat_storage::data_dir::Storage;
use concordat_storage::ledger::Ledger;
use zeroize::Zeroizing;

use super::*;
use crate::attribution::by_node;
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::iam::{AccountChange, Accounts, Actor, Sessions};
use crate::identity::Identity;

const NOON: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Releases direct identifiers in clear.
const NAMES: &str =
    "@id(\"names\") @reason(\"r\") @remedy(\"m\") permit(principal is Institution, action, resource is Column);";
/// Forbids the tier of records.
const NO_RECORDS: &str = "@id(\"no-records\") @reason(\"r\") @remedy(\"m\") forbid(principal, action == Action::\"answer-records\", resource);";

struct Fixture {
    _dir: tempfile::TempDir,
    storage: Storage,
    ledger: Ledger,
    epoch: Epoch,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        concordat_keys::fs::write_private(&key, &[b'k'; 64]).unwrap();
        let storage = Storage::init(&dir.path().join("node"), &KeyFile::new(key)).unwrap();
        let ledger = storage.open_ledger(budapest().institution).unwrap();
        Self {
            _dir: dir,
            storage,
            ledger,
            epoch: Epoch::default(),
        }
    }

    fn store(&self) -> PolicyStore {
        let identity = Identity::new(
            (
                budapest().institution,
                concordat_protocol::text::LegalName::new("Budapest").unwrap(),
                budapest().jurisdiction,
            ),
            InstitutionKey::from_seed(&Zeroizing::new([5; 32])),
            NodeKey::from_seed(&Zeroizing::new([6; 32])),
        );
        PolicyStore::open(PolicyStoreParts {
            identity: Arc::new(identity),
            meta: self.storage.meta().clone(),
            ledger: self.ledger.clone(),
            clock: Clock::still(NOON),
            epoch: self.epoch.clone(),
        })
        .unwrap()
    }

    fn applied(&self) -> Vec<(u64, Digest32, Cause)> {
        let entries = self.ledger.range(0, self.ledger.size()).unwrap().into_iter();
        entries
            .filter_map(|stored| {
                if let EntryBody::PolicyApplied { number, digest, .. } = stored.entry.body {
                    Some((number, digest, stored.entry.cause))
                } else {
                    None
                }
            })
            .collect()
    }
}

fn shipped() -> Policy {
    Policy::shipped(Settings::default()).unwrap()
}

fn party(institution: &str, jurisdiction: &str, status: Option<MemberStatus>) -> Party {
    Party {
        institution: InstitutionId::new(institution).unwrap(),
        jurisdiction: Jurisdiction::new(jurisdiction).unwrap(),
        status,
    }
}

fn zurich() -> Party {
    party("zurich", "CH", Some(MemberStatus::Active))
}

fn budapest() -> Party {
    party("budapest", "HU", Some(MemberStatus::Active))
}

fn heart() -> CollectionFacts {
    use ColumnClass::{DirectIdentifier, Ordinary, QuasiIdentifier, Sensitive};
    let columns = [
        ("mrn", DirectIdentifier, ColumnKind::Text),
        ("age", QuasiIdentifier, ColumnKind::Int),
        ("born", QuasiIdentifier, ColumnKind::Date),
        ("postcode", QuasiIdentifier, ColumnKind::Text),
        ("chol", Sensitive, ColumnKind::Float),
        ("sex", Ordinary, ColumnKind::Int),
    ];
    CollectionFacts {
        reference: "budapest.heart".parse().unwrap(),
        segment: SegmentName::new("main").unwrap(),
        published: true,
        datasets: vec![DatasetFacts {
            name: "heart".parse().unwrap(),
            columns: columns
                .map(|(column, class, kind)| ColumnFacts::new(ColumnName::new(column).unwrap(), Some(class), kind))
                .to_vec(),
        }],
        release: ReleaseRules {
            sensitive: Some(Tier::Records),
            ..ReleaseRules::default()
        },
    }
}

fn request_space() -> RequestSpace {
    RequestSpace::new(budapest()).with(vec![zurich()], vec![heart()])
}

/// The accounts of two stewards.
struct Stewards {
    _dir: tempfile::TempDir,
    accounts: Accounts,
}

impl Stewards {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        concordat_keys::fs::write_private(&key, &[b'k'; 64]).unwrap();
        let storage = Storage::init(&dir.path().join("node"), &KeyFile::new(key)).unwrap();
        let cost = Argon2Cost::dangerous_minimum();
        let accounts = Accounts::open(storage.meta(), budapest().institution, cost).unwrap();
        for name in ["stella", "stefan"] {
            accounts.add(name, [Role::Steward].into(), &password(), NOON).unwrap();
        }
        Self { _dir: dir, accounts }
    }

    /// One of them, who has logged in.
    fn login(&self, name: &str) -> Actor {
        let sessions = Sessions::new(self.accounts.clone());
        sessions.login(name, &password(), NOON).unwrap().actor
    }
}

fn password() -> Secret {
    Secret::from("correct horse battery staple".to_owned())
}

fn steward(name: &str) -> Actor {
    Stewards::new().login(name)
}

fn stella() -> Actor {
    steward("stella")
}

fn stefan() -> Actor {
    steward("stefan")
}

fn with(rule: &str, two_people: bool) -> PolicySources {
    let mut sources = shipped_sources();
    sources.files.push(PolicyFile {
        name: "more.cedar".to_owned(),
        text: rule.to_owned(),
    });
    sources.settings.two_people = two_people;
    sources
}

fn digest(sources: &PolicySources) -> Digest32 {
    Policy::compile(sources).unwrap().digest()
}

#[test]
fn policy_store_activates_a_sealed_signed_and_recorded_set() {
    let fixture = Fixture::new();
    let store = fixture.store();
    assert_eq!(store.current().unwrap().number(), 1, "a new node has the shipped set");
    let sources = with(NO_RECORDS, false);
    let before = fixture.epoch.current();
    let expect = digest(&sources);
    let refused = store.apply(sources.clone(), Digest32::ZERO, &[], &stella(), &request_space());
    assert!(
        matches!(refused, Err(PolicyStoreError::NotExpected { .. })),
        "{refused:?}"
    );
    assert_eq!(store.live().current().digest(), shipped().digest());
    store.apply(sources, expect, &[], &stella(), &request_space()).unwrap();
    assert_eq!(store.live().current().digest(), expect);
    assert_ne!(fixture.epoch.current(), before, "running answers are decided again");
    // The state after a restart.
    let again = fixture.store();
    assert_eq!(
        (again.current().unwrap().number(), again.live().current().digest()),
        (2, expect)
    );
    assert_eq!(
        fixture.applied(),
        [
            (1, shipped().digest(), by_node(NodeTask::Start).cause().clone()),
            (
                2,
                expect,
                Cause::Person {
                    actor: stella().id().clone()
                }
            )
        ]
    );
    let history = again.history().unwrap();
    assert_eq!(history.iter().map(|(set, _)| set.number()).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn policy_store_needs_two_people_if_the_settings_require_it() {
    let fixture = Fixture::new();
    let stewards = Stewards::new();
    let store = fixture.store();
    let accounts = &stewards.accounts;
    let sources = with(NO_RECORDS, true);
    let expect = digest(&sources);
    let applied = store.apply(sources, expect, &[], &stella(), &request_space()).unwrap();
    assert!(matches!(applied, Applied::Proposed(_)));
    assert_eq!(
        store.live().current().digest(),
        shipped().digest(),
        "a proposal has no effect"
    );
    assert!(matches!(
        store.approve(expect, &stella(), accounts, &request_space()),
        Err(PolicyStoreError::SamePerson { .. })
    ));
    assert!(matches!(
        store.approve(Digest32::ZERO, &stefan(), accounts, &request_space()),
        Err(PolicyStoreError::NoProposal { .. })
    ));
    store.approve(expect, &stefan(), accounts, &request_space()).unwrap();
    assert_eq!(store.live().current().digest(), expect);
    let both = Cause::TwoPeople {
        first: stella().id().clone(),
        second: stefan().id().clone(),
    };
    assert_eq!(fixture.applied()[1], (2, expect, both));
    // Switching off the second person takes two people as well.
    let alone = with(NO_RECORDS, false);
    let applied = store
        .apply(alone.clone(), digest(&alone), &[], &stella(), &request_space())
        .unwrap();
    assert!(matches!(applied, Applied::Proposed(_)));
}

/// A proposal of someone who has been disabled or has another role since, and one whose cases fail by now, is not activated.
#[test]
fn policy_proposal_is_checked_again_when_approved() {
    let fixture = Fixture::new();
    let stewards = Stewards::new();
    let store = fixture.store();
    let accounts = &stewards.accounts;
    let sources = with(NO_RECORDS, true);
    let expect = digest(&sources);
    let cases = [Case {
        institution: Some(zurich().institution),
        ..case(ColumnClass::Ordinary, Decision::Permit)
    }];
    let stella = stewards.login("stella");
    let stefan = stewards.login("stefan");
    store.apply(sources, expect, &cases, &stella, &request_space()).unwrap();
    let approve = |space: &RequestSpace| store.approve(expect, &stefan, accounts, space);
    let make = |change: AccountChange| accounts.make(change).unwrap();
    let administrator: concordat_protocol::ids::ActorId = "root@budapest".parse().unwrap();
    let given = (&administrator, NOON);

    make(accounts.disabled("stella").unwrap());
    let refused = approve(&request_space());
    assert!(matches!(refused, Err(PolicyStoreError::Proposer { .. })), "{refused:?}");
    make(accounts.enabled("stella", given).unwrap());
    make(accounts.other_roles("stella", [Role::Auditor].into(), given).unwrap());
    let refused = approve(&request_space());
    assert!(matches!(refused, Err(PolicyStoreError::Proposer { .. })), "{refused:?}");
    make(accounts.other_roles("stella", [Role::Steward].into(), given).unwrap());

    let suspended = Party {
        status: Some(MemberStatus::Suspended),
        ..zurich()
    };
    let refused = approve(&RequestSpace::new(budapest()).with(vec![suspended], vec![heart()]));
    assert!(matches!(refused, Err(PolicyStoreError::Cases { .. })), "{refused:?}");
    assert_eq!(store.current().unwrap().number(), 1);
    approve(&request_space()).unwrap();
    assert_eq!(store.live().current().digest(), expect);
}

/// A case about a column of this class at tier `records`, in clear.
fn case(class: ColumnClass, expect: Decision) -> Case {
    Case {
        institution: None,
        jurisdiction: None,
        class: Some(class),
        column: None,
        tier: Tier::Records,
        purpose: "health-research".to_owned(),
        reveal: Reveal::Clear,
        expect,
    }
}

#[test]
fn policy_store_refuses_a_set_that_is_too_wide() {
    assert_eq!(never_allowed(&shipped(), &request_space()), Vec::<String>::new());
    let store = Fixture::new().store();
    for rule in [
        NAMES,
        "@id(\"all\") @reason(\"r\") @remedy(\"m\") permit(principal is Institution, action, resource);",
        "@id(\"one\") @reason(\"r\") @remedy(\"m\") permit(principal is Institution, action == Action::\"reveal-clear\", resource is Column) when { resource.name == \"mrn\" };",
        "@id(\"one\") @reason(\"r\") @remedy(\"m\") permit(principal is Institution, action == Action::\"reveal-clear\", resource is Column) when { context has disease && context.disease == \"MONDO:0000408\" };",
        "@id(\"one\") @reason(\"r\") @remedy(\"m\") permit(principal is Institution, action == Action::\"reveal-clear\", resource is Column) when { principal.name == \"basel\" };",
    ] {
        // A set without the shipped rules, so that none of them forbids what it permits.
        let sources = PolicySources {
            files: vec![PolicyFile {
                name: "a.cedar".to_owned(),
                text: rule.to_owned(),
            }],
            settings: Settings::default(),
        };
        let refused = store.apply(sources.clone(), digest(&sources), &[], &stella(), &request_space());
        assert!(
            matches!(refused, Err(PolicyStoreError::TooWide { .. })),
            "{rule}: {refused:?}"
        );
    }
}

#[test]
fn policy_store_refuses_a_set_with_failing_cases() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let sources = with(NO_RECORDS, false);
    let expect = digest(&sources);
    let wrong = [case(ColumnClass::DirectIdentifier, Decision::Permit)];
    let refused = store.apply(sources.clone(), expect, &wrong, &stella(), &request_space());
    assert!(matches!(refused, Err(PolicyStoreError::Cases { .. })), "{refused:?}");
    let right = [
        case(ColumnClass::DirectIdentifier, Decision::Deny),
        case(ColumnClass::Ordinary, Decision::Permit),
    ];
    store
        .apply(sources, expect, &right, &stella(), &request_space())
        .unwrap();
}

#[test]
fn policy_store_rollback_is_a_new_application() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let sources = with(NO_RECORDS, false);
    store
        .apply(sources.clone(), digest(&sources), &[], &stella(), &request_space())
        .unwrap();
    let first = store.numbered(1).unwrap().sources;
    store
        .apply(first.clone(), digest(&first), &[], &stefan(), &request_space())
        .unwrap();
    assert_eq!(store.current().unwrap().number(), 3);
    assert_eq!(store.live().current().digest(), shipped().digest());
    let again = store.apply(first.clone(), digest(&first), &[], &stefan(), &request_space());
    assert!(
        matches!(again, Err(PolicyStoreError::AlreadyActive { number: 3 })),
        "{again:?}"
    );
}
