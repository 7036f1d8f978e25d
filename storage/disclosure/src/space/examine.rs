//! Verdicts about sets, one after the other, and the replay of sets that were released.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::error::SpaceError;
use super::owners::OwnersOf;
use super::search::{Best, Found, Residual, Search};
use super::sets::{Neighbor, Offered, ReleasedSet, Verdict};
use super::shared::{Shared, SharedSet};
use super::state::{Member, Offer, Space, SpaceParameters};
use super::support::Terms;
use crate::bases::{Basis, Coefficients, Column, Loads, Step};
use crate::boxes::{self, CellBox};
use crate::epochs::{Epochs, Parts, Unit};
use crate::tokens::{Fingerprint, LANES};
use crate::{Entropy, UnitSet};

/// Words of sets, or units, that are read for one offer to compute residuals at all units, when few units do not decide: about 50 ms. What is not decided
/// within it counts as what isolates.
const MAX_WORK: u64 = 64 << 20;

impl Space {
    /// The space in which `released` were released in this order, with new random bases. The first set is the universe.
    ///
    /// All sets are kept, also if `k` is larger than at their release. If the bases then have no capacity for further sets, only derivable
    /// ones are accepted.
    ///
    /// # Errors
    /// If the threshold, a set or a version is invalid, or there are fewer than `k` subjects.
    pub fn rebuild(
        parameters: SpaceParameters,
        released: &[ReleasedSet],
        epochs: Epochs,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, SpaceError> {
        Self::restored(parameters, released.to_vec(), epochs, owners_of, entropy)
    }

    /// The same; the sets are moved into the space, because those of many rows take hundreds of megabytes.
    pub(crate) fn restored(
        parameters: SpaceParameters,
        released: Vec<ReleasedSet>,
        epochs: Epochs,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, SpaceError> {
        let mut space = Self::empty(parameters, epochs, entropy)?;
        space.replay(released, owners_of, entropy)?;
        Ok(space)
    }

    /// Verdicts in the given order; each certified set counts as released for the later ones. Nothing is changed: the result is committed
    /// or dropped. The same entropy leads to the same result.
    ///
    /// # Errors
    /// If a set goes beyond the universe or is of an unknown version.
    pub fn offer(
        &self,
        offered: &[Offered<'_>],
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<Offer, SpaceError> {
        self.offer_with(offered, Search::new(owners_of, MAX_WORK), entropy)
    }

    /// The same, with a search that has bounds of its own.
    pub(super) fn offer_with(
        &self,
        offered: &[Offered<'_>],
        search: Search<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<Offer, SpaceError> {
        let parts = offered.iter().map(|set| self.split(set.units.clone(), set.version));
        let parts = parts.collect::<Result<Vec<Parts>, SpaceError>>()?;
        let shared = Shared::of(self, offered)?;
        let all = parts.iter().chain(shared.parts());
        let mut fingerprints = self.tokens.fingerprints(&all.collect::<Vec<_>>());
        let of_shared = fingerprints.split_off(parts.len());
        let mut shared = shared.with(of_shared);
        let mut draft = Draft::new(self, search, entropy);
        let universe = draft.members.first().map(|universe| &universe.parts);
        draft.search.fill(universe, &parts, self.parameters.k, draft.entropy);
        let mut verdicts = Vec::with_capacity(offered.len());
        for ((set, parts), fingerprint) in offered.iter().zip(parts).zip(fingerprints) {
            let member = Member {
                parts,
                fingerprint,
                cell: set.cell.clone(),
                version: set.version,
            };
            verdicts.push(draft.verdict(member, set, &mut shared)?);
        }
        let (offer, _) = draft.finish(verdicts);
        Ok(offer)
    }

    /// Adds sets that were released, whether or not they are safe. Subjects are looked up for all sets at once, and again only for a set whose residuals
    /// are about few of the units that were chosen.
    fn replay(
        &mut self,
        released: Vec<ReleasedSet>,
        owners_of: &mut dyn OwnersOf,
        entropy: &mut dyn Entropy,
    ) -> Result<(), SpaceError> {
        let mut parts = Vec::with_capacity(released.len());
        let mut described = Vec::with_capacity(released.len());
        for ReleasedSet { units, version, cell } in released {
            parts.push(self.split(units, version)?);
            described.push((cell, version));
        }
        let universe = parts.first().ok_or(SpaceError::NoUniverse)?;
        let mut search = Search::new(owners_of, u64::MAX);
        search.fill_each(universe, &parts, self.parameters.k, entropy);
        let fingerprints = self.tokens.fingerprints(&parts.iter().collect::<Vec<_>>());
        for (((cell, version), parts), fingerprint) in described.into_iter().zip(parts).zip(fingerprints) {
            search.next_set_alone();
            let mut draft = Draft::new(self, search, entropy);
            draft.admit(Member {
                parts,
                fingerprint,
                cell,
                version,
            })?;
            let (offer, left) = draft.finish(Vec::new());
            search = left;
            self.commit(offer)?;
        }
        Ok(())
    }
}

/// A set that is examined.
#[derive(Clone, Copy)]
struct Examined<'a> {
    parts: &'a Parts,
    fingerprint: &'a Fingerprint,
}

impl Member {
    fn examined(&self) -> Examined<'_> {
        Examined {
            parts: &self.parts,
            fingerprint: &self.fingerprint,
        }
    }
}

impl SharedSet {
    fn examined(&self) -> Examined<'_> {
        Examined {
            parts: &self.parts,
            fingerprint: &self.fingerprint,
        }
    }
}

/// A space with the sets that were certified so far in one offer.
struct Draft<'a, 'o> {
    space: &'a Space,
    entropy: &'a mut dyn Entropy,
    /// All sets: those of the space, and then the certified ones.
    members: Vec<Arc<Member>>,
    steps: Vec<Vec<Step>>,
    loads: Loads,
    columns: HashMap<Unit, Column>,
    search: Search<'o>,
}

impl<'a, 'o> Draft<'a, 'o> {
    fn new(space: &'a Space, search: Search<'o>, entropy: &'a mut dyn Entropy) -> Self {
        Self {
            space,
            entropy,
            members: space.members.clone(),
            steps: vec![Vec::new(); space.bases.len()],
            loads: space.loads.clone(),
            columns: HashMap::new(),
            search,
        }
    }

    /// Looks up the units that will be searched: set by set, so that each set is in the processor's cache once.
    fn fill_columns(&mut self) {
        if !self.columns.is_empty() {
            return;
        }
        let units: BTreeSet<Unit> = self.search.units().collect();
        let mut columns: Vec<(Unit, Column)> = units.into_iter().map(|unit| (unit, Column::default())).collect();
        for member in &self.members {
            for (unit, column) in &mut columns {
                column.push(member.parts.contains(*unit));
            }
        }
        self.columns = columns.into_iter().collect();
    }

    /// The verdict about a set. What isolates is stated first, then what isolates with a neighbor or with what changed in later versions. A set that
    /// follows from what was released for everyone possible is known, so that its neighbors do not matter. That the budget is used up is the last
    /// reason: it is not seen of a set that would be withheld.
    fn verdict(&mut self, member: Member, offered: &Offered<'_>, shared: &mut Shared) -> Result<Verdict, SpaceError> {
        self.search.next_set();
        let has_changed = !self.is_released(&member) && self.isolates_changed(offered)?;
        let residuals = self.residuals(&member.parts);
        if self.is_derivable(&residuals, &member.fingerprint) {
            let verdict = self.verdict_of_boxes(&residuals, &member.cell);
            let shows_change = verdict == Verdict::Derivable && has_changed;
            return Ok(if shows_change { Verdict::Neighbor } else { verdict });
        }
        if !self.space.is_extendable() {
            return Ok(Verdict::NoBudget);
        }
        self.fill_columns();
        let is_used_up = self.members.len() >= self.space.limit();
        let steps = match self.steps_of(member.examined(), residuals) {
            Ok(steps) => steps,
            Err(Verdict::Dense) if is_used_up => return Ok(Verdict::NoBudget),
            Err(verdict) => return Ok(verdict),
        };
        // Neighbors are compared with what was released before the set.
        if has_changed || offered.is_withheld || self.neighbors_isolate((member.examined(), offered), shared) {
            self.take_back(&steps);
            return Ok(Verdict::Neighbor);
        }
        if is_used_up {
            self.take_back(&steps);
            return Ok(Verdict::NoBudget);
        }
        self.accept(member, steps);
        Ok(Verdict::Certified)
    }

    /// Whether a set of this description and version was released.
    fn is_released(&self, member: &Member) -> bool {
        let mut members = self.members.iter();
        members.any(|of| of.version == member.version && of.cell == member.cell)
    }

    /// Whether a set isolates with the units that changed since an earlier version: all of them, and those in each neighbor. What differs from
    /// that version is then withheld whether or not a unit that changed is in the set.
    fn isolates_changed(&mut self, offered: &Offered<'_>) -> Result<bool, SpaceError> {
        for changed in self.space.epochs.changed_until(offered.version) {
            let within = offered.neighbors.iter().map(|of| changed.intersection(of.units));
            let mut tried: Vec<UnitSet> = Vec::new();
            for added in std::iter::once(changed.clone()).chain(within) {
                let units = offered.units.union(&added);
                if units == *offered.units || tried.contains(&units) {
                    continue;
                }
                let parts = self.space.split(units.clone(), offered.version)?;
                let fingerprint = self.space.tokens.fingerprints(&[&parts]).pop().unwrap_or_default();
                let set = Examined {
                    parts: &parts,
                    fingerprint: &fingerprint,
                };
                if self.set_isolates(set, None) {
                    return Ok(true);
                }
                tried.push(units);
            }
        }
        Ok(false)
    }

    /// Whether the set may isolate because one of its neighbors does. The set is a wider one without some of its subjects, so a combination of the released
    /// sets with it is one with the wider set, about the few whom that isolates, and one with those that are left out. The set is accepted if
    /// each is about `k` subjects beside those few: then the verdict does not depend on who of them is in the set. What a clause of several alternatives
    /// leaves out can be chosen by its text, and is no reason.
    fn neighbors_isolate(&mut self, (set, offered): (Examined<'_>, &Offered<'_>), shared: &mut Shared) -> bool {
        let mut few = BTreeSet::new();
        for neighbor in offered.neighbors.iter().filter(|neighbor| neighbor.is_examined) {
            if !self.neighbor_isolates(neighbor, shared) {
                continue;
            }
            let of_neighbor = shared.get(neighbor).filter(|_| neighbor.is_plain);
            match of_neighbor.and_then(|set| self.isolated_by(set.examined())) {
                Some(isolated) => few.extend(isolated),
                None => return true,
            }
        }
        !few.is_empty() && !self.is_about_others(set, &few)
    }

    /// The subjects whom a set isolates; `None` if they were not all found.
    fn isolated_by(&mut self, set: Examined<'_>) -> Option<BTreeSet<u32>> {
        let k = self.space.parameters.k;
        let mut isolated = BTreeSet::new();
        for (at, coefficients) in self.residuals(set.parts).iter().enumerate() {
            let found = self.find(at, (set, coefficients), (k, u32::MAX));
            if !found.has_subjects() {
                isolated.extend(found.few()?);
            }
        }
        Some(isolated)
    }

    /// Whether each figure that a set adds is about `k` subjects beside these.
    fn is_about_others(&mut self, set: Examined<'_>, few: &BTreeSet<u32>) -> bool {
        let k = self.space.parameters.k;
        let with_few = k.saturating_add(u32::try_from(few.len()).unwrap_or(u32::MAX));
        let residuals = self.residuals(set.parts);
        let mut residuals = residuals.iter().enumerate();
        residuals.all(|(at, coefficients)| {
            let found = self.find(at, (set, coefficients), (with_few, u32::MAX));
            u32::try_from(found.others(few)).is_ok_and(|others| others >= k)
        })
    }

    /// Whether a figure about fewer than `k` subjects, or that a region is empty, would follow from a neighbor. What isolates once does so with
    /// further sets too.
    fn neighbor_isolates(&mut self, neighbor: &Neighbor<'_>, shared: &mut Shared) -> bool {
        let Some(set) = shared.get(neighbor) else { return true };
        set.isolates = set.isolates || self.set_isolates(set.examined(), Some(neighbor.cell));
        set.isolates
    }

    fn set_isolates(&mut self, set: Examined<'_>, cell: Option<&CellBox>) -> bool {
        let residuals = self.residuals(set.parts);
        if self.is_derivable(&residuals, set.fingerprint) {
            return cell.is_some_and(|cell| self.verdict_of_boxes(&residuals, cell) != Verdict::Derivable);
        }
        self.fill_columns();
        let k = self.space.parameters.k;
        let mut residuals = residuals.iter().enumerate();
        residuals.any(|(at, coefficients)| !self.find(at, (set, coefficients), (k, u32::MAX)).has_subjects())
    }

    /// The residual of a set in each basis with the sets so far.
    fn residuals(&mut self, parts: &Parts) -> Vec<Coefficients> {
        let mut residuals = Vec::with_capacity(self.space.bases.len());
        let inside = self.space.positions.inside(parts, self.space.bases.len());
        for ((basis, steps), inside) in self.space.bases.iter().zip(&self.steps).zip(inside) {
            let mut coefficients = basis.coefficients(&inside);
            for step in steps {
                let column = column(&mut self.columns, &self.members, step.unit);
                let value = value(basis, &coefficients, column, parts.contains(step.unit));
                eliminate(basis, &mut coefficients, step, value);
            }
            residuals.push(coefficients);
        }
        residuals
    }

    /// Whether the residuals vanish everywhere, by the fingerprints of the sets.
    fn is_derivable(&self, residuals: &[Coefficients], fingerprint: &Fingerprint) -> bool {
        let lanes = self
            .space
            .bases
            .iter()
            .zip(residuals)
            .zip(fingerprint)
            .enumerate()
            .take(LANES);
        let mut vanishing = lanes.map(|(lane, ((basis, coefficients), sum))| {
            let terms = coefficients.iter().zip(&self.members).map(|(number, member)| {
                let sum = member.fingerprint.get(lane).copied().unwrap_or(0);
                basis.prime.multiply(*number, basis.prime.reduce(sum))
            });
            let combination = terms.map(u64::from).sum();
            basis.prime.reduce(combination) == basis.prime.reduce(*sum)
        });
        vanishing.all(|vanishes| vanishes)
    }

    fn verdict_of_boxes(&mut self, residuals: &[Coefficients], cell: &CellBox) -> Verdict {
        let lanes: Vec<_> = self.space.bases.iter().zip(residuals).take(LANES).collect();
        let lanes: Vec<_> = lanes
            .iter()
            .map(|(basis, numbers)| (basis.prime, numbers.as_slice()))
            .collect();
        let cells: Vec<_> = self.members.iter().map(|member| &member.cell).collect();
        if boxes::imply(cell, &cells, &lanes, self.entropy) {
            Verdict::Derivable
        } else {
            Verdict::RevealsEmpty
        }
    }

    /// What extends each basis by a set, if its residuals are about enough subjects.
    fn steps_of(&mut self, set: Examined<'_>, residuals: Vec<Coefficients>) -> Result<Vec<Step>, Verdict> {
        let k = self.space.parameters.k;
        let mut steps = Vec::with_capacity(residuals.len());
        for (at, coefficients) in residuals.into_iter().enumerate() {
            match self.find(at, (set, &coefficients), (k, self.space.plan.cap)).best() {
                Ok(best) => steps.push(self.step(at, best, coefficients)),
                Err(verdict) => {
                    self.take_back(&steps);
                    return Err(verdict);
                }
            }
        }
        Ok(steps)
    }

    /// The subjects of a residual, up to `k`, and one of those in at most `cap` bases.
    fn find(&mut self, at: usize, (set, coefficients): (Examined<'_>, &[u32]), (k, cap): (u32, u32)) -> Found {
        let mut found = Found::new(k, cap);
        let (Some(basis), Some(steps)) = (self.space.bases.get(at), self.steps.get(at)) else {
            return found;
        };
        let (loads, columns, members) = (&self.loads, &mut self.columns, &self.members);
        let mut residual = Residual {
            terms: Terms {
                prime: basis.prime,
                coefficients,
                members,
                set: set.parts,
                fingerprint: set.fingerprint,
            },
            value: &mut |unit| {
                value(
                    basis,
                    coefficients,
                    column(columns, members, unit),
                    set.parts.contains(unit),
                )
            },
            load: &|owner| loads.of(owner) + u32::from(!holds(basis, steps, owner)),
        };
        self.search.find(&mut found, &mut residual);
        found
    }

    /// Adds a unit to a basis, for now in `loads` only.
    fn step(&mut self, at: usize, best: Best, coefficients: Coefficients) -> Step {
        let prime = self.space.bases.get(at).map(|basis| basis.prime);
        if !self.holds(at, best.owner) {
            self.loads.add(best.owner);
        }
        Step {
            unit: best.unit,
            owner: best.owner,
            coefficients,
            pivot_inverse: prime.map_or(0, |prime| prime.inverse(best.value)),
            column: column(&mut self.columns, &self.members, best.unit).clone(),
        }
    }

    fn take_back(&mut self, steps: &[Step]) {
        for (at, step) in steps.iter().enumerate() {
            if !self.holds(at, step.owner) {
                self.loads.remove(step.owner);
            }
        }
    }

    fn holds(&self, at: usize, owner: u32) -> bool {
        let found = self.space.bases.get(at).zip(self.steps.get(at));
        found.is_some_and(|(basis, steps)| holds(basis, steps, owner))
    }

    fn accept(&mut self, member: Member, steps: Vec<Step>) {
        for (all, step) in self.steps.iter_mut().zip(steps) {
            all.push(step);
        }
        self.members.push(Arc::new(member));
    }

    /// Adds a set that was released; one that follows from the others adds nothing.
    fn admit(&mut self, member: Member) -> Result<(), SpaceError> {
        let residuals = self.residuals(&member.parts);
        if self.is_derivable(&residuals, &member.fingerprint) {
            return if self.members.is_empty() {
                Err(self.too_few())
            } else {
                Ok(())
            };
        }
        let k = self.space.parameters.k;
        let mut steps = Vec::with_capacity(residuals.len());
        for (at, coefficients) in residuals.into_iter().enumerate() {
            let mut found = self.find(at, (member.examined(), &coefficients), (k, self.space.plan.cap));
            if self.members.is_empty() && !found.has_subjects() {
                return Err(self.too_few());
            }
            if found.any().is_none() {
                found = self.find(at, (member.examined(), &coefficients), (k, u32::MAX));
            }
            let best = found.any().ok_or(SpaceError::NoOwners)?;
            steps.push(self.step(at, best, coefficients));
        }
        self.accept(member, steps);
        Ok(())
    }

    fn too_few(&self) -> SpaceError {
        SpaceError::TooFewSubjects {
            k: self.space.parameters.k,
        }
    }

    fn finish(self, verdicts: Vec<Verdict>) -> (Offer, Search<'o>) {
        let after = self.space.members.len();
        let offer = Offer {
            verdicts,
            added: self.members.into_iter().skip(after).collect(),
            steps: self.steps,
            loads: self.loads,
            identity: self.space.identity,
            after,
            latest: self.space.epochs.latest(),
            #[cfg(test)]
            spent: self.search.spent(MAX_WORK),
        };
        (offer, self.search)
    }
}

/// Whether a unit of this subject is in a basis with these steps.
fn holds(basis: &Basis, steps: &[Step], owner: u32) -> bool {
    basis.has_owner(owner) || steps.iter().any(|step| step.owner == owner)
}

/// The membership of `unit` in all sets so far.
fn column<'a>(columns: &'a mut HashMap<Unit, Column>, members: &[Arc<Member>], unit: Unit) -> &'a Column {
    let column = columns.entry(unit).or_default();
    for member in members.iter().skip(column.len()) {
        column.push(member.parts.contains(unit));
    }
    column
}

/// The value of a residual at a unit with this membership in the sets, and in the set that the residual is of.
fn value(basis: &Basis, coefficients: &[u32], column: &Column, is_member: bool) -> u32 {
    let sum = basis.prime.reduce(column.sum_of(coefficients));
    basis.prime.subtract(u32::from(is_member), sum)
}

/// Makes a residual with `value` at the unit of `step` vanish there.
fn eliminate(basis: &Basis, coefficients: &mut Coefficients, step: &Step, value: u32) {
    let factor = basis.prime.multiply(value, step.pivot_inverse);
    let negated = basis.prime.negate(factor);
    for (number, other) in coefficients.iter_mut().zip(&step.coefficients) {
        *number = basis.prime.multiply_add(*number, negated, *other);
    }
    coefficients.push(factor);
}
