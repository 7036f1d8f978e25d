use std::collections::BTreeMap;

use arrow::{
    array::{BooleanArray, Date32Array, Float64Array, TimestampMillisecondArray, UInt32Array, UInt64Array},
    compute::{concat_batches, take_record_batch},
};
use concordat_protocol::{
    error_kind::{ErrorKind, Explain as _},
    ids::DatasetName,
};
use proptest::prelude::*;

use super::*;
use crate::subjects::{
    ChangedSubjects, MAX_SUBJECTS, RowHasher, SubjectDigests, SubjectError, changed_schema, digest_schema,
};

fn rows_of(dataset: &str) -> RowHasher {
    RowHasher::new(key(), &DatasetName::new(dataset).unwrap())
}

/// The digests of one batch in the dataset `visits`.
fn digests(batch: &RecordBatch, owners: &[Option<u32>]) -> SubjectDigests {
    let mut digests = SubjectDigests::new();
    digests
        .add(&rows_of("visits"), batch, &UInt32Array::from(owners.to_vec()))
        .unwrap();
    digests
}

/// Whether one row of these columns has the same digest as one row of those.
fn are_same(one: Vec<(&str, ArrayRef)>, two: Vec<(&str, ArrayRef)>) -> bool {
    let changed = digests(&batch(one), &[Some(0)]).changed(&digests(&batch(two), &[Some(0)]));
    changed.ordinals().is_empty()
}

fn number(value: f64) -> ArrayRef {
    Arc::new(Float64Array::from(vec![value]))
}

fn text(value: &str) -> ArrayRef {
    texts(&[Some(value)])
}

fn whole(value: i64) -> ArrayRef {
    wholes(&[Some(value)])
}

fn day(value: i32) -> ArrayRef {
    Arc::new(Date32Array::from(vec![value]))
}

fn time(value: i64) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(vec![value]))
}

fn truth(value: bool) -> ArrayRef {
    Arc::new(BooleanArray::from(vec![value]))
}

#[test]
fn digest_is_sensitive_to_any_value() {
    for (one, two) in [
        (whole(1), whole(2)),
        (whole(i64::MAX), whole(i64::MAX - 1)),
        (number(0.1), number(0.1 + f64::EPSILON)),
        (number(f64::NAN), number(f64::INFINITY)),
        (number(f64::INFINITY), number(f64::NEG_INFINITY)),
        (number(0.0), texts(&[None])),
        (number(f64::NAN), texts(&[None])),
        (truth(true), truth(false)),
        (truth(true), whole(1)),
        (day(1), day(2)),
        (day(1), whole(86_400_000)),
        (time(86_400_000), time(86_400_001)),
        (text("a"), text("b")),
        (text("a"), text("a ")),
        (text("a"), text("a\0")),
        (text(""), texts(&[None])),
        (text("5.1"), text("5.10")),
        (text("7"), text("07")),
        (text("longer than a block"), text("longer than a blocK")),
    ] {
        assert!(
            !are_same(vec![("x", Arc::clone(&one))], vec![("x", Arc::clone(&two))]),
            "{one:?} and {two:?}"
        );
    }
    let swapped = vec![("x", whole(2)), ("y", whole(1))];
    assert!(!are_same(vec![("x", whole(1)), ("y", whole(2))], swapped));
    assert!(!are_same(vec![("x", whole(1))], vec![("y", whole(1))]));
}

#[test]
fn digest_is_that_of_the_value_in_any_type() {
    for (one, two) in [
        (whole(5), number(5.0)),
        (whole(5), text("5")),
        (whole(-5), text("-5")),
        (whole(i64::MIN), text(&i64::MIN.to_string())),
        (number(5.25), text("5.25")),
        (number(0.0), number(-0.0)),
        (number(f64::NAN), number(-f64::NAN)),
        (truth(true), text("true")),
        (day(365), text("1971-01-01")),
        (day(1), time(86_400_000)),
        (
            time(5),
            Arc::new(TimestampMillisecondArray::from(vec![5]).with_timezone("UTC")),
        ),
    ] {
        assert!(
            are_same(vec![("x", Arc::clone(&one))], vec![("x", Arc::clone(&two))]),
            "{one:?} and {two:?}"
        );
    }
}

#[test]
fn columns_without_values_and_their_order_do_not_matter() {
    let before = vec![("x", whole(1)), ("y", text("a"))];
    let after = vec![("y", text("a")), ("new", texts(&[None])), ("x", whole(1))];
    assert!(are_same(before, after));
    let numbered = vec![("__concordat_subject", whole(7)), ("x", whole(1))];
    assert!(are_same(vec![("x", whole(1))], numbered));
}

