//! Queries about large sets from which one about a small set is computed (Denning, Denning, Schwartz, "The tracker", 1979), and the same by
//! inclusion and exclusion.
//!
//! The small set is always that of the target, if the target has the secret.

use super::figure::Figure;
use super::register::{all, any, has_secret, not};
use super::target::{Parties, Target};
use crate::Condition;

/// `q(C) = q(C or T) + q(C or not T) - q(everyone)`, for any `T` that neither few nor nearly all meet.
pub(super) fn general(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let small = small_set(target);
    let tracker = target.register.group(target.person);
    let with = parties.ours.count(any([small.clone(), tracker.clone()]))?;
    let without = parties.ours.count(any([small, not(tracker)]))?;
    let everyone = Figure::exact(f64::from(target.register.size));
    Some(with + without - everyone)
}

/// `q(C) = q(U) + q(C or T) - q(T) - q(U and not (C and T))`, for `T` within `U`.
pub(super) fn double(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let small = small_set(target);
    let outer = target.register.group(target.person);
    let second = target.register.second_widest(target.person);
    let inner = all([outer.clone(), target.register.equal(second, target.person)]);
    let party = &mut parties.ours;
    let of_outer = party.count(outer.clone())?;
    let of_either = party.count(any([small.clone(), inner.clone()]))?;
    let of_inner = party.count(inner.clone())?;
    let of_rest = party.count(all([outer, not(all([small, inner]))]))?;
    Some(of_outer + of_either - of_inner - of_rest)
}

/// The number in all of several conditions, from the numbers in one or more of them. Each union has the same large group of others, so that
/// none is small: it is subtracted in the end.
pub(super) fn intersection(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let register = target.register;
    let key = register.key(target.person)?;
    let conditions: Vec<Condition> = key
        .iter()
        .map(|column| register.equal(*column, target.person))
        .collect();
    let others = not(register.group(target.person));
    let mut sum = Figure::exact(0.0);
    for chosen in 1_u32..1 << conditions.len() {
        let parts = conditions.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
        let union = any(parts.map(|(_, part)| part.clone()).chain([others.clone()]));
        let count = parties.ours.count(all([union, has_secret()]))?;
        let sign = if chosen.count_ones() % 2 == 1 { 1.0 } else { -1.0 };
        sum = sum + count * sign;
    }
    let of_others = parties.ours.count(all([others, has_secret()]))?;
    Some(sum - of_others)
}

fn small_set(target: &Target<'_>) -> Condition {
    all([target.register.only(target.person), has_secret()])
}
