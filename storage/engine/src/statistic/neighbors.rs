//! Which further sets of subjects are computed for the cells of a grouping: those without one part of what describes a cell.
//!
//! Whether a cell is shown may not depend on what its requester does not know. So it is shown only if its neighbors are harmless too, which
//! follow from the text ([`concordat_disclosure::Neighbors`] has them for descriptions):
//!
//! 1. What describes a cell are its conditions, and its class in each group. Conditions on what is grouped are one clause with the group, and
//!    so are groups of one quantity: each without the other would change nothing, and be withheld. A class of `CASE` is conditions.
//! 2. There is a wider set without each clause, and a part with each combination of the alternatives of an `OR`, also of one within a subquery
//!    ([`alternatives`]). A part with one alternative has neighbors of its own. Cells that are grouped by what is computed from events with
//!    alternatives have none, and are withheld.
//! 3. Rows are computed of a condition with the groups that are left; a set without a group is the union over its classes.
//!
//! 4. That a subject has an event is left out together with all from which it follows: conditions on what is computed from such events, and groups
//!    of it ([`implied`](super::implied)). Without it alone nothing would change, but where the value that is grouped is missing.
//!
//! The condition that a column has a value is not one of the clauses, see [`decision`](crate::decision).

use concordat_protocol::collection::Comparison;

use super::{
    alternatives,
    block::Statistic,
    implied::{is_of_events, needs_events},
    known::KnownCollection,
    measure::Group,
    paths::ColumnPath,
    terms::{Condition, EventSet, Quantity},
};

/// Alternatives of a clause, of which all combinations are parts.
const MAX_ALTERNATIVES: usize = 5;

/// Wider sets and parts of a cell in all.
const MAX_NEIGHBORS: usize = 64;

/// Combinations of classes of groups by `CASE`.
const MAX_COMBINATIONS: usize = 64;

/// The rows of a neighbor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NeighborRows {
    /// What the rows have in common beside their classes.
    pub(crate) condition: Condition,
    /// The groups, by position, whose classes do not matter.
    pub(crate) any_of: Vec<usize>,
    /// Groups by position: the rows are a neighbor of cells only that have the class of missing values in one of them. Of all cells if there are
    /// none.
    pub(crate) missing_in: Vec<usize>,
}

/// The neighbors of the cells of a set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RowNeighbors {
    /// Without one clause, and whether it was a condition without alternatives.
    pub(crate) wider: Vec<(NeighborRows, bool)>,
    /// With some of the alternatives of a clause, and the neighbors of each.
    pub(crate) parts: Vec<(NeighborRows, Self)>,
}

/// What describes the cells of a set with one filter.
pub(crate) struct Described<'a> {
    statistic: &'a Statistic,
    /// Conditions that are in every neighbor: that columns have values.
    pub(crate) fixed: Condition,
    /// The other conditions of the rows and the filter.
    pub(crate) conditions: Condition,
    /// The groups by `CASE`.
    cases: Vec<usize>,
}

impl<'a> Described<'a> {
    pub(crate) fn new(statistic: &'a Statistic, filter: &Condition, known: &KnownCollection) -> Self {
        let of_filter = filter.conjuncts().iter().cloned();
        let (fixed, others): (Vec<Condition>, Vec<Condition>) =
            of_filter.partition(|condition| known.is_of_values(condition));
        let conditions = others.into_iter().chain([statistic.rows().clone()]).collect();
        let groups = statistic.groups().iter().enumerate();
        let cases = groups.filter(|(_, group)| matches!(group, Group::Cases { .. }));
        Self {
            statistic,
            fixed: Condition::all(fixed),
            conditions: Condition::all(conditions),
            cases: cases.map(|(at, _)| at).collect(),
        }
    }

