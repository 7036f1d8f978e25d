//! The patients of a hospital, and the queries of an analyst about them, by which the work of the audit is measured.

use std::collections::HashMap;
use std::sync::Arc;

use concordat_protocol::schema::VersionNumber;

use crate::random::{below, seeded::Seeded};
use crate::{CellBox, Condition, Counted, Grid, NeighborSets, Outline, ReportedSet, UnitSet};

/// A column: its name, and how many of 100,000 patients have each value but the first.
const COLUMNS: [(&str, &[u32]); 9] = [
    ("sex", &[49_000]),
    (
        "age",
        &[9_000, 11_000, 12_000, 13_000, 14_000, 13_000, 11_000, 6_000, 2_000],
    ),
    (
        "region",
        &[
            8_000, 8_000, 7_000, 7_000, 6_000, 6_000, 5_000, 5_000, 4_000, 4_000, 3_000, 3_000,
        ],
    ),
    ("hypertension", &[22_000]),
    ("diabetes", &[9_000]),
    ("asthma", &[5_000]),
    ("bleeding", &[1_200]),
    ("sepsis", &[400]),
    ("celecoxib", &[0]),
];

/// What the patients with a value have in common besides: all of them but few have another one as well.
const FOLLOWS: (usize, usize, u32) = (8, 3, 3);

/// Patients whose sex and age are not known, however many there are.
const UNKNOWN: u32 = 4;

pub(super) struct Hospital {
    pub(super) size: u32,
    /// The patients with each value, by column; those of unknown values are the last.
    values: Vec<Vec<UnitSet>>,
}

/// A query: conditions on columns, and the columns by which patients are grouped.
#[derive(Clone, Debug)]
pub(super) struct Analysis {
    conditions: Vec<(usize, Vec<u32>)>,
    by: Vec<usize>,
    /// Whether the numbers of the patients with and without another value are figures of each cell, as for a mean of it.
    pub(super) beside: Option<usize>,
}

/// A cell with its patients.
pub(super) struct Cell {
    pub(super) units: UnitSet,
    pub(super) cell: CellBox,
    pub(super) neighbors: Option<NeighborSets>,
}

impl Hospital {
    pub(super) fn new(size: u32, seed: u64) -> Self {
        let mut entropy = Seeded::new(seed);
        let mut drawn: Vec<Vec<Vec<u32>>> = COLUMNS.iter().map(|(_, of)| vec![Vec::new(); of.len() + 2]).collect();
        for unit in 0..size {
            for (column, (_, shares)) in COLUMNS.iter().enumerate() {
                let unknown = shares.len() + 1;
                let mut draw = below(&mut entropy, 100_000);
                let mut value = 0;
                for (at, share) in shares.iter().enumerate() {
                    if draw < *share {
                        value = at + 1;
                        break;
                    }
                    draw -= share;
                }
                let is_unknown = column < 2 && unit % (size / UNKNOWN) == 7 * (u32::try_from(column).unwrap() + 1);
                drawn[column][if is_unknown { unknown } else { value }].push(unit);
            }
        }
        let mut values: Vec<Vec<UnitSet>> = drawn
            .into_iter()
            .map(|values| values.into_iter().map(|units| units.into_iter().collect()).collect())
            .collect();
        // A drug that nearly all of its patients have for one diagnosis.
        let (drug, diagnosis, few) = FOLLOWS;
        let with = values[diagnosis][1].iter().step_by(5);
        let without = values[diagnosis][0].iter().step_by(1_001).take(few as usize);
        let has: UnitSet = with.chain(without).collect();
        values[drug] = vec![UnitSet::all(size).difference(&has), has, UnitSet::new()];
        Self { size, values }
    }

