//! The sets of the neighbors of cells: unions over the classes of the groups that they lack.

use std::{collections::HashMap, sync::Arc};

use concordat_disclosure::{CellBox, NeighborSets, PartSet, UnitSet, WiderSet};

use super::boxes::Boxes;
use crate::{
    compute::{CellReport, NeighborSet, SetNeighbors},
    statistic::{NeighborRows, Quantity},
};

/// The neighbors of the cells of a report. Cells with the same neighbor have the same object, so that it is examined once.
pub(super) struct CellNeighbors<'r, 'a> {
    boxes: &'r Boxes<'a>,
    report: &'r CellReport,
    /// The number of groups.
    groups: usize,
    /// The subjects by the position of the set and the groups that it lacks.
    unions: HashMap<(usize, Vec<usize>), Unions>,
}

/// The subjects for each of the cells whose class in the groups that are lacked is the first; none for the others.
type Unions = Vec<Option<Arc<UnitSet>>>;

impl<'r, 'a> CellNeighbors<'r, 'a> {
    pub(super) fn new(boxes: &'r Boxes<'a>, report: &'r CellReport) -> Self {
        Self {
            groups: boxes.sizes().len(),
            boxes,
            report,
            unions: HashMap::new(),
        }
    }

    /// The neighbors of a set of a cell; `None` if the report does not have them.
    pub(super) fn of(
        &mut self,
        neighbors: &SetNeighbors,
        (cell, measured): (usize, Option<&Quantity>),
    ) -> Option<NeighborSets> {
        let mut sets = NeighborSets::default();
        let is_neighbor = |rows: &NeighborRows| {
            let mut groups = rows.missing_in.iter();
            rows.missing_in.is_empty() || groups.any(|at| self.boxes.is_missing(cell, *at))
        };
        let wider = neighbors.wider.iter().filter(|(set, _)| is_neighbor(&set.rows));
        for (set, is_plain) in wider.collect::<Vec<_>>() {
            sets.wider.push(WiderSet {
                subjects: self.subjects(set, cell)?,
                cell: self.described(set, (cell, measured)),
                is_plain: *is_plain,
                is_examined: self.is_examined(set),
            });
        }
        for (set, of_part) in &neighbors.parts {
            sets.parts.push(PartSet {
                subjects: self.subjects(set, cell)?,
                cell: self.described(set, (cell, measured)),
                neighbors: self.of(of_part, (cell, measured))?,
            });
        }
        Some(sets)
    }

    /// Whether nearly all subjects may not be in a wider set, nor all. Nearly all of those whom the permission covers may be counted, and where
    /// subjects have many rows, nearly all have one in a frequent class: what is shown of a rare one is not withheld for that. That a value or a joined
    /// row is there is no clause, so a set of everyone with it is one of nearly all, too.
    fn is_examined(&self, set: &NeighborSet) -> bool {
        let mut conditions = set.rows.condition.conjuncts().iter();
        let has_conditions = conditions.any(|condition| !self.boxes.is_of_values(condition));
        let has_clauses = has_conditions || set.rows.any_of.len() < self.groups;
        has_clauses && !self.boxes.counts_rows()
    }

    fn described(&self, set: &NeighborSet, (cell, measured): (usize, Option<&Quantity>)) -> CellBox {
        self.boxes.neighbor(cell, &set.rows, measured)
    }

    fn subjects(&mut self, set: &NeighborSet, cell: usize) -> Option<Arc<UnitSet>> {
        let first = self.first(cell, &set.rows.any_of);
        let (boxes, report) = (self.boxes, self.report);
        let key = (set.at, set.rows.any_of.clone());
        let unions = self.unions.entry(key).or_insert_with(|| unions(boxes, report, set));
        unions.get(first)?.clone()
    }

    fn first(&self, cell: usize, any_of: &[usize]) -> usize {
        first(self.boxes, cell, any_of)
    }
}

/// The cell with the first class in some groups, and the same class in the others.
fn first(boxes: &Boxes<'_>, cell: usize, any_of: &[usize]) -> usize {
    let classes = boxes.classes(cell).into_iter().enumerate();
    let classes = classes.map(|(at, class)| if any_of.contains(&at) { 0 } else { class });
    boxes.cell_of(&classes.collect::<Vec<_>>())
}

fn unions(boxes: &Boxes<'_>, report: &CellReport, set: &NeighborSet) -> Unions {
    let mut unions: Vec<Option<UnitSet>> = vec![None; report.cells.len()];
    for (at, cell) in report.cells.iter().enumerate() {
        let subjects = cell.sets.get(set.at).map(|set| &set.subjects);
        let union = unions.get_mut(first(boxes, at, &set.rows.any_of));
        if let Some((subjects, union)) = subjects.zip(union) {
            *union = Some(
                union
                    .as_ref()
                    .map_or_else(|| subjects.clone(), |union| union.union(subjects)),
            );
        }
    }
    unions.into_iter().map(|union| union.map(Arc::new)).collect()
}