    /// The number of combinations of classes of the groups by `CASE`; `None` if there are too many.
    fn combinations(&self, known: &KnownCollection) -> Option<usize> {
        let sizes: Vec<usize> = self.statistic.sizes(known).collect();
        let sizes = self.cases.iter().map(|at| sizes.get(*at).copied().unwrap_or(1));
        let all = sizes.fold(1, usize::saturating_mul);
        (all <= MAX_COMBINATIONS).then_some(all)
    }

    /// The neighbors by the combination of classes of the groups by `CASE`, of which the last one varies fastest; `None` where they are too
    /// many, or are not those of conditions.
    pub(crate) fn neighbors(&self, known: &KnownCollection) -> Vec<Option<RowNeighbors>> {
        let Some(all) = self.combinations(known) else {
            return Vec::new();
        };
        (0..all)
            .map(|combination| self.neighbors_of(combination, known))
            .collect()
    }

    fn neighbors_of(&self, mut combination: usize, known: &KnownCollection) -> Option<RowNeighbors> {
        let mut conditions = vec![self.conditions.clone()];
        let sizes: Vec<usize> = self.statistic.sizes(known).collect();
        for at in self.cases.iter().rev() {
            let size = sizes.get(*at).copied().unwrap_or(1);
            let class = combination.checked_rem(size).unwrap_or(0);
            combination = combination.checked_div(size).unwrap_or(0);
            conditions.push(class_of_cases(self.statistic.groups().get(*at)?, class, known)?);
        }
        let groups = 0..self.statistic.groups().len();
        let groups: Vec<usize> = groups.filter(|at| !self.cases.contains(at)).collect();
        let mut left = MAX_NEIGHBORS;
        self.found((&Condition::all(conditions), &groups), known, &mut left)
    }

    fn found(
        &self,
        (condition, groups): (&Condition, &[usize]),
        known: &KnownCollection,
        left: &mut usize,
    ) -> Option<RowNeighbors> {
        if groups.iter().any(|at| self.has_alternatives(*at)) {
            return None;
        }
        let mut found = RowNeighbors::default();
        let is_presence = |clause: &Clause| {
            let mut conditions = clause.conditions.iter();
            clause.groups.is_empty() && conditions.all(|condition| known.is_of_values(condition))
        };
        // That a joined row or a value is there is rarely what a query is about, and true of nearly all.
        for clause in self
            .clauses(condition, groups)
            .iter()
            .filter(|clause| !is_presence(clause))
        {
            *left = left.checked_sub(1)?;
            let rest = without(condition.conjuncts(), &clause.conditions);
            let others = groups.iter().copied().filter(|at| !clause.groups.contains(at));
            let has_alternatives =
                |part: &Condition| matches!(part, Condition::Or(_)) || !alternatives::within(part).is_empty();
            let is_plain = !clause.conditions.iter().any(has_alternatives);
            let rows = NeighborRows {
                missing_in: clause.missing_in.clone(),
                ..self.rows(rest, &others.collect::<Vec<_>>())
            };
            found.wider.push((rows, is_plain));
        }
        for clause in condition.conjuncts() {
            let rest = without(condition.conjuncts(), std::slice::from_ref(clause));
            if let Condition::Or(alternatives) = clause {
                let some = |some: Vec<Condition>| Condition::any(some);
                self.add_parts(
                    &mut found.parts,
                    (&rest, groups),
                    (alternatives, &some),
                    (known, &mut *left),
                )?;
            }
            for (at, alternatives) in alternatives::within(clause).iter().enumerate() {
                let some = |some: Vec<Condition>| alternatives::with_some(clause, at, &some);
                self.add_parts(
                    &mut found.parts,
                    (&rest, groups),
                    (alternatives, &some),
                    (known, &mut *left),
                )?;
            }
        }
        Some(found)
    }

