//! Rows whose key is that of an earlier one.

use super::*;
use crate::subjects::repeated_keys::RepeatedKeys;

fn repeated(limit: usize, batches: &[Vec<Option<i64>>]) -> u64 {
    let mut rows = RepeatedKeys::with_limit(key(), limit);
    for batch in batches {
        rows.add(&wholes(batch)).unwrap();
    }
    rows.count()
}

#[test]
fn repeated_keys_are_counted_over_all_batches() {
    let batches = [
        vec![Some(1), Some(2), None],
        vec![Some(2), None, Some(3), Some(1), Some(2)],
    ];
    assert_eq!(repeated(100, &batches), 3);
    assert_eq!(repeated(100, &batches[..1]), 0);
    let mut rows = RepeatedKeys::new(key());
    rows.add(&texts(&[Some("a"), Some("A"), Some("a")])).unwrap();
    assert_eq!(rows.count(), 1);
}

#[test]
fn more_keys_than_are_kept_are_compared_in_part() {
    let once: Vec<Option<i64>> = (0..1000).map(Some).collect();
    assert_eq!(repeated(64, std::slice::from_ref(&once)), 0);
    let found = repeated(64, &[once.clone(), once]);
    assert!((1..=64).contains(&found), "{found}");
}
