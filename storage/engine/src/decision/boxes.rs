//! What the units of a cell have in common, as the audit knows it: conditions over columns with numbered atoms.
//!
//! The audit concludes from descriptions only what is true for everyone possible. So a part that it cannot read (patterns of texts, events
//! within events) becomes a column of its own with a name that is a hash of the part: two such parts are unrelated to it unless they are the
//! same. The error of this is that a number is withheld that reveals nothing, never the opposite.
//!
//! 1. The name of a column is a hash of the row that it is of, the keys that lead there, and its levels: with other levels the same numbers
//!    are other atoms. A column of the subject's own row has one name, whatever dataset it is reached from.
//! 2. Where a subject has several rows, a set of subjects is described as "has a row with", with the conditions on the subject beside it.
//! 3. A column that is declared complete has the declared values only: that no other one and no missing one is there is public.
//! 4. A condition on a row of a reference dataset that a code leads to, and a subquery that lists codes, are sets of codes, which other
//!    processes look up ([`CodeLists`]). Without them, or for a list that is too long, they are parts that are not read.
//! 5. What the permission covers is a condition too, unless it covers every subject and row.
//! 6. A set of values is described like the set of all rows: whether a value of a column, or a joined row, is missing is not a region that is
//!    kept empty. Otherwise the mean of a column without missing values, or the number of its values, which the means of several members are
//!    combined with, would be withheld beside the number of rows. So it is for what is computed from columns: days between dates, seconds,
//!    sums, and ages. It does not depend on whether a text measures the values, counts them, joins the rows, or requires them in `WHERE` or
//!    in the rows of events: these are one set. What is missing for another reason keeps its condition: a date of events, because that a
//!    subject has such an event is what queries are about; and an age from a year that need not be whole, which is missing where it is not.

use concordat_disclosure::{CellBox, Condition as Described};
use concordat_protocol::{
    collection::{AtomId, AtomSet, Levels},
    ids::DatasetName,
    scope::{Scope, Subjects, Value},
};

use super::{
    code_lists::CodeLists,
    codes,
    columns::{classes, name, named, number, opaque},
};
use crate::statistic::{
    Bucket, ColumnPath, Condition, Day, EventSet, Group, KnownCollection, Measured, NeighborRows, Quantity,
    ReferenceTest, Statistic, Step,
};

/// The descriptions of a set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SetBoxes {
    /// Of its subjects.
    pub(super) subjects: CellBox,
    /// Of its units.
    pub(super) units: CellBox,
}

/// The descriptions of the cells of a statistic.
pub(super) struct Boxes<'a> {
    statistic: &'a Statistic,
    known: &'a KnownCollection,
    /// The dataset whose rows are counted, if a subject can have several.
    rows_of: Option<&'a DatasetName>,
    covered: Option<Described>,
    sizes: Vec<usize>,
    lists: CodeLists,
}

/// Conditions on the subject, and on one of its rows.
#[derive(Default)]
struct Parts {
    subject: Vec<Described>,
    row: Vec<Described>,
    /// Columns with an open list, and which codes they have: conditions and classes of one column are one set.
    codes: Vec<(Quantity, AtomSet)>,
    /// Columns of reference datasets, and which values they have, likewise.
    names: Vec<(ColumnPath, Vec<Value>)>,
}

impl Parts {
    fn add_codes(&mut self, of: Quantity, set: AtomSet) {
        for (known, codes) in &mut self.codes {
            // Too many codes for one set: the two sets stay beside each other.
            if *known == of
                && let Ok(both) = codes.intersection(&set)
            {
                *codes = both;
                return;
            }
        }
        self.codes.push((of, set));
    }

    fn add_names(&mut self, of: &ColumnPath, values: &[Value]) {
        match self.names.iter_mut().find(|(known, _)| known == of) {
            Some((_, names)) => names.retain(|name| values.contains(name)),
            None => self.names.push((of.clone(), values.to_vec())),
        }
    }
}

impl<'a> Boxes<'a> {
    pub(super) fn new(statistic: &'a Statistic, known: &'a KnownCollection, scope: &Scope) -> Self {
        let rows_of = match statistic.measured() {
            Measured::Rows(dataset) if !known.is_unique(dataset) => Some(dataset),
            Measured::Rows(_) | Measured::Subjects => None,
        };
        Self {
            statistic,
            known,
            rows_of,
            covered: covered(scope),
            sizes: statistic.sizes(known).collect(),
            lists: CodeLists::default(),
        }
    }