    fn add_parts(
        &self,
        parts: &mut Vec<(NeighborRows, RowNeighbors)>,
        (rest, groups): (&Condition, &[usize]),
        (alternatives, with): (&[Condition], &dyn Fn(Vec<Condition>) -> Condition),
        (known, left): (&KnownCollection, &mut usize),
    ) -> Option<()> {
        if alternatives.len() > MAX_ALTERNATIVES {
            return None;
        }
        let all_of_them = (1_u32 << alternatives.len()).checked_sub(1)?;
        for chosen in 1..all_of_them {
            let some = alternatives.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            let some: Vec<Condition> = some.map(|(_, alternative)| alternative.clone()).collect();
            *left = left.checked_sub(1)?;
            let is_one = some.len() == 1;
            let condition = Condition::all(vec![rest.clone(), with(some)]);
            let own = if is_one {
                self.found((&condition, groups), known, left)?
            } else {
                RowNeighbors::default()
            };
            parts.push((self.rows(condition, groups), own));
        }
        Some(())
    }

    fn rows(&self, condition: Condition, groups: &[usize]) -> NeighborRows {
        let all = 0..self.statistic.groups().len();
        NeighborRows {
            condition,
            any_of: all.filter(|at| !groups.contains(at)).collect(),
            missing_in: Vec::new(),
        }
    }

    /// Each condition and each group once: those about one quantity together.
    fn clauses(&self, condition: &Condition, groups: &[usize]) -> Vec<Clause> {
        let of_group = |at: &usize| self.statistic.groups().get(*at).and_then(about);
        let mut clauses: Vec<Clause> = Vec::new();
        for at in groups {
            let is_same = |clause: &&mut Clause| clause.groups.iter().any(|other| of_group(other) == of_group(at));
            match clauses.iter_mut().find(is_same) {
                Some(clause) => clause.groups.push(*at),
                None => clauses.push(Clause {
                    groups: vec![*at],
                    ..Clause::default()
                }),
            }
        }
        for part in condition.conjuncts() {
            let about_part = of_condition(part);
            let is_same = |clause: &&mut Clause| {
                let mut groups = clause.groups.iter();
                about_part.is_some() && groups.any(|at| of_group(at) == about_part)
            };
            match clauses.iter_mut().find(is_same) {
                Some(clause) => clause.conditions.push(part.clone()),
                None => clauses.push(Clause {
                    conditions: vec![part.clone()],
                    ..Clause::default()
                }),
            }
        }
        (0..clauses.len())
            .flat_map(|at| self.with_implying(at, &clauses))
            .collect()
    }

    /// A clause; with those from which it follows, if it is that there is an event. It is left out alone as well if it follows from classes of groups,
    /// as it does not from the class of missing values.
    fn with_implying(&self, at: usize, clauses: &[Clause]) -> Vec<Clause> {
        let Some(own) = clauses.get(at) else {
            return Vec::new();
        };
        let [
            Condition::Events {
                of: events,
                exist: true,
            },
        ] = &own.conditions[..]
        else {
            return vec![own.clone()];
        };
        let mut clause = own.clone();
        let mut missing_in = Vec::new();
        let mut is_implied = false;
        for (_, other) in clauses.iter().enumerate().filter(|(other, _)| *other != at) {
            let is_condition = other.conditions.iter().any(|condition| needs_events(condition, events));
            let is_group = self.has_group_of(other, events);
            if is_condition || is_group {
                clause.conditions.extend(other.conditions.iter().cloned());
                clause.groups.extend(&other.groups);
            }
            is_implied |= is_condition;
            missing_in.extend(other.groups.iter().filter(|_| is_group));
        }
        let alone = Clause {
            missing_in,
            ..own.clone()
        };
        let is_alone = !is_implied && !alone.missing_in.is_empty();
        std::iter::once(clause).chain(is_alone.then_some(alone)).collect()
    }

    fn has_alternatives(&self, at: usize) -> bool {
        match self.statistic.groups().get(at) {
            Some(Group::Levels { of, .. } | Group::Buckets { of, .. }) => alternatives::are_in(of),
            Some(Group::Codes { .. } | Group::Cases { .. }) | None => false,
        }
    }

