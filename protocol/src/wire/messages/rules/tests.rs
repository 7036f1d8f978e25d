use proptest::prelude::*;

use super::*;
use crate::identity::{NodeKey, PrivateKey as _};
use crate::ids::StartId;
use crate::signed::SignatureError;
use crate::time::MAX_CLOCK_SKEW_MS;
use crate::wire::codec::{self, HEADER_LEN, WireError};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key() -> NodeKey {
    NodeKey::from_seed(&[1; 32].into())
}

fn start(number: u64) -> NodeStart {
    NodeStart {
        generation: 0,
        number,
        id: StartId::from_bytes([7; 16]),
    }
}

fn tier_rules() -> TierRules {
    TierRules {
        min_cell: 10,
        protections: BTreeSet::from([ProtectionName::Exact]),
        queries_per_day: 1000,
        days: 365,
    }
}

fn enforced(tiers: RulesByTier) -> EnforcedRules {
    EnforcedRules::new(Label::new("0.1.0").unwrap(), Digest32::ZERO, tiers)
}

fn statement() -> RulesStatement {
    RulesStatement {
        node: key().public(),
        institution: "cleveland".parse().unwrap(),
        start: start(3),
        revision: 2,
        at: NOW,
        rules: enforced(RulesByTier::of(|_| tier_rules())),
    }
}

fn signed(statement: &RulesStatement) -> Signed<RulesStatement> {
    Signed::sign(statement, &key()).unwrap().signed().clone()
}

fn check(signed: Signed<RulesStatement>) -> Result<ValidRules, RulesError> {
    let institution = "cleveland".parse().unwrap();
    let sender = RulesSender {
        node: key().public(),
        institution: &institution,
        start: start(3),
    };
    ValidRules::check(signed, sender, NOW)
}

#[test]
fn rules_are_of_their_sender_and_its_present_start() {
    let valid = check(signed(&statement())).unwrap();
    assert_eq!(valid.statement(), &statement());
    assert_eq!(valid.signed(), &signed(&statement()));
    let other = NodeKey::from_seed(&[2; 32].into());
    let by_other = Signed::sign(&statement(), &other).unwrap().signed().clone();
    let changed = |change: fn(&mut RulesStatement)| {
        let mut changed = statement();
        change(&mut changed);
        check(signed(&changed)).unwrap_err()
    };
    assert_eq!(
        check(by_other),
        Err(RulesError::Signature(SignatureError::WrongSignature))
    );
    assert_eq!(
        changed(|s| s.node = NodeId::from_bytes([9; 32])),
        RulesError::OtherSender
    );
    assert_eq!(
        changed(|s| s.institution = "budapest".parse().unwrap()),
        RulesError::OtherSender
    );
    for number in [2, 4] {
        let replayed = RulesStatement {
            start: start(number),
            ..statement()
        };
        assert_eq!(check(signed(&replayed)), Err(RulesError::OtherStart));
    }
    let late = NOW.plus_millis(MAX_CLOCK_SKEW_MS + 1);
    let future = RulesStatement {
        at: late,
        ..statement()
    };
    assert_eq!(check(signed(&future)), Err(RulesError::FutureDated { at: late }));
    let unprotected = RulesByTier {
        count: TierRules {
            protections: BTreeSet::new(),
            ..tier_rules()
        },
        ..RulesByTier::of(|_| tier_rules())
    };
    let unprotected = RulesStatement {
        rules: enforced(unprotected),
        ..statement()
    };
    assert_eq!(check(signed(&unprotected)), Err(RulesError::NoProtection));
    let long = Signed::from_bytes(vec![0; MAX_RULES + 1]).unwrap();
    assert_eq!(check(long), Err(RulesError::TooLong));
}

#[test]
fn rules_of_another_label_are_refused() {
    /// The same content under another label.
    #[derive(Clone, Serialize, Deserialize)]
    struct Other(RulesStatement);
    impl Document for Other {
        const LABEL: DomainLabel = labels::HELLO;
    }
    let other = Signed::sign(&Other(statement()), &key()).unwrap();
    let bytes = other.signed().as_bytes().to_vec();
    assert_eq!(
        check(Signed::from_bytes(bytes).unwrap()),
        Err(RulesError::Signature(SignatureError::WrongSignature))
    );
}

#[test]
fn rules_are_ordered_by_start_and_revision_and_not_by_time() {
    let known = statement();
    let later = RulesStatement {
        revision: 3,
        at: NOW.plus_seconds(-3600),
        ..statement()
    };
    let earlier = RulesStatement {
        revision: 1,
        at: NOW.plus_seconds(3600),
        ..statement()
    };
    let restarted = RulesStatement {
        start: start(4),
        revision: 1,
        ..statement()
    };
    let before = RulesStatement {
        start: start(2),
        revision: 9,
        ..statement()
    };
    let beside = RulesStatement {
        start: NodeStart {
            id: StartId::from_bytes([8; 16]),
            ..start(3)
        },
        revision: 9,
        ..statement()
    };
    let other = RulesStatement {
        at: NOW.plus_millis(1),
        ..statement()
    };
    for (shown, order) in [
        (statement(), RulesOrder::Same),
        (later, RulesOrder::Later),
        (earlier, RulesOrder::Earlier),
        (restarted, RulesOrder::Later),
        (before, RulesOrder::Earlier),
        (beside, RulesOrder::Earlier),
        (other, RulesOrder::Contradiction),
    ] {
        assert_eq!(shown.compare(&known), order, "{shown:?}");
    }
}

