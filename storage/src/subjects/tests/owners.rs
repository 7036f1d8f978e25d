use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{NullArray, UInt32Array};
use proptest::prelude::*;

use super::*;
use crate::subjects::{
    KeyMap, KeyMapBuilder, Link, MAX_SUBJECTS, OwnerCounts, OwnerResolver, Owners, Registry, SubjectError, SubjectKey,
    key_map::Linked,
};

fn persons(names: &[&str]) -> Registry {
    let mut registry = Registry::new();
    let column: Vec<Option<&str>> = names.iter().copied().map(Some).collect();
    let batch = batch(vec![("person", texts(&column))]);
    OwnerResolver::registering(key(), 0, &mut registry)
        .resolve(&batch)
        .unwrap();
    registry
}

fn key_map(keys: &ArrayRef, owners: &UInt32Array) -> KeyMap {
    let mut builder = KeyMapBuilder::new(key());
    builder.add(keys, owners).unwrap();
    builder.finish().unwrap()
}

fn linked(rows: &RecordBatch, links: Vec<Link<'_>>) -> Owners {
    OwnerResolver::linked(key(), links).resolve(rows).unwrap()
}

fn ordinals(owners: &Owners) -> Vec<Option<u32>> {
    owners.ordinals.iter().collect()
}

#[test]
fn owners_are_found_through_a_chain_of_keys() {
    let registry = persons(&["ann", "bob"]);
    let visits = batch(vec![
        ("visit", wholes(&[Some(10), Some(11), Some(12), None, Some(13)])),
        (
            "person",
            texts(&[Some("bob"), Some("ann"), Some("eve"), Some("ann"), None]),
        ),
    ]);
    let of_visits = OwnerResolver::registered(key(), 1, &registry).resolve(&visits).unwrap();
    assert_eq!(ordinals(&of_visits), [Some(1), Some(0), None, Some(0), None]);
    let counts = OwnerCounts {
        owned: 3,
        missing: 1,
        unknown: 1,
        repeated: 1,
        ..OwnerCounts::default()
    };
    assert_eq!(of_visits.counts, counts);
    assert_eq!(of_visits.counts.without_owner(), 2);

    let by_visit = key_map(visits.column(0), &of_visits.ordinals);
    let notes = batch(vec![
        ("note", wholes(&[Some(1), Some(2), Some(3), Some(4)])),
        ("visit", texts(&[Some("11"), Some("12"), Some("99"), None])),
    ]);
    let of_notes = linked(
        &notes,
        vec![Link {
            column: 1,
            keys: &by_visit,
        }],
    );
    assert_eq!(ordinals(&of_notes), [Some(0), None, None, None]);
    assert_eq!(
        (
            of_notes.counts.unowned,
            of_notes.counts.unknown,
            of_notes.counts.missing
        ),
        (1, 1, 1)
    );

    let by_note = key_map(notes.column(0), &of_notes.ordinals);
    let terms = batch(vec![("note", wholes(&[Some(1), Some(1), Some(2), Some(5)]))]);
    let of_terms = linked(
        &terms,
        vec![Link {
            column: 0,
            keys: &by_note,
        }],
    );
    assert_eq!(ordinals(&of_terms), [Some(0), Some(0), None, None]);
}

#[test]
fn ambiguous_keys_lead_to_no_owner() {
    let keys = wholes(&[Some(1), Some(1), Some(2), Some(2), Some(3), Some(3), Some(4), Some(4)]);
    let owners = UInt32Array::from(vec![Some(5), Some(6), Some(7), Some(7), Some(8), None, None, None]);
    let map = key_map(&keys, &owners);
    assert_eq!((map.len(), map.ambiguous(), map.is_unique()), (4, 2, false));
    let rows = batch(vec![("to", wholes(&[Some(1), Some(2), Some(3), Some(4)]))]);
    let found = linked(&rows, vec![Link { column: 0, keys: &map }]);
    assert_eq!(ordinals(&found), [None, Some(7), None, None]);
    assert_eq!((found.counts.ambiguous, found.counts.unowned), (2, 1));
}

#[test]
fn links_that_disagree_lead_to_no_owner() {
    let unowned = UInt32Array::new_null(3);
    assert!(key_map(&wholes(&[Some(1), None, None]), &unowned).is_unique());
    assert!(!key_map(&wholes(&[Some(1), Some(2), Some(1)]), &unowned).is_unique());
    let one = key_map(&wholes(&[Some(1), Some(2)]), &UInt32Array::from(vec![0, 1]));
    let two = key_map(&wholes(&[Some(1), Some(2)]), &UInt32Array::from(vec![0, 0]));
    let rows = batch(vec![
        (
            "one",
            wholes(&[Some(1), Some(2), Some(2), None, None, Some(1), Some(9)]),
        ),
        (
            "two",
            wholes(&[Some(1), Some(1), None, Some(2), None, Some(9), Some(1)]),
        ),
    ]);
    let links = vec![Link { column: 0, keys: &one }, Link { column: 1, keys: &two }];
    let found = linked(&rows, links);
    assert_eq!(ordinals(&found), [Some(0), None, Some(1), Some(0), None, None, None]);
    assert_eq!(
        (found.counts.ambiguous, found.counts.missing, found.counts.unknown),
        (1, 1, 2)
    );
    assert_eq!(linked(&rows, Vec::new()).counts.missing, 7);
}

