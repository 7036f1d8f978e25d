//! The operator of the store: every change that they can make to the objects is detected.

use concordat_protocol::error_kind::{ErrorKind, Explain};
use concordat_protocol::ids::InstitutionId;
use concordat_protocol::text::Reason;
use concordat_storage::catalog::{ErasureOrder, ErasureStatement};

use super::*;

pub(super) fn state(vault: &Vault) -> ErasureStatement {
    let order = ErasureOrder {
        institution: InstitutionId::new("budapest").unwrap(),
        by: None,
        reason: Reason::new("the study ended").unwrap(),
        at: NOW,
    };
    vault
        .catalog()
        .erasures()
        .sign_statement(&people(), order, &key())
        .unwrap()
}

/// Erases the dataset, and returns whether it existed. Must be called within the vault's runtime.
pub(super) fn erase(vault: &Vault) -> bool {
    vault.catalog().erasures().erase(&state(vault)).unwrap()
}

fn assert_detected(vault: &Vault, what: &str) {
    let error = vault.verify().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{what}: {error}");
}

#[test]
fn store_operator_changes_are_all_detected() {
    let (server, vault) = filled();
    vault.import(&many(20_000), ImportMode::Append).unwrap();
    let objects = server.objects(PREFIX);
    let original: Vec<Vec<u8>> = objects.iter().map(|path| fs::read(path).unwrap()).collect();
    let restored = |vault: &Vault| {
        for (path, bytes) in objects.iter().zip(&original) {
            fs::write(path, bytes).unwrap();
        }
        assert_eq!(vault.verify().unwrap().objects, 3);
    };

    for at in [0, 60, original[0].len() / 2, original[0].len() - 1] {
        let mut changed = original[0].clone();
        changed[at] ^= 1;
        fs::write(&objects[0], changed).unwrap();
        assert_detected(&vault, "a bit");
    }
    fs::write(&objects[0], &original[0][..original[0].len() - 20]).unwrap();
    assert_detected(&vault, "cut");
    restored(&vault);

    fs::write(&objects[0], &original[1]).unwrap();
    fs::write(&objects[1], &original[0]).unwrap();
    assert_detected(&vault, "swapped");
    restored(&vault);

    fs::remove_file(&objects[1]).unwrap();
    assert_detected(&vault, "withheld");
    restored(&vault);
}

#[test]
fn object_that_is_rolled_back_is_refused() {
    let (server, vault) = filled();
    let before = server.objects(PREFIX);
    let old = fs::read(&before[0]).unwrap();
    vault.import("id,name,age\n9,Ida,20\n", ImportMode::Replace).unwrap();
    let after = server.objects(PREFIX);
    let new = after.iter().find(|path| !before.contains(path)).unwrap();
    fs::write(new, old).unwrap();
    assert_detected(&vault, "rolled back");
}

#[test]
fn location_that_loses_its_ownership_marker_is_not_trusted() {
    let (server, mut vault) = filled();
    let marker = server.bucket().join(PREFIX).join("owner");
    let text = fs::read_to_string(&marker).unwrap();
    assert_eq!(text.len(), 32, "{text}");
    fs::remove_file(&marker).unwrap();
    let checked = vault.runtime.block_on(vault.storage().check_objects());
    assert_eq!(checked.unwrap_err().kind(), ErrorKind::Integrity);

    // If all objects still exist, the next start writes the marker again; if one is missing, the start reports it.
    let again = s3(location(&server, vault.files.path(), PREFIX));
    vault.open(&again).unwrap();
    assert_eq!(vault.verify().unwrap().objects, 1);
    assert_eq!(fs::read_to_string(&marker).unwrap(), text);
    fs::remove_file(&marker).unwrap();
    fs::remove_file(&server.objects(PREFIX)[0]).unwrap();
    vault.open(&again).unwrap();
    let error = vault.verify().unwrap_err();
    assert!(
        matches!(at_location(&error), LocationError::Incomplete { .. }),
        "{error}"
    );
    assert!(!marker.exists());
}
