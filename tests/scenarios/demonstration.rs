//! The demonstration that a new user runs first.

use std::path::Path;
use std::process::Command;

use concordat_tests::slots::Slots;
use concordat_tests::{program, shared};

#[test]
fn the_demonstration_runs_to_its_end() {
    let output = run_demonstration(&[]);
    assert!(
        !output.contains('\u{1b}'),
        "there are no colors in plain text:\n{output}"
    );
}

#[test]
fn the_demonstration_runs_on_the_patients_of_real_hospitals() {
    let Some(folder) = shared::find("uci-heart-4-hospitals") else {
        return;
    };
    let output = run_demonstration(&["--data", folder.to_str().unwrap()]);
    assert!(
        output.contains("303 patients") && output.contains("294 patients"),
        "{output}"
    );
}

/// Runs the demonstration and returns both of its outputs.
fn run_demonstration(args: &[&str]) -> String {
    let _slots = Slots::take(3);
    let dir = tempfile::tempdir().unwrap();
    let run = Command::new(program::path())
        .args(["demo", "--no-color"])
        .args(args)
        .env("TMPDIR", dir.path())
        .current_dir(dir.path())
        .output()
        .unwrap();
    let output = [
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    ]
    .join("\n");
    assert_eq!(run.status.code(), Some(0), "{output}");
    for institution in ["cleveland", "budapest", "zurich"] {
        let verified = output
            .lines()
            .any(|line| line.contains(institution) && line.contains("ledger entries"));
        assert!(
            verified,
            "the ledger of {institution} is not reported as valid:\n{output}"
        );
    }
    assert!(is_empty(dir.path()), "the demonstration leaves nothing behind");
    output
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}
