//! Subjects of a residual: first those of few units, then of all.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::owners::OwnersOf;
use super::sets::Verdict;
use super::support::{MAX_OWNERS, Portion, Support, Supports, Terms};
use crate::Entropy;
use crate::epochs::{Parts, Unit};

/// Units of the universe at which residuals are evaluated.
const FROM_UNIVERSE: usize = 64;

/// The same of a space that is restored, where a look-up for a single set takes longer than to evaluate more: ten of them are in what a grouping of everyone
/// leaves out, if that is a hundredth.
const FROM_RESTORED: usize = 1_024;

/// What was found of one residual.
pub(super) struct Found {
    k: usize,
    cap: u32,
    subjects: BTreeSet<u32>,
    best: Option<Best>,
    /// Whether all of the residual was searched.
    is_whole: bool,
}

/// The unit whose subject is in the fewest bases.
#[derive(Clone, Copy)]
pub(super) struct Best {
    load: u32,
    pub(super) unit: Unit,
    pub(super) owner: u32,
    /// The value of the residual.
    pub(super) value: u32,
}

impl Found {
    /// To find `k` subjects, and one whose load is at most `cap` with this basis.
    pub(super) fn new(k: u32, cap: u32) -> Self {
        Self {
            k: usize::try_from(k).unwrap_or(usize::MAX),
            cap,
            subjects: BTreeSet::new(),
            best: None,
            is_whole: false,
        }
    }

    /// Whether the residual is about enough subjects.
    pub(super) fn has_subjects(&self) -> bool {
        self.subjects.len() >= self.k
    }

    /// All subjects of the residual, if it is about fewer than required; `None` if they were not found within the bounds of the computation.
    pub(super) fn few(self) -> Option<BTreeSet<u32>> {
        (self.is_whole && !self.has_subjects()).then_some(self.subjects)
    }

    /// How many of the subjects that were found are not among these.
    pub(super) fn others(&self, than: &BTreeSet<u32>) -> usize {
        self.subjects.difference(than).count()
    }

    /// The unit for the basis, if the residual is about enough subjects and one of them can be in one more basis.
    pub(super) fn best(&self) -> Result<Best, Verdict> {
        if !self.has_subjects() {
            return Err(Verdict::Isolates);
        }
        self.best.ok_or(Verdict::Dense)
    }

    /// The unit for the basis, about how many subjects the residual may be.
    pub(super) fn any(&self) -> Option<Best> {
        self.best
    }

    /// Whether a unit of a subject with this load would become the best.
    fn is_better(&self, load: u32) -> bool {
        load <= self.cap && self.best.is_none_or(|best| load < best.load)
    }

    /// Whether there is a load that would be better: none is below 1, because the basis of the residual counts.
    fn could_be_better(&self) -> bool {
        self.best.is_none_or(|best| best.load > 1)
    }

    /// Twice as many subjects as needed give a choice among loads.
    fn has_choice(&self) -> bool {
        self.subjects.len() >= self.k.saturating_mul(2) && self.best.is_some()
    }

    fn add(&mut self, load: u32, unit: Unit, owner: u32, value: u32) {
        self.subjects.insert(owner);
        if self.is_better(load) {
            self.best = Some(Best {
                load,
                unit,
                owner,
                value,
            });
        }
    }
}

/// A residual in one basis, and how it is evaluated.
pub(super) struct Residual<'a> {
    pub(super) terms: Terms<'a>,
    /// The value at a unit.
    pub(super) value: &'a mut dyn FnMut(Unit) -> u32,
    /// The number of bases with a unit of a subject, if this basis had one.
    pub(super) load: &'a dyn Fn(u32) -> u32,
}

/// Where residuals are evaluated.
pub(super) struct Search<'a> {
    owners_of: &'a mut dyn OwnersOf,
    /// What was looked up: for sets of rows each look-up reads the rows of a dataset.
    looked_up: HashMap<u32, Option<u32>>,
    /// Units of work that are left: what [`Supports`] counts.
    work: u64,
    supports: Supports,
    /// Units with their subjects: some of each offered set, in the order of the sets.
    own: std::vec::IntoIter<Vec<(Unit, u32)>>,
    current: Vec<(Unit, u32)>,
    shared: Vec<(Unit, u32)>,
    /// Units that are left in `shared` for all sets.
    lasting: usize,
    #[cfg(test)]
    exceeded: u32,
    /// Whether each support is computed by units, without a bound, as a reference.
    #[cfg(test)]
    is_by_unit: bool,
}

/// What was spent on one offer.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// Units of work.
    pub(crate) work: u64,
    /// How often the bound did not suffice.
    pub(crate) exceeded: u32,
}

impl<'a> Search<'a> {
    pub(super) fn new(owners_of: &'a mut dyn OwnersOf, work: u64) -> Self {
        Self {
            owners_of,
            looked_up: HashMap::new(),
            work,
            supports: Supports::default(),
            own: Vec::new().into_iter(),
            current: Vec::new(),
            shared: Vec::new(),
            lasting: 0,
            #[cfg(test)]
            exceeded: 0,
            #[cfg(test)]
            is_by_unit: false,
        }
    }

    /// The reference: each support by units, and none of them kept.
    #[cfg(test)]
    pub(super) fn by_unit(owners_of: &'a mut dyn OwnersOf) -> Self {
        Self {
            is_by_unit: true,
            ..Self::new(owners_of, u64::MAX)
        }
    }

    /// What was spent of `bound`.
    #[cfg(test)]
    pub(super) fn spent(&self, bound: u64) -> Spent {
        Spent {
            work: bound.saturating_sub(self.work),
            exceeded: self.exceeded,
        }
    }