    /// The same with the codes of lists.
    pub(super) fn with_code_lists(self, lists: CodeLists) -> Self {
        Self { lists, ..self }
    }

    /// Whether a subject can have several of the rows that are counted.
    pub(super) const fn counts_rows(&self) -> bool {
        self.rows_of.is_some()
    }

    /// Whether a condition is that a value, or a joined row, is there.
    pub(super) fn is_of_values(&self, condition: &Condition) -> bool {
        self.known.is_of_values(condition)
    }

    /// The set of a cell with this filter and this measured value.
    pub(super) fn set(&self, cell: usize, filter: &Condition, measured: Option<&Quantity>) -> SetBoxes {
        let mut parts = Parts::default();
        parts.subject.extend(self.covered.clone());
        for condition in self.statistic.rows().conjuncts().iter().chain(filter.conjuncts()) {
            self.add(&mut parts, condition);
        }
        for (group, class) in self.statistic.groups().iter().zip(self.classes(cell)).rev() {
            self.add_class(&mut parts, group, class);
        }
        self.add_measured(&mut parts, measured);
        let parts = self.with_codes(parts);
        let units = Described::All(parts.subject.iter().chain(&parts.row).cloned().collect());
        let subjects = self.of_subjects(parts);
        SetBoxes {
            subjects: boxed(subjects),
            units: boxed(units),
        }
    }

    /// The subjects of a neighbor of a cell.
    pub(super) fn neighbor(&self, cell: usize, rows: &NeighborRows, measured: Option<&Quantity>) -> CellBox {
        let mut parts = Parts::default();
        parts.subject.extend(self.covered.clone());
        for condition in rows.condition.conjuncts() {
            self.add(&mut parts, condition);
        }
        let classes = self.statistic.groups().iter().zip(self.classes(cell)).enumerate();
        for (_, (group, class)) in classes.rev().filter(|(at, _)| !rows.any_of.contains(at)) {
            self.add_class(&mut parts, group, class);
        }
        self.add_measured(&mut parts, measured);
        let parts = self.with_codes(parts);
        boxed(self.of_subjects(parts))
    }

    /// The class of a cell in each group. The last group varies fastest.
    pub(super) fn classes(&self, cell: usize) -> Vec<usize> {
        let mut position = cell;
        let mut classes: Vec<usize> = Vec::with_capacity(self.sizes.len());
        for size in self.sizes.iter().rev() {
            classes.push(position.checked_rem(*size).unwrap_or(0));
            position = position.checked_div(*size).unwrap_or(0);
        }
        classes.reverse();
        classes
    }

    /// Whether a cell has the class of missing values in a group.
    pub(super) fn is_missing(&self, cell: usize, at: usize) -> bool {
        let class = self.classes(cell).get(at).copied();
        let missing = self.statistic.groups().get(at).map(|group| match group {
            Group::Buckets { buckets, .. } => {
                let missing = buckets.iter().position(|bucket| bucket.atoms.contains(&AtomId::Null));
                missing.unwrap_or(buckets.len())
            }
            Group::Levels { .. } | Group::Codes { .. } | Group::Cases { .. } => {
                self.sizes.get(at).copied().unwrap_or(0).saturating_sub(1)
            }
        });
        class == missing
    }

    /// The cell with these classes.
    pub(super) fn cell_of(&self, classes: &[usize]) -> usize {
        let classes = classes.iter().zip(&self.sizes);
        classes.fold(0_usize, |cell, (class, size)| {
            cell.saturating_mul(*size).saturating_add(*class)
        })
    }

    /// The number of classes of each group.
    pub(super) fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Adds the condition that a measured value is not missing, as far as it is missing for another reason than that one of columns is.
    fn add_measured(&self, parts: &mut Parts, measured: Option<&Quantity>) {
        if let Some(of) = measured.filter(|of| !of.is_column()) {
            self.add_present(parts, of);
        }
    }

    /// One part of a set, which is part `band` of `of` parts of its values.
    pub(super) fn part(&self, set: &SetBoxes, measured: &Quantity, (from, to, of): (usize, usize, usize)) -> CellBox {
        let path = name(&("bands", measured, self.known.levels(measured), of));
        let bands = (from..=to).filter_map(|band| u32::try_from(band).ok());
        let band = Described::Atoms {
            path,
            of: number(of),
            atoms: bands.collect(),
        };
        boxed(Described::All(vec![set.units.condition().clone(), band]))
    }