    /// As many queries as wanted: those of an analyst first, then more of the kind.
    pub(super) fn analyses(number: usize) -> Vec<Analysis> {
        let of = |conditions: &[(usize, &[u32])], by: &[usize], beside: Option<usize>| Analysis {
            conditions: conditions
                .iter()
                .map(|(column, values)| (*column, values.to_vec()))
                .collect(),
            by: by.to_vec(),
            beside,
        };
        let mut all = vec![
            of(&[], &[0], None),
            of(&[], &[1], None),
            of(&[(4, &[1])], &[], None),
            of(&[(4, &[1])], &[0], None),
            of(&[(4, &[1])], &[0], Some(3)),
            of(&[(8, &[1])], &[], None),
            of(&[(3, &[1]), (8, &[1])], &[], None),
            of(&[(8, &[1])], &[0], None),
            of(&[(3, &[1]), (8, &[1])], &[1], None),
            of(&[(3, &[1]), (6, &[1])], &[0], None),
            of(&[(1, &[6, 7, 8, 9]), (3, &[1])], &[0], None),
            of(&[], &[2], None),
            of(&[(4, &[1]), (3, &[1])], &[1], None),
            of(&[(7, &[1])], &[0], None),
            of(&[(1, &[5, 6, 7, 8, 9])], &[2], None),
        ];
        let mut entropy = Seeded::new(9);
        while all.len() < number {
            let mut conditions = Vec::new();
            for _ in 0..=below(&mut entropy, 2) {
                let column = 3 + below(&mut entropy, 6) as usize;
                if conditions.iter().all(|(of, _)| *of != column) {
                    conditions.push((column, vec![u32::from(below(&mut entropy, 4) != 0)]));
                }
            }
            if below(&mut entropy, 3) == 0 {
                let first = below(&mut entropy, 5);
                conditions.push((1, (first..first + 5).collect()));
            }
            let by = [0, 0, 1, 2][below(&mut entropy, 4) as usize];
            let is_free = conditions.iter().all(|(column, _)| *column != by);
            all.push(Analysis {
                conditions,
                by: if is_free { vec![by] } else { Vec::new() },
                beside: (below(&mut entropy, 5) == 0).then_some(5),
            });
        }
        all.truncate(number);
        all
    }

    /// The cells of a query, each with its neighbors.
    pub(super) fn cells(&self, analysis: &Analysis) -> Vec<Cell> {
        let mut groups: Vec<Vec<(usize, Vec<u32>)>> = vec![analysis.conditions.clone()];
        let split = analysis.by.iter().chain(&analysis.beside);
        for column in split {
            let values = u32::try_from(self.values[*column].len()).unwrap();
            let with =
                |group: &Vec<(usize, Vec<u32>)>, value| group.iter().cloned().chain([(*column, vec![value])]).collect();
            groups = groups
                .iter()
                .flat_map(|group| (0..values).map(move |value| with(group, value)))
                .collect();
        }
        let mut memory = HashMap::new();
        let mut cells = Vec::new();
        for group in groups {
            let conditions = group
                .iter()
                .map(|(column, values)| self.condition(*column, values))
                .collect();
            let cell = CellBox::new(Condition::All(conditions)).unwrap();
            let neighbors = cell.neighbors().map(|neighbors| {
                NeighborSets::of(&neighbors, &mut |of| {
                    let known = memory.entry(of.to_bytes());
                    known.or_insert_with(|| Arc::new(self.meeting(of.condition()))).clone()
                })
            });
            let units = self.meeting(cell.condition());
            cells.push(Cell { units, cell, neighbors });
        }
        cells
    }

    fn condition(&self, column: usize, values: &[u32]) -> Condition {
        Condition::Atoms {
            path: COLUMNS[column].0.to_owned(),
            of: u32::try_from(self.values[column].len()).unwrap(),
            atoms: values.iter().copied().collect(),
        }
    }

    fn meeting(&self, condition: &Condition) -> UnitSet {
        let none = UnitSet::new();
        match condition {
            Condition::Everyone => UnitSet::all(self.size),
            Condition::Atoms { path, atoms, .. } => {
                let column = COLUMNS.iter().position(|(name, _)| name == path).unwrap();
                let values = atoms.iter().map(|value| &self.values[column][value as usize]);
                values.fold(none, |all, units| all.union(units))
            }
            Condition::All(all) => all.iter().fold(UnitSet::all(self.size), |units, condition| {
                units.intersection(&self.meeting(condition))
            }),
            Condition::Any(any) => any.iter().fold(none, |units, of| units.union(&self.meeting(of))),
            Condition::Not(of) => UnitSet::all(self.size).difference(&self.meeting(of)),
            Condition::Events { .. } => none,
        }
    }
}

/// The grid of the numbers of patients.
pub(super) fn grid(cells: &[Cell]) -> Grid<'_> {
    let outline = Outline {
        subjects: true,
        ..Outline::default()
    };
    let sets = cells.iter().map(|cell| {
        vec![ReportedSet {
            cell: cell.cell.clone(),
            neighbors: cell.neighbors.clone(),
            subjects: &cell.units,
            rows: None,
            sums: Vec::new(),
            parts: Vec::new(),
        }]
    });
    Grid::new(VersionNumber::FIRST, Counted::Subjects, vec![outline], sets.collect()).unwrap()
}
