use super::*;

#[test]
fn mean_of_equal_numbers_is_that_number() {
    for value in [1, 9_007_199_254_740_993, 1_600_000_000_000_123, i64::MAX, i64::MIN] {
        for count in [1_u64, 3, 6000, 10_000_000] {
            let sum = i128::from(value) * i128::from(count);
            #[expect(clippy::cast_precision_loss, reason = "the nearest floating point number is meant")]
            let nearest = value as f64;
            assert_eq!(quotient(sum, count, 0), Some(nearest), "{value} times {count}");
        }
    }
    assert_eq!(quotient(0, 0, 0), None);
    assert_eq!(quotient(25, 2, 1), Some(1.25));
    assert_eq!(quotient(-7, 2, 0), Some(-3.5));
}

#[test]
fn merged_means_are_those_of_all_rows() {
    let values: Vec<Option<i64>> = (0..1000).map(|n| (n % 7 != 0).then_some(i64::MAX - n)).collect();
    let array: ArrayRef = Arc::new(arrow::array::Int64Array::from(values.clone()));
    let mut whole = SingleMean::new(0);
    whole.update_batch(std::slice::from_ref(&array)).unwrap();
    let mut merged = SingleMean::new(0);
    for at in [0, 300, 999] {
        let end = match at {
            0 => 300,
            300 => 999,
            _ => 1000,
        };
        let mut part = SingleMean::new(0);
        part.update_batch(&[array.slice(at, end - at)]).unwrap();
        let state: Vec<ArrayRef> = part
            .state()
            .unwrap()
            .iter()
            .map(|value| value.to_array().unwrap())
            .collect();
        merged.merge_batch(&state).unwrap();
    }
    assert_eq!(whole.evaluate().unwrap(), merged.evaluate().unwrap());
    let exact: i128 = values.iter().flatten().map(|value| i128::from(*value)).sum();
    let count = values.iter().flatten().count() as u64;
    assert_eq!(
        whole.evaluate().unwrap(),
        datafusion::common::ScalarValue::Float64(quotient(exact, count, 0))
    );
}
