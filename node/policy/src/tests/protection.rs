//! How figures are protected: by the setting, by rules, by the request and by a grant, whichever reveals least.

use concordat_protocol::scope::{DeltaExponent, FiguresWithNoise, Loss, MicroRho, Noise, Part, ProtectionName};

use super::*;

fn with(protection: ProtectionName) -> Policy {
    let settings = Settings {
        protection,
        ..Settings::default()
    };
    Policy::shipped(settings).unwrap()
}

/// Noise for so many figures by the setting.
fn with_figures(figures: u8) -> Policy {
    let settings = Settings {
        figures_with_noise: FiguresWithNoise::new(figures).unwrap(),
        ..Settings::default()
    };
    Policy::shipped(settings).unwrap()
}

fn noise_for(figures: u8) -> Noise {
    Noise::for_answers(figures).unwrap()
}

/// Exact figures by the setting, and none by a rule.
fn without_exact() -> Policy {
    let rule = "@id(\"noise-only\") @reason(\"r\") @remedy(\"m\")
        forbid(principal is Institution, action == Action::\"protect-exact\", resource is Dataset);";
    let files = [("default.cedar", load::DEFAULT), ("more.cedar", rule)];
    let settings = Settings {
        protection: ProtectionName::Exact,
        ..Settings::default()
    };
    Policy::from_sources(&files.map(|(file, text)| (file.to_owned(), text.to_owned())), settings).unwrap()
}

fn figures(protection: Protection) -> Scope {
    Scope {
        tier: Tier::Aggregate,
        protection,
        ..wide()
    }
}

fn loss(query: u64, total: u64) -> Loss {
    let rho = |millionths| MicroRho::new(millionths).unwrap();
    Loss::new(rho(query), rho(total), DeltaExponent::new(6).unwrap()).unwrap()
}

fn offer(policy: &Policy, request: &Scope) -> Offer {
    let consumer = zurich();
    let provider = budapest();
    let input = OfferInput {
        consumer: &consumer,
        provider: &provider,
        collection: Some(&heart()),
        request,
        held: &[],
    };
    match policy.offer(&input, NOON) {
        OfferDecision::Offer(offer) => *offer,
        OfferDecision::Refused(refusal) => panic!("{:?}", refusal.reasons),
    }
}

fn permitted(policy: &Policy, granted: &Scope) -> Scope {
    let consumer = zurich();
    let provider = budapest();
    let requester = eva();
    let input = QueryInput {
        granted,
        requester: &requester,
        purpose: &Purpose::HealthResearch,
        as_of: false,
        consumer: &consumer,
        provider: &provider,
        collection: Some(&heart()),
        earlier: &[],
    };
    match policy.decide(&input, NOON) {
        QueryDecision::Permit(scope) => *scope,
        QueryDecision::Deny { reasons } => panic!("{reasons:?}"),
    }
}

/// Why the offered protection is another one than that of the request.
fn rule_of_protection(offer: &Offer) -> Option<&str> {
    let mut narrowings = offer.narrowings.iter();
    let narrowing = narrowings.find(|narrowing| narrowing.difference.part == Part::Protection)?;
    Some(narrowing.reason.rule.as_str())
}

#[test]
fn protection_offered_is_the_stricter_of_setting_and_request() {
    use ProtectionName::{Exact, Perturbed, Private};
    let noisy = Protection::Perturbed(Noise::default());
    let private = Protection::Private(Loss::DEFAULT);
    let more = Protection::Perturbed(Noise::new(4, 6, 10).unwrap());
    let less = Protection::Private(loss(5, 10));
    for (set, requested, expected) in [
        (Exact, Protection::Exact, Protection::Exact),
        (Exact, noisy, noisy),
        (Exact, private, private),
        (Perturbed, Protection::Exact, noisy),
        (Perturbed, more, noisy.meet(&more)),
        (Perturbed, less, less),
        (Private, Protection::Exact, private),
        (Private, noisy, private),
        (Private, less, less),
    ] {
        let offered = offer(&with(set), &figures(requested));
        assert_eq!(offered.scope.protection, expected, "{set} {requested}");
        let rule = (expected != requested).then_some("protection");
        assert_eq!(rule_of_protection(&offered), rule, "{set} {requested}");
        // Records are not figures.
        let records = offer(&with(set), &wide());
        assert_eq!(records.scope.protection, Protection::Exact, "{set}");
    }
}

#[test]
fn protection_forbidden_by_a_rule_leaves_the_next_one() {
    let offered = offer(&without_exact(), &figures(Protection::Exact));
    assert_eq!(offered.scope.protection, Protection::Perturbed(Noise::default()));
    assert_eq!(rule_of_protection(&offered), Some("noise-only"));
}

#[test]
fn protection_of_a_grant_is_never_weakened_by_the_setting() {
    let private = Protection::Private(loss(5, 10));
    for (granted, set, expected) in [
        (Protection::Exact, ProtectionName::Exact, Protection::Exact),
        (
            Protection::Exact,
            ProtectionName::Perturbed,
            Protection::Perturbed(Noise::default()),
        ),
        (
            Protection::Exact,
            ProtectionName::Private,
            Protection::Private(Loss::DEFAULT),
        ),
        (private, ProtectionName::Exact, private),
        (private, ProtectionName::Perturbed, private),
        (private, ProtectionName::Private, private),
    ] {
        // A grant as it was agreed under a set with exact figures.
        let agreed = offer(&with(ProtectionName::Exact), &figures(granted)).scope;
        let scope = permitted(&with(set), &agreed);
        assert_eq!(scope.protection, expected, "{granted} {set}");
        assert!(agreed.covers(&scope));
    }
    // The settings of the limits apply at once, too.
    let narrower = Settings {
        max_cells: 40,
        distinctions: 7,
        ..Settings::default()
    };
    let agreed = offer(&shipped(), &figures(Protection::Exact)).scope;
    assert_eq!(agreed.limits, limits_of_figures());
    let scope = permitted(&Policy::shipped(narrower).unwrap(), &agreed);
    assert_eq!((scope.limits.max_cells, scope.limits.distinctions), (Some(40), Some(7)));
}

/// The number of the setting is that of the grant, also if the request states the protection and no number.
#[test]
fn figures_with_noise_are_as_many_as_the_setting_states() {
    for number in [1, 8, 32, 64] {
        let policy = with_figures(number);
        let expected = Protection::Perturbed(noise_for(number));
        for requested in [ProtectionName::Exact, ProtectionName::Perturbed] {
            let request = figures(requested.widest());
            let offered = offer(&policy, &request).scope;
            assert_eq!(offered.protection, expected, "{requested}");
            assert!(request.covers(&offered), "the requester accepts it");
            assert_eq!(permitted(&policy, &offered).protection, expected, "{requested}");
        }
    }
    // The same of the loss.
    let settings = Settings {
        loss: loss(2_000_000, 3_000_000),
        ..Settings::default()
    };
    let offered = offer(
        &Policy::shipped(settings).unwrap(),
        &figures(ProtectionName::Private.widest()),
    );
    assert_eq!(
        offered.scope.protection,
        Protection::Private(loss(2_000_000, 3_000_000))
    );
}

/// Neither a request nor a grant gets more figures than the setting states, or figures with less noise.
#[test]
fn figures_with_noise_beyond_the_setting_are_not_offered() {
    for (set, stated) in [(8, 64), (32, 8), (32, 31), (31, 32), (64, 1)] {
        let policy = with_figures(set);
        let request = figures(Protection::Perturbed(noise_for(stated)));
        for scope in [
            offer(&policy, &request).scope,
            permitted(&policy, &offer(&policy, &request).scope),
        ] {
            let Protection::Perturbed(noise) = scope.protection else {
                panic!("figures have noise: {}", scope.protection)
            };
            assert_eq!(noise.answers(), Some(set.min(stated)), "{set} {stated}");
            assert_eq!(noise.variance(), 17 * u16::from(set.max(stated)), "{set} {stated}");
        }
        // A set with another number applies to grants that there are.
        let before = offer(&with_figures(stated), &figures(Protection::Exact)).scope;
        let now = permitted(&policy, &before);
        assert_eq!(
            now.protection,
            offer(&policy, &request).scope.protection,
            "{set} {stated}"
        );
        assert!(before.covers(&now));
    }
    // As grants were before noise was for a number of figures.
    let stated = Protection::Perturbed(Noise::new(3, 5, 10).unwrap());
    let before = Scope {
        protection: stated,
        ..offer(&shipped(), &figures(Protection::Exact)).scope
    };
    let now = permitted(&with_figures(8), &before);
    assert_eq!(now.protection, Protection::Perturbed(noise_for(8)).meet(&stated));
}
