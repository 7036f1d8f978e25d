use std::slice;

use proptest::prelude::*;

use super::*;
use crate::compute::{Monomial, SumOutline, quantum_of};

const SUBJECTS: u32 = 100;
const ROWS: u32 = 300;

/// One set with two sums and two bands, and one with nothing.
fn expected(grid: usize, has_rows: bool) -> Expected {
    let sum = |of| SumOutline {
        of,
        quantum: quantum_of(1_000.0),
    };
    let outline = |sums: Vec<SumOutline>, edges| SetOutline {
        sums,
        centers: [0.0, 0.0],
        edges,
    };
    Expected {
        version: VersionNumber::FIRST,
        subjects: SUBJECTS,
        rows: has_rows.then_some(ROWS),
        set_of: vec![0, 1],
        outlines: vec![
            outline(vec![sum(Monomial::One), sum(Monomial::X)], Some(vec![5.0])),
            outline(Vec::new(), None),
        ],
        grid,
    }
}

fn any_units(universe: u32) -> impl Strategy<Value = UnitSet> {
    prop::collection::btree_set(0..universe, 0..12).prop_map(|units| units.into_iter().collect())
}

fn any_sum() -> impl Strategy<Value = ContributionSum> {
    (prop::collection::vec(any::<u64>(), KEPT), any::<u64>(), any::<bool>()).prop_map(
        |(mut kept, rest, is_negative)| {
            kept.sort_unstable_by(|a, b| b.cmp(a));
            let largest: [u128; KEPT] = std::array::from_fn(|at| u128::from(kept[at]));
            let total = largest.iter().sum::<u128>() + u128::from(rest);
            let signed = i128::try_from(total).unwrap();
            ContributionSum {
                total: if is_negative { -signed } else { signed },
                contributions: Contributions { largest, total },
            }
        },
    )
}

fn any_report(has_rows: bool) -> impl Strategy<Value = CellReport> {
    let universe = if has_rows { ROWS } else { SUBJECTS };
    let rows = if has_rows { ROWS } else { 1 };
    let set = (
        any_units(rows),
        prop::collection::vec(any_sum(), 2),
        prop::collection::vec(any_units(universe), 2),
    );
    let cell = (any_units(SUBJECTS), set).prop_map(move |(subjects, (rows, sums, bands))| Cell {
        sets: vec![
            MeasuredSet {
                subjects: subjects.iter().take(3).collect(),
                rows: if has_rows { rows } else { UnitSet::new() },
                sums,
                bands,
            },
            MeasuredSet {
                subjects: subjects.clone(),
                ..MeasuredSet::default()
            },
        ],
        subjects,
    });
    (prop::collection::vec(cell, 1..5), any::<bool>()).prop_map(move |(cells, is_complete)| {
        let expected = expected(cells.len(), has_rows);
        CellReport {
            version: expected.version,
            subjects: expected.subjects,
            rows: expected.rows,
            set_of: expected.set_of,
            outlines: expected.outlines,
            cells,
            is_complete,
        }
    })
}

fn arrived(frames: &[Vec<u8>], end: &[u8], expected: Expected) -> Result<CellReport, QueryError> {
    let mut arriving = Arriving::new(expected);
    for frame in frames {
        arriving.add(frame)?;
    }
    arriving.finish(end)
}

fn frames(report: &CellReport) -> Vec<Vec<u8>> {
    encoded(report).collect()
}

proptest! {
    #[test]
    fn cells_arrive_as_they_were_sent(report in any::<bool>().prop_flat_map(any_report)) {
        let expected = expected(report.cells.len(), report.rows.is_some());
        let found = arrived(&frames(&report), &encoded_end(&report), expected).unwrap();
        prop_assert_eq!(found, report);
    }

    /// Whatever a process sends is a report of the form that the node knows, or an error.
    #[test]
    fn cells_with_a_changed_byte_are_of_the_form_or_refused(
        report in any_report(true), at: prop::sample::Index, to: u8,
    ) {
        let expected = expected(report.cells.len(), true);
        let mut frames = frames(&report);
        let last = frames.pop().unwrap();
        let mut changed = last.clone();
        let at = at.index(changed.len());
        changed[at] = to;
        frames.push(changed.clone());
        if let Ok(found) = arrived(&frames, &encoded_end(&report), expected) {
            prop_assert_eq!(encoded(&found).last().unwrap(), changed);
            let units = found.cells.iter().flat_map(|cell| cell.sets.iter().map(|set| &set.rows));
            prop_assert!(units.into_iter().all(|rows| rows.iter().all(|row| row < ROWS)));
        }
    }

    #[test]
    fn cells_of_any_bytes_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut arriving = Arriving::new(expected(1, true));
        if arriving.add(&bytes).is_ok() {
            prop_assert_eq!(arriving.cells.len(), 1);
        }
        let _ = Arriving::new(expected(0, true)).finish(&bytes);
        let _ = decoded_rows(&bytes);
        let _ = decoded_owners(&bytes, bytes.len() / 5, SUBJECTS);
    }

    #[test]
    fn cells_that_are_cut_are_refused(report in any_report(false), at: prop::sample::Index) {
        let frame = frames(&report).remove(0);
        let cut = &frame[..at.index(frame.len())];
        prop_assert!(Arriving::new(expected(1, false)).add(cut).is_err());
        let longer = [&frame[..], &[0]].concat();
        prop_assert!(Arriving::new(expected(1, false)).add(&longer).is_err());
    }

    #[test]
    fn owners_arrive_as_they_were_sent(owners in prop::collection::vec(prop::option::of(0..SUBJECTS), 0..50)) {
        let body = encoded_owners(&owners);
        prop_assert_eq!(decoded_owners(&body, owners.len(), SUBJECTS).unwrap(), owners.clone());
        prop_assert!(decoded_owners(&body, owners.len() + 1, SUBJECTS).is_err());
        let rows: Vec<u32> = owners.iter().flatten().copied().collect();
        prop_assert_eq!(decoded_rows(&encoded_rows(&rows)).unwrap(), rows);
    }
}

