//! Units at which a residual is nonzero, among all.
//!
//! A residual is a set minus a combination of released sets, with coefficients modulo a prime. Where few units do not decide, all of those at which it
//! is nonzero are computed:
//!
//! 1. If the coefficients are fractions with small numerators and denominators, the residual is multiplied by their common denominator
//!    ([`Whole`]). Its values are then whole numbers smaller than the prime, so that they are nonzero exactly where the residual is, modulo each prime for which
//!    the whole numbers are the same. A figure about few subjects is such a combination of few sets, and the same one in nearly all bases, so that
//!    it is computed once for all of them ([`Supports`]).
//! 2. These values are computed in binary, one set for each digit: whole words of the sets are added, and not units.
//! 3. With other coefficients the values are added unit by unit.
//! 4. A sixteenth of all units comes first: the rest is computed only if too few subjects are in it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::state::Member;
use crate::UnitSet;
use crate::epochs::{Epoch, Parts, Unit};
use crate::field::Prime;
use crate::tokens::Fingerprint;

/// Units whose values are computed together: those of one container of a set.
const CHUNK: u32 = 1 << 16;

/// The first portion is one of so many, of whole chunks.
const PORTIONS: u32 = 16;

/// Units of a support whose subjects are looked up.
pub(super) const MAX_OWNERS: usize = 4_096;

/// Numerators and denominators of coefficients. A fraction of such numbers is the only one for its value, because twice the square is below each prime.
const MAX_NUMBER: i64 = 1 << 10;

/// The common denominator.
const MAX_FACTOR: i64 = 1 << 14;

/// Units of supports that are kept for one offer: about 25 MB.
const MAX_KEPT: usize = 1 << 20;

/// A residual in one basis.
pub(super) struct Terms<'a> {
    pub(super) prime: Prime,
    pub(super) coefficients: &'a [u32],
    pub(super) members: &'a [Arc<Member>],
    pub(super) set: &'a Parts,
    pub(super) fingerprint: &'a Fingerprint,
}

/// Where a residual is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Portion {
    /// At the first units: all of them if there are few.
    First,
    /// At all others.
    Rest,
}

/// The units of a portion at which a residual is nonzero.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Support {
    /// All of them, or an even selection.
    pub(super) units: Vec<Unit>,
    /// Whether these are all.
    pub(super) is_whole: bool,
}

/// A residual times a whole number: the whole coefficients of members, by their numbers, and that of the set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Whole {
    numbers: Vec<(usize, i64)>,
    factor: i64,
}

/// Those of the residuals of one offer that were computed, by the set and the combination.
#[derive(Default)]
pub(super) struct Supports {
    known: HashMap<(Fingerprint, Whole, Portion), Arc<Support>>,
    kept: usize,
}

impl Supports {
    /// The support of a residual; `None` if it takes more than `work`, which is counted in words of 64 units, and in units where whole numbers do not do.
    pub(super) fn of(&mut self, terms: &Terms<'_>, portion: Portion, work: &mut u64) -> Option<Arc<Support>> {
        let Some(whole) = Whole::of(terms.prime, terms.coefficients) else {
            return terms.by_unit(portion, work).map(Arc::new);
        };
        let key = (*terms.fingerprint, whole, portion);
        if let Some(known) = self.known.get(&key) {
            return Some(known.clone());
        }
        let support = Arc::new(terms.by_word(&key.1, portion, work)?);
        if self.kept + support.units.len() <= MAX_KEPT {
            self.kept += support.units.len();
            self.known.insert(key, support.clone());
        }
        Some(support)
    }
}

impl Whole {
    /// The residual with these coefficients; `None` if a number would be too large.
    fn of(prime: Prime, coefficients: &[u32]) -> Option<Self> {
        let mut numbers: Vec<(usize, i64)> = Vec::new();
        let mut factor = 1_i64;
        for (at, coefficient) in coefficients.iter().enumerate().filter(|(_, number)| **number != 0) {
            let multiple = prime.multiply(*coefficient, u32::try_from(factor).ok()?);
            let (numerator, denominator) = prime.fraction(multiple, MAX_NUMBER)?;
            factor = factor.checked_mul(denominator).filter(|factor| *factor <= MAX_FACTOR)?;
            if denominator != 1 {
                numbers.iter_mut().for_each(|(_, number)| *number *= denominator);
            }
            numbers.push((at, numerator));
        }
        let sum = numbers.iter().map(|(_, number)| number.abs()).sum::<i64>() + factor;
        // No value is a multiple of the prime but 0.
        (sum < prime.least_multiple()).then_some(Self { numbers, factor })
    }
}

