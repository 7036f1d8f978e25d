//! Collections of several datasets: one version, one registry, and all of them or none.

use std::collections::BTreeMap;

use arrow::datatypes::UInt32Type;
use concordat_protocol::{
    collection::{DatasetKind, KeyLink, KnownColumns, OwnerLinks},
    ids::{CollectionName, InstitutionId},
    text::Reason,
};

use super::*;
use crate::catalog::datasets::import_key;
use crate::ledger::Ending;

const PERSONS: &str = "person_id,sex\n1,f\n2,m\n3,f\n";
const VISITS: &str = "visit_id,person_id\n10,2\n11,1\n12,9\n13,\n";
const NOTES: &str = "note_id,visit_id,kind\n100,11,a\n101,12,b\n102,77,b\n103,10,a\n";
const SITES: &str = "site_id,city\n5,Budapest\n";

fn clinic() -> CollectionName {
    CollectionName::new("clinic").unwrap()
}

fn dataset(name: &str) -> DatasetName {
    DatasetName::new(name).unwrap()
}

fn keyed(unique: bool) -> DatasetKind {
    DatasetKind::Keyed {
        subject: column("person_id"),
        unique,
    }
}

fn owned(to: &str, key: &str) -> DatasetKind {
    let link = KeyLink {
        column: column(key),
        to: dataset(to),
        key: column(key),
    };
    DatasetKind::Owned {
        through: OwnerLinks::new(vec![link]).unwrap(),
    }
}

/// A dataset to import, and how its rows lead to subjects.
pub(super) struct DatasetPart {
    kind: DatasetKind,
    import: DatasetImport,
}

/// The request for these datasets, and their kinds.
fn parted(parts: Vec<DatasetPart>) -> (Vec<DatasetImport>, BTreeMap<DatasetName, DatasetKind>) {
    let kinds = parts.iter().map(|part| (part.import.name.clone(), part.kind.clone()));
    let kinds = kinds.collect();
    (parts.into_iter().map(|part| part.import).collect(), kinds)
}

impl TestNode {
    fn part(&self, name: &str, kind: DatasetKind, contents: &str) -> DatasetPart {
        let path = self.files.path().join(format!("{name}.csv"));
        fs::write(&path, contents).unwrap();
        let import = DatasetImport {
            name: dataset(name),
            source: Source::at_path(path),
            options: TableOptions::default(),
            kept_options: String::new(),
        };
        DatasetPart { kind, import }
    }

