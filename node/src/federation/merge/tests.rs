//! Combined parts are what one holder of all rows would compute.

use proptest::prelude::*;

use super::*;

const PAIRS: [Output; 6] = [
    Output::Correlation,
    Output::CovarianceOfSample,
    Output::CovarianceOfPopulation,
    Output::Slope,
    Output::Intercept,
    Output::Determination,
];
const VALUES: [Output; 5] = [
    Output::Mean,
    Output::VarianceOfSample,
    Output::VarianceOfPopulation,
    Output::DeviationOfSample,
    Output::DeviationOfPopulation,
];

fn real(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / real(values.len())
}

/// The mean of the products of what is away from the means.
fn covariance(rows: &[(f64, f64)]) -> f64 {
    let (xs, ys): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
    let around: Vec<f64> = rows.iter().map(|(x, y)| (x - mean(&xs)) * (y - mean(&ys))).collect();
    mean(&around)
}

fn both(rows: &[(f64, f64)], pick: impl Fn(&(f64, f64)) -> f64) -> Vec<(f64, f64)> {
    rows.iter().map(|row| (pick(row), pick(row))).collect()
}

/// What one holder of these rows computes, by the definitions.
fn reference(rows: &[(f64, f64)], output: Output) -> Option<f64> {
    let count = real(rows.len());
    let (xs, ys): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
    let var_x = covariance(&both(rows, |row| row.0));
    let var_y = covariance(&both(rows, |row| row.1));
    let cov = covariance(rows);
    let sample = count / (count - 1.0);
    let value = match output {
        Output::Sum => xs.iter().sum(),
        Output::Mean => mean(&xs),
        Output::VarianceOfSample => var_x * sample,
        Output::VarianceOfPopulation => var_x,
        Output::DeviationOfSample => (var_x * sample).sqrt(),
        Output::DeviationOfPopulation => var_x.sqrt(),
        Output::Correlation => cov / (var_x * var_y).sqrt(),
        Output::CovarianceOfSample => cov * sample,
        Output::CovarianceOfPopulation => cov,
        Output::Slope => cov / var_y,
        Output::Intercept => mean(&xs) - cov / var_y * mean(&ys),
        Output::Determination => cov * cov / (var_x * var_y),
    };
    value.is_finite().then_some(value)
}

/// The parts of a member: count, means, variances and covariance.
fn parts(rows: &[(f64, f64)]) -> Vec<Option<Number>> {
    let some = |value: f64| Some(Number::Real(value)).filter(|_| !rows.is_empty());
    let (xs, ys): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
    vec![
        Some(Number::Whole(i128::try_from(rows.len()).unwrap())),
        some(mean(&xs)),
        some(mean(&ys)),
        some(covariance(&both(rows, |row| row.0))),
        some(covariance(&both(rows, |row| row.1))),
        some(covariance(rows)),
    ]
}

fn of_values(output: Output) -> Combined {
    Combined::Values {
        count: 0,
        mean: 1,
        variance: (output != Output::Mean).then_some(3),
        output,
    }
}

fn of_pairs(output: Output) -> Combined {
    Combined::Pairs {
        count: 0,
        means: [1, 2],
        variances: [3, 4],
        covariance: 5,
        output,
    }
}

fn over(combined: &Combined, members: &[Vec<Option<Number>>]) -> Option<f64> {
    let members: Vec<&[Option<Number>]> = members.iter().map(Vec::as_slice).collect();
    combined.over(&members).map(Number::real)
}

fn is_close(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
        (found, expected) => found == expected,
    }
}

fn rows() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((-1e3..1e3, -1e3..1e3), 0..12)
}

