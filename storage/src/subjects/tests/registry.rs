use arrow::array::{
    BooleanArray, Date32Array, FixedSizeBinaryArray, Float64Array, Int32Array, LargeStringArray,
    TimestampMillisecondArray, UInt64Array,
};
use concordat_protocol::error_kind::{ErrorKind, Explain as _};
use proptest::prelude::*;

use super::*;
use crate::subjects::{
    OwnerCounts, OwnerResolver, Registry, SubjectError, SubjectKeys, column::Column, form::loosened, key::Identity,
    registry_schema,
};

/// Registers the values of one column, as an import of the dataset of the subjects does.
fn register(registry: &mut Registry, column: ArrayRef) -> (Vec<Option<u32>>, OwnerCounts) {
    let batch = batch(vec![("person", column)]);
    let owners = OwnerResolver::registering(key(), 0, registry).resolve(&batch).unwrap();
    (owners.ordinals.iter().collect(), owners.counts)
}

fn reopened(registry: Registry) -> Registry {
    let subjects = registry.len();
    Registry::open(subjects, stored(registry.finish())).unwrap()
}

#[test]
fn ordinals_are_stable_through_versions() {
    let mut registry = Registry::new();
    assert!(registry.is_empty());
    let (first, _) = register(&mut registry, texts(&[Some("b"), Some("a"), Some("b")]));
    assert_eq!(first, [Some(0), Some(1), Some(0)]);
    let mut registry = reopened(registry);
    // `a` is not in the second version, and its ordinal is not given again.
    let (second, _) = register(&mut registry, texts(&[Some("c"), Some("b")]));
    assert_eq!(second, [Some(2), Some(0)]);
    let mut registry = reopened(registry);
    let (third, _) = register(&mut registry, texts(&[Some("d"), Some("a")]));
    assert_eq!(third, [Some(3), Some(1)]);
}

#[test]
fn subjects_do_not_depend_on_the_type_of_their_column() {
    let mut registry = Registry::new();
    let forms: [ArrayRef; 5] = [
        wholes(&[Some(7), Some(-12)]),
        texts(&[Some("7"), Some("-12")]),
        Arc::new(Float64Array::from(vec![7.0, -12.0])),
        Arc::new(Int32Array::from(vec![7, -12])),
        Arc::new(LargeStringArray::from(vec!["7", "-12"])),
    ];
    for column in forms {
        assert_eq!(register(&mut registry, column).0, [Some(0), Some(1)]);
    }
    let others: [ArrayRef; 5] = [
        texts(&[Some("07"), Some(" 7"), Some("+7"), Some("7.0"), Some("-012")]),
        Arc::new(Float64Array::from(vec![7.5, 0.0])),
        Arc::new(Date32Array::from(vec![7])),
        Arc::new(BooleanArray::from(vec![true])),
        Arc::new(TimestampMillisecondArray::from(vec![7])),
    ];
    let mut expected = 2..;
    for column in others {
        for ordinal in register(&mut registry, column).0 {
            assert_eq!(ordinal, expected.next(), "each is a subject of its own");
        }
    }
    assert_eq!(
        register(&mut registry, texts(&[Some("7.5"), Some("0"), Some("true")])).0,
        [Some(7), Some(8), Some(10)]
    );
    assert_eq!(register(&mut registry, texts(&[Some("1970-01-08")])).0, [Some(9)]);
    assert_eq!(
        register(&mut registry, Arc::new(Float64Array::from(vec![-0.0]))).0,
        [Some(8)]
    );
}

#[test]
fn midnight_without_a_zone_is_the_day() {
    let mut registry = Registry::new();
    register(&mut registry, Arc::new(Date32Array::from(vec![1])));
    let day = TimestampMillisecondArray::from(vec![86_400_000]);
    assert_eq!(register(&mut registry, Arc::new(day.clone())).0, [Some(0)]);
    assert_eq!(register(&mut registry, Arc::new(day.with_timezone("UTC"))).0, [Some(1)]);
}

