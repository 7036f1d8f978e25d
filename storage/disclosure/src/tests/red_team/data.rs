//! The data that a system answers from, and the cells of a query.
//!
//! This is the smallest interpreter of the language below `records` that the attacks need: conditions on columns, groups by columns, numbers
//! of subjects and sums. What decides about the cells is the crate itself.

use std::rc::Rc;
use std::sync::Arc;

use concordat_protocol::schema::VersionNumber;
use concordat_protocol::scope::Finite;

use super::people::{People, SECRETS};
use super::register::{Column, Register, SECRET, matching};
use crate::{
    CellBox, Condition, Contributions, Counted, FigureName, Grid, NeighborSets, Outline, ReportedSet, ReportedSum,
    SumOutline, UnitSet,
};

/// The smallest cell.
pub(super) const K: u32 = 10;

/// By what people are grouped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Group {
    Column(usize),
    Secret,
}

/// What is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    /// The hidden number.
    Hidden,
    /// The hidden number times a known one.
    Product(usize),
    /// One for each person with the secret. The language has no such sum: it is lowered to a number of people.
    Flag,
}

/// A query about one or more cells.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) condition: Condition,
    /// All values of these columns are groups, present or not.
    pub(super) by: Vec<Group>,
    /// What is added, beside the number of people.
    pub(super) measure: Option<Measure>,
}

impl Query {
    /// How many people meet a condition.
    pub(super) const fn count(condition: Condition) -> Self {
        Self {
            condition,
            by: Vec::new(),
            measure: None,
        }
    }
}

/// The largest hidden number, by the rules of the column.
const BOUND: f64 = 2_000_000.0;

/// One version of the data.
#[derive(Debug)]
pub(super) struct Data {
    register: Register,
    secret: Column,
    hidden: Vec<u32>,
}

impl Data {
    pub(super) fn of(people: &People) -> Rc<Self> {
        Rc::new(Self {
            register: people.register(),
            secret: Column::new(SECRET, SECRETS, people.secret.clone()),
            hidden: people.hidden.clone(),
        })
    }

    pub(super) const fn size(&self) -> u32 {
        self.register.size
    }

    pub(super) fn number_of_cells(&self, query: &Query) -> usize {
        let atoms = query.by.iter().map(|group| self.column(*group).atoms() as usize);
        atoms.product()
    }

    /// The people of each cell, and what they have in common.
    pub(super) fn cells(&self, query: &Query) -> Vec<(UnitSet, CellBox)> {
        let mut cells = vec![parts_of(&query.condition)];
        for group in &query.by {
            let column = self.column(*group);
            let split = |cell: &Vec<Condition>| -> Vec<Vec<Condition>> {
                let with = |value: u32| [cell.clone(), vec![column.is([value])]].concat();
                (0..column.atoms()).map(with).collect()
            };
            cells = cells.iter().flat_map(split).collect();
        }
        let cell = |parts: Vec<Condition>| {
            let condition = Condition::All(parts);
            (self.matching(&condition), CellBox::new(condition).unwrap())
        };
        cells.into_iter().map(cell).collect()
    }

    /// The cells as they are decided about.
    pub(super) fn grid<'c>(&self, query: &Query, version: VersionNumber, cells: &'c [(UnitSet, CellBox)]) -> Grid<'c> {
        self.grid_with(query, (version, true), cells)
    }

    /// The same, or as if cells had no neighbors.
    pub(super) fn grid_with<'c>(
        &self,
        query: &Query,
        (version, has_neighbors): (VersionNumber, bool),
        cells: &'c [(UnitSet, CellBox)],
    ) -> Grid<'c> {
        let outline = Outline {
            subjects: true,
            units: query.measure.is_some(),
            sums: query.measure.map(Measure::outline).into_iter().collect(),
            parts: false,
        };
        let mut sets = Vec::new();
        let mut known = Vec::new();
        for (subjects, cell) in cells {
            let sum = query.measure.map(|measure| self.reported(measure, subjects));
            sets.push(vec![ReportedSet {
                cell: cell.clone(),
                subjects,
                neighbors: match (has_neighbors, subjects.len() < u64::from(K)) {
                    (false, _) => Some(NeighborSets::default()),
                    // Withheld for its own size: a search has no time for the rest.
                    (true, true) => None,
                    (true, false) => self.neighbors(cell, &mut known),
                },
                rows: None,
                sums: sum.into_iter().collect(),
                parts: Vec::new(),
            }]);
        }
        Grid::new(version, Counted::Subjects, vec![outline], sets).unwrap()
    }

    /// The people of the neighbors of a cell, each of which is computed once for all cells.
    fn neighbors(&self, cell: &CellBox, known: &mut Vec<(CellBox, Arc<UnitSet>)>) -> Option<NeighborSets> {
        let mut subjects = |cell: &CellBox| {
            if let Some((_, people)) = known.iter().find(|(of, _)| of == cell) {
                return Arc::clone(people);
            }
            let people = Arc::new(self.matching(cell.condition()));
            known.push((cell.clone(), Arc::clone(&people)));
            people
        };
        Some(NeighborSets::of(&cell.neighbors()?, &mut subjects))
    }

    /// The sum over people.
    pub(super) fn sum(&self, measure: Measure, people: &UnitSet) -> u64 {
        people.iter().map(|person| self.contribution(measure, person)).sum()
    }

    fn reported(&self, measure: Measure, people: &UnitSet) -> ReportedSum {
        let mut contributions: Vec<u64> = people.iter().map(|person| self.contribution(measure, person)).collect();
        contributions.sort_unstable_by(|a, b| b.cmp(a));
        let total: u64 = contributions.iter().sum();
        contributions.resize(contributions.len().max(5), 0);
        let largest = [0, 1, 2, 3, 4].map(|at: usize| u128::from(contributions[at]));
        ReportedSum {
            total: Finite::new(total as f64).unwrap(),
            largest: Finite::new(contributions[0] as f64).unwrap(),
            contributions: Contributions::of(largest, u128::from(total)),
        }
    }

    fn contribution(&self, measure: Measure, person: u32) -> u64 {
        let at = person as usize;
        let hidden = u64::from(self.hidden[at]);
        match measure {
            Measure::Hidden => hidden,
            Measure::Product(known) => hidden * u64::from(self.register.known[known][at]),
            Measure::Flag => u64::from(self.secret.values[at] == 1),
        }
    }

    fn column(&self, group: Group) -> &Column {
        match group {
            Group::Column(at) => &self.register.columns[at],
            Group::Secret => &self.secret,
        }
    }

    fn matching(&self, condition: &Condition) -> UnitSet {
        let columns: Vec<&Column> = self.register.columns.iter().chain([&self.secret]).collect();
        let column = |name: &str| columns.iter().copied().find(|column| column.name() == name);
        matching(condition, self.size(), &column)
    }
}

impl Measure {
    fn outline(self) -> SumOutline {
        let name = format!("{self:?}");
        let factor = if matches!(self, Self::Product(_)) { 9.0 } else { 1.0 };
        SumOutline {
            figure: FigureName::new(*blake3::hash(name.as_bytes()).as_bytes()),
            bound: Finite::new(BOUND * factor).unwrap(),
        }
    }
}

fn parts_of(condition: &Condition) -> Vec<Condition> {
    match condition {
        Condition::Everyone => Vec::new(),
        Condition::All(parts) => parts.clone(),
        Condition::Atoms { .. } | Condition::Events { .. } | Condition::Not(_) | Condition::Any(_) => {
            vec![condition.clone()]
        }
    }
}
