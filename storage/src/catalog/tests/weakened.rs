//! Versions that declare other things than the one before: their entries state it, and those that reveal more are not published.

use concordat_protocol::{
    audit::EntryBody,
    collection::{CollectionRules, KnownColumns, Listed, RawLevels, ValueLabel},
    ids::{CollectionName, Digest32},
    scope::Value,
};

use super::{
    declared::{ALL, clinic, dataset, rules},
    *,
};

type Classes = [(&'static str, ColumnClass); 3];

fn with_sex(class: ColumnClass) -> Classes {
    [ALL[0], ALL[1], ("sex", class)]
}

impl TestNode {
    fn import_declared(&self, mode: ImportMode, classes: Classes) -> ImportedCollection {
        let declare =
            |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(rules(known, &classes), OpenColumns::new()));
        self.declared_clinic(mode, &declare, &mut |_| {}).unwrap()
    }

    fn published_clinic(&self) {
        self.import_declared(ImportMode::Create, ALL);
        self.catalog().datasets().publish_collection(&clinic()).unwrap();
    }
}

fn declared_in(imported: &ImportedCollection) -> (Digest32, usize) {
    let entries: Vec<EntryBody> = imported.entries.clone().into_iter().collect();
    let EntryBody::CollectionImported {
        declared: Some(declared),
        ..
    } = &entries[entries.len() - 1]
    else {
        panic!("{entries:?}");
    };
    (*declared, entries.len())
}

#[test]
fn import_that_weakens_a_class_is_entered_and_withdraws() {
    let node = TestNode::new();
    node.published_clinic();
    let datasets = node.catalog().datasets();
    let before = node.clinic_record().declared_digest();

    let same = node.import_declared(ImportMode::Replace, ALL);
    assert_eq!((declared_in(&same), same.is_withdrawn()), ((before, 1), false));

    let weaker = node.import_declared(ImportMode::Replace, with_sex(ColumnClass::Ordinary));
    let record = node.clinic_record();
    assert_eq!(declared_in(&weaker), (record.declared_digest(), 2));
    assert_ne!(record.declared_digest(), before);
    assert!(weaker.is_withdrawn() && !record.published);
    let first = weaker.entries.into_iter().next();
    let dataset = DatasetName::from(&clinic());
    assert_eq!(first, Some(EntryBody::DatasetWithdrawn { dataset }));

    // Declared back, it has the digest of before, and both are in the ledger.
    let known = datasets.current_version(&record).unwrap().known_columns();
    let planned = datasets.plan_rules(&clinic(), record.current, rules(&known, &ALL), &OpenColumns::new());
    let back = planned.unwrap().entry().clone();
    assert!(matches!(back, EntryBody::DatasetClassified { classification, .. } if classification == before));
}

#[test]
fn import_that_strengthens_a_class_stays_published() {
    let node = TestNode::new();
    node.import_declared(ImportMode::Create, with_sex(ColumnClass::Ordinary));
    node.catalog().datasets().publish_collection(&clinic()).unwrap();
    for class in [ColumnClass::Sensitive, ColumnClass::DirectIdentifier] {
        let imported = node.import_declared(ImportMode::Replace, with_sex(class));
        assert!(!imported.is_withdrawn(), "{class:?}");
    }
    assert!(node.clinic_record().published);
}

#[test]
fn import_that_adds_levels_withdraws() {
    let node = TestNode::new();
    node.published_clinic();
    let with_levels = |known: &KnownColumns, levels: RawLevels| {
        let mut raw = rules(known, &ALL).raw();
        let person = raw.datasets.get_mut(&dataset("person")).unwrap();
        person.columns.get_mut(&column("sex")).unwrap().levels = levels;
        CollectionRules::check(raw, known).unwrap()
    };
    let import = |levels: RawLevels| {
        let declare = |known: &KnownColumns| {
            let rules = with_levels(known, levels.clone());
            Ok::<_, Vec<String>>(Declared::Rules(rules, OpenColumns::new()))
        };
        let imported = node
            .declared_clinic(ImportMode::Replace, &declare, &mut |_| {})
            .unwrap();
        let is_withdrawn = imported.is_withdrawn();
        node.catalog().datasets().publish_collection(&clinic()).unwrap();
        is_withdrawn
    };
    let listed = ["f", "m"].map(|value| Listed {
        value: Value::Text(value.to_owned()),
        label: ValueLabel::new(value).unwrap(),
    });
    let levels = RawLevels::Values(listed.into());
    assert!(import(levels.clone()));
    assert!(!import(levels), "they are the same");
    assert!(!import(RawLevels::None), "none distinguish less");
}

#[test]
fn dataset_with_another_subject_is_withdrawn() {
    let node = TestNode::new();
    node.import_text("age\n41\n42\n", ImportMode::Create);
    let datasets = node.catalog().datasets();
    let classes = [(column("age"), ColumnClass::Ordinary)].into_iter().collect();
    datasets.classify(&people(), &classes).unwrap();
    datasets.publish(&people()).unwrap();
    let request = ImportRequest {
        options: TableOptions {
            subject: SubjectRule::Column("age".to_owned()),
            ..TableOptions::default()
        },
        ..node.request("age\n41\n42\n", ImportMode::Replace)
    };
    let imported = node.import(&request).unwrap();
    assert!(imported.is_withdrawn());
    let record = datasets.collection(&CollectionName::from(&people())).unwrap();
    let entries: Vec<EntryBody> = imported.entries.into_iter().collect();
    let is_declared = |entry: &EntryBody| matches!(entry, EntryBody::DatasetImported { declared: Some(declared), .. } if *declared == record.declared_digest());
    assert_eq!(entries.len(), 2);
    assert!(is_declared(&entries[1]), "{entries:?}");
}
