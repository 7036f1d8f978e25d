//! Which cells of a table are withheld.
//!
//! A cell with fewer subjects than the minimum is withheld. That alone does not protect it: a total is easy to query,
//! and the total minus the visible cells is the withheld one. So in every slice of the table (every set of cells that
//! agree on some of the dimensions, including the whole table) that has a withheld cell, further cells are withheld,
//! the smallest first, until at least two are hidden and together they have at least the minimum number of subjects.
//! Hiding one can expose another slice, so this is repeated until nothing changes.
//!
//! Nothing here depends on whether a cell has more subjects than the minimum, so they may be counted up to that only;
//! of two cells with the same number of subjects, the one with fewer rows is the smaller one.

use std::collections::BTreeMap;

/// One cell: its coordinates, and its subjects and rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// Its coordinate along each dimension.
    pub key: Vec<u32>,
    /// Subjects in it, counted at least up to the minimum.
    pub subjects: u64,
    /// Rows in it.
    pub rows: u64,
}

/// Whether a subject can be in more than one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subjects {
    /// Each subject is in one cell, so the subjects of several cells add up.
    InOneCell,
    /// A subject may be in several cells, so all that is known of several cells is that they have at least as many
    /// subjects as the largest of them.
    InSeveral,
}

/// Returns for each of `cells` whether it is withheld; those in `already` stay withheld.
///
/// Cells without any subject are withheld but need no further withheld cells to protect them, since they contain no
/// one.
pub(crate) fn withhold(cells: &[Cell], already: &[bool], min_cell: u64, subjects: Subjects) -> Vec<bool> {
    let known = already.iter().copied().chain(std::iter::repeat(false));
    let mut hidden: Vec<bool> = cells
        .iter()
        .zip(known)
        .map(|(cell, known)| known || cell.subjects < min_cell)
        .collect();
    let slices = slices(cells);
    loop {
        let before = hidden.iter().filter(|hidden| **hidden).count();
        for slice in &slices {
            while let Some(next) = exposed(slice, cells, &hidden, min_cell, subjects) {
                if let Some(hidden) = hidden.get_mut(next) {
                    *hidden = true;
                }
            }
        }
        if hidden.iter().filter(|hidden| **hidden).count() == before {
            return hidden;
        }
    }
}

/// Returns for each group whether the value of an aggregate is withheld, given the cells of the rows in which its operands
/// have a value and of those in which they have none.
///
/// The number of rows in a group is easy to query, so the rows without a value are what is left of it. They are cells
/// like the others: having a value or not is one more dimension of the table. The groups in `groups` stay withheld.
pub(crate) fn withhold_values(
    with: &[Cell],
    without: &[Cell],
    groups: &[bool],
    min_cell: u64,
    subjects: Subjects,
) -> Vec<bool> {
    let part = |cell: &Cell, coordinate: u32| Cell {
        key: cell.key.iter().copied().chain([coordinate]).collect(),
        ..cell.clone()
    };
    // A cell without any subject protects no other and needs no protection.
    let rest = without.iter().zip(groups).filter(|(cell, _)| cell.subjects > 0);
    let (rest, rest_hidden): (Vec<Cell>, Vec<bool>) = rest.map(|(cell, hidden)| (part(cell, 1), *hidden)).unzip();
    let cells: Vec<Cell> = with.iter().map(|cell| part(cell, 0)).chain(rest).collect();
    let already: Vec<bool> = groups.iter().copied().chain(rest_hidden).collect();
    let mut hidden = withhold(&cells, &already, min_cell, subjects);
    hidden.truncate(with.len());
    hidden
}

/// The cell to hide next, if the hidden cells of the slice could be computed from the visible ones.
fn exposed(slice: &[usize], cells: &[Cell], hidden: &[bool], min_cell: u64, subjects: Subjects) -> Option<usize> {
    let is_hidden = |at: &&usize| hidden.get(**at).copied().unwrap_or(true);
    let count = |at: &usize| cells.get(*at).map_or(0, |cell| cell.subjects);
    let size = |at: &usize| cells.get(*at).map(|cell| (cell.subjects, cell.rows));
    let at_risk: Vec<u64> = slice
        .iter()
        .filter(is_hidden)
        .map(count)
        .filter(|subjects| *subjects > 0)
        .collect();
    let together: u64 = match subjects {
        Subjects::InOneCell => at_risk.iter().sum(),
        Subjects::InSeveral => at_risk.iter().copied().max().unwrap_or(0),
    };
    if at_risk.is_empty() || at_risk.len() > 1 && together >= min_cell {
        return None;
    }
    slice
        .iter()
        .filter(|at| !is_hidden(at))
        .min_by_key(|at| (size(at), **at))
        .copied()
}

