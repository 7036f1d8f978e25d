//! Whoever runs the store: what they can do with what lies there, and that all of it is noticed.

use concordat_protocol::ids::InstitutionId;
use concordat_protocol::text::Reason;
use concordat_storage::catalog::{ErasureOrder, ErasureStatement};
use concordat_storage::error_kind::ErrorKind as Whose;

use super::*;

pub(super) fn state(vault: &Vault) -> ErasureStatement {
    let order = ErasureOrder {
        institution: InstitutionId::new("budapest").unwrap(),
        by: None,
        reason: Reason::new("the study ended").unwrap(),
        at: NOW,
    };
    vault.catalog().erasures().state(&people(), order, &key()).unwrap()
}

/// Erases the dataset, and says whether it was there. To be called within the vault's runtime.
pub(super) fn erase(vault: &Vault) -> bool {
    vault.catalog().erasures().erase(&state(vault)).unwrap()
}

fn is_noticed(vault: &Vault, what: &str) {
    let error = vault.verify().unwrap_err();
    assert_eq!(error.kind(), Whose::Integrity, "{what}: {error}");
}

#[test]
fn whoever_runs_the_store_changes_moves_or_withholds_nothing_unnoticed() {
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
        is_noticed(&vault, "a bit");
    }
    fs::write(&objects[0], &original[0][..original[0].len() - 20]).unwrap();
    is_noticed(&vault, "cut");
    restored(&vault);

    fs::write(&objects[0], &original[1]).unwrap();
    fs::write(&objects[1], &original[0]).unwrap();
    is_noticed(&vault, "exchanged");
    restored(&vault);

    fs::remove_file(&objects[1]).unwrap();
    is_noticed(&vault, "withheld");
    restored(&vault);
}

#[test]
fn an_object_that_is_rolled_back_to_what_it_was_before_is_refused() {
    let (server, vault) = filled();
    let before = server.objects(PREFIX);
    let old = fs::read(&before[0]).unwrap();
    vault.import("id,name,age\n9,Ida,20\n", ImportMode::Replace).unwrap();
    let after = server.objects(PREFIX);
    let new = after.iter().find(|path| !before.contains(path)).unwrap();
    fs::write(new, old).unwrap();
    is_noticed(&vault, "rolled back");
}

#[test]
fn a_place_that_loses_its_mark_is_not_trusted() {
    let (server, mut vault) = filled();
    let mark = server.bucket().join(PREFIX).join("owner");
    let text = fs::read_to_string(&mark).unwrap();
    assert_eq!(text.len(), 32, "{text}");
    fs::remove_file(&mark).unwrap();
    let looked = vault.runtime.block_on(vault.storage().check_objects());
    assert_eq!(looked.unwrap_err().kind(), Whose::Integrity);

    // Where everything is still there, the next start marks it again; where something is not, it says so.
    let again = s3(place(&server, vault.files.path(), PREFIX));
    vault.open(&again).unwrap();
    assert_eq!(vault.verify().unwrap().objects, 1);
    assert_eq!(fs::read_to_string(&mark).unwrap(), text);
    fs::remove_file(&mark).unwrap();
    fs::remove_file(&server.objects(PREFIX)[0]).unwrap();
    vault.open(&again).unwrap();
    let error = vault.verify().unwrap_err();
    assert!(error.to_string().contains("lacks objects of this node"), "{error}");
    assert!(!mark.exists());
}
