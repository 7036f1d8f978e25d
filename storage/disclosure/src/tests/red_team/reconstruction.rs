//! Everyone's secret in a region from the numbers of random parts of it (Dinur, Nissim 2003), by least squares.

use super::figure::Figure;
use super::register::{all, any, has_secret, not};
use super::solve::Equations;
use super::target::{Parties, Target};
use crate::Condition;

/// Two numbers for each person, so that they are all determined.
const QUERIES: usize = 48;

/// The people of the region, the target among them.
const REGION: usize = 24;

/// The parts are counted together with a large group of others, so that none is too small: its number is one more unknown.
pub(super) fn of_a_region(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    let mut region = target.others(REGION - 1);
    region.truncate(REGION - 1);
    region.push(target.person);
    let people: Vec<Condition> = region.iter().map(|person| target.register.only(*person)).collect();
    let group = all([target.register.group(target.person), not(any(people.clone()))]);
    let mut equations = Equations::new(REGION + 1);
    for _ in 0..QUERIES {
        let is_in: Vec<bool> = region.iter().map(|_| target.numbers.chance(0.5)).collect();
        let chosen = people.iter().zip(&is_in).filter(|(_, is_in)| **is_in);
        let part = any(chosen.map(|(person, _)| person.clone()).chain([group.clone()]));
        let count = parties.ours.count(all([part, has_secret()]));
        let row = is_in.iter().map(|is_in| f64::from(u8::from(*is_in)));
        if let Some(count) = count {
            equations.add(row.chain([1.0]).collect(), count);
        }
    }
    let expected = |people: f64| Figure {
        value: people * target.prevalence,
        variance: people * target.prevalence * (1.0 - target.prevalence),
    };
    let mut prior = vec![expected(1.0); REGION];
    prior.push(expected(target.register.matching(&group).len() as f64));
    equations.estimate(REGION - 1, &prior)
}