#[test]
fn digest_counts_equal_rows() {
    let rows = batch(vec![("x", wholes(&[None, None, Some(1), Some(1), Some(1)]))]);
    let once = digests(&rows, &[Some(0), None, Some(1), None, None]);
    let more = digests(&rows, &[Some(0), Some(0), Some(1), Some(1), Some(1)]);
    assert_eq!(more.changed(&once).ordinals(), [0, 1]);
    assert_eq!(
        once.changed(&SubjectDigests::new()).ordinals(),
        [0, 1],
        "a row without values is a row"
    );
}

#[test]
fn rows_of_another_dataset_are_others() {
    let rows = batch(vec![("x", whole(1))]);
    let mut other = SubjectDigests::new();
    other
        .add(&rows_of("notes"), &rows, &UInt32Array::from(vec![0]))
        .unwrap();
    assert_eq!(other.changed(&digests(&rows, &[Some(0)])).ordinals(), [0]);
    let mut both = other.clone();
    both.merge(&digests(&rows, &[Some(0)]));
    let mut one_by_one = digests(&rows, &[Some(0)]);
    one_by_one
        .add(&rows_of("notes"), &rows, &UInt32Array::from(vec![0]))
        .unwrap();
    assert!(both.changed(&one_by_one).ordinals().is_empty());
}

#[test]
fn changed_subjects_include_new_and_former_ones() {
    let rows = batch(vec![("x", wholes(&[Some(1), Some(2), Some(3), Some(4)]))]);
    let before = digests(&rows, &[Some(0), Some(1), Some(2), None]);
    let now = digests(&rows, &[Some(0), None, Some(3), Some(2)]);
    assert_eq!(now.changed(&before).ordinals(), [1, 2, 3]);
    assert_eq!(before.changed(&now).ordinals(), [1, 2, 3]);
}

#[test]
fn digests_are_read_as_they_were_stored() {
    let rows = batch(vec![("x", wholes(&[Some(1), Some(2)]))]);
    let written = digests(&rows, &[Some(0), Some(70_000)]);
    let read = SubjectDigests::open(80_000, stored(written.clone().finish(80_000).unwrap())).unwrap();
    assert!(read.changed(&written).ordinals().is_empty());
    let appended = {
        let mut read = read;
        read.add(&rows_of("visits"), &rows, &UInt32Array::from(vec![None, Some(79_999)]))
            .unwrap();
        read
    };
    let changed = appended.changed(&written);
    assert_eq!(changed.ordinals(), [79_999]);
    let read = ChangedSubjects::open(80_000, 1, stored(changed.clone().finish())).unwrap();
    assert_eq!(read, changed);
    assert!(matches!(written.finish(70_000), Err(SubjectError::Lengths { .. })));
}

/// Digests of an earlier version are compared with those of this program: they never change.
#[test]
fn digest_of_a_row_is_the_one_at_rest() {
    let row = batch(vec![
        ("x", whole(5)),
        ("y", text("a")),
        ("z", number(0.25)),
        ("d", day(3)),
        ("t", truth(true)),
    ]);
    let batch = digests(&row, &[Some(0)]).finish(1).unwrap().next().unwrap().unwrap();
    let digest = batch.column(0).to_data().buffers()[0].typed_data::<u64>()[0];
    assert_eq!(digest, 2_972_254_987_176_778_300);
}