impl Terms<'_> {
    /// The support, by the values of whole numbers.
    fn by_word(&self, whole: &Whole, portion: Portion, work: &mut u64) -> Option<Support> {
        let members = whole.numbers.iter();
        let members = members.filter_map(|(at, number)| Some((&self.members.get(*at)?.parts, -number)));
        let terms: Vec<(&Parts, i64)> = members.chain([(self.set, whole.factor)]).collect();
        let units = terms.iter().flat_map(|(parts, _)| parts.iter());
        let within = portion.of(units.filter_map(|(_, part)| part.largest()).max().unwrap_or(0));
        let mut support = Vec::new();
        for epoch in epochs(terms.iter().map(|(parts, _)| *parts)) {
            let (mut plus, mut minus) = (Digits::default(), Digits::default());
            for (set, number) in terms
                .iter()
                .filter_map(|(parts, number)| Some((parts.at(epoch)?, *number)))
            {
                let digits = if number > 0 { &mut plus } else { &mut minus };
                let units = within.of(set, work)?;
                digits.add(&units, number.unsigned_abs(), work)?;
            }
            support.push((epoch, plus.differ(&minus, work)?));
        }
        let number = support.iter().map(|(_, units)| units.len()).sum::<u64>();
        *work = work.checked_sub(number)?;
        let mut selection = Selection::default();
        for (epoch, units) in &support {
            units
                .iter()
                .for_each(|ordinal| selection.push(Unit { epoch: *epoch, ordinal }));
        }
        Some(selection.finish())
    }

    /// The support, by the values at each unit: all of it is the first portion.
    pub(super) fn by_unit(&self, portion: Portion, work: &mut u64) -> Option<Support> {
        if portion == Portion::Rest {
            return Some(Selection::default().finish());
        }
        let terms = self.coefficients.iter().zip(self.members);
        let terms = terms.filter(|(number, _)| **number != 0);
        let mut terms: Vec<(&Parts, u32)> = terms
            .map(|(number, member)| (&member.parts, self.prime.negate(*number)))
            .collect();
        terms.push((self.set, 1));
        let additions = terms.iter().map(|(parts, _)| parts.len()).sum();
        *work = work.checked_sub(additions)?;
        let mut support = Selection::default();
        for epoch in epochs(terms.iter().map(|(parts, _)| *parts)) {
            let terms = terms
                .iter()
                .filter_map(|(parts, number)| Some((parts.at(epoch)?, *number)));
            let terms: Vec<(&UnitSet, u32)> = terms.collect();
            add_support(&mut support, epoch, &terms, self.prime);
        }
        Some(support.finish())
    }
}

/// The units of a portion.
enum Within {
    All,
    None,
    These(UnitSet),
}

impl Portion {
    /// Its units of those up to the largest one.
    fn of(self, largest: u32) -> Within {
        let chunks = largest / CHUNK / PORTIONS + 1;
        let first = UnitSet::all(chunks.saturating_mul(CHUNK));
        let is_all = first.largest().is_some_and(|last| last >= largest);
        match self {
            Self::First if is_all => Within::All,
            Self::First => Within::These(first),
            Self::Rest if is_all => Within::None,
            Self::Rest => Within::These(UnitSet::all(largest.saturating_add(1)).difference(&first)),
        }
    }
}

impl Within {
    /// The units of a set that are in the portion.
    fn of<'s>(&self, set: &'s UnitSet, work: &mut u64) -> Option<Cow<'s, UnitSet>> {
        match self {
            Self::All => Some(Cow::Borrowed(set)),
            Self::None => Some(Cow::Owned(UnitSet::new())),
            Self::These(units) => {
                let within = set.intersection(units);
                *work = work.checked_sub(within.words())?;
                Some(Cow::Owned(within))
            }
        }
    }
}

fn epochs<'a>(parts: impl Iterator<Item = &'a Parts>) -> BTreeSet<Epoch> {
    parts.flat_map(|parts| parts.iter().map(|(epoch, _)| epoch)).collect()
}