/// A report with these subjects in its only cell.
fn single(subjects: UnitSet) -> CellReport {
    let expected = expected(1, false);
    let set = |subjects: &UnitSet, outline: &SetOutline| MeasuredSet {
        subjects: subjects.clone(),
        sums: vec![ContributionSum::default(); outline.sums.len()],
        bands: vec![UnitSet::new(); outline.edges.as_ref().map_or(0, |edges| edges.len() + 1)],
        ..MeasuredSet::default()
    };
    CellReport {
        version: expected.version,
        subjects: SUBJECTS,
        rows: None,
        set_of: expected.set_of,
        cells: vec![Cell {
            sets: expected
                .outlines
                .iter()
                .map(|outline| set(&subjects, outline))
                .collect(),
            subjects,
        }],
        outlines: expected.outlines,
        is_complete: true,
    }
}

#[test]
fn cells_with_units_that_do_not_exist_are_refused() {
    let add = |report: &CellReport| Arriving::new(expected(1, false)).add(&frames(report)[0]);
    assert!(add(&single(UnitSet::from_iter([SUBJECTS - 1]))).is_ok());
    assert!(add(&single(UnitSet::from_iter([SUBJECTS]))).is_err());
    let mut rows = single(UnitSet::from_iter([1]));
    rows.cells[0].sets[0].rows = UnitSet::from_iter([0]);
    assert!(add(&rows).is_err(), "there are no rows where subjects are counted");
    let mut other = single(UnitSet::from_iter([1]));
    other.cells[0].sets[0].subjects = UnitSet::from_iter([2]);
    assert!(add(&other).is_err(), "a subject of a set is one of the cell");
}

#[test]
fn cells_with_impossible_contributions_are_refused() {
    let add = |total: i128, largest: [u128; KEPT], magnitudes: u128| {
        let mut report = single(UnitSet::from_iter([1, 2]));
        report.cells[0].sets[0].sums[0] = ContributionSum {
            total,
            contributions: Contributions {
                largest,
                total: magnitudes,
            },
        };
        Arriving::new(expected(1, false)).add(&frames(&report)[0])
    };
    assert!(add(5, [4, 1, 0, 0, 0], 5).is_ok());
    assert!(add(-5, [4, 1, 0, 0, 0], 5).is_ok());
    assert!(add(5, [1, 4, 0, 0, 0], 5).is_err(), "not in descending order");
    assert!(add(4, [4, 1, 0, 0, 0], 4).is_err(), "less than the largest ones");
    assert!(add(6, [4, 1, 0, 0, 0], 5).is_err(), "more than all magnitudes");
    assert!(add(0, [u128::MAX; KEPT], u128::MAX).is_err());
}

#[test]
fn cells_in_another_order_or_number_are_refused() {
    let report = single(UnitSet::from_iter([1]));
    let frame = frames(&report).remove(0);
    let end = encoded_end(&report);
    assert!(arrived(slice::from_ref(&frame), &end, expected(1, false)).is_ok());
    assert!(arrived(&[], &end, expected(1, false)).is_err(), "a cell is missing");
    assert!(
        arrived(&[frame.clone(), frame.clone()], &end, expected(2, false)).is_err(),
        "twice the same"
    );
    assert!(
        arrived(slice::from_ref(&frame), &end, expected(0, false)).is_err(),
        "one too many"
    );
    let mut second = frame.clone();
    second[0] = 1;
    assert!(arrived(&[second.clone(), frame.clone()], &end, expected(2, false)).is_err());
    assert!(arrived(&[frame.clone(), second], &end, expected(2, false)).is_ok());
    let mut later = report.clone();
    later.version = VersionNumber::new(2);
    assert!(
        arrived(slice::from_ref(&frame), &encoded_end(&later), expected(1, false)).is_err(),
        "of another version"
    );
    assert!(arrived(&[frame], &[&end[..], &[0]].concat(), expected(1, false)).is_err());
}

#[test]
fn cells_that_are_too_long_are_refused() {
    let mut arriving = Arriving::new(expected(1, false));
    assert!(arriving.add(&vec![0; MAX_CELL + 1]).is_err());
    let mut many = Arriving::new(expected(usize::MAX, false));
    many.bytes = MAX_CELLS;
    assert!(many.add(&frames(&single(UnitSet::new()))[0]).is_err());
    assert!(decoded_rows(&vec![0; 4 * (MAX_OWNERS + 1)]).is_err());
    assert!(
        decoded_owners(&[1, 100, 0, 0, 0], 1, SUBJECTS).is_err(),
        "a subject that does not exist"
    );
    assert!(
        decoded_owners(&[0, 1, 0, 0, 0], 1, SUBJECTS).is_err(),
        "no subject has one encoding"
    );
}
