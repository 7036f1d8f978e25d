//! Answers of which it matters only whether they are shown, and figures of the language that are not what they seem.

use super::data::{Group, Measure, Query};
use super::figure::Figure;
use super::register::{all, any, has_secret, not, secret};
use super::system::{Answering, K};
use super::target::{Parties, Target};
use crate::{Condition, Mode};

/// How often a threshold is tried.
const TRIES: usize = 12;

/// A group by the secret of the target alone: whether a row is missing or withheld (D3).
pub(super) fn of_groups(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let cells = parties.ours.answer(&Query {
        by: vec![Group::Secret],
        ..Query::count(target.register.only(target.person))
    });
    match (cells[0].is_missing, cells[1].is_missing) {
        (true, false) => Some(Figure::exact(1.0)),
        (false, true) => Some(Figure::exact(0.0)),
        (true, true) | (false, false) => cells[1].count,
    }
}

/// A group, and its people of whom the secret is known: the difference are those of whom it is missing (D4).
pub(super) fn of_missing_values(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let group = target.register.group(target.person);
    let all_of = parties.ours.count(group.clone())?;
    let known = parties.ours.count(all([group, secret([0, 1])]))?;
    Some(all_of - known)
}

/// The sum of a column of zeros and ones over a set that is large enough, and over one without the target: the sums are small numbers of
/// people (D4).
pub(super) fn of_flags(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let others = target.others(12);
    let mut people: Vec<Condition> = others
        .iter()
        .take(12)
        .map(|other| target.register.only(*other))
        .collect();
    let without = parties.ours.sum(any(people.clone()), Measure::Flag)?;
    people.push(target.register.only(target.person));
    let with = parties.ours.sum(any(people), Measure::Flag)?;
    Some(with - without)
}

/// The total of two nodes, of which one is the attacker's own.
pub(super) fn of_totals(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    const OWN: u64 = 50;
    let small = all([target.register.only(target.person), has_secret()]);
    let total = parties.ours.total(small, OWN)?;
    Some(total - Figure::exact(OWN as f64))
}

/// As many known people as are just too few, and the target if the target has the secret: a set that is shown has one more than the known
/// ones (D3). Thresholds that depend on the set make this a matter of several tries.
pub(super) fn of_thresholds(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let mode = parties.ours.mode();
    // With noise, sets begin one above the smallest cell.
    let known = (if mode == Some(Mode::Perturbed) { K } else { K - 1 }) as usize;
    let others = target.others(known * TRIES);
    let mut found = Vec::new();
    for base in others.chunks(known).take(TRIES) {
        let base = base.iter().map(|other| target.register.only(*other));
        let small = all([target.register.only(target.person), has_secret()]);
        let count = parties.ours.count(any(base.chain([small])));
        found.extend(count.map(|count| count - Figure::exact(known as f64)));
    }
    let is_shown = !found.is_empty();
    match mode {
        Some(Mode::Private) => Figure::combined(&found),
        None => Some(Figure::exact(f64::from(u8::from(is_shown)))),
        Some(Mode::Exact | Mode::Perturbed) if is_shown => Some(Figure::exact(1.0)),
        // Two of three thresholds are above the set with the target.
        Some(Mode::Exact | Mode::Perturbed) => Some(Figure::of_evidence(TRIES as f64 * (2.0_f64 / 3.0).ln())),
    }
}

/// Everyone but nine known people, and but the target if the target has the secret: what is left out are nine, which isolates, or ten,
/// which does not. So what the audit withholds depends on the target.
pub(super) fn of_the_audit(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let known = (K - 1) as usize;
    let others = target.others(known);
    let left_out = any(others.iter().take(known).map(|other| target.register.only(*other)));
    let small = all([target.register.only(target.person), has_secret()]);
    let count = parties.ours.count(all([not(left_out), not(small)]));
    let expected = Figure::exact(f64::from(target.register.size) - known as f64);
    match (count, parties.ours.mode()) {
        (Some(count), None | Some(Mode::Exact | Mode::Private)) => Some(expected - count),
        (Some(_), Some(Mode::Perturbed)) => Some(Figure::exact(1.0)),
        (None, Some(Mode::Private)) => None,
        (None, None | Some(Mode::Exact | Mode::Perturbed)) => Some(Figure::exact(0.0)),
    }
}

/// A group with the secret, and the same without the target, after the budget of distinctions was used up with other queries. If the target
/// has the secret, the second set is one more, and the query is refused; otherwise it follows from the first, and is withheld.
pub(super) fn of_the_budget(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let group = target.register.group(target.person);
    let only = target.register.only(target.person);
    let with = parties.ours.count(all([group.clone(), has_secret()]))?;
    use_up(target, &mut *parties.ours);
    let cells = parties
        .ours
        .answer(&Query::count(all([group, has_secret(), not(only)])));
    match (cells[0].count, parties.ours.mode()) {
        (Some(without), _) => Some(with - without),
        (None, Some(Mode::Exact | Mode::Perturbed)) => Some(Figure::exact(f64::from(u8::from(cells[0].is_refused)))),
        (None, None | Some(Mode::Private)) => None,
    }
}

/// Requests the numbers of random people until one is refused.
fn use_up(target: &mut Target<'_>, party: &mut dyn Answering) {
    const PEOPLE: usize = 50;
    if !matches!(party.mode(), Some(Mode::Exact | Mode::Perturbed)) {
        return;
    }
    for _ in 0..100 {
        let people = target.others(PEOPLE);
        let people = people.iter().take(PEOPLE).map(|other| target.register.only(*other));
        if party.answer(&Query::count(any(people)))[0].is_refused {
            return;
        }
    }
}
