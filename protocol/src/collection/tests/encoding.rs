//! One encoding for each content, and bounded memory for bytes from anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::size_of;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, MapDeserializer, SeqDeserializer};

use super::clinical::{clinical, keyed, known, with_kind};
use super::*;
use crate::schema::ColumnClass;
use crate::signed::{decode, encode};

proptest! {
    #[test]
    fn rules_survive_their_encoding(rules in collections()) {
        let bytes = encode(&rules).unwrap();
        prop_assert_eq!(decode::<CollectionRules>(&bytes).unwrap(), rules);
    }

    /// Whatever is changed, what is read is written as it was read, and is valid.
    #[test]
    fn changed_bytes_are_refused_or_have_one_content(
        rules in collections(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        change in 0..3,
    ) {
        let mut bytes = encode(&rules).unwrap();
        let at = at.index(bytes.len());
        match change {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => {
                bytes.remove(at);
            }
        }
        if let Ok(read) = decode::<CollectionRules>(&bytes) {
            prop_assert_eq!(encode(&read).unwrap(), bytes);
            prop_assert_eq!(CollectionRules::check(read.raw(), &columns_of(&read)), Ok(read));
        }
    }

    #[test]
    fn noise_is_no_rules(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode::<CollectionRules>(&bytes).is_err());
    }

    #[test]
    fn levels_survive_their_encoding((_, raw) in levels(), oldest in proptest::option::of(1900..2000)) {
        use crate::scope::{BandWidth, Generalization, Transform};
        let levels = Levels::check(raw, Contents::Empty).unwrap();
        for transform in [
            Transform::Clear,
            Transform::Generalized(Generalization::Year),
            Transform::Generalized(Generalization::AgeBand(BandWidth::Five)),
        ] {
            let left = levels.under(transform, oldest).unwrap();
            prop_assert_eq!(decode::<Levels>(&encode(&left).unwrap()).unwrap(), left);
        }
    }
}

#[test]
fn rules_with_a_key_or_element_twice_are_refused() {
    let rules = CollectionRules::check(clinical(), &known()).unwrap();
    let bytes = encode(&rules).unwrap();
    assert_eq!(decode::<CollectionRules>(&bytes).as_ref(), Ok(&rules));
    let edges: &[u8] = b"\x63int\x83\x19\x07\x9e\x19\x07\xa3\x19\x07\xa8";
    for (what, found, forged) in [
        (
            "an edge",
            edges,
            &b"\x63int\x84\x19\x07\x9e\x19\x07\xa3\x19\x07\xa3\x19\x07\xa8"[..],
        ),
        (
            "edges in another order",
            edges,
            b"\x63int\x83\x19\x07\x9e\x19\x07\xa8\x19\x07\xa3",
        ),
        (
            "a longer number",
            edges,
            b"\x63int\x83\x1a\x00\x00\x07\x9e\x19\x07\xa3\x19\x07\xa8",
        ),
        (
            "another kind of edges",
            edges,
            b"\x64date\x83\x19\x07\x9e\x19\x07\xa3\x19\x07\xa8",
        ),
        (
            "a level",
            b"\xa1\x63ten\x82\x00\x02",
            b"\xa2\x63ten\x82\x00\x02\x63ten\x82\x00\x02",
        ),
        ("a position", b"\xa1\x63ten\x82\x00\x02", b"\xa1\x63ten\x83\x00\x02\x02"),
        (
            "an unknown position",
            b"\xa1\x63ten\x82\x00\x02",
            b"\xa1\x63ten\x82\x00\x03",
        ),
        ("an unknown part", b"\x64role\x63key", b"\x64role\x63key\x64rule\x63key"),
        ("a reading", b"\x67reading\x65plain", b"\x67reading\x64ages"),
        ("a role of its own", b"\x64role\x67subject", b"\x64role\x65value"),
        ("days", b"\x8a\x00\x01\x07", b"\x8a\x00\x00\x07"),
        ("a list without its length", b"\x82\x00\x02", b"\x9f\x00\x02\xff"),
    ] {
        let at = bytes.windows(found.len()).position(|window| window == found);
        let at = at.unwrap_or_else(|| panic!("the rules have no {what}"));
        let changed = [&bytes[..at], forged, &bytes[at + found.len()..]].concat();
        assert!(decode::<CollectionRules>(&changed).is_err(), "{what}");
    }
}

