//! What is erased stays erased; what is no longer kept goes, and nothing else.

use std::num::NonZeroU32;

use concordat_protocol::{ids::InstitutionId, schema::VersionNumber, text::Reason};

use super::*;

impl House {
    fn state(&self) -> ErasureStatement {
        let order = ErasureOrder {
            institution: InstitutionId::new("budapest").unwrap(),
            by: None,
            reason: Reason::new("the study ended").unwrap(),
            at: NOW,
        };
        let _within = self.runtime.enter();
        self.catalog().erasures().state(&people(), order, &key(1)).unwrap()
    }

    fn erase(&self, statement: &ErasureStatement) -> bool {
        let _within = self.runtime.enter();
        self.catalog().erasures().erase(statement).unwrap()
    }

    fn retain(&self, versions: u32) -> u64 {
        let _within = self.runtime.enter();
        self.catalog()
            .retention()
            .retain(&people(), NonZeroU32::new(versions))
            .unwrap()
    }
}

#[test]
fn an_erased_dataset_is_gone_with_its_keys_and_its_statement_stays() {
    let mut house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    house.take("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Append);
    let other = ImportRequest {
        name: DatasetName::new("others").unwrap(),
        ..house.request(PEOPLE, ImportMode::Create)
    };
    house.import(&other).unwrap();
    let record = house.catalog().datasets().show(&people()).unwrap();
    let segment = house.catalog().0.keys.segments.get(MAIN_SEGMENT).unwrap().unwrap();
    let statement = house.state();
    assert_eq!((statement.document().versions, statement.document().objects), (2, 2));

    assert!(house.erase(&statement));
    assert_eq!(
        house.catalog().datasets().show(&people()).unwrap_err().fault(),
        Fault::NotFound
    );
    assert_eq!(house.object_files().len(), 1, "the other dataset keeps its object");
    // What old pages of the state database may still hold opens nothing.
    house
        .catalog()
        .0
        .keys
        .master
        .open_segment(MAIN_SEGMENT, &segment)
        .unwrap_err();
    house.catalog().keys().open_keys(&record).err().unwrap();
    assert!(!house.erase(&statement), "a second time there is nothing to erase");
    house.reopen(|objects| objects);
    assert_eq!(house.catalog().erasures().all().unwrap().len(), 1);
    house.catalog().open_version(&other.name, None).unwrap();

    house.take(PEOPLE, ImportMode::Create);
    assert!(!house.erase(&statement), "a new dataset of the same name is not meant");
    assert_eq!(values(&house.read(&house.current()).unwrap(), "id"), ["1", "2", "3"]);
}

#[test]
fn a_damaged_dataset_can_be_erased_too() {
    let house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    house.catalog().0.datasets.manifests.remove("people/1").unwrap();
    house.verify().unwrap_err();
    assert!(house.erase(&house.state()));
    assert!(house.object_files().is_empty());
    assert_eq!(
        house.catalog().datasets().show(&people()).unwrap_err().fault(),
        Fault::NotFound
    );
}

#[test]
fn an_erasure_that_was_broken_off_destroys_the_keys_at_the_next_start() {
    let mut house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    let segment = house.catalog().0.keys.segments.get(MAIN_SEGMENT).unwrap().unwrap();
    let name = concordat_protocol::ids::SegmentName::new(MAIN_SEGMENT).unwrap();
    house.catalog().0.erasures.under_way.put("a statement", &name).unwrap();
    house.reopen(|objects| objects);
    assert!(!house.catalog().0.erasures.under_way.contains("a statement").unwrap());
    house
        .catalog()
        .0
        .keys
        .master
        .open_segment(MAIN_SEGMENT, &segment)
        .unwrap_err();
    assert_eq!(values(&house.read(&house.current()).unwrap(), "id"), ["1", "2", "3"]);
}

#[test]
fn versions_that_are_no_longer_kept_go_with_the_objects_that_only_they_need() {
    let mut house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    let reader = house.current();
    house.take("id,name,age\n9,Ida Sentinel,20\n", ImportMode::Replace);
    house.take("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Append);
    assert_eq!(house.object_files().len(), 3);
    assert_eq!(house.retain(2), 1);
    assert_eq!(
        values(&house.read(&reader).unwrap(), "id"),
        ["1", "2", "3"],
        "a reader keeps what it reads"
    );
    drop(reader);
    assert_eq!(house.collect_orphans(), 1);
    let error = house
        .catalog()
        .open_version(&people(), Some(VersionNumber::FIRST))
        .unwrap_err();
    assert_eq!(error.to_string(), "dataset `people` has no version 1; it has 2 to 3");

    assert_eq!(house.retain(1), 1);
    assert_eq!(
        house.object_files().len(),
        2,
        "the newest version names the object of the one before"
    );
    house.take("id,name,age\n5,Emil Sentinel,61\n", ImportMode::Replace);
    assert_eq!(house.object_files().len(), 1, "the rule holds for each import");
    house.reopen(|objects| objects);
    assert_eq!(house.catalog().datasets().versions(&people()).unwrap().len(), 1);
    assert_eq!(values(&house.read(&house.current()).unwrap(), "id"), ["5"]);
    assert_eq!(house.verify().unwrap().versions, 1);
}
