use concordat_protocol::{
    identity::{InstitutionKey, PrivateKey},
    schema::ColumnKind,
    text::Text,
};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

fn key(seed: u8) -> InstitutionKey {
    InstitutionKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn object(path: &str, rows: u64) -> ObjectEntry {
    ObjectEntry {
        path: format!("{path}.parquet"),
        len: 100,
        rows,
        content: Digest32::from_bytes([1; 32]),
        header: Digest32::from_bytes([2; 32]),
    }
}

fn provenance() -> Provenance {
    Provenance {
        file: Text::sanitized("people.csv"),
        len: 10,
        blake3: Digest32::from_bytes([3; 32]),
        imported_at: Timestamp::from_millis(1_800_000_000_000),
        by: None,
    }
}

fn dataset(name: &str, kind: DatasetKind, rows: &[u64], ordinals: bool) -> DatasetManifest {
    let objects = rows.iter().enumerate();
    DatasetManifest {
        name: DatasetName::new(name).unwrap(),
        columns: vec![ColumnMeta {
            name: ColumnName::new("id").unwrap(),
            kind: ColumnKind::Int,
            nullable: true,
            empty: false,
        }],
        classification: Classification::default(),
        objects: objects
            .map(|(number, rows)| object(&format!("{name}/{number}"), *rows))
            .collect(),
        rows: rows.iter().sum(),
        unowned: 0,
        provenance: provenance(),
        kind,
        ordinals,
    }
}

fn keyed() -> DatasetKind {
    DatasetKind::Keyed {
        subject: ColumnName::new("id").unwrap(),
        unique: true,
    }
}

fn form() -> ManifestForm {
    ManifestForm {
        collection: CollectionName::new("omop").unwrap(),
        version: VersionNumber::FIRST,
        datasets: vec![
            dataset("care_site", DatasetKind::Reference, &[4], false),
            dataset("person", keyed(), &[2, 1], true),
        ],
        subjects: SubjectTables {
            count: 3,
            registry: Some(object("registry", 3)),
            digests: Some(object("digests", 3)),
            changed: ChangedTable::Listed(object("changed", 2)),
        },
        imported_at: Timestamp::from_millis(1_800_000_000_000),
        by: None,
    }
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

prop_compose! {
    fn manifest()(
        name in "[a-z]{1,5}",
        version in 1_u64..20,
        subject in prop_oneof![Just(SUBJECT_COLUMN.to_owned()), Just("id".to_owned())],
        rows in prop::collection::vec(0_u64..9, 0..4),
    ) -> Manifest {
        let dataset = dataset(&name, DatasetKind::EachRow, &rows, false);
        Manifest {
            dataset: dataset.name,
            version: VersionNumber::new(version),
            columns: dataset.columns,
            subject: ColumnName::new(&subject).unwrap(),
            classification: dataset.classification,
            objects: dataset.objects,
            rows: dataset.rows,
            provenance: dataset.provenance,
        }
    }
}

proptest! {
    /// What was signed for a dataset alone is a version of a collection of one, and nothing of it is lost.
    #[test]
    fn manifest_of_a_dataset_is_that_of_a_collection_of_one(manifest in manifest()) {
        let signed = Signed::sign(&manifest, &key(1)).unwrap();
        let stored = Signed::<CollectionManifest>::from_bytes(signed.signed().as_bytes().to_vec()).unwrap();
        let read = VersionManifest::verify(stored, &[key(2).public(), key(1).public()]).unwrap();
        prop_assert_eq!(read.digest(), signed.digest());
        prop_assert_eq!(read.document().alone(), Some(manifest.clone()));
        prop_assert!(read.document().datasets().iter().all(|dataset| !dataset.ordinals));
        // It could be written today, too: the checks of decoding accept it.
        let again: CollectionManifest = ciborium::from_reader(&encoded(read.document())[..]).unwrap();
        prop_assert_eq!(&again, read.document());
    }

    /// A manifest has one encoding: a document in another one is not accepted.
    #[test]
    fn collection_manifest_has_one_encoding(rows in prop::collection::vec(0_u64..9, 0..4), count in 1_u32..9) {
        let mut form = form();
        form.datasets = vec![dataset("a", DatasetKind::EachRow, &rows, true), dataset("b", keyed(), &rows, true)];
        form.subjects = SubjectTables {
            count,
            registry: Some(object("registry", count.into())),
            digests: None,
            changed: ChangedTable::All,
        };
        let manifest = CollectionManifest::new(form).unwrap();
        let signed = Signed::sign(&manifest, &key(1)).unwrap();
        let read = VersionManifest::verify(signed.signed().clone(), &[key(1).public()]).unwrap();
        prop_assert_eq!(read.document(), &manifest);
        prop_assert_eq!(read.document().alone(), None);
    }
}

#[test]
fn manifest_signed_for_another_purpose_is_refused() {
    let manifest = CollectionManifest::new(form()).unwrap();
    let signed = Signed::sign(&manifest, &key(1)).unwrap();
    let other = VersionManifest::verify(signed.signed().clone(), &[key(2).public()]);
    assert_eq!(other.unwrap_err(), SignatureError::WrongSignature);
    let alone = Signed::<Manifest>::from_bytes(signed.signed().as_bytes().to_vec()).unwrap();
    assert_eq!(
        alone.verify(key(1).public()).unwrap_err(),
        SignatureError::WrongSignature
    );
}

#[test]
fn manifest_that_contradicts_itself_is_refused() {
    let wrong = |change: &dyn Fn(&mut ManifestForm)| {
        let mut form = form();
        change(&mut form);
        CollectionManifest::new(form)
    };
    assert!(wrong(&|_| {}).is_ok());
    let changes: [&dyn Fn(&mut ManifestForm); 13] = [
        &|form| form.datasets.clear(),
        &|form| form.datasets.reverse(),
        &|form| form.datasets[1].name = form.datasets[0].name.clone(),
        &|form| form.datasets[1].rows = 4,
        &|form| form.datasets[1].unowned = 4,
        &|form| form.datasets[0].unowned = 1,
        &|form| form.datasets[0].ordinals = true,
        &|form| form.datasets[1].objects[0].path = form.datasets[0].objects[0].path.clone(),
        &|form| form.datasets[1].objects[0].path = "registry.parquet".to_owned(),
        &|form| form.subjects.count = 2,
        &|form| form.subjects.digests = Some(object("digests", 2)),
        &|form| form.subjects.digests = None,
        &|form| form.subjects.changed = ChangedTable::Listed(object("changed", 4)),
    ];
    for (number, change) in changes.iter().enumerate() {
        assert!(wrong(change).is_err(), "change {number}");
    }
}

#[test]
fn manifest_of_too_many_datasets_is_refused() {
    let numbered = |count: usize| {
        let datasets = (0..count).map(|number| dataset(&format!("d{number:03}"), DatasetKind::Unowned, &[], false));
        CollectionManifest::new(ManifestForm {
            datasets: datasets.collect(),
            ..form()
        })
    };
    assert!(numbered(MAX_DATASETS).is_ok());
    assert!(numbered(MAX_DATASETS + 1).is_err());
}
