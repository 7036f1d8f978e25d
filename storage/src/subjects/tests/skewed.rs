//! What is proposed for columns with outliers, and for numbers of which a few are those of most subjects.

use std::collections::BTreeSet;

use arrow::array::{Float64Array, UInt32Array};
use proptest::prelude::*;

use super::{
    proposals::{LEAST, of_column, of_wholes, proposals, range},
    *,
};
use crate::subjects::{ColumnProposal, ProposedLevels};

/// Days of supply as a registry has them: few lengths of prescriptions, a hundred others, and an outlier.
fn days_of_supply() -> Vec<i64> {
    let counted = [(0, 4_900), (7, 500), (14, 800), (30, 2_500), (60, 500), (90, 800)];
    let frequent = counted.into_iter().flat_map(|(days, count)| vec![days; count]);
    frequent.chain((1..=100).map(|day| day * 3)).chain([20_608]).collect()
}

fn floats(values: impl Iterator<Item = f64>) -> ColumnProposal {
    of_column("x", Arc::new(Float64Array::from_iter_values(values)))
}

#[test]
fn proposal_of_days_of_supply_has_each_frequent_value() {
    let found = of_wholes("days_supply", days_of_supply().into_iter());
    assert_eq!(
        found.levels,
        ProposedLevels::WholeBands {
            edges: vec![1, 7, 8, 14, 15, 30, 31, 60, 61, 90, 91],
            bands: vec![7, 14, 30, 60, 90],
        }
    );
    assert_eq!(found.range, range(0.0, 300.0), "the outlier has no effect");
    let without: Vec<i64> = days_of_supply().into_iter().filter(|days| *days != 20_608).collect();
    assert_eq!(of_wholes("days_supply", without.into_iter()), found);
}

#[test]
fn proposal_of_few_amounts_compares_them() {
    let few = [0, 7, 14, 30, 60, 90];
    let found = of_wholes("days_supply", (0..600).map(|row| few[row % 6]));
    assert_eq!(
        found.levels,
        ProposedLevels::WholeBands {
            edges: vec![1, 7, 8, 14, 15, 30, 31, 60, 61, 90],
            bands: vec![7, 14, 30, 60, 90],
        }
    );
    // Categories, with a number for missing answers.
    for categories in [vec![1, 2, 3, 4, 5, 99], vec![8_507, 8_532], vec![0, 1]] {
        let values = categories.clone();
        let found = of_wholes("x", (0..600).map(move |row| values[row % values.len()]));
        assert_eq!(found.levels, ProposedLevels::Wholes(categories));
    }
}

/// A value that nine subjects have, between others and below all others.
#[test]
fn proposal_has_no_edge_beside_the_value_of_few() {
    let mut values: Vec<i64> = [(0, 9), (50, 100), (80, 9), (100, 100), (150, 30), (200, 50)]
        .into_iter()
        .flat_map(|(value, count)| vec![value; count])
        .collect();
    // More than twenty values are not categories.
    values.extend(101..130);
    let found = of_wholes("x", values.into_iter());
    let ProposedLevels::WholeBands { edges, .. } = found.levels else {
        panic!("{:?}", found.levels)
    };
    for few in [0, 1, 50, 80, 81] {
        assert!(!edges.contains(&few), "{edges:?}");
    }
    for many in [51, 100, 101, 150, 151, 200] {
        assert!(edges.contains(&many), "{edges:?}");
    }
}

#[test]
fn proposal_of_skewed_numbers_is_at_quantiles() {
    // Delays in hours: nine of ten are below ten, some are hundreds, and a few are years.
    let delays = (0..9_000).map(|at| f64::from(at) * 0.001);
    let delays: Vec<f64> = delays
        .chain((0..900).map(|at| 10.0 + f64::from(at)))
        .chain((0..100).map(|at| 20_000.0 + 400.0 * f64::from(at)))
        .collect();
    let found = floats(delays.iter().copied());
    let ProposedLevels::NumberEdges(edges) = found.levels else {
        panic!("no edges")
    };
    assert!(edges.len() >= 6, "{edges:?}");
    let bounds = [&[f64::NEG_INFINITY][..], &edges, &[f64::INFINITY]].concat();
    for bounds in bounds.windows(2) {
        let inside = delays.iter().filter(|delay| (bounds[0]..bounds[1]).contains(delay));
        assert!(inside.count() <= delays.len() / 4, "{edges:?}");
    }
    let few = floats(delays.iter().copied().chain([1e12, 1e15, -1e9]));
    assert_eq!(
        few.levels,
        ProposedLevels::NumberEdges(edges),
        "a few outliers have no effect"
    );
}

/// Rows of subjects with a number of heavy tails and an amount.
fn any_rows() -> impl Strategy<Value = Vec<(u32, f64, i64)>> {
    let number = (-3_i32..6, 0_u32..1_000).prop_map(|(power, digits)| f64::from(digits) * 10_f64.powi(power));
    let amount = prop_oneof![
        3 => prop::sample::select(vec![0_i64, 7, 14, 30, 60, 90]),
        1 => 0_i64..200,
        1 => -5_000_i64..50_000,
    ];
    prop::collection::vec((0_u32..300, number, amount), 1..900)
}

