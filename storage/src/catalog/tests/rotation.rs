//! Keys that are exchanged while data is in use.

use std::{collections::BTreeSet, num::NonZeroU32};

use concordat_protocol::{
    ids::{KeyId, SegmentName},
    schema::VersionNumber,
};

use super::*;
use crate::{
    data_dir::StorageError,
    keys::{Escrow, KeyProvider, MasterKey},
};

fn main_segment() -> SegmentName {
    SegmentName::new(MAIN_SEGMENT).unwrap()
}

impl House {
    fn ids(&self) -> Vec<String> {
        values(&self.read(&self.current()).unwrap(), "id")
    }

    fn folders(&self) -> BTreeSet<String> {
        let folder = |path: &PathBuf| {
            path.parent()
                .unwrap()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        };
        self.object_files().iter().map(folder).collect()
    }

    fn dataset_key(&self) -> KeyId {
        self.catalog().keys().status().unwrap().datasets[0].current
    }

    fn reseal(&self) -> Reencrypted {
        let _within = self.runtime.enter();
        self.catalog()
            .reencryption()
            .run(&people(), None, &mut |_| true)
            .unwrap()
    }

    fn pseudonyms(&self) -> [u8; 32] {
        use crate::engine::Source as _;
        *self.current().pseudonym_key(Some(&[7; 16])).bytes()
    }
}

fn recover(house: &House, escrow: &Escrow, provider: &dyn KeyProvider) -> Result<Storage, StorageError> {
    Storage::recover(house.dir.path(), escrow, provider, &ObjectPlace::Local)
}

