//! Collections whose rules are declared once their columns are known.

use std::{cell::RefCell, collections::BTreeMap};

use concordat_protocol::{
    collection::{
        CollectionRules, ColumnRole, Contents, DatasetKind, KnownColumns, RawCollectionRules, RawColumnRules,
        RawDatasetRules,
    },
    ids::{CollectionName, InstitutionId},
    text::Reason,
};

use super::*;

const PERSONS: &str = "person_id,sex\n1,f\n2,m\n";
const VISITS: &str = "visit_id,person_id\n10,2\n11,9\n";

pub(super) fn clinic() -> CollectionName {
    CollectionName::new("clinic").unwrap()
}

pub(super) fn dataset(name: &str) -> DatasetName {
    DatasetName::new(name).unwrap()
}

/// Persons and their visits, each column with the class that there is for it.
pub(super) fn rules(known: &KnownColumns, classes: &[(&str, ColumnClass)]) -> CollectionRules {
    CollectionRules::check(raw_rules(known, classes), known).unwrap()
}

fn raw_rules(known: &KnownColumns, classes: &[(&str, ColumnClass)]) -> RawCollectionRules {
    let mut raw = RawCollectionRules::default();
    for (name, columns) in known.iter() {
        let subject = column("person_id");
        let columns = columns.keys().map(|column| {
            let class = classes.iter().find(|(name, _)| column.as_str() == *name);
            let role = if *column == subject {
                ColumnRole::Subject
            } else {
                ColumnRole::Value
            };
            let rules = RawColumnRules {
                class: class.map(|(_, class)| *class),
                role,
                ..RawColumnRules::default()
            };
            (column.clone(), rules)
        });
        let kind = DatasetKind::Keyed {
            subject: subject.clone(),
            unique: name.as_str() == "person",
        };
        let dataset = RawDatasetRules {
            kind,
            columns: columns.collect(),
            ..RawDatasetRules::default()
        };
        raw.datasets.insert(name.clone(), dataset);
    }
    raw
}

const SOME: [(&str, ColumnClass); 2] = [
    ("person_id", ColumnClass::DirectIdentifier),
    ("visit_id", ColumnClass::DirectIdentifier),
];
pub(super) const ALL: [(&str, ColumnClass); 3] = [SOME[0], SOME[1], ("sex", ColumnClass::Sensitive)];

impl TestNode {
    pub(super) fn declared_import(&self, file: &str, text: &str) -> DatasetImport {
        let path = self.files.path().join(format!("{file}.csv"));
        fs::write(&path, text).unwrap();
        DatasetImport {
            name: dataset(file),
            source: Source::at_path(path),
            options: TableOptions::default(),
            kept_options: String::new(),
        }
    }

