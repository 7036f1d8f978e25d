//! Expected numbers are written with how they follow in exact arithmetic.

use super::{accumulators::*, parts::*, quantile::*, spread::*};
use arrow::array::{ArrayRef, Float64Array};
use datafusion::{
    common::ScalarValue,
    logical_expr::{Accumulator, EmitTo, GroupsAccumulator},
};
use std::sync::Arc;

fn column(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn number(value: &ScalarValue) -> Option<f64> {
    let ScalarValue::Float64(number) = value else {
        panic!("{value} is not a number");
    };
    *number
}

/// The figure of each frame of `width` rows that ends at a row, of the columns.
fn frames<P: Part>(figure: Figure<P>, columns: &[&[f64]], width: usize) -> Vec<Option<f64>> {
    let columns: Vec<ArrayRef> = columns.iter().map(|values| column(values)).collect();
    let row = |at: usize| -> Vec<ArrayRef> { columns.iter().map(|column| column.slice(at, 1)).collect() };
    let mut moving = Moving::new(figure);
    (0..columns[0].len())
        .map(|at| {
            moving.update_batch(&row(at)).unwrap();
            if at >= width {
                moving.retract_batch(&row(at - width)).unwrap();
            }
            number(&moving.evaluate().unwrap())
        })
        .collect()
}

fn single<P: Part>(figure: Figure<P>, columns: &[&[f64]]) -> Option<f64> {
    let columns: Vec<ArrayRef> = columns.iter().map(|values| column(values)).collect();
    let mut single = Single::new(figure);
    single.update_batch(&columns).unwrap();
    number(&single.evaluate().unwrap())
}

#[test]
fn frame_without_large_number_is_exact() {
    let values = [1e300, -0.5, 0.25, 3.25];
    // -0.5 + 0.25 = -0.25; 0.25 + 3.25 = 3.5; the sum with 1e300 is rounded to it.
    assert_eq!(
        frames(Total::sum, &[&values], 2),
        [Some(1e300), Some(1e300), Some(-0.25), Some(3.5)]
    );
    assert_eq!(frames(Total::sum, &[&values], 1)[1], Some(-0.5));
    assert_eq!(frames(Total::mean, &[&values], 2)[2..], [Some(-0.125), Some(1.75)]);
    // Distances from the mean: 0.375 twice, 1.5 twice: 2 * 0.375^2 = 0.28125 and 2 * 1.5^2 = 4.5.
    assert_eq!(
        frames(Spread::variance_of_sample, &[&values], 2)[2..],
        [Some(0.28125), Some(4.5)]
    );
    assert_eq!(
        frames(Spread::deviation_of_population, &[&values], 2)[2..],
        [Some(0.375), Some(1.5)]
    );
    // y = 2 x in each frame without the first row.
    let doubled = [1.0, -1.0, 0.5, 6.5];
    assert_eq!(
        frames(Pairs::covariance_of_population, &[&doubled, &values], 2)[2..],
        [Some(0.28125), Some(4.5)]
    );
    assert_eq!(
        frames(Pairs::slope, &[&doubled, &values], 2)[2..],
        [Some(2.0), Some(2.0)]
    );
    assert_eq!(
        frames(Pairs::intercept, &[&doubled, &values], 2)[2..],
        [Some(0.0), Some(0.0)]
    );
    for correlation in &frames(Pairs::correlation, &[&doubled, &values], 2)[2..] {
        assert!((correlation.unwrap() - 1.0).abs() < 1e-15);
    }
}

#[test]
fn frames_are_those_computed_alone() {
    let values: Vec<f64> = (0..200_i32)
        .map(|n| f64::from((n * 7919) % 101) * 10_f64.powi((n * 31) % 40 - 20))
        .collect();
    for width in [1, 2, 3, 17, 64, 200] {
        let sums = frames(Total::sum, &[&values], width);
        let variances = frames(Spread::variance_of_population, &[&values], width);
        for at in 0..values.len() {
            let frame = &values[at.saturating_sub(width - 1)..=at];
            let sum = single(Total::sum, &[frame]).unwrap();
            assert!(
                (sums[at].unwrap() - sum).abs() <= 1e-15 * sum,
                "{width} rows up to {at}"
            );
            let alone = single(Spread::variance_of_population, &[frame]).unwrap();
            let found = variances[at].unwrap();
            assert!((found - alone).abs() <= 1e-12 * alone, "{found} is not {alone}");
        }
    }
}

#[test]
fn frame_leaves_missing_values_out() {
    let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(1e300), None, Some(2.0), None]));
    let mut moving = Moving::new(Total::sum);
    moving.update_batch(std::slice::from_ref(&values)).unwrap();
    moving.retract_batch(&[values.slice(0, 2)]).unwrap();
    assert_eq!(number(&moving.evaluate().unwrap()), Some(2.0));
    moving.retract_batch(&[values.slice(2, 1)]).unwrap();
    assert_eq!(number(&moving.evaluate().unwrap()), None);
}

#[test]
fn large_offset_loses_no_digits() {
    let offset = 4_503_599_627_370_496.0;
    let values: Vec<f64> = (0..10_i32).map(|n| offset + f64::from(n)).collect();
    // The variance of 0 to 9 is (10^2 - 1) / 12 = 8.25.
    let variance = single(Spread::variance_of_population, &[&values]).unwrap();
    assert!((variance - 8.25).abs() < 1e-12, "{variance}");
    let squares: Vec<f64> = (0..10_i32).map(|n| offset + f64::from(n * n)).collect();
    // Of n and n^2 for 0 to 9: covariance 74.25, variances 8.25 and 721.05, so 74.25^2 / (8.25 * 721.05) = 0.926773455377...
    let r2 = single(Pairs::r2, &[&squares, &values]).unwrap();
    assert!((r2 - 74.25 * 74.25 / (8.25 * 721.05)).abs() < 1e-13, "{r2}");
    let line: Vec<f64> = (0..1000_i32).map(|n| 1e9 + f64::from(n) * 0.1).collect();
    let found = single(Pairs::correlation, &[&line, &line]).unwrap();
    assert!(found <= 1.0 && found > 1.0 - 1e-12, "{found}");
}