    fn of_subjects(&self, parts: Parts) -> Described {
        let Parts { mut subject, row, .. } = parts;
        match self.rows_of {
            None => subject.extend(row),
            // Every subject of a dataset alone has a row of it: that none has no row is no news about anyone.
            Some(_) if row.is_empty() && self.known.rules().datasets().count() == 1 => {}
            Some(dataset) => subject.push(Described::Events {
                events: dataset.to_string(),
                at_least: 1,
                that: Box::new(Described::All(row.into_iter().map(without_events).collect())),
            }),
        }
        Described::All(subject)
    }

    /// Adds a condition, unless it is that a value of a column, or a joined row, is there.
    fn add(&self, parts: &mut Parts, condition: &Condition) {
        if !self.known.is_of_values(condition) {
            if let Some((of, set)) = self.lists.of_condition(condition, self.known) {
                parts.add_codes(of, set);
                return;
            }
            match condition {
                Condition::Test(of, test) if test.passing().code_set().is_some() => {
                    parts.add_codes(of.clone(), test.passing().clone());
                }
                Condition::Reference {
                    of,
                    test: ReferenceTest::OneOf(values),
                    negated: false,
                } => parts.add_names(of, values),
                Condition::Test(..)
                | Condition::All
                | Condition::Never
                | Condition::Events { .. }
                | Condition::Listed { .. }
                | Condition::Reference { .. }
                | Condition::OtherRow { .. }
                | Condition::And(_)
                | Condition::Or(_) => {
                    self.place(parts, is_subject_condition(condition), self.truth(condition, false));
                }
            }
        }
    }

    /// The parts with the codes and names of columns as conditions.
    fn with_codes(&self, mut parts: Parts) -> Parts {
        let mut codes = std::mem::take(&mut parts.codes);
        // Conditions are in the order of their forms, and a set of codes has several.
        codes.sort_by_cached_key(|(of, _)| name(&named(of)));
        for (of, set) in codes {
            let part = self.atoms(&of, &set);
            self.place(&mut parts, is_of_subject(&of), part);
        }
        for (of, values) in std::mem::take(&mut parts.names) {
            let is_of_subject = is_path_of_subject(&of);
            let named = Condition::Reference {
                of,
                test: ReferenceTest::OneOf(values),
                negated: false,
            };
            let part = self.truth(&named, false);
            self.place(&mut parts, is_of_subject, part);
        }
        parts
    }

    /// Adds the condition that a value is not missing, which is one on what it is computed from, in whatever way it is.
    fn add_present(&self, parts: &mut Parts, of: &Quantity) {
        match self.known.present(of.clone()) {
            Some(present) => present.conjuncts().iter().for_each(|part| self.add(parts, part)),
            None => {
                let present = opaque(&("present", of, self.known.levels(of)));
                self.place(parts, is_of_subject(of), present);
            }
        }
    }

    fn place(&self, parts: &mut Parts, is_of_subject: bool, part: Described) {
        if is_of_subject || self.rows_of.is_none() {
            parts.subject.push(part);
        } else {
            parts.row.push(part);
        }
    }

    /// The codes that a class of a group has, if it is of an open list.
    fn codes_of_class(&self, group: &Group, class: usize) -> Option<(Quantity, AtomSet)> {
        if let Group::Codes { of, codes } = group
            && let Some(found) = self.lists.of_class((of, codes), class, self.known)
        {
            return Some(found);
        }
        let of = match group {
            Group::Levels { of, .. } | Group::Buckets { of, .. } => of.clone(),
            Group::Codes { of, .. } => Quantity::Column(of.clone()),
            Group::Cases { .. } => return None,
        };
        let levels = self.known.levels(&of);
        if levels.atoms().is_some() {
            return None;
        }
        let set = match group {
            Group::Levels { level, .. } => codes::of_level(&levels, level.as_ref()?, class),
            Group::Buckets { buckets, .. } => codes::of_buckets(&levels, buckets, class),
            Group::Codes { codes, .. } => codes::of_codes(&levels, codes, class),
            Group::Cases { .. } => None,
        };
        Some((of, set?))
    }