    pub(super) fn declared_clinic(
        &self,
        mode: ImportMode,
        declare: &Declare<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportedCollection, ImportError> {
        let datasets = vec![
            self.declared_import("visit", VISITS),
            self.declared_import("person", PERSONS),
        ];
        let request = CollectionImport {
            mode,
            again: true,
            ..CollectionImport::new(clinic(), datasets)
        };
        let _within = self.runtime.enter();
        self.catalog()
            .import_collection(&request, declare, (&key(1), NOW), progress)
    }

    pub(super) fn clinic_record(&self) -> CollectionRecord {
        self.catalog().datasets().collection(&clinic()).unwrap()
    }
}

#[test]
fn rules_are_declared_for_the_columns_of_the_files() {
    let node = TestNode::new();
    let seen = RefCell::new(KnownColumns::default());
    let declare = |known: &KnownColumns| {
        *seen.borrow_mut() = known.clone();
        Ok::<_, Vec<String>>(Declared::Rules(rules(known, &SOME), OpenColumns::new()))
    };
    let imported = node.declared_clinic(ImportMode::Create, &declare, &mut |_| {}).unwrap();
    assert_eq!(imported.subjects, 2);
    let known = seen.into_inner();
    let contents = |at: &str, name: &str| known.contents(&dataset(at), &column(name));
    assert_eq!(contents("person", "sex"), Some(Contents::Of(ColumnKind::Text)));
    assert_eq!(contents("visit", "visit_id"), Some(Contents::Of(ColumnKind::Int)));
    let record = node.clinic_record();
    assert_eq!(record.rules(), Some(&rules(&known, &SOME)));
    let person = &record.datasets()[&dataset("person")];
    assert_eq!(person.kind.label(), "keyed");
    assert_eq!(
        person.classification.class(&column("person_id")),
        Some(ColumnClass::DirectIdentifier)
    );
    let version = node.catalog().datasets().current_version(&record).unwrap();
    let manifest = version.dataset(&dataset("person")).unwrap();
    assert_eq!(manifest.classification, person.classification);
    assert_eq!(version.known_columns(), known);
    let left = node.catalog().datasets().unclassified_columns(&record).unwrap();
    assert_eq!(left, [(dataset("person"), column("sex"))]);
}

#[test]
fn declarations_that_do_not_fit_leave_nothing() {
    let node = TestNode::new();
    let declare = |_: &KnownColumns| Err::<Declared, _>(vec!["`person`: no".to_owned(), "`visit`: no".to_owned()]);
    let refused = node
        .declared_clinic(ImportMode::Create, &declare, &mut |_| {})
        .unwrap_err();
    assert_eq!((refused.kind(), refused.reasons().len()), (ErrorKind::Usage, 2));
    assert!(node.object_files().is_empty());
    assert!(node.catalog().datasets().collections().unwrap().is_empty());
}

#[test]
fn keys_that_repeat_are_noted_where_they_are_declared() {
    let node = TestNode::new();
    let declare = |known: &KnownColumns| {
        let mut raw = raw_rules(known, &SOME);
        let visits = raw.datasets.get_mut(&dataset("visit")).unwrap();
        visits.columns.get_mut(&column("visit_id")).unwrap().role = ColumnRole::Key;
        let rules = CollectionRules::check(raw, known).unwrap();
        Ok::<_, Vec<String>>(Declared::Rules(rules, OpenColumns::new()))
    };
    let import = |visits: &str, mode: ImportMode| {
        let datasets = vec![
            node.declared_import("person", PERSONS),
            node.declared_import("visit", visits),
        ];
        let request = CollectionImport {
            mode,
            ..CollectionImport::new(clinic(), datasets)
        };
        let _within = node.runtime.enter();
        let catalog = node.catalog();
        let done = catalog.import_collection(&request, &declare, (&key(1), NOW), &mut |_| {});
        let notes = done.unwrap().datasets.into_iter().flat_map(|dataset| dataset.notes);
        notes
            .filter(|note| matches!(note, Note::RepeatedKey { .. }))
            .collect::<Vec<_>>()
    };
    let repeated = "visit_id,person_id\n10,2\n11,1\n10,1\n,1\n,2\n";
    let note = Note::RepeatedKey {
        column: "visit_id".to_owned(),
        count: 1,
    };
    assert_eq!(import(repeated, ImportMode::Create), [note]);
    assert_eq!(import(VISITS, ImportMode::Replace), []);
}

#[test]
fn rules_are_declared_again_and_decide_what_is_published() {
    let node = TestNode::new();
    let declare = |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(rules(known, &SOME), OpenColumns::new()));
    node.declared_clinic(ImportMode::Create, &declare, &mut |_| {}).unwrap();
    let catalog = node.catalog();
    let datasets = catalog.datasets();
    let refused = datasets.publish_collection(&clinic()).unwrap_err();
    assert!(
        matches!(refused, CatalogError::CollectionUnclassified { columns: 1, .. }),
        "{refused}"
    );
    let record = node.clinic_record();
    let known = datasets.current_version(&record).unwrap().known_columns();
    let later = record.current.next();
    let refused = datasets
        .declare(&clinic(), later, rules(&known, &ALL), &OpenColumns::new())
        .unwrap_err();
    assert!(matches!(refused, CatalogError::NewVersion { .. }), "{refused}");
    assert_eq!(node.clinic_record(), record);
    let declared = datasets
        .declare(&clinic(), record.current, rules(&known, &ALL), &OpenColumns::new())
        .unwrap();
    assert_eq!(declared, node.clinic_record());
    assert!(datasets.publish_collection(&clinic()).unwrap().published);
    // A version whose columns have a class stays published, one without does not.
    let all = |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(rules(known, &ALL), OpenColumns::new()));
    assert!(
        !node
            .declared_clinic(ImportMode::Replace, &all, &mut |_| {})
            .unwrap()
            .is_withdrawn()
    );
    assert!(node.clinic_record().published);
    assert!(
        node.declared_clinic(ImportMode::Replace, &declare, &mut |_| {})
            .unwrap()
            .is_withdrawn()
    );
    assert!(!node.clinic_record().published);
    assert!(!datasets.withdraw_collection(&clinic()).unwrap().published);
}

