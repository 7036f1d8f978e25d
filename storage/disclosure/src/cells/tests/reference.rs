//! An independent reference: whether a combination of released sets is about few subjects only, with every choice of few subjects tried.

use std::collections::BTreeSet;

/// A unit by epoch and number.
pub(super) type Point = (u64, u32);

/// A prime: no minor of a few sets of a few units is a multiple of it.
const PRIME: u64 = (1 << 61) - 1;

/// Whether a nonzero combination of the sets is zero but at units of fewer than `k` subjects.
pub(super) fn isolates(sets: &[BTreeSet<Point>], owner: &dyn Fn(u32) -> u32, k: usize) -> bool {
    let points: BTreeSet<Point> = sets.iter().flatten().copied().collect();
    let points: Vec<Point> = points.into_iter().collect();
    let subjects: BTreeSet<u32> = points.iter().map(|(_, unit)| owner(*unit)).collect();
    let subjects: Vec<u32> = subjects.into_iter().collect();
    let rank_of = |points: &[Point]| {
        rank(
            sets.iter()
                .map(|set| points.iter().map(|point| set.contains(point)).collect()),
        )
    };
    let whole = rank_of(&points);
    let size = (k - 1).min(subjects.len());
    choices(subjects.len(), size).into_iter().any(|few| {
        let is_few = |unit: u32| few.iter().any(|at| subjects[*at] == owner(unit));
        let others: Vec<Point> = points.iter().copied().filter(|(_, unit)| !is_few(*unit)).collect();
        rank_of(&others) < whole
    })
}

/// The rank of rows of zeros and ones, modulo the prime.
fn rank(rows: impl Iterator<Item = Vec<bool>>) -> usize {
    let mut reduced: Vec<Vec<u64>> = Vec::new();
    for row in rows {
        let mut row: Vec<u64> = row.into_iter().map(u64::from).collect();
        for other in &reduced {
            let lead = other.iter().position(|number| *number != 0).unwrap();
            let factor = row[lead];
            for (number, other) in row.iter_mut().zip(other) {
                *number = (*number + PRIME - product(factor, *other)) % PRIME;
            }
        }
        if let Some(lead) = row.iter().position(|number| *number != 0) {
            let inverse = power(row[lead], PRIME - 2);
            row.iter_mut().for_each(|number| *number = product(*number, inverse));
            reduced.push(row);
        }
    }
    reduced.len()
}

fn product(a: u64, b: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) % u128::from(PRIME)).unwrap()
}

fn power(base: u64, exponent: u64) -> u64 {
    let (mut result, mut square, mut left) = (1, base, exponent);
    while left > 0 {
        if left % 2 == 1 {
            result = product(result, square);
        }
        square = product(square, square);
        left /= 2;
    }
    result
}

/// All choices of `size` of the first `of` numbers.
fn choices(of: usize, size: usize) -> Vec<Vec<usize>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for last in (size - 1)..of {
        for mut choice in choices(last, size - 1) {
            choice.push(last);
            found.push(choice);
        }
    }
    found
}

#[test]
fn reference_of_cells_knows_small_cases() {
    let set = |units: std::ops::Range<u32>| units.map(|unit| (1, unit)).collect::<BTreeSet<Point>>();
    let own = |unit: u32| unit;
    assert_eq!(choices(4, 2).len(), 6);
    assert!(
        isolates(&[set(0..5), set(0..4)], &own, 2),
        "their difference is about one"
    );
    assert!(!isolates(&[set(0..5), set(0..3)], &own, 2));
    assert!(isolates(&[set(0..5), set(0..3)], &own, 3));
    assert!(
        isolates(&[set(0..5), set(0..3)], &|unit| unit.min(3), 2),
        "two units of one subject"
    );
    assert!(!isolates(&[], &own, 3));
}