    /// Imports with kinds that are declared without rules.
    fn import_kinds(
        &self,
        request: &CollectionImport,
        kinds: &BTreeMap<DatasetName, DatasetKind>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ImportedCollection, ImportError> {
        let _within = self.runtime.enter();
        let declare = |_: &KnownColumns| Ok::<_, Vec<String>>(Declared::Kinds(kinds.clone()));
        self.catalog()
            .import_collection(request, &declare, (&key(1), NOW), progress)
    }

    fn all_parts(&self) -> Vec<DatasetPart> {
        vec![
            self.part("note", owned("visit", "visit_id"), NOTES),
            self.part("site", DatasetKind::Reference, SITES),
            self.part("visit", keyed(false), VISITS),
            self.part("person", keyed(true), PERSONS),
        ]
    }

    /// Two persons, and a visit of the second.
    pub(super) fn two_parts(&self) -> Vec<DatasetPart> {
        vec![
            self.part("person", keyed(true), "person_id,sex\n1,f\n2,m\n"),
            self.part("visit", keyed(false), "visit_id,person_id\n10,2\n"),
        ]
    }

    pub(super) fn import_parts(
        &self,
        parts: Vec<DatasetPart>,
        mode: ImportMode,
    ) -> Result<ImportedCollection, ImportError> {
        let (datasets, kinds) = parted(parts);
        let request = CollectionImport {
            mode,
            again: true,
            ..CollectionImport::new(clinic(), datasets)
        };
        self.import_kinds(&request, &kinds, &mut |_| {})
    }

    pub(super) fn clinic(&self) -> OpenCollection {
        self.catalog().open_collection(&clinic(), None).unwrap()
    }

    fn batches_of(&self, name: &str) -> Vec<RecordBatch> {
        let opened = self.clinic();
        let stored = opened.dataset(&dataset(name)).unwrap();
        let objects = stored.objects.iter();
        let batches = objects.flat_map(|object| self.read_object(opened.object_store().as_ref(), &object.meta));
        batches.collect()
    }

    pub(super) fn owners_of(&self, name: &str) -> Vec<Option<u32>> {
        let mut owners = Vec::new();
        for batch in self.batches_of(name) {
            let ordinals = batch.column_by_name(ORDINAL_COLUMN).unwrap();
            owners.extend(ordinals.as_primitive::<UInt32Type>().iter());
        }
        owners
    }

    fn verify_clinic(&self) -> Verification {
        let _within = self.runtime.enter();
        self.catalog().maintenance().verify(&dataset("clinic")).unwrap()
    }
}

#[test]
fn datasets_of_a_collection_have_the_same_subjects() {
    let node = TestNode::new();
    let imported = node.import_parts(node.all_parts(), ImportMode::Create).unwrap();
    let order: Vec<&str> = imported.datasets.iter().map(|dataset| dataset.name.as_str()).collect();
    assert_eq!(order, ["person", "visit", "site", "note"]);
    assert_eq!((imported.version, imported.subjects), (VersionNumber::FIRST, 3));
    assert_eq!(node.owners_of("person"), [Some(0), Some(1), Some(2)]);
    assert_eq!(node.owners_of("visit"), [Some(1), Some(0), None, None]);
    assert_eq!(node.owners_of("note"), [Some(0), None, None, Some(1)]);
    assert!(node.batches_of("site")[0].column_by_name(ORDINAL_COLUMN).is_none());
    let visits = imported.datasets[1].owners;
    assert_eq!((visits.owned, visits.unknown, visits.missing), (2, 1, 1));
    let opened = node.clinic();
    let names: Vec<String> = opened.datasets().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["note", "person", "site", "visit"]);
    let unowned: Vec<u64> = opened
        .manifest()
        .datasets()
        .iter()
        .map(|dataset| dataset.unowned)
        .collect();
    assert_eq!(unowned, [2, 0, 0, 2]);
    assert_eq!(opened.dataset(&dataset("person")).unwrap().schema.fields().len(), 2);
    assert_eq!(node.verify_clinic().objects, 6);
    assert_eq!(node.collect_orphans(), 0);
}

#[test]
fn rows_are_added_to_some_datasets_and_others_stay() {
    let node = TestNode::new();
    let parts = || {
        let all = node.all_parts().into_iter();
        all.filter(|part| part.import.name.as_str() != "note")
            .collect::<Vec<_>>()
    };
    node.import_parts(parts(), ImportMode::Create).unwrap();
    let before = node.clinic();
    node.import_parts(
        vec![node.part("visit", keyed(false), "visit_id,person_id\n14,3\n15,4\n")],
        ImportMode::Append,
    )
    .unwrap();
    assert_eq!(node.owners_of("person"), [Some(0), Some(1), Some(2)]);
    assert_eq!(
        node.owners_of("visit"),
        [Some(1), Some(0), None, None, Some(2), None],
        "visits add no person"
    );
    let after = node.clinic();
    assert_eq!(after.manifest().version().get(), 2);
    assert!(matches!(&after.manifest().subjects().changed, ChangedTable::Listed(object) if object.rows == 1));
    let person = |opened: &OpenCollection| opened.manifest().dataset(&dataset("person")).cloned().unwrap();
    assert_eq!(person(&after), person(&before));

    let replaced = vec![node.part("person", keyed(true), "person_id,sex\n1,f\n4,m\n")];
    let imported = node.import_parts(replaced, ImportMode::Replace).unwrap();
    assert_eq!(imported.removed, [(dataset("site"), 1), (dataset("visit"), 6)]);
    assert_eq!(node.owners_of("person"), [Some(0), Some(3)]);
    assert_eq!(node.clinic().datasets(), [dataset("person")], "others are not in it");
    let imports = &node.catalog().datasets().imports;
    assert!(
        imports
            .get(&import_key(&clinic(), &dataset("visit")))
            .unwrap()
            .is_none()
    );
    assert_eq!(values(&node.batches_of("person"), "sex"), ["f", "m"]);
}