#[test]
fn rules_with_the_longest_names_fit_and_longer_ones_do_not() {
    let longest = RulesStatement {
        rules: EnforcedRules::new(
            Label::sanitized(&"\u{10ffff}".repeat(40)),
            Digest32::from_bytes([255; 32]),
            RulesByTier::of(|_| TierRules {
                min_cell: u32::MAX,
                protections: BTreeSet::from(ProtectionName::ALL),
                queries_per_day: u32::MAX,
                days: u16::MAX,
            }),
        ),
        revision: u32::MAX,
        start: start(u64::MAX),
        ..statement()
    };
    let statement = signed(&longest);
    assert!(
        statement.as_bytes().len() <= MAX_RULES,
        "{}",
        statement.as_bytes().len()
    );
    let frame = codec::encode(&RulesFrame { statement }).unwrap();
    assert!(codec::decode::<RulesFrame>(&frame[HEADER_LEN..]).is_ok());
    let statement = Signed::from_bytes(vec![0; RulesFrame::MAX + 1]).unwrap();
    assert!(matches!(
        codec::encode(&RulesFrame { statement }),
        Err(WireError::TooLong { .. })
    ));
}

#[test]
fn weaker_rules_are_described_with_both_values() {
    let before = RulesByTier::of(|_| TierRules {
        protections: BTreeSet::from([ProtectionName::Perturbed, ProtectionName::Private]),
        ..tier_rules()
    });
    let aggregate = TierRules {
        min_cell: 5,
        queries_per_day: 2000,
        days: 400,
        ..tier_rules()
    };
    let now = RulesByTier {
        aggregate,
        ..before.clone()
    };
    let found: Vec<String> = now.weaker_than(&before).iter().map(ToString::to_string).collect();
    let expected = [
        "aggregate: cells of 5 subjects or more, 10 before",
        "aggregate: protection `exact`, `perturbed` before",
        "aggregate: protection at most `exact`, `private` before",
        "aggregate: 2000 queries a day, 1000 before",
        "aggregate: grants of 400 days, 365 before",
    ];
    assert_eq!(found, expected);
    assert!(before.weaker_than(&before).is_empty());
}

fn any_tier() -> impl Strategy<Value = TierRules> {
    let protections = prop::sample::subsequence(ProtectionName::ALL.to_vec(), 1..=3);
    (1..20_u32, protections, 1..20_u32, 1..20_u16).prop_map(|(min_cell, protections, queries_per_day, days)| {
        TierRules {
            min_cell,
            protections: protections.into_iter().collect(),
            queries_per_day,
            days,
        }
    })
}

fn any_rules() -> impl Strategy<Value = RulesByTier> {
    (any_tier(), any_tier(), any_tier()).prop_map(|(exists, count, aggregate)| RulesByTier {
        exists,
        count,
        aggregate,
    })
}

proptest! {
    #[test]
    fn strictest_rules_are_weaker_than_neither(one in any_rules(), other in any_rules()) {
        let strictest = one.strictest(&other);
        prop_assert!(strictest.weaker_than(&one).is_empty());
        prop_assert!(strictest.weaker_than(&other).is_empty());
    }

    /// A step back cannot be hidden by another statement in between.
    #[test]
    fn rules_weaker_than_one_are_weaker_than_the_strictest(now in any_rules(), one in any_rules(), other in any_rules()) {
        let strictest = one.strictest(&other);
        let places = |found: Vec<Weakening>| {
            let place = |weaker: Weakening| (weaker.tier, std::mem::discriminant(&weaker.rule));
            found.into_iter().map(place).collect::<Vec<_>>()
        };
        let all = places(now.weaker_than(&strictest));
        for place in places(now.weaker_than(&one)).into_iter().chain(places(now.weaker_than(&other))) {
            prop_assert!(all.contains(&place));
        }
    }

    #[test]
    fn rules_that_differ_are_weaker_in_one_direction_at_least(min_cell in 1..20_u32, queries in 1..20_u32, days in 1..20_u16) {
        let one = RulesByTier::of(|_| tier_rules());
        let other = RulesByTier::of(|_| TierRules { min_cell, queries_per_day: queries, days, ..tier_rules() });
        let differ = one != other;
        prop_assert_eq!(differ, !one.weaker_than(&other).is_empty() || !other.weaker_than(&one).is_empty());
    }
}
