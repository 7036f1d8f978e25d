//! Whether a cell follows from others for everyone possible.

use super::condition::CellBox;
use super::subject::Subject;
use super::subjects::Domain;
use crate::Entropy;
use crate::field::Prime;
use crate::random::position;

/// Possible subjects that are tried one by one.
const MAX_SUBJECTS: u64 = 1 << 16;

/// Conditions that are evaluated for one set: about 100 ms.
const MAX_EVALUATIONS: u64 = 1 << 24;

/// Random subjects that are tried.
const DRAWS: u64 = 4_096;

/// Below that many random subjects, nothing is concluded.
const MIN_DRAWS: u64 = 256;

/// A cell's coefficient, modulo the prime of each lane.
type Weights = Vec<u32>;

/// Whether `cell` minus the combination of `cells` with these coefficients, by lane, vanishes for each possible subject.
///
/// An answer of `true` is an error only if all random subjects missed those for which it does not vanish; `false` is the answer where the
/// conditions are too large to be evaluated.
pub(crate) fn imply(cell: &CellBox, cells: &[&CellBox], lanes: &[(Prime, &[u32])], entropy: &mut dyn Entropy) -> bool {
    let terms = terms(cell, cells, lanes);
    if terms.is_empty() {
        return true;
    }
    let Some(domain) = Domain::of(terms.iter().map(|(cell, _)| cell.condition())) else {
        return false;
    };
    let conditions: u64 = terms.iter().map(|(cell, _)| cell.conditions as u64).sum();
    let affordable = MAX_EVALUATIONS / conditions.max(1);
    let primes: Vec<Prime> = lanes.iter().map(|(prime, _)| *prime).collect();
    if let Some(number) = domain
        .combinations()
        .filter(|number| *number <= MAX_SUBJECTS.min(affordable))
    {
        return (0..number).all(|at| vanishes(&terms, &primes, &domain.combination(at)));
    }
    let draws = DRAWS.min(affordable);
    draws >= MIN_DRAWS
        && (0..draws).all(|_| {
            let near = terms.get(position(entropy, terms.len()));
            let subject = domain.draw(near.map(|(cell, _)| cell.condition()), entropy);
            vanishes(&terms, &primes, &subject)
        })
}

/// The cells of the combination with their coefficients; equal cells are one, and those that cancel are left out.
fn terms<'a>(cell: &'a CellBox, cells: &[&'a CellBox], lanes: &[(Prime, &[u32])]) -> Vec<(&'a CellBox, Weights)> {
    let mut terms: Vec<(&CellBox, Weights)> = vec![(cell, vec![1; lanes.len()])];
    for (at, other) in cells.iter().enumerate() {
        let weight = |(prime, numbers): &(Prime, &[u32])| prime.negate(numbers.get(at).copied().unwrap_or(0));
        let weights: Weights = lanes.iter().map(weight).collect();
        if weights.iter().all(|weight| *weight == 0) {
            continue;
        }
        match terms.iter_mut().find(|(term, _)| term == other) {
            Some((_, sums)) => add(sums, &weights, lanes),
            None => terms.push((other, weights)),
        }
    }
    terms.retain(|(_, weights)| weights.iter().any(|weight| *weight != 0));
    terms
}

fn add(sums: &mut [u32], weights: &[u32], lanes: &[(Prime, &[u32])]) {
    for ((sum, weight), (prime, _)) in sums.iter_mut().zip(weights).zip(lanes) {
        *sum = prime.reduce(u64::from(*sum) + u64::from(*weight));
    }
}

fn vanishes(terms: &[(&CellBox, Weights)], primes: &[Prime], subject: &Subject) -> bool {
    let mut sums = vec![0_u64; primes.len()];
    for (_, weights) in terms.iter().filter(|(cell, _)| subject.meets(cell.condition())) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum += u64::from(*weight);
        }
    }
    sums.iter().zip(primes).all(|(sum, prime)| prime.reduce(*sum) == 0)
}