#[test]
fn rules_declared_during_an_import_are_kept() {
    let node = TestNode::new();
    let declare = |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(rules(known, &SOME), OpenColumns::new()));
    node.declared_clinic(ImportMode::Create, &declare, &mut |_| {}).unwrap();
    let record = node.clinic_record();
    let known = node
        .catalog()
        .datasets()
        .current_version(&record)
        .unwrap()
        .known_columns();
    let mut meanwhile = |progress: Progress| {
        if progress == Progress::Committing {
            let datasets = node.catalog().datasets();
            datasets
                .declare(&clinic(), record.current, rules(&known, &ALL), &OpenColumns::new())
                .unwrap();
        }
    };
    let late = node.declared_clinic(ImportMode::Replace, &declare, &mut meanwhile);
    assert!(matches!(late, Err(ImportError::ConcurrentChange { .. })), "{late:?}");
    let kept = node.clinic_record();
    assert_eq!(
        (kept.current, kept.rules()),
        (record.current, Some(&rules(&known, &ALL)))
    );
}

#[test]
fn dataset_alone_has_no_rules() {
    let node = TestNode::new();
    node.import_text(PEOPLE, ImportMode::Create);
    let name = CollectionName::from(&people());
    let datasets = node.catalog().datasets();
    let record = datasets.collection(&name).unwrap();
    let known = KnownColumns::new([(
        people(),
        BTreeMap::from([(column("id"), Contents::Of(ColumnKind::Int))]),
    )]);
    let only = RawDatasetRules {
        kind: DatasetKind::EachRow,
        ..RawDatasetRules::default()
    };
    let raw = RawCollectionRules {
        datasets: BTreeMap::from([(people(), only)]),
        ..RawCollectionRules::default()
    };
    let rules = CollectionRules::check(raw, &known).unwrap();
    assert!(record.clone().with_rules(rules.clone()).is_none());
    let refused = datasets
        .declare(&name, record.current, rules, &OpenColumns::new())
        .unwrap_err();
    assert!(matches!(refused, CatalogError::NotSeveral { .. }), "{refused}");
}

