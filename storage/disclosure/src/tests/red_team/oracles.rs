//! Answers of which it matters only whether they are shown, and figures of the language that are not what they seem.

use super::data::{Group, Measure, Query};
use super::figure::Figure;
use super::register::{Padding, all, any, has_secret, not, secret};
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

/// Other people, of whom it is tried whether an answer is shown to depend on the secret at all.
const SHADOWS: usize = 12;

/// Everyone but nine known people, and but the target if the target has the secret: what is left out are nine, which isolates, or ten,
/// which does not. So what the audit withholds depends on the target, unless it withholds either.
pub(super) fn of_the_audit(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let known = (K - 1) as usize;
    let register = target.register;
    let others = target.others(known + SHADOWS);
    let (left_out, shadows) = others.split_at(known);
    let left_out = any(left_out.iter().map(|other| register.only(*other)));
    let count = |party: &mut dyn Answering, person: u32| {
        let small = all([register.only(person), has_secret()]);
        party.count(all([not(left_out.clone()), not(small)]))
    };
    let found = count(&mut *parties.ours, target.person);
    let expected = Figure::exact(f64::from(register.size) - known as f64);
    match (found, parties.ours.mode()) {
        (Some(count), None | Some(Mode::Exact | Mode::Private)) => Some(expected - count),
        (None, None | Some(Mode::Private)) => None,
        (found, Some(Mode::Exact | Mode::Perturbed)) => {
            let is_shown = found.is_some();
            let mut shadows = shadows.iter().take(SHADOWS);
            let is_telling = shadows.any(|person| count(&mut *parties.theirs, *person).is_some() != is_shown);
            is_telling.then(|| Figure::exact(f64::from(u8::from(is_shown))))
        }
    }
}

/// The same with nine people who are found by values of two columns, so that the condition is short.
pub(super) fn of_the_audit_by_values(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let register = target.register;
    let known = register.boxes(u64::from(K - 1), target.person).into_iter().next()?;
    let people = register.matching(&known);
    let mut others = target.others(0);
    others.retain(|person| !people.contains(*person));
    let count = |party: &mut dyn Answering, person: u32| {
        let small = all([register.only(person), has_secret()]);
        party.count(all([not(known.clone()), not(small)]))
    };
    let found = count(&mut *parties.ours, target.person);
    let expected = Figure::exact(f64::from(register.size) - f64::from(K - 1));
    match (found, parties.ours.mode()) {
        (Some(count), None | Some(Mode::Exact | Mode::Private)) => Some(expected - count),
        (None, None | Some(Mode::Private)) => None,
        (found, Some(Mode::Exact | Mode::Perturbed)) => {
            let is_shown = found.is_some();
            let mut shadows = others.iter().take(SHADOWS);
            let is_telling = shadows.any(|person| count(&mut *parties.theirs, *person).is_some() != is_shown);
            is_telling.then(|| Figure::exact(f64::from(u8::from(is_shown))))
        }
    }
}

/// The people of a group who have the secret, and the same without the target together with a large group of others of whom it is known how
/// many they are. No part is small, so that it is left to the audit whether the second one is withheld.
pub(super) fn of_wide_parts(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let register = target.register;
    let column = register.widest(target.person);
    let like = register.like(column, target.person);
    let mut others = target.others(0);
    others.retain(|person| like.contains(*person));
    others.truncate(SHADOWS);
    let group = register.group(target.person);
    let count = |party: &mut dyn Answering, person: u32| {
        let rest = all([group.clone(), not(register.only(person)), has_secret()]);
        party.count(any([not(group.clone()), rest]))
    };
    let with = parties.ours.count(all([group.clone(), has_secret()]))?;
    let found = count(&mut *parties.ours, target.person);
    let known = Figure::exact((u64::from(register.size) - like.len()) as f64);
    match (found, parties.ours.mode()) {
        (Some(found), _) => Some(with + known - found),
        (None, None | Some(Mode::Private)) => None,
        (None, Some(Mode::Exact | Mode::Perturbed)) => {
            parties.theirs.count(all([group.clone(), has_secret()]))?;
            let is_telling = others
                .iter()
                .any(|person| count(&mut *parties.theirs, *person).is_some());
            is_telling.then_some(Figure::exact(1.0))
        }
    }
}