/// The same bytes are rules only if they are valid as a whole: a link that leads nowhere, for example.
#[test]
fn decoded_rules_are_checked_as_a_whole() {
    let rules = CollectionRules::check(clinical(), &known()).unwrap();
    let bytes = encode(&rules).unwrap();
    let link: &[u8] = b"\x62to\x65visit\x63key\x68visit_id";
    let at = bytes.windows(link.len()).position(|window| window == link).unwrap();
    let changed = [
        &bytes[..at],
        b"\x62to\x65visit\x63key\x68previous",
        &bytes[at + link.len()..],
    ]
    .concat();
    assert!(decode::<CollectionRules>(&changed).is_err());
    let read: Result<CollectionRules, _> = ciborium::from_reader(changed.as_slice());
    let error = read.unwrap_err().to_string();
    assert!(
        error.contains("`visit.previous`, which it links to, is not declared as a key"),
        "{error}"
    );
}

#[test]
fn atom_set_outside_of_its_column_is_refused() {
    let set = edges(ints([1, 2]), ColumnKind::Int).all();
    let bytes = encode(&set).unwrap();
    let atoms: &[u8] = b"\x62of\x03\x65atoms\x83\x00\x01\x02";
    let at = bytes.windows(atoms.len()).position(|window| window == atoms).unwrap();
    for forged in [
        &b"\x62of\x02\x65atoms\x83\x00\x01\x02"[..],
        b"\x62of\x19\x03\xea\x65atoms\x83\x00\x01\x02",
        b"\x62of\x03\x65atoms\x83\x00\x01\x01",
        b"\x62of\x03\x65atoms\x83\x00\x02\x01",
    ] {
        let changed = [&bytes[..at], forged, &bytes[at + atoms.len()..]].concat();
        assert!(decode::<AtomSet>(&changed).is_err(), "{forged:x?}");
    }
}

/// A list that states a length gets memory for the elements that arrive.
#[test]
fn stated_length_reserves_no_memory() {
    struct Claims<I>(I);
    impl<I: Iterator> Iterator for Claims<I> {
        type Item = I::Item;
        fn next(&mut self) -> Option<I::Item> {
            self.0.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (1 << 40, Some(1 << 40))
        }
    }
    let list = |len: u64| {
        let claims = SeqDeserializer::<_, ValueError>::new(Claims(0..len));
        lists::list::<_, u64, 1_000>(claims)
    };
    assert!(list(3).is_ok_and(|read| read.capacity() <= 8));
    assert!(list(1_000).is_ok_and(|read| read.len() == 1_000));
    assert!(list(1_001).is_err());
    let map = |len: u64| {
        let claims = MapDeserializer::<_, ValueError>::new(Claims((0..len).map(|n| (n, n))));
        lists::map::<_, u64, u64, 1_000>(claims)
    };
    assert!(map(1_000).is_ok() && map(1_001).is_err());
    for head in [
        &b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x9b\x00\x00\x00\x00\xff\xff\xff\xff\x01",
        b"\x9f\x01\x01",
    ] {
        for prefix in [&b"\xa1\x65edges\xa3\x64axis\xa1\x63int"[..], b"\xa1\x66values"] {
            assert!(decode::<Levels>(&[prefix, head].concat()).is_err());
        }
    }
}

/// A map has memory for eleven entries in each node and a vector for twice its elements, and each exists twice while it is checked.
#[test]
fn decoding_is_bounded_by_the_length_of_the_bytes() {
    let name = || DatasetName::new("d").unwrap();
    let of = || ColumnName::new("c").unwrap();
    let dataset_of_one = |columns: BTreeMap<ColumnName, Contents>| {
        let raw = RawCollectionRules {
            datasets: BTreeMap::from([(name(), with_kind(DatasetKind::EachRow))]),
            ..RawCollectionRules::default()
        };
        CollectionRules::check(raw, &KnownColumns::new([(name(), columns)])).unwrap()
    };
    let empty = dataset_of_one(BTreeMap::new());
    let one = dataset_of_one(BTreeMap::from([(of(), Contents::Empty)]));
    let dataset = len(empty.dataset(&name()).unwrap());
    let column = len(one.dataset(&name()).unwrap().column(&of()).unwrap());
    let entry = listed(&[(text(""), "l")]);
    let levels = BTreeMap::from([(level("l"), ints([0]))]);
    let raw = RawLevels::Edges {
        edges: ints([0]),
        levels,
    };
    let edges_of_one = Levels::check(raw, Contents::Empty).unwrap();
    let node = 11 + 2;
    for (what, memory, bytes) in [
        (
            "a dataset",
            node * size_of::<(DatasetName, DatasetRules)>(),
            2 + dataset,
        ),
        ("a column", node * size_of::<(ColumnName, ColumnRules)>(), 2 + column),
        (
            "levels of codes",
            node * size_of::<(LevelName, ListedValues)>(),
            3 + len(&entry),
        ),
        (
            "levels of edges",
            node * size_of::<(LevelName, Vec<u16>)>(),
            len(&edges_of_one),
        ),
        ("a listed value", 4 * size_of::<Listed>() + 64, len(&entry)),
        ("a code", 4 * size_of::<Value>(), len(&Value::Int(0))),
        ("a prefix", 4 * size_of::<String>() + 8, len("p")),
        (
            "a link",
            4 * size_of::<KeyLink>(),
            len(&KeyLink {
                column: of(),
                to: name(),
                key: of(),
            }),
        ),
        ("an edge", 4 * size_of::<Value>(), 1),
        ("an atom", 4 * size_of::<u16>(), 1),
    ] {
        assert!(
            2 * memory <= lists::FACTOR * bytes,
            "{what}: {memory} bytes of memory for {bytes}"
        );
    }
}

