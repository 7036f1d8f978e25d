//! Changes of declarations are made for the receipt of their entry only.

use concordat_protocol::{audit::EntryBody, collection::CollectionRules, ids::CollectionName, release::ReleaseChange};

use super::*;
use crate::ledger::LedgerReceipt;

/// Changes with their entries, as a node makes them.
impl Datasets {
    fn enter(&self, planned: PlannedChange) -> Result<CollectionRecord, CatalogError> {
        let receipt = LedgerReceipt::of(planned.entry());
        self.make_change(planned, &receipt)
    }

    fn enter_alone(&self, planned: PlannedChange) -> Result<DatasetRecord, CatalogError> {
        Ok(self.enter(planned)?.alone().unwrap())
    }

    pub(super) fn classify(&self, name: &DatasetName, classes: &Classification) -> Result<DatasetRecord, CatalogError> {
        self.enter_alone(self.plan_classes(name, classes)?)
    }

    pub(super) fn publish(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        self.enter_alone(self.plan_publication(&CollectionName::from(name))?)
    }

    pub(super) fn withdraw(&self, name: &DatasetName) -> Result<DatasetRecord, CatalogError> {
        self.enter_alone(self.plan_withdrawal(&CollectionName::from(name))?)
    }

    pub(super) fn declare(
        &self,
        name: &CollectionName,
        version: VersionNumber,
        rules: CollectionRules,
        open: &OpenColumns,
    ) -> Result<CollectionRecord, CatalogError> {
        self.enter(self.plan_rules(name, version, rules, open)?)
    }

    pub(super) fn publish_collection(&self, name: &CollectionName) -> Result<CollectionRecord, CatalogError> {
        self.enter(self.plan_publication(name)?)
    }

    pub(super) fn withdraw_collection(&self, name: &CollectionName) -> Result<CollectionRecord, CatalogError> {
        self.enter(self.plan_withdrawal(name)?)
    }
}

fn ages(class: ColumnClass) -> Classification {
    [(column("age"), class)].into_iter().collect()
}

/// A dataset with one column, whose class is that of a sensitive one.
fn node_with_ages() -> TestNode {
    let node = TestNode::new();
    node.import_text("age\n41\n", ImportMode::Create);
    let datasets = node.catalog().datasets();
    datasets.classify(&people(), &ages(ColumnClass::Sensitive)).unwrap();
    node
}

#[test]
fn change_of_declarations_needs_its_own_entry() {
    let node = node_with_ages();
    let datasets = node.catalog().datasets();
    let collection = CollectionName::from(&people());
    let before = datasets.collection(&collection).unwrap();
    let plans = || {
        let release = ReleaseChange {
            sensitive: Some(None),
            ..ReleaseChange::default()
        };
        [
            datasets.plan_classes(&people(), &ages(ColumnClass::Ordinary)).unwrap(),
            datasets
                .plan_classes(&people(), &ages(ColumnClass::DirectIdentifier))
                .unwrap(),
            datasets.plan_publication(&collection).unwrap(),
            datasets.plan_withdrawal(&collection).unwrap(),
            datasets.plan_release(&people(), &release).unwrap(),
        ]
    };
    let unrelated = EntryBody::ChangeNotMade { entry: 1 };
    let entries: Vec<EntryBody> = plans().iter().map(|planned| planned.entry().clone()).collect();
    let plan = |number: usize| plans().into_iter().nth(number).unwrap();
    for number in 0..entries.len() {
        let others = entries.iter().enumerate().filter(|(other, _)| *other != number);
        for entry in others.map(|(_, entry)| entry).chain([&unrelated]) {
            let made = datasets.make_change(plan(number), &LedgerReceipt::of(entry));
            assert!(matches!(made, Err(CatalogError::NotEntered { .. })), "{entry:?}");
        }
    }
    assert_eq!(datasets.collection(&collection).unwrap(), before);
    for number in 0..entries.len() {
        datasets.enter(plan(number)).unwrap();
    }
}

#[test]
fn entry_of_classes_names_what_is_stored() {
    let node = node_with_ages();
    let datasets = node.catalog().datasets();
    let collection = CollectionName::from(&people());
    let mut digests = Vec::new();
    for class in [ColumnClass::Ordinary, ColumnClass::Sensitive, ColumnClass::Ordinary] {
        let planned = datasets.plan_classes(&people(), &ages(class)).unwrap();
        let entry = planned.entry().clone();
        let record = datasets.enter(planned).unwrap();
        assert_eq!(record, datasets.collection(&collection).unwrap());
        let EntryBody::DatasetClassified { classification, .. } = entry else {
            panic!("{entry:?}");
        };
        assert_eq!(classification, record.declared_digest());
        digests.push(classification);
    }
    assert_eq!(digests[0], digests[2]);
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn change_planned_before_another_one_is_not_made() {
    let node = node_with_ages();
    let datasets = node.catalog().datasets();
    let collection = CollectionName::from(&people());
    let [early, later] = [(), ()].map(|()| datasets.plan_publication(&collection).unwrap());
    let withdrawal = datasets.plan_withdrawal(&collection).unwrap();
    datasets.classify(&people(), &ages(ColumnClass::Ordinary)).unwrap();
    let late = datasets.enter(early);
    assert!(matches!(late, Err(CatalogError::NewVersion { .. })), "{late:?}");
    datasets.classify(&people(), &ages(ColumnClass::Sensitive)).unwrap();
    node.import_text("age,weight\n41,70\n", ImportMode::Replace);
    let late = datasets.enter(later);
    assert!(matches!(late, Err(CatalogError::NewVersion { .. })), "{late:?}");
    datasets.enter(withdrawal).unwrap();
}
