use super::{Bounds, Classes, IntervalCheck, check_intervals};
use crate::UnitSet;
use proptest::prelude::*;

/// A table of counts as sets: rows, columns, and the total. The classes of cells are in the order of the table.
#[derive(Debug)]
struct Table {
    counts: Vec<Vec<u32>>,
}

impl Table {
    fn cells(&self) -> Vec<Vec<UnitSet>> {
        let mut next = 0;
        let mut cell = |count: &u32| {
            next += count;
            UnitSet::from_iter(next - count..next)
        };
        self.counts
            .iter()
            .map(|row| row.iter().map(&mut cell).collect())
            .collect()
    }

    fn margins(&self) -> Vec<UnitSet> {
        let cells = self.cells();
        let union = |sets: Vec<&UnitSet>| sets.into_iter().fold(UnitSet::new(), |all, set| all.union(set));
        let rows = cells.iter().map(|row| union(row.iter().collect()));
        let columns = (0..cells[0].len()).map(|column| union(cells.iter().map(|row| &row[column]).collect()));
        rows.chain(columns).collect()
    }

    /// Cells without subjects, by the row and column that they are in.
    fn empty(&self) -> Vec<Vec<usize>> {
        let (rows, columns) = (self.counts.len(), self.counts[0].len());
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let empty = cells.filter(|(row, column)| self.counts[*row][*column] == 0);
        empty.map(|(row, column)| vec![row, rows + column]).collect()
    }

    /// What each cell may be in a table with these margins, by trying all tables.
    fn possible(&self) -> Vec<Vec<Bounds>> {
        let (rows, columns) = (self.counts.len(), self.counts[0].len());
        let sums = |counts: &[Vec<u32>]| {
            let row = counts.iter().map(|row| row.iter().sum());
            let column = (0..columns).map(|column| counts.iter().map(|row| row[column]).sum());
            row.chain(column).collect::<Vec<u32>>()
        };
        let wanted = sums(&self.counts);
        let mut bounds = vec![vec![(u64::MAX, 0); columns]; rows];
        let mut table = vec![vec![0; columns]; rows];
        each_table(&mut table, 0, &wanted, &mut |table| {
            if sums(table) == wanted {
                for (bound, count) in bounds.iter_mut().flatten().zip(table.iter().flatten()) {
                    *bound = (bound.0.min(u64::from(*count)), bound.1.max(u64::from(*count)));
                }
            }
        });
        bounds
    }

    /// What the code finds, by cell.
    fn found(&self) -> Vec<Vec<Bounds>> {
        let margins = self.margins();
        let classes = Classes::of(&margins.iter().collect::<Vec<_>>(), &self.empty()).unwrap();
        let bounds = classes.bounds(|_| true);
        let of = |row: usize, column: usize| {
            let sets = vec![row, self.counts.len() + column];
            bounds[classes.sets.iter().position(|other| *other == sets).unwrap()]
        };
        let columns = self.counts[0].len();
        (0..self.counts.len())
            .map(|row| (0..columns).map(|column| of(row, column)).collect())
            .collect()
    }
}

/// Calls `visit` with all tables whose cells are not larger than the sums of their rows.
fn each_table(table: &mut Vec<Vec<u32>>, at: usize, sums: &[u32], visit: &mut dyn FnMut(&[Vec<u32>])) {
    let columns = table[0].len();
    if at == table.len() * columns {
        return visit(table);
    }
    let left = sums[at / columns] - table[at / columns][..at % columns].iter().sum::<u32>();
    for count in 0..=left {
        table[at / columns][at % columns] = count;
        each_table(table, at + 1, sums, visit);
    }
    table[at / columns][at % columns] = 0;
}

fn any_table() -> impl Strategy<Value = Table> {
    let counts = (2_usize..=3, 2_usize..=3)
        .prop_flat_map(|(rows, columns)| prop::collection::vec(prop::collection::vec(0_u32..=3, columns), rows));
    counts.prop_map(|counts| Table { counts })
}

