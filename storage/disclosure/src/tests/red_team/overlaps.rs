//! Many sets that have the target and little else in common.
//!
//! No figure about few people follows from such sets, and each has noise of its own. But each is also a measurement of the target, and the
//! others in it are noise that averages out: what n counts with noise of a constant size leave private is bounded (Dinur, Nissim 2003).

use super::figure::Figure;
use super::register::{all, any, secret};
use super::system::Answering;
use super::target::{Parties, Target};
use crate::{Condition, Mode};

/// As many as the bases of a table of 900 people have capacity for.
pub(super) const SETS: usize = 90;

/// So many that nearly none is below its threshold.
const MEMBERS: usize = 100;

/// Those without the secret are counted, because there are more of them: the audit admits about one set for nine people that sets are drawn
/// from.
pub(super) fn with_the_target(target: &mut Target<'_>, parties: &mut Parties) -> Option<Figure> {
    // The check of intervals takes longer with each exact set, and what they have in common is not about exact figures.
    let sets = if parties.ours.mode() == Some(Mode::Exact) {
        SETS / 10
    } else {
        SETS
    };
    let shown = requested(target, &mut *parties.ours, sets);
    let found: Vec<Figure> = shown
        .into_iter()
        .map(|(_, count)| estimate(count, target.prevalence))
        .collect();
    Figure::combined(&found)
}

/// Of sets of people with the target, those whose number without the secret is shown.
pub(super) fn requested(target: &mut Target<'_>, party: &mut dyn Answering, sets: usize) -> Vec<(Vec<u32>, Figure)> {
    let others = target.others(MEMBERS);
    let conditions: Vec<Condition> = others.iter().map(|person| target.register.only(*person)).collect();
    let mut order: Vec<usize> = (0..others.len()).collect();
    let mut shown = Vec::new();
    for _ in 0..sets {
        target.numbers.draw(&mut order, MEMBERS);
        let members = order.iter().take(MEMBERS);
        let of_members = members.clone().map(|at| conditions[*at].clone());
        let people = any(of_members.chain([target.register.only(target.person)]));
        let without = party.count(all([people, secret([0])]));
        shown.extend(without.map(|without| (members.map(|at| others[*at]).collect(), without)));
    }
    shown
}

/// Whether the target has the secret, by the number of those in a set who have not.
pub(super) fn estimate(without: Figure, prevalence: f64) -> Figure {
    let of_others = Figure {
        value: MEMBERS as f64 * prevalence,
        variance: MEMBERS as f64 * prevalence * (1.0 - prevalence),
    };
    Figure::exact(MEMBERS as f64 + 1.0) - without - of_others
}