    /// Adds the condition that a row is in a class of a group.
    fn add_class(&self, parts: &mut Parts, group: &Group, class: usize) {
        if let Some((of, set)) = self.codes_of_class(group, class) {
            parts.add_codes(of, set);
            return;
        }
        match group {
            Group::Levels { of, level, .. } => {
                let levels = self.known.levels(of);
                let size = level.as_ref().and_then(|name| levels.level(name));
                let rest = size.as_ref().unwrap_or(&levels).atoms().map_or(usize::MAX, usize::from);
                let class_of = |atom: &AtomId| match level {
                    Some(level) => levels.coarser(level, atom),
                    None => Some(atom.clone()),
                };
                let is_in = |atom: &AtomId| match class_of(atom) {
                    Some(AtomId::Listed(at)) => usize::from(at) == class,
                    Some(AtomId::Null | AtomId::Code(_)) | None => class == rest,
                };
                let part = match levels.atoms() {
                    Some(atoms) => self.atoms_where(of, &levels, atoms, &is_in),
                    None => classes(&("level", of, level, &levels), rest.saturating_add(1), class),
                };
                self.place(parts, is_of_subject(of), part);
            }
            Group::Buckets { of, buckets, .. } => {
                let levels = self.known.levels(of);
                let class_of = |atom: &AtomId| buckets.iter().position(|bucket: &Bucket| bucket.atoms.contains(atom));
                let is_in = |atom: &AtomId| class_of(atom).unwrap_or(buckets.len()) == class;
                let part = match levels.atoms() {
                    Some(atoms) => self.atoms_where(of, &levels, atoms, &is_in),
                    None => classes(
                        &("buckets", of, buckets, &levels),
                        buckets.len().saturating_add(1),
                        class,
                    ),
                };
                self.place(parts, is_of_subject(of), part);
            }
            Group::Codes { of, codes } => match codes.get(class..=class) {
                Some(name) => parts.add_names(of, name),
                None => {
                    let part = classes(&("codes", of, codes), codes.len().saturating_add(1), class);
                    self.place(parts, is_path_of_subject(of), part);
                }
            },
            Group::Cases { cases, .. } => {
                let before = cases.iter().take(class).map(|(condition, _)| condition);
                let is_all_subject = before.clone().all(is_subject_condition);
                let mut all: Vec<Described> = before
                    .map(|condition| Described::Not(Box::new(self.truth(condition, false))))
                    .collect();
                let own = cases.get(class).map(|(condition, _)| condition);
                all.extend(own.map(|condition| self.truth(condition, false)));
                let is_subject = is_all_subject && own.is_none_or(is_subject_condition);
                self.place(parts, is_subject, Described::All(all));
            }
        }
    }

    /// When a condition is true.
    fn truth(&self, condition: &Condition, in_event: bool) -> Described {
        if let Some((of, set)) = self.lists.of_condition(condition, self.known) {
            return self.atoms(&of, &set);
        }
        let all = |parts: &[Condition]| parts.iter().map(|part| self.truth(part, in_event)).collect();
        match condition {
            Condition::All => Described::Everyone,
            Condition::Never => Described::Not(Box::new(Described::Everyone)),
            Condition::Test(of, test) => self.atoms(of, test.passing()),
            Condition::Events { of, exist } => {
                let events = self.events(of, in_event);
                if *exist {
                    events
                } else {
                    Described::Not(Box::new(events))
                }
            }
            Condition::Listed { of, list, is_in } => classes(&("listed", of, list), 3, usize::from(!is_in)),
            Condition::Reference { of, test, negated } => classes(&("reference", of, test), 3, usize::from(*negated)),
            Condition::OtherRow { key, is_other } => classes(&("other row", key), 3, usize::from(!is_other)),
            Condition::And(parts) => Described::All(all(parts)),
            Condition::Or(parts) => Described::Any(all(parts)),
        }
    }

    fn events(&self, of: &EventSet, in_event: bool) -> Described {
        if in_event || of.rows.names_outer() {
            return opaque(&("events", of));
        }
        let rows = of.rows.conjuncts().iter();
        let rows = rows.filter(|part| !self.known.is_of_values(part));
        Described::Events {
            events: of.dataset.to_string(),
            at_least: 1,
            that: Box::new(Described::All(rows.map(|part| self.truth(part, true)).collect())),
        }
    }

    fn atoms(&self, of: &Quantity, set: &AtomSet) -> Described {
        let levels = self.known.levels(of);
        if let Levels::Codes(open) = &levels {
            return codes::described(of, open, set);
        }
        let atoms = levels.atoms().unwrap_or_default();
        self.atoms_where(of, &levels, atoms, &|atom| set.contains(atom))
    }

