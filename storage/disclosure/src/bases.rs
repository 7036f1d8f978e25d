//! Bases of the released sets: units at which the sets are linearly independent.
//!
//! A basis of `r` sets is `r` units such that the matrix `M[a][b] = [unit b is in set a]` is invertible. At these units a combination of
//! the sets can be read off, so that each basis turns an offered set into its *residual*: the set minus the combination that agrees with it
//! on the basis. [`Plan`] states how many bases are kept, and why that suffices.

use std::collections::HashMap;

use crate::epochs::{Epoch, Parts, Unit};
use crate::field::Prime;
use crate::{Entropy, UnitSet};

/// How many bases there are, and in how many of them a subject may have units.
///
/// Let `v` be a combination of the released sets and an offered set, with the offered set in it, that is nonzero at units of fewer than `k`
/// subjects only. These `k - 1` subjects have units in at most `(k - 1) * cap` bases, which is fewer than there are. So at least one basis
/// has no unit of theirs: `v` vanishes on it, and is therefore a multiple of the residual in this basis. The residuals of all bases show
/// each such figure, whatever the attacker knows of the bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) bases: usize,
    pub(crate) cap: u32,
}

/// The number of bases for small `k`: more allow a few more sets (`bases / cap` is closer to `k - 1`), and cost more.
const USUAL_BASES: u32 = 28;

impl Plan {
    /// For a threshold of `k` subjects, at least 2.
    pub(crate) fn of(k: u32) -> Self {
        let others = k.saturating_sub(1).max(1);
        let cap = ((USUAL_BASES - 1) / others).max(1);
        let bases = cap.saturating_mul(others).saturating_add(1);
        Self {
            bases: usize::try_from(bases).unwrap_or(usize::MAX),
            cap,
        }
    }
}

/// The membership of one unit in the sets, in their order, as bits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    words: Vec<u64>,
    length: usize,
}

impl Column {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn push(&mut self, is_member: bool) {
        if self.length.is_multiple_of(64) {
            self.words.push(0);
        }
        if let Some(last) = self.words.last_mut().filter(|_| is_member) {
            *last |= 1 << (self.length % 64);
        }
        self.length += 1;
    }

    /// The sum of the numbers at the positions that are set.
    pub(crate) fn sum_of(&self, numbers: &[u32]) -> u64 {
        let mut sum = 0;
        for (word, numbers) in self.words.iter().zip(numbers.chunks(64)) {
            let mut left = *word;
            while left != 0 {
                let at = left.trailing_zeros() as usize;
                sum += numbers.get(at).map_or(0, |number| u64::from(*number));
                left &= left - 1;
            }
        }
        sum
    }
}

/// A set minus the combination of earlier sets with these coefficients, of which there is one for each.
pub(crate) type Coefficients = Vec<u32>;

/// What a set adds to a basis.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) unit: Unit,
    pub(crate) owner: u32,
    /// The coefficients of the set's residual.
    pub(crate) coefficients: Coefficients,
    /// 1 / the value of the residual at `unit`.
    pub(crate) pivot_inverse: u32,
    /// The membership of `unit` in the earlier sets.
    pub(crate) column: Column,
}

/// One basis.
pub(crate) struct Basis {
    pub(crate) prime: Prime,
    owners: Vec<u32>,
    /// The inverse of `M`, by unit and set.
    inverse: Vec<Vec<u32>>,
}

impl Basis {
    /// The basis of no sets.
    pub(crate) fn draw(entropy: &mut dyn Entropy) -> Self {
        Self {
            prime: Prime::draw(entropy),
            owners: Vec::new(),
            inverse: Vec::new(),
        }
    }

    /// The number of its units.
    pub(crate) fn len(&self) -> usize {
        self.inverse.len()
    }

    /// Whether a unit of this subject is in the basis.
    pub(crate) fn has_owner(&self, owner: u32) -> bool {
        self.owners.contains(&owner)
    }

    /// The combination of the sets that agrees on the basis with a set, of which `inside` are the positions of the basis' units. Additions
    /// only, because memberships are 0 or 1.
    pub(crate) fn coefficients(&self, inside: &[usize]) -> Coefficients {
        let mut sums = vec![0_u64; self.inverse.len()];
        for row in inside.iter().filter_map(|at| self.inverse.get(*at)) {
            for (sum, number) in sums.iter_mut().zip(row) {
                *sum += u64::from(*number);
            }
        }
        sums.into_iter().map(|sum| self.prime.reduce(sum)).collect()
    }

    /// Adds a set: the inverse of `M` with one more row and column (Schur complement).
    pub(crate) fn extend(&mut self, step: &Step) {
        let prime = self.prime;
        let negated: Vec<u32> = step
            .coefficients
            .iter()
            .map(|number| prime.negate(prime.multiply(*number, step.pivot_inverse)))
            .collect();
        for row in &mut self.inverse {
            let product = prime.reduce(step.column.sum_of(row));
            if product != 0 {
                let factor = prime.negate(product);
                for (number, other) in row.iter_mut().zip(&negated) {
                    *number = prime.multiply_add(*number, factor, *other);
                }
            }
            row.push(prime.negate(prime.multiply(product, step.pivot_inverse)));
        }
        let mut last = negated;
        last.push(step.pivot_inverse);
        self.inverse.push(last);
        self.owners.push(step.owner);
    }
}

