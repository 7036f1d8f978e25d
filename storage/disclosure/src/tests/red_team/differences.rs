//! Two figures that differ in the target alone.

use super::data::Measure;
use super::figure::Figure;
use super::register::{Pivot, all, has_secret, not, secret};
use super::target::{Parties, Target};
use crate::{Condition, Mode};

/// A large group, and the same group without the target: the difference has the secret, or has not.
pub(super) fn of_counts(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let group = target.register.group(target.person);
    let only = target.register.only(target.person);
    let with = parties.ours.count(all([group.clone(), has_secret()]))?;
    let without = parties.ours.count(all([group, has_secret(), not(only)]))?;
    Some(with - without)
}

/// The same, read as if it had no noise: what is added to a private figure has to hide a person from this reader too.
pub(super) fn of_counts_without_their_noise(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    of_counts(target, parties).map(|found| Figure::exact(found.value))
}

/// The same with sums: the difference is the target's number.
pub(super) fn of_sums(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let group = target.register.group(target.person);
    let only = target.register.only(target.person);
    let with = parties.ours.sum(group.clone(), Measure::Hidden)?;
    let without = parties.ours.sum(all([group, not(only)]), Measure::Hidden)?;
    Some(with - without)
}

/// The same people before and after an import in which the target's row was changed.
///
/// Who is in the second figure need not be seen in it: where the audit withholds what differs in the target, it is enough that one of two
/// figures is withheld, those with the secret and those without it.
pub(super) fn over_versions(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let group = target.register.group(target.person);
    let with = all([group.clone(), has_secret()]);
    let without = all([group, secret([0])]);
    let before = parties.ours.count(with.clone())?;
    parties.ours.count(without.clone())?;
    parties.ours.import();
    let after = parties.ours.count(with);
    let rest = parties.ours.count(without);
    match (after, rest, parties.ours.mode()) {
        (Some(after), _, None | Some(Mode::Exact | Mode::Private)) => Some(after - before),
        (None, Some(_), Some(Mode::Exact | Mode::Perturbed)) => Some(Figure::exact(1.0)),
        (Some(_), None, Some(Mode::Perturbed)) => Some(Figure::exact(0.0)),
        (Some(after), Some(_), Some(Mode::Perturbed)) => Some(after - before),
        (None, _, None | Some(Mode::Private)) | (None, None, Some(Mode::Exact | Mode::Perturbed)) => None,
    }
}

/// One institution requests those with the secret among people who are like the target in some columns and have one of many values in another
/// one, the other institution the same without the target's value there, which only the target has.
///
/// Noise is that of the set. So two figures that differ are of different people, and no noise hides that.
pub(super) fn of_two_institutions(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    /// How often two sets have the same figure although they differ in one person, at most: counts are rounded to multiples of 5.
    const EQUAL: f64 = 0.1;
    let register = target.register;
    let mut found = Vec::new();
    for Pivot { like, column } in register.pivots(target.person).into_iter().take(4) {
        let values = &register.columns[column];
        let own = values.values[target.person as usize];
        // About one half of the people, so that both halves are large.
        let others = (0..values.atoms()).filter(|value| *value != own);
        let half: Vec<u32> = others.step_by(2).collect();
        let query = |values: Condition| {
            let like = like.iter().map(|column| register.equal(*column, target.person));
            all(like.chain([values, has_secret()]))
        };
        let with = parties.ours.count(query(values.is(half.iter().copied().chain([own]))));
        let without = parties.theirs.count(query(values.is(half)));
        found.extend(with.zip(without).map(|(with, without)| with - without));
    }
    match parties.ours.mode() {
        None | Some(Mode::Exact | Mode::Private) => Figure::combined(&found),
        Some(Mode::Perturbed) if found.iter().any(|difference| difference.value != 0.0) => Some(Figure::exact(1.0)),
        Some(Mode::Perturbed) if found.is_empty() => None,
        Some(Mode::Perturbed) => Some(Figure::of_evidence(found.len() as f64 * EQUAL.ln())),
    }
}
