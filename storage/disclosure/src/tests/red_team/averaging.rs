//! One number many times.

use super::data::{Group, Query};
use super::figure::Figure;
use super::register::{Register, all, has_secret, not};
use super::system::Answering;
use super::target::{Parties, Target};
use crate::Condition;

/// How many texts one query is written in.
const FORMS: usize = 64;

/// A large group with and without the target, each as the mean of many answers: of the same condition in different texts, and of totals
/// over the groups of each column (Rinott, O'Keefe, Shlomo, Skinner 2018; Asghar, Kaafar, "Averaging attacks on bounded noise-based
/// disclosure control algorithms", 2019).
pub(super) fn over_texts_and_partitions(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let group = target.register.group(target.person);
    let only = target.register.only(target.person);
    let party = &mut *parties.ours;
    let with = mean(party, target.register, &[group.clone(), has_secret()])?;
    let without = mean(party, target.register, &[group, has_secret(), not(only)])?;
    Some(with - without)
}

fn mean(party: &mut dyn Answering, register: &Register, parts: &[Condition]) -> Option<Figure> {
    let mut figures = Vec::new();
    for form in 0..FORMS {
        figures.extend(party.count(written(register, parts, form)));
    }
    for column in 0..register.columns.len() {
        figures.extend(total(party, all(parts.to_vec()), column));
    }
    Figure::mean(&figures)
}

/// The same people in another text: other orders, conditions that everyone meets, and double negations.
fn written(register: &Register, parts: &[Condition], form: usize) -> Condition {
    let mut parts = parts.to_vec();
    let length = parts.len();
    parts.rotate_left(form % length);
    for (at, column) in register.columns.iter().enumerate() {
        if form >> (at % 4) & 1 == 1 {
            parts.push(column.is(0..column.atoms()));
        }
    }
    if form >> 4 & 1 == 1 {
        parts = vec![not(not(all(parts)))];
    }
    all(parts)
}

/// The sum of the groups of a column; `None` if one of them is withheld.
fn total(party: &mut dyn Answering, condition: Condition, column: usize) -> Option<Figure> {
    let cells = party.answer(&Query {
        by: vec![Group::Column(column)],
        ..Query::count(condition)
    });
    let shown = cells.iter().filter(|cell| !cell.is_missing).map(|cell| cell.count);
    let figures = shown.collect::<Option<Vec<Figure>>>()?;
    figures.into_iter().reduce(|sum, figure| sum + figure)
}