proptest! {
    /// What is found is possible: bounds contain those of all tables with the margins, so that a number that is called known is known.
    #[test]
    fn intervals_contain_every_possible_table(table in any_table()) {
        for (found, possible) in table.found().into_iter().flatten().zip(table.possible().into_iter().flatten()) {
            prop_assert!(found.0 <= possible.0 && found.1 >= possible.1, "{found:?} {possible:?}");
        }
    }

    /// Tables of two rows and two columns have Fréchet's bounds, which propagation finds.
    #[test]
    fn intervals_of_two_by_two_tables_are_exact(counts in prop::collection::vec(prop::collection::vec(0_u32..=4, 2), 2)) {
        let table = Table { counts };
        prop_assert_eq!(table.found(), table.possible());
    }

    /// With what is withheld, no number below `k` follows in the tables that the check can read.
    #[test]
    fn intervals_open_after_withholding(table in any_table(), k in 1_u64..6) {
        let margins = table.margins();
        let margins: Vec<&UnitSet> = margins.iter().collect();
        let (released, cells) = margins.split_at(table.counts.len());
        if let IntervalCheck::Withhold(withheld) = check_intervals(released, cells, &table.empty(), k) {
            let classes = Classes::of(&margins, &table.empty()).unwrap();
            let is_shown = |set: usize| set < released.len() || !withheld.contains(&(set - released.len()));
            prop_assert!(!classes.reveals(k, is_shown));
            let fewer: Vec<usize> = withheld.iter().copied().take(withheld.len().saturating_sub(1)).collect();
            let is_shown = |set: usize| set < released.len() || !fewer.contains(&(set - released.len()));
            prop_assert!(withheld.is_empty() || classes.reveals(k, is_shown), "the last one was not needed");
        }
    }
}

/// 12 of 20 have one diagnosis and 17 another one; that 9 have both follows if there are 20.
#[test]
fn intervals_of_exact_margins_close() {
    let table = Table {
        counts: vec![vec![12, 0], vec![5, 3]],
    };
    assert_eq!(table.possible()[0][1], (0, 3));
    // Without a cell for those with neither, all others are known.
    let table = Table {
        counts: vec![vec![0, 3], vec![4, 0]],
    };
    let margins = table.margins();
    let margins: Vec<&UnitSet> = margins.iter().collect();
    let empty = vec![vec![0, 2]];
    let (released, cells) = margins.split_at(2);
    assert_ne!(
        check_intervals(released, cells, &empty, 5),
        IntervalCheck::Withhold(Vec::new())
    );
    assert_eq!(
        check_intervals(released, cells, &table.empty(), 5),
        IntervalCheck::Withhold(Vec::new())
    );
}

#[test]
fn intervals_of_a_nested_set_close() {
    // 3 of 20 are in the larger set only.
    let (outer, inner) = (UnitSet::from_iter(0..20), UnitSet::from_iter(0..17));
    assert_eq!(
        check_intervals(&[&outer], &[&inner], &[], 3),
        IntervalCheck::Withhold(Vec::new())
    );
    assert_eq!(check_intervals(&[&outer], &[&inner], &[], 4), IntervalCheck::All);
    let other = UnitSet::from_iter(0..16);
    assert_eq!(
        check_intervals(&[&outer], &[&inner, &other], &[], 4),
        IntervalCheck::All
    );
    let elsewhere = UnitSet::from_iter(100..150);
    let cells = [&elsewhere, &inner];
    assert_eq!(
        check_intervals(&[&outer], &cells, &[], 4),
        IntervalCheck::Withhold(vec![1])
    );
}

#[test]
fn intervals_of_too_many_classes_are_not_checked() {
    let sets: Vec<UnitSet> = (0..13)
        .map(|bit| UnitSet::from_iter((0..8_192).filter(|unit| unit >> bit & 1 == 1)))
        .collect();
    let sets: Vec<&UnitSet> = sets.iter().collect();
    assert_eq!(check_intervals(&sets, &[], &[], 10), IntervalCheck::NotChecked);
    assert_eq!(check_intervals(&[], &[], &[], 10), IntervalCheck::Withhold(Vec::new()));
}

/// The classes, with a set of subjects for each of them: the reference.
fn classes_by_sets(sets: &[&UnitSet]) -> (Vec<u64>, Vec<Vec<usize>>) {
    let mut classes: Vec<(UnitSet, Vec<usize>)> = Vec::new();
    let mut union = UnitSet::new();
    for (at, set) in sets.iter().enumerate() {
        let mut divided = Vec::new();
        for (units, within) in classes {
            divided.push((units.intersection(set), [&within[..], &[at]].concat()));
            divided.push((units.difference(set), within));
        }
        divided.push((set.difference(&union), vec![at]));
        divided.retain(|(units, _)| !units.is_empty());
        union = union.union(set);
        classes = divided;
    }
    classes.into_iter().map(|(units, sets)| (units.len(), sets)).unzip()
}

proptest! {
    /// Also in the same order, in which bounds are narrowed.
    #[test]
    fn interval_classes_are_those_of_sets(sets in prop::collection::vec(prop::collection::btree_set(0_u32..40, 0..40), 0..9)) {
        let sets: Vec<UnitSet> = sets.into_iter().map(|set| set.into_iter().collect()).collect();
        let sets: Vec<&UnitSet> = sets.iter().collect();
        let classes = Classes::of(&sets, &[]).unwrap();
        prop_assert_eq!((classes.counts, classes.sets), classes_by_sets(&sets));
    }
}