/// Whole numbers at units, in binary: the units with a 1 at each digit, the lowest first.
#[derive(Default)]
struct Digits(Vec<UnitSet>);

impl Digits {
    /// Adds a number at the units of a set.
    fn add(&mut self, units: &UnitSet, number: u64, work: &mut u64) -> Option<()> {
        for digit in (0..u64::BITS).filter(|digit| number >> digit & 1 == 1) {
            let mut carried = units.clone();
            for at in usize::try_from(digit).ok()?.. {
                if carried.is_empty() {
                    break;
                }
                while self.0.len() <= at {
                    self.0.push(UnitSet::new());
                }
                let sum = self.0.get_mut(at)?;
                *work = work.checked_sub(2 * (sum.words() + carried.words()))?;
                let both = sum.intersection(&carried);
                *sum = sum.symmetric_difference(&carried);
                carried = both;
            }
        }
        Some(())
    }

    /// The units at which two numbers differ.
    fn differ(&self, other: &Self, work: &mut u64) -> Option<UnitSet> {
        let none = UnitSet::new();
        let mut found = UnitSet::new();
        for at in 0..self.0.len().max(other.0.len()) {
            let [one, another] = [self, other].map(|digits| digits.0.get(at).unwrap_or(&none));
            *work = work.checked_sub(2 * (one.words() + another.words()) + found.words())?;
            found = found.union(&one.symmetric_difference(another));
        }
        Some(found)
    }
}

/// Adds the units of one epoch at which the sum of sets times numbers is nonzero.
fn add_support(support: &mut Selection, epoch: Epoch, terms: &[(&UnitSet, u32)], prime: Prime) {
    let largest = terms.iter().filter_map(|(set, _)| set.largest()).max().unwrap_or(0);
    let mut sums = vec![0_u64; largest.min(CHUNK - 1) as usize + 1];
    for first in (0..=largest).step_by(CHUNK as usize) {
        sums.fill(0);
        for (set, number) in terms {
            for unit in set.between(first, first + (CHUNK - 1)) {
                if let Some(sum) = sums.get_mut((unit - first) as usize) {
                    *sum += u64::from(*number);
                }
            }
        }
        let ordinals = (first..=largest).zip(&sums);
        for (ordinal, _) in ordinals.filter(|(_, sum)| prime.reduce(**sum) != 0) {
            support.push(Unit { epoch, ordinal });
        }
    }
}

/// At most [`MAX_OWNERS`] units, evenly from all that were added.
#[derive(Default)]
struct Selection {
    units: Vec<Unit>,
    seen: usize,
    /// A power of two; every so many units are selected.
    log_stride: u32,
}

impl Selection {
    fn push(&mut self, unit: Unit) {
        if self.seen.trailing_zeros() >= self.log_stride {
            self.units.push(unit);
        }
        self.seen += 1;
        if self.units.len() > MAX_OWNERS {
            let mut at = 0_usize;
            self.units.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.log_stride += 1;
        }
    }

    fn finish(self) -> Support {
        Support {
            is_whole: self.log_stride == 0,
            units: self.units,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_OWNERS, Selection, Unit};
    use crate::{Epochs, UnitSet};
    use concordat_protocol::schema::VersionNumber;

    #[test]
    fn selection_is_even_and_bounded() {
        let epochs = Epochs::new(VersionNumber::FIRST);
        let parts = epochs.split(&UnitSet::all(1), VersionNumber::FIRST).unwrap();
        let epoch = parts.iter().next().unwrap().0;
        let select = |count: u32| {
            let mut selection = Selection::default();
            (0..count).for_each(|ordinal| selection.push(Unit { epoch, ordinal }));
            let support = selection.finish();
            assert_eq!(support.is_whole, count <= 4_096);
            let ordinals: Vec<u32> = support.units.iter().map(|unit| unit.ordinal).collect();
            ordinals
        };
        assert!(select(4_096).into_iter().eq(0..4_096));
        assert!(select(4_097).into_iter().eq((0..4_097).step_by(2)));
        let many = select(1_000_000);
        assert!(many.len() <= MAX_OWNERS && many.len() > MAX_OWNERS / 4);
        assert!(many.windows(2).all(|pair| pair[1] - pair[0] == many[1]));
    }
}