#[test]
fn figure_that_is_not_finite_is_missing() {
    let large = [1.5e308, -1.5e308];
    assert_eq!(single(Spread::deviation_of_sample, &[&large]), None);
    assert_eq!(single(Spread::variance_of_population, &[&large]), None);
    assert_eq!(single(Pairs::correlation, &[&large, &large]), None);
    assert_eq!(single(Total::sum, &[&[1.5e308, 1.5e308]]), None);
    assert_eq!(single(Total::sum, &[&[f64::INFINITY, 1.0]]), Some(f64::INFINITY));
    assert!(
        single(Spread::variance_of_sample, &[&[f64::INFINITY, 1.0]])
            .unwrap()
            .is_nan()
    );
    // The squares of these numbers are below the least floating point number.
    assert_eq!(single(Pairs::correlation, &[&[1e-170, 3e-170], &[1.0, 2.0]]), None);
    assert_eq!(single(Pairs::correlation, &[&[1.0, 1.0], &[1.0, 2.0]]), None);
    // The squares of x are too large, and a slope of them would be zero.
    assert_eq!(single(Pairs::slope, &[&[1.0, -1.0], &[1e300, -0.5]]), None);
    assert_eq!(single(Spread::variance_of_sample, &[&[1.0]]), None);
    assert_eq!(single(Spread::variance_of_population, &[&[1.0]]), Some(0.0));
    assert_eq!(single(Total::sum, &[&[]]), None);
}

#[test]
fn merged_parts_are_those_of_all_rows() {
    let values: Vec<f64> = (0..100_i32).map(|n| 1e15 + f64::from(n)).collect();
    let mut groups = Groups::new(Spread::variance_of_population);
    for chunk in values.chunks(33) {
        let mut part = Groups::new(Spread::variance_of_population);
        part.update_batch(&[column(chunk)], &vec![0; chunk.len()], None, 1)
            .unwrap();
        let state = part.state(EmitTo::All).unwrap();
        assert_eq!(state.len(), Spread::FIELDS.len());
        groups.merge_batch(&state, &[0], 1).unwrap();
    }
    let found = groups.evaluate(EmitTo::All).unwrap();
    let found = number(&ScalarValue::try_from_array(&found, 0).unwrap()).unwrap();
    // (100^2 - 1) / 12 = 833.25.
    assert!((found - 833.25).abs() < 1e-11, "{found}");
    let state = single_state(&values);
    assert_eq!(Pairs::of_state(&state).unwrap().state().to_vec(), state);
    assert_eq!(state.len(), Pairs::FIELDS.len());
}

fn single_state(values: &[f64]) -> Vec<f64> {
    let mut part = Pairs::default();
    for value in values {
        part.add(*value, -*value);
    }
    part.state().to_vec()
}

#[test]
fn quantile_has_all_digits_of_its_position() {
    // Position 0.3 * 2 = 0.6 among 0, 1, 2.
    assert_eq!(quantile(vec![2.0, 0.0, 1.0], 0.3, false), Some(0.6));
    // From above: 2 - 0.6 = 1.4.
    assert_eq!(quantile(vec![2.0, 0.0, 1.0], 0.3, true), Some(1.4));
    // Position 0.5 of 4 values is 1.5, between 2 and 10.
    assert_eq!(quantile(vec![10.0, 1.0, 2.0, 11.0], 0.5, false), Some(6.0));
    // A position of 1e-8: 1e-8 * 1e9 = 10.
    assert_eq!(quantile(vec![0.0, 1e9], 1e-8, false), Some(10.0));
    assert_eq!(quantile(vec![-1.5e308, 1.5e308], 0.5, false), Some(0.0));
    assert_eq!(
        quantile(vec![f64::INFINITY, f64::INFINITY], 0.5, false),
        Some(f64::INFINITY)
    );
    assert_eq!(quantile(vec![7.0], 0.3, false), Some(7.0));
    assert_eq!(quantile(vec![1.0, 2.0], 1.0, false), Some(2.0));
    assert_eq!(quantile(Vec::new(), 0.3, false), None);
}

#[test]
fn quantile_of_parts_and_frames_is_that_of_their_rows() {
    let new = |distinct| Quantile::new(0.5, false, distinct, arrow::datatypes::DataType::Float64);
    let values = column(&[5.0, 5.0, 5.0, 1.0, 3.0]);
    let mut merged = new(false);
    for part in [values.slice(0, 3), values.slice(3, 2)] {
        let mut one = new(false);
        one.update_batch(&[part]).unwrap();
        let state = one.state().unwrap();
        merged.merge_batch(&[state[0].to_array().unwrap()]).unwrap();
    }
    assert_eq!(number(&merged.evaluate().unwrap()), Some(5.0));
    merged.retract_batch(&[values.slice(0, 3)]).unwrap();
    assert_eq!(number(&merged.evaluate().unwrap()), Some(2.0));
    let mut distinct = new(true);
    distinct.update_batch(&[values]).unwrap();
    assert_eq!(number(&distinct.evaluate().unwrap()), Some(3.0));
}