/// The cells that agree on some dimensions, for every proper subset of the dimensions.
fn slices(cells: &[Cell]) -> Vec<Vec<usize>> {
    let dimensions = cells.first().map_or(0, |cell| cell.key.len()).min(16);
    let mut slices = Vec::new();
    for fixed in 0..(1_u32 << dimensions).saturating_sub(1).max(1) {
        let mut by_key: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
        for (at, cell) in cells.iter().enumerate() {
            let fixed_dimensions = cell
                .key
                .iter()
                .enumerate()
                .filter(|(dimension, _)| fixed >> dimension & 1 == 1);
            by_key
                .entry(fixed_dimensions.map(|(_, coordinate)| *coordinate).collect())
                .or_default()
                .push(at);
        }
        slices.extend(by_key.into_values());
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(counts: &[u64]) -> Vec<Cell> {
        counts
            .iter()
            .zip(0..)
            .map(|(subjects, coordinate)| Cell {
                key: vec![coordinate],
                subjects: *subjects,
                rows: *subjects,
            })
            .collect()
    }

    fn hidden(counts: &[u64], min_cell: u64) -> Vec<usize> {
        let cells = line(counts);
        let hidden = withhold(&cells, &[], min_cell, Subjects::InOneCell);
        (0..cells.len()).filter(|at| hidden[*at]).collect()
    }

    #[test]
    fn single_small_cell_also_hides_the_smallest_other_cell() {
        assert_eq!(hidden(&[40, 3, 25, 90], 10), [1, 2]);
        assert_eq!(hidden(&[40, 30, 25], 10), [] as [usize; 0]);
    }

    #[test]
    fn small_cells_that_protect_each_other_are_enough() {
        assert_eq!(hidden(&[6, 7, 40], 10), [0, 1]);
        assert_eq!(hidden(&[2, 3, 40, 50], 10), [0, 1, 2]);
    }

    #[test]
    fn only_small_cell_and_empty_cell_are_hidden() {
        assert_eq!(hidden(&[9], 10), [0]);
        assert_eq!(hidden(&[0, 40], 10), [0]);
        assert!(withhold(&[], &[], 10, Subjects::InOneCell).is_empty());
    }

    #[test]
    fn shared_subjects_do_not_add_up() {
        let cells = line(&[6, 7, 40, 50]);
        assert_eq!(
            withhold(&cells, &[], 10, Subjects::InSeveral),
            [true, true, true, false]
        );
    }

    #[test]
    fn values_are_hidden_where_few_subjects_have_none() {
        let hidden = |with: &[u64], without: &[u64]| {
            let groups = vec![false; with.len()];
            withhold_values(&line(with), &line(without), &groups, 10, Subjects::InOneCell)
        };
        assert_eq!(hidden(&[90], &[0]), [false]);
        assert_eq!(hidden(&[90], &[10]), [false]);
        assert_eq!(hidden(&[90], &[1]), [true]);
        // The total would reveal the hidden one.
        assert_eq!(hidden(&[90, 50, 40], &[3, 0, 0]), [true, false, true]);
        assert_eq!(hidden(&[90, 50, 40], &[30, 20, 0]), [false, false, false]);
    }

    #[test]
    fn counting_up_to_the_minimum_hides_the_same_cells() {
        for counts in [
            [40, 3, 25, 90].as_slice(),
            &[6, 7, 40],
            &[2, 3, 40, 50],
            &[9, 11],
            &[0, 40, 1],
        ] {
            for subjects in [Subjects::InOneCell, Subjects::InSeveral] {
                let exact = line(counts);
                let mut capped = exact.clone();
                capped.iter_mut().for_each(|cell| cell.subjects = cell.subjects.min(10));
                assert_eq!(
                    withhold(&capped, &[], 10, subjects),
                    withhold(&exact, &[], 10, subjects),
                    "{counts:?}"
                );
            }
        }
    }

    #[test]
    fn hiding_in_a_row_also_protects_the_column() {
        // sex x hospital: one small cell hides one in its row, one in its column, and the cell where those two meet.
        let counts = [[3, 30, 60], [40, 50, 70], [80, 90, 95]];
        let cell = |row: u32, column: u32| Cell {
            key: vec![row, column],
            subjects: counts[row as usize][column as usize],
            rows: counts[row as usize][column as usize],
        };
        let cells: Vec<Cell> = (0..3)
            .flat_map(|row| (0..3).map(move |column| (row, column)))
            .map(|(row, column)| cell(row, column))
            .collect();
        let hidden = withhold(&cells, &[], 10, Subjects::InOneCell);
        assert_eq!(hidden, [true, true, false, true, true, false, false, false, false]);
    }

    proptest! {
        /// In every known total, either at least two cells with enough subjects are hidden, or all of it is.
        #[test]
        fn no_hidden_cell_follows_from_a_total(
            counts in proptest::collection::btree_map((0_u32..4, 0_u32..3, 0_u32..3), 1_u64..60, 1..30),
            min_cell in 2_u64..20,
        ) {
            let cells: Vec<Cell> = counts.iter().map(|((a, b, c), subjects)| Cell { key: vec![*a, *b, *c], subjects: *subjects, rows: *subjects }).collect();
            let hidden = withhold(&cells, &[], min_cell, Subjects::InOneCell);
            for (cell, hidden) in cells.iter().zip(&hidden) {
                prop_assert!(*hidden || cell.subjects >= min_cell);
            }
            for fixed in 0..7_u32 {
                for like in &cells {
                    let same = |cell: &Cell| (0..3).all(|d| fixed >> d & 1 == 0 || cell.key[d] == like.key[d]);
                    let slice: Vec<usize> = (0..cells.len()).filter(|at| same(&cells[*at])).collect();
                    let secret: Vec<u64> = slice.iter().filter(|at| hidden[**at]).map(|at| cells[*at].subjects).collect();
                    let enough = secret.len() > 1 && secret.iter().sum::<u64>() >= min_cell;
                    prop_assert!(secret.is_empty() || secret.len() == slice.len() || enough);
                }
            }
        }
    }
}
