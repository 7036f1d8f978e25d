//! The demonstration that a newcomer runs first.

use std::path::Path;
use std::process::Command;

use concordat_tests::slots::Slots;
use concordat_tests::{program, shared};

#[test]
fn the_demonstration_runs_to_its_end() {
    let told = demonstrated(&[]);
    assert!(!told.contains('\u{1b}'), "there are no colours in plain text:\n{told}");
}

#[test]
fn the_demonstration_runs_on_the_patients_of_real_hospitals() {
    let Some(folder) = shared::find("uci-heart-4-hospitals") else {
        return;
    };
    let told = demonstrated(&["--data", folder.to_str().unwrap()]);
    assert!(told.contains("303 patients") && told.contains("294 patients"), "{told}");
}

/// Plays the demonstration and returns what it told on both outputs.
fn demonstrated(args: &[&str]) -> String {
    let _slots = Slots::take(3);
    let place = tempfile::tempdir().unwrap();
    let played = Command::new(program::path())
        .args(["demo", "--no-color"])
        .args(args)
        .env("TMPDIR", place.path())
        .current_dir(place.path())
        .output()
        .unwrap();
    let told = [
        String::from_utf8_lossy(&played.stdout),
        String::from_utf8_lossy(&played.stderr),
    ]
    .join("\n");
    assert_eq!(played.status.code(), Some(0), "{told}");
    for institution in ["cleveland", "budapest", "zurich"] {
        let verified = told
            .lines()
            .any(|line| line.contains(institution) && line.contains("ledger entries"));
        assert!(verified, "the ledger of {institution} is not said to hold:\n{told}");
    }
    assert!(is_empty(place.path()), "the demonstration leaves nothing behind");
    told
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}
