//! Whose place it is, how objects move from one to another, and snapshots of what lies elsewhere.

use concordat_protocol::identity::PrivateKey;
use concordat_protocol::ids::InstitutionId;
use concordat_storage::backup::{self, BackupError, BackupRequest, Repository};
use concordat_storage::error_kind::ErrorKind as Whose;
use concordat_storage::ledger::Ledger;

use super::*;

#[test]
fn a_place_belongs_to_one_data_directory_and_another_ones_orphans_are_not_removed() {
    let (server, vault) = filled();
    let objects = server.objects(PREFIX);
    let other = Vault::at(&s3(place(&server, vault.files.path(), PREFIX)));
    for error in [
        other.import(PEOPLE, ImportMode::Create).unwrap_err().kind(),
        other.collect_orphans().unwrap_err().kind(),
    ] {
        assert_eq!(error, Whose::Usage);
    }
    let error = other.collect_orphans().unwrap_err();
    assert!(
        error.to_string().contains("belongs to another data directory"),
        "{error}"
    );
    assert_eq!(server.objects(PREFIX), objects);

    // Neighbours do not see each other, whichever is above.
    for prefix in ["study/b", "study", ""] {
        let neighbour = Vault::at(&s3(place(&server, vault.files.path(), prefix)));
        neighbour.import(PEOPLE, ImportMode::Create).unwrap();
        assert_eq!(neighbour.collect_orphans().unwrap(), 0, "`{prefix}`");
        let written = neighbour.catalog().clone();
        drop(written);
        assert!(server.objects(PREFIX).starts_with(&objects), "`{prefix}`");
    }
    let readme = server.bucket().join(PREFIX).join("README.txt");
    fs::write(&readme, "whose this is").unwrap();
    assert_eq!(vault.collect_orphans().unwrap(), 0);
    assert!(readme.exists(), "what is not ours stays");
    assert_eq!(vault.verify().unwrap().objects, 1);
}

#[test]
fn objects_move_to_a_store_and_back_with_any_tool_that_copies_files() {
    let server = S3Server::start();
    let mut vault = Vault::local();
    vault.import(PEOPLE, ImportMode::Create).unwrap();
    vault.import(&many(100), ImportMode::Append).unwrap();
    let there = s3(place(&server, vault.files.path(), PREFIX));

    vault.open(&there).unwrap();
    let error = vault.verify().unwrap_err();
    assert_eq!(error.kind(), Whose::Usage, "{error}");
    assert!(error.to_string().contains("copy them there"), "{error}");
    vault.import(&many(5), ImportMode::Append).unwrap_err();
    assert_eq!(vault.newest(), (2, 103));

    copy(&vault.dir.path().join("objects"), &server.bucket().join(PREFIX));
    fs::remove_dir_all(vault.dir.path().join("objects")).unwrap();
    assert_eq!(vault.verify().unwrap().objects, 3, "without a new start");
    vault.import(&many(5), ImportMode::Append).unwrap();

    let error = vault.open(&ObjectPlace::Local).unwrap_err();
    assert_eq!(error.kind(), Whose::Usage, "{error}");
    assert!(error.to_string().contains("s3://hospital/study/a"), "{error}");
    copy(&server.bucket().join(PREFIX), &vault.dir.path().join("objects"));
    vault.open(&ObjectPlace::Local).unwrap();
    assert_eq!(vault.newest(), (3, 108));
    assert_eq!(vault.verify().unwrap().objects, 6);
}

/// As an S3 tool would, or `cp`; private, as the data directory demands.
fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[test]
fn the_key_of_a_store_is_exchanged_without_a_restart() {
    let (server, vault) = filled();
    let path = vault.files.path().join("store.key");
    let right = fs::read_to_string(&path).unwrap();
    fs::write(&path, right.replace("secretoftests", "another")).unwrap();
    let error = vault.verify().unwrap_err();
    assert_eq!(error.kind(), Whose::Unreachable, "{error}");
    assert!(error.to_string().contains("refuses the key"), "{error}");
    assert!(!format!("{error:?}").contains("another\""), "{error:?}");
    fs::write(&path, &right).unwrap();
    assert_eq!(vault.verify().unwrap().objects, 1);
    fs::remove_file(&path).unwrap();
    let error = vault.verify().unwrap_err();
    assert_eq!(error.kind(), Whose::Locked, "{error}");
    drop(server);
}

fn back_up(vault: &Vault, to: &Path) -> Result<backup::Made, BackupError> {
    let institution = InstitutionId::new("budapest").unwrap();
    let storage = vault.storage();
    let ledger = Ledger::open(&storage.ledger_dir(), storage.ledger_key(), institution.clone()).unwrap();
    let request = BackupRequest {
        to,
        institution,
        signer: &key(),
        now: NOW,
    };
    let _within = vault.runtime.enter();
    backup::create(storage, &ledger, &request)
}

fn restore(vault: &Vault, from: &Path, to: &ObjectPlace) -> Result<(Storage, TempDir), BackupError> {
    use std::os::unix::fs::PermissionsExt;
    let repository = Repository::open(from).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let _within = vault.runtime.enter();
    let snapshot = repository.snapshot(None, &key().public().into())?;
    let restored = backup::restore(&repository, snapshot, dir.path(), &secret(), to)?;
    Ok((restored.storage, dir))
}

