//! The lattice laws, checked over small random scopes, and the row filters, checked value by value.

use proptest::prelude::*;

use super::super::*;
use super::generators::{constraints, datasets, protections, scopes, subjects, world};

proptest! {
    #[test]
    fn the_meet_lies_inside_both(a in scopes(), b in scopes()) {
        if let Ok(met) = a.meet(&b) {
            prop_assert!(a.covers(&met) && b.covers(&met));
        }
    }

    #[test]
    fn the_meet_is_the_widest_inside_both(a in scopes(), b in scopes(), c in scopes()) {
        // What the three have in common lies inside two of them, which a random scope seldom does.
        for c in [Some(c.clone()), meet_of([&a, &b, &c])].into_iter().flatten() {
            if a.covers(&c) && b.covers(&c) && !c.is_hollow() {
                let met = a.meet(&b).expect("both contain `c`");
                prop_assert!(met.covers(&c));
            }
        }
    }

    #[test]
    fn meet_is_idempotent_and_commutative(a in scopes(), b in scopes()) {
        if !a.is_hollow() {
            prop_assert_eq!(a.meet(&a).unwrap(), a.clone());
        }
        prop_assert_eq!(a.meet(&b), b.meet(&a));
    }

    #[test]
    fn meet_is_associative_but_for_columns(a in scopes(), b in scopes(), c in scopes()) {
        let left = a.meet_parts(&b).and_then(|met| met.meet_parts(&c)).ok();
        let right = b.meet_parts(&c).and_then(|met| a.meet_parts(&met)).ok();
        prop_assert_eq!(left, right);
    }

    /// Random scopes seldom overlap in every part, so the parts that are structured are compared by themselves too.
    #[test]
    fn meet_of_parts_is_associative(
        datasets in [datasets(), datasets(), datasets()],
        subjects in [subjects(), subjects(), subjects()],
        protections in [protections(), protections(), protections()],
    ) {
        let [a, b, c] = datasets;
        let left = a.meet(&b).and_then(|met| met.meet(&c)).ok();
        prop_assert_eq!(left, b.meet(&c).and_then(|met| a.meet(&met)).ok());
        let [a, b, c] = subjects;
        let left = a.meet(&b).and_then(|met| met.meet(&c));
        prop_assert_eq!(left, b.meet(&c).and_then(|met| a.meet(&met)));
        let [a, b, c] = protections;
        prop_assert_eq!(a.meet(&b).meet(&c), a.meet(&b.meet(&c)));
    }

    /// Each number of the stricter side, which together are parameters that the constructors accept.
    #[test]
    fn protection_of_two_sides_is_the_stricter(a in protections(), b in protections()) {
        let met = a.meet(&b);
        prop_assert_eq!(met, b.meet(&a));
        prop_assert_eq!(met.meet(&a), met);
        prop_assert_eq!(a.meet(&a), a);
        if let (Protection::Perturbed(a), Protection::Perturbed(b)) = (a, b) {
            let Protection::Perturbed(noise) = met else { panic!("both have noise") };
            let larger = (a.variance().max(b.variance()), a.max().max(b.max()), a.round().max(b.round()));
            prop_assert_eq!((noise.variance(), noise.max(), noise.round()), larger);
            let fewer = a.answers().into_iter().chain(b.answers()).min();
            prop_assert_eq!(noise.answers(), fewer);
            let needed = fewer.map_or(0, |fewer| Noise::FOR_AN_ANSWER * u16::from(fewer));
            prop_assert!(noise.variance() >= needed, "noise is for its answers");
            let read: Protection = serde_json::from_value(serde_json::to_value(met).unwrap()).unwrap();
            prop_assert_eq!(read, met, "the constructor accepts it");
        }
        if let (Protection::Private(a), Protection::Private(b)) = (a, b) {
            let smaller = Loss::new(a.query().min(b.query()), a.total().min(b.total()), a.delta().max(b.delta()));
            prop_assert_eq!(smaller.map(Protection::Private), Ok(met));
        }
    }

    #[test]
    fn covers_agrees_with_meet(a in scopes(), b in scopes()) {
        for b in [Some(b.clone()), a.meet_parts(&b).ok()].into_iter().flatten() {
            prop_assert_eq!(a.covers(&b), a.meet_parts(&b).is_ok_and(|met| met == b));
            if !b.is_hollow() {
                prop_assert_eq!(a.covers(&b), a.meet(&b).is_ok_and(|met| met == b));
            }
        }
    }

    #[test]
    fn covers_of_parts_agrees_with_meet(a in datasets(), b in datasets(), s in subjects(), t in subjects()) {
        let met = a.meet(&b).ok();
        // What both have, and one dataset more: wider in its names only.
        let more = met.iter().flat_map(|met| met.iter().chain(b.iter().filter(|(name, _)| met.get(name).is_none())));
        let more = Datasets::new(more.map(|(name, scope)| (name.clone(), scope.clone()))).ok();
        for inner in [Some(b.clone()), met.clone(), more].into_iter().flatten() {
            prop_assert_eq!(a.wider_parts(&inner).is_empty(), a.meet(&inner).is_ok_and(|met| met == inner));
        }
        for inner in [Some(t.clone()), s.meet(&t)].into_iter().flatten() {
            prop_assert_eq!(s.covers(&inner), s.meet(&inner).is_some_and(|met| met == inner));
        }
    }

    #[test]
    fn covers_is_transitive(a in scopes(), b in scopes(), c in scopes()) {
        let inside = |outer: &Scope, other: &Scope| outer.meet_parts(other).unwrap_or_else(|_| other.clone());
        let b = inside(&a, &b);
        let c = inside(&b, &c);
        if a.covers(&b) && b.covers(&c) {
            prop_assert!(a.covers(&c));
        }
        if c.covers(&b) && b.covers(&c) {
            prop_assert_eq!(&b, &c, "what covers each other is the same");
        }
    }

    /// Whatever differs is a line, and no line is about what is the same.
    #[test]
    fn differences_are_none_only_for_the_same_scope(a in scopes(), b in scopes()) {
        prop_assert_eq!(a.differences(&b).is_empty(), a == b);
        prop_assert_eq!(a.differences(&a), []);
        let in_one_part = [
            Scope { datasets: b.datasets.clone(), ..a.clone() },
            Scope { subjects: b.subjects.clone(), ..a.clone() },
            Scope { protection: b.protection, ..a.clone() },
        ];
        let without = a.datasets.names().filter_map(|left_out| {
            let others = a.datasets.iter().filter(|(name, _)| *name != left_out);
            let datasets = Datasets::new(others.map(|(name, scope)| (name.clone(), scope.clone()))).ok()?;
            Some(Scope { datasets, ..a.clone() })
        });
        for other in without.chain(in_one_part) {
            prop_assert_eq!(a.differences(&other).is_empty(), a == other);
        }
        let different = |difference: &Difference| difference.requested != difference.offered;
        prop_assert!(a.differences(&b).iter().all(different));
    }

    #[test]
    fn protection_covers_what_reveals_less(a in protections(), b in protections()) {
        prop_assert!(Protection::Exact.covers(&a));
        prop_assert_eq!(a.covers(&b), a.meet(&b) == b);
        let expected = match (&a, &b) {
            (Protection::Exact, _) => true,
            (_, Protection::Exact) | (Protection::Private(_), Protection::Perturbed(_)) => false,
            (Protection::Perturbed(_), Protection::Private(_)) => true,
            (Protection::Perturbed(a), Protection::Perturbed(b)) => {
                let most = |noise: &Noise| noise.answers().unwrap_or(u8::MAX);
                let is_less = a.variance() <= b.variance() && a.max() <= b.max() && a.round() <= b.round();
                is_less && most(a) >= most(b)
            }
            (Protection::Private(a), Protection::Private(b)) => {
                a.query() >= b.query() && a.total() >= b.total() && a.delta() <= b.delta()
            }
        };
        prop_assert_eq!(a.covers(&b), expected);
    }

    #[test]
    fn a_row_filter_admits_what_both_admit(a in constraints(), b in constraints()) {
        let met = a.meet(&b);
        for value in world() {
            let both = a.admits(value.as_ref()) && b.admits(value.as_ref());
            prop_assert_eq!(met.as_ref().is_some_and(|m| m.admits(value.as_ref())), both, "{:?}", value);
        }
    }

    #[test]
    fn a_scope_survives_the_wire(a in scopes()) {
        let bytes = crate::signed::encode(&a).unwrap();
        prop_assert_eq!(crate::signed::decode::<Scope>(&bytes).unwrap(), a);
    }
}

fn meet_of([a, b, c]: [&Scope; 3]) -> Option<Scope> {
    a.meet(b).and_then(|met| met.meet(c)).ok()
}
