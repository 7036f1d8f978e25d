//! The cells of a grid while rows are added to them.

use super::{
    evaluate::{At, Clipped, added, cell_of},
    pairs::Pairs,
    plan::{Plan, Selection},
    report::{Cell, ContributionSum, MeasuredSet, SetOutline},
    sets::Collector,
    tables::Tables,
    values::{Row, Rows},
};

/// The sets and sums of all cells.
pub(super) struct Cells {
    subjects: u32,
    are_bits: bool,
    sets: Vec<Contents>,
    /// Cells without a row have nothing.
    cells: Vec<Option<Box<Collecting>>>,
}

/// What a set consists of.
struct Contents {
    /// The number of rows that there are, if rows are collected.
    rows: Option<u32>,
    sums: usize,
    bands: usize,
}

struct Collecting {
    subjects: Collector,
    sets: Vec<CollectingSet>,
}

struct CollectingSet {
    subjects: Collector,
    rows: Option<Collector>,
    sums: Vec<ContributionSum>,
    bands: Vec<Collector>,
}

/// What one row adds to a set.
#[derive(Default)]
struct Added {
    values: Vec<Clipped>,
    sums: Vec<i128>,
}

impl Cells {
    /// Cells of subjects below `subjects`, and of rows below `rows` if rows are counted; as bits if there are few sets.
    pub(super) fn new(plan: &Plan, subjects: u32, rows: Option<u32>, are_bits: bool) -> Self {
        let contents = |selection: &Selection| Contents {
            rows: rows.filter(|_| selection.has_rows),
            sums: selection.sums.len(),
            bands: selection
                .edges
                .as_ref()
                .map_or(0, |edges| edges.len().saturating_add(1)),
        };
        Self {
            subjects,
            are_bits,
            sets: plan.selections.iter().map(contents).collect(),
            cells: (0..plan.grid()).map(|_| None).collect(),
        }
    }

    /// Adds rows. In the first pass they are counted and added up, in each pass what subjects contribute is added to `pairs`. Without pairs
    /// each subject has one row.
    pub(super) fn add(
        &mut self,
        plan: &mut Plan,
        rows: &Rows,
        tables: &Tables,
        (pairs, is_first): (&mut Option<Pairs>, bool),
    ) {
        let mut row_adds = Added::default();
        for at in 0..rows.len() {
            let row = Row { rows, at };
            let at = At {
                row,
                outer: None,
                tables,
            };
            let Some(owner) = row.owner() else { continue };
            let is_counted = plan.rows.is_true(at);
            if !is_counted && !plan.has_neighbors {
                continue;
            }
            let cell = cell_of(&mut plan.groups, at);
            if is_counted
                && is_first
                && let Some(cell) = self.cell(cell)
            {
                cell.subjects.add(owner);
            }
            let mut first_sum = 0_usize;
            for (position, selection) in plan.selections.iter_mut().enumerate() {
                if !is_counted && !selection.is_neighbor || !is_first && selection.is_neighbor {
                    first_sum = first_sum.saturating_add(selection.sums.len());
                    continue;
                }
                if selection.selects(at, &mut row_adds) {
                    if is_first && let Some(set) = self.cell(cell).and_then(|cell| cell.sets.get_mut(position)) {
                        set.add(
                            (owner, row.number()),
                            selection.edges.as_deref(),
                            &row_adds,
                            pairs.is_none(),
                        );
                    }
                    if let Some(pairs) = pairs
                        && !selection.is_neighbor
                    {
                        pairs.add((cell, owner), first_sum, &row_adds.sums);
                    }
                }
                first_sum = first_sum.saturating_add(selection.sums.len());
            }
        }
    }

    /// A cell, which is made if it has no row yet.
    fn cell(&mut self, at: usize) -> Option<&mut Collecting> {
        let subjects = || Collector::new(self.subjects, self.are_bits);
        let set = |contents: &Contents| CollectingSet {
            subjects: subjects(),
            rows: contents.rows.map(|rows| Collector::new(rows, self.are_bits)),
            sums: vec![ContributionSum::default(); contents.sums],
            bands: (0..contents.bands).map(|_| Collector::new(0, false)).collect(),
        };
        let cell = self.cells.get_mut(at)?.get_or_insert_with(|| {
            Box::new(Collecting {
                subjects: subjects(),
                sets: self.sets.iter().map(set).collect(),
            })
        });
        Some(cell)
    }

    /// Adds what the subjects of a slice contribute.
    pub(super) fn merge(&mut self, pairs: &Pairs) {
        for (cell, contributions) in pairs.iter() {
            let Some(cell) = self.cells.get_mut(cell).and_then(Option::as_mut) else {
                continue;
            };
            let sums = cell.sets.iter_mut().flat_map(|set| &mut set.sums);
            for (sum, contribution) in sums.zip(contributions) {
                sum.contributions.add(*contribution);
            }
        }
    }

    /// All cells of the grid.
    pub(super) fn finish(self, outlines: &[SetOutline]) -> Vec<Cell> {
        let finish = |cell: Option<Box<Collecting>>| match cell {
            Some(cell) => cell.finish(),
            None => Cell::empty(outlines),
        };
        self.cells.into_iter().map(finish).collect()
    }
}

impl Selection {
    /// Whether a row is one of these, and what it adds.
    fn selects(&mut self, at: At<'_>, adds: &mut Added) -> bool {
        if !self.filter.is_true(at) {
            return false;
        }
        adds.values.clear();
        for measure in &self.measures {
            let Some(value) = measure.clipped(at) else {
                return false;
            };
            adds.values.push(value);
        }
        let sums = self.sums.iter();
        adds.sums.clear();
        adds.sums
            .extend(sums.map(|(of, quantum)| added(*of, *quantum, &adds.values)));
        true
    }
}

impl CollectingSet {
    fn add(&mut self, (owner, number): (u32, Option<u32>), edges: Option<&[f64]>, adds: &Added, has_one_row: bool) {
        self.subjects.add(owner);
        if let Some((rows, number)) = self.rows.as_mut().zip(number) {
            rows.add(number);
        }
        for (sum, contribution) in self.sums.iter_mut().zip(&adds.sums) {
            sum.total = sum.total.saturating_add(*contribution);
            if has_one_row {
                sum.contributions.add(*contribution);
            }
        }
        if let Some((edges, value)) = edges.zip(adds.values.first()) {
            let band = edges.partition_point(|edge| *edge <= value.number());
            if let Some(band) = self.bands.get_mut(band) {
                band.add(number.unwrap_or(owner));
            }
        }
    }

    fn finish(self) -> MeasuredSet {
        MeasuredSet {
            subjects: self.subjects.finish(),
            rows: self.rows.map(Collector::finish).unwrap_or_default(),
            sums: self.sums,
            bands: self.bands.into_iter().map(Collector::finish).collect(),
        }
    }
}

impl Collecting {
    fn finish(self) -> Cell {
        Cell {
            subjects: self.subjects.finish(),
            sets: self.sets.into_iter().map(CollectingSet::finish).collect(),
        }
    }
}
