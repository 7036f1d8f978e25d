use concordat_keys::Wrapped;
use concordat_protocol::{
    collection::{ColumnRole, Contents, KnownColumns, RawCollectionRules, RawColumnRules, RawDatasetRules},
    schema::{ColumnClass, ColumnKind},
};
use proptest::prelude::*;

use super::*;

fn wrapped(byte: u8) -> Wrapped {
    Wrapped::from_bytes(vec![byte; 40])
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn decoded(bytes: &[u8]) -> Result<CollectionRecord, ciborium::de::Error<std::io::Error>> {
    ciborium::from_reader(bytes)
}

fn classification() -> impl Strategy<Value = Classification> {
    let class = prop_oneof![Just(ColumnClass::DirectIdentifier), Just(ColumnClass::Sensitive)];
    prop::collection::btree_map("[a-z]{1,4}", class, 0..4).prop_map(|classes| {
        let named = classes.into_iter();
        named
            .map(|(name, class)| (ColumnName::new(&name).unwrap(), class))
            .collect()
    })
}

prop_compose! {
    fn dataset_record()(
        name in "[a-z]{1,6}",
        subject in prop_oneof![Just("__concordat_subject".to_owned()), "[a-z]{1,5}"],
        classification in classification(),
        published: bool,
        oldest in 1_u64..9,
        versions in 0_u64..9,
        keep in prop::option::of(1_u32..5),
        created in prop::option::of(any::<[u8; 16]>()),
        key: u8,
    ) -> DatasetRecord {
        DatasetRecord {
            name: DatasetName::new(&name).unwrap(),
            segment: SegmentName::new("main").unwrap(),
            subject: ColumnName::new(&subject).unwrap(),
            classification,
            published,
            current: VersionNumber::new(oldest + versions),
            oldest: VersionNumber::new(oldest),
            keep: keep.and_then(NonZeroU32::new),
            release: ReleaseRules::default(),
            created: created.map(CreationId::from_bytes),
            keys: DatasetKeys {
                current: wrapped(key),
                older: vec![wrapped(1)],
                past: Vec::new(),
                pseudonyms: wrapped(2),
                moved: false,
                reencrypting: published,
            },
        }
    }
}

fn declarations() -> impl Strategy<Value = DatasetDeclarations> {
    let kind = prop_oneof![
        Just(DatasetKind::EachRow),
        Just(DatasetKind::Reference),
        ("[a-z]{1,4}", any::<bool>()).prop_map(|(subject, unique)| DatasetKind::Keyed {
            subject: ColumnName::new(&subject).unwrap(),
            unique,
        }),
    ];
    (kind, classification()).prop_map(|(kind, classification)| DatasetDeclarations { kind, classification })
}

proptest! {
    /// The record of a dataset is that of a collection of one, byte for byte, and nothing of it is lost.
    #[test]
    fn dataset_record_is_that_of_a_collection_of_one(record in dataset_record()) {
        let bytes = encoded(&record);
        let collection = decoded(&bytes).unwrap();
        prop_assert_eq!(&collection, &CollectionRecord::from(record.clone()));
        prop_assert_eq!(collection.alone(), Some(record));
        prop_assert_eq!(encoded(&collection), bytes);
    }

    /// Every collection has one encoding, and is a dataset alone only if that is all of it.
    #[test]
    fn collection_record_has_one_encoding(
        record in dataset_record(),
        datasets in prop::collection::btree_map("[ab]{1,2}", declarations(), 1..4),
    ) {
        let named = datasets.into_iter().map(|(name, of)| (DatasetName::new(&name).unwrap(), of));
        let collection = CollectionRecord::from(record).with_datasets(named.collect()).unwrap();
        let bytes = encoded(&collection);
        prop_assert_eq!(&decoded(&bytes).unwrap(), &collection);
        let alone = collection.alone().map(CollectionRecord::from);
        prop_assert!(alone.is_none_or(|alone| alone == collection));
    }
}

fn people() -> (CollectionRecord, DatasetName) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tree = dataset_record().new_tree(&mut runner).unwrap();
    let record = proptest::strategy::ValueTree::current(&tree);
    let name = record.name.clone();
    (CollectionRecord::from(record), name)
}