    /// Chooses units of the sets that will be examined and of the universe.
    pub(super) fn fill(&mut self, universe: Option<&Parts>, sets: &[Parts], k: u32, entropy: &mut dyn Entropy) {
        let mut drawn: Vec<Vec<Unit>> = sets.iter().map(|set| set.sample(number_of(k), entropy)).collect();
        drawn.extend(universe.map(|universe| universe.sample(FROM_UNIVERSE, entropy)));
        let mut known = self.known(drawn);
        self.shared = known.split_off(sets.len()).into_iter().flatten().collect();
        self.own = known.into_iter();
    }

    /// The same for a space that is restored, of which each set is examined with others of the universe: all subjects are looked up at once.
    pub(super) fn fill_each(&mut self, universe: &Parts, sets: &[Parts], k: u32, entropy: &mut dyn Entropy) {
        let mut drawn = vec![universe.sample(FROM_RESTORED, entropy)];
        drawn.extend(sets.iter().map(|set| {
            let mut units = set.sample(number_of(k), entropy);
            units.extend(universe.sample(FROM_UNIVERSE, entropy));
            units
        }));
        let mut known = self.known(drawn).into_iter();
        self.shared = known.next().unwrap_or_default();
        self.lasting = self.shared.len();
        self.own = known;
    }

    /// The units with a subject, which is looked up.
    fn known(&mut self, drawn: Vec<Vec<Unit>>) -> Vec<Vec<(Unit, u32)>> {
        let owners = self.owners(drawn.iter().flatten().copied());
        let known = |units: Vec<Unit>| {
            let known = units
                .into_iter()
                .filter_map(|unit| Some((unit, *owners.get(&unit.ordinal)?)));
            known.collect()
        };
        drawn.into_iter().map(known).collect()
    }

    /// The units that were chosen.
    pub(super) fn units(&self) -> impl Iterator<Item = Unit> + '_ {
        let all = self
            .own
            .as_slice()
            .iter()
            .flatten()
            .chain(&self.current)
            .chain(&self.shared);
        all.map(|(unit, _)| *unit)
    }

    /// Goes on to the next set.
    pub(super) fn next_set(&mut self) {
        self.current = self.own.next().unwrap_or_default();
    }

    /// Goes on to the next set, without what was found for others: it would grow with each.
    pub(super) fn next_set_alone(&mut self) {
        self.shared.truncate(self.lasting);
        self.next_set();
    }

    fn owners(&mut self, units: impl Iterator<Item = Unit>) -> HashMap<u32, u32> {
        let units: BTreeSet<u32> = units.map(|unit| unit.ordinal).collect();
        let new: Vec<u32> = units
            .iter()
            .copied()
            .filter(|unit| !self.looked_up.contains_key(unit))
            .collect();
        if !new.is_empty() {
            let owners = self.owners_of.owners_of(&new);
            self.looked_up.extend(new.into_iter().zip(owners));
        }
        let known = units
            .into_iter()
            .filter_map(|unit| Some((unit, self.looked_up.get(&unit).copied().flatten()?)));
        known.collect()
    }

    /// Looks for subjects of a residual: in the samples, and if they do not suffice, everywhere.
    pub(super) fn find(&mut self, found: &mut Found, residual: &mut Residual<'_>) {
        for (unit, owner) in self.current.iter().chain(&self.shared) {
            if found.has_choice() {
                return;
            }
            let value = (residual.value)(*unit);
            if value != 0 {
                found.add((residual.load)(*owner), *unit, *owner, value);
            }
        }
        if found.best().is_err() {
            self.find_everywhere(found, residual);
        }
    }

    fn find_everywhere(&mut self, found: &mut Found, residual: &mut Residual<'_>) {
        let mut are_whole = true;
        for portion in [Portion::First, Portion::Rest] {
            let Some(support) = self.support(&residual.terms, portion) else {
                return;
            };
            self.add(found, residual, &support.units);
            are_whole &= support.is_whole;
            // The first portion suffices for nearly all that isolate no one.
            if portion == Portion::First && found.best().is_ok() {
                return;
            }
        }
        found.is_whole = are_whole;
    }

    /// Adds the subjects of units at which a residual is nonzero.
    fn add(&mut self, found: &mut Found, residual: &mut Residual<'_>, support: &[Unit]) {
        let owners = self.owners(support.iter().copied());
        for unit in support {
            let Some(owner) = owners.get(&unit.ordinal) else {
                continue;
            };
            let is_new = !found.subjects.contains(owner);
            if found.could_be_better() {
                let load = (residual.load)(*owner);
                if found.is_better(load) {
                    found.add(load, *unit, *owner, (residual.value)(*unit));
                }
            }
            found.subjects.insert(*owner);
            if is_new && found.subjects.len() <= found.k.saturating_mul(3) {
                self.shared.push((*unit, *owner));
            }
        }
    }

    fn support(&mut self, terms: &Terms<'_>, portion: Portion) -> Option<Arc<Support>> {
        #[cfg(test)]
        if self.is_by_unit {
            return terms.by_unit(portion, &mut self.work).map(Arc::new);
        }
        let support = self.supports.of(terms, portion, &mut self.work);
        #[cfg(test)]
        {
            self.exceeded += u32::from(support.is_none());
        }
        support
    }
}

/// How many units of each set are chosen: three times as many as subjects are needed.
fn number_of(k: u32) -> usize {
    usize::try_from(k)
        .unwrap_or(usize::MAX)
        .saturating_mul(3)
        .min(MAX_OWNERS)
}