#[test]
fn a_new_master_key_opens_everything_and_the_old_file_nothing_new() {
    let mut house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    let master_key = house.dir.path().join("identity/master.key");
    let (before, objects) = (fs::read(&master_key).unwrap(), house.object_files());
    let segment = house.catalog().0.keys.segments.get(MAIN_SEGMENT).unwrap().unwrap();
    house.catalog().keys().rotate_master().unwrap();
    assert!(!house.catalog().0.keys.master.is_rotating());
    assert_ne!(fs::read(&master_key).unwrap(), before);
    assert_eq!(house.object_files(), objects, "no data was touched");
    house.reopen(|objects| objects);
    assert_eq!(house.ids(), ["1", "2", "3"]);

    let stolen = house.dir.path().join("stolen.key");
    fs::write(&stolen, before).unwrap();
    fs::set_permissions(&stolen, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let old = MasterKey::unlock(&stolen, &secret()).unwrap();
    old.open_segment(MAIN_SEGMENT, &segment).unwrap();
    let now = house.catalog().0.keys.segments.get(MAIN_SEGMENT).unwrap().unwrap();
    old.open_segment(MAIN_SEGMENT, &now).unwrap_err();
    house
        .catalog()
        .0
        .keys
        .master
        .open_segment(MAIN_SEGMENT, &segment)
        .unwrap_err();
}

#[test]
fn a_rotation_of_the_master_key_that_was_broken_off_is_finished_at_the_next_start() {
    let mut house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    house.catalog().0.keys.master.begin_rotation().unwrap();
    assert_eq!(house.ids(), ["1", "2", "3"], "both keys open segments meanwhile");
    house.reopen(|objects| objects);
    assert!(!house.catalog().0.keys.master.is_rotating());
    assert_eq!(house.ids(), ["1", "2", "3"]);
    house.reopen(|objects| objects);
    assert_eq!(house.ids(), ["1", "2", "3"]);
}

#[test]
fn a_new_segment_key_wraps_its_datasets_and_touches_no_data() {
    let mut house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    let (record, objects) = (
        house.catalog().datasets().show(&people()).unwrap(),
        house.object_files(),
    );
    let before = house.pseudonyms();
    assert_eq!(house.catalog().keys().rotate_segment(&main_segment()).unwrap(), 1);
    assert_eq!(house.object_files(), objects);
    house.catalog().keys().open_keys(&record).err().unwrap();
    house.reopen(|objects| objects);
    assert_eq!(house.ids(), ["1", "2", "3"]);
    assert_eq!(house.pseudonyms(), before, "pseudonyms stay what they were");
    let error = house
        .catalog()
        .keys()
        .rotate_segment(&SegmentName::new("other").unwrap())
        .unwrap_err();
    assert_eq!(error.fault(), Fault::NotFound);
}

#[test]
fn a_new_dataset_key_seals_what_comes_and_resealing_brings_over_the_rest() {
    let mut house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    house.take("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Append);
    let (first, pseudonyms) = (house.dataset_key(), house.pseudonyms());
    let manifests = house.catalog().datasets().versions(&people()).unwrap();
    let new = house.catalog().keys().rotate_dataset(&people(), true).unwrap();
    assert_ne!(new, first);
    assert_eq!(house.catalog().reencryption().pending().unwrap(), [people()]);
    house.take("id,name,age\n5,Emil Sentinel,61\n", ImportMode::Append);
    assert_eq!(house.folders(), BTreeSet::from([first.to_string(), new.to_string()]));
    assert_eq!(
        house.ids(),
        ["1", "2", "3", "4", "5"],
        "both keys open what they sealed"
    );

    let reader = house.current();
    let done = house.reseal();
    assert_eq!((done.objects, done.of), (3, 3));
    assert_eq!(
        values(&house.read(&reader).unwrap(), "id"),
        ["1", "2", "3", "4", "5"],
        "a reader is not disturbed"
    );
    drop(reader);
    house.collect_orphans();
    assert_eq!(house.folders(), BTreeSet::from([new.to_string()]));
    house.reopen(|objects| objects);
    assert_eq!(house.ids(), ["1", "2", "3", "4", "5"]);
    assert_eq!(house.verify().unwrap().versions, 3);
    assert_eq!(
        house.catalog().datasets().versions(&people()).unwrap()[..2],
        manifests,
        "manifests are not touched"
    );
    assert_eq!(house.pseudonyms(), pseudonyms);
    let status = house.catalog().keys().status().unwrap().datasets.remove(0);
    assert_eq!(
        (status.current, status.older, status.resealing),
        (new, Vec::new(), false)
    );
    assert_eq!(house.catalog().reencryption().pending().unwrap(), []);
}

#[test]
fn resealing_that_was_broken_off_goes_on_where_it_was() {
    let mut house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    house.take("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Append);
    house.catalog().keys().rotate_dataset(&people(), true).unwrap();
    let stopped = {
        let _within = house.runtime.enter();
        let mut left = 1;
        let mut once = |_| {
            left -= 1;
            left >= 0
        };
        house.catalog().reencryption().run(&people(), None, &mut once).unwrap()
    };
    assert_eq!((stopped.objects, stopped.of), (1, 2));
    house.reopen(|objects| objects);
    assert_eq!(house.ids(), ["1", "2", "3", "4"]);
    assert_eq!(house.catalog().reencryption().pending().unwrap(), [people()]);
    house.reseal();
    assert_eq!(house.collect_orphans(), 0);
    assert_eq!(house.object_files().len(), 2);
    assert_eq!(house.ids(), ["1", "2", "3", "4"]);
}

#[test]
fn resealing_goes_on_when_versions_are_taken_out_under_its_hands() {
    let house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    house.take("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Replace);
    house.take("id,name,age\n5,Emil Sentinel,61\n", ImportMode::Append);
    let new = house.catalog().keys().rotate_dataset(&people(), true).unwrap();
    let _within = house.runtime.enter();
    let mut asked = 0;
    let mut trimming = |_| {
        asked += 1;
        if asked == 1 {
            assert_eq!(
                house
                    .catalog()
                    .retention()
                    .retain(&people(), NonZeroU32::new(1))
                    .unwrap(),
                2
            );
        }
        true
    };
    let done = house
        .catalog()
        .reencryption()
        .run(&people(), None, &mut trimming)
        .unwrap();
    assert_eq!(done.of, 2);
    assert_eq!(house.catalog().reencryption().pending().unwrap(), []);
    assert_eq!(house.folders(), BTreeSet::from([new.to_string()]));
    assert_eq!(house.ids(), ["4", "5"]);
    assert_eq!(house.collect_orphans(), 0);
}

#[test]
fn what_only_a_reader_still_holds_is_given_no_new_place() {
    let house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    let old = house.current();
    house.take("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Replace);
    house.catalog().keys().rotate_dataset(&people(), true).unwrap();
    let _within = house.runtime.enter();
    let mut trimming = |_| {
        house
            .catalog()
            .retention()
            .retain(&people(), NonZeroU32::new(1))
            .unwrap();
        true
    };
    house
        .catalog()
        .reencryption()
        .run(&people(), None, &mut trimming)
        .unwrap();
    assert_eq!(values(&house.read(&old).unwrap(), "id"), ["1", "2", "3"]);
    let placed = house.catalog().0.objects.placements.iter().unwrap();
    assert_eq!(placed.count(), 1, "only that of the version that is left");
    drop(old);
    assert_eq!(house.collect_orphans(), 1);
    assert_eq!(house.ids(), ["4"]);
}

#[test]
fn an_object_that_is_not_what_its_manifest_states_is_not_sealed_again() {
    let house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    let (old, first) = (house.object_files().remove(0), house.dataset_key());
    house.take(
        "id,name,age\n1,Zsofia Sentinel,41\n2,Bela Sentinel,52\n3,Carl Sentinel,9\n",
        ImportMode::Replace,
    );
    let new = house.object_files().into_iter().find(|path| *path != old).unwrap();
    fs::copy(&old, &new).unwrap();
    house.catalog().keys().rotate_dataset(&people(), true).unwrap();
    let _within = house.runtime.enter();
    let error = house
        .catalog()
        .reencryption()
        .run(&people(), None, &mut |_| true)
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Integrity, "{error}");
    assert!(
        house.catalog().keys().status().unwrap().datasets[0]
            .older
            .contains(&first)
    );
    assert_eq!(house.catalog().reencryption().pending().unwrap(), [people()]);
}

#[test]
fn keys_may_be_rotated_during_an_import_but_not_forgotten() {
    let house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    let more = "id,name,age\n4,Dora Sentinel,33\n";
    let catalog = house.catalog().clone();
    let rotate = |event: Progress| {
        if event == Progress::Surveying {
            catalog.keys().rotate_master().unwrap();
            catalog.keys().rotate_segment(&main_segment()).unwrap();
            catalog.keys().rotate_dataset(&people(), false).unwrap();
        }
    };
    house
        .import_watched(&house.request(more, ImportMode::Append), &mut { rotate })
        .unwrap();
    assert_eq!(house.ids(), ["1", "2", "3", "4"]);

    let mut forget = |event: Progress| {
        if event == Progress::Surveying {
            catalog.keys().rotate_dataset(&people(), true).unwrap();
            catalog.reencryption().run(&people(), None, &mut |_| true).unwrap();
        }
    };
    let error = house
        .import_watched(&house.request(more, ImportMode::Append), &mut forget)
        .unwrap_err();
    assert!(matches!(error, ImportError::Overtaken { .. }), "{error}");
    assert_eq!(house.ids(), ["1", "2", "3", "4"]);

    let created = ImportRequest {
        name: DatasetName::new("others").unwrap(),
        ..house.request(PEOPLE, ImportMode::Create)
    };
    house.import_watched(&created, &mut { rotate }).unwrap();
    house.catalog().open_version(&created.name, None).unwrap();
}

#[test]
fn a_directory_of_format_1_is_brought_forward_with_its_data_and_pseudonyms() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let path = dir.path().join("identity/master.key");
    MasterKey::write_format_1(&path, &secret());
    let master_of_format_1 = fs::read(&path).unwrap();
    let mut house = House::new();
    house.storage = Some(Storage::open(dir.path(), &secret()).unwrap());
    house.dir = dir;
    house.catalog().0.datasets.identities.put_institution(&key(1)).unwrap();
    house.take(PEOPLE, ImportMode::Create);
    house.take("id,name,age\n4,Dora Sentinel,33\n", ImportMode::Append);
    let before = {
        let record = house.catalog().datasets().show(&people()).unwrap();
        let key = house.catalog().keys().open_keys(&record).unwrap().current;
        let segment = house.catalog().keys().segment_key(&main_segment()).unwrap().unwrap();
        let of_format_1 = segment.pseudonyms_of_format_1("people", &key).unwrap();
        *segment
            .open_pseudonyms("people", &of_format_1)
            .unwrap()
            .key(Some(&[7; 16]))
            .bytes()
    };
    for _ in 0..2 {
        migrate::write_format_1(house.catalog().datasets(), &people());
        house.storage = None;
        fs::write(house.dir.path().join("identity/master.key"), &master_of_format_1).unwrap();
        fs::remove_file(house.dir.path().join("format")).unwrap();
        house.reopen(|objects| objects);
        assert_eq!(house.ids(), ["1", "2", "3", "4"]);
        assert_eq!(house.pseudonyms(), before);
        assert_eq!(fs::read_to_string(house.dir.path().join("format")).unwrap(), "2\n");
        assert_eq!(
            house.catalog().datasets().show(&people()).unwrap().oldest,
            VersionNumber::FIRST
        );
    }
    house.catalog().keys().rotate_master().unwrap();
    house.reopen(|objects| objects);
    assert_eq!(house.ids(), ["1", "2", "3", "4"]);

    house.storage = None;
    fs::write(house.dir.path().join("format"), "3\n").unwrap();
    let error = Storage::open(house.dir.path(), &secret()).unwrap_err();
    assert!(error.to_string().contains("format `3`"), "{error}");
}

#[test]
fn a_lost_passphrase_is_made_good_by_any_of_the_recovery_keys() {
    use crate::keys::{Recipient, RecoveryKey};
    let (first, second) = (RecoveryKey::generate(), RecoveryKey::generate());
    let mut house = House::new();
    house.take(PEOPLE, ImportMode::Create);
    let recipients: Vec<Recipient> = [&first.0, &second.0].map(|public| public.parse().unwrap()).to_vec();
    assert!("age1nobody".parse::<Recipient>().is_err());
    house.catalog().keys().escrow(&[]).unwrap_err();
    let escrow = house.catalog().keys().escrow(&recipients).unwrap();
    assert!(escrow.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));

    let key = RecoveryKey::in_file(second.1.as_bytes()).unwrap();
    let opened = Escrow::open(escrow.as_bytes(), &key).unwrap();
    Escrow::open(escrow.as_bytes(), &RecoveryKey::in_file(first.1.as_bytes()).unwrap()).unwrap();
    let stranger = RecoveryKey::in_file(RecoveryKey::generate().1.as_bytes()).unwrap();
    assert_eq!(
        Escrow::open(escrow.as_bytes(), &stranger).unwrap_err().fault(),
        Fault::Locked
    );
    RecoveryKey::in_file(b"nothing").unwrap_err();

    // The master key went on, the segment's did not.
    house.catalog().keys().rotate_master().unwrap();
    house.storage = None;
    let new = Passphrase::new(Secret::from("new".to_owned()), Argon2Cost::dangerous_minimum());
    let recovered = recover(&house, &opened, &new).unwrap();
    house.storage = Some(recovered);
    assert_eq!(house.ids(), ["1", "2", "3"]);
    house.storage = None;
    assert_eq!(
        Storage::open(house.dir.path(), &secret()).unwrap_err().fault(),
        Fault::Locked
    );
    house.storage = Some(Storage::open(house.dir.path(), &new).unwrap());
    house.catalog().keys().rotate_segment(&main_segment()).unwrap();
    house.catalog().keys().rotate_master().unwrap();
    house.storage.as_ref().unwrap().change_provider(&secret()).unwrap();
    house.storage = None;

    // An escrow from before a rotation of the segment's key says so, and nothing is changed.
    let error = recover(&house, &opened, &new).unwrap_err();
    assert!(error.to_string().contains("segment `main`"), "{error}");
    house.reopen(|objects| objects);
    assert_eq!(house.ids(), ["1", "2", "3"]);

    // One of another node opens nothing.
    let other = House::new();
    let foreign = other.catalog().keys().escrow(&recipients).unwrap();
    let foreign = Escrow::open(foreign.as_bytes(), &key).unwrap();
    house.storage = None;
    let error = recover(&house, &foreign, &new).unwrap_err();
    assert_eq!(error.fault(), Fault::Integrity, "{error}");
    house.reopen(|objects| objects);
    assert_eq!(house.ids(), ["1", "2", "3"]);
}