/// Two unions of people in a group with the secret and those who are not in it. One lacks the target, and a dozen others of whom it is known that they
/// are in the other one: so the difference is about enough people, and all but one are known.
pub(super) fn of_padded_sets(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let register = target.register;
    let Padding { group, column, known } = register.paddings(target.person).into_iter().next()?;
    let values = &register.columns[column];
    let own = values.values[target.person as usize];
    // About one half of the people, so that what is left out is large.
    let others = (0..values.atoms()).filter(|value| *value != own);
    let half: Vec<u32> = others.step_by(2).collect();
    let among = |outside: Condition, values: Condition| any([outside, all([group.clone(), values, has_secret()])]);
    let first = among(not(group.clone()), values.is(half.iter().copied().chain([own])));
    let second = among(all([not(group.clone()), not(known.clone())]), values.is(half));
    let with = parties.ours.count(first)?;
    let without = parties.ours.count(second)?;
    let known = Figure::exact(register.matching(&known).len() as f64);
    Some(with - without - known)
}

/// The same with what two queries leave out.
pub(super) fn of_padded_complements(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let register = target.register;
    let Padding { group, column, known } = register.paddings(target.person).into_iter().next()?;
    let values = &register.columns[column];
    let own = values.values[target.person as usize];
    let others = (0..values.atoms()).filter(|value| *value != own);
    let half: Vec<u32> = others.step_by(2).collect();
    let without = |values: Condition| not(all([group.clone(), values, has_secret()]));
    let first = without(values.is(half.iter().copied()));
    let second = all([without(values.is(half.into_iter().chain([own]))), not(known.clone())]);
    let more = parties.ours.count(first)?;
    let fewer = parties.ours.count(second)?;
    let known = Figure::exact(register.matching(&known).len() as f64);
    Some(more - fewer - known)
}

/// A group with the secret, and the same without the target, after the budget of distinctions was used up with other queries. If the target
/// has the secret, the second set is one more, and otherwise it follows from the first: it must not be refused in one of the cases only.
pub(super) fn of_the_budget(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let register = target.register;
    let group = register.group(target.person);
    let like = register.like(register.widest(target.person), target.person);
    let with = parties.ours.count(all([group.clone(), has_secret()]))?;
    use_up(target, &mut *parties.ours);
    let mut without = |person: u32| {
        let query = Query::count(all([group.clone(), has_secret(), not(register.only(person))]));
        parties.ours.answer(&query)[0]
    };
    let cell = without(target.person);
    let mut others = target.others(0);
    others.retain(|person| like.contains(*person));
    let mut others = others.iter().take(SHADOWS);
    let is_telling = others.any(|person| without(*person).is_refused != cell.is_refused);
    match (cell.count, parties.ours.mode()) {
        (Some(without), _) => Some(with - without),
        (None, Some(Mode::Exact | Mode::Perturbed)) => {
            is_telling.then(|| Figure::exact(f64::from(u8::from(cell.is_refused))))
        }
        (None, None | Some(Mode::Private)) => None,
    }
}

/// Requests the numbers of people who are alike in one or two columns until one is refused.
fn use_up(target: &mut Target<'_>, party: &mut dyn Answering) {
    if !matches!(party.mode(), Some(Mode::Exact | Mode::Perturbed)) {
        return;
    }
    let columns = u32::try_from(target.register.columns.len()).unwrap();
    for _ in 0..200 {
        let person = target.others(1)[0];
        let mut column = || target.numbers.below(columns) as usize;
        let parts = [column(), column()].map(|column| target.register.equal(column, person));
        if party.answer(&Query::count(all(parts)))[0].is_refused {
            return;
        }
    }
}