#[test]
fn a_snapshot_holds_what_lay_in_a_store_and_goes_back_into_an_empty_place() {
    let (server, vault) = filled();
    vault.import(&many(20_000), ImportMode::Append).unwrap();
    let repository = vault.files.path().join("backups");
    let made = back_up(&vault, &repository).unwrap();
    assert_eq!(made.copied, 2);
    backup::verify(&Repository::open(&repository).unwrap(), None, &key().public().into()).unwrap();
    vault.import(PEOPLE, ImportMode::Append).unwrap();
    let objects = server.objects(PREFIX);

    // Not where the node still lives, whoever runs it.
    let error = restore(&vault, &repository, &s3(place(&server, vault.files.path(), PREFIX))).unwrap_err();
    assert_eq!(error.kind(), Whose::Usage, "{error}");
    assert!(error.to_string().contains("is not empty"), "{error}");
    assert_eq!(server.objects(PREFIX), objects);

    let elsewhere = s3(place(&server, vault.files.path(), "study/anew"));
    for to in [elsewhere, ObjectPlace::Local] {
        let (storage, dir) = restore(&vault, &repository, &to).unwrap();
        let _within = vault.runtime.enter();
        assert_eq!(storage.catalog().maintenance().verify(&people()).unwrap().objects, 3);
        assert_eq!(storage.catalog().maintenance().collect_orphans().unwrap(), 0);
        drop(storage);
        let storage = Storage::open_at(dir.path(), &secret(), &to).unwrap();
        assert_eq!(storage.catalog().maintenance().verify(&people()).unwrap().objects, 3);
    }
    assert_eq!(names(&server.objects("study/anew")).len(), 2);
    let mark = |prefix: &str| fs::read_to_string(server.bucket().join(prefix).join("owner")).unwrap();
    assert_ne!(mark("study/anew"), mark(PREFIX), "two data directories");
    assert_eq!(
        vault.verify().unwrap().objects,
        6,
        "the one that was copied is not touched"
    );
}

#[test]
fn a_snapshot_of_a_bucket_that_went_away_does_not_call_the_objects_gone() {
    use concordat_tests::s3::{Fault, Rule};
    let (server, vault) = filled();
    server.faults().set([Rule::every(Fault::Error(404), &[], 1)]);
    let error = back_up(&vault, &vault.files.path().join("backups")).unwrap_err();
    assert_eq!(error.kind(), Whose::Unreachable, "{error}");
    assert!(error.to_string().contains("has no bucket for"), "{error}");
}

#[test]
fn a_restore_that_fails_leaves_nothing_in_the_store() {
    use concordat_tests::s3::{Fault, Kind, Rule};
    let (server, vault) = filled();
    vault.import(&many(20_000), ImportMode::Append).unwrap();
    let repository = vault.files.path().join("backups");
    back_up(&vault, &repository).unwrap();
    let to = s3(S3Place {
        retries: 0,
        ..place(&server, vault.files.path(), "study/anew")
    });
    for kind in [Kind::Begin, Kind::Write, Kind::Complete] {
        server.faults().set([Rule::once(Fault::Error(500), &[kind], 2)]);
        let error = restore(&vault, &repository, &to).unwrap_err();
        assert_eq!(error.kind(), Whose::Unreachable, "{kind:?}: {error}");
        assert_eq!(server.objects("study/anew"), Vec::<PathBuf>::new(), "{kind:?}");
        assert_eq!(server.open_uploads(), 0, "{kind:?}");
    }
    server.faults().clear();
    restore(&vault, &repository, &to).unwrap();
}

#[test]
fn a_snapshot_that_fails_at_any_request_does_not_appear_and_succeeds_when_repeated() {
    use concordat_tests::s3::{Fault, Rule};
    let server = S3Server::start();
    let vault = Vault::at(&s3(S3Place {
        retries: 0,
        ..place(&server, tempfile::tempdir().unwrap().keep().as_path(), PREFIX)
    }));
    vault.import(PEOPLE, ImportMode::Create).unwrap();
    vault.import(&many(100), ImportMode::Append).unwrap();
    let repository = vault.files.path().join("backups");
    let mut failed = 0;
    for number in 1..100 {
        server.faults().set([Rule::once(Fault::Error(500), &[], number)]);
        let made = back_up(&vault, &repository);
        let struck = server.faults().struck();
        server.faults().clear();
        match made {
            Ok(_) => assert!(!struck, "request {number} failed and was passed over"),
            Err(error) => {
                failed += 1;
                assert_eq!(error.kind(), Whose::Unreachable, "{error}");
                assert_eq!(
                    Repository::open(&repository).unwrap().ids().unwrap(),
                    [],
                    "request {number}"
                );
            }
        }
        if !struck {
            break;
        }
        // Each begins anew.
        fs::remove_dir_all(&repository).unwrap();
    }
    assert_eq!(failed, 4, "two objects, a question about the length and one read each");
    let checked = backup::verify(&Repository::open(&repository).unwrap(), None, &key().public().into()).unwrap();
    assert_eq!((checked.snapshots, checked.objects), (1, 2));
}