    /// The atoms of a column for which `is_in` is true. The last one is that of missing values, which a complete column does not have.
    fn atoms_where(&self, of: &Quantity, levels: &Levels, atoms: u16, is_in: &dyn Fn(&AtomId) -> bool) -> Described {
        if let Quantity::Days { from, to } = of
            && let (one_way, true) = Quantity::days(from.clone(), to.clone())
        {
            let mirrored = |atom: &AtomId| is_in(&with_other_sign(atom, atoms));
            return self.atoms_where(&one_way, levels, atoms, &mirrored);
        }
        if self.known.is_complete(of) {
            return complete(of, levels, is_in);
        }
        let listed = (0..atoms).filter(|atom| is_in(&AtomId::Listed(*atom))).map(u32::from);
        let null = is_in(&AtomId::Null).then(|| u32::from(atoms));
        Described::Atoms {
            path: name(&(named(of), levels)),
            of: u32::from(atoms).saturating_add(1),
            atoms: listed.chain(null).collect(),
        }
    }
}

/// The atoms of a complete column for which `is_in` is true: no possible subject has another one.
fn complete(of: &Quantity, levels: &Levels, is_in: &dyn Fn(&AtomId) -> bool) -> Described {
    let all = levels.atoms().unwrap_or_default();
    let possible = match levels {
        // The last one is that of values that are not listed.
        Levels::Values(_) => all.saturating_sub(1),
        Levels::None | Levels::Truth | Levels::Edges(_) | Levels::Codes(_) => all,
    };
    let inside = (0..possible).filter(|atom| is_in(&AtomId::Listed(*atom)));
    Described::Atoms {
        path: name(&("complete", named(of), levels)),
        of: u32::from(possible),
        atoms: inside.map(u32::from).collect(),
    }
}

/// The atom of the numbers with the other sign: the declared numbers of days have either one.
const fn with_other_sign(atom: &AtomId, atoms: u16) -> AtomId {
    match atom {
        AtomId::Listed(at) => AtomId::Listed(atoms.saturating_sub(1).saturating_sub(*at)),
        AtomId::Null | AtomId::Code(_) => AtomId::Null,
    }
}

/// What the permission covers, if it is not all subjects and rows.
fn covered(scope: &Scope) -> Option<Described> {
    let rows: Vec<_> = scope
        .datasets
        .iter()
        .filter(|(_, dataset)| !dataset.rows.is_all())
        .collect();
    let is_everyone = matches!(scope.subjects, Subjects::Any) && rows.is_empty();
    let rows: Vec<_> = rows.into_iter().map(|(name, dataset)| (name, &dataset.rows)).collect();
    (!is_everyone).then(|| opaque(&("covered", &scope.subjects, rows)))
}

fn boxed(condition: Described) -> CellBox {
    // What is too large to be read is comparable with itself only.
    let text = format!("{condition:?}");
    CellBox::new(condition).unwrap_or_else(|_| CellBox::alone(name(&("large", text))))
}

/// The same condition with events as columns of their own, because an event has none.
fn without_events(condition: Described) -> Described {
    let each = |parts: Vec<Described>| parts.into_iter().map(without_events).collect();
    match condition {
        Described::Events { .. } => opaque(&("events", format!("{condition:?}"))),
        Described::Not(inner) => Described::Not(Box::new(without_events(*inner))),
        Described::All(parts) => Described::All(each(parts)),
        Described::Any(parts) => Described::Any(each(parts)),
        Described::Everyone | Described::Atoms { .. } => condition,
    }
}

/// Whether a condition is about the subject of a row, and not about the row.
fn is_subject_condition(condition: &Condition) -> bool {
    match condition {
        Condition::All | Condition::Never => true,
        Condition::Test(of, _) => is_of_subject(of),
        Condition::Events { of, .. } => !of.rows.names_outer(),
        Condition::Listed { of, .. } | Condition::Reference { of, .. } => is_path_of_subject(of),
        Condition::OtherRow { .. } => false,
        Condition::And(parts) | Condition::Or(parts) => parts.iter().all(is_subject_condition),
    }
}

fn is_of_subject(of: &Quantity) -> bool {
    let is_day = |day: &Day| match day {
        Day::Column(path) => is_path_of_subject(path),
        Day::OfSubject { .. } => true,
    };
    match of {
        Quantity::Column(path) | Quantity::InText(path) => is_path_of_subject(path),
        Quantity::Seconds { from, to } => is_path_of_subject(from) && is_path_of_subject(to),
        Quantity::Days { from, to } => is_day(from) && is_day(to),
        Quantity::Age { born, at } => is_path_of_subject(born) && is_day(at),
        Quantity::Linear { terms, .. } => terms.iter().all(|(_, path)| is_path_of_subject(path)),
        Quantity::OfSubject { .. } => true,
    }
}

/// Whether all rows of a subject reach the same column. What a link of a row leads to, they need not have in common.
fn is_path_of_subject(path: &ColumnPath) -> bool {
    matches!(path.via().first(), Some(Step::Subject(_)))
}