proptest! {
    #[test]
    fn merged_parts_are_those_of_one_holder(members in prop::collection::vec(rows(), 1..5)) {
        let all = members.concat();
        // Of fewer rows, squares around the mean are as small as the errors of their computation.
        prop_assume!(all.len() > 2);
        let parts: Vec<_> = members.iter().map(|rows| parts(rows)).collect();
        for output in VALUES {
            let found = over(&of_values(output), &parts);
            prop_assert!(is_close(found, reference(&all, output)), "{output:?}: {found:?}");
        }
        for output in PAIRS {
            let found = over(&of_pairs(output), &parts);
            prop_assert!(is_close(found, reference(&all, output)), "{output:?}: {found:?}");
        }
        let count = over(&Combined::Sum(0), &parts);
        prop_assert_eq!(count, Some(real(all.len())));
    }

    /// Far from zero, where a difference of sums of squares has no correct digit.
    #[test]
    fn merged_variance_far_from_zero_is_that_of_one_holder(members in prop::collection::vec(rows(), 2..4)) {
        let far: Vec<Vec<(f64, f64)>> = members
            .iter()
            .map(|rows| rows.iter().map(|(x, y)| (x + 1e9, y + 1e9)).collect())
            .collect();
        let near = members.concat();
        prop_assume!(near.len() > 2);
        let parts: Vec<_> = far.iter().map(|rows| parts(rows)).collect();
        let found = over(&of_values(Output::VarianceOfSample), &parts).unwrap();
        let expected = reference(&near, Output::VarianceOfSample).unwrap();
        prop_assert!((found - expected).abs() <= 1e-3 * expected.max(1.0), "{found} {expected}");
    }
}

#[test]
fn merged_part_that_is_withheld_leaves_the_others() {
    let here = parts(&[(1.0, 2.0), (3.0, 5.0), (4.0, 4.0)]);
    let mut there = parts(&[(100.0, 1.0), (200.0, 2.0)]);
    there[1] = None;
    let both = [here.clone(), there];
    let alone = [here];
    for output in VALUES {
        assert_eq!(
            over(&of_values(output), &both),
            over(&of_values(output), &alone),
            "{output:?}"
        );
    }
    // A count is released although its mean is not.
    assert_eq!(over(&Combined::Sum(0), &both), Some(5.0));
    let withheld = [vec![None; 6], vec![None; 6]];
    for combined in [Combined::Sum(0), of_values(Output::Mean), of_pairs(Output::Slope)] {
        assert_eq!(over(&combined, &withheld), None, "{combined:?}");
    }
}

#[test]
fn merged_quotient_is_of_members_that_have_both() {
    let quotient = Combined::Quotient { of: 0, by: 1 };
    let whole = |of: Option<i128>, by: Option<i128>| vec![of.map(Number::Whole), by.map(Number::Whole)];
    let members = [
        whole(Some(10), Some(40)),
        whole(None, Some(1000)),
        whole(Some(20), Some(60)),
    ];
    assert_eq!(over(&quotient, &members), Some(0.3));
    assert_eq!(over(&quotient, &[whole(Some(1), Some(0))]), None);
}

#[test]
fn merged_multiple_is_that_of_the_aggregate() {
    let scaled = |of: Combined, by: f64, plus: f64| Combined::Scaled {
        of: Box::new(of),
        by,
        plus,
    };
    let members = [parts(&[(1.0, 2.0), (3.0, 2.0)]), parts(&[(5.0, 2.0)])];
    let mean = scaled(of_values(Output::Mean), -2.0, 1.0);
    assert!(is_close(over(&mean, &members), Some(-5.0)));
    assert_eq!(mean.parts(), of_values(Output::Mean).parts());
    assert_eq!(mean.count(), Some(0));
    assert_eq!(over(&mean, &[vec![None; 6]]), None);
    let whole = [vec![Some(Number::Whole(7))]];
    let slices: Vec<&[Option<Number>]> = whole.iter().map(Vec::as_slice).collect();
    let other_sign = scaled(Combined::Sum(0), -1.0, 0.0).over(&slices);
    assert_eq!(other_sign, Some(Number::Whole(-7)));
}

#[test]
fn merged_whole_numbers_stay_whole() {
    let members = [
        vec![Some(Number::Whole(i128::from(i64::MAX)))],
        vec![Some(Number::Whole(1))],
    ];
    let slices: Vec<&[Option<Number>]> = members.iter().map(Vec::as_slice).collect();
    assert_eq!(Combined::Sum(0).over(&slices), Some(Number::Whole(1 << 63)));
}

#[test]
fn merged_regression_needs_values_that_differ() {
    let level = [parts(&[(1.0, 2.0), (3.0, 2.0)]), parts(&[(5.0, 2.0)])];
    for output in [
        Output::Correlation,
        Output::Slope,
        Output::Intercept,
        Output::Determination,
    ] {
        assert_eq!(over(&of_pairs(output), &level), None, "{output:?}");
    }
    let one = [parts(&[(1.0, 2.0)])];
    assert_eq!(over(&of_values(Output::VarianceOfSample), &one), None);
    assert_eq!(over(&of_values(Output::VarianceOfPopulation), &one), Some(0.0));
}
