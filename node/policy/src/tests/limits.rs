//! Limits that a steward sets for a dataset apply to offers and decisions, and are part of the digest that a decision is based on.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

use super::{
    permitted::{TIERS, reveals_of, undecided},
    *,
};

fn offered(facts: &CollectionFacts, request: &Scope) -> Scope {
    let consumer = zurich();
    let provider = budapest();
    let input = OfferInput {
        consumer: &consumer,
        provider: &provider,
        collection: Some(facts),
        request,
        held: &[],
    };
    match shipped().offer(&input, NOON) {
        OfferDecision::Offer(offer) => offer.scope,
        OfferDecision::Refused(refusal) => panic!("{:?}", refusal.reasons),
    }
}

fn widest() -> Scope {
    Scope {
        limits: Limits::WIDEST,
        window: days(0, 1800),
        ..wide()
    }
}

fn set(tier: Option<Tier>, limits: TierLimits) -> CollectionFacts {
    let change = ReleaseChange {
        tier,
        limits,
        ..ReleaseChange::default()
    };
    CollectionFacts {
        release: change.applied(&heart().release).unwrap(),
        ..heart()
    }
}

fn strict() -> TierLimits {
    TierLimits {
        min_cell: NonZeroU32::new(25),
        queries_per_day: NonZeroU32::new(7),
        max_rows: NonZeroU64::new(99),
        days: NonZeroU16::new(30),
    }
}

#[test]
fn limits_default_to_the_settings() {
    let offer = offered(&heart(), &widest());
    assert_eq!(offer.limits, limits());
    assert!(offer.limits.max_rows.is_some() && offer.limits.max_queries_per_day.is_some());
    assert_eq!(offer.window, days(0, 365));
}

#[test]
fn limits_are_those_of_the_offered_tier() {
    let facts = set(Some(Tier::Aggregate), strict());
    for tier in TIERS {
        let offer = offered(&facts, &Scope { tier, ..widest() });
        let expected = if tier == Tier::Aggregate {
            (25, Some(7), Some(99))
        } else {
            (10, Some(1000), Some(1_000_000))
        };
        let found = (
            offer.limits.min_cell,
            offer.limits.max_queries_per_day,
            offer.limits.max_rows,
        );
        assert_eq!(found, expected, "{tier}");
        let of_figures = (offer.limits.max_cells, offer.limits.distinctions);
        let expected = (tier < Tier::Records).then_some((Some(500), Some(512)));
        assert_eq!(of_figures, expected.unwrap_or_default(), "{tier}");
        assert_eq!(
            offer.window,
            if tier == Tier::Aggregate {
                days(0, 30)
            } else {
                days(0, 365)
            }
        );
    }
    let all = offered(&set(None, strict()), &widest());
    assert_eq!((all.limits.min_cell, all.window), (25, days(0, 30)));
}

#[test]
fn limits_set_later_apply_to_older_grants() {
    let granted = offered(&heart(), &wide());
    let decide = |facts: &CollectionFacts, now| {
        let purpose = Purpose::HealthResearch;
        let requester = eva();
        let consumer = zurich();
        let provider = budapest();
        let input = QueryInput {
            granted: &granted,
            requester: &requester,
            purpose: &purpose,
            as_of: false,
            consumer: &consumer,
            provider: &provider,
            collection: Some(facts),
            earlier: &[],
        };
        shipped().decide(&input, now)
    };
    let QueryDecision::Permit(scope) = decide(&set(None, strict()), NOON) else {
        panic!("denied")
    };
    assert_eq!((scope.limits.min_cell, scope.limits.max_rows), (25, Some(99)));
    assert!(granted.covers(&scope));
    let days = TierLimits {
        days: NonZeroU16::new(1),
        ..TierLimits::default()
    };
    let later = NOON.plus_seconds(25 * HOUR_S);
    assert!(matches!(decide(&set(None, days), NOON), QueryDecision::Permit(_)));
    assert!(matches!(decide(&set(None, days), later), QueryDecision::Deny { .. }));
}