fn len<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes.len()
}

/// Both parts of a collection: what the rules of one column may be, and datasets that join.
fn collections() -> impl Strategy<Value = CollectionRules> {
    let class = proptest::option::of(proptest::sample::select(vec![
        ColumnClass::Ordinary,
        ColumnClass::Sensitive,
    ]));
    let measure = proptest::option::of((-100.0_f64..0.0, 0.0_f64..100.0));
    let column = (levels(), class, measure, any::<bool>());
    let steps = |least| proptest::collection::btree_set(least..2_000_u32, 1..20);
    (
        proptest::collection::vec(column, 0..6),
        steps(1),
        steps(0),
        any::<bool>(),
    )
        .prop_map(|(columns, counts, days, unique)| {
            let mut raw = clinical();
            raw.days = DayLevels::new(days.into_iter().collect()).unwrap();
            let mut extra = with_kind(keyed("key", unique));
            extra.counts = CountLevels::new(counts.into_iter().collect()).unwrap();
            let mut kinds = BTreeMap::from([(column_at(0), Contents::Empty), (column_named("key"), Contents::Empty)]);
            for (at, ((contents, levels), class, measure, unit)) in (1..).zip(columns) {
                kinds.insert(column_at(at), contents);
                let is_number = matches!(contents, Contents::Of(ColumnKind::Int | ColumnKind::Float));
                let complete = unit && matches!(levels, RawLevels::Truth | RawLevels::Values(_));
                let rules = RawColumnRules {
                    class,
                    role: ColumnRole::Value,
                    levels,
                    measure: measure
                        .filter(|_| is_number)
                        .map(|(low, high)| RawRange { low, high, step: None }),
                    unit: unit.then(|| "mg/dl".parse().unwrap()),
                    complete,
                    names: None,
                };
                extra.columns.insert(column_at(at), rules);
            }
            raw.datasets.insert(dataset("extra"), extra);
            let all = known()
                .iter()
                .map(|(name, columns)| (name.clone(), columns.clone()))
                .collect::<Vec<_>>();
            let known = KnownColumns::new(all.into_iter().chain([(dataset("extra"), kinds)]));
            CollectionRules::check(raw, &known).unwrap()
        })
}

fn column_at(at: usize) -> ColumnName {
    column_named(&format!("c{at}"))
}

fn column_named(text: &str) -> ColumnName {
    column(text)
}

fn columns_of(rules: &CollectionRules) -> KnownColumns {
    let datasets = rules.datasets().map(|(name, dataset)| {
        let columns = dataset
            .columns()
            .map(|(name, column)| (name.clone(), column.contents()));
        (name.clone(), columns.collect())
    });
    KnownColumns::new(datasets)
}