#[test]
fn keys_that_are_all_missing_lead_to_no_owner() {
    let registry = persons(&["ann"]);
    let nulls: ArrayRef = Arc::new(NullArray::new(3));
    for column in [nulls, texts(&[None, None, None]), wholes(&[None, None, None])] {
        let rows = batch(vec![("person", Arc::clone(&column))]);
        let found = OwnerResolver::registered(key(), 0, &registry).resolve(&rows).unwrap();
        assert_eq!(ordinals(&found), [None; 3]);
        assert_eq!(found.counts.missing, 3);
        let map = key_map(&column, &UInt32Array::from(vec![1, 2, 3]));
        assert!(map.is_empty());
        assert_eq!(linked(&rows, vec![Link { column: 0, keys: &map }]).counts.missing, 3);
    }
}

#[test]
fn each_row_has_the_next_ordinal() {
    let rows = batch(vec![("x", wholes(&[None, Some(1)]))]);
    let mut resolver = OwnerResolver::each_row(key(), MAX_SUBJECTS - 3);
    let next = |resolver: &mut OwnerResolver<'_>| resolver.resolve(&rows).map(|owners| ordinals(&owners));
    assert_eq!(
        next(&mut resolver).unwrap(),
        [Some(MAX_SUBJECTS - 3), Some(MAX_SUBJECTS - 2)]
    );
    assert!(matches!(next(&mut resolver), Err(SubjectError::TooManySubjects { .. })));
}

#[test]
fn columns_that_are_missing_are_errors() {
    let registry = persons(&["ann"]);
    let rows = batch(vec![("x", wholes(&[Some(1)]))]);
    let error = OwnerResolver::registered(key(), 1, &registry)
        .resolve(&rows)
        .unwrap_err();
    assert!(matches!(error, SubjectError::NoColumn { column: 1 }));
    let error = KeyMapBuilder::new(key())
        .add(rows.column(0), &UInt32Array::from(vec![1, 2]))
        .unwrap_err();
    assert!(matches!(error, SubjectError::Lengths { rows: 1, others: 2 }));
}

#[test]
fn keys_beyond_the_limit_are_an_error() {
    let limit = 100;
    let mut builder = KeyMapBuilder::with_limit(key(), limit);
    let keys: Vec<Option<i64>> = (0..100).map(Some).collect();
    let owners = UInt32Array::from(vec![1; 100]);
    for _ in 0..50 {
        // The same keys again are no more keys.
        builder.add(&wholes(&keys), &owners).unwrap();
    }
    assert_eq!(builder.finish().unwrap().len(), limit);
    let mut builder = KeyMapBuilder::with_limit(key(), limit - 1);
    let added = builder.add(&wholes(&keys), &owners);
    let error = added.and_then(|()| builder.finish()).unwrap_err();
    assert!(matches!(error, SubjectError::TooManyKeys { .. }));
}

/// A dataset that supplies keys cannot name another's key by one that has half of its hash.
#[test]
fn keys_are_compared_by_96_bits() {
    let key = crate::subjects::SubjectKeys::new(key()).of_text("1");
    let map = key_map(&wholes(&[Some(1)]), &UInt32Array::from(vec![3]));
    assert_eq!(map.find(key), Linked::Owner(3));
    for bit in 32..128 {
        assert_eq!(map.find(SubjectKey(key.0 ^ (1 << bit))), Linked::Unknown, "bit {bit}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Owners by key are those of a map of sets.
    #[test]
    fn key_map_is_that_of_a_model(
        rows in prop::collection::vec((prop::option::of(0_i64..400), prop::option::of(0_u32..4)), 0..900),
        limit in 400_usize..500,
    ) {
        let mut model: BTreeMap<i64, BTreeSet<Option<u32>>> = BTreeMap::new();
        let mut builder = KeyMapBuilder::with_limit(key(), limit);
        for chunk in rows.chunks(37) {
            let keys: Vec<Option<i64>> = chunk.iter().map(|(key, _)| *key).collect();
            let owners: UInt32Array = chunk.iter().map(|(_, owner)| *owner).collect();
            builder.add(&wholes(&keys), &owners).unwrap();
        }
        for (key, owner) in &rows {
            model.entry(key.unwrap_or(-1)).or_default().insert(*owner);
        }
        model.remove(&-1);
        let map = builder.finish().unwrap();
        prop_assert_eq!(map.len(), model.len());
        let keys = crate::subjects::SubjectKeys::new(key());
        for key in 0..401 {
            let found = map.find(keys.of_text(&key.to_string()));
            let expected = match model.get(&key).map(|owners| owners.iter().collect::<Vec<_>>()).as_deref() {
                None => Linked::Unknown,
                Some([None]) => Linked::Unowned,
                Some([Some(owner)]) => Linked::Owner(*owner),
                Some(_) => Linked::Ambiguous,
            };
            prop_assert_eq!(found, expected);
        }
    }
}