/// The units of all bases, by which those in a set are found without looking up each.
#[derive(Default)]
pub(crate) struct Positions {
    ordinals: UnitSet,
    /// Epochs, bases and positions in them, by ordinal.
    by_ordinal: HashMap<u32, Vec<(Epoch, usize, usize)>>,
}

impl Positions {
    /// Adds a unit of a basis.
    pub(crate) fn add(&mut self, unit: Unit, basis: usize, position: usize) {
        self.ordinals.insert(unit.ordinal);
        let positions = self.by_ordinal.entry(unit.ordinal).or_default();
        positions.push((unit.epoch, basis, position));
    }

    /// For each of some bases the positions of its units that are in a set.
    pub(crate) fn inside(&self, set: &Parts, bases: usize) -> Vec<Vec<usize>> {
        let mut inside = vec![Vec::new(); bases];
        for (epoch, part) in set.iter() {
            for ordinal in part.intersection(&self.ordinals).iter() {
                let positions = self.by_ordinal.get(&ordinal).into_iter().flatten();
                for (_, basis, position) in positions.filter(|(of, ..)| *of == epoch) {
                    if let Some(inside) = inside.get_mut(*basis) {
                        inside.push(*position);
                    }
                }
            }
        }
        inside
    }
}

/// In how many bases each subject has units.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loads {
    bases: HashMap<u32, u32>,
    largest: u32,
}

impl Loads {
    pub(crate) fn of(&self, owner: u32) -> u32 {
        self.bases.get(&owner).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, owner: u32) {
        let load = self.bases.entry(owner).or_default();
        *load += 1;
        self.largest = self.largest.max(*load);
    }

    /// Takes back what was added last.
    pub(crate) fn remove(&mut self, owner: u32) {
        if let Some(load) = self.bases.get_mut(&owner) {
            *load = load.saturating_sub(1);
        }
    }

    /// The largest load that there was.
    pub(crate) fn largest(&self) -> u32 {
        self.largest
    }
}

#[cfg(test)]
mod tests {
    use super::{Basis, Column, Plan, Positions, Step};
    use crate::epochs::{Epochs, Unit};
    use crate::random::seeded::Seeded;
    use crate::{Epoch, UnitSet};
    use concordat_protocol::schema::VersionNumber;

    #[test]
    fn plan_leaves_a_basis_without_any_few_subjects() {
        for k in 2..=1_000 {
            let plan = Plan::of(k);
            assert!(u64::from(k - 1) * u64::from(plan.cap) < plan.bases as u64, "{k}");
            assert!(plan.bases >= crate::tokens::LANES);
        }
        assert_eq!(Plan::of(10), Plan { bases: 28, cap: 3 });
    }

    #[test]
    fn column_sums_the_numbers_at_its_bits() {
        let mut column = Column::default();
        let numbers: Vec<u32> = (0..200).map(|n| n * n + 1).collect();
        (0..200).for_each(|n| column.push(n % 3 == 0));
        let expected: u64 = (0..200).step_by(3).map(|n| u64::from(numbers[n])).sum();
        assert_eq!(column.sum_of(&numbers), expected);
    }

    /// The combination that a basis computes agrees with a set on the basis.
    #[test]
    fn basis_agrees_with_a_set_on_its_units() {
        let epochs = Epochs::new(VersionNumber::FIRST);
        let split = |units: &[u32]| {
            epochs
                .split(&units.iter().copied().collect(), VersionNumber::FIRST)
                .unwrap()
        };
        let sets = [
            split(&[0, 1, 2, 3, 4]),
            split(&[1, 2]),
            split(&[2, 3]),
            split(&[1, 3, 4]),
        ];
        let mut basis = Basis::draw(&mut Seeded::new(1));
        let (mut units, mut positions) = (Vec::new(), Positions::default());
        for (at, set) in sets.iter().enumerate() {
            let coefficients = basis.coefficients(&positions.inside(set, 1)[0]);
            let value = |unit: &Unit| {
                let mut column = Column::default();
                sets[..at].iter().for_each(|set| column.push(set.contains(*unit)));
                let sum = basis.prime.reduce(column.sum_of(&coefficients));
                (basis.prime.subtract(u32::from(set.contains(*unit)), sum), column)
            };
            assert!(units.iter().all(|unit| value(unit).0 == 0));
            let mut all = (0..5).map(|ordinal| Unit {
                epoch: epoch(),
                ordinal,
            });
            let unit = all.find(|unit| value(unit).0 != 0).unwrap();
            let (pivot, column) = value(&unit);
            let pivot_inverse = basis.prime.inverse(pivot);
            basis.extend(&Step {
                unit,
                owner: unit.ordinal,
                coefficients,
                pivot_inverse,
                column,
            });
            positions.add(unit, 0, at);
            units.push(unit);
        }
        assert_eq!(basis.len(), 4);
        assert!(basis.has_owner(units[0].ordinal));
        assert_eq!(basis.coefficients(&positions.inside(&split(&[]), 1)[0]), [0; 4]);
    }

    fn epoch() -> Epoch {
        let epochs = Epochs::new(VersionNumber::FIRST);
        let parts = epochs.split(&UnitSet::all(1), VersionNumber::FIRST).unwrap();
        parts.iter().next().unwrap().0
    }
}