fn levels() -> impl Strategy<Value = (Contents, RawLevels)> {
    let numbers = proptest::collection::btree_set(any::<i64>(), 1..12);
    let floats = proptest::collection::btree_set(proptest::num::f64::NORMAL.prop_map(float), 1..12);
    let days = proptest::collection::btree_set((-50_000_i32..50_000).prop_map(Value::Date), 1..12);
    let years = proptest::collection::btree_set(1950_i32..2020, 1..12).prop_map(|years| {
        years
            .into_iter()
            .map(|year| Value::Date(day(&format!("{year}-01-01"))))
            .collect()
    });
    let ages = proptest::collection::btree_set((0_i64..25).prop_map(|age| Value::Int(age * 5)), 1..12);
    let texts = proptest::collection::btree_map("[a-cé ]{0,3}", "[x-z]{1,2}", 1..12);
    let coarse = proptest::collection::vec(any::<bool>(), 12);
    let of_kind = |kind: ColumnKind| Contents::Of(kind);
    let with_levels = |edges: BTreeSet<Value>, coarse: Vec<bool>| {
        let edges: Vec<Value> = edges.into_iter().collect();
        let kept: Vec<Value> = edges
            .iter()
            .zip(coarse)
            .filter(|(_, kept)| *kept)
            .map(|(edge, _)| edge.clone())
            .collect();
        let levels = if kept.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([(level("coarse"), kept)])
        };
        RawLevels::Edges { edges, levels }
    };
    prop_oneof![
        Just((Contents::Empty, RawLevels::None)),
        Just((of_kind(ColumnKind::Boolean), RawLevels::Truth)),
        (
            numbers.prop_map(|numbers| numbers.into_iter().map(Value::Int).collect()),
            coarse.clone()
        )
            .prop_map(move |(edges, coarse)| (of_kind(ColumnKind::Int), with_levels(edges, coarse))),
        (ages, coarse.clone()).prop_map(move |(edges, coarse)| (of_kind(ColumnKind::Int), with_levels(edges, coarse))),
        (floats, coarse.clone())
            .prop_map(move |(edges, coarse)| (of_kind(ColumnKind::Float), with_levels(edges, coarse))),
        (days, coarse.clone()).prop_map(move |(edges, coarse)| (of_kind(ColumnKind::Date), with_levels(edges, coarse))),
        (years, coarse)
            .prop_map(move |(edges, coarse)| (of_kind(ColumnKind::TimestampUtc), with_levels(edges, coarse))),
        texts
            .clone()
            .prop_map(move |texts| (of_kind(ColumnKind::Text), RawLevels::Values(entries(texts)))),
        texts.prop_map(move |texts| {
            let levels = BTreeMap::from([(level("groups"), entries(texts))]);
            let codes = RawLevels::Codes {
                hierarchy: None,
                names: None,
                levels,
            };
            (of_kind(ColumnKind::Text), codes)
        }),
    ]
}

fn entries(texts: BTreeMap<String, String>) -> Vec<Listed> {
    let entry = |(value, label): (String, String)| Listed {
        value: Value::Text(value),
        label: ValueLabel::new(&label).unwrap(),
    };
    texts.into_iter().map(entry).collect()
}

/// Types that are sent by themselves are checked by themselves.
#[test]
fn parts_of_rules_are_checked_when_decoded() {
    fn refused<T: Serialize + DeserializeOwned>(json: &str) {
        assert!(serde_json::from_str::<T>(json).is_err(), "{json}");
    }
    refused::<Range>(r#"{"low":1.0,"high":1.0,"step":null}"#);
    refused::<Range>(r#"{"low":0.0,"high":1.0,"step":null,"more":1}"#);
    refused::<OwnerLinks>("[]");
    refused::<DayLevels>("[1,0]");
    refused::<CountLevels>("[0]");
    refused::<ListedValues>("[]");
    refused::<ListedValues>(r#"[{"value":{"bool":true},"label":"yes"}]"#);
    refused::<Levels>(r#"{"edges":{"axis":{"int":[]},"reading":"plain","levels":{}}}"#);
    refused::<Levels>(r#"{"edges":{"axis":{"int":[7]},"reading":"ages","levels":{}}}"#);
    refused::<Levels>(r#"{"edges":{"axis":{"int":[10]},"reading":{"years":{"oldest":null}},"levels":{}}}"#);
    refused::<Levels>(r#"{"edges":{"axis":{"date":[0]},"reading":{"years":{"oldest":1970}},"levels":{}}}"#);
    refused::<CodeSet>(r#"{"kind":"int","rest":false,"prefixes":["a"],"codes":[]}"#);
    refused::<CodeSet>(r#"{"kind":"text","rest":false,"prefixes":[""],"codes":[]}"#);
    refused::<CodeSet>(r#"{"kind":"text","rest":false,"prefixes":[],"codes":[{"int":1}]}"#);
    assert!(serde_json::from_str::<Levels>(r#"{"edges":{"axis":{"int":[10]},"reading":"ages","levels":{}}}"#).is_ok());
}

/// An atom for which a condition is both, and sets of columns with different levels.
#[test]
fn condition_that_is_true_and_false_is_refused() {
    #[derive(Serialize)]
    struct Sets<'a> {
        is_true: &'a AtomSet,
        is_false: &'a AtomSet,
    }
    let test = Levels::Truth.decide(&Comparison::Equal(Value::Bool(true))).unwrap();
    assert_eq!(decode::<AtomTest>(&encode(&test).unwrap()).unwrap(), test);
    let other = Levels::None.all();
    for is_false in [test.passing(), &other] {
        let sets = Sets {
            is_true: test.passing(),
            is_false,
        };
        assert!(decode::<AtomTest>(&encode(&sets).unwrap()).is_err());
    }
}