#[test]
fn rows_of_files_of_a_collection_are_added_once() {
    let node = TestNode::new();
    node.import_parts(node.two_parts(), ImportMode::Create).unwrap();
    let append = |again: bool, parts: Vec<DatasetPart>| {
        let (datasets, kinds) = parted(parts);
        let request = CollectionImport {
            mode: ImportMode::Append,
            again,
            ..CollectionImport::new(clinic(), datasets)
        };
        node.import_kinds(&request, &kinds, &mut |_| {})
    };
    let error = append(false, node.two_parts()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(
        error.reasons(),
        ["`person`: since version 1", "`visit`: since version 1"]
    );
    // One such file is enough, whatever is beside it.
    let one_is_known = vec![
        node.part("person", keyed(true), "person_id,sex\n3,f\n"),
        node.part("visit", keyed(false), "visit_id,person_id\n10,2\n"),
    ];
    let error = append(false, one_is_known).unwrap_err();
    assert_eq!(error.reasons(), ["`visit`: since version 1"]);
    assert_eq!(node.clinic().manifest().version(), VersionNumber::FIRST);

    let others = vec![node.part("visit", keyed(false), "visit_id,person_id\n11,1\n")];
    append(false, others).unwrap();
    // The rows of the first version are still there.
    let error = append(false, node.two_parts()).unwrap_err();
    assert_eq!(
        error.reasons(),
        ["`person`: since version 1", "`visit`: since version 1"]
    );
    append(true, node.two_parts()).unwrap();
    assert_eq!(node.owners_of("visit"), [Some(1), Some(0), Some(1)]);
}

#[test]
fn kept_notes_of_a_collection_do_not_count_its_rows_as_people() {
    let node = TestNode::new();
    let mut visits = "visit_id,person_id\n".to_owned();
    for row in 0..3000 {
        visits.push_str(&format!("{},{}\n", 100_000 + 7 * row, 1000 + row / 3));
    }
    let parts = vec![
        node.part("person", keyed(true), "person_id,sex\n1000,f\n1001,m\n"),
        node.part("visit", keyed(false), &visits),
    ];
    let imported = node.import_parts(parts, ImportMode::Create).unwrap();
    let is_about_people = |note: &Note| matches!(note, Note::Repeats { .. });
    let found = imported.datasets.iter().flat_map(|dataset| dataset.notes.clone());
    let found: Vec<Note> = found.filter(is_about_people).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let datasets = node.catalog().datasets();
    let kept = datasets
        .latest_import_of(&clinic(), &dataset("visit"))
        .unwrap()
        .unwrap();
    assert!(!kept.notes.contains(&found[0].to_string()), "{:?}", kept.notes);
}

#[test]
fn keys_of_subjects_of_two_kinds_are_noted_with_both() {
    let node = TestNode::new();
    let of_visits = |visits: &str| {
        let parts = vec![
            node.part("person", keyed(true), "person_id,sex\n12,f\n13,m\n"),
            node.part("visit", keyed(false), visits),
        ];
        let imported = node.import_parts(parts, ImportMode::Replace).unwrap();
        let notes = imported.datasets.iter().flat_map(|dataset| dataset.notes.clone());
        let about_kinds = |note: &Note| matches!(note, Note::SubjectKinds { .. });
        notes.filter(about_kinds).collect::<Vec<_>>()
    };
    node.import_parts(node.two_parts(), ImportMode::Create).unwrap();
    let [note]: [Note; 1] = of_visits("visit_id,person_id\n10,0012\n11,0013\n").try_into().unwrap();
    for part in ["`person_id`", ".person_id`", "text", "whole numbers", "--options"] {
        assert!(note.to_string().contains(part), "{note}");
    }
    assert!(note.needs_attention());
    assert!(of_visits("visit_id,person_id\n10,12\n11,13\n").is_empty());
}

#[test]
fn several_rows_of_a_subject_are_noted_if_one_is_declared() {
    let node = TestNode::new();
    let note = Note::SeveralRows {
        column: "person_id".to_owned(),
    };
    let noted = |imported: &ImportedCollection| {
        let datasets = imported.datasets.iter().filter(|dataset| dataset.notes.contains(&note));
        datasets.map(|dataset| dataset.name.to_string()).collect::<Vec<_>>()
    };
    let parts = |persons: &str| {
        vec![
            node.part("person", keyed(true), persons),
            node.part("visit", keyed(false), "visit_id,person_id\n10,2\n11,2\n"),
        ]
    };
    let twice = parts("person_id,sex\n1,f\n2,m\n1,f\n");
    assert_eq!(
        noted(&node.import_parts(twice, ImportMode::Create).unwrap()),
        ["person"]
    );
    let imports = node.catalog().datasets();
    let kept = imports
        .latest_import_of(&clinic(), &dataset("person"))
        .unwrap()
        .unwrap();
    assert!(kept.notes.contains(&note.to_string()), "{:?}", kept.notes);
    let once = parts("person_id,sex\n1,f\n2,m\n");
    assert!(noted(&node.import_parts(once, ImportMode::Replace).unwrap()).is_empty());
    let added = vec![node.part("person", keyed(true), "person_id,sex\n2,f\n")];
    assert_eq!(
        noted(&node.import_parts(added, ImportMode::Append).unwrap()),
        ["person"]
    );
}

#[test]
fn collection_is_no_dataset_and_no_dataset_gets_a_version() {
    let node = TestNode::new();
    node.import_parts(node.all_parts(), ImportMode::Create).unwrap();
    let name = dataset("clinic");
    assert!(node.catalog().datasets().list().unwrap().is_empty());
    assert_eq!(node.catalog().datasets().collections().unwrap().len(), 1);
    assert_eq!(
        node.catalog().open_version(&name, None).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    for mode in [ImportMode::Create, ImportMode::Append, ImportMode::Replace] {
        let request = ImportRequest {
            name: name.clone(),
            ..node.request(PEOPLE, mode)
        };
        assert!(matches!(node.import(&request), Err(ImportError::Several { .. })));
    }
}

#[test]
fn collection_of_one_dataset_of_its_name_is_no_collection() {
    let node = TestNode::new();
    let import = |kind: DatasetKind, mode: ImportMode| {
        let (datasets, kinds) = parted(vec![node.part("people", kind, PERSONS)]);
        let request = CollectionImport {
            mode,
            again: true,
            ..CollectionImport::new(CollectionName::from(&people()), datasets)
        };
        node.import_kinds(&request, &kinds, &mut |_| {})
    };
    for kind in [keyed(false), DatasetKind::EachRow] {
        let refused = import(kind, ImportMode::Create).unwrap_err();
        assert!(matches!(refused, ImportError::Alone { .. }), "{refused}");
    }
    assert!(node.object_files().is_empty());
    // That each person has one row cannot be declared of a dataset alone.
    import(keyed(true), ImportMode::Create).unwrap();
    assert!(node.catalog().datasets().list().unwrap().is_empty());
}

#[test]
fn files_with_mistakes_are_refused_together() {
    let node = TestNode::new();
    let parts = vec![
        node.part("person", keyed(true), "person_id,sex\n1,f\n2\n"),
        node.part("visit", keyed(false), VISITS),
        node.part("note", DatasetKind::Unowned, "a,A\n1,2\n"),
    ];
    let error = node.import_parts(parts, ImportMode::Create).unwrap_err();
    let ImportError::Files { failed } = &error else {
        panic!("{error}");
    };
    let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["person", "note"]);
    assert_eq!((error.kind(), error.reasons().len()), (ErrorKind::Usage, 2));
    assert!(error.reasons()[0].starts_with("`person`: "), "{:?}", error.reasons());
    assert!(error.help().is_some_and(|help| help.contains("out of the folder")));
    assert!(node.object_files().is_empty());
}

#[test]
fn dataset_whose_subjects_cannot_be_found_is_refused() {
    let node = TestNode::new();
    let refused = |parts: Vec<DatasetPart>, mode: ImportMode| {
        let error = node.import_parts(parts, mode).unwrap_err();
        assert!(matches!(error, ImportError::Kind { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    };
    let note = || node.part("note", owned("visit", "visit_id"), NOTES);
    let create = ImportMode::Create;
    refused(Vec::new(), create);
    refused(vec![note()], create);
    refused(vec![node.part("visit", DatasetKind::EachRow, VISITS)], create);
    refused(vec![note(), note()], create);
    refused(vec![node.part("note", owned("note", "note_id"), NOTES)], create);
    refused(vec![node.part("visit", keyed(false), NOTES)], create);
    let circle = vec![
        node.part("note", owned("visit", "visit_id"), NOTES),
        node.part("visit", owned("note", "visit_id"), VISITS),
    ];
    refused(circle, create);
    assert!(node.object_files().is_empty());

    node.import_parts(node.all_parts(), create).unwrap();
    refused(node.all_parts(), ImportMode::Append);
    refused(
        vec![node.part("visit", DatasetKind::Unowned, VISITS)],
        ImportMode::Append,
    );
    assert_eq!(node.clinic().manifest().version(), VersionNumber::FIRST);
}

#[test]
fn dataset_without_subjects_may_become_a_reference() {
    let node = TestNode::new();
    let parts = |kind: DatasetKind| {
        let mut parts = node.two_parts();
        parts.push(node.part("site", kind, SITES));
        parts
    };
    node.import_parts(parts(DatasetKind::Unowned), ImportMode::Create)
        .unwrap();
    let appended = vec![node.part("site", DatasetKind::Reference, SITES)];
    node.import_parts(appended, ImportMode::Append).unwrap();
    node.import_parts(parts(DatasetKind::Unowned), ImportMode::Replace)
        .unwrap();
    let subjects = node.clinic().manifest().subjects().clone();
    assert_eq!(
        (subjects.count, &subjects.changed),
        (2, &ChangedTable::Added),
        "they are the same"
    );
}

/// Noise is a function of the subjects, and of the rows that their rows lead to: otherwise a figure before and after a city is renamed has
/// the same noise, and the difference of both has none.
#[test]
fn noise_is_another_one_when_a_reference_dataset_changes() {
    let node = TestNode::new();
    let import = |sites: Option<&str>, persons: &str, mode: ImportMode| {
        let mut parts = vec![
            node.part("person", keyed(true), persons),
            node.part("visit", keyed(false), "visit_id,person_id\n10,2\n"),
        ];
        parts.extend(sites.map(|sites| node.part("site", DatasetKind::Reference, sites)));
        node.import_parts(parts, mode).unwrap();
        node.clinic().cell_secret()
    };
    let persons = "person_id,sex\n1,f\n2,m\n";
    let without = import(None, persons, ImportMode::Create);
    let first = import(Some(SITES), persons, ImportMode::Replace);
    assert_ne!(without, first, "it has one more");
    assert_eq!(
        import(Some(SITES), persons, ImportMode::Replace),
        first,
        "it is the same file"
    );
    let others = "person_id,sex\n1,f\n2,f\n3,m\n";
    assert_eq!(
        import(Some(SITES), others, ImportMode::Replace),
        first,
        "subjects have record keys"
    );
    let renamed = import(Some("site_id,city\n5,Buda\n"), persons, ImportMode::Replace);
    assert_ne!(renamed, first);
    assert_eq!(
        import(Some(SITES), persons, ImportMode::Replace),
        first,
        "it is as it was"
    );
    let added = vec![node.part("site", DatasetKind::Reference, "site_id,city\n6,Pest\n")];
    node.import_parts(added, ImportMode::Append).unwrap();
    assert_ne!(node.clinic().cell_secret(), first);
    assert_ne!(node.clinic().cell_secret(), renamed);
}

#[test]
fn collection_changed_during_its_import_is_kept() {
    let node = TestNode::new();
    node.import_parts(node.two_parts(), ImportMode::Create).unwrap();
    let (datasets, kinds) = parted(node.all_parts());
    let late = CollectionImport {
        mode: ImportMode::Replace,
        again: true,
        ..CollectionImport::new(clinic(), datasets)
    };
    let mut meanwhile = |progress| {
        if progress == Progress::Committing {
            node.import_parts(node.two_parts(), ImportMode::Append).unwrap();
        }
    };
    let result = node.import_kinds(&late, &kinds, &mut meanwhile);
    assert!(
        matches!(result, Err(ImportError::ConcurrentChange { .. })),
        "{result:?}"
    );
    assert_eq!(node.clinic().manifest().version().get(), 2);
    assert_eq!(node.owners_of("person"), [Some(0), Some(1), Some(0), Some(1)]);
    assert_eq!(node.collect_orphans(), 0, "what it wrote was removed");
}

#[test]
fn collection_of_an_account_that_ends_makes_no_version() {
    let node = TestNode::new();
    let importer = Arc::new(Ending::default());
    let by = importer.person();
    let actor = by.actor().cloned();
    let (datasets, kinds) = parted(node.two_parts());
    let mut request = CollectionImport::new(clinic(), datasets);
    request.by = Some(by);
    let mut watch = |progress| {
        if progress == Progress::Committing {
            importer.end();
        }
    };
    let result = node.import_kinds(&request, &kinds, &mut watch);
    assert!(matches!(result, Err(ImportError::Authority(_))), "{result:?}");
    assert_eq!(node.catalog().datasets().collections().unwrap(), []);
    assert_eq!(node.object_files(), Vec::<PathBuf>::new());

    request.by = Some(Arc::new(Ending::default()).person());
    node.import_kinds(&request, &kinds, &mut |_| {}).unwrap();
    assert_eq!(node.clinic().manifest().by(), actor.as_ref());
}

#[test]
fn erased_collection_leaves_nothing() {
    let node = TestNode::new();
    node.import_parts(node.all_parts(), ImportMode::Create).unwrap();
    node.import_parts(node.all_parts(), ImportMode::Replace).unwrap();
    let record = node.catalog().datasets().collection(&clinic()).unwrap();
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
    assert!(node.object_files().is_empty());
    assert!(node.catalog().keys().open_keys(&record).is_err());
    assert_eq!(node.catalog().datasets().imports.iter().unwrap().len(), 0);
    assert_eq!(node.catalog().datasets().manifests.iter().unwrap().len(), 0);
}

#[test]
fn key_of_a_collection_is_rotated_and_versions_are_trimmed() {
    let node = TestNode::new();
    node.import_parts(node.all_parts(), ImportMode::Create).unwrap();
    node.import_parts(node.all_parts(), ImportMode::Replace).unwrap();
    let name = dataset("clinic");
    node.catalog().keys().rotate_dataset(&name, true).unwrap();
    let _within = node.runtime.enter();
    let done = node.catalog().reencryption().run(&name, None, &mut |_| true).unwrap();
    assert_eq!(done.objects, 12);
    let retention = node.catalog().retention();
    retention.set_rule(&name, NonZeroU32::new(1)).unwrap();
    assert_eq!(retention.trim(&name, VersionNumber::new(2)).unwrap(), 1);
    assert_eq!(node.object_files().len(), 6);
    assert_eq!(node.verify_clinic().objects, 6);
    assert_eq!(node.owners_of("visit"), [Some(1), Some(0), None, None]);
}
