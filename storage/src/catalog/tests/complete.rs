//! Columns that are declared complete: rows without a declared value are refused.

use concordat_protocol::{
    collection::{CollectionRules, KnownColumns, Listed, RawLevels, ValueLabel},
    scope::Value,
};

use super::{
    declared::{ALL, clinic, dataset, rules},
    *,
};

const GOOD: &str = "person_id,sex\n1,f\n2,m\n";

/// The rules of persons with two sexes, and whether there is no other one.
fn declared(known: &KnownColumns, is_complete: bool) -> CollectionRules {
    let mut raw = rules(known, &ALL).raw();
    let person = raw.datasets.get_mut(&dataset("person")).unwrap();
    let sex = person.columns.get_mut(&column("sex")).unwrap();
    let listed = ["f", "m"].map(|sex| Listed {
        value: Value::Text(sex.to_owned()),
        label: ValueLabel::new(sex).unwrap(),
    });
    sex.levels = RawLevels::Values(listed.to_vec());
    sex.complete = is_complete;
    CollectionRules::check(raw, known).unwrap()
}

impl TestNode {
    fn import_persons(
        &self,
        mode: ImportMode,
        persons: &str,
        is_complete: bool,
    ) -> Result<ImportedCollection, ImportError> {
        let declare = |known: &KnownColumns| {
            Ok::<_, Vec<String>>(Declared::Rules(declared(known, is_complete), OpenColumns::new()))
        };
        // Rows that are there already are not appended again.
        let visits = if mode == ImportMode::Append { "11,2" } else { "10,2" };
        let datasets = vec![
            self.declared_import("visit", &format!("visit_id,person_id\n{visits}\n")),
            self.declared_import("person", persons),
        ];
        let request = CollectionImport {
            mode,
            ..CollectionImport::new(clinic(), datasets)
        };
        let _within = self.runtime.enter();
        self.catalog()
            .import_collection(&request, &declare, (&key(1), NOW), &mut |_| {})
    }
}

fn assert_refused(imported: Result<ImportedCollection, ImportError>) {
    match imported {
        Err(ImportError::Declared { reasons }) => {
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            assert!(reasons[0].contains("`person.sex`"), "{reasons:?}");
        }
        other => panic!("{:?}", other.map(|imported| imported.version)),
    }
}

#[test]
fn complete_column_with_other_rows_is_refused() {
    for other in ["3,\n", "3,x\n", ",x\n"] {
        let node = TestNode::new();
        let persons = format!("{GOOD}{other}");
        assert_refused(node.import_persons(ImportMode::Create, &persons, true));
        node.import_persons(ImportMode::Create, &persons, false).unwrap();
    }
    let node = TestNode::new();
    node.import_persons(ImportMode::Create, GOOD, true).unwrap();
    assert_refused(node.import_persons(ImportMode::Append, "person_id,sex\n3,x\n", true));
    node.import_persons(ImportMode::Append, "person_id,sex\n3,f\n", true)
        .unwrap();
}

/// A column becomes complete with an import: the rows that stay are not in its files.
#[test]
fn rows_that_stay_of_a_complete_column_are_checked() {
    let node = TestNode::new();
    node.import_persons(ImportMode::Create, &format!("{GOOD}3,x\n"), false)
        .unwrap();
    assert_refused(node.import_persons(ImportMode::Append, "person_id,sex\n4,f\n", true));
    node.import_persons(ImportMode::Replace, GOOD, true).unwrap();
}

#[test]
fn rules_that_become_complete_need_an_import() {
    let node = TestNode::new();
    node.import_persons(ImportMode::Create, GOOD, false).unwrap();
    let record = node.clinic_record();
    let of_rules = record.rules().unwrap().datasets();
    let known = KnownColumns::new(of_rules.map(|(name, declared)| {
        let columns = declared.columns();
        let columns = columns.map(|(column, rules)| (column.clone(), rules.contents()));
        (name.clone(), columns.collect())
    }));
    let plan = |is_complete: bool| {
        let catalog = node.catalog();
        let rules = declared(&known, is_complete);
        let planned = catalog
            .datasets()
            .plan_rules(&clinic(), record.current, rules, &OpenColumns::new());
        planned.map(drop)
    };
    assert!(matches!(plan(true), Err(CatalogError::CompleteUnchecked { .. })));
    assert!(plan(false).is_ok());
}
