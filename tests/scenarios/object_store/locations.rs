//! Ownership of locations, moving objects between locations, and snapshots of remote objects.

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::identity::PrivateKey;
use concordat_protocol::ids::InstitutionId;
use concordat_storage::backup::{self, BackupRequest, Repository, TargetRepository};
use concordat_storage::ledger::Ledger;
use concordat_tests::tester;

use super::*;

#[test]
fn location_belongs_to_one_data_directory() {
    let (server, vault) = filled();
    let objects = server.objects(PREFIX);
    let other = Vault::at(&s3(location(&server, vault.files.path(), PREFIX)));
    for error in [
        other.import(PEOPLE, ImportMode::Create).unwrap_err().kind(),
        other.collect_orphans().unwrap_err().kind(),
    ] {
        assert_eq!(error, ErrorKind::Usage);
    }
    let error = other.collect_orphans().unwrap_err();
    assert!(
        matches!(at_location(&error), LocationError::OwnedByOther { .. }),
        "{error}"
    );
    assert_eq!(server.objects(PREFIX), objects);

    // Neighboring prefixes do not affect each other, even if one contains the other.
    for prefix in ["study/b", "study", ""] {
        let neighbor = Vault::at(&s3(location(&server, vault.files.path(), prefix)));
        neighbor.import(PEOPLE, ImportMode::Create).unwrap();
        assert_eq!(neighbor.collect_orphans().unwrap(), 0, "`{prefix}`");
        let written = neighbor.catalog().clone();
        drop(written);
        assert!(server.objects(PREFIX).starts_with(&objects), "`{prefix}`");
    }
    let readme = server.bucket().join(PREFIX).join("README.txt");
    fs::write(&readme, "not an object").unwrap();
    assert_eq!(vault.collect_orphans().unwrap(), 0);
    assert!(readme.exists(), "a foreign file stays");
    assert_eq!(vault.verify().unwrap().objects, 1);
}

#[test]
fn objects_move_to_a_store_and_back_with_any_copy_tool() {
    let server = S3Server::start();
    let mut vault = Vault::local();
    vault.import(PEOPLE, ImportMode::Create).unwrap();
    vault.import(&many(100), ImportMode::Append).unwrap();
    let there = s3(location(&server, vault.files.path(), PREFIX));

    vault.open(&there).unwrap();
    let error = vault.verify().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    assert!(
        matches!(at_location(&error), LocationError::Incomplete { .. }),
        "{error}"
    );
    vault.import(&many(5), ImportMode::Append).unwrap_err();
    assert_eq!(vault.newest(), (2, 103));

    copy(&vault.dir.path().join("objects"), &server.bucket().join(PREFIX));
    fs::remove_dir_all(vault.dir.path().join("objects")).unwrap();
    assert_eq!(vault.verify().unwrap().objects, 3, "without a restart");
    vault.import(&many(5), ImportMode::Append).unwrap();

    let error = vault.open(&ObjectLocation::Local).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let there = format!("s3://{BUCKET}/{PREFIX}");
    assert!(
        matches!(at_location(&error), LocationError::Elsewhere { location } if *location == there),
        "{error}"
    );
    copy(&server.bucket().join(PREFIX), &vault.dir.path().join("objects"));
    vault.open(&ObjectLocation::Local).unwrap();
    assert_eq!(vault.newest(), (3, 108));
    assert_eq!(vault.verify().unwrap().objects, 6);
}

/// Copies as an S3 tool or `cp` would; private, as the data directory requires.
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
fn store_key_is_rotated_without_a_restart() {
    let (server, vault) = filled();
    let path = vault.files.path().join("store.key");
    let right = fs::read_to_string(&path).unwrap();
    fs::write(&path, right.replace("secretoftests", "another")).unwrap();
    let error = vault.verify().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(matches!(at_location(&error), LocationError::Denied { .. }), "{error}");
    assert!(!format!("{error:?}").contains("another\""), "{error:?}");
    fs::write(&path, &right).unwrap();
    assert_eq!(vault.verify().unwrap().objects, 1);
    fs::remove_file(&path).unwrap();
    let error = vault.verify().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    drop(server);
}

fn back_up(vault: &Vault, to: &Path) -> Result<backup::CreatedSnapshot, BackupError> {
    let institution = InstitutionId::new("budapest").unwrap();
    let storage = vault.storage();
    let ledger = Ledger::open(&storage.ledger_dir(), storage.ledger_key(), institution.clone()).unwrap();
    let to = TargetRepository::prepare(storage, to)?;
    let request = BackupRequest {
        to: &to,
        institution,
        signer: &key(),
        now: NOW,
        by: &tester(),
    };
    let _within = vault.runtime.enter();
    backup::create(storage, &ledger, &request)
}

