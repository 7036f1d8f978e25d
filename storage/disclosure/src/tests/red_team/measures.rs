//! Sums from which one person's number is computed.

use super::data::Measure;
use super::figure::Figure;
use super::people::KNOWN;
use super::register::any;
use super::solve::Equations;
use super::target::{Parties, Target};
use crate::Condition;

/// What everyone but the target has, about.
const USUAL: f64 = 600.0;

/// The target has nearly all of a group's sum (D5).
pub(super) fn of_the_largest(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let group = target.register.group(target.person);
    let people = target.register.matching(&group).len();
    let sum = parties.ours.sum(group, Measure::Hidden)?;
    Some(sum - Figure::exact(USUAL * (people as f64 - 1.0)))
}

/// As many sums over one small set, each of the unknown number times another known one, as the set has people: a regression of the unknown
/// number on the known ones has them all.
pub(super) fn of_a_regression(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let mut people = target.others(KNOWN - 1);
    people.truncate(KNOWN - 1);
    people.push(target.person);
    let set: Vec<Condition> = people.iter().map(|person| target.register.only(*person)).collect();
    let set = any(set);
    let mut equations = Equations::new(KNOWN);
    for (known, column) in target.register.known.iter().enumerate() {
        let sum = parties.ours.sum(set.clone(), Measure::Product(known))?;
        let row = people.iter().map(|person| f64::from(column[*person as usize]));
        equations.add(row.collect(), sum);
    }
    equations.solved().map(|solution| solution[KNOWN - 1])
}