#[test]
fn limits_sensitive_columns_are_released_up_to_the_set_tier() {
    for highest in TIERS {
        let facts = CollectionFacts {
            release: ReleaseRules {
                sensitive: Some(highest),
                ..ReleaseRules::default()
            },
            ..heart()
        };
        for tier in TIERS {
            let purpose = &Purpose::HealthResearch;
            let class = Some(ColumnClass::Sensitive);
            let released = reveals_of(&shipped(), &facts, &zurich(), class, tier, purpose, Reveal::Clear).allowed;
            assert_eq!(released, tier <= highest, "{tier} of {highest}");
        }
    }
    let offer = offered(&undecided(), &wide());
    assert_eq!(columns_of(&offer).transform(&name("chol")), Transform::Removed);
}

#[test]
fn limits_are_part_of_the_policy_digest() {
    let policy = shipped();
    assert_eq!(policy.digest_with(&ReleaseRules::default()), policy.digest());
    let one = policy.digest_with(&heart().release);
    let two = policy.digest_with(&set(Some(Tier::Count), strict()).release);
    let three = policy.digest_with(&set(None, strict()).release);
    assert!(one != policy.digest() && one != two && two != three);
}

#[test]
fn limits_below_records_are_the_stewards_or_the_settings() {
    let policy = shipped();
    let of = |release: &ReleaseRules, tier| {
        let limits = policy.limits(release, tier);
        (
            limits.person_queries_below_records,
            limits.institution_queries_below_records,
            limits.all_queries_below_records,
        )
    };
    assert_eq!(of(&ReleaseRules::default(), Tier::Count), (100, 100, 1000));
    let change = ReleaseChange {
        below_records: QueriesBelowRecords {
            person: NonZeroU32::new(7),
            institution: None,
            all: NonZeroU32::new(50),
        },
        ..ReleaseChange::default()
    };
    let set = change.applied(&ReleaseRules::default()).unwrap();
    for tier in TIERS {
        assert_eq!(of(&set, tier), (7, 100, 50), "{tier}");
    }
    assert_ne!(policy.digest_with(&set), policy.digest());
    let stricter = Settings {
        person_queries_below_records: 3,
        ..Settings::default()
    };
    let limits = Policy::shipped(stricter)
        .unwrap()
        .limits(&ReleaseRules::default(), Tier::Exists);
    assert_eq!(limits.person_queries_below_records, 3);
}

/// Compares the guide's table with the code, so that neither can change alone.
#[test]
fn limits_in_the_guide_are_the_shipped_ones() {
    let guide = include_str!("../../../../docs/guides/what-leaves.md");
    let documented = |option: &str| {
        let row = guide.lines().find(|line| line.contains(&format!("| `{option}` |")));
        let cell = row.and_then(|row| row.split('|').nth(3)).map(str::trim);
        cell.unwrap_or_else(|| panic!("{option} is not documented")).to_owned()
    };
    let shipped = Settings::default();
    assert_eq!(documented("--min-cell"), shipped.min_cell.to_string());
    assert_eq!(documented("--queries-per-day"), shipped.max_queries_per_day.to_string());
    for (option, limit) in [
        ("--person-queries", shipped.person_queries_below_records),
        ("--institution-queries", shipped.institution_queries_below_records),
        ("--all-queries", shipped.all_queries_below_records),
    ] {
        assert_eq!(documented(option), limit.to_string(), "{option}");
    }
    assert_eq!(documented("--max-rows"), shipped.max_rows.to_string());
    assert_eq!(documented("--days"), shipped.max_days.to_string());
    let sensitive = ReleaseRules::default().sensitive;
    assert_eq!(
        documented("--sensitive"),
        sensitive.map_or("none".to_owned(), |tier| tier.to_string())
    );
}

#[test]
fn limits_cannot_be_switched_off() {
    let change = |limits| ReleaseChange {
        limits,
        ..ReleaseChange::default()
    };
    for bad in [
        TierLimits {
            min_cell: NonZeroU32::new(1),
            ..TierLimits::default()
        },
        TierLimits {
            days: NonZeroU16::new(1827),
            ..TierLimits::default()
        },
    ] {
        assert!(change(bad).applied(&ReleaseRules::default()).is_err());
    }
    for text in [
        r#"{"max_rows":0}"#,
        r#"{"min_cell":0}"#,
        r#"{"queries_per_day":0}"#,
        r#"{"days":0}"#,
        r#"{"max_rows":-1}"#,
        r#"{"rows":5}"#,
    ] {
        assert!(serde_json::from_str::<TierLimits>(text).is_err(), "{text}");
    }
}
