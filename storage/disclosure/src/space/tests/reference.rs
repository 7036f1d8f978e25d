//! An independent reference: exact ranks over the rational numbers, and every set of few subjects tried.

use std::collections::{BTreeMap, BTreeSet};

/// A unit by ordinal and epoch, as this reference counts it.
pub(super) type Point = (u64, u32);

/// Released sets of a small space.
#[derive(Clone, Default)]
pub(super) struct Reference {
    pub(super) sets: Vec<BTreeSet<Point>>,
    pub(super) owners: BTreeMap<u32, u32>,
}

impl Reference {
    /// Whether a combination of the sets is nonzero, and only at units of fewer than `k` subjects.
    ///
    /// For each choice of `k - 1` subjects: such a combination exists if the rank falls without their units.
    pub(super) fn isolates(&self, k: usize) -> bool {
        let points = self.points();
        let rank = self.rank(&points);
        let subjects: Vec<u32> = self
            .owners
            .values()
            .copied()
            .collect::<BTreeSet<u32>>()
            .into_iter()
            .collect();
        subsets(&subjects, k - 1).into_iter().any(|few| {
            let others: Vec<Point> = points
                .iter()
                .copied()
                .filter(|(_, unit)| !few.contains(&self.owners[unit]))
                .collect();
            self.rank(&others) < rank
        })
    }

    pub(super) fn rank_of_all(&self) -> usize {
        self.rank(&self.points())
    }

    pub(super) fn with(&self, set: BTreeSet<Point>) -> Self {
        let mut more = self.clone();
        more.sets.push(set);
        more
    }

    fn points(&self) -> Vec<Point> {
        let points: BTreeSet<Point> = self.sets.iter().flatten().copied().collect();
        points.into_iter().collect()
    }

    fn rank(&self, points: &[Point]) -> usize {
        let row = |set: &BTreeSet<Point>| points.iter().map(|point| i128::from(set.contains(point))).collect();
        rank(self.sets.iter().map(row).collect())
    }
}

/// The rank of an integer matrix, by elimination without fractions (Bareiss 1968): all numbers stay minors of the matrix.
fn rank(mut rows: Vec<Vec<i128>>) -> usize {
    let columns = rows.first().map_or(0, Vec::len);
    let (mut done, mut divisor) = (0, 1);
    for column in 0..columns {
        let Some(at) = (done..rows.len()).find(|row| rows[*row][column] != 0) else {
            continue;
        };
        rows.swap(done, at);
        let pivot = rows[done].clone();
        for row in &mut rows[done + 1..] {
            let factor = row[column];
            for (number, other) in row.iter_mut().zip(&pivot) {
                *number = (*number * pivot[column] - other * factor) / divisor;
            }
        }
        divisor = pivot[column];
        done += 1;
    }
    done
}

fn subsets(of: &[u32], size: usize) -> Vec<BTreeSet<u32>> {
    if size == 0 {
        return vec![BTreeSet::new()];
    }
    let mut found = Vec::new();
    for (at, first) in of.iter().enumerate() {
        for mut rest in subsets(&of[at + 1..], size - 1) {
            rest.insert(*first);
            found.push(rest);
        }
    }
    // Fewer subjects than `size` exist: all of them.
    if found.is_empty() && of.len() < size {
        found.push(of.iter().copied().collect());
    }
    found
}

#[test]
fn reference_knows_small_cases() {
    assert_eq!(rank(vec![vec![1, 1, 0], vec![0, 1, 1], vec![1, 2, 1]]), 2);
    assert_eq!(rank(vec![vec![0, 1, 1], vec![1, 0, 1], vec![1, 1, 0]]), 3);
    assert_eq!(rank(vec![]), 0);
    let mut reference = Reference {
        sets: vec![
            (0..4).map(|unit| (1, unit)).collect(),
            (0..3).map(|unit| (1, unit)).collect(),
        ],
        owners: (0..4).map(|unit| (unit, unit)).collect(),
    };
    assert!(reference.isolates(2));
    reference.owners.insert(3, 2);
    assert!(reference.isolates(2));
    reference.sets[1] = (0..2).map(|unit| (1, unit)).collect();
    assert!(reference.isolates(2), "unit 2 and 3 are one subject's");
    assert!(!reference.isolates(1));
}
