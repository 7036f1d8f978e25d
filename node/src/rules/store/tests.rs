use std::cell::RefCell;
use std::collections::BTreeSet;

use concordat_keys::{Argon2Cost, MasterKey, Passphrase, Secret};
use concordat_protocol::identity::{NodeKey, PrivateKey as _};
use concordat_protocol::ids::{Digest32, StartId};
use concordat_protocol::membership::NodeStart;
use concordat_protocol::scope::ProtectionName;
use concordat_protocol::text::Label;
use concordat_protocol::wire::messages::{EnforcedRules, RulesSender, TierRules};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn state(dir: &std::path::Path) -> SealedDb {
    let source = Passphrase::new(Secret::from("p".to_owned()), Argon2Cost::dangerous_minimum());
    let master = MasterKey::create(&dir.join("master.key"), &source).unwrap();
    SealedDb::open(&dir.join("meta"), master.state()).unwrap()
}

fn tiers(min_cell: u32) -> RulesByTier {
    RulesByTier::of(|_| TierRules {
        min_cell,
        protections: BTreeSet::from([ProtectionName::Exact]),
        queries_per_day: 1000,
        days: 365,
    })
}

/// A statement of one node, of its start and revision.
fn valid(start: u64, revision: u32, tiers: RulesByTier) -> ValidRules {
    let key = NodeKey::from_seed(&[1; 32].into());
    let institution = "zurich".parse().unwrap();
    let start = NodeStart {
        generation: 0,
        number: start,
        id: StartId::from_bytes([u8::try_from(start).unwrap(); 16]),
    };
    let statement = RulesStatement {
        node: key.public(),
        institution,
        start,
        revision,
        at: NOW,
        rules: EnforcedRules::new(Label::new("0.1.0").unwrap(), Digest32::ZERO, tiers),
    };
    let signed = Signed::sign(&statement, &key).unwrap().signed().clone();
    let sender = RulesSender {
        node: key.public(),
        institution: &statement.institution,
        start,
    };
    ValidRules::check(signed, sender, NOW).unwrap()
}

/// A store, and whether each of its entries is about weaker rules.
struct Kept {
    store: PeerRulesStore,
    db: SealedDb,
    entries: RefCell<Vec<bool>>,
    _dir: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = state(dir.path());
        Self {
            store: PeerRulesStore::open(&db).unwrap(),
            db,
            entries: RefCell::default(),
            _dir: dir,
        }
    }

    fn receive(&self, valid: &ValidRules, now: Timestamp) -> Result<Received, ExchangeError> {
        self.store.receive(valid, now, |entry| {
            let EntryBody::RulesAnnounced { weaker, statement, .. } = entry else {
                panic!("{entry:?}");
            };
            assert_eq!(statement, valid.signed().digest());
            self.entries.borrow_mut().push(weaker);
            Ok(())
        })
    }

    fn weaker(&self, now: Timestamp) -> Vec<String> {
        let known = self.store.all();
        assert_eq!(known.len(), 1);
        known[0].weaker(now).iter().map(ToString::to_string).collect()
    }
}

#[test]
fn peer_rules_are_entered_once_for_each_change() {
    let kept = Kept::new();
    let first = valid(1, 1, tiers(10));
    assert_eq!(kept.receive(&first, NOW).unwrap(), Received::Newer);
    assert_eq!(kept.receive(&first, NOW).unwrap(), Received::Known);
    let later = NOW.plus_seconds(60);
    assert_eq!(kept.receive(&valid(2, 1, tiers(10)), later).unwrap(), Received::Newer);
    assert_eq!(*kept.entries.borrow(), [false], "a restart changes no rule");
    assert_eq!(kept.store.all()[0].received, NOW);
    assert_eq!(kept.receive(&valid(2, 2, tiers(5)), later).unwrap(), Received::Weaker);
    assert_eq!(kept.receive(&valid(2, 3, tiers(20)), later).unwrap(), Received::Newer);
    assert_eq!(*kept.entries.borrow(), [false, true, false]);
    let reopened = PeerRulesStore::open(&kept.db).unwrap();
    assert_eq!(reopened.all(), kept.store.all());
    assert_eq!(reopened.all()[0].statement, *valid(2, 3, tiers(20)).statement());
}

