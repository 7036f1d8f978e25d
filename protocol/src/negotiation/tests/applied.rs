//! Scopes of which a part would not be applied: neither side requests, offers or accepts them.

use super::*;
use crate::grant::testing::heart;
use crate::scope::{
    Constraint, DeltaExponent, Generalization, Limits, Loss, MicroRho, Noise, Part, Protection, Rows, SubjectFilter,
    Subjects, Transform, Value, Values,
};

/// A scope of which a part would not be applied is refused by both sides, in requests and in offers.
#[test]
fn scope_that_is_not_applied_is_refused_by_both_sides() {
    let (consumer, provider) = requested();
    for (part, scope) in unapplied() {
        let Refusal::NotApplied(why) = begin_refusal(scope.clone()) else {
            panic!("{scope:?}")
        };
        assert_eq!(why.part, part);
        let request = Body::Request {
            scope: scope.clone(),
            justification: super::why(),
        };
        let (consumer_at_offer, provider_at_offer) = offered();
        let request = forged(&consumer_at_offer, request, &node(2), |_| ());
        assert!(
            matches!(refusal(&provider_at_offer, request), Refusal::NotApplied(_)),
            "{part}"
        );
        let ours = provider.offer(scope.clone(), explain, &node(1), T0).unwrap_err();
        assert!(matches!(ours, NegotiationError::Ours(Refusal::NotApplied(_))), "{part}");
        let narrowings = Narrowing::explain_all(&wide(), &scope, explain);
        let offer = forged(&provider, Body::Offer { scope, narrowings }, &node(1), |_| ());
        assert!(matches!(refusal(&consumer, offer), Refusal::NotApplied(_)), "{part}");
    }
}

/// Scopes inside the wide one, each with one part that is not applied.
fn unapplied() -> Vec<(Part, Scope)> {
    let noise = Protection::Perturbed(Noise::new(3, 5, 5).unwrap());
    let rho = |millionths| MicroRho::new(millionths).unwrap();
    let loss = Protection::Private(Loss::new(rho(1), rho(2), DeltaExponent::new(6).unwrap()).unwrap());
    let over_40 = Constraint::new(Values::Set([Value::Int(40)].into()), false).unwrap();
    let rows = Rows::new([("age".parse().unwrap(), over_40)].into()).unwrap();
    let subjects = Subjects::Only(SubjectFilter::new("heart".parse().unwrap(), rows).unwrap());
    let levels = Transform::Generalized(Generalization::Levels);
    let limited = |change: fn(&mut Limits)| {
        let mut scope = wide();
        change(&mut scope.limits);
        (Part::Limits, scope)
    };
    let protected = |protection| (Part::Protection, Scope { protection, ..wide() });
    vec![
        protected(noise),
        protected(loss),
        (Part::Subjects, Scope { subjects, ..wide() }),
        (
            Part::Columns,
            Scope {
                datasets: heart([("age".parse().unwrap(), levels)], Rows::all()),
                ..wide()
            },
        ),
        limited(|limits| limits.per_person_per_day = Some(5)),
        limited(|limits| limits.max_cells = Some(500)),
        limited(|limits| limits.distinctions = Some(512)),
    ]
}

fn begin_refusal(scope: Scope) -> Refusal {
    let error = begin(scope).unwrap_err();
    let NegotiationError::Ours(refusal) = error else {
        panic!("{error:?}")
    };
    refusal
}