#[test]
fn levels_are_proposed_for_open_columns_until_they_are_declared() {
    let node = TestNode::new();
    let persons: String = (0..60)
        .map(|id| format!("{id},{},{}\n", ["f", "m"][id % 2], 20 + id % 20))
        .collect();
    let person = || node.declared_import("person", &format!("person_id,sex,age\n{persons}"));
    let visit = || node.declared_import("visit", VISITS);
    let open = OpenColumns::from([
        (dataset("person"), column("sex")),
        (dataset("person"), column("age")),
        (dataset("visit"), column("visit_id")),
    ]);
    let import = |datasets: Vec<DatasetImport>, mode: ImportMode| {
        let request = CollectionImport {
            mode,
            again: true,
            ..CollectionImport::new(clinic(), datasets)
        };
        let declare = |known: &KnownColumns| Ok::<_, Vec<String>>(Declared::Rules(rules(known, &SOME), open.clone()));
        let _within = node.runtime.enter();
        let catalog = node.catalog();
        catalog
            .import_collection(&request, &declare, (&key(1), NOW), &mut |_| {})
            .unwrap();
        catalog.datasets().proposals(&clinic()).unwrap()
    };
    let proposed = import(vec![person(), visit()], ImportMode::Create);
    let of_persons = &proposed[&dataset("person")];
    assert_eq!(
        of_persons[&column("sex")].levels.atoms(),
        Some(3),
        "two values, and others"
    );
    assert!(of_persons[&column("age")].levels.atoms().is_some());
    assert!(
        !proposed.contains_key(&dataset("visit")),
        "each of its numbers is that of one subject"
    );

    // Rows that are added change nothing that was proposed.
    assert_eq!(import(vec![visit()], ImportMode::Append), proposed);
    let datasets = node.catalog().datasets();
    let record = node.clinic_record();
    let known = datasets.current_version(&record).unwrap().known_columns();
    let left = OpenColumns::from([(dataset("person"), column("age"))]);
    datasets
        .declare(&clinic(), record.current, rules(&known, &ALL), &left)
        .unwrap();
    let left: Vec<_> = datasets.proposals(&clinic()).unwrap()[&dataset("person")]
        .keys()
        .cloned()
        .collect();
    assert_eq!(left, [column("age")]);
    assert_eq!(import(vec![person(), visit()], ImportMode::Replace), proposed);

    let order = ErasureOrder {
        institution: InstitutionId::new("budapest").unwrap(),
        by: None,
        reason: Reason::new("the study ended").unwrap(),
        at: NOW,
    };
    let _within = node.runtime.enter();
    let erasures = node.catalog().erasures();
    let statement = erasures.sign_statement(&dataset("clinic"), order, &key(1)).unwrap();
    assert!(erasures.erase(&statement).unwrap());
    assert!(datasets.proposals(&clinic()).unwrap().is_empty());
}

#[test]
fn rules_of_a_dataset_alone_are_those_of_its_rows() {
    let node = TestNode::new();
    let people_of = |count: u32| {
        let rows = (0..count).map(|number| {
            let sex = if number % 2 == 0 { "f" } else { "m" };
            format!("Name {number},{sex},{}\n", 20 + number)
        });
        format!("name,sex,age\n{}", rows.collect::<String>())
    };
    node.import_text(&people_of(40), ImportMode::Create);
    let datasets = node.catalog().datasets();
    let collection = CollectionName::from(&people());
    let levels = |name: &str| {
        let rules = datasets.rules(&datasets.collection(&collection).unwrap()).unwrap();
        let dataset = rules.dataset(&people()).unwrap();
        dataset.column(&column(name)).unwrap().levels().atoms()
    };
    assert_eq!(levels("sex"), Some(3), "two values, and others");
    assert!(levels("age").is_some());
    assert_eq!(levels("name"), Some(1), "others only: each is that of one subject");
    assert!(
        datasets.proposals(&collection).unwrap().is_empty(),
        "they are not declared"
    );

    // Rows that are added change nothing; other rows have other levels.
    let before = levels("age");
    node.import_text("name,sex,age\nZoe,x,99\n", ImportMode::Append);
    assert_eq!((levels("sex"), levels("age")), (Some(3), before));
    node.import_text(&people_of(6), ImportMode::Replace);
    assert_eq!(levels("sex"), Some(1), "others only: each has fewer than ten subjects");

    node.import_text(&people_of(40), ImportMode::Replace);
    assert_eq!(levels("sex"), Some(3));
    let identifying = [(column("sex"), ColumnClass::DirectIdentifier)];
    datasets
        .classify(&people(), &identifying.into_iter().collect())
        .unwrap();
    assert_eq!(levels("sex"), Some(1), "an identifier has no levels");
}
