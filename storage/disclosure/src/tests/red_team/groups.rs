//! What a group shows of each of its people.

use super::figure::Figure;
use super::register::{all, has_secret, not, secret};
use super::target::{Parties, Target};
use crate::Condition;

/// Everyone in a small group has the secret: the number of people in it, and that of those who have it, are equal.
pub(super) fn with_one_value(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let column = target.register.small_group(target.person)?;
    let group = target.register.equal(column, target.person);
    let people = parties.ours.count(group.clone())?;
    let with_secret = parties.ours.count(all([group, has_secret()]))?;
    let is_one = people.is_exact() && with_secret.is_exact() && people == with_secret;
    is_one.then_some(Figure::exact(1.0))
}

/// The same for an attacker who knows how many people are in the group: their number is not requested.
pub(super) fn with_one_value_and_known_people(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let column = target.register.small_group(target.person)?;
    let group = target.register.equal(column, target.person);
    let known = target.register.like(column, target.person).len() as f64;
    let with_secret = parties.ours.count(all([group, has_secret()]))?;
    (with_secret == Figure::exact(known)).then_some(Figure::exact(1.0))
}

/// A table of three conditions from the numbers of two of them at a time (D7): those of the target's row in two columns, and of the secret.
///
/// With `x` people in the first cell (like the target in both columns, and without the secret), each other cell is `x` more or less than a
/// known number, and none is negative. Where that leaves 0 alone, everyone like the target has the secret.
pub(super) fn in_intervals(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let register = target.register;
    let of_column = |column: usize| {
        let equal = register.equal(column, target.person);
        [equal.clone(), not(equal)]
    };
    let [a, not_a] = of_column(register.widest(target.person));
    let [b, not_b] = of_column(register.second_widest(target.person));
    let [without, with] = [secret([0]), has_secret()];
    let mut count = |first: &Condition, second: &Condition| {
        let count = parties.ours.count(all([first.clone(), second.clone()]));
        count.filter(Figure::is_exact).map(|count| count.value)
    };
    let of_both = count(&a, &b)?;
    let of_a = count(&a, &without)?;
    let of_b = count(&b, &without)?;
    let low = [
        of_both - count(&a, &with)?,
        of_both - count(&b, &with)?,
        of_a - count(&not_b, &without)?,
    ];
    let rest = count(&not_a, &not_b)? - count(&not_b, &without)?;
    let high = [of_both, of_a, of_b, rest + of_a];
    let low = low.into_iter().fold(0.0, f64::max);
    let high = high.into_iter().fold(f64::INFINITY, f64::min);
    (low == 0.0 && high == 0.0).then_some(Figure::exact(1.0))
}

/// Whether the target is in the data: a large group, and the group without people who are like the target.
pub(super) fn with_a_member(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let group = target.register.group(target.person);
    let only = target.register.only(target.person);
    let with = parties.ours.count(group.clone())?;
    let without = parties.ours.count(all([group, not(only)]))?;
    Some(with - without)
}