#[test]
fn collection_of_one_has_no_longer_form() {
    let (collection, name) = people();
    let with = |datasets: BTreeMap<DatasetName, DatasetDeclarations>| RecordForm {
        subject: None,
        classification: None,
        datasets: Some(datasets),
        ..RecordForm::from(collection.clone())
    };
    let longer = with(collection.datasets().clone());
    assert!(decoded(&encoded(&longer)).is_err(), "it has the form of a dataset");
    assert!(
        decoded(&encoded(&with(BTreeMap::new()))).is_err(),
        "there is no dataset"
    );
    let mut two = collection.datasets().clone();
    let only = two.get(&name).unwrap().clone();
    two.insert(DatasetName::new("zz").unwrap(), only);
    assert!(decoded(&encoded(&with(two.clone()))).is_ok());
    let both = RecordForm {
        datasets: Some(two),
        ..RecordForm::from(collection)
    };
    assert!(
        decoded(&encoded(&both)).is_err(),
        "it is a dataset alone and a collection"
    );
}

#[test]
fn record_of_too_many_datasets_is_refused() {
    let (collection, name) = people();
    let only = collection.datasets().get(&name).unwrap().clone();
    let numbered = |count: usize| -> BTreeMap<DatasetName, DatasetDeclarations> {
        let names = (0..count).map(|number| DatasetName::new(&format!("d{number}")).unwrap());
        names.map(|name| (name, only.clone())).collect()
    };
    assert!(collection.clone().with_datasets(numbered(MAX_DATASETS)).is_some());
    assert!(collection.clone().with_datasets(numbered(MAX_DATASETS + 1)).is_none());
    assert!(collection.with_datasets(BTreeMap::new()).is_none());
}

/// Persons and visits, whose columns have one class.
fn two_datasets() -> CollectionRules {
    let known = KnownColumns::new(["person", "visit"].map(|name| {
        let columns = BTreeMap::from([(ColumnName::new("person_id").unwrap(), Contents::Of(ColumnKind::Int))]);
        (DatasetName::new(name).unwrap(), columns)
    }));
    let datasets = known.iter().map(|(name, columns)| {
        let rules = RawColumnRules {
            class: Some(ColumnClass::DirectIdentifier),
            role: ColumnRole::Subject,
            ..RawColumnRules::default()
        };
        let dataset = RawDatasetRules {
            kind: kind_of_subject(&ColumnName::new("person_id").unwrap()),
            columns: columns.keys().map(|column| (column.clone(), rules.clone())).collect(),
            ..RawDatasetRules::default()
        };
        (name.clone(), dataset)
    });
    let raw = RawCollectionRules {
        datasets: datasets.collect(),
        ..RawCollectionRules::default()
    };
    CollectionRules::check(raw, &known).unwrap()
}

#[test]
fn record_with_rules_states_kinds_and_classes_once() {
    let (collection, _) = people();
    let record = collection.with_rules(two_datasets()).unwrap();
    assert_eq!(decoded(&encoded(&record)).unwrap(), record);
    let form = RecordForm::from(record.clone());
    assert!(form.datasets.is_none() && form.subject.is_none() && form.classification.is_none());
    let visit = record.datasets().get(&DatasetName::new("visit").unwrap()).unwrap();
    let subject = ColumnName::new("person_id").unwrap();
    assert_eq!(
        visit.classification.class(&subject),
        Some(ColumnClass::DirectIdentifier)
    );
    let twice = RecordForm {
        datasets: Some(record.datasets().clone()),
        ..form
    };
    assert!(decoded(&encoded(&twice)).is_err(), "kinds and classes are stated twice");
    // Other datasets have no rules until they are declared.
    let without = record.clone().with_datasets(record.datasets().clone()).unwrap();
    assert_eq!((without.rules(), without.datasets()), (None, record.datasets()));
}