#[test]
fn text_is_normalized_and_not_trimmed() {
    let mut registry = Registry::new();
    let (ordinals, counts) = register(
        &mut registry,
        texts(&[
            Some("\u{e9}"),
            Some("e\u{301}"),
            Some("\u{e9} "),
            Some(""),
            Some(" \t"),
            None,
        ]),
    );
    assert_eq!(ordinals, [Some(0), Some(0), Some(1), None, None, None]);
    assert_eq!(counts.missing, 3);
}

#[test]
fn inexact_numbers_identify_no_subject() {
    let mut registry = Registry::new();
    let exact = 9_007_199_254_740_992.0;
    let column = Float64Array::from(vec![f64::NAN, f64::INFINITY, exact * 2.0, exact]);
    let (ordinals, counts) = register(&mut registry, Arc::new(column));
    assert_eq!(ordinals, [None, None, None, Some(0)]);
    assert_eq!(counts.unusable, 3);
    assert_eq!(register(&mut registry, wholes(&[Some(1 << 53)])).0, [Some(0)]);
}

#[test]
fn spellings_are_reported_and_not_merged() {
    let mut registry = Registry::new();
    let (ordinals, counts) = register(
        &mut registry,
        texts(&[
            Some("MRN-007"),
            Some("mrn007"),
            Some("MRN 007"),
            Some("8"),
            Some("0008"),
            Some("9"),
            Some("9"),
        ]),
    );
    assert_eq!(ordinals, [0, 1, 2, 3, 4, 5, 5].map(Some));
    assert_eq!(counts.respelled, 3);
    assert_eq!(counts.repeated, 1);
    // The loose forms are stored too: an unknown subject is recognized in the next version.
    let registry = reopened(registry);
    let events = batch(vec![(
        "person",
        texts(&[Some("mrn-007"), Some("MRN-007 "), Some("10"), Some("09"), Some("9")]),
    )]);
    let owners = OwnerResolver::registered(key(), 0, &registry).resolve(&events).unwrap();
    assert_eq!(
        owners.ordinals.iter().collect::<Vec<_>>(),
        [None, None, None, None, Some(5)]
    );
    assert_eq!((owners.counts.unknown, owners.counts.respelled), (4, 3));
}

#[test]
fn loose_forms_have_no_blanks_dashes_or_zeros() {
    for (form, loose) in [
        ("MRN-007", Some("mrn007")),
        ("  00\u{2013}12 3", Some("123")),
        ("000", Some("0")),
        ("7.0", Some("7")),
        ("0.0", Some("0")),
        (".0", None),
        ("--", None),
        ("", None),
        ("\u{c9}1", Some("\u{e9}1")),
    ] {
        assert_eq!(loosened(form).as_deref(), loose, "{form}");
    }
}

#[test]
fn subjects_beyond_the_limit_are_an_error() {
    let mut registry = Registry::with_limit(3);
    register(&mut registry, texts(&[Some("a"), Some("b"), Some("c"), Some("a")]));
    let batch = batch(vec![("person", texts(&[Some("a"), Some("d")]))]);
    let error = OwnerResolver::registering(key(), 0, &mut registry)
        .resolve(&batch)
        .unwrap_err();
    assert!(matches!(error, SubjectError::TooManySubjects { limit: 3 }));
    assert_eq!(registry.len(), 3);
}