fn restore(vault: &Vault, from: &Path, to: &ObjectLocation) -> Result<(Storage, TempDir), BackupError> {
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
fn snapshot_of_store_objects_is_restored_to_an_empty_location() {
    let (server, vault) = filled();
    vault.import(&many(20_000), ImportMode::Append).unwrap();
    let repository = vault.files.path().join("backups");
    let made = back_up(&vault, &repository).unwrap();
    assert_eq!(made.copied, 2);
    backup::verify(&Repository::open(&repository).unwrap(), None, &key().public().into()).unwrap();
    vault.import(PEOPLE, ImportMode::Append).unwrap();
    let objects = server.objects(PREFIX);

    // Not to the location that the node still uses.
    let error = restore(&vault, &repository, &s3(location(&server, vault.files.path(), PREFIX))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    assert!(matches!(at_location(&error), LocationError::Occupied { .. }), "{error}");
    assert_eq!(server.objects(PREFIX), objects);

    let empty = s3(location(&server, vault.files.path(), "study/restored"));
    for to in [empty, ObjectLocation::Local] {
        let (storage, dir) = restore(&vault, &repository, &to).unwrap();
        let _within = vault.runtime.enter();
        assert_eq!(storage.catalog().maintenance().verify(&people()).unwrap().objects, 3);
        assert_eq!(storage.catalog().maintenance().collect_orphans().unwrap(), 0);
        drop(storage);
        let storage = Storage::open_at(dir.path(), &secret(), &to).unwrap();
        assert_eq!(storage.catalog().maintenance().verify(&people()).unwrap().objects, 3);
    }
    assert_eq!(names(&server.objects("study/restored")).len(), 2);
    let marker = |prefix: &str| fs::read_to_string(server.bucket().join(prefix).join("owner")).unwrap();
    assert_ne!(marker("study/restored"), marker(PREFIX), "two data directories");
    assert_eq!(vault.verify().unwrap().objects, 6, "the original is not modified");
}

#[test]
fn snapshot_of_an_unreachable_bucket_reports_no_lost_objects() {
    use concordat_tests::s3::{Fault, Rule};
    let (server, vault) = filled();
    server.faults().set([Rule::every(Fault::Error(404), &[], 1)]);
    let error = back_up(&vault, &vault.files.path().join("backups")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(matches!(at_location(&error), LocationError::NoBucket { .. }), "{error}");
}

#[test]
fn a_restore_that_fails_leaves_nothing_in_the_store() {
    use concordat_tests::s3::{Fault, Kind, Rule};
    let (server, vault) = filled();
    vault.import(&many(20_000), ImportMode::Append).unwrap();
    let repository = vault.files.path().join("backups");
    back_up(&vault, &repository).unwrap();
    let to = s3(S3Location {
        retries: 0,
        ..location(&server, vault.files.path(), "study/restored")
    });
    for kind in [Kind::Begin, Kind::Write, Kind::Complete] {
        server.faults().set([Rule::once(Fault::Error(500), &[kind], 2)]);
        let error = restore(&vault, &repository, &to).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{kind:?}: {error}");
        assert_eq!(server.objects("study/restored"), Vec::<PathBuf>::new(), "{kind:?}");
        assert_eq!(server.open_uploads(), 0, "{kind:?}");
    }
    server.faults().clear();
    restore(&vault, &repository, &to).unwrap();
}

#[test]
fn snapshot_that_fails_at_any_request_does_not_appear() {
    use concordat_tests::s3::{Fault, Rule};
    let server = S3Server::start();
    let vault = Vault::at(&s3(S3Location {
        retries: 0,
        ..location(&server, tempfile::tempdir().unwrap().keep().as_path(), PREFIX)
    }));
    vault.import(PEOPLE, ImportMode::Create).unwrap();
    vault.import(&many(100), ImportMode::Append).unwrap();
    let repository = vault.files.path().join("backups");
    let mut failed = 0;
    for number in 1..100 {
        server.faults().set([Rule::once(Fault::Error(500), &[], number)]);
        let made = back_up(&vault, &repository);
        let injected = server.faults().any_injected();
        server.faults().clear();
        match made {
            Ok(_) => assert!(!injected, "request {number} failed and was ignored"),
            Err(error) => {
                failed += 1;
                assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
                assert_eq!(
                    Repository::open(&repository).unwrap().ids().unwrap(),
                    [],
                    "request {number}"
                );
            }
        }
        if !injected {
            break;
        }
        // Each attempt starts from scratch.
        fs::remove_dir_all(&repository).unwrap();
    }
    assert_eq!(failed, 4, "two objects, with one length request and one read each");
    let checked = backup::verify(&Repository::open(&repository).unwrap(), None, &key().public().into()).unwrap();
    assert_eq!((checked.snapshots, checked.objects), (1, 2));
}