    fn has_group_of(&self, clause: &Clause, events: &EventSet) -> bool {
        let mut groups = clause.groups.iter().filter_map(|at| self.statistic.groups().get(*at));
        groups.any(|group| match group {
            Group::Levels { of, .. } | Group::Buckets { of, .. } => is_of_events(of, events),
            Group::Codes { .. } | Group::Cases { .. } => false,
        })
    }
}

/// What is left out together.
#[derive(Clone, Default)]
struct Clause {
    conditions: Vec<Condition>,
    groups: Vec<usize>,
    /// As [`NeighborRows::missing_in`].
    missing_in: Vec<usize>,
}

/// What a condition or a group is about.
#[derive(PartialEq)]
enum About<'a> {
    Quantity(&'a Quantity),
    Path(&'a ColumnPath),
}

fn about(group: &Group) -> Option<About<'_>> {
    match group {
        Group::Levels { of, .. } | Group::Buckets { of, .. } => Some(of_quantity(of)),
        Group::Codes { of, .. } => Some(About::Path(of)),
        Group::Cases { .. } => None,
    }
}

fn of_condition(condition: &Condition) -> Option<About<'_>> {
    match condition {
        Condition::Test(of, _) => Some(of_quantity(of)),
        Condition::Listed { of, .. } | Condition::Reference { of, .. } => Some(About::Path(of)),
        Condition::All
        | Condition::Never
        | Condition::Events { .. }
        | Condition::OtherRow { .. }
        | Condition::And(_)
        | Condition::Or(_) => None,
    }
}

fn of_quantity(of: &Quantity) -> About<'_> {
    match of {
        Quantity::Column(path) | Quantity::InText(path) => About::Path(path),
        Quantity::Seconds { .. }
        | Quantity::Days { .. }
        | Quantity::Age { .. }
        | Quantity::Linear { .. }
        | Quantity::OfSubject { .. } => About::Quantity(of),
    }
}

fn without(conditions: &[Condition], left_out: &[Condition]) -> Condition {
    let rest = conditions.iter().filter(|condition| !left_out.contains(condition));
    Condition::all(rest.cloned().collect())
}

/// The conditions of a class of `CASE`: its own is true, and those before are not; `None` where "is not true" has no condition.
fn class_of_cases(group: &Group, class: usize, known: &KnownCollection) -> Option<Condition> {
    let Group::Cases { cases, .. } = group else {
        return None;
    };
    let before = cases.iter().take(class);
    let mut conditions = before
        .map(|(condition, _)| not_true(condition, known))
        .collect::<Option<Vec<Condition>>>()?;
    conditions.extend(cases.get(class).map(|(condition, _)| condition.clone()));
    Some(Condition::all(conditions).where_true())
}

/// A condition that is true where another one is false or unknown.
pub(super) fn not_true(condition: &Condition, known: &KnownCollection) -> Option<Condition> {
    let each = |parts: &[Condition]| {
        let parts = parts.iter().map(|part| not_true(part, known));
        parts.collect::<Option<Vec<Condition>>>()
    };
    match condition {
        Condition::All | Condition::Never | Condition::Events { .. } => Some(condition.clone().negation()),
        Condition::Test(of, test) => {
            let is_false = Condition::Test(of.clone(), test.clone().where_true().negation());
            if test.passing().has_null() {
                return Some(is_false);
            }
            let is_null = known.levels(of).decide(&Comparison::IsNull).ok()?;
            Some(Condition::any(vec![is_false, Condition::Test(of.clone(), is_null)]))
        }
        Condition::Listed { .. } | Condition::Reference { .. } | Condition::OtherRow { .. } => None,
        Condition::And(parts) => Some(Condition::any(each(parts)?)),
        Condition::Or(parts) => Some(Condition::all(each(parts)?)),
    }
}