#[test]
fn damaged_registry_is_not_opened() {
    let mut registry = Registry::new();
    register(&mut registry, texts(&[Some("MRN-7"), Some("b"), Some("c-")]));
    let batches = stored(registry.finish());
    let whole = batches[0].as_ref().unwrap().clone();
    let twice = |batch: &RecordBatch| vec![Ok(batch.clone()), Ok(batch.clone())];
    let keys = FixedSizeBinaryArray::try_from_iter([[1_u8; 16], [2; 16]].into_iter()).unwrap();
    let same_loose = UInt64Array::from(vec![5, 5]);
    let same_loose = RecordBatch::try_new(registry_schema(), vec![Arc::new(keys), Arc::new(same_loose)]).unwrap();
    let damaged: Vec<(u32, Vec<Result<RecordBatch, ArrowError>>)> = vec![
        (2, vec![Ok(whole.clone())]),
        (4, vec![Ok(whole.clone())]),
        (6, twice(&whole)),
        (3, vec![Ok(whole.project(&[0]).unwrap())]),
        (3, vec![Ok(whole.project(&[1, 0]).unwrap())]),
        (2, vec![Ok(same_loose)]),
        (2, vec![Ok(whole.slice(1, 1)), Ok(whole.slice(1, 1))]),
        (u32::MAX, Vec::new()),
        (3, vec![Err(ArrowError::ParseError(String::new()))]),
    ];
    for (subjects, batches) in damaged {
        let error = Registry::open(subjects, batches).unwrap_err();
        let is_limit = matches!(error, SubjectError::TooManySubjects { .. });
        assert!(is_limit || error.kind() == ErrorKind::Integrity, "{error}");
    }
    assert_eq!(Registry::open(3, vec![Ok(whole)]).unwrap().len(), 3);
}

#[test]
fn registry_knows_its_subjects_only_under_its_key() {
    let mut registry = Registry::new();
    register(&mut registry, texts(&[Some("a")]));
    assert!(registry.ordinal(SubjectKeys::new(key()).of_text("a")).is_some());
    assert!(registry.ordinal(SubjectKeys::new(key_of(2)).of_text("a")).is_none());
    // The hash is at rest: it never changes.
    let bytes = key().identity(b"a");
    assert_eq!(
        data_encoding::HEXLOWER.encode(&bytes),
        "d9be220e14bfc1502a74fe668ad9fe21"
    );
    assert_eq!(format!("{:?}", SubjectKeys::new(key()).of_text("a")), "SubjectKey(..)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Ordinals are those of a list in the order of first appearance, whatever the versions and batches are.
    #[test]
    fn ordinals_are_those_of_a_list(versions in prop::collection::vec(prop::collection::vec(prop::option::of("[a-c]{0,3}"), 0..60), 1..5)) {
        let mut known: Vec<String> = Vec::new();
        let mut registry = Registry::new();
        for version in versions {
            let values: Vec<Option<&str>> = version.iter().map(Option::as_deref).collect();
            let (ordinals, counts) = register(&mut registry, texts(&values));
            let mut repeated = 0;
            let mut seen = std::collections::BTreeSet::new();
            for (value, ordinal) in version.iter().zip(ordinals) {
                let value = value.as_ref().filter(|value| !value.is_empty());
                let expected = value.map(|value| {
                    let at = known.iter().position(|other| other == value);
                    at.unwrap_or_else(|| { known.push(value.clone()); known.len() - 1 })
                });
                prop_assert_eq!(ordinal.map(|ordinal| ordinal as usize), expected);
                repeated += u64::from(value.is_some_and(|value| !seen.insert(value.clone())));
            }
            prop_assert_eq!(counts.repeated, repeated);
            registry = reopened(registry);
        }
    }

    /// The keys of a column are those of its values one by one, whatever is kept of earlier ones.
    #[test]
    fn keys_are_those_of_single_values(
        values in prop::collection::vec(prop::option::of(prop_oneof![-3_i64..100_000, any::<i64>()]), 0..200),
    ) {
        let mut keys = SubjectKeys::new(key());
        let found = keys.identities(&Column::of("n", &wholes(&values)).unwrap());
        for (value, found) in values.iter().zip(found) {
            let single = |value: i64| Identity::Key(SubjectKeys::new(key()).of_text(&value.to_string()));
            let expected = value.map_or(Identity::Missing, single);
            prop_assert_eq!(found, expected);
        }
    }
}