fn table(rows: &[(u32, f64, i64)]) -> (RecordBatch, UInt32Array) {
    let numbers = Float64Array::from_iter_values(rows.iter().map(|row| row.1));
    let amounts: Vec<Option<i64>> = rows.iter().map(|row| Some(row.2)).collect();
    let owners = UInt32Array::from_iter_values(rows.iter().map(|row| row.0));
    let columns = vec![("n", Arc::new(numbers) as ArrayRef), ("w", wholes(&amounts))];
    (batch(columns), owners)
}

/// The subjects with a value in each part, the open ends among them.
fn subjects_between(rows: &[(u32, f64)], edges: &[f64]) -> Vec<usize> {
    let bounds = [&[f64::NEG_INFINITY][..], edges, &[f64::INFINITY]].concat();
    let parts = bounds.windows(2).map(|bounds| {
        let inside = rows.iter().filter(|row| (bounds[0]..bounds[1]).contains(&row.1));
        inside.map(|row| row.0).collect::<BTreeSet<u32>>().len()
    });
    parts.collect()
}

fn as_floats(wholes: &[i64]) -> Vec<f64> {
    wholes.iter().map(|whole| *whole as f64).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever the rows: at least ten subjects are in each band and beyond the outer edges, and an edge that is not one of a band is
    /// beside a value of ten subjects.
    #[test]
    fn proposals_of_skewed_values_separate_subjects(rows in any_rows()) {
        let least = usize::try_from(LEAST).unwrap();
        let found = proposals(&[table(&rows)]);
        let numbers: Vec<(u32, f64)> = rows.iter().map(|row| (row.0, row.1)).collect();
        let amounts: Vec<(u32, f64)> = rows.iter().map(|row| (row.0, row.2 as f64)).collect();
        if let ProposedLevels::NumberEdges(edges) = &found[0].levels {
            prop_assert!(edges.len() <= 12 && edges.is_sorted_by(|a, b| a < b), "{edges:?}");
            prop_assert!(subjects_between(&numbers, edges).iter().all(|subjects| *subjects >= least), "{edges:?}");
        }
        match &found[1].levels {
            ProposedLevels::WholeEdges(edges) => {
                let between = subjects_between(&amounts, &as_floats(edges));
                prop_assert!(between.iter().all(|subjects| *subjects >= least), "{edges:?}");
            }
            ProposedLevels::WholeBands { edges, bands } => {
                prop_assert!(edges.is_sorted_by(|a, b| a < b) && bands.iter().all(|band| edges.contains(band)));
                let between = subjects_between(&amounts, &as_floats(bands));
                prop_assert!(between.iter().all(|subjects| *subjects >= least), "{bands:?}");
                let between = subjects_between(&amounts, &as_floats(edges));
                let ends = [between.first(), between.last()];
                prop_assert!(ends.into_iter().flatten().all(|subjects| *subjects >= least), "{edges:?}");
                for edge in edges.iter().filter(|edge| !bands.contains(edge)) {
                    let of = |value: i64| {
                        let with = rows.iter().filter(|row| row.2 == value);
                        with.map(|row| row.0).collect::<BTreeSet<u32>>().len()
                    };
                    prop_assert!(of(*edge) >= least || of(edge - 1) >= least, "{edge}");
                }
            }
            ProposedLevels::None
            | ProposedLevels::Truth
            | ProposedLevels::NumberEdges(_)
            | ProposedLevels::DayEdges(_)
            | ProposedLevels::Wholes(_)
            | ProposedLevels::Texts(_)
            | ProposedLevels::Codes { .. } => {}
        }
    }

    /// Neither the order of the rows nor the batches change what is proposed.
    #[test]
    fn proposals_of_skewed_values_ignore_order(rows in any_rows(), order in any::<u64>(), size in 1_usize..200) {
        let found = proposals(&[table(&rows)]);
        let mut shuffled: Vec<(usize, (u32, f64, i64))> = rows.into_iter().enumerate().collect();
        shuffled.sort_by_key(|(at, _)| (*at as u64 + 1).wrapping_mul(order | 1));
        let shuffled: Vec<_> = shuffled.into_iter().map(|(_, row)| row).collect();
        let parts: Vec<_> = shuffled.chunks(size).map(table).collect();
        prop_assert_eq!(proposals(&parts), found);
    }

    /// Few subjects with values beyond all others change the range by nothing that depends on how far these are.
    #[test]
    fn proposal_does_not_depend_on_how_far_outliers_are(far in 1e7_f64..1e300, least in 1_usize..8) {
        let values = |far: f64| (0..400).map(f64::from).chain((0..least).map(move |at| far * (1.0 + at as f64)));
        let near = floats(values(1e6));
        let found = floats(values(far));
        prop_assert_eq!(near, found);
    }
}