#[test]
fn peer_rules_that_are_replayed_change_nothing() {
    let kept = Kept::new();
    kept.receive(&valid(2, 2, tiers(5)), NOW).unwrap();
    let known = kept.store.all();
    for older in [valid(1, 9, tiers(10)), valid(2, 1, tiers(10))] {
        assert!(matches!(kept.receive(&older, NOW), Err(ExchangeError::Older)));
    }
    let other = valid(2, 2, tiers(10));
    assert!(matches!(kept.receive(&other, NOW), Err(ExchangeError::Contradiction)));
    assert_eq!(kept.store.all(), known);
    assert_eq!(kept.entries.borrow().len(), 1);
}

#[test]
fn peer_rules_without_an_entry_are_not_kept() {
    let kept = Kept::new();
    let failed = kept
        .store
        .receive(&valid(1, 1, tiers(10)), NOW, |_| Err(LedgerError::Stopped));
    assert!(matches!(failed, Err(ExchangeError::Ledger(LedgerError::Stopped))));
    assert!(kept.store.all().is_empty());
}

#[test]
fn peer_rules_of_one_node_are_bounded_in_time() {
    let kept = Kept::new();
    for revision in 1..=30 {
        let min_cell = 10 + revision % 2;
        kept.receive(&valid(1, revision, tiers(min_cell)), NOW).unwrap();
    }
    assert_eq!(kept.entries.borrow().len(), 8);
    assert_eq!(kept.store.all()[0].statement.revision, 8);
    let later = NOW.plus_millis(WINDOW_MS);
    assert_eq!(kept.receive(&valid(1, 31, tiers(9)), later).unwrap(), Received::Weaker);
}

#[test]
fn weaker_peer_rules_are_marked_until_they_are_restored() {
    let kept = Kept::new();
    let five = ["exists", "count", "aggregate"].map(|tier| format!("{tier}: cells of 5 subjects or more, 10 before"));
    kept.receive(&valid(1, 1, tiers(10)), NOW).unwrap();
    assert!(kept.weaker(NOW).is_empty());
    kept.receive(&valid(1, 2, tiers(5)), NOW).unwrap();
    assert_eq!(kept.weaker(NOW), five);
    // Another statement of the same rules, or a start, does not hide it.
    kept.receive(&valid(2, 1, tiers(5)), NOW).unwrap();
    assert_eq!(kept.weaker(NOW), five);
    kept.receive(&valid(2, 2, tiers(7)), NOW).unwrap();
    assert_eq!(kept.weaker(NOW)[0], "exists: cells of 7 subjects or more, 10 before");
    kept.receive(&valid(2, 3, tiers(10)), NOW).unwrap();
    assert!(kept.weaker(NOW).is_empty());
}

#[test]
fn weaker_peer_rules_are_marked_for_a_month_after_each_step() {
    let kept = Kept::new();
    let day = |days: i64| NOW.plus_seconds(days * 86_400);
    kept.receive(&valid(1, 1, tiers(10)), day(0)).unwrap();
    kept.receive(&valid(1, 2, tiers(8)), day(0)).unwrap();
    kept.receive(&valid(1, 3, tiers(5)), day(29)).unwrap();
    assert_eq!(
        kept.weaker(day(58))[0],
        "exists: cells of 5 subjects or more, 10 before"
    );
    assert!(kept.weaker(day(59)).is_empty());
    // From then on, they are compared with what was usual last.
    kept.receive(&valid(1, 4, tiers(4)), day(60)).unwrap();
    assert_eq!(kept.weaker(day(60))[0], "exists: cells of 4 subjects or more, 5 before");
}