#[test]
fn damaged_digests_are_not_opened() {
    let digest = |values: Vec<u64>| RecordBatch::try_new(digest_schema(), vec![Arc::new(UInt64Array::from(values))]);
    let ordinal = |values: Vec<u32>| RecordBatch::try_new(changed_schema(), vec![Arc::new(UInt32Array::from(values))]);
    for (subjects, batch) in [
        (2, digest(vec![1, u64::MAX - 58])),
        (1, digest(vec![1, 2])),
        (3, digest(vec![1, 2])),
        (2, ordinal(vec![1, 2])),
    ] {
        let error = SubjectDigests::open(subjects, [batch]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
    assert!(SubjectDigests::open(MAX_SUBJECTS + 1, []).is_err());
    for (rows, batch) in [
        (2, ordinal(vec![2, 1])),
        (2, ordinal(vec![1, 1])),
        (2, ordinal(vec![1, 9])),
        (1, ordinal(vec![1, 2])),
        (2, digest(vec![1, 2])),
    ] {
        let error = ChangedSubjects::open(9, rows, [batch]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
}

#[test]
fn owners_of_other_rows_are_an_error() {
    let rows = batch(vec![("x", wholes(&[Some(1), Some(2)]))]);
    let add = |owners: Vec<u32>| SubjectDigests::new().add(&rows_of("visits"), &rows, &UInt32Array::from(owners));
    assert!(matches!(
        add(vec![1]),
        Err(SubjectError::Lengths { rows: 2, others: 1 })
    ));
    assert!(matches!(
        add(vec![1, u32::MAX]),
        Err(SubjectError::TooManySubjects { .. })
    ));
}

/// Values of a row of three columns.
type Row = (Option<i8>, Option<String>, Option<bool>);

fn table(rows: &[(u32, Row)]) -> (RecordBatch, UInt32Array) {
    let x: Vec<Option<i64>> = rows.iter().map(|(_, row)| row.0.map(i64::from)).collect();
    let y: Vec<Option<&str>> = rows.iter().map(|(_, row)| row.1.as_deref()).collect();
    let z: Vec<Option<bool>> = rows.iter().map(|(_, row)| row.2).collect();
    let z: ArrayRef = Arc::new(BooleanArray::from(z));
    let owners = rows.iter().map(|(owner, _)| Some(*owner)).collect();
    (batch(vec![("x", wholes(&x)), ("y", texts(&y)), ("z", z)]), owners)
}

fn multisets(rows: &[(u32, Row)]) -> BTreeMap<u32, Vec<&Row>> {
    let mut sets: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
    for (owner, row) in rows {
        sets.entry(*owner).or_default().push(row);
    }
    sets.values_mut().for_each(|rows| rows.sort());
    sets
}

fn any_rows() -> impl Strategy<Value = Vec<(u32, Row)>> {
    let row = (
        prop::option::of(-1_i8..3),
        prop::option::of("[ab]{0,2}"),
        prop::option::of(any::<bool>()),
    );
    prop::collection::vec((0_u32..4, row), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Subjects are changed if and only if the multisets of their rows differ.
    #[test]
    fn changed_subjects_are_those_of_multisets(before in any_rows(), change in any_rows(), added in any::<bool>()) {
        let after = if added { [before.clone(), change].concat() } else { change };
        let digests = |rows: &[(u32, Row)]| {
            let (batch, owners) = table(rows);
            let mut digests = SubjectDigests::new();
            digests.add(&rows_of("visits"), &batch, &owners).unwrap();
            digests
        };
        let old = multisets(&before);
        let new = multisets(&after);
        let expected: Vec<u32> = (0..4).filter(|owner| old.get(owner) != new.get(owner)).collect();
        let changed = digests(&after).changed(&digests(&before));
        prop_assert_eq!(changed.ordinals(), expected);
    }

    /// Neither the order of the rows nor the batches change a digest.
    #[test]
    fn digests_do_not_depend_on_order(rows in any_rows(), order in any::<u64>(), size in 1_usize..9) {
        let (batch, owners) = table(&rows);
        let mut digests = SubjectDigests::new();
        digests.add(&rows_of("visits"), &batch, &owners).unwrap();
        let mut shuffled: Vec<u32> = (0..u32::try_from(rows.len()).unwrap()).collect();
        shuffled.sort_by_key(|row| (u64::from(*row) + 1).wrapping_mul(order | 1));
        let mut others = SubjectDigests::new();
        for part in shuffled.chunks(size) {
            let part = UInt32Array::from(part.to_vec());
            let owners = arrow::compute::take(&owners, &part, None).unwrap();
            let owners = UInt32Array::from(owners.to_data());
            others.add(&rows_of("visits"), &take_record_batch(&batch, &part).unwrap(), &owners).unwrap();
        }
        prop_assert!(others.changed(&digests).ordinals().is_empty());
    }
}

/// More rows than are hashed together, so that each has the hash of its own values.
#[test]
fn rows_of_a_long_batch_have_their_own_hashes() {
    let (short, _) = table(&[(0, (Some(1), Some("b".to_owned()), None))]);
    let (filler, _) = table(&vec![
        (0, (Some(2), Some("a longer text".to_owned()), Some(true)));
        1_500
    ]);
    let long = concat_batches(&short.schema(), [&filler, &short]).unwrap();
    let mut owners = vec![None; 1_500];
    owners.push(Some(0));
    let changed = digests(&long, &owners).changed(&digests(&short, &[Some(0)]));
    assert!(changed.ordinals().is_empty());
}
